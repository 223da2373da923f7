// What is computed over rows: by the database where it can, else over the rows that were read. Both leave NULLs out.

import { invalid } from './error.mjs';

/** @typedef {import('./values.mjs').Columns} Columns */
/** @typedef {{ name: string, how: 'count' | 'sum' | 'avg' | 'min' | 'max' | 'countDistinct', column?: string }} Measure */
/** @typedef {{ by: string[], select: Measure[], order: { column: string, descending: boolean } | null, limit: number | null, grouped: boolean }} Aggregation */

const MEASURES = ['count', 'sum', 'avg', 'min', 'max', 'countDistinct'];

/**
 * Reads what `aggregate` was given.
 * @param {any} spec
 * @param {Columns} columns
 * @returns {Aggregation}
 */
export function readAggregation(spec, columns) {
  const wrong = (/** @type {string} */ message) =>
    invalid('invalid_aggregate_spec', `aggregate: ${message}`);
  if (!spec || typeof spec !== 'object' || !spec.select || typeof spec.select !== 'object')
    throw wrong('`select` names what is computed, as in { total: { sum: "amount" } }');
  const column = (/** @type {any} */ name) => {
    if (typeof name === 'string' && Object.hasOwn(columns, name)) return name;
    throw invalid('invalid_column', `aggregate: there is no column ${JSON.stringify(name)}`);
  };
  const by = (spec.by ?? []).map(column);
  const select = Object.entries(spec.select).map(([name, measure]) => {
    if (by.includes(name))
      throw invalid('invalid_aggregate_alias', `aggregate: ${name} is a column of \`by\` already`);
    return { name, ...readMeasure(name, measure, column, wrong) };
  });
  if (select.length === 0) throw wrong('`select` is empty');
  const { orderBy, desc = false, limit = null } = spec;
  if (
    orderBy !== undefined &&
    !by.includes(orderBy) &&
    !select.some(({ name }) => name === orderBy)
  )
    throw invalid(
      'invalid_aggregate_order',
      `aggregate: orderBy names a column of \`by\` or a name of \`select\`, and ${JSON.stringify(orderBy)} is none`,
    );
  if (limit !== null && !(Number.isSafeInteger(limit) && limit >= 0))
    throw wrong('`limit` is a number of groups');
  const order = orderBy === undefined ? null : { column: orderBy, descending: Boolean(desc) };
  return { by, select, order, limit, grouped: spec.by !== undefined };
}

/**
 * @param {string} name
 * @param {any} measure
 * @param {(name: any) => string} column
 * @param {(message: string) => Error} wrong
 * @returns {Omit<Measure, 'name'>}
 */
function readMeasure(name, measure, column, wrong) {
  const entries = measure && typeof measure === 'object' ? Object.entries(measure) : [];
  const [how, of] = entries.length === 1 ? entries[0] : ['', null];
  if (!MEASURES.includes(how))
    throw wrong(
      `${name} is one of { count: true } and { sum | avg | min | max | countDistinct: column }`,
    );
  if (how !== 'count') return { how: /** @type {any} */ (how), column: column(of) };
  if (of !== true) throw wrong(`${name}: count takes true`);
  return { how };
}

/**
 * As the parent takes it.
 * @param {Aggregation} aggregation
 */
export const aggregateStep = ({ by, select, order, limit }) => ({
  by,
  select: select.map(({ name, how, column }) => [name, how === 'count' ? how : { [how]: column }]),
  order,
  limit,
});

/**
 * Computes it over rows.
 * @param {Aggregation} aggregation
 * @param {any[]} rows
 */
export function aggregateRows({ by, select, order, limit, grouped }, rows) {
  /** @type {Map<string, any[]>} */
  const groups = grouped ? new Map() : new Map([['', rows]]);
  if (grouped)
    for (const row of rows) {
      const key = JSON.stringify(by.map((column) => row[column]));
      const group = groups.get(key);
      if (group) group.push(row);
      else groups.set(key, [row]);
    }
  const all = [...groups.values()].map((group) =>
    Object.fromEntries([
      ...by.map((column) => [column, group[0][column]]),
      ...select.map(({ name, how, column }) => [
        name,
        how === 'count'
          ? group.length
          : measure(
              how,
              group.map((row) => row[column ?? '']),
            ),
      ]),
    ]),
  );
  if (order) all.sort(comparing((row) => row[order.column], order.descending));
  return limit === null ? all : all.slice(0, limit);
}

/**
 * @param {string} how
 * @param {any[]} given
 */
export function measure(how, given) {
  const values = given.filter((value) => value !== null && value !== undefined);
  const sum = () => values.reduce((total, value) => total + Number(value), 0);
  switch (how) {
    case 'sum':
      return sum();
    case 'avg':
      return values.length > 0 ? sum() / values.length : null;
    case 'countDistinct':
      return new Set(
        values.map((value) => (typeof value === 'object' ? JSON.stringify(value) : value)),
      ).size;
    default: {
      const sign = how === 'min' ? -1 : 1;
      return values.reduce(
        (best, value) => (best === null || compare(value, best) * sign > 0 ? value : best),
        null,
      );
    }
  }
}

/** What SQLite sorts first: nothing, numbers, text. */
const rank = (/** @type {any} */ value) =>
  value === null || value === undefined
    ? 0
    : typeof value === 'number' || typeof value === 'boolean'
      ? 1
      : 2;

/**
 * Compares as SQLite does.
 * @param {any} a
 * @param {any} b
 */
export function compare(a, b) {
  if (rank(a) !== rank(b)) return rank(a) - rank(b);
  const [x, y] = [a, b].map((value) => (value instanceof Object ? JSON.stringify(value) : value));
  return x < y ? -1 : x > y ? 1 : 0;
}

/**
 * @param {(row: any) => any} accessor
 * @param {boolean} descending
 * @returns {(a: any, b: any) => number}
 */
export const comparing = (accessor, descending) => (a, b) =>
  compare(accessor(a), accessor(b)) * (descending ? -1 : 1);
