// @ts-check
// Errors of the JavaScript side, worded and shaped as core's.
import { RemyError } from '../index.js';

/**
 * A refusal: what happened, what state things are in, what to do next.
 * @param {import('../index.js').Code} code
 * @param {string} what
 * @param {string} hint
 * @param {{ object?: string | null, state?: string }} [more]
 */
export function refusal(code, what, hint, { object = null, state = 'Nothing was done' } = {}) {
  return new RemyError({ code, message: `${what}. ${state}. ${hint}`, hint, object });
}

/**
 * Any error as one of the contract's: those of the system are `io`, what nobody expected is `internal`.
 * @param {unknown} error
 * @returns {unknown}
 */
export function known(error) {
  if (error instanceof RemyError || !(error instanceof Error) || error.name === 'AbortError') return error;
  const system = /** @type {NodeJS.ErrnoException} */ (error);
  if (system.syscall === undefined) return error;
  // Of the verbs on a database core itself tells.
  const isFull = system.code === 'ENOSPC' || system.code === 'EDQUOT';
  const hint = isFull ? 'Free some space, or prune old releases, and try again' : null;
  const message = [system.message, 'The database is as it was', ...(hint ? [hint] : [])].join('. ');
  return new RemyError({ code: 'io', message, hint, object: system.path ?? null });
}
