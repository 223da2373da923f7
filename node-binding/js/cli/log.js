// @ts-check
import { advice, mark, message, table, time, took } from './show.js';
import { RELEASE } from './usage.js';

/** @type {import('./commands.js').Command} */
export default {
  name: 'log',
  summary: 'show the build log of a release, or of the newest one',
  args: [{ ...RELEASE, optional: true }],
  flags: [],
  example: 'remy log 3 --db app.db',
  run: async ({ open, args: [release], signal }) => (await open()).buildLog(release, { signal }),
  show(/** @type {import('../index.js').Line[]} */ lines) {
    if (!lines.length) return ['No line yet'];
    const messages = lines.map((line) => message({ ...line, ...advice(line) }));
    const rows = lines.map((line, i) => [line.release, time(line.at), mark(line), line.step, took(line.duration_ms), messages[i][0]]);
    const [titles, ...shown] = table([{ title: 'RELEASE', right: true }, 'AT', ' ', 'STEP', { title: 'TOOK', right: true }, 'MESSAGE'], rows);
    return [titles, ...shown.flatMap((line, i) => [line, ...messages[i].slice(1)])];
  },
};
