// @ts-check
// Tools, as agents, voices and MCP servers have them.
import { all, distinct, flag, given, isGiven, isObject, list, matching, oneOf, shape } from '../check.js';
import { method, objectSchema, role, textFile, textOrFile } from '../references.js';

/** @typedef {import('../check.js').Check} Check */
/** @typedef {import('../interfaces.js').Interface} Interface */
/** @typedef {import('../interfaces.js').Compiling} Compiling */

/** Models and MCP clients take no other names. */
export const toolName = matching(/^[a-zA-Z0-9_-]{1,128}$/, 'is no name of a tool: 1 to 128 of A-Z, a-z, 0-9, "_" and "-"');

/**
 * The tools of an agent or a voice: methods, or what the client does by itself. `more` fields are those of a voice.
 *
 * @param {Record<string, Check>} [more]
 * @returns {Check}
 */
export function tools(more = {}) {
  const own = all(shape({ method, 'name?': toolName, 'description?': textFile, 'inputSchema?': objectSchema, ...more }), described);
  const client = shape({ target: oneOf('client'), name: toolName, description: textOrFile, 'inputSchema?': objectSchema, ...more });
  return all(
    list((at) => (at.value?.target === undefined ? own : client)(at)),
    distinct('', 'name', { key: nameOf }),
  );
}

/**
 * A tool is chosen by its description: its own, or that of its method.
 *
 * @type {Check}
 */
export function described(at) {
  const { description, method } = isObject(at.value) ? at.value : {};
  const known = isGiven(description) || !at.scope.methods?.has(method) || at.scope.described.has(method);
  return known || at.at('description').fault(`is missing, and the method "${method}" has none in the manifest that could stand for it`);
}

/** @param {any} tool */
export const nameOf = (tool) => tool?.name ?? tool?.method;

/** Who may start a session. */
export const auth = all(
  shape({ requireUser: flag, 'requireRole?': (at) => (Array.isArray(at.value) ? list(role) : role)(at) }),
  (at) => {
    const roles = at.value?.requireRole ?? [];
    const fits = roles.length === 0 || at.value.requireUser !== false;
    return fits || at.at('requireRole').fault('needs "requireUser": true: nobody has a role who is not known');
  },
);

/**
 * Who may start a session. Where the config is silent, the manifest decides.
 *
 * @param {Interface} it
 * @param {Compiling} app
 */
export function authOf(it, { manifest }) {
  const { requireUser = manifest.auth?.enabled ?? false, requireRole } = it.config.auth ?? {};
  return { requireUser, requireRole: [requireRole ?? []].flat() };
}

/**
 * An agent's or a voice's tools: texts inlined, with schemas.
 *
 * @param {Interface} it
 * @param {Compiling} app
 */
export function compileTools(it, app) {
  return (it.config.tools ?? []).map((/** @type {any} */ tool, /** @type {number} */ i) => ({
    ...given(tool),
    name: nameOf(tool),
    description: it.files[`${it.pointer}/tools/${i}/description`] ?? tool.description ?? descriptionOf(tool.method, app),
    inputSchema: inputSchema(tool, `${it.pointer}/tools/${i}`, app),
  }));
}

/**
 * What the manifest says of a method.
 *
 * @param {string} id
 * @param {Compiling} app
 */
export const descriptionOf = (id, { manifest }) => manifest.methods.find((method) => method.id === id)?.description;

/**
 * The schema of a tool's input, which has to be of type object: the config's own, or the method's.
 *
 * @param {{ method?: string, inputSchema?: any }} tool
 * @param {string} pointer
 * @param {Compiling} app
 */
export function inputSchema(tool, pointer, { schemas, warn }) {
  const schema = tool.inputSchema ?? (tool.method === undefined ? {} : schemas(tool.method));
  if (schema?.type === 'object') return schema;
  const types = [schema?.type ?? 'object'].flat();
  if (isObject(schema) && types.includes('object')) return { ...schema, type: 'object' };
  // A tool's arguments have names. One without a schema can still be called.
  warn(pointer, `the method "${tool.method}" takes no object, and a tool's input is one: its schema is left out`);
  return { type: 'object' };
}
