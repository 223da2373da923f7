// @ts-check
// Where things live: the folder of the app, and its live database.
import { chmodSync, closeSync, existsSync, fsyncSync, mkdirSync, mkdtempSync, openSync, readdirSync, readFileSync, readlinkSync, realpathSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { reason, refusal } from './refusal.js';

/** The manifest of an app. */
export const MANIFEST = 'mindstudio.json';
/** The settings of a folder, beside the manifest or alone. */
const SETTINGS = 'remy.json';
/** The folder of what remy itself keeps beside an app. */
const OWN = '.remy';

/**
 * @typedef {object} Place
 * @property {string | null} root the folder of the manifest, `null` where there is none
 * @property {string} base the folder that everything is relative to: the manifest's, or the working folder
 * @property {string} path the live database, symlinks resolved
 * @property {'db' | 'REMY_DB' | 'remy.json' | 'default'} from what named it
 * @property {string | null} schema what a publish declares where nothing is named, from remy.json
 * @property {string[]} extensions the libraries that the schema needs, from remy.json
 */

/**
 * Looks for the manifest, in `dir` or above it, and for the live database.
 * @param {string} dir
 * @param {{ db?: string, here?: boolean }} options `here`: the manifest has to be in `dir` itself
 * @returns {Place}
 */
export function find(dir, { db, here = false }) {
  const start = resolve(dir);
  const root = here ? manifestIn(start) : manifestAbove(start);
  const base = root ?? start;
  const file = root && existsSync(join(root, SETTINGS)) ? join(root, SETTINGS) : join(start, SETTINGS);
  const settings = readSettings(file);
  const beside = (/** @type {string | undefined} */ path) => (path === undefined ? null : resolve(dirname(file), path));
  /** @type {[string | null, Place['from']][]} */
  const candidates = [
    [db ? resolve(db) : null, 'db'],
    [process.env.REMY_DB ? resolve(process.env.REMY_DB) : null, 'REMY_DB'],
    [beside(settings.db), 'remy.json'],
    [join(base, OWN, 'live.db'), 'default'],
  ];
  const [path, from] = /** @type {[string, Place['from']]} */ (candidates.find(([path]) => path !== null));
  const extensions = (settings.extensions ?? []).map((path) => resolve(dirname(file), path));
  return { root, base, path: resolved(path), from, schema: beside(settings.schema), extensions };
}

/** @param {string} start */
function manifestAbove(start) {
  for (let dir = start; ; dir = dirname(dir)) {
    if (existsSync(join(dir, MANIFEST))) return dir;
    if (dir === dirname(dir)) return null;
  }
}

/** @param {string} dir */
function manifestIn(dir) {
  if (existsSync(join(dir, MANIFEST))) return dir;
  throw refusal('not_found', `there is no ${MANIFEST} in ${dir}`, 'Name the folder of an app, or leave it out', { object: dir });
}

/**
 * @param {string} file
 * @returns {{ db?: string, schema?: string, extensions?: string[] }}
 */
function readSettings(file) {
  let text;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code === 'ENOENT') return {};
    throw refusal('io', `${file} cannot be read: ${reason(error)}`, 'Put it right, or remove it', { object: file });
  }
  const wrong = (/** @type {string} */ what) =>
    refusal('invalid_argument', `${file} ${what}`, 'It is one JSON object with "db" and "schema", each a path, and "extensions", a list of paths, all relative to it', { object: file });
  let settings;
  try {
    settings = JSON.parse(text);
  } catch (error) {
    throw wrong(`is not JSON: ${/** @type {Error} */ (error).message}`);
  }
  if (settings === null || typeof settings !== 'object' || Array.isArray(settings)) throw wrong('is not an object');
  for (const [key, value] of Object.entries(settings)) {
    // For editors, which check the file by it.
    if (key === '$schema') continue;
    if (!['db', 'schema', 'extensions'].includes(key)) throw wrong(`has an unknown key ${JSON.stringify(key)}`);
    if (key === 'extensions' && !Array.isArray(value)) throw wrong(`has no list at ${JSON.stringify(key)}`);
    if ([value].flat().some((path) => typeof path !== 'string' || path === '')) throw wrong(`has no path at ${JSON.stringify(key)}`);
  }
  return settings;
}

