// @ts-check
import { called } from './name.js';
import { commit, size, table, time } from './show.js';

/** @type {import('./commands.js').Command} */
export default {
  name: 'releases',
  summary: 'list the releases, newest first',
  args: [],
  flags: [],
  example: 'remy releases --db app.db --json',
  run: async ({ open, signal }) => (await open()).releases({ signal }),
  show(/** @type {import('../index.js').Release[]} */ releases) {
    if (!releases.length) return [`No release yet: ${called} publish makes the first`];
    const columns = [{ title: 'RELEASE', right: true }, 'STATUS', 'MADE', 'LABEL', 'COMMIT', { title: 'BRINGS BACK', right: true }, 'DATABASE'];
    return table(columns, releases.map((release) => [
      release.release, release.status, time(release.created_at), release.label, release.commit && commit(release.commit), release.restored_from, database(release),
    ]));
  },
};

/** @param {import('../index.js').Release} release */
function database({ pruned_at, database, database_bytes }) {
  if (pruned_at !== null) return 'pruned';
  // Of a preview nobody keeps the size: it changes while it is tried.
  return database && database_bytes !== null ? `${database} [${size(database_bytes)}]` : database;
}
