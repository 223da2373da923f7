// @ts-check
// What an app declares: manifest, interfaces and tables, read and compiled by remy.
import { now } from './step.js';

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
  return now('readApp', [root, called]);
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
  const of = manifest.methods.map(({ id }) => [id, schemas(id) ?? null]);
  return now('compileInterface', [it, manifest, Object.fromEntries(of)]);
}

/**
 * What a release declares besides tables, as the option `effects` of the verbs takes it.
 *
 * @param {Manifest} manifest
 * @param {Interface[]} interfaces
 * @returns {import('../../js/index.js').Effects}
 */
export function effects(manifest, interfaces) {
  return now('effects', [manifest, interfaces]);
}
