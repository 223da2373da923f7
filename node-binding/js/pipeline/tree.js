// @ts-check
// The staged copy that packages are installed, methods compiled and web interfaces built in. It stays in the cache between builds,
// so that installed packages do, and is made equal to the release's source before each: whatever an earlier build wrote is gone.
import { createHash } from 'node:crypto';
import { lstatSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { readlink, rm, rmdir, symlink } from 'node:fs/promises';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { copy, exists, together } from './source.js';

/** @typedef {import('./source.js').Entry} Entry */
/** @typedef {Record<string, { of: string, as: string }>} Index  what was written, and what the file then looked like to stat */

/**
 * Makes `tree` hold exactly the files of `source`, and the folders of packages that still belong to a package.json.
 * @param {string} source
 * @param {string} tree
 * @param {Map<string, Entry>} files
 * @param {AbortSignal} [signal]
 */
export async function sync(source, tree, files, signal) {
  const indexPath = `${tree}.json`;
  const index = /** @type {Index} */ (readJson(indexPath, {}));
  // A tool that asks what is ignored (Tailwind scans what is not) stops at a repository's top. Without one here it finds the user's, where
  // `.remy` itself is ignored, and scans the packages instead. git takes an empty folder for no repository and looks further up.
  mkdirSync(join(tree, '.git'), { recursive: true });
  // Compilers look for settings in all folders above a file: here, beside the copy, they find that there are none, before they find those
  // of whatever folder the app lies in.
  for (const name of ['tsconfig.json', 'package.json']) if (!exists(join(dirname(tree), name))) writeWhole(join(dirname(tree), name), '{}\n');
  const there = await look(tree, files);
  /** @type {Index} */
  const now = {};
  const missing = [];
  let changed = false;
  for (const [path, as] of there) {
    if (files.has(path)) continue;
    await remove(tree, path);
    changed ||= path in index;
  }
  for (const [path, { hash, mode }] of files) {
    const of = `${mode} ${hash}`;
    if (index[path]?.of === of && index[path].as === there.get(path)) now[path] = index[path];
    else missing.push({ path, of, mode });
  }
  if (!missing.length && !changed) return;
  for (const folder of new Set(missing.map(({ path }) => dirname(path)))) mkdirSync(join(tree, folder), { recursive: true });
  await together(missing, async ({ path, of, mode }) => {
    signal?.throwIfAborted();
    await rm(join(tree, path), { force: true });
    if (mode === 'link') await symlink(await readlink(join(source, path)), join(tree, path));
    else await copy(join(source, path), join(tree, path), lstatSync(join(source, path)).size);
    now[path] = { of, as: looks(lstatSync(join(tree, path), { bigint: true })) };
  });
  writeWhole(indexPath, JSON.stringify(now));
}

/**
 * Every file of the tree and what it looks like; folders of packages are not entered, and those without their package.json removed.
 * @param {string} tree
 * @param {Map<string, Entry>} files
 */
async function look(tree, files) {
  /** @type {Map<string, string>} */
  const there = new Map();
  const found = [];
  const folders = [''];
  for (const folder of folders) {
    for (const entry of readdirSync(join(tree, folder), { withFileTypes: true })) {
      const path = folder ? `${folder}/${entry.name}` : entry.name;
      if (path === '.git') continue;
      if (entry.name === 'node_modules') {
        if (!files.has(`${folder && `${folder}/`}package.json`)) await rm(join(tree, path), { recursive: true, force: true });
      } else if (entry.isDirectory()) {
        folders.push(path);
      } else {
        found.push(path);
      }
    }
  }
  await together(found, async (path) => void there.set(path, looks(lstatSync(join(tree, path), { bigint: true }))));
  return there;
}

/** @param {import('node:fs').BigIntStats} stat */
function looks({ ino, size, mtimeNs, ctimeNs }) {
  return `${ino} ${size} ${mtimeNs} ${ctimeNs}`;
}

/**
 * Removes a file, and the folders that it leaves empty.
 * @param {string} tree
 * @param {string} path
 */
async function remove(tree, path) {
  await rm(join(tree, path), { recursive: true, force: true });
  for (let folder = dirname(path); folder !== '.'; folder = dirname(folder)) {
    try {
      await rmdir(join(tree, folder));
    } catch {
      return;
    }
  }
}

/**
 * Holds the cache for one build at a time, and gives what lets it go. The kernel lets go of an abstract socket with the process that
 * holds it, however that ends, so that there is no stale lock.
 * @param {string} cache
 * @param {AbortSignal} [signal]
 * @returns {Promise<() => Promise<void>>}
 */
export async function hold(cache, signal) {
  const name = `\0remy-cache-${createHash('sha256').update(cache).digest('hex').slice(0, 32)}`;
  for (;;) {
    signal?.throwIfAborted();
    const server = createServer((connection) => connection.destroy());
    const error = await new Promise((fulfill) => {
      server.once('error', fulfill);
      server.listen(name, () => fulfill(null));
    });
    if (!error) {
      server.unref();
      return () => new Promise((fulfill) => server.close(() => fulfill()));
    }
    if (error.code !== 'EADDRINUSE') throw error;
    await sleep(50, undefined, { signal }).catch(() => {});
  }
}

/**
 * What a JSON file of the cache says; a cache that is not there or not whole says nothing.
 * @template T
 * @param {string} path
 * @param {T} otherwise
 * @returns {any | T}
 */
export function readJson(path, otherwise) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return otherwise;
  }
}

/**
 * Writes a file so that it is there whole or not at all.
 * @param {string} path
 * @param {string | Uint8Array} content
 */
export function writeWhole(path, content) {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(`${path}.new`, content);
  renameSync(`${path}.new`, path);
}
