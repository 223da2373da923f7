// @ts-check
// The staged copy that packages are installed, methods compiled and web interfaces built in, which the addon keeps equal to the source.
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
