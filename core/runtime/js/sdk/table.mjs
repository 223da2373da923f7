// The verbs of a table.

import { MindStudioError, invalid } from './error.mjs';
import { Operation } from './operation.mjs';
import { filterOf } from './predicate.mjs';
import { Query } from './query.mjs';
import { rowsOf, toStored } from './values.mjs';

/** @typedef {import('./values.mjs').Columns} Columns */
/** @typedef {import('./predicate.mjs').Predicate} Predicate */
/** @typedef {{ unique?: string[][], defaults?: Record<string, unknown> }} Options */

/** How many ids one step removes: SQLite takes 32,766 values at most. */
const AT_ONCE = 10_000;

/**
 * @param {import('./query.mjs').Source} source
 * @param {Options} options
 */
export function makeTable(source, options) {
  const { table, columns, run } = source;
  const all = () => new Query(source);
  const { defaults = {}, unique = [] } = options;

  /** @param {Record<string, unknown>} row */
  const stored = (row) =>
    Object.fromEntries(
      Object.entries(row).map(([name, value]) => [name, toStored(value, columns[name])]),
    );

  /**
   * @param {any} row
   * @param {string} verb
   */
  const given = (row, verb) => {
    if (row === null || typeof row !== 'object' || Array.isArray(row))
      throw invalid('invalid_argument', `${table}.${verb}() takes an object with values by column`);
    const there = Object.entries(row).filter(
      ([name, value]) => value !== undefined || !(name in defaults),
    );
    return stored({ ...defaults, ...Object.fromEntries(there) });
  };

  /** @param {import('./values.mjs').Reply} reply */
  const rowOf = (reply) => rowsOf(reply, columns)[0];

  /** @param {string} id */
  const byId = (id) => ({ equal: ['id', String(id)] });

  /** @type {(rows: any) => Operation<any>} */
  const push = (rows) => {
    const many = Array.isArray(rows);
    const steps = (many ? rows : [rows]).map((row) => ({
      op: 'insert',
      table,
      row: given(row, 'push'),
    }));
    return new Operation(run, () => ({
      steps,
      finish: (replies) => (many ? replies.map(rowOf) : rowOf(replies[0])),
    }));
  };

  /** @type {(key: string | string[], row: any) => Operation<any>} */
  const upsert = (key, row) => {
    const keys = Array.isArray(key) ? key : [key];
    const values = given(row, 'upsert');
    const missing = keys.find((name) => values[name] === undefined || values[name] === null);
    if (missing !== undefined || keys.length === 0)
      throw invalid(
        'missing_conflict_key',
        `${table}.upsert(): the row has no value for its key ${missing ?? ''}`,
      );
    const same = (/** @type {string[]} */ group) =>
      group.length === keys.length && keys.every((name) => group.includes(name));
    if (!unique.some(same))
      throw invalid(
        'no_unique_constraint',
        `${table}.upsert(): nothing makes ${keys.join(', ')} unique; declare it with unique: [[${keys.map((name) => `'${name}'`).join(', ')}]]`,
      );
    const steps = [{ op: 'upsert', table, row: values, keys }];
    return new Operation(run, () => ({
      steps,
      finish: ([reply]) => rowOf(reply),
    }));
  };

  /** @type {(id: string, changes: any) => Operation<any>} */
  const update = (id, changes) => {
    if (changes === null || typeof changes !== 'object')
      throw invalid(
        'invalid_argument',
        `${table}.update() takes an id, and an object with values by column`,
      );
    const steps = [{ op: 'update', table, id: String(id), set: stored(changes) }];
    const finish = (/** @type {import('./values.mjs').Reply[]} */ [reply]) => {
      if (reply.rows.length > 0) return rowOf(reply);
      throw new MindStudioError('row_not_found', 404, `${table} has no row with the id ${id}`);
    };
    return new Operation(run, () => ({ steps, finish }));
  };

  /**
   * @param {any} filter
   * @returns {import('./operation.mjs').Steps<number>}
   */
  const removal = (filter) => ({
    steps: [{ op: 'remove', table, filter }],
    finish: ([{ changes }]) => changes,
  });

  /** @param {any} filter */
  const removed = (filter) => new Operation(run, () => removal(filter));

  /** @type {(predicate: Predicate, bindings?: any) => Operation<number>} */
  const removeAll = (predicate, bindings) => {
    if (typeof predicate !== 'function')
      throw invalid(
        'invalid_argument',
        `${table}.removeAll() takes a function of a row; clear() removes every row`,
      );
    return new Operation(run, () => {
      const filter = filterOf(predicate, bindings, columns);
      return filter
        ? removal(filter)
        : {
            alone: () => removeInJavaScript(predicate, bindings),
            what: `${table}.removeAll() of this predicate`,
          };
    });
  };

  /** @type {(predicate: Predicate, bindings?: any) => Promise<number>} */
  const removeInJavaScript = async (predicate, bindings) => {
    const ids = (await all().filter(predicate, bindings)).map((row) => row.id);
    const steps = [];
    for (let i = 0; i < ids.length; i += AT_ONCE)
      steps.push({
        op: 'remove',
        table,
        filter: { in: ['id', ids.slice(i, i + AT_ONCE)] },
      });
    if (steps.length === 0) return 0;
    return (await run(steps)).reduce((sum, { changes }) => sum + changes, 0);
  };

  /** @type {(verb: keyof Query) => any} */
  const of =
    (verb) =>
    (/** @type {any[]} */ ...args) =>
      /** @type {any} */ (all())[verb](...args);

  return {
    get: (/** @type {string} */ id) =>
      new Operation(run, () => ({
        steps: [{ op: 'select', table, filter: byId(id), limit: 1 }],
        finish: ([reply]) => rowOf(reply) ?? null,
      })),
    push,
    upsert,
    update,
    remove: (/** @type {string} */ id) =>
      removed(byId(id)).into((changes) => ({ deleted: changes > 0 })),
    removeAll,
    clear: () => removed('all'),
    ...Object.fromEntries(
      /** @type {(keyof Query)[]} */ ([
        'filter',
        'findOne',
        'sortBy',
        'reverse',
        'skip',
        'take',
        'first',
        'last',
        'toArray',
        'count',
        'some',
        'every',
        'isEmpty',
        'min',
        'max',
        'sum',
        'avg',
        'countDistinct',
        'groupBy',
        'aggregate',
      ]).map((verb) => [verb, of(verb)]),
    ),
  };
}
