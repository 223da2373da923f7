// @ts-check
import { ask, somebody } from './ask.js';
import { called } from './name.js';
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
    if (!values.yes) {
      if (!somebody()) throw new UsageError(`${called} detach expects --yes where nobody can be asked`);
      await ask(`Take remy out of ${plain(app.path)}? Live keeps its data and forgets its releases.`, signal);
    }
    return app.detach({ signal });
  },
  show: ({ dropped, left }) => [
    dropped.length ? `Dropped ${dropped.join(', ')}` : 'Live had no tables of remy',
    ...left.map((/** @type {string} */ what) => `Left: ${what}`),
  ],
};
