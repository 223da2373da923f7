// @ts-check
// Compiles each method to one self-contained ESM file with a source map. What did not change is not compiled again.
import { tools } from '../../js/tools.js';
import { step } from './step.js';

/** @typedef {import('./source.js').Entry} Entry */
/** @typedef {import('./dependencies.js').Install} Install */
/** @typedef {{ id: string, path: string, export: string }} Method */
/**
 * @typedef {object} Compiled
 * @property {string} id
 * @property {string} file  relative to the release
 * @property {number} bytes
 * @property {string[]} warnings
 * @property {{ module: string, name: string }[]} unsupported  what it uses of the SDK that remy has nothing behind
 * @property {boolean} reused
 */

/**
 * @param {object} what
 * @param {Method[]} what.methods
 * @param {Map<string, Entry>} what.files
 * @param {string} what.tree
 * @param {string} what.cache
 * @param {string} what.out  the release's folder
 * @param {Map<string, Install>} what.installs  by folder
 * @param {AbortSignal} [what.signal]
 * @param {(method: Compiled) => void} [what.onMethod]  given each method when it is done
 * @returns {Promise<Compiled[]>}
 */
export async function compileMethods({
  methods,
  files,
  tree,
  cache,
  out,
  installs,
  signal,
  onMethod,
}) {
  const where = {
    files: Object.fromEntries(files),
    tree,
    cache,
    out,
    installs: Object.fromEntries(installs),
  };
  const made = await step(
    'compileMethods',
    { ...where, methods, ...tools() },
    { signal, onEvent: onMethod },
  );
  // What was seen of packages that cannot be bundled.
  for (const [folder, install] of installs) Object.assign(install, made.installs[folder]);
  return made.compiled;
}
