// @ts-check
// Which files are a release's source, and their copy. In a repository git says which (what it tracks, or would track); elsewhere
// the .gitignore files do, by the same rules, so that an app without git, or a machine without it, publishes the same files.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, closeSync, constants, copyFileSync, lstatSync, mkdirSync, openSync, readSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, readFile, readdir, readlink, realpath, rm, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from 'node:path';
import { performance } from 'node:perf_hooks';
import { RemyError } from '../error.js';
import { doesNotBuild } from './faults.js';

/** @typedef {import('./faults.js').Fault} Fault */
/**
 * @typedef {object} Entry
 * @property {string} hash  of the content, or of where a link points
 * @property {'file' | 'executable' | 'link'} mode
 */
/**
 * @typedef {object} Staged
 * @property {Map<string, Entry>} files  by path, relative to the app, in order
 * @property {string | null} commit
 * @property {boolean} dirty  whether the files are other than the commit's
 * @property {string[]} warnings
 */

/** How many things are done at once, where they wait for something. */
const AT_ONCE = 16;
/** How long that goes on until others have their turn. */
const TURN_MS = 10;
/** A file of more bytes is not copied while everything waits. */
const LARGE = 1 << 20;
/** What is being read of a file: all of it, of most. Nothing in it is needed after an `await`, so there is one for all. */
const PART = Buffer.allocUnsafeSlow(64 << 10);

/**
 * Copies a release's files from `root` to `dir`, which is not there yet, and says what they are.
 * @param {string} root
 * @param {string} dir
 * @param {object} [options]
 * @param {string} [options.commit]  take this commit's files, and not the working tree's
 * @param {string[]} [options.without]  absolute paths that are left out, wherever they lie
 * @param {AbortSignal} [options.signal]
 * @returns {Promise<Staged>}
 */
export async function stageSource(root, dir, { commit, without = [], signal } = {}) {
  root = await realpath(root);
  if (commit !== undefined) return stageCommit(root, dir, commit, { without, signal });
  const [{ paths, warnings, isOurs }, at] = await Promise.all([workingTree(root), position(root, without)]);
  const files = await copyAll(root, dir, wanted(root, paths, without), { warnings, signal });
  return { files, warnings, ...(isOurs ? at : { commit: null, dirty: false }) };
}

/**
 * What belongs to a live database and never to a release: for `without`.
 * @param {string} live
 */
export async function besideLive(live) {
  const path = resolve(live);
  const real = await realpath(path).catch(() => path);
  return [...new Set([path, real])].flatMap((at) => ['', '-wal', '-shm', '-journal', '-remy'].map((end) => at + end));
}

/**
 * Never part of a release, whatever git says.
 * @param {string} path
 */
function never(path) {
  return path.split('/').some((name) => name === '.git' || name === '.remy' || name === 'node_modules' || name.startsWith('.env'));
}

/**
 * @param {string} root
 * @param {Iterable<string>} paths
 * @param {string[]} without
 */
function wanted(root, paths, without) {
  const out = without.map((path) => relative(root, path)).filter((path) => path && !leaves(path));
  const left = (/** @type {string} */ path) => never(path) || out.some((at) => path === at || path.startsWith(`${at}/`));
  return [...new Set(paths)].filter((path) => !left(path)).sort();
}

/**
 * Whether a relative path leaves the folder that it is relative to.
 * @param {string} path
 */
export function leaves(path) {
  return path === '..' || path.startsWith(`..${sep}`) || isAbsolute(path);
}

// The working tree.

/**
 * @param {string} root
 */
async function workingTree(root) {
  /** @type {string[]} */
  const warnings = [];
  const listed = await tracked(root, warnings);
  // A folder that an outer repository ignores is nobody's business but its own.
  const isOurs = listed !== null && (listed.includes('mindstudio.json') || !exists(join(root, 'mindstudio.json')));
  return { paths: isOurs ? listed : await unignored(root), warnings, isOurs };
}

/**
 * What git tracks or would track in a folder, or null where there is no repository, or no git.
 * @param {string} folder
 * @param {string[]} warnings
 * @returns {Promise<string[] | null>}
 */
async function tracked(folder, warnings) {
  const listed = await git(folder, ['ls-files', '-co', '--exclude-standard', '-z'], { orNull: 'repository' });
  if (listed === null) return null;
  const paths = [];
  for (const path of new Set(listed.split('\0').filter(Boolean))) {
    // git names a repository inside (a submodule, or one that was cloned there) as one entry; its files are part of the working tree.
    const inside = path.endsWith('/') || never(path) ? null : lookAt(join(folder, path));
    if (!path.endsWith('/') && !inside?.isDirectory()) {
      paths.push(path);
      continue;
    }
    const at = path.replace(/\/$/, '');
    if (never(at)) continue;
    if (!exists(join(folder, at, '.git'))) {
      warnings.push(`${at} is a submodule that is not checked out: the release has none of its files. Run: git submodule update --init`);
      continue;
    }
    for (const file of (await tracked(join(folder, at), warnings)) ?? []) paths.push(`${at}/${file}`);
  }
  return paths;
}

