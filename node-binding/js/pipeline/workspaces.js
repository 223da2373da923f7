// @ts-check
// Workspaces: folders with a package.json whose packages are installed together, by a package.json above them that names them.
import { readFile } from 'node:fs/promises';
import { join, posix } from 'node:path';
import { doesNotBuild } from './faults.js';

/** @typedef {import('./source.js').Entry} Entry */

/**
 * The folders that are installed with `folder`, the one that the install runs in first: all of a workspace that has it as a member,
 * or itself alone.
 * @param {string} folder  with a package.json, relative to the app
 * @param {{ tree: string, files: Map<string, Entry> }} app
 * @returns {Promise<string[]>}
 */
export async function installedWith(folder, { tree, files }) {
  const all = [...files.keys()].filter((path) => posix.basename(path) === 'package.json').map((path) => posix.dirname(path)).map((at) => (at === '.' ? '' : at));
  for (const top of [folder, ...above(folder)]) {
    if (top !== folder && isPnpms(top, folder, files)) throw notOfPnpm(top, folder);
    const patterns = all.includes(top) ? await namedBy(join(tree, top, 'package.json')) : [];
    const members = all.filter((at) => at !== top && isMember(posix.relative(top, at), patterns));
    if (top === folder ? members.length : members.includes(folder)) return [top, ...members];
  }
  return [folder];
}

/** @param {string} folder */
function above(folder) {
  const folders = [];
  for (let at = folder; at !== ''; ) folders.push((at = posix.dirname(at) === '.' ? '' : posix.dirname(at)));
  return folders;
}

/**
 * pnpm names its members elsewhere, and lays them out in a way of its own.
 * @param {string} top
 * @param {string} folder
 * @param {Map<string, Entry>} files
 */
function isPnpms(top, folder, files) {
  const has = (/** @type {string} */ at, /** @type {string} */ name) => files.has(posix.join(at, name));
  return has(top, 'pnpm-workspace.yaml') && !has(top, 'package-lock.json') && !has(folder, 'pnpm-lock.yaml');
}

/**
 * @param {string} top
 * @param {string} folder
 */
function notOfPnpm(top, folder) {
  const ways = `Give ${folder} a lock of its own ("pnpm install --ignore-workspace" in it), or name it in "workspaces" of ${posix.join(top, 'package.json')} and use npm`;
  const message = `is below ${posix.join(top, 'pnpm-workspace.yaml')}, and a pnpm workspace cannot be installed here. ${ways}`;
  return doesNotBuild([{ file: posix.join(folder, 'package.json'), pointer: '', message }]);
}

/**
 * The patterns of `workspaces`: a list, or yarn's older object with one. What cannot be read is said where it is installed.
 * @param {string} path
 * @returns {Promise<string[]>}
 */
async function namedBy(path) {
  try {
    const { workspaces } = JSON.parse(await readFile(path, 'utf8'));
    const patterns = Array.isArray(workspaces) ? workspaces : workspaces?.packages;
    return Array.isArray(patterns) ? patterns.filter((pattern) => typeof pattern === 'string') : [];
  } catch {
    return [];
  }
}

/**
 * @param {string} path
 * @param {string[]} patterns  of which the last that fits decides
 */
function isMember(path, patterns) {
  const [last] = patterns.filter((pattern) => asExpression(pattern.replace(/^!/, '')).test(`${path}/`)).slice(-1);
  return last !== undefined && !last.startsWith('!');
}

/**
 * A pattern of folders, each with a `/` behind it: `*` is one name, or a part of it, and `**` any number of names.
 * @param {string} pattern
 */
function asExpression(pattern) {
  const names = posix.normalize(pattern).replace(/\/$/, '').split('/');
  const parts = names.map((name) => (name === '**' ? '(?:[^/]+/)*' : `${name.replace(/[.+?^${}()|[\]\\]/g, '\\$&').replaceAll('*', '[^/]*')}/`));
  return new RegExp(`^${parts.join('')}$`);
}
