// @ts-check
// What is wrong with an app, collected so that all of it is told at once. What is said of it is the native addon's.
import { load } from '../addon.js';
import { RemyError } from '../error.js';

/** @typedef {import('../index.js').Fault} Fault */
/** @typedef {'schema_invalid' | 'not_found' | 'build_failed'} AppCode */
/** @typedef {{ file: string, pointer: string | null, line: number | null, column: number | null, source: string | null, message: string }} Told */

/** Why an app cannot be published: all of its faults, each a line of the message. */
export class AppError extends RemyError {
  name = 'AppError';

  /**
   * @param {{ code: AppCode, message: string, hint: string, object: string | null, faults: Told[] }} refused as the addon refuses an app
   * @param {string} [output] all that a program said which failed, for the log
   */
  constructor(refused, output) {
    super(refused);
    this.faults = refused.faults.map(fault);
    this.output = output;
  }
}

/**
 * An app that does not build, for these faults.
 *
 * @param {Fault[]} faults
 * @param {string} [output] all that a program said which failed, for the log
 */
export function doesNotBuild(faults, output) {
  return new AppError(JSON.parse(load().doesNotBuild(JSON.stringify(faults))), output);
}

/**
 * A fault as people read it: `file:line:column: /pointer: message`, as far as that is known, above the line of the source.
 *
 * @param {Fault} fault
 * @returns {string}
 */
export function line(fault) {
  return load().faultLine(JSON.stringify(fault));
}

/**
 * A fault as the addon has it, as the package has it.
 *
 * @param {Told} told
 * @returns {Fault}
 */
export function fault({ file, pointer, message, line, column, source }) {
  return { file, pointer: pointer ?? '', message, ...(line === null ? {} : { line, column: column ?? 1, ...(source === null ? {} : { source }) }) };
}
