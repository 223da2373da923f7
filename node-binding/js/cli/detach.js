// @ts-check
import { once } from 'node:events';
import { plain } from './show.js';
import { UsageError } from './usage.js';

/** @type {import('./commands.js').Command} */
export default {
  name: 'detach',
  summary: "drop remy's tables from live; the store stays",
  args: [],
  flags: ['yes'],
  example: 'remy detach --db app.db',
  async run({ open, values, signal }) {
    const app = await open();
    if (!values.yes) await ask(app.path, signal);
    return app.detach({ signal });
  },
  show: ({ dropped, left }) => [
    dropped.length ? `Dropped ${dropped.join(', ')}` : 'Live had no tables of remy',
    ...left.map((/** @type {string} */ what) => `Left: ${what}`),
  ],
};

/**
 * @param {string} path
 * @param {AbortSignal} signal
 */
async function ask(path, signal) {
  if (!process.stdin.isTTY) throw new UsageError('remy detach expects --yes where nobody can be asked');
  process.stderr.write(`Take remy out of ${plain(path)}? Live keeps its data and forgets its releases. [y/N] `);
  let answer;
  try {
    [answer = ''] = await Promise.race([once(process.stdin, 'data', { signal }), once(process.stdin, 'end', { signal })]);
  } finally {
    // Being read from keeps the process alive.
    process.stdin.destroy();
  }
  if (!/^y(es)?$/i.test(String(answer).trim())) throw new UsageError('it was not confirmed. Nothing was done');
}
