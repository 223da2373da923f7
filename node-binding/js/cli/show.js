// @ts-check
// Values as people read them: tables, sizes, times, errors.
import { worded } from '../remedy.js';
import { called } from './name.js';

/** @typedef {{ title: string, right?: boolean }} Column */

/**
 * Text that cannot disturb a terminal: names come from databases.
 * @param {unknown} value
 */
export function plain(value) {
  // eslint-disable-next-line no-control-regex
  return String(value).replace(/[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/g, (c) => (c === '\n' ? '\\n' : `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`));
}

/**
 * A line of its own, whatever is in it. Tabs stay: what stands below one is aligned by it.
 * @param {string} text
 */
export function oneLine(text) {
  return text.split('\t').map(plain).join('\t');
}

/** @param {string} text */
function lines(text) {
  return text.split('\n').map(oneLine);
}

/** Statements are shown up to here; `--json` has them whole. */
const STATEMENT = 200;

/**
 * The lines of a message of a log. Only what a build says has several: elsewhere a line end is a part of a name. What went well
 * and is long is a statement.
 * @param {{ step: string, outcome: string, message: string }} line
 */
export function message({ step, outcome, message }) {
  if (step === 'build') return indented(message);
  return [outcome === 'ok' ? cut(oneLine(message), STATEMENT) : oneLine(message)];
}

/**
 * @param {string} text
 * @param {number} width
 */
export function cut(text, width) {
  const letters = [...text];
  return letters.length <= width ? text : `${letters.slice(0, Math.max(0, width - 1)).join('')}…`;
}

/**
 * A text whose lines after the first are indented below it.
 * @param {string} text
 */
function indented(text) {
  return lines(text).map((line, i) => (i === 0 ? line : `    ${line}`));
}

/**
 * Lines of aligned columns under their titles. An empty column is left out.
 * @param {(string | Column)[]} columns
 * @param {(string | number | null)[][]} rows
 */
export function table(columns, rows) {
  const cells = rows.map((row) => row.map((cell) => (cell === null ? '' : plain(cell))));
  const shown = columns
    .map((column, i) => ({ ...(typeof column === 'string' ? { title: column } : column), i }))
    .filter(({ i }) => cells.some((row) => row[i] !== ''))
    .map((column) => ({ ...column, width: Math.max(...cells.map((row) => length(row[column.i])), column.title.length) }));
  const line = (/** @type {string[]} */ texts) =>
    shown.map(({ right, width }, k) => (right ? pad(width, texts[k]) + texts[k] : texts[k] + pad(width, texts[k]))).join('  ').trimEnd();
  return [line(shown.map(({ title }) => title)), ...cells.map((row) => line(shown.map(({ i }) => row[i])))];
}

/** @param {string} text */
function length(text) {
  return [...text].length;
}

/**
 * @param {number} width
 * @param {string} text
 */
function pad(width, text) {
  return ' '.repeat(Math.max(0, width - length(text)));
}

/** @param {[string, string | number | null][]} pairs */
export function list(pairs) {
  const there = pairs.filter(([, value]) => value !== null && value !== '');
  const width = Math.max(...there.map(([name]) => name.length));
  return there.map(([name, value]) => `${name.padEnd(width)}  ${plain(value)}`);
}

/**
 * `118 MB`, as core says it.
 * @param {number} bytes
 */
export function size(bytes) {
  const units = ['B', 'KB', 'MB', 'GB', 'TB'];
  let [at, left] = [0, bytes];
  for (; left >= 999.5 && at < units.length - 1; at++) left /= 1000;
  return `${at === 0 || left >= 9.95 ? left.toFixed(0) : left.toFixed(1)} ${units[at]}`;
}

/**
 * `2026-01-31 17:05:09`, where the reader is.
 * @param {number | null} at
 */
export function time(at) {
  if (at === null) return null;
  const date = new Date(at - new Date(at).getTimezoneOffset() * 60_000);
  return date.toISOString().slice(0, 19).replace('T', ' ');
}

/**
 * The beginning of a commit, with what says that the working tree was dirty.
 * @param {string} text
 */
export function commit(text) {
  const [, name, dirty = ''] = /** @type {RegExpExecArray} */ (/^(.*?)(-dirty)?$/s.exec(text));
  return `${name.slice(0, 12)}${dirty}`;
}

/**
 * How long a step took; nothing of one that has no length.
 * @param {number} ms
 */
export function took(ms) {
  if (ms === 0) return '';
  if (ms < 1) return '<1 ms';
  return ms < 9_999.5 ? `${ms.toFixed(0)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

/**
 * @param {number} n
 * @param {string} what
 */
export function count(n, what) {
  return `${n} ${what}${n === 1 ? '' : 's'}`;
}

/** @type {Record<string, string>} */
const MARKS = { ok: '✓', warning: '!', failed: '✗' };

/** @param {{ outcome: string }} line */
export function mark({ outcome }) {
  return MARKS[outcome] ?? '?';
}

/**
 * An argument as a shell takes it.
 * @param {string} text
 */
function argument(text) {
  return /^[\w.=-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** What is called otherwise here than in the other faces. */
const COMMANDS = /** @type {Record<string, string>} */ ({ build_log: 'log', dev_list: 'dev list', dev_start: 'dev start' });
const FLAGS = /** @type {Record<string, string>} */ ({ extensions: 'extension', renames: 'rename' });

/** @param {string} option */
const flag = (option) => `--${(FLAGS[option] ?? option).replaceAll('_', '-')}`;

/**
 * A verb, an option or leave, as one types it here.
 * @param {Exclude<import('../index.js').RemedyPart, string>} part
 */
function typed(part) {
  if ('allow' in part) return `${flag('allow')} ${part.allow.join(',')}`;
  if ('rename' in part) return `${flag('renames')} ${argument(part.rename)}`;
  if (!('verb' in part)) return flag(part.option);
  const { verb, release, option } = part;
  return [called, COMMANDS[verb] ?? verb, ...(release === undefined ? [] : [release]), ...(option === undefined ? [] : [flag(option)])].join(' ');
}

/**
 * What to do, in the words of this command, with the message that ends with it.
 * @param {{ message: string, hint?: string | null, remedy?: readonly import('../index.js').RemedyPart[] | null }} said
 */
export function advice({ message, hint = null, remedy = null }) {
  if (hint === null || remedy === null) return { message, hint };
  const here = worded(remedy, typed);
  return { message: message.endsWith(hint) ? `${message.slice(0, -hint.length)}${here}` : message, hint: here };
}

/**
 * An error for people: `error: code: message`, then what to do.
 * @param {{ code: string, message: string, hint?: string | null, remedy?: readonly import('../index.js').RemedyPart[] | null, faults?: object[] }} error
 */
export function failure({ code, message, hint, remedy, faults }) {
  // The message holds the hint, at the end of a line.
  const short = (/** @type {string} */ line) => (hint && line.endsWith(`. ${hint}`) ? line.slice(0, -hint.length - 2) : line);
  // An app's faults are a line each, and so is where a mistake of remy's own was made: elsewhere a line end is a part of a name.
  const text = faults || code === 'internal' ? lines(message.split('\n').map(short).join('\n')).join('\n') : oneLine(short(message));
  return [`error: ${code}: ${text}`, ...(hint ? [`hint: ${plain(advice({ message, hint, remedy }).hint)}`] : [])];
}
