// @ts-check
// What the hosted platform's own SDK finds as `globalThis.ai`: who calls, the tables, and where users are.

/**
 * @param {import('./sdk/auth.mjs').Auth} auth
 * @param {{ tables: Record<string, { columns: Record<string, string> }>, auth: null | { table: string, columns: Record<string, string> } }} load
 */
export function platform(auth, load) {
  const schema = (/** @type {Record<string, string>} */ columns) =>
    Object.entries(columns).map(([name, type]) => ({ name, type, required: false }));
  const tables = Object.entries(load.tables).map(([name, { columns }]) => ({
    name,
    schema: schema(columns),
  }));
  return {
    auth,
    databases: [{ id: 'live', name: 'live', tables }],
    ...(load.auth && { authConfig: load.auth }),
  };
}
