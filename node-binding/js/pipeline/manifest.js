// @ts-check
// Reads and checks mindstudio.json.
import { posix, resolve } from 'node:path';
import {
  At, all, anything, distinct, filled, flag, given, isGiven, isObject, kebab, list, matching, object, oneOf, shape, text,
} from './check.js';
import { AppError, Faults, place } from './faults.js';
import { masked, readJson } from './json.js';
import { file, locate, readText, role } from './references.js';

/** @typedef {import('./check.js').Check} Check */
/** @typedef {import('./check.js').Scope} Scope */

/** @typedef {{ id: string, name?: string, description?: string }} Role */
/** @typedef {{ id: string, name?: string, description?: string, path: string, export: string }} Method */
/** @typedef {{ name?: string, path: string, export: string }} Table */
/** @typedef {{ type: string, path?: string, config?: Record<string, any>, enabled: boolean }} Declared an interface, as the manifest has it */
/** @typedef {{ id: string, name?: string, description?: string, path: string, export: string, roles: string[] }} Scenario */
/** @typedef {{ enabled: boolean, methods?: string[], table?: { name: string, columns: Record<string, string> } }} Auth */

/**
 * @typedef {object} Manifest
 * @property {string} root the app's folder, as an absolute path
 * @property {'mindstudio.json'} file
 * @property {string} name
 * @property {string} [appId]
 * @property {string} [description]
 * @property {Method[]} methods
 * @property {Table[]} tables
 * @property {Role[]} roles
 * @property {Declared[]} interfaces
 * @property {Scenario[]} scenarios
 * @property {Auth} [auth]
 * @property {string[]} warnings
 * @property {any} json as it stands
 */

const FILE = 'mindstudio.json';

export const TYPES = ['web', 'api', 'discord', 'telegram', 'cron', 'webhook', 'email', 'mcp', 'agent', 'voice'];

const exported = matching(/^[\p{ID_Start}$_][\p{ID_Continue}$\u200c\u200d]*$/u, 'is no name that a file can export');

/** What the platform reads of a method, and remy keeps. */
const KEPT_OF_METHODS = {
  'autonomy?': oneOf('manual', 'shadow', 'approve', 'auto'), 'jewel?': anything, 'sampleRate?': anything, 'attributionWindow?': anything, 'tuning?': anything,
};

const methods = all(
  list(shape({ id: kebab, 'name?': text, 'description?': text, path: file, export: exported, ...KEPT_OF_METHODS }), { least: 1 }),
  distinct('id', 'id'),
);

// SQLite takes names that differ in letter case only for the same.
const tables = all(
  // The name is that of `defineTable`: here it is for people.
  list(shape({ 'name?': filled, path: file, export: exported })),
  distinct('name', 'name', {
    key: (table) => (typeof table?.name === 'string' ? table.name.toLowerCase() : undefined),
    note: ', letter case aside',
  }),
  distinct('export', 'path and export', { key: (table) => (table?.path && table.export ? `${table.path}#${table.export}` : undefined) }),
);

const roles = all(list(shape({ id: kebab, 'name?': text, 'description?': text })), distinct('id', 'id'));

const scenarios = all(
  list(shape({ id: kebab, 'name?': text, 'description?': text, path: file, export: exported, roles: list(role) })),
  distinct('id', 'id'),
);

const type = oneOf(...TYPES);

const interfaceOn = all(
  shape({ type, 'path?': file, 'config?': object, 'enabled?': flag }),
  (at) => !(isGiven(at.value?.path) && isGiven(at.value?.config)) || at.fault('has both a path and a config; keep one of them'),
);

/** Of one that is switched off nothing else is looked at: what it needs may not be there yet, or not any more. */
const interfaceOff = shape({ type, 'path?': anything, 'config?': anything, enabled: flag });

const interfaces = list((at) => (at.value?.enabled === false ? interfaceOff : interfaceOn)(at));

/** The column of the auth table that a way to sign in needs. */
const COLUMNS = new Map([['email-code', 'email'], ['sms-code', 'phone'], ['api-key', 'apiKey']]);

const auth = all(
  shape({
    enabled: flag,
    'methods?': all(list(oneOf('email-code', 'sms-code', 'api-key', 'remy')), distinct('', 'name', { key: (name) => name })),
    'table?': shape({ name: filled, columns: shape({ 'email?': filled, 'phone?': filled, 'roles?': filled, 'apiKey?': filled }) }),
  }),
  // What is switched off may be half done.
  (at) => at.value?.enabled !== true || all(
    (at) => (at.at('methods').value?.length ?? 0) > 0 || at.at('methods').fault('is missing: nobody could sign in'),
    (at) => isGiven(at.value.table) || at.at('table').fault('is missing: it says where the users are'),
    (at) => at.at('methods').each().map((method) => {
      const column = COLUMNS.get(method.value);
      const columns = at.at('table').at('columns');
      const there = !column || !isObject(columns.value) || isGiven(columns.value[column]);
      return there || columns.at(column).fault(`is missing: "${method.value}" needs it`);
    }).every(Boolean),
  )(at),
);

