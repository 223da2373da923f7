// @ts-check
// Checks of JSON values that report what is wrong, and where. A check goes on after a fault, so that all of them are told at once.
import { below } from './json.js';

/**
 * Where a value comes from, and what is known of the app there.
 *
 * @typedef {object} Scope
 * @property {string} root the app's folder
 * @property {string} file the file that the value is in, relative to the root
 * @property {import('./faults.js').Faults} faults
 * @property {string} dir the folder that file references are relative to
 * @property {Record<string, string>} files what the files say that were referred to, by pointer
 * @property {Map<string, string> | null} methods the declared methods' ids and exports; null where they cannot be told
 * @property {Set<string>} described the ids of those methods that have a description
 * @property {Set<string> | null} roles the declared roles' ids
 */

/**
 * Reports what is wrong with a value, and gives whether nothing was.
 *
 * @typedef {(at: At) => boolean} Check
 */

/** A value, and where it stands. */
export class At {
  /**
   * @param {Scope} scope
   * @param {any} value
   * @param {string} pointer
   */
  constructor(scope, value, pointer) {
    this.scope = scope;
    this.value = value;
    this.pointer = pointer;
  }

  /**
   * What stands below `key`.
   *
   * @param {string | number} key
   */
  at(key) {
    return new At(this.scope, this.value?.[key], below(this.pointer, key));
  }

  /** The entries of a list; none of what is no list. */
  each() {
    return Array.isArray(this.value) ? this.value.map((_, i) => this.at(i)) : [];
  }

  /**
   * @param {string} message
   * @returns {false}
   */
  fault(message) {
    this.scope.faults.add({ file: this.scope.file, pointer: this.pointer, message });
    return false;
  }

  /** @param {string} message */
  warn(message) {
    this.scope.faults.warn({ file: this.scope.file, pointer: this.pointer, message });
  }
}

/**
 * What kind of value it is, in words. Never the value itself, which may be a secret.
 *
 * @param {unknown} value
 */
function kind(value) {
  if (value === undefined) return 'nothing';
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  return { string: 'a text', number: 'a number', boolean: String(value) }[typeof value + ''] ?? 'an object';
}

/**
 * @param {string} what
 * @param {(value: any) => boolean} fits
 * @returns {Check}
 */
export function is(what, fits) {
  return (at) => fits(at.value) || at.fault(`has to be ${what}, but is ${kind(at.value)}`);
}

/** @param {unknown} value */
export const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);
/** @param {unknown} value */
const isText = (value) => typeof value === 'string';

export const text = is('a text', isText);
export const flag = is('true or false', (value) => typeof value === 'boolean');
export const object = is('an object', isObject);
/** @type {Check} */
export const anything = () => true;

/**
 * A text that says something.
 *
 * @type {Check}
 */
export const filled = (at) => text(at) && (at.value.trim() !== '' || at.fault('is empty'));

/**
 * @param {number} least
 * @param {number} [greatest]
 * @returns {Check}
 */
export function whole(least, greatest = Number.MAX_SAFE_INTEGER) {
  const range = greatest === Number.MAX_SAFE_INTEGER ? `${least} or more` : `${least} to ${greatest}`;
  return both(is('a number', (value) => typeof value === 'number'), (at) => {
    const fits = Number.isSafeInteger(at.value) && at.value >= least && at.value <= greatest;
    return fits || at.fault(`has to be a whole number, ${range}, but is ${at.value}`);
  });
}

/**
 * @param {string[]} names
 * @returns {Check}
 */
export function oneOf(...names) {
  const known = or(names.map((name) => `"${name}"`));
  return both(text, (at) => names.includes(at.value) || at.fault(`has to be ${known}, but is "${at.value}"`));
}

/**
 * @param {RegExp} pattern
 * @param {string} rule
 * @returns {Check}
 */
export function matching(pattern, rule) {
  return both(filled, (at) => pattern.test(at.value) || at.fault(`"${at.value}" ${rule}`));
}

