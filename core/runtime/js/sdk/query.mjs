// Rows that are asked for. Each verb makes a new query; awaiting one reads. What the database can do it does; from the first thing on that
// it cannot (a predicate without a plan, an order by what is computed), the rest is done here, over the rows that it returned.

import { aggregateRows, aggregateStep, comparing, measure, readAggregation } from './aggregate.mjs';
import { Operation } from './operation.mjs';
import { columnOf, filterOf } from './predicate.mjs';
import { rowsOf } from './values.mjs';
import { invalid } from './error.mjs';

/** @typedef {import('./values.mjs').Columns} Columns */
/** @typedef {import('./values.mjs').Reply} Reply */
/** @typedef {import('./predicate.mjs').Predicate} Predicate */
/** @typedef {(row: any) => any} Accessor */

/**
 * A table, and how to reach it.
 * @typedef {{ table: string, columns: Columns, run: import('./operation.mjs').Run }} Source
 */

/**
 * @typedef {{ predicates: { predicate: Predicate, bindings: any }[], sort: Accessor | null, reversed: boolean, limit: number | null, offset: number }} Shape
 */

/** @type {Shape} */
const EVERYTHING = {
  predicates: [],
  sort: null,
  reversed: false,
  limit: null,
  offset: 0,
};

/**
 * What the parent reads of a shape, and what is left to do with its rows.
 * @param {Shape} shape
 * @param {Columns} columns
 */
function split(shape, columns) {
  /** @type {import('./predicate.mjs').Filter[]} */
  const filters = [];
  const left = [];
  for (const given of shape.predicates) {
    const filter = filterOf(given.predicate, given.bindings, columns);
    if (filter) filters.push(filter);
    else left.push(given);
  }
  const column = shape.sort && columnOf(shape.sort, columns);
  // Without an order there is nothing to turn around in the database. A `json` column is sorted by what it holds, not by its text.
  const sorted = shape.sort ? Boolean(column) && columns[column ?? ''] !== 'json' : !shape.reversed;
  const whole = left.length === 0 && sorted;
  const step = {
    op: 'select',
    filter: allOf(filters),
    order: column && sorted ? [{ column, descending: shape.reversed }] : [],
    limit: whole ? shape.limit : null,
    offset: whole ? shape.offset : 0,
  };
  return { step, left, sorted, whole };
}

/** @param {import('./predicate.mjs').Filter[]} filters */
const allOf = (filters) =>
  filters.length === 0 ? 'all' : filters.length === 1 ? filters[0] : { and: filters };

/**
 * @param {number} n
 * @param {string} verb
 */
function counted(n, verb) {
  if (Number.isSafeInteger(n) && n >= 0) return n;
  throw invalid('invalid_argument', `${verb}() takes a number of rows, not ${String(n)}`);
}

/** @extends {Operation<any[]>} */
export class Query extends Operation {
  /**
   * @param {Source} source
   * @param {Shape} [shape]
   */
  constructor(source, shape = EVERYTHING) {
    super(source.run, () => this.#read());
    this.source = source;
    this.shape = shape;
  }

  /** @returns {import('./operation.mjs').Steps<any[]>} */
  #read() {
    const { step, left, sorted, whole } = split(this.shape, this.source.columns);
    const { sort, reversed, offset, limit } = this.shape;
    const finish = (/** @type {Reply[]} */ [reply]) => {
      let rows = rowsOf(reply, this.source.columns);
      for (const { predicate, bindings } of left)
        rows = rows.filter((row) => predicate(row, bindings));
      if (!sorted && sort) rows.sort(comparing(sort, reversed));
      else if (!sorted) rows.reverse();
      return whole ? rows : rows.slice(offset, limit === null ? undefined : offset + limit);
    };
    return { steps: [{ ...step, table: this.source.table }], finish };
  }

