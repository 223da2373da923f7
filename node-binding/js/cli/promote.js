// @ts-check
import { options, SWITCH } from './flags.js';
import { outcome } from './outcome.js';
import { RELEASE } from './usage.js';

/** @type {import('./commands.js').Command} */
export default {
  name: 'promote',
  summary: 'make a release live: the newest that is compiled, or any that has its database',
  args: [{ ...RELEASE, optional: true }],
  flags: ['allow', ...SWITCH],
  example: 'remy promote 3 --db app.db',
  follows: true,
  run: async ({ open, args: [release], values, signal, onProgress }) => (await open()).promote(release, { ...options(values), signal, onProgress }),
  show: outcome,
};
