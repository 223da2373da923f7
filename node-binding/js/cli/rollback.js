// @ts-check
import { ask, somebody } from './ask.js';
import { options, SWITCH } from './flags.js';
import { difference, outcome, takesAway } from './outcome.js';
import { oneLine } from './show.js';
import { RELEASE } from './usage.js';

/** @type {import('./commands.js').Command} */
export default {
  name: 'rollback',
  summary: 'make an earlier release live again: the one before, or the one named',
  args: [{ ...RELEASE, optional: true }],
  flags: ['yes', ...SWITCH],
  notes: { 'dry-run': 'show what would go and come back, change nothing' },
  example: 'remy rollback --dry-run --db app.db',
  follows: true,
  async run({ open, args: [release], values, signal, onProgress }) {
    const app = await open();
    const given = options(values);
    // A script has nobody to ask, and a rollback that waits for an answer helps nobody: it says afterwards what went.
    if (somebody() && !values.yes && !values.json && !values['dry-run']) {
      const dry = await app.rollback(release, { ...given, dry_run: true, signal });
      if (takesAway(dry)) {
        process.stderr.write(difference(dry).map((line) => `${oneLine(line)}\n`).join(''));
        await ask(`Bring back release ${dry.restored_from}? What goes stays in the snapshot of release ${dry.previous}.`, signal);
      }
    }
    return app.rollback(release, { ...given, signal, onProgress });
  },
  show: outcome,
};
