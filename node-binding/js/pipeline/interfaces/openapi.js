// @ts-check
// An OpenAPI 3.1 document of an API's routes. Where the API is served is not known here: the document names no server.
import { given, isObject } from '../check.js';

/** @typedef {import('./api.js').Route} Route */
/** @typedef {import('./api.js').Param} Param */
/** @typedef {Record<string, any>} Schema */

/** The types that JSON has. */
export const PARAM_TYPES = ['string', 'number', 'integer', 'boolean', 'array', 'object'];

/** Requests without a body: what they take stands in the path and the query. */
export const BODILESS = ['GET', 'DELETE'];

const FAILURES = {
  401: ['Unauthorized', 'The method needs a user, and the caller is not known'],
  403: ['Forbidden', 'The method needs a role that the caller does not have'],
  500: ['Failed', 'The method failed'],
};

/**
 * @param {{ name: string, description?: string }} api
 * @param {Route[]} routes
 */
export function openapi({ name, description }, routes) {
  /** @type {Record<string, Record<string, any>>} */
  const paths = {};
  const schemas = new Components();
  const ids = new Ids(routes);
  for (const route of routes) {
    const at = templateOf(route.path, Object.keys(paths));
    paths[at.path] = { ...paths[at.path], [route.method.toLowerCase()]: operation(route, at.names, schemas, ids) };
  }
  const tags = [...new Set(routes.map((route) => route.tag).filter(Boolean))].map((name) => ({ name }));
  const responses = Object.fromEntries(Object.values(FAILURES).map(([name, description]) => [name, { description }]));
  return {
    openapi: '3.1.0',
    info: given({ title: name, description, version: '1.0.0' }),
    paths,
    components: { responses, ...(Object.keys(schemas.all).length && { schemas: schemas.all }) },
    ...(tags.length && { tags }),
  };
}

/**
 * The names of the parameters in a path.
 *
 * @param {string} path
 */
export const paramsOf = (path) => path.split('/').filter((segment) => segment.startsWith(':')).map((segment) => segment.slice(1));

/**
 * The path as OpenAPI writes it, and what its parameters are called there. Two paths that differ in the names of parameters only are
 * one to OpenAPI, so a later one takes the names of the first.
 *
 * @param {string} path
 * @param {string[]} known
 */
function templateOf(path, known) {
  const own = path.split('/').map((segment) => (segment.startsWith(':') ? `{${segment.slice(1)}}` : segment)).join('/');
  const shape = (/** @type {string} */ template) => template.replace(/\{[^}]+\}/g, '{}');
  const template = known.find((other) => shape(other) === shape(own)) ?? own;
  const names = [...template.matchAll(/\{([^}]+)\}/g)].map(([, name]) => name);
  return { path: template, names };
}

/**
 * @param {Route} route
 * @param {string[]} names of the path's parameters
 * @param {Components} schemas
 * @param {Ids} ids
 */
function operation(route, names, schemas, ids) {
  const { method, path, handler, summary, description, tag, params = {} } = route;
  const input = schemas.embed(handler, route.inputSchema);
  const properties = new Map(Object.entries(input.properties ?? {}));
  const inPath = paramsOf(path);
  const inQuery = Object.keys(params.query ?? {});
  const bodiless = BODILESS.includes(method);

  const parameters = inPath.map((name, i) => given({
    name: names[i],
    in: 'path',
    required: true,
    description: params.path?.[name]?.description,
    schema: schemaOf(params.path?.[name], properties.get(name), 'string'),
  }));
  // A request without a body has the rest of its input in the query.
  const rest = bodiless && !params.query ? [...properties.keys()].filter((name) => !inPath.includes(name)) : inQuery;
  for (const name of rest) {
    const param = params.query?.[name];
    parameters.push(given({
      name,
      in: 'query',
      required: (param ? param.required : input.required?.includes(name)) || undefined,
      description: param?.description,
      schema: schemaOf(param, properties.get(name)),
    }));
  }

  return given({
    operationId: ids.next(handler),
    tags: tag ? [tag] : undefined,
    summary,
    description,
    parameters: parameters.length ? parameters : undefined,
    requestBody: bodiless ? undefined : requestBody(params.body, input, [...inPath, ...inQuery]),
    responses: {
      200: { description: 'What the method returned', content: { 'application/json': { schema: {} } } },
      ...Object.fromEntries(Object.entries(FAILURES).map(([status, [name]]) => [status, { $ref: `#/components/responses/${name}` }])),
    },
  });
}

