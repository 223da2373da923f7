// @ts-check
// An app that is built: compiled here, or packed into one file by another machine. Packages are the addon's.
import { step } from '../pipeline/step.js';

/** @typedef {import('../index.js').BuildLine} BuildLine */
/** @typedef {{ dir: string, commit: string | null, dirty: boolean, effects: import('../index.js').Effects, lines: BuildLine[], warnings: string[] }} Built */

/**
 * Builds an app into `outDir`, which must not be there. What belongs to the database `live` is no part of it, nor is what `without` names.
 * @param {string} root
 * @param {{ outDir: string, live: string, without?: string[], commit?: string, onLine: (line: BuildLine) => void, onSource?: (source: { commit: string | null, dirty: boolean }) => void, signal?: AbortSignal }} options
 * @returns {Promise<Built>}
 */
export async function build(root, options) {
  // Loaded where there is an app: a database alone needs none of it.
  const pipeline = await import('../pipeline/build.js');
  return pipeline.build(root, options);
}

/**
 * What an app declares besides tables.
 * @param {string} root
 * @returns {Promise<import('../index.js').Effects>}
 */
export async function declaredEffects(root) {
  const { effects, readApp } = await import('../pipeline/read.js');
  const { manifest, interfaces } = readApp(root);
  return effects(manifest, interfaces);
}

/** @param {string} path */
export function isPackage(path) {
  return /\.(tar|tar\.gz|tgz)$/.test(path);
}

/**
 * A package and what it is written by: neither is part of the app, where it lies in its folder.
 * @param {string} file
 * @returns {Promise<string[]>}
 */
export async function besidePackage(file) {
  return step('besidePackage', file);
}

/**
 * Packs a built app. The same files give the same bytes.
 * @param {string} dir
 * @param {string} file
 * @param {AbortSignal} [signal]
 * @returns {Promise<number>}
 */
export async function pack(dir, file, signal) {
  return step('pack', [dir, file], { signal });
}

/**
 * Unpacks a package into a folder of its own, `work`, which the caller removes.
 * @param {string} file
 * @param {AbortSignal} [signal]
 * @returns {Promise<Built & { work: string }>}
 */
export async function unpack(file, signal) {
  return { lines: [], warnings: [], ...(await step('unpack', file, { signal })) };
}
