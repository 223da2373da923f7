// @ts-check
// What is wrong with an app, collected so that all of it is told at once.
import { RemyError } from '../error.js';
import { offsetOf } from './json.js';

/** @typedef {import('../index.js').Fault} Fault */
/** @typedef {'schema_invalid' | 'not_found' | 'build_failed'} AppCode */

const HINT = 'Correct what is named and try again';

/** What each code says of the app. */
const WHAT = {
  schema_invalid: 'the app is declared wrongly',
  not_found: 'a part of the app is missing',
  build_failed: 'the app does not build',
};

/** Why an app cannot be published: all of its faults, each a line of the message. */
export class AppError extends RemyError {
  name = 'AppError';

  /**
   * @param {{ code: AppCode, faults: Fault[], message?: string, hint?: string, output?: string }} error without a message, it is made
   *   of the faults; `output` is all that a program said which failed, for the log
   */
  constructor({ code, faults, message, hint = HINT, output }) {
    super({ code, message: message ?? summary(code, faults, hint), hint, object: faults[0]?.file ?? null });
    this.faults = faults;
    this.output = output;
  }
}

/** Collects faults, and warnings of what is odd but does no harm. */
export class Faults {
  /** @type {Fault[]} */
  list = [];
  /** @type {string[]} */
  warnings = [];
  /** @type {Map<string, string>} */
  #texts = new Map();

  /**
   * Notes the text of a JSON file, so that faults in it are told with their places.
   *
   * @param {string} file
   * @param {string} text
   */
  reads(file, text) {
    this.#texts.set(file, text);
  }

  /** @param {Fault} fault */
  add(fault) {
    const text = this.#texts.get(fault.file);
    if (text === undefined || fault.line !== undefined) return void this.list.push(fault);
    // The line itself is not told: it may hold a secret.
    const { line, column } = place(text, offsetOf(text, fault.pointer));
    this.list.push({ ...fault, line, column });
  }

  /** @param {Fault} fault */
  warn(fault) {
    this.warnings.push(line(fault));
  }

  /**
   * Throws all of them, if there are any.
   *
   * @param {AppCode} [code]
   */
  throwAny(code = 'schema_invalid') {
    if (this.list.length) throw new AppError({ code, faults: this.list });
  }
}

/**
 * Where `offset` is in `text`.
 *
 * @param {string} text
 * @param {number} offset
 */
export function place(text, offset) {
  const before = text.slice(0, offset);
  const start = before.lastIndexOf('\n') + 1;
  const end = text.indexOf('\n', start);
  const source = text.slice(start, end < 0 ? text.length : end).replace(/\r$/, '');
  return { line: before.split('\n').length, column: offset - start + 1, source };
}

/**
 * A fault as people read it: `file:line:column: /pointer: message`, as far as that is known, above the line of the source.
 *
 * @param {Fault} fault
 */
export function line({ file, pointer, message, line, column = 1, source }) {
  if (line === undefined) return `${file}${pointer && '#'}${pointer}: ${message}`;
  const found = `${file}:${line}:${column}: ${pointer && `${pointer}: `}${message}`;
  return source === undefined ? found : `${found}\n${caret(source, column)}`;
}

/**
 * The line with a caret below the column. Of a long line (a minified file is one), what is around it.
 *
 * @param {string} source
 * @param {number} column
 */
function caret(source, column) {
  const from = Math.max(0, column - 60);
  const left = `${from > 0 ? '…' : ''}${source.slice(from, column - 1)}`;
  const right = source.slice(column - 1, column + 40);
  const rest = source.length > column + 40 ? '…' : '';
  // A tab is as wide above as below.
  return `  ${left}${right}${rest}\n  ${left.replace(/[^\t]/g, ' ')}^`;
}

/**
 * @param {AppCode} code
 * @param {Fault[]} faults
 * @param {string} hint
 */
function summary(code, faults, hint) {
  const files = new Set(faults.map((fault) => fault.file)).size;
  const count = `${faults.length} fault${faults.length === 1 ? '' : 's'} in ${files} file${files === 1 ? '' : 's'}`;
  const lines = faults.map((fault) => `  ${line(fault).replaceAll('\n', '\n  ')}`);
  return [`${WHAT[code]}: ${count}. The database is as it was. ${hint}`, ...lines].join('\n');
}
