// @ts-check
// The web interface of an app: the native addon builds it.
import { step } from './step.js';

/**
 * @param {object} what
 * @param {string} what.folder  the web project, relative to the app
 * @param {string[]} [what.settings]  files in it that are remy's, not the interface's (`web.json`)
 * @param {Map<string, import('./source.js').Entry>} what.files
 * @param {string} what.tree
 * @param {string} what.cache
 * @param {string} what.to  where the output goes
 * @param {Map<string, import('./dependencies.js').Install>} what.installs  by folder
 * @param {AbortSignal} [what.signal]
 * @returns {Promise<{ files: number, bytes: number, reused: boolean, warnings: string[], unsupported: { module: string, name: string }[] }>}
 */
export function buildWeb({ folder, settings = [], files, tree, cache, to, installs, signal }) {
  const what = {
    folder,
    settings,
    files: Object.fromEntries(files),
    tree,
    cache,
    to,
    installs: Object.fromEntries(installs),
  };
  return step('buildWeb', what, { signal });
}
