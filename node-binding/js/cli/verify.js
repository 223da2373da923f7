// @ts-check
import { options } from './flags.js';
import { count, table } from './show.js';

/** @type {import('./commands.js').Command} */
export default {
  name: 'verify',
  summary: 'read everything again, and say whether all of it is whole',
  args: [],
  flags: ['extension'],
  example: 'remy verify --db app.db',
  follows: 'terminal',
  run: async ({ open, values, signal, onProgress }) => (await open()).verify({ ...options(values), signal, onProgress }),
  ok: (/** @type {import('../index.js').Verified} */ { ok }) => ok,
  show({ ok, checked, warnings }) {
    const rows = checked.map((/** @type {import('../index.js').Verified['checked'][0]} */ check) => [check.ok ? '✓' : '✗', check.object, check.what, check.message]);
    const bad = checked.filter((/** @type {{ ok: boolean }} */ { ok }) => !ok).length;
    return [
      ...table([' ', 'OBJECT', 'CHECK', 'FOUND'], rows),
      ...warnings.map((/** @type {string} */ warning) => `warning: ${warning}`),
      ok ? 'All is whole' : `${count(bad, 'check')} failed`,
    ];
  },
};
