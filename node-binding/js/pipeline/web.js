// @ts-check
// Builds the web interface: the project's own `npm run build`, in the staged copy, so that what it imports from elsewhere in the app is
// where it looks for it. Unchanged inputs reuse the output.
import { mkdirSync, readFileSync, statSync } from 'node:fs';
import { readFile, readdir, readlink, rename, rm, stat, utimes } from 'node:fs/promises';
import { join, posix } from 'node:path';
import { doesNotBuild } from './faults.js';
import { environment, failed, run } from './run.js';
import { copy, leaves, sha256, together } from './source.js';
import { step } from './step.js';
import { readJson, writeWhole } from './tree.js';

/** @typedef {import('./source.js').Entry} Entry */

/** Where a build leaves its output, the first that it wrote to. */
const OUTPUTS = ['dist', 'build', 'out'];

/** Lock files, which no browser is given. */
const LOCKS = ['package-lock.json', 'npm-shrinkwrap.json', 'pnpm-lock.yaml', 'yarn.lock', 'bun.lock', 'bun.lockb'];

/** What a browser is given first. */
const PAGE = 'index.html';

/** Files that may name others: everything that a build tool reads as text. */
const TEXT = /\.([cm]?[jt]sx?|json|css|s[ac]ss|less|styl|html?|vue|svelte|astro|mdx?|ya?ml|toml)$/;

/** Files that may import something. */
const SOURCE = /\.([cm]?[jt]sx?|vue|svelte|astro|mdx)$/;

