// @ts-check
// The staged copy that packages are installed, methods compiled and web interfaces built in, which the addon keeps equal to the source;
// and files of the cache.
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { step } from './step.js';

/**
 * Makes `tree` hold exactly the files of `source`, and the folders of packages that still belong to a package.json.
 * @param {string} source
 * @param {string} tree
 * @param {Map<string, import('./source.js').Entry>} files
 * @param {AbortSignal} [signal]
 */
export async function sync(source, tree, files, signal) {
  await step('sync', { source, tree, files: Object.fromEntries(files) }, { signal });
}

/**
 * What a JSON file of the cache says; a cache that is not there or not whole says nothing.
 * @template T
 * @param {string} path
 * @param {T} otherwise
 * @returns {any | T}
 */
export function readJson(path, otherwise) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return otherwise;
  }
}

/**
 * Writes a file so that it is there whole or not at all.
 * @param {string} path
 * @param {string | Uint8Array} content
 */
export function writeWhole(path, content) {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(`${path}.new`, content);
  renameSync(`${path}.new`, path);
}
