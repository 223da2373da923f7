// @ts-check
import { called } from './name.js';
import { commit, count, list, size, time } from './show.js';

/** @type {Record<import('../index.js').Status['live']['from'], string>} */
const FROM = { db: '--db', REMY_DB: 'REMY_DB', 'remy.json': 'remy.json', default: 'the default' };

/** @type {import('./commands.js').Command} */
export default {
  name: 'status',
  summary: 'show what is live, where, and what waits',
  args: [],
  flags: [],
  example: 'remy status --db app.db',
  run: async ({ open, signal }) => (await open()).status({ signal }),
  show(/** @type {import('../index.js').Status} */ { root, live, release, built, compiled, previews, dev, store, warnings }) {
    const of = release && [
      release.label && JSON.stringify(release.label), release.commit && `commit ${commit(release.commit)}`,
      release.restored_from && `as release ${release.restored_from} was`, `since ${time(release.live_at)}`,
    ];
    /** @type {[string, string | null][]} */
    const pairs = [
      ['app', root],
      ['live', `${live.path} (${FROM[live.from]})`],
      ['database', live.exists ? `${size(live.bytes)}, journal mode ${live.journal_mode}` : `not there yet: ${live.from === 'default' ? `the first ${called} publish` : `${called} publish --create`} makes it`],
      ['release', release && `${release.release}, ${of?.filter(Boolean).join(', ')}`],
      ['from', built],
      ...compiled.map((entry) => /** @type {[string, string]} */ (['waiting', `release ${entry.release}${entry.label ? `, ${JSON.stringify(entry.label)}` : ''}, compiled ${time(entry.created_at)}: ${called} promote ${entry.release}`])),
      ...previews.map(({ release, preview, database }) => /** @type {[string, string]} */ (['preview', `${preview}: ${store?.path}/${database}, of release ${release}: ${called} promote ${release}`])),
      ...dev.map(({ name, path }) => /** @type {[string, string]} */ (['dev', `${name}: ${path}`])),
      ['store', store && store.bytes > 0 ? `${store.path} [${size(store.bytes)}, ${count(store.snapshots, 'snapshot')}]` : null],
      ['free', store && size(store.free_bytes)],
    ];
    return [...list(pairs), ...warnings.map((warning) => `warning: ${warning}`)];
  },
};
