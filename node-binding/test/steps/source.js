// @ts-check
// Which files are a release's source, and their copy: the addon's to say.
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
