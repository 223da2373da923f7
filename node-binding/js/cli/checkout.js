// @ts-check
import { count } from './show.js';
import { RELEASE } from './usage.js';

/** @type {import('./commands.js').Command} */
export default {
  name: 'checkout',
  summary: 'write the files of a release into a folder that is empty or not there',
  args: [RELEASE, { name: 'DIR' }],
  flags: [],
  example: 'remy checkout 3 ../release-3',
  run: async ({ open, args: [release, dir], signal }) => (await open()).checkout(release, dir, { signal }),
  show: ({ release, dir, files }) => [`Wrote ${count(files, 'file')} of release ${release} to ${dir}`],
};
