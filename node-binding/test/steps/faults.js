// @ts-check
// What is wrong with an app, as remy says it.
import { now } from './step.js';

export { AppError } from '../../js/error.js';

/** @typedef {import('../../js/index.js').Fault} Fault */

/**
 * A fault as people read it: `file:line:column: /pointer: message`, as far as that is known, above the line of the source.
 *
 * @param {Fault} fault
 * @returns {string}
 */
export function line(fault) {
  return now('faultLine', fault);
}
