// @ts-check
// Every flag of every command: what it takes, which option it is, and what it is for.
import { readFileSync } from 'node:fs';

/**
 * @typedef {object} Flag
 * @property {string} [short]
 * @property {string} [value] what it takes, for people; none for a switch
 * @property {string} help
 * @property {boolean} [many] may be given more than once
 * @property {string} [option] the engine's option that it sets
 * @property {(text: string) => unknown} [read] the value, or a throw of what is expected
 */

/** @param {string} text */
function whole(text) {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new Error('a whole number');
}

/** @param {string} text */
function days(text) {
  const [, number] = /^(\d{1,6})d?$/.exec(text) ?? [];
  if (number === undefined) throw new Error('a number of days, such as 30 or 30d');
  return Number(number);
}

/** @param {string} text */
function bytes(text) {
  const [, number, unit = ''] = /^(\d{1,15})(KB|MB|GB|TB)?$/i.exec(text) ?? [];
  if (number === undefined) throw new Error('a number of bytes, such as 500MB');
  return Number(number) * 1000 ** ['', 'KB', 'MB', 'GB', 'TB'].indexOf(unit.toUpperCase());
}

/** @param {string[]} choices */
function among(...choices) {
  return (/** @type {string} */ text) => {
    if (choices.includes(text)) return text;
    throw new Error(choices.join(' or '));
  };
}

/** @param {string} text */
function leaves(text) {
  return text.split(',').map(among('type_change', 'lossy', 'drop'));
}

/** @param {string} text */
function rename(text) {
  // Which `=` it is, where a name has one, core reads.
  if (/[^=]=[^=]/.test(text)) return text;
  throw new Error('old=new, such as orders.note=remark');
}

/** @param {string} path */
function json(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new Error(`a JSON file (${/** @type {Error} */ (error).message})`);
  }
}

/** @type {Record<string, Flag>} */
export const FLAGS = {
  db: { value: 'FILE', help: 'the live database (else REMY_DB, "db" in remy.json, .remy/live.db)' },
  app: { value: 'DIR', help: 'the folder of the app (else the one that holds mindstudio.json, here or above)' },
  json: { help: 'JSON on stdout; while a release is made, an event a line' },
  help: { short: 'h', help: 'this' },
  version: { help: 'the version of remy' },

  allow: { value: 'LEAVE', many: true, read: leaves, option: 'allow', help: 'type_change, lossy or drop, with commas or the flag again: let the change do that; an app has @cast for its types' },
  rename: { value: 'OLD=NEW', many: true, read: rename, option: 'renames', help: 'table=table or table.column=column: a rename, not a drop' },
  effects: { value: 'FILE', read: json, option: 'effects', help: 'JSON of roles, cron jobs, webhooks, email routes, bot commands' },
  artifacts: { value: 'PATH', option: 'artifacts', help: 'a file or folder that is kept with the release' },
  migrations: { value: 'DIR', option: 'migrations', help: 'NNNN_name.sql files, or those of another tool, run once each before the diff' },
  ignore: { value: 'GLOB', many: true, option: 'ignore', help: 'tables to leave alone, beside the bookkeeping of other tools' },
  extension: { value: 'FILE', many: true, option: 'extensions', help: 'an SQLite extension that the schema needs' },
  message: { short: 'm', value: 'TEXT', option: 'label', help: 'a name for the release' },
  commit: { value: 'REF', option: 'commit', help: 'the commit: recorded with a schema; of an app, what is published' },
  create: { help: 'make the database where there is none' },
  preview: { value: 'NAME', option: 'preview', help: 'stage it with a database of its own, to try it on' },
  stage: { help: 'stop before the switch: remy promote makes it live' },
  out: { short: 'o', value: 'FILE', help: 'the package to write, .tar or .tar.gz' },
  sql: { help: 'SQL' },
  warnings: { help: 'with --json: what stderr warns of as well, as rows of kind `warning`' },
  yes: { short: 'y', help: 'do not ask' },

  'dry-run': { option: 'dry_run', help: 'go through everything, change nothing' },
  'lock-timeout-ms': { value: 'MS', read: whole, option: 'lock_timeout_ms', help: 'how long to wait for the write lock (5000)' },
  'max-pause-ms': { value: 'MS', read: whole, option: 'max_pause_ms', help: 'the longest that writers may be held up (4000)' },
  'journal-mode': { value: 'MODE', read: among('wal', 'keep'), option: 'journal_mode', help: 'wal, or keep what the database has' },
  'margin-bytes': { value: 'BYTES', read: bytes, option: 'margin_bytes', help: 'free disk space that a clone has to leave (256 MiB)' },
  'older-than': { value: 'DAYS', read: days, help: 'drop what stopped being live longer ago (30d)' },
  keep: { value: 'N', read: whole, option: 'keep_releases', help: 'keep at most so many databases of releases' },
  'retention-days': { value: 'DAYS', read: days, option: 'retention_days', help: 'then drop databases of releases that are older (30)' },
  'keep-releases': { value: 'N', read: whole, option: 'keep_releases', help: 'then keep at most so many databases of releases' },
  'keep-bytes': { value: 'BYTES', read: bytes, option: 'keep_bytes', help: 'keep at most so many bytes of them, such as 10GB' },
};

/** What every command takes. */
const COMMON = ['json', 'help'];
/** What a command takes that is about a database. */
const PLACE = ['db', 'app'];
/** What a schema and its plan take. */
export const SCHEMA = ['allow', 'rename', 'effects', 'migrations', 'ignore', 'extension'];
/** What a switch takes. */
export const SWITCH = [
  'dry-run', 'lock-timeout-ms', 'max-pause-ms', 'journal-mode', 'margin-bytes', 'retention-days', 'keep-releases', 'keep-bytes',
];

/**
 * Every flag of a command.
 * @param {{ flags: string[], placeless?: boolean }} command
 */
export function flagsOf({ flags, placeless }) {
  return [...flags, ...(placeless ? [] : PLACE), ...COMMON];
}

/**
 * The engine's options among the values of flags.
 * @param {Record<string, any>} values
 * @returns {Record<string, any>}
 */
export function options(values) {
  const given = Object.entries(values).filter(([name]) => FLAGS[name].option);
  return Object.fromEntries(given.map(([name, value]) => [FLAGS[name].option, Array.isArray(value) ? value.flat() : value]));
}
