// @ts-check
// What callers give: looked at before anything is done, and refused by its name. What core reads of it, core judges.
import { RemyError } from './error.js';

/**
 * @param {string} message
 * @param {string} [hint]
 */
export function wrong(message, hint) {
  return new RemyError({ code: 'invalid_argument', message: [message, 'Nothing was done', ...(hint ? [hint] : [])].join('. '), hint });
}

/**
 * @param {unknown} value
 * @param {string} what
 */
export function text(value, what) {
  if (typeof value !== 'string') throw wrong(`the ${what} must be a string`);
  return value;
}

/**
 * @param {unknown} value
 * @param {string} what
 */
export function number(value, what) {
  if (value === undefined || value === null) return null;
  if (!Number.isSafeInteger(value)) throw wrong(`the ${what} must be a whole number`);
  return /** @type {number} */ (value);
}

/**
 * An object as JSON.
 * @param {unknown} value
 * @param {string} what
 */
export function json(value, what) {
  if (!isObject(value)) throw wrong(`the ${what} must be an object`);
  try {
    return JSON.stringify(value);
  } catch (error) {
    throw wrong(`the ${what} cannot be given as JSON: ${/** @type {Error} */ (error).message}`);
  }
}

/** @param {unknown} value */
function isObject(value) {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** @type {[string, (value: any) => boolean]} */
const STRING = ['a string', (value) => typeof value === 'string'];
/** @type {[string, (value: any) => boolean]} */
const SWITCH = ['true or false', (value) => typeof value === 'boolean'];
/** @type {[string, (value: any) => boolean]} */
const FUNCTION = ['a function', (value) => typeof value === 'function'];
/** @type {[string, (value: any) => boolean]} */
const WHOLE = ['a whole number from 1', (value) => Number.isSafeInteger(value) && value > 0];
/**
 * The options that are read on this side.
 * @type {Record<string, [string, (value: any) => boolean]>}
 */
const TAKES = {
  signal: ['an AbortSignal', (value) => typeof value?.throwIfAborted === 'function' && typeof value.addEventListener === 'function'],
  onProgress: FUNCTION,
  schema: STRING,
  out: STRING,
  commit: STRING,
  db: STRING,
  create: SWITCH,
  here: SWITCH,
  maxProcesses: WHOLE,
  release: WHOLE,
  as: ['a list of strings', (value) => Array.isArray(value) && value.every((role) => typeof role === 'string')],
  user: STRING,
  preview: STRING,
  dev: STRING,
  onOutput: FUNCTION,
  onStream: FUNCTION,
  sql: SWITCH,
};

/**
 * The options of `verb`, which has those of `keys`; without them, which it has is for core to say. One that is `undefined` is not given.
 * @template {object} T
 * @param {string} verb
 * @param {T | undefined} given
 * @param {string[]} [keys]
 * @returns {Partial<T>}
 */
export function options(verb, given, keys) {
  if (given === undefined) return {};
  if (!isObject(given)) throw wrong('the options must be an object');
  for (const [key, value] of Object.entries(given)) {
    if (value === undefined) continue;
    if (keys && !keys.includes(key)) throw wrong(`${verb} has no option ${key}`, `It has ${keys.join(', ')}`);
    const [what, is] = TAKES[key] ?? [];
    if (is && !is(value)) throw wrong(`the option ${key} of ${verb} must be ${what}`);
  }
  return given;
}
