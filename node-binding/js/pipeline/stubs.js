// @ts-check
// Names that an app imports from an SDK and that remy's own module of it does not have. Each becomes an export that links, and throws
// `not_supported` when it is called.
import { readFileSync } from 'node:fs';
import { sdkFile } from './dependencies.js';

/** A name that an export can have. */
const NAME = /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u;

/**
 * What a module of the SDK exports, to programs and to type checkers.
 * @param {string} file  'agent', 'interface', 'voice'
 */
function exportsOf(file) {
  const found = new Set();
  for (const end of ['.js', '.d.ts']) {
    const text = readFileSync(sdkFile(file + end), 'utf8');
    for (const [, name] of text.matchAll(/^export (?:declare )?(?:const|function|async function|class|interface|type) (\w+)/gm)) found.add(name);
    if (/^export (default|\{ \w+ as default \})/m.test(text)) found.add('default');
  }
  return found;
}

/**
 * The names that texts import from `module` and that its `file` lacks, in order. Where a name is imported as, or whether as a type, is
 * of no account: a stub is both.
 * @param {Iterable<string>} texts
 * @param {string} module
 * @param {string} file
 */
export function lacking(texts, module, file) {
  const from = new RegExp(`\\b(?:import|export)\\s+(?:type\\s+)?([\\w$\\s,{}*]+?)\\s*\\bfrom\\s*(['"])${module.replace(/[/]/g, '\\/')}\\2`, 'g');
  const has = exportsOf(file);
  const found = new Set();
  for (const text of texts) {
    if (!text.includes(module)) continue;
    for (const [, clause] of text.replace(/\/\*[^]*?\*\/|(?<!:)\/\/.*$/gm, ' ').matchAll(from)) {
      const [, list = ''] = /\{([^}]*)\}/.exec(clause) ?? [];
      for (const entry of list.split(',')) found.add(entry.trim().replace(/^type\s+(?!as\b)/, '').split(/\s+as\s+/)[0].trim());
      if (/^(?!type\s)[\w$]/.test(clause.trim())) found.add('default');
    }
  }
  return [...found].filter((name) => NAME.test(name) && !has.has(name)).sort();
}

/** What makes a stub in each module. A bundle that calls one uses what remy has nothing behind. */
const MAKERS = { '@mindstudio-ai/agent': 'remyUnsupported', '@mindstudio-ai/interface': 'remyUnknown' };

/**
 * The exports as code, which goes behind a module's own.
 * @param {string} module  of any sub-path
 * @param {Iterable<string>} names
 */
export function stubs(module, names) {
  const maker = Object.entries(MAKERS).find(([name]) => module === name || module.startsWith(`${name}/`))?.[1];
  return [...names].map((name) => {
    const made = `/* @__PURE__ */ ${maker}(${JSON.stringify(name)});\n`;
    return name === 'default' ? `export default ${made}` : `export const ${name} = ${made}`;
  }).join('');
}

/**
 * The same for type checkers: anything may be done with them.
 * @param {Iterable<string>} names
 */
export function stubTypes(names) {
  return [...names].map((name) => {
    const told = '/** Not supported by remy. */\n';
    if (name === 'default') return `${told}declare const unsupported: any;\nexport default unsupported;\n`;
    return `${told}export const ${name}: any;\n${told}export type ${name} = any;\n`;
  }).join('');
}

/**
 * What a bundle uses of the SDK that remy has nothing behind.
 * @param {string} code
 * @returns {{ module: string, name: string }[]}
 */
export function usedIn(code) {
  const uses = Object.entries(MAKERS).flatMap(([module, maker]) =>
    [...code.matchAll(new RegExp(`\\b${maker}\\d*\\("([^"]+)"\\)`, 'g'))].map(([, name]) => ({ module, name })));
  return uses.filter(({ name }) => name !== 'mindstudio' || !onlyWaits(code));
}

/**
 * Whether nothing of `mindstudio` is used but `waitUntil`, which works.
 * @param {string} code
 */
function onlyWaits(code) {
  const uses = code.replace(/^.*\bremyUnsupported\d*\("mindstudio"\).*$/gm, '').replaceAll('"mindstudio"', '');
  return !/\bmindstudio\d*\b(?!-ai\b|\.waitUntil\b)/.test(uses);
}

/**
 * One warning for all that a release uses and remy has nothing behind; none where that is nothing.
 * @param {{ module: string, name: string, by: string }[]} uses  `by`: the id of a method, or an interface
 * @returns {string | null}
 */
export function warningOf(uses) {
  /** @type {Map<string, string[]>} */
  const all = new Map();
  for (const { module, name, by } of uses) all.set(`${name} of ${module}`, [...(all.get(`${name} of ${module}`) ?? []), by]);
  if (!all.size) return null;
  const list = [...all].map(([what, by]) => `${what} (in ${by.slice(0, 3).join(', ')}${by.length > 3 ? ` and ${by.length - 3} more` : ''})`);
  return `what remy has nothing behind throws not_supported when it is called: ${list.join('; ')}`;
}
