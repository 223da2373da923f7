// @ts-check
import { list } from './show.js';

/** @type {import('./commands.js').Command} */
export default {
  name: 'debug',
  summary: 'show what remy runs on',
  args: [],
  flags: [],
  example: 'remy debug --db app.db',
  run: async ({ open, signal }) => (await open()).debug({ signal }),
  show: (debug) => list(Object.entries(debug).map(([key, value]) => [key, Array.isArray(value) ? value.join('; ') : value])),
};
