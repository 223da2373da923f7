// @ts-check
import { options } from './flags.js';
import { count, size, table } from './show.js';

/** @type {import('./commands.js').Command} */
export default {
  name: 'prune',
  summary: 'drop the databases of old releases; what a bare rollback goes to stays',
  args: [],
  flags: ['older-than', 'keep', 'keep-bytes', 'dry-run', 'lock-timeout-ms'],
  example: 'remy prune --older-than 30d --dry-run --db app.db',
  run: async ({ open, values: { 'older-than': days, ...values }, signal }) => (await open()).prune(days, { ...options(values), signal }),
  show(/** @type {import('../index.js').Pruned} */ { pruned, kept, kept_bytes, freed_bytes, warnings }, { values }) {
    const rows = pruned.map(({ release, database, bytes }) => [release, database, size(bytes)]);
    const lines = rows.length ? table([{ title: 'RELEASE', right: true }, 'DATABASE', { title: 'SIZE', right: true }], rows) : [];
    const left = `${kept} kept [${size(kept_bytes)}]`;
    const warned = warnings.map((warning) => `warning: ${warning}`);
    if (!rows.length) return [...warned, `Nothing to drop; ${left}`];
    const did = values['dry-run'] ? 'Nothing was changed: it would drop' : 'Dropped';
    return [...warned, ...lines, `${did} ${count(pruned.length, 'database')} [${size(freed_bytes)}]; ${left}`];
  },
};
