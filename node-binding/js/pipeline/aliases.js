// @ts-check
// Where an import that names no file by a relative path is looked for among the app's own files: by `baseUrl` and `paths` of the settings.
import { posix } from 'node:path';

/** @typedef {{ bases: string[], paths: [string, string[]][] }} Aliases */

/**
 * What a tsconfig.json says of it; `null` where that cannot be told.
 * @param {string} path  of the file, relative to the app
 * @param {string} text
 * @returns {Aliases | null}
 */
export function aliasesOf(path, text) {
  let options;
  try {
    options = JSON.parse(withoutComments(text))?.compilerOptions ?? {};
  } catch {
    return null;
  }
  const { baseUrl, paths = {} } = options;
  const folder = posix.dirname(path);
  if (baseUrl === undefined && !Object.keys(paths).length) return { bases: [], paths: [] };
  const lists = Object.values(paths);
  if (!['undefined', 'string'].includes(typeof baseUrl) || !lists.every((list) => Array.isArray(list) && list.every((to) => typeof to === 'string'))) return null;
  // `paths` of one file may count from the `baseUrl` of another.
  return { bases: [folder, ...(baseUrl === undefined ? [] : [posix.join(folder, baseUrl)])], paths: Object.entries(paths) };
}

/**
 * The places at which an import may be looked for: more than there are, so that none is missed.
 * @param {Aliases[]} all
 * @param {string} specifier
 */
export function placesOf(all, specifier) {
  const bases = new Set(all.flatMap(({ bases }) => bases));
  const targets = [specifier];
  for (const [pattern, to] of all.flatMap(({ paths }) => paths)) {
    const [before, after] = pattern.split('*');
    if (after === undefined ? specifier !== pattern : !(specifier.startsWith(before) && specifier.endsWith(after))) continue;
    const part = after === undefined ? '' : specifier.slice(before.length, specifier.length - after.length);
    targets.push(...to.map((target) => target.replace('*', () => part)));
  }
  return [...bases].flatMap((base) => targets.map((target) => posix.join(base, target)));
}

/**
 * JSON, as TypeScript takes it: with comments, and commas at the end.
 * @param {string} text
 */
function withoutComments(text) {
  return text
    .replace(/^\uFEFF/, '')
    .replace(/("(?:[^"\\]|\\.)*")|\/\*[^]*?\*\/|\/\/.*/g, (_, string) => string ?? ' ')
    .replace(/("(?:[^"\\]|\\.)*")|,(?=\s*[}\]])/g, (_, string) => string ?? '');
}
