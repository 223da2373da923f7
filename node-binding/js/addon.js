// @ts-check
// Finds and loads the native addon. Verbs are for the worker process; reading TypeScript opens no database and is done here, too.
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const platform = `${process.platform}-${process.arch}-gnu`;

/** The addon's path: the one named by REMY_ADDON, in the package of this platform, or in a checkout, where that package is a folder. */
function find() {
  if (process.env.REMY_ADDON) return process.env.REMY_ADDON;
  try {
    return createRequire(import.meta.url).resolve(`remy-db-${platform}`);
  } catch {
    const places = [`../npm/${platform}/remy.${platform}.node`, '../../target/release/libremy_node.so', '../../target/debug/libremy_node.so'];
    const paths = places.map((path) => fileURLToPath(new URL(path, import.meta.url)));
    const found = paths.find((path) => existsSync(path));
    if (found) return found;
    throw new Error(`remy-db has no addon for ${platform}: there is no package remy-db-${platform}, and none at ${paths.join(', ')}`);
  }
}

/** @type {any} */
let addon;

/** Loads the addon, once. Its file may have any name, so it is not left to `require`. */
export function load() {
  if (addon === undefined) {
    const module = { exports: {} };
    process.dlopen(module, find());
    addon = module.exports;
  }
  return addon;
}