/**
 * What the .gitignore files leave: the last rule that says anything decides, inner files after outer ones, and nothing comes back from
 * a folder that is ignored.
 * @param {string} root
 */
async function unignored(root) {
  // Loaded where it is needed, and as the CommonJS that it is: `import` would first look through it for what it exports.
  /** @type {typeof import('ignore')} */
  const ignore = createRequire(import.meta.url)('ignore');
  /** @type {string[]} */
  const paths = [];
  /** @type {(folder: string, outer: { at: string, rules: import('ignore').Ignore }[]) => Promise<void>} */
  const walk = async (folder, outer) => {
    const entries = await readdir(join(root, folder), { withFileTypes: true });
    const own = entries.some((entry) => entry.name === '.gitignore' && entry.isFile())
      ? [{ at: folder, rules: ignore().add(await readFile(join(root, folder, '.gitignore'), 'utf8')) }]
      : [];
    const levels = [...outer, ...own];
    for (const entry of entries) {
      const path = folder ? `${folder}/${entry.name}` : entry.name;
      if (never(path)) continue;
      let ignored = false;
      for (const { at, rules } of levels) {
        const verdict = rules.test((at ? path.slice(at.length + 1) : path) + (entry.isDirectory() ? '/' : ''));
        if (verdict.ignored) ignored = true;
        else if (verdict.unignored) ignored = false;
      }
      if (ignored) continue;
      if (entry.isDirectory()) await walk(path, levels);
      else if (entry.isFile() || entry.isSymbolicLink()) paths.push(path);
    }
  };
  await walk('', []);
  return paths;
}

/**
 * Which commit the working tree is at, and whether anything of the app differs from it.
 * @param {string} root
 * @param {string[]} without
 */
async function position(root, without) {
  const status = await git(root, ['status', '--porcelain=v2', '--branch', '--untracked-files=all', '-z', '--', '.'], { orNull: 'repository' });
  const lines = status?.split('\0') ?? [];
  const commit = lines.find((line) => line.startsWith('# branch.oid '))?.slice('# branch.oid '.length);
  if (status === null || !commit || commit === '(initial)') return { commit: null, dirty: false };
  const changed = lines.filter((line) => /^[12u?] /.test(line)).map(changedPath);
  // What is no part of a release does not make it differ: `.remy/` itself stands there untracked. git names paths from the repository's top.
  const prefix = changed.length ? (await git(root, ['rev-parse', '--show-prefix'])).replace(/\n$/, '') : '';
  return { commit, dirty: wanted(root, changed.map((path) => path.slice(prefix.length)), without).length > 0 };
}

/**
 * The path of a line of `git status --porcelain=v2`: behind a number of fields that its kind says.
 * @param {string} line
 */
function changedPath(line) {
  const fields = { '1': 8, '2': 9, u: 10, '?': 1 }[line[0]] ?? 1;
  return line.split(' ').slice(fields).join(' ');
}

// A commit.

/**
 * @param {string} root
 * @param {string} dir
 * @param {string} ref
 * @param {{ without: string[], signal?: AbortSignal }} options
 * @returns {Promise<Staged>}
 */
async function stageCommit(root, dir, ref, { without, signal }) {
  const commit = (await git(root, ['rev-parse', '--verify', '--quiet', '--end-of-options', `${ref}^{commit}`], { orNull: 'object' }))?.trim();
  if (!commit) {
    const hint = 'Name a commit, branch or tag of the repository that the app is in';
    throw new RemyError({ code: 'not_found', message: `there is no commit ${ref} in a repository at ${root}. The database is as it was. ${hint}`, hint, object: ref });
  }
  await mkdir(dirname(dir), { recursive: true });
  const checkout = await realpath(await mkdtemp(`${dir}.checkout-`));
  try {
    const paths = await checkOut(root, commit, checkout);
    /** @type {string[]} */
    const warnings = [];
    const files = await copyAll(checkout, dir, wanted(root, paths, without), { warnings, signal });
    return { files, commit, dirty: false, warnings };
  } finally {
    await rm(checkout, { recursive: true, force: true });
  }
}

/**
 * Writes a commit's files to a folder as git itself would check them out (modes, links, line ends, filters), by an index of its own: the
 * repository's index and working tree are not touched.
 * @param {string} folder
 * @param {string} commit
 * @param {string} to
 * @returns {Promise<string[]>}
 */
