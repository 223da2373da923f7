// @ts-check
// What core reads of an app's TypeScript: what its methods take.
import { load } from '../addon.js';
import { fault } from './faults.js';

/** @typedef {import('./faults.js').Fault} Fault */
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
 * @param {string} root
 * @param {{ path: string, export: string }} method
 * @returns {{ schema: object, errors: Fault[], warnings: Fault[] }}
 */
function readMethod(root, { path, export: name }) {
  const read = JSON.parse(load().methodInput(root, path, name));
  return { ...read, errors: read.errors.map(fault), warnings: read.warnings.map(fault) };
}