/**
 * The path without symlinks, also of a file that is not there yet.
 * @param {string} path
 * @returns {string}
 */
function resolved(path) {
  try {
    return realpathSync(path);
  } catch {
    const folder = dirname(path);
    return folder === path ? path : join(resolved(folder), basename(path));
  }
}

/**
 * The folder for what remy keeps beside an app, which nobody else reads and git does not see.
 * @param {string} base
 */
export function ownFolder(base) {
  const folder = join(base, OWN);
  if (mkdirSync(folder, { recursive: true, mode: 0o700 })) chmodSync(folder, 0o700);
  const ignore = join(folder, '.gitignore');
  if (!existsSync(ignore)) writeFileSync(ignore, '*\n');
  return folder;
}

/** Longer than any build takes. */
const DAY_MS = 24 * 60 * 60 * 1000;
/** The file in the folder of a build that says which process it is of. */
const OWNER = 'owner.json';

/**
 * A folder for one build, which its caller removes. What a build left that was killed goes when the next one begins.
 * @param {string} base
 */
export function buildFolder(base) {
  const own = ownFolder(base);
  const builds = readdirSync(own).filter((name) => name.startsWith('build-')).map((name) => join(own, name));
  for (const path of builds) if (isLeft(path)) rmSync(path, { recursive: true, force: true });
  const folder = mkdtempSync(join(own, 'build-'));
  try {
    writeFileSync(join(folder, OWNER), JSON.stringify(owner(process.pid)));
  } catch {
    // Without it, or without a /proc to ask, its age tells.
  }
  return folder;
}

/**
 * Whether nobody is at work in the folder of a build. Of a process of another machine or container only its age tells.
 * @param {string} folder
 */
function isLeft(folder) {
  const since = statSync(folder, { throwIfNoEntry: false })?.mtimeMs;
  if (since === undefined) return false;
  if (since < Date.now() - DAY_MS) return true;
  try {
    const was = JSON.parse(readFileSync(join(folder, OWNER), 'utf8'));
    const now = owner(was.pid);
    return was.where === now.where && was.started !== now.started;
  } catch {
    // One that is about to say whose it is, for one.
    return false;
  }
}

/**
 * A process, told from all that have its number later or elsewhere. One that has ended has not `started`.
 * @param {number} pid
 */
function owner(pid) {
  const where = `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()} ${readlinkSync('/proc/self/ns/pid')}`;
  let stat = '';
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch (error) {
    if (!['ENOENT', 'ESRCH'].includes(/** @type {NodeJS.ErrnoException} */ (error).code ?? '')) throw error;
  }
  // Behind the name, which may hold anything.
  const [state, ...fields] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return { where, pid, started: state === 'Z' ? null : (fields[18] ?? null) };
}

/**
 * The store of a live database, where it has releases; `null` where there is none.
 * @param {string} live
 */
export function storeBeside(live) {
  const store = `${live}-remy`;
  return isThere(join(store, 'catalog.db')) || isFilled(join(store, 'snapshots')) ? store : null;
}

/** @param {string} folder */
function isFilled(folder) {
  try {
    return readdirSync(folder).length > 0;
  } catch {
    return false;
  }
}

/**
 * Whether something is at a path. What may not be looked at is there: who opens it is told why they may not.
 * @param {string} path
 */
export function isThere(path) {
  try {
    statSync(path);
    return true;
  } catch (error) {
    return !['ENOENT', 'ENOTDIR'].includes(/** @type {NodeJS.ErrnoException} */ (error).code ?? '');
  }
}

/**
 * Makes an empty live database: a file of no bytes is one to SQLite.
 * @param {Place} place
 */
export function make({ base, path, from }) {
  if (from === 'default') ownFolder(base);
  const file = openSync(path, 'wx', 0o600);
  fsyncSync(file);
  closeSync(file);
}
