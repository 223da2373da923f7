// @ts-check
// The files of a release, as they lie in the store: the addon's to read.
import { now, step } from '../pipeline/step.js';

/** @typedef {import('../index.js').Release} Release */

/** @param {Release} release */
const told = ({ release, restored_from }) => ({ release, restored_from });

/**
 * The folder of a release's files: its source, where it is an app's, else all that was kept with it.
 * @param {string} store
 * @param {Release[]} releases
 * @param {number} number
 * @returns {Promise<string>}
 */
export async function folderOf(store, releases, number) {
  return step('folderOf', [store, releases.map(told), number]);
}

/**
 * The number of the release that was built: one that brings back another is as that one was.
 * @param {Release[]} releases
 * @param {Release} release
 * @returns {number}
 */
export function originOf(releases, release) {
  return now('originOf', [releases.map(told), told(release)]);
}

/**
 * The files of a release, or only those at or below `below`: its source, and what was compiled of it.
 * @param {string} folder as `folderOf` gives it
 * @param {string} [below]
 * @returns {Promise<{ path: string, bytes: number }[]>}
 */
export async function listAll(folder, below) {
  return step('listFiles', [folder, below]);
}

/**
 * What a file of a release holds: of a symlink, as git has it, where it points. `null` where there is none.
 * @param {string} folder
 * @param {string} path
 * @returns {Promise<Buffer | null>}
 */
export async function read(folder, path) {
  const content = await step('readFile', [folder, path]);
  return content === null ? null : Buffer.from(content, 'latin1');
}

/**
 * Copies the files into a folder that is absent or empty: all of them, or none. Gives how many.
 * @param {string} folder
 * @param {string} dir
 * @param {AbortSignal} [signal]
 * @returns {Promise<number>}
 */
export async function checkout(folder, dir, signal) {
  return step('checkout', [folder, dir], { signal });
}
