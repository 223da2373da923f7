// @ts-check
// Every command. Only those that are asked for are loaded: most runs are of one.

/**
 * @typedef {object} Context
 * @property {() => Promise<import('../index.js').App>} open the folder that the command is about
 * @property {any[]} args
 * @property {Record<string, any>} values the flags
 * @property {AbortSignal} signal
 * @property {(line: import('../index.js').ProgressLine) => void} [onProgress] of a command that follows
 */

/**
 * @typedef {object} Command
 * @property {string} name
 * @property {string} summary
 * @property {import('./usage.js').Argument[]} args
 * @property {string[]} flags beside those that every command has
 * @property {boolean} [placeless] whether it is about no database
 * @property {Record<string, string>} [notes] what a flag means here
 * @property {string} example
 * @property {boolean | 'terminal'} [follows] whether it shows its log at work; on a terminal only
 * @property {(context: Context) => unknown} run gives what --json shows
 * @property {(result: any, context: Context) => string[] | Buffer} show the same, for people
 * @property {(result: any) => boolean} [ok] whether what was found is as it should be
 */

/** Their names, in the order of --help. The first word is the file of a command; the second, where there is one, its export there. */
export const names = [
  'init', 'diff', 'publish', 'stage', 'promote', 'rollback', 'releases', 'log', 'status', 'verify', 'prune', 'files', 'checkout', 'build',
  'clone', 'dev start', 'dev reset', 'dev truncate', 'dev stop', 'dev list', 'detach', 'debug',
];

/**
 * @param {string} name one of `names`
 * @returns {Promise<Command>}
 */
export async function load(name) {
  const [file, exported = 'default'] = name.split(' ');
  return (await import(`./${file}.js`))[exported];
}