async function checkOut(folder, commit, to) {
  const [gitDir, prefix = ''] = (await git(folder, ['rev-parse', '--absolute-git-dir', '--show-prefix'])).split('\n');
  const index = `${to}.index`;
  const env = { GIT_DIR: gitDir, GIT_WORK_TREE: to, GIT_INDEX_FILE: index };
  try {
    await git(to, ['read-tree', `${commit}:${prefix.replace(/\/$/, '')}`], { env });
    const listed = (await git(to, ['ls-files', '-s', '-z'], { env })).split('\0').filter(Boolean);
    await git(to, ['checkout-index', '--all', '--force'], { env });
    const paths = [];
    for (const line of listed) {
      const [, mode, object, path] = /** @type {RegExpMatchArray} */ (line.match(/^(\d+) (\S+) \d\t([^]*)$/));
      if (mode === '160000') paths.push(...(await submodule(folder, path, object, to)));
      else paths.push(path);
    }
    return paths;
  } finally {
    await rm(index, { force: true });
  }
}

/**
 * A commit names a submodule's commit only; its files are in the submodule's own repository, if that is here.
 * @param {string} folder
 * @param {string} path
 * @param {string} commit
 * @param {string} to
 */
async function submodule(folder, path, commit, to) {
  if (never(path)) return [];
  const inside = join(folder, path);
  const here = exists(join(inside, '.git')) && (await git(inside, ['cat-file', '-e', `${commit}^{commit}`], { orNull: 'object' })) !== null;
  if (!here) {
    const message = `is a submodule whose commit ${commit.slice(0, 12)} is not here. Run: git submodule update --init`;
    throw doesNotBuild([{ file: path, pointer: '', message }]);
  }
  await mkdir(join(to, path), { recursive: true });
  return (await checkOut(inside, commit, join(to, path))).map((file) => `${path}/${file}`);
}

// Copies.

/**
 * @param {string} from
 * @param {string} to
 * @param {string[]} paths
 * @param {{ warnings: string[], signal?: AbortSignal }} options
 */
async function copyAll(from, to, paths, { warnings, signal }) {
  /** @type {Fault[]} */
  const faults = [];
  /** @type {Map<string, Entry>} */
  const files = new Map();
  for (const folder of new Set(paths.map((path) => dirname(path)))) mkdirSync(join(to, folder), { recursive: true });
  mkdirSync(to, { recursive: true });
  await together(paths, async (path) => {
    signal?.throwIfAborted();
    const stat = lookAt(join(from, path));
    if (!stat) {
      // Tracked and deleted: the working tree is what is published. A name that is no UTF-8 is not read back as it stands.
      if (path.includes('\uFFFD')) faults.push({ file: path, pointer: '', message: 'has a name that is not UTF-8. Rename it' });
    } else if (stat.isSymbolicLink()) {
      const target = await linkTarget(from, path);
      if (target === null) {
        const message = `is a symlink to ${await readlink(join(from, path))}, outside of the app: a release would not have it. Copy it into the app, or remove it`;
        faults.push({ file: path, pointer: '', message });
      } else {
        await symlink(target, join(to, path));
        files.set(path, { hash: sha256(target), mode: 'link' });
      }
    } else if (stat.isFile()) {
      await copy(join(from, path), join(to, path), stat.size);
      const executable = (stat.mode & 0o100) !== 0;
      const mode = executable ? 0o755 : 0o644;
      if ((stat.mode & 0o7777) !== mode) chmodSync(join(to, path), mode);
      const { hash, pointer } = await contentOf(join(to, path));
      files.set(path, { hash, mode: executable ? 'executable' : 'file' });
      if (pointer) warnings.push(`${path} is a Git LFS pointer, not the file that it stands for. Run: git lfs pull`);
    }
  });
  if (faults.length) throw doesNotBuild(faults);
  warnings.sort();
  return new Map(paths.flatMap((path) => /** @type {[string, Entry][]} */ (files.has(path) ? [[path, files.get(path)]] : [])));
}

/**
 * Where a link points, relative to itself, or null where that is outside: by its text, and by where it leads.
 * @param {string} root
 * @param {string} path
 */
async function linkTarget(root, path) {
  const folder = dirname(join(root, path));
  const target = resolve(folder, await readlink(join(root, path)));
  if (leaves(relative(root, target))) return null;
  const real = await realpath(target).catch(() => target);
  if (leaves(relative(root, real))) return null;
  return relative(folder, target) || '.';
}

/**
 * Copies a file of so many bytes. A small one at once: of many, a promise for each would take several times as long as the copies.
 * @param {string} from
 * @param {string} to
 * @param {number} bytes
 */
