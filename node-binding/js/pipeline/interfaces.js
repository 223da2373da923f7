// @ts-check
// Reads, checks and compiles what the manifest declares as interfaces. What a type means is its own file's.
import { existsSync } from 'node:fs';
import { join, posix } from 'node:path';
import { At, anything, isGiven, isObject, names, shape } from './check.js';
import { Faults, line } from './faults.js';
import * as agent from './interfaces/agent.js';
import * as api from './interfaces/api.js';
import * as cron from './interfaces/cron.js';
import * as discord from './interfaces/discord.js';
import * as email from './interfaces/email.js';
import * as mcp from './interfaces/mcp.js';
import * as telegram from './interfaces/telegram.js';
import * as voice from './interfaces/voice.js';
import * as web from './interfaces/web.js';
import * as webhook from './interfaces/webhook.js';
import { below } from './json.js';
import { readFile, scopeOf } from './manifest.js';
import { locate } from './references.js';

/** @typedef {import('./check.js').Check} Check */
/** @typedef {import('./manifest.js').Manifest} Manifest */

/**
 * @typedef {object} Interface
 * @property {string} type
 * @property {boolean} enabled
 * @property {string} file where it is declared, relative to the root
 * @property {string} pointer where its content begins in that file: '', '/cron', '/interfaces/3/config'
 * @property {any} config the content, as it stands
 * @property {Record<string, string>} files what the files say that it refers to, by the pointer of the reference
 * @property {string} dir the folder that its references are relative to, and of a web project
 * @property {string[]} warnings
 */

/**
 * What compiling asks of the app. `schemas` gives the JSON Schema of a method's input, `{}` where it is not known.
 *
 * @typedef {{ manifest: Manifest, schemas: (method: string) => any, warn: (pointer: string, message: string) => void }} Compiling
 */

/**
 * A type of interface: the fields of its content, what else has to hold of it, and what it becomes.
 *
 * @typedef {object} Type
 * @property {Record<string, Check>} fields
 * @property {Check} [also]
 * @property {(it: Interface, app: Compiling) => Record<string, any>} compile
 * @property {(it: Interface) => Record<string, any[]>} [effects]
 */

/** @type {Record<string, Type>} */
export const types = { web, api, discord, telegram, cron, webhook, email, mcp, agent, voice };

/** Where a web project is, if the manifest does not say. */
const WEB = 'dist/interfaces/web';

/**
 * Reads and checks every interface; of those that are switched off nothing is looked at. Without `faults` to collect them in, it throws an `AppError`
 * that names every fault; with it, it gives those without one.
 *
 * @param {Manifest} manifest
 * @param {Faults} [faults]
 * @returns {Interface[]}
 */
export function readInterfaces(manifest, faults) {
  const own = faults ?? new Faults();
  const entries = Array.isArray(manifest.json?.interfaces) ? manifest.json.interfaces : [];
  const found = entries.map((/** @type {any} */ entry, /** @type {number} */ i) => {
    const [before, warned] = [own.list.length, own.warnings.length];
    const it = Object.hasOwn(types, entry?.type) ? readInterface(manifest, entry, below('/interfaces', i), own) : null;
    return it && own.list.length === before ? [{ ...it, warnings: own.warnings.slice(warned) }] : [];
  });
  if (!faults) own.throwAny();
  return found.flat();
}

/**
 * @param {Manifest} manifest
 * @param {{ type: string, path?: unknown, config?: unknown, enabled?: unknown }} entry
 * @param {string} pointer
 * @param {Faults} faults
 * @returns {Omit<Interface, 'warnings'> | null}
 */
function readInterface(manifest, entry, pointer, faults) {
  const { type, enabled, path, config } = entry;
  const scope = scopeOf(manifest.root, manifest.json, faults);
  if (enabled === false) return { type, enabled, file: scope.file, pointer, config: {}, files: {}, dir: '.' };
  const whole = isGiven(path) ? fileOf(scope, path) : inlineOf(new At(scope, entry, pointer));
  const content = whole && contentOf(type, whole);
  // What the manifest's own check says of the entry is not said again.
  if (!content || (isGiven(path) && isGiven(config))) return null;
  const { fields, also = anything } = types[type];
  shape({ '$schema?': anything, ...fields })(content);
  if (isObject(content.value)) also(content);
  const { file, files, dir } = scope;
  return { type, enabled: true, file, pointer: content.pointer, config: content.value, files, dir };
}

/**
 * What an interface's file holds.
 *
 * @param {import('./check.js').Scope} scope which becomes that of the file
 * @param {unknown} path
 */
function fileOf(scope, path) {
  const found = typeof path === 'string' && path.trim() !== '' && locate(scope.root, '.', path);
  if (!found || 'fault' in found) return null;
  scope.file = found.file;
  scope.dir = posix.dirname(found.file);
  const json = readFile(scope);
  return json === undefined ? null : new At(scope, json, '');
}

/**
 * What stands in the manifest itself.
 *
 * @param {At} entry
 */
function inlineOf(entry) {
  const { scope, value: { type, config }, pointer } = entry;
  // An API has every method, if nothing is said.
  if (!isGiven(config) && type !== 'api' && type !== 'web') return entry.fault('needs a path or a config') || null;
  if (type === 'web') {
    scope.dir = WEB;
    const there = existsSync(join(scope.root, WEB));
    if (!there) return entry.fault(`needs a path: the project is the folder of that file, and there is no ${WEB}`) || null;
  }
  if (!isGiven(config)) return new At(scope, {}, pointer);
  return isObject(config) ? entry.at('config') : null;
}

/**
 * The content of an interface's file: what stands below its type's name, or all of the file, as older apps have it. Nothing, and a
 * fault, where it is neither.
 *
 * @param {string} type
 * @param {At} whole
 */
function contentOf(type, whole) {
  if (!isObject(whole.value)) return whole.fault(`has to be an object, as in { "${type}": … }`) || null;
  const keys = Object.keys(whole.value).filter((key) => key !== '$schema');
  const flat = keys.some((key) => key !== type && names(types[type].fields).includes(key));
  const below = whole.at(type);
  // A voice has a field "voice" as well.
  const nested = type === 'voice' && flat
    ? Object.hasOwn(below.value ?? {}, 'systemPrompt')
    : isObject(below.value) || (keys.includes(type) && !flat);
  if (nested) {
    for (const key of keys.filter((key) => key !== type)) whole.at(key).warn(`is not known here, and kept as it is; "${type}" is known`);
    return below;
  }
  if (flat || keys.length === 0) return whole;
  return whole.fault(`declares no ${type} interface: that stands below "${type}"`) || null;
}

/**
 * What an interface becomes: files by their paths in the release. One that is switched off becomes nothing.
 *
 * @param {Interface} it
 * @param {{ manifest: Manifest, schemas: (method: string) => any }} app
 * @returns {{ files: Record<string, string>, warnings: string[] }}
 */
export function compile(it, { manifest, schemas }) {
  /** @type {string[]} */
  const warnings = [];
  const warn = (/** @type {string} */ pointer, /** @type {string} */ message) => warnings.push(line({ file: it.file, pointer, message }));
  const files = it.enabled ? types[it.type].compile(it, { manifest, schemas, warn }) : {};
  return { files: Object.fromEntries(Object.entries(files).map(([path, json]) => [path, `${JSON.stringify(json, null, 2)}\n`])), warnings };
}
