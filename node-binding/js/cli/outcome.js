// @ts-check
// What came of a publish, a promotion or a rollback, and the plan of one.
import { called } from './name.js';
import { count, table, took } from './show.js';

/** @typedef {import('../index.js').Statement} Statement */

/**
 * A row a change: the statements of one rebuild are one, and so are those of a rename, or a drop, by way of a name of remy's own.
 * @param {Statement[]} statements
 */
export function plan(statements) {
  /** @type {{ what: string, object: string, needs: string | null, loses: string | null, run: number }[]} */
  const rows = [];
  /** How many statements have only moved something out of the way, by its name. @type {Map<string, number>} */
  const aside = new Map();
  for (const { kind, object, new_name: name = null, needs, loses, strategy } of statements) {
    const what = kind.replaceAll('_', ' ');
    if (name?.startsWith('_remy_')) {
      aside.set(object, (aside.get(object) ?? 0) + 1);
      continue;
    }
    const last = rows.at(-1);
    if (strategy === 'rebuild' && last?.what === what && last.object === object) {
      last.run += 1;
      last.needs ??= needs;
      last.loses ??= loses;
    } else {
      rows.push({ what, object: name === null ? object : `${object} → ${name}`, needs, loses, run: 1 + (aside.get(object) ?? 0) });
      aside.delete(object);
    }
  }
  const cells = rows.map((row, i) => [i + 1, row.what, row.object, row.needs && `--allow ${row.needs}`, row.loses, row.run > 1 ? row.run : null]);
  return table([{ title: '#', right: true }, 'CHANGE', 'OBJECT', 'NEEDS', 'LOSES', { title: 'STATEMENTS', right: true }], cells);
}

/** @param {{ kind: string, id: string, change: string }[]} effects */
export function effects(effects) {
  return table(['EFFECT', 'ID', 'CHANGE'], effects.map(({ kind, id, change }) => [kind.replaceAll('_', ' '), id, change]));
}

/**
 * Whether a rollback takes anything out of live.
 * @param {import('../index.js').Outcome} outcome
 */
export function takesAway({ statements, set_aside }) {
  return set_aside.length > 0 || statements.some(({ kind, loses }) => loses !== null || kind === 'drop_table' || kind === 'drop_column');
}

/**
 * What a rollback takes away and brings back, or what a publish would change.
 * @param {import('../index.js').Outcome} outcome
 */
export function difference({ statements, effects: changes, set_aside = [], comes_back = [] }) {
  const lines = [];
  if (statements.length) lines.push(...plan(statements));
  if (changes.length) lines.push(...effects(changes));
  if (set_aside.length) lines.push(...table(['SET ASIDE', { title: 'ROWS', right: true }], set_aside.map(({ table, rows }) => [table, rows])));
  const back = comes_back.map(({ table, column, rows }) => [column === null ? table : `${table}.${column}`, rows]);
  if (back.length) lines.push(...table(['COMES BACK', { title: 'ROWS', right: true }], back));
  return lines;
}

/** @param {import('../index.js').Outcome} outcome */
export function outcome(outcome) {
  const { release, status, statements, restored_from } = outcome;
  const lines = status === 'dry_run' || restored_from !== null ? difference(outcome) : [];
  const back = restored_from === null ? '' : `, as release ${restored_from} was`;
  const waited = outcome.switch ? `; writers waited ${took(outcome.switch.pause_ms) || '0 ms'}` : '';
  const told = {
    live: `Release ${release} is live${back}${waited}`,
    compiled: `Release ${release} is compiled; ${called} promote ${release} makes it live`,
    preview: `Release ${release} is a preview: its database is in the store, ${called} releases says where; ${called} promote ${release} makes it live`,
    dry_run: `Nothing was changed: it would be release ${release}${back}${restored_from === null && statements.length ? `, of ${count(statements.length, 'statement')}` : ''}`,
  };
  return [...untold(outcome).map((warning) => `warning: ${warning}`), ...lines, told[status]];
}

/**
 * The warnings that are no lines of the log: those that are have been shown while it was written.
 * @param {import('../index.js').Outcome} outcome
 */
function untold({ warnings, log }) {
  const told = new Set(log.filter(({ outcome }) => outcome === 'warning').map(({ message }) => message));
  return warnings.filter((warning) => !told.has(warning));
}
