// Values as methods see them, and as they are stored. Which one it is, is the logical type of the column that the release declares.

/** What stands before the id in a `user` column. */
const USER = '@@user@@';

/** @typedef {'text' | 'number' | 'boolean' | 'json' | 'user'} Logical */
/** @typedef {Record<string, Logical>} Columns */
/** @typedef {string | number | boolean | null | { $number: string } | { $blob: string }} Stored what JSON has no way to say has one of its own */

/** @param {string} text */
function parsed(text) {
  try {
    return { value: JSON.parse(text) };
  } catch {
    return null;
  }
}

/**
 * A value of a method's as it is stored in a column of this type.
 * @param {any} value
 * @param {Logical | undefined} logical
 * @returns {Stored}
 */
export function toStored(value, logical) {
  if (value === null || value === undefined) return null;
  if (value instanceof Date) return logical === 'number' ? value.getTime() : value.toISOString();
  switch (typeof value) {
    case 'boolean':
      return logical === 'json' ? JSON.stringify(value) : value;
    case 'bigint':
    case 'number':
      return number(Number(value));
    case 'string':
      if (logical === 'user') return userRef(value);
      // Text that is JSON would be read as what it says.
      return logical === 'json' && parsed(value) ? JSON.stringify(value) : value;
    default:
      return JSON.stringify(value) ?? null;
  }
}

/** @param {number} value */
function number(value) {
  if (Number.isNaN(value)) return null;
  return Number.isFinite(value) ? value : { $number: String(value) };
}

/** @param {string} id */
export const userRef = (id) => (id.startsWith(USER) ? id : USER + id);

/**
 * What is stored in a column of this type, as a method sees it.
 * @param {any} stored
 * @param {Logical | undefined} logical
 */
export function fromStored(stored, logical) {
  if (stored === null) return null;
  if (typeof stored === 'object') return fromObject(stored);
  switch (logical) {
    case 'boolean':
      return typeof stored === 'number' ? stored !== 0 : stored;
    case 'number':
      return typeof stored === 'string' && stored.trim() !== '' && Number.isFinite(Number(stored))
        ? Number(stored)
        : stored;
    case 'json': {
      const found = typeof stored === 'string' ? parsed(stored) : null;
      return found ? found.value : stored;
    }
    case 'user':
      return withoutMark(stored);
    default:
      return stored;
  }
}

/** @param {{ $number?: string, $blob?: string }} stored */
const fromObject = (stored) =>
  stored.$blob === undefined
    ? Number(stored.$number)
    : new Uint8Array(Buffer.from(stored.$blob, 'base64'));

/** @param {any} stored */
const withoutMark = (stored) =>
  typeof stored === 'string' && stored.startsWith(USER) ? stored.slice(USER.length) : stored;

/**
 * A value of a column that nothing is known of, as an SQL of the app's own returns them.
 * @param {any} stored
 */
export function fromUnknown(stored) {
  if (stored !== null && typeof stored === 'object') return fromObject(stored);
  const value = withoutMark(stored);
  if (typeof value !== 'string' || !/^[{[]/.test(value)) return value;
  const found = parsed(value);
  return found ? found.value : value;
}

/** @typedef {{ columns: string[], rows: Stored[][], changes: number }} Reply */

/**
 * The rows of a reply.
 * @param {Reply} reply
 * @param {Columns | null} columns nothing for those of an SQL of the app's own
 * @returns {any[]}
 */
export function rowsOf({ columns: names, rows }, columns) {
  const types = columns && names.map((name) => columns[name]);
  return rows.map((row) => {
    /** @type {Record<string, any>} */
    const made = {};
    for (const [i, name] of names.entries()) {
      const value = types ? fromStored(row[i], types[i]) : fromUnknown(row[i]);
      // A column may have this name as well.
      if (name === '__proto__')
        Object.defineProperty(made, name, {
          value,
          writable: true,
          enumerable: true,
          configurable: true,
        });
      else made[name] = value;
    }
    return made;
  });
}
