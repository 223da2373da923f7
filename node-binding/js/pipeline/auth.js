// @ts-check
// Who signs in stands in a table of the app: it and its columns are those that the tables' files declare, whatever the manifest calls them.
import { At, isObject } from './check.js';
import { scopeOf } from './manifest.js';
import { known } from './references.js';

/** Columns that every table has besides its own. */
const SYSTEM = ['id', 'created_at', 'updated_at', 'last_updated_by'];

/**
 * @param {import('./manifest.js').Manifest} manifest
 * @param {import('./typescript.js').Tables} tables
 * @param {import('./faults.js').Faults} faults
 */
export function checkAuth({ root, json }, { tables, whole }, faults) {
  const auth = new At(scopeOf(root, json, faults), json, '').at('auth');
  // What is switched off may be half done.
  if (auth.value?.enabled !== true) return;
  const at = auth.at('table');
  // An entry that is wrong in itself is told of, and put right first.
  if (faults.list.some(({ file, pointer }) => file === auth.scope.file && pointer.startsWith(`${at.pointer}/`))) return;
  const { name, columns } = isObject(at.value) ? at.value : {};
  if (typeof name !== 'string' || !name.trim()) return;
  const table = tables.find((table) => table.name === name);
  // One that could not be read is a fault already.
  if (!table && whole) at.at('name').fault(`there is no table "${name}"; ${known(tables.map(({ name }) => name))}`);
  if (!table) return;
  const names = table.columns.map(({ name }) => name);
  for (const [key, column] of Object.entries(isObject(columns) ? columns : {})) {
    if (typeof column !== 'string' || !column.trim() || names.includes(column) || SYSTEM.includes(column)) continue;
    at.at('columns').at(key).fault(`there is no column "${column}" in the table "${name}", which has ${names.join(', ') || 'none'}`);
  }
}
