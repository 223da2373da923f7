// @ts-check
import { options, SWITCH } from './flags.js';
import { outcome } from './outcome.js';
import { RELEASE } from './usage.js';

/** @type {import('./commands.js').Command} */
export default {
  name: 'rollback',
  summary: 'make an earlier release live again: the one before, or the one named',
  args: [{ ...RELEASE, optional: true }],
  flags: SWITCH,
  notes: { 'dry-run': 'show what would be set aside, change nothing' },
  example: 'remy rollback --dry-run --db app.db',
  follows: true,
  run: async ({ open, args: [release], values, signal, onProgress }) => (await open()).rollback(release, { ...options(values), signal, onProgress }),
  show: outcome,
};
