// @ts-check
import { size } from './show.js';

/** @type {import('./commands.js').Command} */
export default {
  name: 'build',
  summary: 'build the app without a database; -o keeps it as a package for `remy publish`',
  args: [],
  flags: ['out', 'commit', 'app'],
  placeless: true,
  example: 'remy build -o app.tar',
  follows: true,
  run: async ({ open, values: { out, commit }, signal, onProgress }) => (await open()).build({ out, commit, signal, onProgress }),
  // Its warnings were shown as lines.
  show: ({ package: file, bytes }) => [file === null ? 'It builds' : `Packed ${file} [${size(bytes)}]`],
};