const manifest = all(
  shape({
    '$schema?': anything,
    'appId?': text,
    name: filled,
    'description?': text,
    'iconUrl?': text,
    'openGraphShareImageUrl?': text,
    'dataSources?': list(object),
    methods,
    'tables?': tables,
    'roles?': roles,
    'interfaces?': interfaces,
    'scenarios?': scenarios,
    'auth?': auth,
  }),
  oneOfEach,
);

/**
 * A type can be there once: one of two would have to win, and nobody could say which. One that is switched off does not count.
 *
 * @type {Check}
 */
function oneOfEach(at) {
  /** @type {Map<string, string>} */
  const first = new Map();
  return at.at('interfaces').each().map((entry) => {
    const { type, enabled } = entry.value ?? {};
    if (!TYPES.includes(type) || enabled === false) return true;
    const before = first.get(type);
    if (before === undefined) first.set(type, entry.pointer);
    const hint = 'put them into one, or give one "enabled": false';
    return before === undefined || entry.fault(`is another "${type}" interface beside ${before}; ${hint}`);
  }).every(Boolean);
}

/**
 * Reads the manifest of the app in the folder `root`, which is `called` so, and checks all of it. Without `faults` to collect them in, it throws an
 * `AppError` that names every fault; with it, what it gives is as good as the manifest is.
 *
 * @param {string} root
 * @param {Faults} [faults]
 * @param {string} [called]
 * @returns {Manifest}
 */
export function readManifest(root, faults, called) {
  const top = resolve(root);
  const own = faults ?? new Faults();
  const before = own.warnings.length;
  const found = locate(top, '.', FILE);
  if ('fault' in found) throw missing(called ?? top, found.fault);
  const json = readFile({ root: top, file: FILE, faults: own });
  const scope = scopeOf(top, json, own);
  if (json !== undefined) manifest(new At(scope, json, ''));
  if (!faults) own.throwAny();
  return { ...declared(json), root: top, file: FILE, warnings: own.warnings.slice(before), json };
}

/**
 * @param {string} root
 * @param {string} fault
 */
function missing(root, fault) {
  const hint = 'Run this in the folder of an app, or make one: the verb init does';
  const message = `${root} has no app: ${fault}. The database is as it was. ${hint}`;
  return new AppError({ code: 'not_found', faults: [{ file: FILE, pointer: '', message: fault }], message, hint });
}

/**
 * What a JSON file holds; nothing, and a fault, where it is none.
 *
 * @param {Pick<Scope, 'root' | 'file' | 'faults'>} scope
 * @returns {unknown}
 */
export function readFile({ root, file, faults }) {
  const read = readText(root, file);
  if ('fault' in read) {
    faults.add({ file, pointer: '', message: read.fault });
    return undefined;
  }
  const json = readJson(read.text);
  if ('fault' in json) {
    faults.add({ file, pointer: '', message: json.fault, ...place(masked(read.text), json.offset) });
    return undefined;
  }
  faults.reads(file, read.text);
  for (const pointer of json.twice) faults.warn({ file, pointer, message: 'is there twice; the last one counts' });
  return json.value;
}

/**
 * What the manifest declares, for those who refer to it: with its faults, so that one fault does not cause others.
 *
 * @param {string} root
 * @param {any} json
 * @param {Faults} faults
 * @returns {Scope}
 */
export function scopeOf(root, json, faults) {
  const whole = (/** @type {any} */ entries) => Array.isArray(entries) && entries.every((entry) => typeof entry?.id === 'string');
  const methods = whole(json?.methods) ? new Map(json.methods.map((/** @type {any} */ method) => [method.id, method.export])) : null;
  const described = new Set((methods ? json.methods : []).filter((/** @type {any} */ method) => typeof method.description === 'string' && method.description.trim()).map((/** @type {any} */ method) => method.id));
  const roles = isObject(json) && whole(json.roles ?? []) ? new Set((json.roles ?? []).map((/** @type {any} */ role) => role.id)) : null;
  return { root, file: FILE, faults, dir: '.', files: {}, methods, described, roles };
}

/**
 * An entry with its path as it is compared: `./a/b.ts` is `a/b.ts`.
 *
 * @param {any} entry
 */
const normal = (entry) => (typeof entry.path === 'string' ? { ...entry, path: posix.normalize(entry.path) } : entry);

/**
 * The manifest's content with its defaults. What is not of its type is left out.
 *
 * @param {any} json
 * @returns {Omit<Manifest, 'root' | 'file' | 'warnings' | 'json'>}
 */
function declared(json) {
  const entries = (/** @type {string} */ key) => (Array.isArray(json?.[key]) ? json[key].filter(isObject).map(normal) : []);
  return {
    name: typeof json?.name === 'string' ? json.name : '',
    ...given({ appId: json?.appId, description: json?.description, auth: json?.auth }),
    methods: entries('methods'),
    tables: entries('tables'),
    roles: entries('roles'),
    interfaces: entries('interfaces').map((/** @type {any} */ entry) => ({ ...entry, enabled: entry.enabled ?? true })),
    scenarios: entries('scenarios'),
  };
}
