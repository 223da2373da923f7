// @ts-check
// What an app declares: manifest, interfaces and tables, read and compiled by the native addon.
import { load } from '../addon.js';
import { AppError } from './faults.js';

/** @typedef {{ id: string, name?: string, description?: string, path: string, export: string }} Method */
/** @typedef {{ name: string, appId?: string, description?: string, methods: Method[], tables: any[], roles: any[], interfaces: any[], scenarios: any[], auth?: any, root: string, file: string, warnings: string[], json: any }} Manifest */
/** @typedef {{ type: string, enabled: boolean, file: string, pointer: string, config: any, files: Record<string, string>, dir: string, warnings: string[] }} Interface */

/**
 * What the app in the folder `root` declares, or one `AppError` with every fault of all its files.
 *
 * @param {string} root
 * @param {string} [called] what it is for those who read of it
 * @returns {{ manifest: Manifest, interfaces: Interface[], warnings: string[] }}
 */
export function readApp(root, called) {
  const { app, refused } = JSON.parse(load().readApp(root, called));
  if (refused) throw new AppError(refused);
  return app;
}

/**
 * What an interface becomes: files by their paths in the release. One that is switched off becomes nothing. `schemas` gives the JSON
 * Schema of a method's input, `{}` where it is not known.
 *
 * @param {Interface} it
 * @param {{ manifest: Manifest, schemas: (method: string) => any }} app
 * @returns {{ files: Record<string, string>, warnings: string[] }}
 */
export function compile(it, { manifest, schemas }) {
  const schema = (/** @type {string} */ method) => JSON.stringify(schemas(method) ?? null);
  return JSON.parse(load().compileInterface(JSON.stringify(it), JSON.stringify(manifest), schema));
}

/**
 * What a release declares besides tables, as the option `effects` of the verbs takes it.
 *
 * @param {Manifest} manifest
 * @param {Interface[]} interfaces
 * @returns {import('../index.js').Effects}
 */
export function effects(manifest, interfaces) {
  return JSON.parse(load().appEffects(JSON.stringify(manifest), JSON.stringify(interfaces)));
}
