// @ts-check
// Packages of an app: the native addon installs them.
import { cp } from 'node:fs/promises';
import { basename, join, posix } from 'node:path';
import { exists } from './source.js';
import { step } from './step.js';
import { readJson } from './tree.js';

/** @typedef {import('./source.js').Entry} Entry */
/** @typedef {{ importer: string, name: string }} Import  of a package, by a file of the staged copy */
/**
 * @typedef {object} Install
 * @property {string} folder  that it runs in, relative to the app, '' for the app itself
 * @property {string[]} folders  that it is for: itself, or all of its workspace
 * @property {string} key  of what asked for it
 * @property {string} id  of this very install: without a lock file, two of one key may differ
 * @property {number} packages
 * @property {string[]} beside  packages of it that cannot be bundled, as far as was seen
 * @property {boolean} reused
 * @property {string[]} warnings
 */

/** The packages that remy provides itself. The registry has neither. */
export const SDK = ['@mindstudio-ai/agent', '@mindstudio-ai/interface'];

/**
 * The nearest folder above a file that has a package.json, or null.
 * @param {Map<string, Entry>} files
 * @param {string} path
 */
export function packageFolder(files, path) {
  let folder = path;
  do {
    folder = posix.dirname(folder);
    if (files.has(posix.join(folder, 'package.json'))) return folder === '.' ? '' : folder;
  } while (folder !== '.');
  return null;
}

/**
 * @param {string} folder  with a package.json, relative to the app
 * @param {{ root: string, tree: string, cache: string, files: Map<string, Entry>, signal?: AbortSignal }} where
 * @returns {Promise<Install>}
 */
export function install(folder, { root, tree, cache, files, signal }) {
  return step('install', { folder, root, tree, cache, files: Object.fromEntries(files) }, { signal });
}

/**
 * @param {string} cache
 * @param {Install} install
 */
export function remember(cache, install) {
  return step('remember', { cache, install });
}

/**
 * Copies packages and all that they need out of the staged copy, each to where it is in its node_modules folder: it finds the same
 * others there.
 * @param {string} tree
 * @param {Iterable<Import>} imports
 * @param {string} to  a node_modules folder
 * @returns {Promise<{ clashes: { found: string, versions: string }[], missing: Import[] }>} packages whose place another version has taken, and those that are not there
 */
export async function takeAlong(tree, imports, to) {
  /** @type {{ found: string, versions: string }[]} */
  const clashes = [];
  const missing = [];
  /** @type {Map<string, string>} */
  const taken = new Map();
  const seen = new Set();
  /** @type {{ name: string, from: string, importer?: string }[]} */
  const rest = [...imports].map(({ importer, name }) => ({ name, from: posix.dirname(importer), importer }));
  for (let next = rest.pop(); next; next = rest.pop()) {
    const found = findPackage(tree, next.name, next.from);
    if (found === null && next.importer !== undefined) missing.push({ importer: next.importer, name: next.name });
    if (found === null || seen.has(found)) continue;
    seen.add(found);
    const manifest = readJson(join(tree, found, 'package.json'), {});
    const version = `${manifest.name}@${manifest.version}`;
    const place = found.slice(`/${found}`.indexOf('/node_modules/') + 'node_modules/'.length);
    const other = taken.get(place);
    if (other !== undefined && other !== version) clashes.push({ found, versions: `${version} and ${other}` });
    if (other === undefined) {
      taken.set(place, version);
      const nested = join(tree, found, 'node_modules');
      await cp(join(tree, found), join(to, place), { recursive: true, dereference: true, filter: (path) => path !== nested && basename(path) !== '.cache' });
    }
    for (const kind of ['dependencies', 'optionalDependencies', 'peerDependencies']) {
      for (const name of Object.keys(manifest[kind] ?? {})) rest.push({ name, from: found });
    }
  }
  return { clashes, missing };
}

/**
 * Where a package is found from a folder: in its own node_modules, or those of the folders around it.
 * @param {string} tree
 * @param {string} name
 * @param {string} from
 */
function findPackage(tree, name, from) {
  for (let folder = from; ; folder = posix.dirname(folder)) {
    const found = posix.join(folder, 'node_modules', name);
    if (posix.basename(folder) !== 'node_modules' && exists(join(tree, found, 'package.json'))) return found;
    if (folder === '.') return null;
  }
}