/**
 * The body: the fields that are declared, or what the method takes but for what stands in the path and the query.
 *
 * @param {Record<string, Param> | undefined} declared
 * @param {Schema} input
 * @param {string[]} elsewhere
 */
function requestBody(declared, input, elsewhere) {
  const required = declared
    ? Object.keys(declared).filter((name) => declared[name].required)
    : (input.required ?? []).filter((/** @type {string} */ name) => !elsewhere.includes(name));
  /** @type {Schema} */
  let schema = input;
  if (declared) {
    const known = new Map(Object.entries(input.properties ?? {}));
    const properties = Object.entries(declared).map(([name, param]) =>
      [name, { ...schemaOf(param, known.get(name)), ...given({ description: param.description }) }]);
    schema = { type: 'object', properties: Object.fromEntries(properties) };
  } else if (isObject(input.properties)) {
    schema = { ...input, properties: Object.fromEntries(Object.entries(input.properties).filter(([name]) => !elsewhere.includes(name))) };
  } else if (elsewhere.length) {
    // What is not a plain object cannot be taken apart.
    schema = { type: 'object' };
  }
  const { required: _, ...body } = schema;
  return { required: required.length > 0, content: { 'application/json': { schema: required.length ? { ...body, required } : body } } };
}

/**
 * A parameter's schema: the method's own says more than the declared type.
 *
 * @param {Param | undefined} param
 * @param {Schema | undefined} known
 * @param {string} [otherwise]
 * @returns {Schema}
 */
function schemaOf(param, known, otherwise) {
  const type = PARAM_TYPES.includes(param?.type ?? '') ? param?.type : otherwise;
  return known ?? (type ? { type } : {});
}

/** A route's id is its method's. Further routes of a method are told apart by a number. */
class Ids {
  /** @type {Set<string>} */
  used = new Set();

  /** @param {Route[]} routes */
  constructor(routes) {
    this.handlers = new Set(routes.map((route) => route.handler));
  }

  /** @param {string} handler */
  next(handler) {
    let id = handler;
    // A method may have such an id itself.
    for (let i = 2; this.used.has(id) || (id !== handler && this.handlers.has(id)); i++) id = `${handler}-${i}`;
    this.used.add(id);
    return id;
  }
}

/** The schemas that others refer to. A `#/$defs/…` of a method's schema would name the document's root here. */
class Components {
  /** @type {Record<string, Schema>} */
  all = {};

  /**
   * A method's schema with its references rewritten, and what they refer to added to the components.
   *
   * @param {string} id the method's
   * @param {any} schema
   * @returns {Schema}
   */
  embed(id, schema) {
    if (!isObject(schema)) return {};
    const { $schema, $id, $defs = {}, definitions = {}, ...root } = schema;
    const own = (/** @type {string} */ name) => `${id}.${name.replace(/[^\w.-]/g, (c) => `_${c.codePointAt(0)?.toString(16)}`)}`;
    let whole = false;
    const rename = (/** @type {string} */ ref) => {
      const [, name, rest] = /^#\/(?:\$defs|definitions)\/([^/]+)(.*)$/.exec(ref) ?? [];
      if (name !== undefined) return `#/components/schemas/${own(decode(name))}${rest}`;
      if (ref !== '#' && !ref.startsWith('#/')) return ref;
      whole = true;
      return `#/components/schemas/${id}${ref.slice(1)}`;
    };
    const embedded = rewritten(root, rename);
    for (const [name, definition] of Object.entries({ ...definitions, ...$defs })) this.all[own(name)] = rewritten(definition, rename);
    if (whole) this.all[id] = embedded;
    return embedded;
  }
}

/** A segment of a JSON pointer in a URI. @param {string} segment */
const decode = (segment) => decodeURIComponent(segment).replaceAll('~1', '/').replaceAll('~0', '~');

/**
 * @param {any} value
 * @param {(ref: string) => string} rename
 * @returns {any}
 */
function rewritten(value, rename) {
  if (Array.isArray(value)) return value.map((entry) => rewritten(entry, rename));
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, entry]) => {
    // These hold data, not schemas.
    if (['enum', 'const', 'default', 'examples'].includes(key)) return [key, entry];
    return [key, key === '$ref' && typeof entry === 'string' ? rename(entry) : rewritten(entry, rename)];
  }));
}
