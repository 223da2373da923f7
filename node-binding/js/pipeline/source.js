// @ts-check
// Which files are a release's source, and their copy: the addon's to say. What else is here is for those steps that are still JavaScript.
import { createHash } from 'node:crypto';
import { copyFileSync, constants, lstatSync } from 'node:fs';
import { copyFile } from 'node:fs/promises';
import { isAbsolute, sep } from 'node:path';
import { performance } from 'node:perf_hooks';
import { step } from './step.js';

/**
 * @typedef {object} Entry
 * @property {string} hash  of the content, or of where a link points
 * @property {'file' | 'executable' | 'link'} mode
 */
/**
 * @typedef {object} Staged
 * @property {Map<string, Entry>} files  by path, relative to the app, in order
 * @property {string | null} commit
 * @property {boolean} dirty  whether the files are other than the commit's
 * @property {string[]} warnings
 */

/** How many things are done at once, where they wait for something. */
const AT_ONCE = 16;
/** How long that goes on until others have their turn. */
const TURN_MS = 10;
/** A file of more bytes is not copied while everything waits. */
const LARGE = 1 << 20;

/**
 * Copies a release's files from `root` to `to`, which is not there yet, and says what they are.
 * @param {string} root
 * @param {string} to
 * @param {object} [options]
 * @param {string} [options.commit]  take this commit's files, and not the working tree's
 * @param {string} [options.live]  the live database: it, and what belongs to it, is left out
 * @param {string[]} [options.without]  absolute paths that are left out, wherever they lie
 * @param {AbortSignal} [options.signal]
 * @returns {Promise<Staged>}
 */
export async function stageSource(root, to, { commit, live, without = [], signal } = {}) {
  const staged = await step('stageSource', { root, to, commit, live, without }, { signal });
  return { ...staged, files: new Map(Object.entries(staged.files)) };
}

/**
 * Whether a relative path leaves the folder that it is relative to.
 * @param {string} path
 */
export function leaves(path) {
  return path === '..' || path.startsWith(`..${sep}`) || isAbsolute(path);
}

/**
 * Copies a file of so many bytes. A small one at once: of many, a promise for each would take several times as long as the copies.
 * @param {string} from
 * @param {string} to
 * @param {number} bytes
 */
export async function copy(from, to, bytes) {
  if (bytes > LARGE) await copyFile(from, to, constants.COPYFILE_FICLONE);
  else copyFileSync(from, to, constants.COPYFILE_FICLONE);
}

/** @param {string | Buffer} content */
export function sha256(content) {
  return createHash('sha256').update(content).digest('hex');
}

/**
 * Does something for each of many things, a few at once; the first failure ends it. What is done may be done synchronously: others have
 * their turn in between.
 * @template T
 * @param {Iterable<T>} all
 * @param {(one: T) => Promise<void>} work
 */
export async function together(all, work) {
  const rest = all[Symbol.iterator]();
  let stopped = false;
  let turn = performance.now();
  const worker = async () => {
    for (let next = rest.next(); !next.done && !stopped; next = rest.next()) {
      await work(next.value).catch((error) => {
        stopped = true;
        throw error;
      });
      if (performance.now() - turn < TURN_MS) continue;
      await new Promise(setImmediate);
      turn = performance.now();
    }
  };
  const ends = await Promise.allSettled(Array.from({ length: AT_ONCE }, worker));
  for (const end of ends) if (end.status === 'rejected') throw end.reason;
}

/** @param {string} path */
export function exists(path) {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}
