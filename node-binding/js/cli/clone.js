// @ts-check
import { size, took } from './show.js';

/** @type {import('./commands.js').Command} */
export default {
  name: 'clone',
  summary: 'copy live, as of one committed transaction, to a file',
  args: [{ name: 'PATH' }],
  flags: [],
  example: 'remy clone copy.db --db app.db',
  run: async ({ open, args: [path], signal }) => (await open()).clone(path, { signal }),
  show: ({ path, bytes, method, duration_ms }) => [`Cloned live to ${path} [${size(bytes)}, ${method}] in ${took(duration_ms)}`],
};
