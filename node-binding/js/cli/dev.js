// @ts-check
// Databases of dev sessions: copies of live that may be written to.
import { options } from './flags.js';
import { called } from './name.js';
import { size, table, time } from './show.js';

/** @typedef {import('../index.js').Dev} Dev */

/**
 * @param {string} name
 * @param {'devStart' | 'devReset' | 'devTruncate' | 'devStop'} verb
 * @param {string} summary
 * @param {(dev: Dev) => string} told
 * @param {string[]} [flags]
 * @returns {import('./commands.js').Command}
 */
function session(name, verb, summary, told, flags = []) {
  return {
    name: `dev ${name}`,
    summary,
    args: [{ name: 'NAME' }],
    flags,
    example: `remy dev ${name} alice --db app.db`,
    run: async ({ open, args: [name], values, signal }) => (await open())[verb](name, { ...options(values), signal }),
    show: (dev) => [told(dev)],
  };
}

export const start = session('start', 'devStart', 'take a copy of live to work on', ({ name, path, bytes }) => `${name}: ${path} [${size(bytes)}]`);
export const reset = session('reset', 'devReset', 'make a copy equal to live again', ({ name, path }) => `${name} is as live is: ${path}`);
export const truncate = session('truncate', 'devTruncate', 'empty every table of a copy', ({ name, path }) => `${name} is empty: ${path}`, ['extension', 'lock-timeout-ms']);
export const stop = session('stop', 'devStop', 'remove a copy', ({ name }) => `${name} is stopped, its database removed`);

/** @type {import('./commands.js').Command} */
export const list = {
  name: 'dev list',
  summary: 'list the copies',
  args: [],
  flags: [],
  example: 'remy dev list --db app.db',
  run: async ({ open, signal }) => (await open()).devList({ signal }),
  show(/** @type {Dev[]} */ devs) {
    if (!devs.length) return [`No dev session: ${called} dev start NAME takes one`];
    const rows = devs.map(({ name, status, release, created_at, bytes, path }) => [name, status, release, time(created_at), size(bytes), path]);
    return table(['NAME', 'STATUS', { title: 'RELEASE', right: true }, 'STARTED', { title: 'SIZE', right: true }, 'PATH'], rows);
  },
};
