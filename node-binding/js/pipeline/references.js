// @ts-check
// What a declaration may refer to: the app's methods and roles, and files.
import { readFileSync, realpathSync, statSync } from 'node:fs';
import { posix, sep } from 'node:path';
import { both, filled, is, isObject } from './check.js';

/** @typedef {import('./check.js').Check} Check */

/**
 * A method that the manifest declares.
 *
 * @type {Check}
 */
export const method = both(filled, (at) => {
  const { methods } = at.scope;
  if (!methods || methods.has(at.value)) return true;
  const [byExport] = [...methods].find(([, name]) => name === at.value) ?? [];
  if (byExport) return at.fault(`there is no method "${at.value}": that is the export of "${byExport}", and methods are named by their ids`);
  return at.fault(`there is no method "${at.value}"; ${known([...methods.keys()])}`);
});

/**
 * A role that the manifest declares.
 *
 * @type {Check}
 */
export const role = both(filled, (at) => {
  const { roles } = at.scope;
  return !roles || roles.has(at.value) || at.fault(`there is no role "${at.value}"; ${known([...roles])}`);
});

/**
 * What there is, for whoever named something else.
 *
 * @param {string[]} ids
 */
export function known(ids) {
  return `the manifest has ${ids.filter(Boolean).join(', ') || 'none'}`;
}

/**
 * A file beside the config, whose text is kept in the scope.
 *
 * @type {Check}
 */
export const textFile = both(filled, (at) => {
  const { root, dir, files } = at.scope;
  const found = locate(root, dir, at.value);
  if ('fault' in found) return at.fault(found.fault);
  const read = readText(root, found.file);
  if ('fault' in read) return at.fault(`"${found.file}" ${read.fault}`);
  files[at.pointer] = read.text;
  return true;
});

/**
 * A text, or a file beside the config that holds it. What looks like a path has to be one.
 *
 * @type {Check}
 */
export const textOrFile = both(filled, (at) => {
  const isPath = /^\S+$/.test(at.value) && /\/|\.\w+$/.test(at.value);
  return isPath ? textFile(at) : true;
});

/**
 * A JSON Schema of an object.
 *
 * @type {Check}
 */
export const objectSchema = both(is('a JSON Schema, which is an object,', isObject), (at) => {
  const { type } = at.value;
  return type === undefined || type === 'object' || at.at('type').fault('has to be "object": what a method takes has names');
});

/** What no release has, and so no manifest may name. */
const LEFT_OUT = /^(\.git|node_modules|\.remy|\.env.*)$/;

/**
 * The file that `path` names from the folder `dir`: its path relative to the root, or what is wrong with it.
 *
 * @param {string} root
 * @param {string} dir
 * @param {string} path
 * @returns {{ file: string } | { fault: string }}
 */
export function locate(root, dir, path) {
  if (path.includes('\0')) return { fault: 'is no path' };
  if (posix.isAbsolute(path)) return { fault: `"${path}" is an absolute path; files are named from the app's folder on` };
  const file = posix.normalize(posix.join(dir, path));
  if (file === '..' || file.startsWith('../')) return { fault: `"${path}" leaves the app's folder` };
  try {
    const top = realpathSync.native(root);
    const real = realpathSync.native(posix.join(top, file));
    if (real !== top && !real.startsWith(top === sep ? sep : top + sep)) return { fault: `"${file}" is a link that leaves the app's folder` };
    const hidden = [...file.split('/'), ...real.slice(top.length).split(sep)].find((name) => LEFT_OUT.test(name));
    if (hidden) return { fault: `"${file}" is in "${hidden}", which is never part of a release` };
    if (!statSync(real).isFile()) return { fault: `"${file}" is not a file` };
    return { file };
  } catch (error) {
    const { code, message } = /** @type {NodeJS.ErrnoException} */ (error);
    return { fault: code === 'ENOENT' || code === 'ENOTDIR' ? `there is no file "${file}"` : `"${file}" cannot be read: ${message}` };
  }
}

/**
 * A path of a file, relative to the app's folder.
 *
 * @type {Check}
 */
export const file = both(filled, (at) => {
  const found = locate(at.scope.root, '.', at.value);
  return 'file' in found || at.fault(found.fault);
});

/**
 * The text of a file below the root, without a byte order mark, or what is wrong with it.
 *
 * @param {string} root
 * @param {string} file
 * @returns {{ text: string } | { fault: string }}
 */
export function readText(root, file) {
  try {
    return { text: new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(posix.join(root, file))) };
  } catch (error) {
    return { fault: error instanceof TypeError ? 'is not UTF-8 text' : `cannot be read: ${/** @type {Error} */ (error).message}` };
  }
}
