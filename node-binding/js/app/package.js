// @ts-check
// An app that is built: compiled here, or packed into one file by another machine.
import { lstat, mkdtemp, readdir, readFile, realpath, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join, normalize, resolve, sep } from 'node:path';
import { MANIFEST } from './place.js';
import { reason, refusal } from './refusal.js';

/** @typedef {import('../index.js').BuildLine} BuildLine */
/** @typedef {{ dir: string, commit: string | null, dirty: boolean, effects: import('../index.js').Effects, lines: BuildLine[], warnings: string[] }} Built */

/** The format of app.json that this version writes and reads. */
const FORMAT = 1;

/**
 * Builds an app into `outDir`, which must not be there. What belongs to the database `live` is no part of it, nor is what `without` names.
 * @param {string} root
 * @param {{ outDir: string, live: string, without?: string[], commit?: string, onLine: (line: BuildLine) => void, onSource?: (source: { commit: string | null, dirty: boolean }) => void, signal?: AbortSignal }} options
 * @returns {Promise<Built>}
 */
export async function build(root, options) {
  // Loaded where there is an app: a database alone needs none of it.
  const pipeline = await import('../pipeline/build.js');
  return pipeline.build(root, options);
}

/**
 * What an app declares besides tables.
 * @param {string} root
 * @returns {Promise<import('../index.js').Effects>}
 */
export async function declaredEffects(root) {
  const { effects, readApp } = await import('../pipeline/read.js');
  const { manifest, interfaces } = readApp(root);
  return effects(manifest, interfaces);
}

/** @param {string} path */
export function isPackage(path) {
  return /\.(tar|tar\.gz|tgz)$/.test(path);
}

/**
 * A package and what it is written by: neither is part of the app, where it lies in its folder.
 * @param {string} file
 */
export async function besidePackage(file) {
  if (!isPackage(file)) {
    throw refusal('invalid_argument', `${file} is no name of a package`, 'Name one that ends in .tar, .tar.gz or .tgz, such as app.tar', { object: file });
  }
  if (await lstat(file).then((there) => there.isDirectory(), () => false)) {
    throw refusal('invalid_argument', `${file} is a folder`, 'Name a file that is to be the package', { object: file });
  }
  const to = dirname(resolve(file));
  const none = (/** @type {NodeJS.ErrnoException} */ error) => {
    if (error.code !== 'ENOENT' && error.code !== 'ENOTDIR') throw error;
    throw refusal('invalid_argument', `there is no folder ${to} for the package ${basename(file)}`, 'Make the folder, or name another', { object: to });
  };
  const folder = await realpath(to).catch(none);
  const making = (await readdir(folder).catch(none)).filter((name) => name.startsWith(workName(file)));
  return [basename(file), ...making].map((name) => join(folder, name));
}

/**
 * How the name of the folder begins that a package is written in, beside its place.
 * @param {string} file
 */
function workName(file) {
  return `.${basename(file)}-`;
}

/**
 * Packs a built app. The same files give the same bytes.
 * @param {string} dir
 * @param {string} file
 */
export async function pack(dir, file) {
  const { create } = await import('tar');
  const to = resolve(file);
  const paths = (await readdir(dir, { recursive: true })).sort();
  for (const path of paths) await inside(dir, path);
  const work = await mkdtemp(join(dirname(to), workName(to)));
  try {
    const packed = join(work, 'app.tar');
    const same = { portable: true, mtime: new Date(0), noDirRecurse: true };
    await create({ file: packed, cwd: dir, gzip: !to.endsWith('.tar'), follow: true, linkCache: new NoLinks(), strict: true, ...same }, paths);
    await rename(packed, to);
    return (await lstat(to)).size;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** Files of one inode are packed each as a file. */
class NoLinks extends Map {
  set() {
    return this;
  }
}

/**
 * A symlink is packed as the file that it leads to, which has to be part of the app.
 * @param {string} dir
 * @param {string} path
 */
async function inside(dir, path) {
  const full = join(dir, path);
  if (!(await lstat(full)).isSymbolicLink()) return;
  const aim = await realpath(full).catch(() => null);
  if (aim?.startsWith((await realpath(dir)) + sep) && (await lstat(aim)).isFile()) return;
  throw refusal('invalid_argument', `${path} is a symlink to what is no file of the app`, 'Put the file itself there', { object: path });
}

/**
 * Unpacks a package into a folder of its own, which the caller removes.
 * @param {string} file
 * @returns {Promise<Built>}
 */
export async function unpack(file) {
  const dir = await mkdtemp(join(tmpdir(), 'remy-package-'));
  try {
    await extractInto(dir, file);
    const { commit, dirty } = await readApp(dir, file);
    return { dir, commit, dirty, effects: await declaredEffects(join(dir, 'source')), lines: [], warnings: [] };
  } catch (error) {
    await rm(dir, { recursive: true, force: true });
    throw error;
  }
}

/**
 * @param {string} dir
 * @param {string} file
 */
async function extractInto(dir, file) {
  const { extract, list } = await import('tar');
  const unreadable = (/** @type {any} */ error) => {
    if (error.code === 'ENOENT') return refusal('not_found', `there is no package ${file}`, [{ verb: 'build', option: 'out' }, ' makes one'], { object: file });
    if (error.syscall !== undefined) return refusal('io', `${file} cannot be read: ${reason(error)}`, 'Check that path', { object: file });
    return refusal('schema_invalid', `${file} is no package that remy built, or is damaged`, [{ verb: 'build', option: 'out' }, ' makes one'], { object: file });
  };
  // Looked at whole before anything is written.
  /** @type {string[]} */
  const foreign = [];
  const look = (/** @type {{ path: string, type: string }} */ { path, type }) => {
    const leaves = path.startsWith('/') || normalize(path).split(sep).includes('..');
    if (leaves) foreign.push(`${path} leaves the folder`);
    else if (!['File', 'OldFile', 'ContiguousFile', 'Directory'].includes(type)) foreign.push(`${path} is a ${type}`);
  };
  await list({ file, strict: true, onReadEntry: look }).catch((error) => Promise.reject(unreadable(error)));
  if (foreign.length) {
    throw refusal('schema_invalid', `${file} holds what no package has: ${foreign.join(', ')}`, [{ verb: 'build', option: 'out' }, ' makes one'], { object: file });
  }
  await extract({ file, cwd: dir, strict: true, preserveOwner: false, noMtime: true }).catch((error) => Promise.reject(unreadable(error)));
}

/**
 * @param {string} dir
 * @param {string} file
 * @returns {Promise<{ commit: string | null, dirty: boolean }>}
 */
async function readApp(dir, file) {
  const wrong = (/** @type {string} */ what, hint = /** @type {string | readonly import('../index.js').RemedyPart[]} */ ([{ verb: 'build', option: 'out' }, ' makes one'])) =>
    refusal('schema_invalid', `${file} ${what}`, hint, { object: file });
  let app;
  try {
    app = JSON.parse(await readFile(join(dir, 'app.json'), 'utf8'));
  } catch (error) {
    throw wrong(`is no package: its app.json cannot be read (${/** @type {Error} */ (error).message})`);
  }
  if (app?.format !== FORMAT) {
    throw wrong(`has format ${JSON.stringify(app?.format)}, and this remy reads ${FORMAT}`, 'Build and publish with the same version of remy');
  }
  const manifest = await lstat(join(dir, 'source', MANIFEST)).catch(() => null);
  if (!manifest?.isFile()) throw wrong(`is no package: it has no source/${MANIFEST}`);
  return { commit: typeof app.commit === 'string' ? app.commit : null, dirty: app.dirty === true };
}