  /** @param {Partial<Shape>} change */
  #with(change) {
    return new Query(this.source, { ...this.shape, ...change });
  }

  /**
   * @param {Predicate} predicate
   * @param {any} [bindings]
   */
  filter(predicate, bindings) {
    if (typeof predicate !== 'function')
      throw invalid(
        'invalid_argument',
        'filter() takes a function of a row, as in filter(row => row.open)',
      );
    return this.#with({
      predicates: [...this.shape.predicates, { predicate, bindings }],
    });
  }

  /** @param {Accessor} accessor */
  sortBy(accessor) {
    return this.#with({ sort: accessor });
  }

  reverse() {
    return this.#with({ reversed: !this.shape.reversed });
  }

  /** @param {number} n */
  take(n) {
    return this.#with({ limit: counted(n, 'take') });
  }

  /** @param {number} n */
  skip(n) {
    return this.#with({ offset: counted(n, 'skip') });
  }

  toArray() {
    return this.into((rows) => rows);
  }

  first() {
    const { limit } = this.shape;
    return this.#with({ limit: limit === null ? 1 : Math.min(limit, 1) }).into(
      (rows) => rows[0] ?? null,
    );
  }

  last() {
    const { limit, offset, sort, reversed } = this.shape;
    return limit === null && offset === 0 && sort
      ? this.#with({ reversed: !reversed }).first()
      : this.into((rows) => rows.at(-1) ?? null);
  }

  /**
   * @param {Predicate} predicate
   * @param {any} [bindings]
   */
  findOne(predicate, bindings) {
    return this.filter(predicate, bindings).first();
  }

  /**
   * @param {Predicate} [predicate]
   * @param {any} [bindings]
   * @returns {Operation<number>}
   */
  count(predicate, bindings) {
    const query = predicate ? this.filter(predicate, bindings) : this;
    return query.#computed(
      {
        by: [],
        select: [{ name: 'n', how: 'count' }],
        order: null,
        limit: null,
        grouped: false,
      },
      ([{ n }]) => n,
    );
  }

  /**
   * @param {Predicate} predicate
   * @param {any} [bindings]
   */
  some(predicate, bindings) {
    return (predicate ? this.filter(predicate, bindings) : this)
      .first()
      .into((row) => row !== null);
  }

  /**
   * @param {Predicate} predicate
   * @param {any} [bindings]
   */
  every(predicate, bindings) {
    return this.into((rows) => rows.every((row) => predicate(row, bindings)));
  }

  isEmpty() {
    return this.first().into((row) => row === null);
  }

  /** @param {Accessor} accessor */
  min(accessor) {
    return this.#best(accessor, false);
  }

  /** @param {Accessor} accessor */
  max(accessor) {
    return this.#best(accessor, true);
  }

  /** @param {Accessor} accessor */
  sum(accessor) {
    return this.#measured('sum', accessor);
  }

  /** @param {Accessor} accessor */
  avg(accessor) {
    return this.#measured('avg', accessor);
  }

  /** @param {Accessor} accessor */
  countDistinct(accessor) {
    return this.#measured('countDistinct', accessor);
  }

  /**
   * @param {Accessor} accessor
   * @returns {Operation<Map<any, any[]>>}
   */
  groupBy(accessor) {
    return this.into((rows) => {
      const groups = new Map();
      for (const row of rows) {
        const key = accessor(row);
        const group = groups.get(key);
        if (group) group.push(row);
        else groups.set(key, [row]);
      }
      return groups;
    });
  }

  /** @param {any} spec */
  aggregate(spec) {
    const aggregation = readAggregation(spec, this.source.columns);
    return this.#computed(aggregation, (rows) => (aggregation.grouped ? rows : (rows[0] ?? null)));
  }

  /**
   * The row with the least or the greatest of something; the first of several. Rows without it are left out.
   * @param {Accessor} accessor
   * @param {boolean} greatest
   */
  #best(accessor, greatest) {
    return this.into((rows) => {
      let best = null;
      const order = comparing(accessor, greatest);
      for (const row of rows) {
        const value = accessor(row);
        if (value === null || value === undefined) continue;
        if (best === null || order(row, best) < 0) best = row;
      }
      return best;
    });
  }

  /**
   * @param {'sum' | 'avg' | 'countDistinct'} how
   * @param {Accessor} accessor
   * @returns {Operation<any>}
   */
  #measured(how, accessor) {
    const column = columnOf(accessor, this.source.columns);
    if (!column || this.source.columns[column] === 'json')
      return this.into((rows) => measure(how, rows.map(accessor)));
    return this.#computed(
      {
        by: [],
        select: [{ name: 'n', how, column }],
        order: null,
        limit: null,
        grouped: false,
      },
      ([{ n }]) => n,
    );
  }

  /**
   * An aggregation: by the database where that sees the rows that are meant, else over them.
   * @template R
   * @param {import('./aggregate.mjs').Aggregation} aggregation
   * @param {(rows: any[]) => R} finish
   * @returns {Operation<R>}
   */
  #computed(aggregation, finish) {
    const { columns, table, run } = this.source;
    return new Operation(run, () => {
      const { step, left } = split({ ...this.shape, sort: null, reversed: false }, columns);
      const paged = this.shape.limit !== null || this.shape.offset !== 0;
      const read = [
        ...aggregation.by,
        ...aggregation.select.map((measure) => measure.column ?? ''),
      ];
      if (left.length > 0 || paged || read.some((name) => columns[name] === 'json'))
        return this.into((rows) => finish(aggregateRows(aggregation, rows))).plan();
      return {
        steps: [
          {
            op: 'aggregate',
            table,
            filter: step.filter,
            ...aggregateStep(aggregation),
          },
        ],
        finish: ([reply]) => finish(rowsOf(reply, this.#typesOf(aggregation))),
      };
    });
  }

  /**
   * What is in the rows of an aggregation.
   * @param {import('./aggregate.mjs').Aggregation} aggregation
   */
  #typesOf({ by, select }) {
    const { columns } = this.source;
    const kept = select.filter(({ how }) => how === 'min' || how === 'max');
    return Object.fromEntries([
      ...by.map((name) => [name, columns[name]]),
      ...kept.map(({ name, column }) => [name, columns[column ?? '']]),
    ]);
  }
}