/** A path that goes up, wherever it stands in a text: in an import, a glob, a setting, a piece of a path. */
const UPWARD = /(?<![.\w])\.\.(?![.\w])(?:\/[^\s'"`()<>;,*?{}$\\]*)?/g;

/** A path that goes from where it stands to what is beside it. */
const BESIDE = /(?<![.\w/])\.\/[^\s'"`()<>;,*?{}$\\]+/g;

/** How many outputs are kept for coming back to. */
const KEPT = 3;

/**
 * @param {object} what
 * @param {string} what.folder  the web project, relative to the app
 * @param {string[]} [what.settings]  files in it that are remy's, not the interface's (`web.json`)
 * @param {Map<string, Entry>} what.files
 * @param {string} what.tree
 * @param {string} what.cache
 * @param {string} what.to  where the output goes
 * @param {Map<string, import('./dependencies.js').Install>} what.installs  by folder
 * @param {AbortSignal} [what.signal]
 * @returns {Promise<{ files: number, bytes: number, reused: boolean, warnings: string[], unsupported: { module: string, name: string }[] }>}
 */
export async function buildWeb({ folder, settings = [], files, tree, cache, to, installs, signal }) {
  const named = posix.join(folder, 'package.json');
  const manifest = files.has(named) ? JSON.parse(await readFile(join(tree, named), 'utf8')) : {};
  if (!manifest.scripts?.build) return { ...(await plain({ folder, named, settings, files, tree, to })), reused: false, unsupported: [] };

  const key = await inputs({ folder, files, tree, installs });
  const kept = join(cache, 'web', key);
  const earlier = readJson(join(kept, 'output.json'), null);
  if (earlier) {
    const now = new Date();
    await utimes(kept, now, now);
    await copyFiles(join(kept, 'output'), to, earlier.files);
    return { ...made(folder, earlier), reused: true, unsupported: await unknownNames({ folder, files, tree }) };
  }

  const install = installs.get(folder === '.' ? '' : folder);
  const unsupported = await unknownNames({ folder, files, tree, at: install && join(tree, install.folder) });
  const output = await build({ folder, named, files, tree, signal });
  const found = await filesIn(output);
  const making = `${kept}.new`;
  await rm(making, { recursive: true, force: true });
  await rm(kept, { recursive: true, force: true });
  const bytes = await copyFiles(output, join(making, 'output'), found);
  writeWhole(join(making, 'output.json'), JSON.stringify({ files: found, bytes }));
  await rename(making, kept);
  await forget(join(cache, 'web'));
  await copyFiles(join(kept, 'output'), to, found);
  return { ...made(folder, { files: found, bytes }), reused: false, unsupported };
}

/**
 * The names that are imported from an SDK's modules and that those lack. They are added to the modules beside the packages of `at`: what a
 * tool bundles has to link.
 * @param {{ folder: string, files: Map<string, Entry>, tree: string, at?: string }} what
 */
async function unknownNames({ folder, files, tree, at }) {
  const isInside = (/** @type {string} */ path) => folder === '.' || path.startsWith(`${folder}/`);
  const sources = [...files].filter(([path, { mode }]) => mode !== 'link' && SOURCE.test(path) && isInside(path));
  const texts = sources.map(([path]) => readFileSync(join(tree, path), 'utf8'));
  return step('unknownNames', { texts, at: at ?? null });
}

/**
 * @param {string} folder
 * @param {{ files: string[], bytes: number }} output
 */
function made(folder, { files, bytes }) {
  const warnings = files.includes(PAGE) ? [] : [`the build of ${folder} wrote no ${PAGE}: whoever opens the web interface finds nothing`];
  return { files: files.length, bytes, warnings };
}

/**
 * A project without a build is its files, but for those that tools keep in it.
 * @param {{ folder: string, named: string, settings: string[], files: Map<string, Entry>, tree: string, to: string }} what
 */
async function plain({ folder, named, settings, files, tree, to }) {
  const ours = new Set([...settings, ...['package.json', ...LOCKS].map((name) => posix.join(folder, name))]);
  const hidden = (/** @type {string} */ path) => path.split('/').some((name) => name.startsWith('.') && name !== '.well-known');
  const inside = [...files.keys()].filter((path) => path.startsWith(`${folder}/`) && !ours.has(path)).map((path) => path.slice(folder.length + 1)).filter((path) => !hidden(path));
  const found = [];
  for (const path of inside) if ((await stat(join(tree, folder, path)).catch(() => null))?.isFile()) found.push(path);
  const unbuilt = files.has(named) ? `${named} has no script "build"` : `there is no ${named} with a script "build"`;
  if (!found.includes(PAGE)) {
    const message = `is not there, and ${unbuilt}: the web interface has nothing to serve. Add this file, or a script "build" that writes to ${OUTPUTS.map((name) => `${name}/`).join(', ')}`;
    throw doesNotBuild([{ file: posix.join(folder, PAGE), pointer: '', message }]);
  }
  const bytes = await copyFiles(join(tree, folder), to, found);
  const others = found.filter((path) => path !== PAGE);
  const taken = [PAGE, ...others.slice(0, 3), ...(others.length > 3 ? [`${others.length - 3} more`] : [])].join(', ');
  return { files: found.length, bytes, warnings: [`${unbuilt}: the files of ${folder} are served as they are: ${taken}`] };
}

/**
 * Runs the build, and gives the folder that it wrote.
 * @param {{ folder: string, named: string, files: Map<string, Entry>, tree: string, signal?: AbortSignal }} what
 */
async function build({ folder, named, files, tree, signal }) {
  const at = join(tree, folder);
  // An output of before is none of this build; what the release itself has under these names stays.
  for (const name of OUTPUTS) {
    const own = [...files.keys()].some((path) => path.startsWith(`${posix.join(folder, name)}/`));
    if (!own) await rm(join(at, name), { recursive: true, force: true });
  }
  const before = await stamps(at);
  const ran = await run('npm', ['run', 'build'], { cwd: at, env: { ...environment(), NODE_ENV: 'production' }, signal }).catch((error) => {
    if (error.code !== 'ENOENT') throw error;
    throw doesNotBuild([{ file: named, pointer: '/scripts/build', message: 'needs npm, which is not on this machine. Install it' }]);
  });
  if (ran.status !== 0) throw failed(ran, { file: named, pointer: '/scripts/build', program: 'npm run build', tree });
  const after = await stamps(at);
  for (const name of OUTPUTS) {
    if ([...after].some(([path, stamp]) => path.startsWith(`${name}/`) && before.get(path) !== stamp)) return join(at, name);
  }
  throw doesNotBuild([{ file: named, pointer: '/scripts/build', message: `npm run build wrote nothing to ${OUTPUTS.map((name) => `${name}/`).join(', ')} of ${folder}` }]);
}

/**
 * What the files of all outputs look like, to see which of them a build wrote: by the ctime, which no copy keeps.
 * @param {string} at
 */
async function stamps(at) {
  /** @type {Map<string, string>} */
  const found = new Map();
  for (const name of OUTPUTS) {
    for (const path of await filesIn(join(at, name)).catch(() => [])) {
      const { ino, ctimeNs } = await stat(join(at, name, path), { bigint: true });
      found.set(`${name}/${path}`, `${ino} ${ctimeNs}`);
    }
  }
  return found;
}

/**
 * Files of a folder, in order; a link counts as what it leads to.
 * @param {string} folder
 * @returns {Promise<string[]>}
 */
async function filesIn(folder) {
  /** @type {string[]} */
  const found = [];
  /** @type {(at: string) => Promise<void>} */
  const walk = async (at) => {
    for (const entry of await readdir(join(folder, at), { withFileTypes: true })) {
      const path = posix.join(at, entry.name);
      const kind = entry.isSymbolicLink() ? await stat(join(folder, path)).catch(() => null) : entry;
      if (kind?.isDirectory()) await walk(path);
      else if (kind?.isFile()) found.push(path);
    }
  };
  await walk('');
  return found.sort();
}

/**
 * @param {string} from
 * @param {string} to
 * @param {string[]} paths
 * @returns {Promise<number>} how many bytes they have
 */
async function copyFiles(from, to, paths) {
  mkdirSync(to, { recursive: true });
  for (const folder of new Set(paths.map((path) => posix.dirname(path)))) mkdirSync(join(to, folder), { recursive: true });
  let bytes = 0;
  await together(paths, async (path) => {
    const { size } = statSync(join(from, path));
    await copy(join(from, path), join(to, path), size);
    bytes += size;
  });
  return bytes;
}

/**
 * Keeps the outputs that were used last.
 * @param {string} folder
 */
async function forget(folder) {
  const used = [];
  for (const name of await readdir(folder)) used.push({ name, at: (await stat(join(folder, name))).mtimeMs });
  for (const { name } of used.sort((a, b) => b.at - a.at).slice(KEPT)) await rm(join(folder, name), { recursive: true, force: true });
}

/**
 * A hash of all that the build may read: the project, what it names outside of itself, settings in the folders above it, the packages
 * of all folders that those are in, and the variables that they name.
 *
 * No build tool tells all that it read. So every path that goes up is looked for in every text of the project, and in the texts that
 * those lead to. One that leads to a file counts as that file, under any ending; to a folder, as all of it; to a folder above the
 * project, as the whole app, since what is put behind it when the build runs cannot be known. A member of a workspace counts as all of it
 * where its name stands.
 * @param {{ folder: string, files: Map<string, Entry>, tree: string, installs: Map<string, import('./dependencies.js').Install> }} what
 */
async function inputs({ folder, files, tree, installs }) {
  const all = [...files.keys()];
  const isInside = (/** @type {string} */ path) => folder === '.' || path.startsWith(`${folder}/`);
  const isAbove = (/** @type {string} */ at) => at === '.' || folder.startsWith(`${at}/`);
  /** @type {Set<string>} */
  const counted = new Set(all.filter((path) => isInside(path) || (isAbove(posix.dirname(path)) && isSetting(posix.basename(path)))));
  const members = membersOf(installs, tree);
  const env = environment();
  const names = Object.keys(env).filter((name) => /^[A-Za-z]\w*$/.test(name));
  const anyName = new RegExp(`\\b(?:${names.join('|')})\\b`, 'g');
  /** @type {Set<string>} */
  const variables = new Set(['MODE', 'BASE_URL']);
  let whole = false;

  const add = (/** @type {string} */ target) => {
    if (leaves(target) || isInside(target) || target === folder) return;
    if (isAbove(target)) whole = true;
    const stem = target.replace(/\.[cm]?jsx?$/, '');
    for (const path of all) if (path === target || path.startsWith(`${stem}.`) || path.startsWith(`${target}/`)) counted.add(path);
  };

  for (const path of counted) {
    const entry = /** @type {Entry} */ (files.get(path));
    const from = posix.dirname(path);
    if (entry.mode === 'link') {
      add(posix.join(from, await readlink(join(tree, path))));
      continue;
    }
    if (!TEXT.test(path) || /(^|\/)package-lock\.json$/.test(path)) continue;
    const text = readFileSync(join(tree, path), 'utf8');
    for (const [upward] of text.matchAll(UPWARD)) {
      const way = upward.replace(/\/$/, '');
      add(posix.join(from, way));
      // A path that is given to a tool is taken from where the tool runs.
      if (way !== '..' && isInside(path)) add(posix.join(folder, way));
    }
    // What is outside of the project may lead to more beside it. A setting that names a folder above the project is no such lead.
    for (const [beside] of isInside(path) ? [] : text.matchAll(BESIDE)) {
      const target = posix.join(from, beside).replace(/\/$/, '');
      if (!isAbove(target)) add(target);
    }
    for (const { at, named } of members) if (named.test(text)) add(at);
    for (const [name] of text.matchAll(anyName)) variables.add(name);
  }
  const read = whole ? all : [...counted].sort();
  const used = [...installs].filter(([at]) => read.some((path) => at === '' || path.startsWith(`${at}/`))).map(([at, { id }]) => [at, id]).sort();
  const given = Object.entries(env).filter(([name]) => variables.has(name) || name.startsWith('VITE_')).sort();
  return sha256(JSON.stringify([folder, process.version, await step('sdkHash', {}), used, given, read.map((path) => [path, files.get(path)?.mode, files.get(path)?.hash])]));
}

/**
 * Whether tools look for a file of this name in all folders above a project.
 * @param {string} name
 */
function isSetting(name) {
  return name !== 'mindstudio.json' && /^(\..+|.+\.config\.\w+|.+\.(json|ya?ml|toml)|browserslist)$/.test(name);
}

/**
 * The members of workspaces, each with how its name stands where it is imported.
 * @param {Map<string, import('./dependencies.js').Install>} installs
 * @param {string} tree
 */
function membersOf(installs, tree) {
  const folders = [...installs].filter(([at, { folder }]) => at !== folder).map(([at]) => at);
  return folders.map((at) => {
    const name = String(readJson(join(tree, at, 'package.json'), {}).name ?? posix.basename(at));
    return { at, named: new RegExp(`['"\`(~]${name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}['"\`)/]`) };
  });
}
