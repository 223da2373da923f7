// @ts-check
// Finds and loads the native addon. Verbs are for the worker process; reading TypeScript opens no database and is done here, too.
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { RemyError } from './error.js';

/** This machine's. */
export const platform = `${process.platform}-${process.arch}-gnu`;

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
    throw missing(`there is no package remy-db-${platform}, which brings the engine for this machine, and no addon at ${paths.join(', ')}`);
  }
}

const INSTALL = `Install remy-db again with its optional dependencies (npm install --include=optional); remy-db-${platform} has to be among them`;

/**
 * The error for what the package of this platform should have brought.
 * @param {string} what
 */
export function missing(what) {
  return new RemyError({ code: 'not_found', message: `${what}. Nothing was done. ${INSTALL}`, hint: INSTALL, object: `remy-db-${platform}` });
}

/** @type {any} */
let addon;

/** Loads the addon, once. Its file may have any name, so it is not left to `require`. */
export function load() {
  if (addon === undefined) {
    const module = { exports: {} };
    const path = find();
    try {
      process.dlopen(module, path);
    } catch (error) {
      throw missing(`the engine cannot be loaded: ${/** @type {Error} */ (error).message}`);
    }
    addon = module.exports;
  }
  return addon;
}
