// @ts-check
// What core reads of an app's TypeScript: its tables, and what its methods take.
import { join } from 'node:path';
import { load } from '../addon.js';

/** @typedef {import('./faults.js').Fault} Fault */
/** @typedef {{ tables: { name: string, columns: { name: string }[] }[], whole: boolean }} Tables  `whole`: there are no others */
/** @typedef {{ file: string, pointer: string | null, line: number | null, column: number | null, source: string | null, message: string }} Told */

/**
 * Adds what is wrong with an app's tables to what is wrong with its manifest, and gives the tables that could be read.
 *
 * @param {import('./manifest.js').Manifest} manifest
 * @param {import('./faults.js').Faults} faults
 * @returns {Tables}
 */
export function checkTables(manifest, faults) {
  const { root, file, json } = manifest;
  if (json === undefined) return { tables: [], whole: false };
  const { tables, errors, warnings } = JSON.parse(load().appTables(join(root, file)));
  // Core looks at the manifest's entries as well: what was said of one is not said again.
  const said = faults.list.filter((fault) => fault.file === file).map(({ pointer }) => pointer);
  const isSaid = (/** @type {Told} */ { file: of, pointer }) => of === file && pointer !== null && said.some((at) => at === pointer || at.startsWith(`${pointer}/`));
  // Nor that its file lacks what an entry asks for wrongly.
  const wrong = new Set(manifest.tables.filter((_, i) => said.some((at) => at.startsWith(`/tables/${i}/`))).map(({ path }) => path));
  const isCaused = (/** @type {Told} */ { file: of, line }) => line === null && wrong.has(of);
  faults.list.push(...errors.filter((/** @type {Told} */ error) => !isSaid(error) && !isCaused(error)).map(fault));
  // In the words of core, which says them again when it reads the tables to publish them: so its log has them once.
  faults.warnings.push(...warnings);
  return { tables, whole: errors.length === 0 };
}

/**
 * The JSON Schemas of what methods take, by their ids. What cannot be known is said to `warn`, and `{}`.
 *
 * @param {string} root
 * @param {{ id: string, path: string, export: string }[]} methods
 * @param {(warning: Fault, method: string) => void} warn
 */
export function inputSchemas(root, methods, warn) {
  /** @type {Map<string, object>} */
  const known = new Map();
  return (/** @type {string} */ id) => {
    const method = methods.find((method) => method.id === id);
    if (!method) return {};
    let schema = known.get(id);
    if (schema === undefined) {
      const read = readMethod(root, method);
      for (const told of [...read.errors, ...read.warnings]) warn(told, id);
      schema = read.schema;
      known.set(id, schema);
    }
    return schema;
  };
}

/**
 * What is wrong with a method that is no function. What only running it would tell (what a call gives, what a package exports) is none.
 *
 * @param {string} root
 * @param {{ path: string, export: string }} method
 * @returns {Fault[]}
 */
export function notFunction(root, method) {
  const { function: isFunction, errors } = readMethod(root, method);
  return isFunction === false ? errors : [];
}

/**
 * The files that are nested too deep for a compiler.
 *
 * @param {string} root
 * @param {Iterable<string>} paths
 * @returns {Fault[]}
 */
export function nestedTooDeep(root, paths) {
  const sources = [...paths].filter((path) => /\.([cm]?[jt]sx?|json)$/.test(path));
  return sources.map((path) => JSON.parse(load().nestedTooDeep(root, path))).filter(Boolean).map(fault);
}

/**
 * @param {string} root
 * @param {{ path: string, export: string }} method
 * @returns {{ function: boolean | null, schema: object, errors: Fault[], warnings: Fault[] }}
 */
function readMethod(root, { path, export: name }) {
  const read = JSON.parse(load().methodInput(root, path, name));
  return { ...read, errors: read.errors.map(fault), warnings: read.warnings.map(fault) };
}

/**
 * @param {Told} told
 * @returns {Fault}
 */
function fault({ file, pointer, message, line, column, source }) {
  return { file, pointer: pointer ?? '', message, ...(line === null ? {} : { line, column: column ?? 1, source: source ?? undefined }) };
}
