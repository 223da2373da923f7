// @ts-check
// Installs the packages of a folder with a package.json, in the staged copy, when what asks for them changed.
//
// Packages' own install scripts run unless the user's npm says otherwise: a package with a native part has none before its script ran,
// and whoever publishes an app has run `npm install` in it, with the same trust.
import { createHash, randomUUID } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { appendFile, copyFile, cp, mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { doesNotBuild } from './faults.js';
import { environment, failed, run } from './run.js';
import { exists, leaves, sha256 } from './source.js';
import { readJson, writeWhole } from './tree.js';
import { installedWith } from './workspaces.js';

/** @typedef {import('./source.js').Entry} Entry */
/**
 * @typedef {object} Install
 * @property {string} folder  that it runs in, relative to the app, '' for the app itself
 * @property {string[]} folders  that it is for: itself, or all of its workspace
 * @property {string} key  of what asked for it
 * @property {string} id  of this very install: without a lock file, two of one key may differ
 * @property {number} packages
 * @property {string[]} beside  packages of it that cannot be bundled, as far as was seen
 * @property {boolean} reused
 * @property {string[]} warnings
 */
/**
 * A package.json.
 * @typedef {object} Asking
 * @property {string} folder
 * @property {string} named  its path
 * @property {string} text
 * @property {any} wanted  what it says, without what is not installed
 */

/** The packages that remy provides itself. The registry has neither. */
export const SDK = ['@mindstudio-ai/agent', '@mindstudio-ai/interface'];

/** remy's own package. */
const OWN = createRequire(import.meta.url)('../../package.json');

/** What no build needs: the SDK, which is put there, and remy itself, which an app has to be published with, perhaps by a path of this machine. */
const NOT_INSTALLED = [...SDK, OWN.name];

/** Where a package.json names packages. */
const KINDS = ['dependencies', 'devDependencies', 'optionalDependencies', 'peerDependencies'];

// One fetch that is not answered fails after twice 12 s: npm's own limits are 5 minutes, three times.
const NPM_FETCH = ['--fetch-timeout=12000', '--fetch-retries=1', '--fetch-retry-mintimeout=200', '--fetch-retry-maxtimeout=1000'];
const QUIET = ['--no-audit', '--no-fund', '--no-progress', '--no-update-notifier'];

/**
 * Lock files, the first that is there decides. All tools lay packages out in one flat node_modules, so that the ones that cannot be
 * bundled can be taken along. Other tools than npm cannot take a lock as it stands once the SDK's packages are out of package.json;
 * they keep the versions that it names. A setting of yarn 1 that begins with YARN_ is an error to newer ones.
 * @type {{ lock: string, tool: string, args: string[], forWorkspace?: string[], env?: Record<string, string> }[]}
 */
const TOOLS = [
  { lock: 'package-lock.json', tool: 'npm', args: ['ci', '--include=dev', ...NPM_FETCH, ...QUIET] },
  { lock: 'npm-shrinkwrap.json', tool: 'npm', args: ['ci', '--include=dev', ...NPM_FETCH, ...QUIET] },
  {
    lock: 'pnpm-lock.yaml',
    tool: 'pnpm',
    args: ['install', '--no-frozen-lockfile', '--ignore-workspace', '--config.node-linker=hoisted', '--fetch-timeout=12000', '--fetch-retries=1'],
  },
  {
    lock: 'yarn.lock',
    tool: 'yarn',
    args: ['install'],
    env: { YARN_NODE_LINKER: 'node-modules', YARN_ENABLE_IMMUTABLE_INSTALLS: 'false', npm_config_network_timeout: '12000', YARN_HTTP_TIMEOUT: '12000', YARN_HTTP_RETRY: '1' },
  },
  { lock: 'bun.lock', tool: 'bun', args: ['install'], forWorkspace: ['--linker=hoisted'] },
  { lock: 'bun.lockb', tool: 'bun', args: ['install'], forWorkspace: ['--linker=hoisted'] },
];
/** The names of all lock files. */
export const LOCKS = TOOLS.map(({ lock }) => lock);
const NO_LOCK = { lock: '', tool: 'npm', args: ['install', '--include=dev', '--no-package-lock', ...NPM_FETCH, ...QUIET] };

/**
 * The nearest folder above a file that has a package.json, or null.
 * @param {Map<string, Entry>} files
 * @param {string} path
 */
export function packageFolder(files, path) {
  let folder = path;
  do {
    folder = posix.dirname(folder);
    if (files.has(posix.join(folder, 'package.json'))) return folder === '.' ? '' : folder;
  } while (folder !== '.');
  return null;
}

/**
 * @param {string} folder  with a package.json, relative to the app
 * @param {object} where
 * @param {string} where.root  the user's folder, for an .npmrc that is no part of a release
 * @param {string} where.tree
 * @param {string} where.cache
 * @param {Map<string, Entry>} where.files
 * @param {AbortSignal} [where.signal]
 * @returns {Promise<Install>}
 */
export async function install(folder, { root, tree, cache, files, signal }) {
  const folders = await installedWith(folder, { tree, files });
  const [top] = folders;
  const at = join(tree, top);
  const asking = folders.map((each) => readAsking(tree, each));
  const tool = TOOLS.find(({ lock }) => files.has(posix.join(top, lock))) ?? NO_LOCK;
  const settings = npmSettings(root, tree, top);
  const read = asking.map(({ folder, wanted }) => [folder, wanted, inputs(folder, wanted, tool.lock, files)]);
  const key = sha256(JSON.stringify([read, tool, process.versions.modules, process.arch, settings]));

  const isAsked = asking.some(({ wanted }) => asks(wanted));
  const unlocked = `${posix.join(top, 'package.json')} has no lock beside it: its packages are the newest that it takes, and may be others next time. Keep one, such as npm's package-lock.json`;
  const warnings = isAsked && tool === NO_LOCK ? [unlocked] : [];
  const statePath = join(cache, 'installs', `${sha256(top).slice(0, 16)}.json`);
  const before = readJson(statePath, null);
  /** @type {Install} */
  let state;
  if (before?.key === key && exists(join(at, 'node_modules'))) {
    state = { ...before, reused: true, warnings };
  } else {
    await rm(statePath, { force: true });
    await removePackages(tree, folders);
    if (isAsked) await stage({ top, tree, asking, tool, settings, signal });
    state = { folder: top, folders, key, id: randomUUID(), packages: await count(at), beside: [], reused: false, warnings };
  }
  await putSdk(at);
  if (!state.reused) remember(cache, state);
  return state;
}

/**
 * @param {string} tree
 * @param {string[]} folders
 */
async function removePackages(tree, folders) {
  for (const folder of folders) await rm(join(tree, folder, 'node_modules'), { recursive: true, force: true });
}

/**
 * @param {string} cache
 * @param {Install} state
 */
export function remember(cache, { reused, warnings, ...state }) {
  writeWhole(join(cache, 'installs', `${sha256(state.folder).slice(0, 16)}.json`), JSON.stringify(state));
}

/**
 * Runs the tool in the staged copy, without our own packages in package.json. What only the lock has, `npm ci` does not install.
 * @param {{ top: string, tree: string, asking: Asking[], tool: typeof TOOLS[0], settings: string | null, signal?: AbortSignal }} what
 */
async function stage({ top, tree, asking, tool, settings, signal }) {
  const at = join(tree, top);
  const lock = tool.lock && (await readFile(join(at, tool.lock), 'utf8'));
  const hadSettings = exists(join(at, '.npmrc'));
  const start = (/** @type {string[]} */ args) => run(tool.tool, args, { cwd: at, env: { ...environment(), ...tool.env }, signal }).catch((error) => {
    if (error.code !== 'ENOENT') throw error;
    throw cannotInstall(top, tool.lock, `needs ${tool.tool}, which is not on this machine. Install it${tool.tool === 'npm' ? '' : ', or use npm and its package-lock.json instead'}`);
  });
  try {
    for (const { named, wanted } of asking) await writeFile(join(tree, named), `${JSON.stringify(wanted, null, 2)}\n`);
    if (settings !== null && !hadSettings) await writeFile(join(at, '.npmrc'), settings, { mode: 0o600 });
    // yarn 1 finds nothing in a lock of newer ones, and would take other versions without a word.
    if (tool.tool === 'yarn' && /^__metadata:/m.test(lock)) {
      const version = (await start(['--version'])).output.trim();
      if (version.startsWith('1.')) throw cannotInstall(top, tool.lock, `is of yarn 2 or newer, and yarn on this machine is ${version}. Run "corepack enable", or use npm and its package-lock.json instead`);
    }
    const args = [...tool.args, ...((asking.length > 1 && tool.forWorkspace) || [])];
    const ran = await start(args);
    if (ran.status !== 0) throw notInstalled(ran, { tool, asking, tree });
  } catch (error) {
    await removePackages(tree, asking.map(({ folder }) => folder));
    throw error;
  } finally {
    // What builds read is the app's own again, and no token stays behind.
    for (const { named, text } of asking) await writeFile(join(tree, named), text);
    if (lock) await writeFile(join(at, tool.lock), lock);
    else for (const { lock: made } of TOOLS) await rm(join(at, made), { force: true });
    if (settings !== null && !hadSettings) await rm(join(at, '.npmrc'), { force: true });
  }
}

/**
 * @param {string} folder
 * @param {string} lock
 * @param {string} message
 */
function cannotInstall(folder, lock, message) {
  return doesNotBuild([{ file: posix.join(folder, lock || 'package.json'), pointer: '', message }]);
}

/**
 * What went wrong, with the name of the package that could not be had where there is one.
 * @param {import('./run.js').Ran} ran
 * @param {{ tool: { tool: string, args: string[] }, asking: Asking[], tree: string }} what
 */
function notInstalled(ran, { tool, asking, tree }) {
  const name = missingPackage(ran.output) ?? '';
  const places = asking.flatMap(({ named, wanted }) => KINDS.map((kind) => ({ named, kind, range: wanted[kind]?.[name] })));
  const place = places.find(({ range }) => range !== undefined);
  const asked = place ? ` (asked for as ${JSON.stringify(place.range)})` : '';
  const before = name && `the dependency ${name}${asked} cannot be fetched: `;
  const pointer = place ? `/${place.kind}/${name.replace(/~/g, '~0').replace(/\//g, '~1')}` : '';
  return failed(ran, { file: place?.named ?? asking[0].named, pointer, program: `${tool.tool} ${tool.args[0]}`, tree, before });
}

/**
 * The package that npm's error is about: a name and range in quotes, or an address of the registry.
 * @param {string} output
 */
function missingPackage(output) {
  const name = '((?:@[\\w.~-]+/)?[\\w.~-]+)';
  const said = output.match(new RegExp(`'${name}@[^']*' is not in this registry|No matching version found for ${name}@`));
  if (said) return said[1] ?? said[2];
  const address = output.match(/(?:request to|GET|timeout at:|trying to fetch) (https?:\/\/\S+?):?(?:\s|$)/)?.[1];
  if (!address || !URL.canParse(address)) return null;
  // …/name, …/@scope%2fname, …/name/-/name-1.0.0.tgz
  const path = decodeURIComponent(new URL(address).pathname).split('/-/')[0];
  return path.match(new RegExp(`/${name}$`))?.[1] ?? null;
}

/**
 * @param {string} tree
 * @param {string} folder
 * @returns {Asking}
 */
function readAsking(tree, folder) {
  const named = posix.join(folder, 'package.json');
  try {
    const text = readFileSync(join(tree, named), 'utf8');
    const manifest = JSON.parse(text);
    if (manifest === null || typeof manifest !== 'object' || Array.isArray(manifest)) throw new Error('it is no object');
    return { folder, named, text, wanted: withoutOurs(manifest) };
  } catch (error) {
    throw doesNotBuild([{ file: named, pointer: '', message: `is not JSON that npm reads: ${/** @type {Error} */ (error).message}` }]);
  }
}

/** @param {Record<string, any>} manifest */
function withoutOurs(manifest) {
  const copy = structuredClone(manifest);
  for (const kind of KINDS) for (const name of NOT_INSTALLED) delete copy[kind]?.[name];
  return copy;
}

/** @param {Record<string, any>} manifest */
function asks(manifest) {
  return KINDS.some((kind) => Object.keys(manifest[kind] ?? {}).length > 0);
}

/**
 * The app's own .npmrc: where it stands beside a token that git ignores, it is no part of the release, and the install needs it all the same.
 * @param {string} root
 * @param {string} tree
 * @param {string} folder
 */
function npmSettings(root, tree, folder) {
  for (const path of [join(tree, folder, '.npmrc'), join(root, folder, '.npmrc')]) {
    if (exists(path)) return readFileSync(path, 'utf8');
  }
  return null;
}

/**
 * Files that decide what an install gives: the lock, packages that are files of the app, and what package.json files of folders ask for.
 * @param {string} folder
 * @param {any} wanted
 * @param {string} lock
 * @param {Map<string, Entry>} files
 */
function inputs(folder, wanted, lock, files) {
  const paths = [lock, '.yarnrc', '.yarnrc.yml', '.pnpmfile.cjs', 'pnpm-workspace.yaml'].filter(Boolean).map((name) => posix.join(folder, name));
  for (const kind of KINDS) {
    for (const [name, spec] of Object.entries(wanted[kind] ?? {})) {
      const local = typeof spec === 'string' ? spec.match(/^(?:file|link|portal):(.*)/)?.[1] : undefined;
      if (local === undefined) continue;
      const path = posix.join(folder, local).replace(/\/$/, '');
      if (leaves(path)) {
        throw doesNotBuild([{ file: posix.join(folder, 'package.json'), pointer: `/${kind}/${name.replace(/\//g, '~1')}`, message: `is ${spec}, outside of the app: a release would not have it` }]);
      }
      paths.push(path, posix.join(path, 'package.json'));
    }
  }
  // Patches are put on packages by their install scripts.
  for (const path of files.keys()) if (path.startsWith(posix.join(folder, 'patches/'))) paths.push(path);
  return paths.map((path) => [path, files.get(path)?.hash ?? null]);
}

/**
 * How many packages there are.
 * @param {string} at
 */
async function count(at) {
  const hidden = readJson(join(at, 'node_modules', '.package-lock.json'), null);
  // Links are folders of the app.
  if (hidden?.packages) return Object.entries(hidden.packages).filter(([path, { link }]) => path.includes('node_modules/') && !link).length;
  let packages = 0;
  for (const name of await readdir(join(at, 'node_modules')).catch(() => [])) {
    if (name.startsWith('@')) packages += (await readdir(join(at, 'node_modules', name))).length;
    else if (!name.startsWith('.')) packages++;
  }
  return packages;
}

// What the SDK's packages are made of: files of remy's own sdk folder, by sub-path.
const SDK_FILES = {
  '@mindstudio-ai/agent': { '.': 'agent' },
  '@mindstudio-ai/interface': { '.': 'interface', './voice': 'voice' },
};

/** Files that those import. */
const SDK_SHARED = ['phone.js'];

/** A file of remy's SDK. */
export function sdkFile(/** @type {string} */ name) {
  return fileURLToPath(new URL(`../sdk/${name}`, import.meta.url));
}

/** @type {string | undefined} */
let known;

/** What the SDK is, for the keys of what was made with it. */
export function sdkHash() {
  if (known === undefined) {
    const hash = createHash('sha256');
    for (const name of readdirSync(sdkFile('')).sort()) hash.update(name).update(readFileSync(sdkFile(name)));
    known = hash.digest('hex');
  }
  return known;
}

/**
 * Puts the SDK's packages beside the installed ones: web builds and type checkers look for them there.
 * @param {string} at
 */
async function putSdk(at) {
  const hash = sdkHash();
  const mark = join(at, 'node_modules', '@mindstudio-ai', '.remy');
  if (exists(mark) && readFileSync(mark, 'utf8') === hash) return;
  for (const [name, parts] of Object.entries(SDK_FILES)) {
    const folder = join(at, 'node_modules', name);
    await rm(folder, { recursive: true, force: true });
    await mkdir(folder, { recursive: true });
    /** @type {Record<string, { types: string, default: string }>} */
    const exports = {};
    for (const [sub, file] of Object.entries(parts)) {
      for (const end of ['.js', '.d.ts']) await copyFile(sdkFile(file + end), join(folder, file + end));
      exports[sub] = { types: `./${file}.d.ts`, default: `./${file}.js` };
    }
    for (const file of SDK_SHARED) await copyFile(sdkFile(file), join(folder, file));
    const manifest = { name, version: '0.0.0', type: 'module', sideEffects: false, exports, types: exports['.'].types, main: exports['.'].default };
    await writeFile(join(folder, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
  }
  await putTypes(join(at, 'node_modules', OWN.name));
  await writeFile(mark, hash);
}

/**
 * Puts what type checkers ask remy itself for, and no more of it: an app's tsconfig.json may name it (`remy-db/modules`), and it is never
 * installed.
 * @param {string} folder
 */
async function putTypes(folder) {
  const exports = Object.fromEntries(Object.entries(OWN.exports).filter(([, to]) => /** @type {any} */ (to).types?.startsWith('./js/sdk/')));
  await rm(folder, { recursive: true, force: true });
  await mkdir(join(folder, 'js/sdk'), { recursive: true });
  for (const file of readdirSync(sdkFile(''))) await copyFile(sdkFile(file), join(folder, 'js/sdk', file));
  await writeFile(join(folder, 'package.json'), `${JSON.stringify({ name: OWN.name, version: OWN.version, type: 'module', exports }, null, 2)}\n`);
}

/**
 * Asks what is missing in each module of the SDK, and adds that to the ones beside the packages of `at`, until `install` puts them there
 * again as they are.
 * @param {(module: string, file: string) => { code: string, types: string }} more  for a module, and for its types
 * @param {string} [at]
 */
export async function eachOfSdk(more, at) {
  for (const [name, parts] of Object.entries(SDK_FILES)) {
    for (const [sub, file] of Object.entries(parts)) {
      const { code, types } = more(posix.join(name, sub), file);
      if (!code || at === undefined) continue;
      await rm(join(at, 'node_modules', '@mindstudio-ai', '.remy'), { force: true });
      for (const [end, text] of [['.js', code], ['.d.ts', types]]) await appendFile(join(at, 'node_modules', name, file + end), `\n${text}`);
    }
  }
}

/** @typedef {{ importer: string, name: string }} Import  of a package, by a file of the staged copy */

/**
 * Copies packages and all that they need out of the staged copy, each to where it is in its node_modules folder: it finds the same
 * others there.
 * @param {string} tree
 * @param {Iterable<Import>} imports
 * @param {string} to  a node_modules folder
 * @returns {Promise<{ clashes: { found: string, versions: string }[], missing: Import[] }>} packages whose place another version has taken, and those that are not there
 */
export async function takeAlong(tree, imports, to) {
  /** @type {{ found: string, versions: string }[]} */
  const clashes = [];
  const missing = [];
  /** @type {Map<string, string>} */
  const taken = new Map();
  const seen = new Set();
  /** @type {{ name: string, from: string, importer?: string }[]} */
  const rest = [...imports].map(({ importer, name }) => ({ name, from: posix.dirname(importer), importer }));
  for (let next = rest.pop(); next; next = rest.pop()) {
    const found = findPackage(tree, next.name, next.from);
    if (found === null && next.importer !== undefined) missing.push({ importer: next.importer, name: next.name });
    if (found === null || seen.has(found)) continue;
    seen.add(found);
    const manifest = readJson(join(tree, found, 'package.json'), {});
    const version = `${manifest.name}@${manifest.version}`;
    const place = found.slice(`/${found}`.indexOf('/node_modules/') + 'node_modules/'.length);
    const other = taken.get(place);
    if (other !== undefined && other !== version) clashes.push({ found, versions: `${version} and ${other}` });
    if (other === undefined) {
      taken.set(place, version);
      const nested = join(tree, found, 'node_modules');
      await cp(join(tree, found), join(to, place), { recursive: true, dereference: true, filter: (path) => path !== nested && basename(path) !== '.cache' });
    }
    for (const kind of ['dependencies', 'optionalDependencies', 'peerDependencies']) {
      for (const name of Object.keys(manifest[kind] ?? {})) rest.push({ name, from: found });
    }
  }
  return { clashes, missing };
}

/**
 * Where a package is found from a folder: in its own node_modules, or those of the folders around it.
 * @param {string} tree
 * @param {string} name
 * @param {string} from
 */
function findPackage(tree, name, from) {
  for (let folder = from; ; folder = posix.dirname(folder)) {
    const found = posix.join(folder, 'node_modules', name);
    if (posix.basename(folder) !== 'node_modules' && exists(join(tree, found, 'package.json'))) return found;
    if (folder === '.') return null;
  }
}
