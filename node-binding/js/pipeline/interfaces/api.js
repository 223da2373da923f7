// @ts-check
// Methods as routes of an HTTP API.
import { all, both, distinct, filled, flag, given, list, map, or, shape, text } from '../check.js';
import { BODILESS, PARAM_TYPES, openapi, paramsOf } from './openapi.js';
import { method, objectSchema } from '../references.js';

/** @typedef {import('../check.js').Check} Check */
/** @typedef {import('../interfaces.js').Interface} Interface */
/** @typedef {import('../interfaces.js').Compiling} Compiling */

/** @typedef {{ type: string, required?: boolean, description?: string }} Param */
/** @typedef {Partial<Record<'path' | 'query' | 'body', Record<string, Param>>>} Params */
/** @typedef {{ summary?: string, description?: string, tag?: string, params?: Params }} Told what a route may say of itself */
/** @typedef {{ method: string, path: string, handler: string, inputSchema: any } & Told} Route */

const VERBS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'];

/** @type {Check} */
const verb = both(text, (at) => VERBS.includes(at.value.toUpperCase()) || at.fault(`has to be ${or(VERBS)}, but is "${at.value}"`));

const path = both(filled, (at) => {
  const value = at.value;
  if (!value.startsWith('/')) return at.fault(`"${value}" does not begin with "/"`);
  if (/[{}]/.test(value)) return at.fault(`"${value}" has braces; a parameter is written ":name"`);
  if (/[?#\s]/.test(value)) return at.fault(`"${value}" has more than a path in it; query parameters stand in "params"`);
  const params = paramsOf(value);
  const wrong = params.find((name) => !/^[A-Za-z_]\w*$/.test(name));
  if (wrong !== undefined) return at.fault(`":${wrong}" is no parameter: its name is made of letters, digits and "_"`);
  const twice = params.find((name, i) => params.indexOf(name) !== i);
  return twice === undefined || at.fault(`"${value}" has the parameter ":${twice}" twice`);
});

const param = all(shape({ type: filled, 'required?': flag, 'description?': text }), (at) => {
  const { type } = at.value ?? {};
  if (typeof type === 'string' && !PARAM_TYPES.includes(type)) at.at('type').warn(`"${type}" is no type of JSON; OpenAPI is told of no type`);
  return true;
});

const route = all(
  shape({
    method: verb,
    path,
    handler: method,
    'summary?': text,
    'description?': text,
    'tag?': text,
    'params?': shape({ 'path?': map(param), 'query?': map(param), 'body?': map(param) }),
    'inputSchema?': objectSchema,
  }),
  (at) => {
    const { method, path, params } = at.value ?? {};
    if (typeof path !== 'string') return true;
    const verb = String(method).toUpperCase();
    if (BODILESS.includes(verb) && params?.body) at.at('params').at('body').warn(`is not read: ${verb} has no body`);
    const names = paramsOf(path);
    const declared = at.at('params').at('path');
    return Object.keys(declared.value ?? {})
      .map((name) => names.includes(name) || declared.at(name).fault(`"${path}" has no ":${name}"`))
      .every(Boolean);
  },
);

export const fields = {
  'name?': filled,
  'description?': text,
  'routes?': all(list(route), distinct('', 'route', { key: keyOf })),
  'methods?': all(list(method), distinct('', 'method', { key: (id) => id })),
};

/** @type {Check} */
export function also(at) {
  if (at.value.routes && at.value.methods) at.at('methods').warn('is not read where there are routes');
  return true;
}

/**
 * What two routes may not share. The names of parameters do not tell requests apart.
 *
 * @param {any} route
 */
function keyOf(route) {
  if (typeof route?.method !== 'string' || typeof route.path !== 'string') return undefined;
  return `${route.method.toUpperCase()} ${normal(route.path).replace(/\/:[^/]+/g, '/:')}`;
}

/** @param {string} path */
const normal = (path) => path.replace(/\/{2,}/g, '/').replace(/(.)\/$/, '$1');

/**
 * @param {Interface} it
 * @param {Compiling} app
 */
export function compile({ config }, { manifest, schemas }) {
  const methods = new Map(manifest.methods.map((method) => [method.id, method]));
  // An app that names no routes calls its methods by their ids.
  const called = (/** @type {string} */ id) => ({ method: 'POST', path: `/${id}`, handler: id });
  const declared = config.routes ?? (config.methods ?? [...methods.keys()]).map(called);
  const routes = declared.map((/** @type {any} */ { method, path, handler, inputSchema, summary, description, ...rest }) => given({
    method: method.toUpperCase(),
    path: normal(path),
    handler,
    summary: summary ?? methods.get(handler)?.name,
    description: description ?? methods.get(handler)?.description,
    ...rest,
    inputSchema: inputSchema ?? schemas(handler),
  }));
  const api = given({ name: config.name ?? manifest.name, description: config.description });
  return { 'interfaces/api.json': { ...api, routes }, 'interfaces/openapi.json': openapi(api, routes) };
}