/** An id. The same rule as core's. */
export const kebab = matching(/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/, 'is not kebab-case, as in "shop-owner"');

/**
 * The second only where the first found nothing.
 *
 * @param {Check} first
 * @param {Check} second
 * @returns {Check}
 */
export function both(first, second) {
  return (at) => first(at) && second(at);
}

/**
 * All of them, whatever the others found. They have to bear a value of any shape.
 *
 * @param {Check[]} checks
 * @returns {Check}
 */
export function all(...checks) {
  return (at) => checks.map((check) => check(at)).every(Boolean);
}

/**
 * A list of what `item` takes.
 *
 * @param {Check} item
 * @param {{ least?: number, most?: number }} [size]
 * @returns {Check}
 */
export function list(item, { least = 0, most = Infinity } = {}) {
  return both(is('a list', Array.isArray), (at) => {
    const good = at.each().map(item).every(Boolean);
    if (at.value.length < least) return at.fault(`has to hold at least ${least}`);
    if (at.value.length > most) return at.fault(`holds ${at.value.length}, and at most ${most} are allowed`);
    return good;
  });
}

/**
 * An object whose keys are the author's.
 *
 * @param {Check} item
 * @returns {Check}
 */
export const map = (item) => both(object, (at) => Object.keys(at.value).map((key) => item(at.at(key))).every(Boolean));

/**
 * An object with these fields. A name with `?` behind it may be missing, or null. What else is there is kept, with a warning.
 *
 * @param {Record<string, Check>} fields
 * @returns {Check}
 */
export function shape(fields) {
  const checks = Object.entries(fields).map(([name, check]) => ({ key: name.replace('?', ''), optional: name.endsWith('?'), check }));
  const known = names(fields);
  return both(object, (at) => {
    for (const key of Object.keys(at.value).filter((key) => !known.includes(key))) {
      at.at(key).warn(`is not known here, and kept as it is; ${and(known)} ${known.length === 1 ? 'is' : 'are'} known`);
    }
    return checks.map(({ key, optional, check }) => {
      const found = at.at(key);
      if (optional && !isGiven(found.value)) return true;
      return found.value === undefined ? found.fault('is missing') : check(found);
    }).every(Boolean);
  });
}

/**
 * The names of the fields of a shape.
 *
 * @param {Record<string, Check>} fields
 */
export const names = (fields) => Object.keys(fields).map((name) => name.replace('?', '')).filter((name) => name !== '$schema');

/**
 * No two entries of a list may give the same key. `what` names the key, and `secret` ones are not shown.
 *
 * @param {string} field the field that a fault is reported at; '' for the entry
 * @param {string} what
 * @param {{ key?: (entry: any) => string | undefined, secret?: boolean, note?: string }} [options]
 * @returns {Check}
 */
export function distinct(field, what, { key = (entry) => entry?.[field], secret = false, note = '' } = {}) {
  return (at) => {
    /** @type {Map<string, string>} */
    const seen = new Map();
    return at.each().map((entry) => {
      const value = key(entry.value);
      if (typeof value !== 'string') return true;
      const first = seen.get(value);
      if (first === undefined) seen.set(value, entry.pointer);
      const shown = secret ? '' : ` "${value}"`;
      return first === undefined || (field ? entry.at(field) : entry).fault(`has the ${what}${shown} of ${first}${note}`);
    }).every(Boolean);
  };
}

/** @param {string[]} words */
export const and = (words) => joined(words, 'and');
/** @param {string[]} words */
export const or = (words) => joined(words, 'or');

/**
 * @param {string[]} words
 * @param {string} last
 */
function joined(words, last) {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} ${last} ${words.at(-1)}`;
}

/** @param {unknown} value */
export const isGiven = (value) => value !== undefined && value !== null;

/**
 * The fields that have a value.
 *
 * @param {Record<string, any>} fields
 * @returns {any}
 */
export function given(fields) {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => isGiven(value)));
}