export async function copy(from, to, bytes) {
  if (bytes > LARGE) await copyFile(from, to, constants.COPYFILE_FICLONE);
  else copyFileSync(from, to, constants.COPYFILE_FICLONE);
}

/** @param {string} path */
async function contentOf(path) {
  const hash = createHash('sha256');
  const file = openSync(path, 'r');
  try {
    let read = readSync(file, PART);
    const pointer = read < 1024 && PART.toString('latin1', 0, read).startsWith('version https://git-lfs.github.com/spec/');
    for (; read === PART.length; read = readSync(file, PART)) {
      hash.update(PART);
      await new Promise(setImmediate);
    }
    return { hash: hash.update(PART.subarray(0, read)).digest('hex'), pointer };
  } finally {
    closeSync(file);
  }
}

/** @param {string | Buffer} content */
export function sha256(content) {
  return createHash('sha256').update(content).digest('hex');
}

/**
 * Does something for each of many things, a few at once; the first failure ends it. What is done may be done synchronously: others have
 * their turn in between.
 * @template T
 * @param {Iterable<T>} all
 * @param {(one: T) => Promise<void>} work
 */
export async function together(all, work) {
  const rest = all[Symbol.iterator]();
  let stopped = false;
  let turn = performance.now();
  const worker = async () => {
    for (let next = rest.next(); !next.done && !stopped; next = rest.next()) {
      await work(next.value).catch((error) => {
        stopped = true;
        throw error;
      });
      if (performance.now() - turn < TURN_MS) continue;
      await new Promise(setImmediate);
      turn = performance.now();
    }
  };
  const ends = await Promise.allSettled(Array.from({ length: AT_ONCE }, worker));
  for (const end of ends) if (end.status === 'rejected') throw end.reason;
}

/** @param {NodeJS.ErrnoException} error */
function absent(error) {
  if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return null;
  throw error;
}

/**
 * What is at a path, itself; null where nothing is.
 * @param {string} path
 */
function lookAt(path) {
  try {
    return lstatSync(path);
  } catch (error) {
    return absent(/** @type {NodeJS.ErrnoException} */ (error));
  }
}

/** @param {string} path */
export function exists(path) {
  return lookAt(path) !== null;
}

/**
 * The output of a git command. `orNull`: null where there is no git or no repository, and for `object` where it has no such thing.
 * @overload
 * @param {string} cwd
 * @param {string[]} args
 * @param {{ env?: Record<string, string>, orNull?: undefined }} [options]
 * @returns {Promise<string>}
 */
/**
 * @overload
 * @param {string} cwd
 * @param {string[]} args
 * @param {{ env?: Record<string, string>, orNull: 'repository' | 'object' }} options
 * @returns {Promise<string | null>}
 */
/**
 * @param {string} cwd
 * @param {string[]} args
 * @param {{ env?: Record<string, string>, orNull?: 'repository' | 'object' }} [options]
 * @returns {Promise<string | null>}
 */
async function git(cwd, args, { env = {}, orNull } = {}) {
  // A hook's GIT_DIR and GIT_INDEX_FILE name another folder; a status must not take the index lock from the user's own git.
  const own = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^GIT_(DIR|WORK_TREE|INDEX_FILE|PREFIX|OBJECT_DIRECTORY|NAMESPACE)$/.test(name)));
  const { status, ended, out, errors } = await new Promise((fulfill, reject) => {
    const child = spawn('git', args, { cwd, env: { ...own, LC_ALL: 'C', GIT_OPTIONAL_LOCKS: '0', ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    /** @type {Buffer[]} */
    const parts = [];
    let errors = '';
    child.stdout.on('data', (part) => parts.push(part));
    child.stderr.on('data', (part) => (errors += part));
    child.on('error', (/** @type {NodeJS.ErrnoException} */ error) => (error.code === 'ENOENT' ? fulfill({ ended: 'absent', errors: 'git is not installed' }) : reject(error)));
    child.on('close', (status, signal) => fulfill({ status, ended: signal, out: Buffer.concat(parts).toString('utf8'), errors }));
  });
  if (status === 0) return out;
  // A repository that cannot be read is one all the same, and so is one that is not safe to read until its user says so: taking it for
  // none would publish what only it knows to be ignored.
  if (orNull && (ended === 'absent' || errors.includes('not a git repository'))) return null;
  if (orNull === 'object' && !ended && !errors.includes('dubious ownership')) return null;
  const said = errors.trim() || (ended ? `it was ended by ${ended}` : `it ended with status ${status}`);
  const hint = `Run "git ${args[0]}" there, and put right what it says`;
  throw new RemyError({ code: 'io', message: `git ${args[0]} failed in ${cwd}: ${said}. Nothing was done. ${hint}`, hint, object: basename(cwd) });
}
