// @ts-check
// Finds and loads the native addon, which is also the program that verbs run in (process.js). What is called here opens no database.
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { RemyError } from './error.js';

/** This machine's. */
export const platform = `${process.platform}-${process.arch}-gnu`;

/** The addon's path: the one named by REMY_ADDON, or the one that the package of this platform brings. */
const find = () =>
  process.env.REMY_ADDON || brought('addon', '', `remy.${platform}.node`, 'libremy_node.so');

/**
 * The path of what the package of this platform brings; in a checkout that package is a folder, and what cargo builds will do.
 * @param {'addon' | 'program'} what
 * @param {string} name in the package, as it is required
 * @param {string} file in the package
 * @param {string} built as cargo calls it
 */
export function brought(what, name, file, built) {
  try {
    return createRequire(import.meta.url).resolve(`remy-db-${platform}${name}`);
  } catch {
    const places = [
      `../npm/${platform}/${file}`,
      `../../target/release/${built}`,
      `../../target/debug/${built}`,
    ];
    const paths = places.map((path) => fileURLToPath(new URL(path, import.meta.url)));
    const found = paths.find((path) => existsSync(path));
    if (found) return found;
    const which = what === 'addon' ? 'engine' : 'program';
    throw missing(
      `there is no package remy-db-${platform}, which brings the ${which} for this machine, and no ${what} at ${paths.join(', ')}`,
    );
  }
}

/** The program's path: the one named by REMY_PROGRAM, or the one that the package of this platform brings. */
export const program = () =>
  process.env.REMY_PROGRAM || brought('program', '/remy', 'remy', 'remy');

const INSTALL = `Install remy-db again with its optional dependencies (npm install --include=optional); remy-db-${platform} has to be among them`;

/**
 * The error for what the package of this platform should have brought.
 * @param {string} what
 */
export function missing(what) {
  return new RemyError({
    code: 'not_found',
    message: `${what}. Nothing was done. ${INSTALL}`,
    hint: INSTALL,
    object: `remy-db-${platform}`,
  });
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
