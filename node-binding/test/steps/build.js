// @ts-check
// Builds a release from an app's folder: the native addon does.
import { rm } from 'node:fs/promises';
import { resolve } from 'node:path';
import { tools } from '../../js/tools.js';
import { step } from './step.js';

/**
 * @typedef {object} LogLine
 * @property {number} at
 * @property {'build'} step
 * @property {'ok' | 'warning' | 'failed'} outcome
 * @property {string} message
 * @property {string | null} object
 * @property {null} sql
 * @property {number} duration_ms
 */
/**
 * @typedef {object} Built
 * @property {string} dir
 * @property {any} manifest
 * @property {string | null} commit
 * @property {boolean} dirty
 * @property {object} effects
 * @property {LogLine[]} lines
 * @property {string[]} warnings
 */

/**
 * Builds the app at `root` to `outDir`, which must not be there. Where it fails or is called off, `outDir` is gone again.
 * @param {string} root
 * @param {object} options
 * @param {string} options.outDir
 * @param {string} [options.commit]  build this commit, and not the working tree
 * @param {string} [options.cacheDir]
 * @param {string} [options.live]  the live database: it and what belongs to it are no part of a release, wherever they lie
 * @param {string[]} [options.without]  other absolute paths that are no part of it
 * @param {(line: LogLine) => void} [options.onLine]
 * @param {(source: { commit: string | null, dirty: boolean }) => void} [options.onSource]  told what is built, once that is known
 * @param {AbortSignal} [options.signal]
 * @returns {Promise<Built>}
 */
export async function build(
  root,
  { outDir, commit, cacheDir, live, without = [], onLine, onSource, signal },
) {
  const at = (/** @type {string | undefined} */ path) =>
    path === undefined ? undefined : resolve(path);
  const what = {
    root: resolve(root),
    outDir: resolve(outDir),
    commit,
    cacheDir: at(cacheDir),
    live: at(live),
    without,
    ...tools(),
  };
  let isOurs = false;
  try {
    return await step('build', what, {
      signal,
      onEvent({ line, source }) {
        if (source) isOurs = true;
        if (source) onSource?.(source);
        else onLine?.(line);
      },
    });
  } catch (error) {
    // Called off when it was done already.
    if (isOurs) await rm(what.outDir, { recursive: true, force: true });
    throw error;
  }
}
