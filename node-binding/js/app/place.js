// @ts-check
// Where things live, which the addon knows: the folder of the app, its live database and that one's store.
import { now, step } from '../pipeline/step.js';

/** The manifest of an app. */
export const MANIFEST = 'mindstudio.json';

/**
 * @typedef {object} Place
 * @property {string | null} root the folder of the manifest, `null` where there is none
 * @property {string} base the folder that everything is relative to: the manifest's, or the working folder
 * @property {string} path the live database, symlinks resolved
 * @property {'db' | 'REMY_DB' | 'remy.json' | 'default'} from what named it
 * @property {string | null} schema what a publish declares where nothing is named, from remy.json
 * @property {string[]} extensions the libraries that the schema needs, from remy.json
 */

/**
 * Looks for the manifest, in `dir` or above it, and for the live database.
 * @param {string} dir
 * @param {{ db?: string, here?: boolean }} options `here`: the manifest has to be in `dir` itself
 * @returns {Place}
 */
export function find(dir, { db, here = false }) {
  return now('find', [dir, { db, here, environment: process.env.REMY_DB }]);
}

/**
 * A folder for one build, which its caller removes. What a build left that was killed goes when the next one begins.
 * @param {string} base
 * @returns {Promise<string>}
 */
export async function buildFolder(base) {
  return step('buildFolder', base);
}

/**
 * The store of a live database, where it has releases; `null` where there is none.
 * @param {string} live
 * @returns {string | null}
 */
export function storeBeside(live) {
  return now('storeBeside', live);
}

/**
 * Whether something is at a path. What may not be looked at is there: who opens it is told why they may not.
 * @param {string} path
 * @returns {boolean}
 */
export function isThere(path) {
  return now('isThere', path);
}

/**
 * Makes an empty live database.
 * @param {Place} place
 */
export function make(place) {
  now('makeLive', place);
}
