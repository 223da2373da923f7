// Which rows a predicate means: as a filter that the database runs, where the build made a plan of it, or by calling it on each row.
//
// A bundle hands each arrow that the build has a plan for to `planned` of the host, with the plan and a function that gives the
// values that the arrow closes over. A plan is `[format, tree]`; a tree is a filter of the parent's, in which values are
//
//   { at: number } (of what the arrow closes over) · { bound: ['a', 'b'] } (of the bindings, `$.a.b`)
//
// A plan may only be taken where it means what the arrow means, which depends on the values: `o.total > x` is one thing where x is a number,
// and another where it is a text. Whatever is not sure is filtered in JavaScript.

import { toStored } from './values.mjs';

/** @typedef {import('./values.mjs').Columns} Columns */
/** @typedef {import('./values.mjs').Logical} Logical */
/** @typedef {(row: any, bindings?: any) => unknown} Predicate */

/** The plans that this runtime understands. */
const FORMAT = 1;

/** @type {WeakMap<Function, { plan: any, values: () => unknown[] }>} */
const plans = new WeakMap();

/** Thrown where a plan does not mean what its arrow means. */
class InJavaScript extends Error {}

/**
 * Keeps the plan of an arrow. Gives the arrow, as it is: what else it is passed to has to see no difference.
 * @param {Function} arrow
 * @param {any} plan
 * @param {() => unknown[]} values
 */
export function planned(arrow, plan, values) {
  plans.set(arrow, { plan, values });
  return arrow;
}

/** What a column of a type holds, as `typeof` says it. What a `json` column holds is not one thing. */
const HOLDS = {
  text: 'string',
  number: 'number',
  boolean: 'boolean',
  user: 'string',
  json: '',
};

/**
 * The filter of a predicate, or nothing where it has to be called.
 * @param {Predicate} predicate
 * @param {any} bindings
 * @param {Columns} columns
 * @returns {Filter | null}
 */
export function filterOf(predicate, bindings, columns) {
  const found = plans.get(predicate);
  if (!found || found.plan[0] !== FORMAT) return null;
  try {
    return new Filling(columns, found.values(), bindings).filter(found.plan[1]);
  } catch {
    // The values themselves may throw (`input.a.b` without an `a`): then the arrow says so, where there is a row to call it on.
    return null;
  }
}

/** @typedef {object | 'all'} Filter as the parent takes it */

/** No row. */
const NONE = { not: 'all' };

/**
 * @param {Filter} filter
 * @returns {Filter}
 */
const not = (filter) => (filter === 'all' ? NONE : filter === NONE ? 'all' : { not: filter });

class Filling {
  /**
   * @param {Columns} columns
   * @param {unknown[]} closed
   * @param {any} bindings
   */
  constructor(columns, closed, bindings) {
    this.columns = columns;
    this.closed = closed;
    this.bindings = bindings;
  }

  /**
   * @param {any} tree
   * @returns {Filter}
   */
  filter(tree) {
    const [[kind, of]] = Object.entries(tree);
    switch (kind) {
      case 'and':
        return this.both(of, NONE);
      case 'or':
        return this.both(of, 'all', 'or');
      case 'not':
        return not(this.filter(of));
      case 'constant':
        return this.value(of, true) ? 'all' : NONE;
      case 'if':
        return this.filter(this.value(of[0], true) ? of[1] : of[2]);
      case 'equal':
        return this.equal(of[0], this.value(of[1]));
      case 'missing':
        this.logical(of);
        return { equal: [of, null] };
      case 'compare':
        return this.compare(of[0], of[1], this.value(of[2]));
      case 'truthy':
        this.logical(of);
        return { truthy: of };
      case 'in':
        return this.in(of[0], this.value(of[1]));
      case 'text':
        return this.text(of[0], of[1], this.value(of[2]));
      case 'same':
        if (this.logical(of[0]) !== this.logical(of[1])) throw new InJavaScript();
        return { same: of };
      default:
        throw new InJavaScript();
    }
  }

  /**
   * As JavaScript does: what stands first may decide, and what stands behind it is not looked at then, as in `!status || o.status === status`.
   * @param {any[]} parts
   * @param {Filter} decides
   * @param {'and' | 'or'} [kind]
   * @returns {Filter}
   */
  both(parts, decides, kind = 'and') {
    const first = this.filter(parts[0]);
    if (first === decides) return decides;
    const second = this.filter(parts[1]);
    return first === 'all' || first === NONE ? second : { [kind]: [first, second] };
  }

  /**
   * @param {any} place
   * @param {boolean} [missing] whether it may be missing
   * @returns {any}
   */
  value(place, missing = false) {
    const value =
      'at' in place
        ? this.closed[place.at]
        : place.bound.reduce(
            (/** @type {any} */ of, /** @type {string} */ name) => of[name],
            this.bindings,
          );
    // A binding that is not there.
    if (value === undefined && !missing) throw new InJavaScript();
    return value;
  }

  /**
   * The type of a column whose values are of one kind.
   * @param {string} column
   * @returns {Logical}
   */
  logical(column) {
    const logical = Object.hasOwn(this.columns, column) ? this.columns[column] : undefined;
    if (!logical || logical === 'json') throw new InJavaScript();
    return logical;
  }

  /**
   * @param {string} column
   * @param {unknown} value
   */
  stored(column, value) {
    const logical = this.logical(column);
    const fits =
      typeof value === HOLDS[logical] && (typeof value !== 'number' || Number.isFinite(value));
    if (!fits) throw new InJavaScript();
    return toStored(value, logical);
  }

  /**
   * @param {string} column
   * @param {unknown} value
   */
  equal(column, value) {
    this.logical(column);
    return {
      equal: [column, value === null ? null : this.stored(column, value)],
    };
  }

  /**
   * @param {string} column
   * @param {string} how
   * @param {unknown} value
   */
  compare(column, how, value) {
    const logical = this.logical(column);
    // A user's id is stored behind a mark. Beside a text that is a number, JavaScript takes what is missing for 0.
    const plain =
      logical === 'number' ||
      (logical === 'text' && typeof value === 'string' && Number.isNaN(Number(value)));
    if (!plain) throw new InJavaScript();
    return { compare: [column, how, this.stored(column, value)] };
  }

  /**
   * @param {string} column
   * @param {unknown} values
   */
  in(column, values) {
    if (!Array.isArray(values) && !(values instanceof Set)) throw new InJavaScript();
    const all = [...values].map((value) => (value === null ? null : this.stored(column, value)));
    return { in: [column, all] };
  }

  /**
   * @param {string} column
   * @param {string} place
   * @param {unknown} text
   */
  text(column, place, text) {
    if (this.logical(column) !== 'text' || typeof text !== 'string') throw new InJavaScript();
    return { text: [column, place, text] };
  }
}

/**
 * The column that an accessor reads, where it does nothing else: `o => o.name`. The text of a function is what it does.
 * @param {Function} accessor
 * @param {Columns} columns
 * @returns {string | null}
 */
export function columnOf(accessor, columns) {
  const found =
    /^\(?\s*([\w$]+)\s*\)?\s*=>\s*\1\s*(?:\.\s*([\w$]+)|\[\s*(?:"([\w$ -]+)"|'([\w$ -]+)')\s*\])\s*$/.exec(
      Function.prototype.toString.call(accessor),
    );
  const name = found && (found[2] ?? found[3] ?? found[4]);
  return name && Object.hasOwn(columns, name) ? name : null;
}
