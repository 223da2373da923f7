// @ts-check
// Packages of an app: the native addon installs them.
import { posix } from 'node:path';
import { step } from './step.js';

/** @typedef {import('./source.js').Entry} Entry */
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
  return step(
    'install',
    { folder, root, tree, cache, files: Object.fromEntries(files) },
    { signal },
  );
}
