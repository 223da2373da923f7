// @ts-check
import { options, SCHEMA } from './flags.js';
import { effects, plan } from './outcome.js';
import { oneLine } from './show.js';

/** @typedef {import('../index.js').Statement} Statement */

/** @type {import('./commands.js').Command} */
export default {
  name: 'diff',
  summary: 'show what a publish would do to live, what it needs, and what it loses',
  args: [{ name: 'SCHEMA', optional: true }],
  flags: ['sql', ...SCHEMA],
  notes: { sql: 'the statements themselves' },
  example: 'remy diff schema.sql --db app.db',
  async run({ open, args: [schema], values, signal }) {
    const app = await open();
    const rows = await app.diff({ ...options(values), schema, signal });
    // Where there is no live yet, nobody has changed it.
    const { drift } = await app.debug({ signal }).catch(() => ({ drift: null }));
    if (drift) process.stderr.write(`warning: ${oneLine(drift)}\n`);
    return rows;
  },
  show(/** @type {Statement[]} */ rows, { values }) {
    if (!rows.length) return ['Nothing to change: live is as declared'];
    const statements = rows.filter(({ strategy }) => strategy !== 'effect');
    if (values.sql) return statements.flatMap(({ sql }) => `${sql};`.split('\n'));
    const given = (values.allow ?? []).flat();
    const leaves = [...new Set(statements.flatMap(({ needs }) => (needs && !given.includes(needs) ? [needs] : [])))];
    return [
      ...(statements.length ? plan(statements) : []),
      ...(statements.length < rows.length ? effects(rows.filter(({ strategy }) => strategy === 'effect').map(effect)) : []),
      ...(leaves.length ? [`A publish needs --allow ${leaves.join(',')}, or a --rename where one is meant`] : []),
    ];
  },
};

/**
 * The row `create_role` of `buyer` as the change of an effect.
 * @param {Statement} row
 */
function effect({ kind, object: id }) {
  const [, change, what] = /** @type {RegExpExecArray} */ (/^([a-z]+)_(.+)$/.exec(kind));
  return { kind: what, id, change };
}
