// @ts-check
// The app as an MCP server: tools, resources and prompts for somebody else's agent.
import { all, both, distinct, filled, flag, given, isObject, list, shape, text } from '../check.js';
import { method, objectSchema, textFile } from '../references.js';
import { described, descriptionOf, inputSchema, nameOf, toolName } from './tools.js';

/** @typedef {import('../check.js').Check} Check */
/** @typedef {import('../interfaces.js').Interface} Interface */
/** @typedef {import('../interfaces.js').Compiling} Compiling */

const tool = all(
  shape({
    method,
    'name?': toolName,
    'title?': text,
    'description?': textFile,
    'annotations?': shape({ 'readOnly?': flag, 'destructive?': flag, 'idempotent?': flag, 'openWorld?': flag }),
    'inputSchema?': objectSchema,
  }),
  described,
);

const uri = both(filled, (at) => {
  if (/[{}]/.test(at.value)) return at.fault(`"${at.value}" has a {parameter}; it is a "uriTemplate"`);
  return (/^[a-z][a-z0-9+.-]*:\S+$/i.test(at.value) && URL.canParse(at.value)) || at.fault(`"${at.value}" is no URI, as in "app://vendors"`);
});

/** An expression of RFC 6570, as in `{id}`, `{+path}` and `{?from,to*}`. */
const EXPRESSION = /\{[+#./;?&]?[\w%][\w.%]*(:[1-9]\d{0,3}|\*)?(,[\w%][\w.%]*(:[1-9]\d{0,3}|\*)?)*\}/g;

const uriTemplate = both(filled, (at) => {
  const rest = at.value.replace(EXPRESSION, 'x');
  if (rest === at.value && !/[{}]/.test(rest)) return at.fault(`"${at.value}" has no {parameter}; it is a "uri"`);
  return (/^[a-z][a-z0-9+.-]*:[^\s{}]+$/i.test(rest)) || at.fault(`"${at.value}" is no URI template, as in "app://vendors/{id}"`);
});

const resource = all(
  shape({ method, 'uri?': uri, 'uriTemplate?': uriTemplate, name: filled, 'title?': text, 'description?': text, 'mimeType?': text }),
  (at) => {
    if (!isObject(at.value)) return true;
    const count = ['uri', 'uriTemplate'].filter((key) => typeof at.value[key] === 'string').length;
    return count === 1 || at.fault(count === 2 ? 'has both a uri and a uriTemplate; keep one of them' : 'has neither a uri nor a uriTemplate');
  },
);

const prompt = all(
  shape({
    name: filled,
    'title?': text,
    'description?': text,
    'arguments?': all(list(shape({ name: filled, 'title?': text, 'description?': text, 'required?': flag })), distinct('name', 'name')),
    template: textFile,
  }),
  (at) => {
    const template = at.scope.files[`${at.pointer}/template`] ?? '';
    const names = at.at('arguments').each().map((argument) => argument.value?.name);
    for (const name of new Set([...template.matchAll(/\{\{\s*([\w-]+)\s*\}\}/g)].map(([, name]) => name))) {
      if (!names.includes(name)) at.at('template').warn(`the template has {{${name}}}, which is no argument of the prompt`);
    }
    return true;
  },
);

export const fields = {
  'name?': filled,
  'description?': text,
  'instructions?': textFile,
  'tools?': all(list(tool), distinct('', 'tool name', { key: nameOf })),
  'resources?': all(list(resource), distinct('', 'uri', { key: (resource) => resource?.uri ?? resource?.uriTemplate })),
  'prompts?': all(list(prompt), distinct('name', 'name')),
  'methods?': all(list(method), distinct('', 'method', { key: (id) => id })),
};

/** @type {Check} */
export function also(at) {
  const { tools, resources, prompts, methods } = at.value;
  if ([tools, resources, prompts, methods].every((list) => !list?.length)) at.warn('declares no tool, resource or prompt');
  if (tools && methods) at.at('methods').warn('is not read where there are tools');
  return true;
}

/**
 * @param {Interface} it
 * @param {Compiling} app
 */
export function compile(it, app) {
  const { config, files, pointer } = it;
  const text = (/** @type {string} */ path) => files[`${pointer}/${path}`];
  const declared = config.tools ?? (config.methods ?? []).map((/** @type {string} */ method) => ({ method }));
  const tools = declared.map((/** @type {any} */ tool, /** @type {number} */ i) => ({
    method: tool.method,
    ...given({
      name: nameOf(tool),
      title: tool.title,
      description: text(`tools/${i}/description`) ?? descriptionOf(tool.method, app),
      inputSchema: inputSchema(tool, `${pointer}/${config.tools ? 'tools' : 'methods'}/${i}`, app),
      annotations: annotations(tool.annotations),
    }),
  }));
  const prompts = (config.prompts ?? []).map((/** @type {any} */ prompt, /** @type {number} */ i) =>
    ({ ...given(prompt), template: text(`prompts/${i}/template`) }));
  const server = given({ name: config.name ?? app.manifest.name, description: config.description, instructions: text('instructions') });
  return {
    'interfaces/mcp.json': { ...server, tools, resources: (config.resources ?? []).map(given), prompts },
    'interfaces/mcp-tools.json': { tools: tools.map((/** @type {any} */ { method, ...tool }) => tool) },
  };
}

/**
 * Under the names that MCP has for them.
 *
 * @param {Record<string, boolean> | undefined | null} annotations
 */
function annotations(annotations) {
  return annotations && Object.fromEntries(['readOnly', 'destructive', 'idempotent', 'openWorld']
    .filter((name) => typeof annotations[name] === 'boolean')
    .map((name) => [`${name}Hint`, annotations[name]]));
}
