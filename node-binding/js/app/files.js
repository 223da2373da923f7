// @ts-check
// The files of a release, as they lie in the store.
import { chmod, cp, lstat, mkdir, mkdtemp, readdir, readFile, readlink, rename, rm, rmdir } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { refusal } from './refusal.js';

/**
 * The folder of a release's files: its source, where it is an app's, else all that was kept with it.
 * @param {string} store
 * @param {import('../index.js').Release[]} releases
 * @param {number} number
 */
export async function folderOf(store, releases, number) {
  const object = `release ${number}`;
  const release = releases.find(({ release }) => release === number);
  if (!release) throw refusal('not_found', `there is no release ${number}`, [{ verb: 'releases' }, ' lists them'], { object });
  const kept = join(store, 'releases', String(originOf(releases, release).release));
  for (const folder of [join(kept, 'source'), kept]) {
    if (await isFolder(folder)) return folder;
  }
  const hint = 'Files are kept of an app, and of what was published with artifacts, until the release is pruned';
  throw refusal('not_found', `release ${number} has no files`, hint, { object });
}

/**
 * The release that was built: one that brings back another is as that one was.
 * @param {import('../index.js').Release[]} releases
 * @param {import('../index.js').Release} release
 * @returns {import('../index.js').Release}
 */
export function originOf(releases, release) {
  const at = release.release;
  // What is brought back is older than what brings it back: otherwise there need be no end to it.
  const from = releases.find(({ release: number }) => number === release.restored_from && number < at);
  return from ? originOf(releases, from) : release;
}

/** @param {string} path */
async function isFolder(path) {
  return lstat(path).then((found) => found.isDirectory(), () => false);
}

/** The folders beside a release's source that hold what was compiled of it. */
const COMPILED = ['interfaces', 'methods'];

/**
 * The files of a release, or only those at or below `below`: its source, and what was compiled of it. `at` is the folder that each is in. Of
 * two at one path, the source is meant.
 * @param {string} folder as `folderOf` gives it
 * @param {string} [below]
 */
export async function listAll(folder, below) {
  const source = (await list(folder, below)).map((file) => ({ ...file, at: folder }));
  if (basename(folder) !== 'source') return source;
  const known = new Set(source.map(({ path }) => path));
  const compiled = [];
  for (const name of COMPILED) {
    if (!(await isFolder(join(folder, '..', name)))) continue;
    const files = await list(join(folder, '..', name));
    compiled.push(...files.map(({ path, bytes }) => ({ path: `${name}/${path}`, bytes, at: dirname(folder) })));
  }
  const isWanted = wanted(below);
  return [...source, ...compiled.filter(({ path }) => isWanted(path) && !known.has(path))];
}

/** @param {string} [below] */
function wanted(below) {
  const at = below?.replace(/^(\.\/)+|\/+$/g, '');
  return (/** @type {string} */ path) => !at || path === at || path.startsWith(`${at}/`);
}

/**
 * The files below `folder` in order, or only those at or below `below`. Nothing is followed: a symlink is listed as itself.
 * @param {string} folder
 * @param {string} [below]
 * @returns {Promise<{ path: string, bytes: number }[]>}
 */
export async function list(folder, below) {
  const entries = (await readdir(folder, { recursive: true, withFileTypes: true })).filter((entry) => !entry.isDirectory());
  const paths = entries.map((entry) => join(entry.parentPath ?? entry.path, entry.name).slice(folder.length + 1));
  return Promise.all(paths.filter(wanted(below)).sort().map(async (path) => ({ path, bytes: (await lstat(join(folder, path))).size })));
}

/**
 * What a file holds: of a symlink, as git has it, where it points. What is there may be outside of the release.
 * @param {string} folder
 * @param {string} path one that `list` gave
 */
export async function read(folder, path) {
  const at = join(folder, path);
  return (await lstat(at)).isSymbolicLink() ? readlink(at, 'buffer') : readFile(at);
}

/**
 * Copies the files into a folder that is absent or empty: all of them, or none.
 * @param {string} folder
 * @param {string} dir
 */
export async function checkout(folder, dir) {
  const to = resolve(dir);
  const there = await readdir(to).catch((error) => {
    if (error.code === 'ENOENT') return [];
    if (error.code === 'ENOTDIR') throw refusal('invalid_argument', `${to} is not a folder`, 'Name a folder that is empty or not there', { object: to });
    throw error;
  });
  if (there.length) throw refusal('invalid_argument', `${to} is not empty`, 'Name a folder that is empty or not there', { object: to });
  await mkdir(dirname(to), { recursive: true });
  const work = await mkdtemp(join(dirname(to), `.${basename(to)}-`));
  try {
    const copy = join(work, 'files');
    await cp(folder, copy, { recursive: true, verbatimSymlinks: true, preserveTimestamps: true });
    await makeWritable(copy);
    await rename(copy, to);
    await rmdir(work);
  } catch (error) {
    await rm(work, { recursive: true, force: true });
    throw error;
  }
}

/**
 * Files of a release are read-only, and live's owner's alone; those of a checkout are as one would have made them.
 * @param {string} folder
 */
async function makeWritable(folder) {
  const mask = 0o777 & ~process.umask();
  await chmod(folder, 0o777 & mask);
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) await makeWritable(path);
    else if (entry.isFile()) await chmod(path, ((await lstat(path)).mode & 0o100 ? 0o777 : 0o666) & mask);
  }
}
