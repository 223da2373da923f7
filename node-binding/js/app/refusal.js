// @ts-check
// Errors of the JavaScript side, worded and shaped as core's.
import { RemyError } from '../index.js';
import { worded } from '../remedy.js';

/** @typedef {import('../index.js').RemedyPart} RemedyPart */

/**
 * A refusal: what happened, what state things are in, what to do next.
 * @param {import('../index.js').Code} code
 * @param {string} what
 * @param {string | readonly RemedyPart[]} what_to_do
 * @param {{ object?: string | null, state?: string }} [more]
 */
export function refusal(code, what, what_to_do, { object = null, state = 'Nothing was done' } = {}) {
  const remedy = typeof what_to_do === 'string' ? [what_to_do] : what_to_do;
  const hint = worded(remedy);
  return new RemyError({ code, message: `${what}. ${state}. ${hint}`, hint, remedy, object });
}

/**
 * What a call of the system does, reading on to a path.
 * @type {Record<string, string>}
 */
const DOING = {
  access: 'looking at', chmod: 'setting the mode of', copyfile: 'copying', cp: 'copying', link: 'linking', lstat: 'looking at', mkdir: 'making the folder',
  mkdtemp: 'making the folder', open: 'opening', opendir: 'listing', read: 'reading', readlink: 'reading', realpath: 'looking for', rename: 'moving',
  rm: 'removing', rmdir: 'removing', scandir: 'listing', stat: 'looking at', symlink: 'linking', unlink: 'removing', utime: 'setting the time of', write: 'writing',
};

const SPACE = 'Free some space, or prune old releases, and try again';
const RIGHT = 'Give this user the right to do that, or use another path';
const PATH = 'Check that path';
/**
 * What to do, by the code of an error of the system.
 * @type {Record<string, string>}
 */
const HINTS = {
  EACCES: RIGHT, EPERM: RIGHT, EROFS: RIGHT, ENOSPC: SPACE, EDQUOT: SPACE, EMFILE: 'Raise the limit of open files (ulimit -n)',
  ENOENT: PATH, ENOTDIR: PATH, EISDIR: PATH, EEXIST: PATH, ELOOP: PATH, ENAMETOOLONG: PATH,
};

/**
 * Why a call of the system failed: `permission denied (EACCES)`.
 * @param {unknown} error
 */
function reason(error) {
  const { message, code } = /** @type {NodeJS.ErrnoException} */ (error);
  const [, words] = /^[A-Z]\w+: (.+?)(?:, \w+.*)?$/s.exec(message) ?? [];
  return words ? `${words} (${code})` : message;
}

/**
 * Any error as one of the contract's: those of the system are `io`, what nobody expected is `internal`.
 * @param {unknown} error
 * @param {string} [state] that things are in now
 * @returns {unknown}
 */
export function known(error, state = 'The database is as it was') {
  if (error instanceof RemyError || !(error instanceof Error) || error.name === 'AbortError') return error;
  // Of the verbs on a database core itself tells.
  const { syscall, code, path = null } = /** @type {NodeJS.ErrnoException} */ (error);
  if (syscall === undefined) return error;
  const doing = syscall.startsWith('spawn') ? 'starting' : (DOING[syscall] ?? `${syscall} of`);
  const hint = HINTS[code ?? ''] ?? null;
  const message = [`${doing} ${path ?? 'a file'}: ${reason(error)}`, state, ...(hint ? [hint] : [])].join('. ');
  return new RemyError({ code: 'io', message, hint, object: path });
}
