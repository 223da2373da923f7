// @ts-check
// Builds a release from an app's folder: reads what is declared, stages the source, installs, compiles, and writes the folder that is
// published or packed. Nothing of a database is touched, and nothing of the user's folder but the cache.
import { mkdirSync, statSync, writeFileSync } from 'node:fs';
import { mkdir, realpath, rm } from 'node:fs/promises';
import { dirname, join, posix, resolve } from 'node:path';
import { performance } from 'node:perf_hooks';
import { install, packageFolder } from './dependencies.js';
import { compileMethods } from './methods.js';
import { AppError, line as told } from './faults.js';
import { compile, effects, readApp } from './read.js';
import { exists, stageSource } from './source.js';
import { SOURCE } from './staged.js';
import { hold, step } from './step.js';
import { sync } from './tree.js';
import { inputSchemas } from './typescript.js';
import { buildWeb } from './web.js';

/**
 * @typedef {object} LogLine
 * @property {number} at
 * @property {'build'} step
 * @property {'ok' | 'warning' | 'failed'} outcome
 * @property {string} message
 * @property {string | null} object
 * @property {null} sql
 * @property {number} duration_ms
 */
/**
 * @typedef {object} Built
 * @property {string} dir
 * @property {any} manifest
 * @property {string | null} commit
 * @property {boolean} dirty
 * @property {object} effects
 * @property {LogLine[]} lines
 * @property {string[]} warnings
 */

/**
 * Builds the app at `root` to `outDir`, which must not be there. Where it fails or is called off, `outDir` is gone again.
 * @param {string} root
 * @param {object} options
 * @param {string} options.outDir
 * @param {string} [options.commit]  build this commit, and not the working tree
 * @param {string} [options.cacheDir]
 * @param {string} [options.live]  the live database: it and what belongs to it are no part of a release, wherever they lie
 * @param {string[]} [options.without]  other absolute paths that are no part of it
 * @param {(line: LogLine) => void} [options.onLine]
 * @param {(source: { commit: string | null, dirty: boolean }) => void} [options.onSource]  told what is built, once that is known
 * @param {AbortSignal} [options.signal]
 * @returns {Promise<Built>}
 */
export async function build(root, { outDir, commit, cacheDir, live, without, onLine, onSource, signal }) {
  root = await realpath(root);
  // A folder without an app, which may be a whole home, is not copied to find that out.
  if (commit === undefined && !statSync(join(root, 'mindstudio.json'), { throwIfNoEntry: false })?.isFile()) readApp(root);
  const dir = resolve(outDir);
  await mkdir(resolve(cacheDir ?? join(root, '.remy', 'cache')), { recursive: true, mode: 0o700 });
  const cache = await realpath(resolve(cacheDir ?? join(root, '.remy', 'cache')));
  const log = logOf(onLine);
  const release = await hold(cache, { signal, onEvent: () => log.line('ok', 'Waits for another build of this app to end') });
  let isOurs = false;
  try {
    await mkdir(dirname(dir), { recursive: true });
    await mkdir(dir);
    isOurs = true;
    const made = await steps({ root, dir, cache, commit, live, without, log, onSource, signal });
    return { dir, ...made, lines: log.lines, warnings: log.lines.filter(({ outcome }) => outcome === 'warning').map(({ message }) => message) };
  } catch (error) {
    if (error instanceof AppError && error.output) log.line('failed', error.output, { object: error.object });
    if (isOurs) await rm(dir, { recursive: true, force: true });
    throw error;
  } finally {
    release();
  }
}

/**
 * @param {{ root: string, dir: string, cache: string, commit?: string, live?: string, without?: string[], log: ReturnType<typeof logOf>, onSource?: (source: { commit: string | null, dirty: boolean }) => void, signal?: AbortSignal }} what
 */
async function steps({ root, dir, cache, commit: ref, live, without: others = [], log, onSource, signal }) {
  const source = join(dir, 'source');
  const tree = join(cache, 'source');
  const without = [...others, dir, cache];

  log.begin();
  const { files, commit, dirty, warnings } = await stageSource(root, source, { commit: ref, live, without, signal });
  onSource?.({ commit, dirty });
  const from = commit ? ` of commit ${commit.slice(0, 7)}${dirty ? ' (working tree dirty)' : ''}` : '';
  log.done(`Staged ${count(files.size, 'file')}${from}`, { object: SOURCE });
  for (const warning of warnings) log.line('warning', warning);

  log.begin();
  const { manifest, interfaces, warnings: odd } = readApp(source, ref === undefined ? `what git takes of ${root}` : `commit ${commit?.slice(0, 7)} of ${root}`);
  const parts = [count(manifest.methods.length, 'method'), count(manifest.tables.length, 'table'), count(interfaces.length, 'interface')];
  log.done(`Read mindstudio.json: ${parts.join(', ')}`);
  for (const warning of odd) log.line('warning', warning);

  const web = interfaces.find((each) => each.type === 'web' && each.enabled);
  const webFolder = web && projectOf(web);
  await sync(source, tree, files, signal);

  // Packages, for every folder that methods or the web project need.
  /** @type {Map<string, import('./dependencies.js').Install>} */
  const installs = new Map();
  const methods = manifest.methods.map((method) => ({ ...method, path: posix.normalize(method.path) }));
  const folders = methods.map(({ path }) => packageFolder(files, path));
  if (webFolder && files.has(posix.join(webFolder, 'package.json'))) folders.push(webFolder);
  for (const folder of new Set(folders)) {
    if (folder === null || installs.has(folder)) continue;
    log.begin();
    const installed = await install(folder, { root, tree, cache, files, signal });
    for (const each of installed.folders) installs.set(each, installed);
    if (installed.packages) log.done(`${installed.reused ? 'Reused' : 'Installed'} ${count(installed.packages, 'package')} for ${installed.folder || 'the app'}`, { object: installed.folder });
    for (const warning of installed.warnings) log.line('warning', warning, { object: installed.folder });
  }

  log.begin();
  const compiled = await compileMethods({
    methods, files, tree, cache, out: dir, installs, signal,
    onMethod({ id, bytes, reused, warnings }) {
      log.done(`${reused ? 'Reused' : 'Compiled'} ${id} [${bytesText(bytes)}]`, { object: id });
      for (const warning of warnings) log.line('warning', warning, { object: id });
      log.begin();
    },
  });

  const unsupported = compiled.flatMap(({ id, unsupported }) => unsupported.map((use) => ({ ...use, by: id })));
  if (web && webFolder) {
    for (const name of ['.env', '.env.production', '.env.local', '.env.production.local']) {
      if (ref === undefined && exists(join(root, webFolder, name))) {
        log.line('warning', `${posix.join(webFolder, name)} is no part of a release, and the web build does not see it: give its variables in the environment`, { object: 'web' });
      }
    }
    log.begin();
    const output = await buildWeb({ folder: webFolder, settings: [web.file], files, tree, cache, to: join(dir, 'interfaces', 'web'), installs, signal });
    log.done(`${output.reused ? 'Reused' : 'Compiled'} web interface [${count(output.files, 'file')}]`, { object: 'web' });
    for (const warning of output.warnings) log.line('warning', warning, { object: 'web' });
    unsupported.push(...output.unsupported.map((use) => ({ ...use, by: 'web' })));
  }
  // Once for the release, not with each method.
  const unsupportedWarning = await step('unsupportedWarning', unsupported);
  if (unsupportedWarning) log.line('warning', unsupportedWarning);

  const schemas = inputSchemas(source, methods, (warning, method) => log.line('warning', told(warning), { object: method }));
  const described = [];
  for (const each of interfaces) {
    log.begin();
    const { files: made, warnings } = compile(each, { manifest, schemas });
    for (const [path, content] of Object.entries(made)) {
      mkdirSync(dirname(join(dir, path)), { recursive: true });
      writeFileSync(join(dir, path), content);
    }
    const { type, enabled } = each;
    const place = each === web ? { dir: 'interfaces/web' } : {};
    described.push({ type, enabled, ...(`interfaces/${type}.json` in made ? { file: `interfaces/${type}.json` } : {}), ...place });
    if (enabled && each !== web) log.done(`Compiled ${type} interface`, { object: type });
    for (const warning of warnings) log.line('warning', warning, { object: type });
  }

  signal?.throwIfAborted();
  writeFileSync(join(dir, 'app.json'), `${JSON.stringify(description({ manifest, commit, dirty, compiled, interfaces: described }), null, 2)}\n`);
  return { manifest, commit, dirty, effects: effects(manifest, interfaces) };
}

/**
 * What a release says of itself.
 * @param {{ manifest: any, commit: string | null, dirty: boolean, compiled: import('./methods.js').Compiled[], interfaces: object[] }} what
 */
function description({ manifest, commit, dirty, compiled, interfaces }) {
  const methods = compiled.map(({ id, file, bytes }) => {
    const { name = null, description = null, export: exported } = manifest.methods.find((/** @type {{ id: string }} */ method) => method.id === id);
    return { id, name, description, export: exported, file, bytes };
  });
  const { name, appId = null, description = null, roles, tables, scenarios, auth = null } = manifest;
  return { format: 1, name, appId, description, commit, dirty, methods, roles, tables, interfaces, scenarios, auth };
}

/**
 * The web project's folder, relative to the app.
 * @param {{ dir: string }} web
 */
function projectOf({ dir }) {
  return posix.normalize(dir).replace(/\/$/, '');
}

/**
 * The log: a line for each step, with the time since it began.
 * @param {((line: LogLine) => void) | undefined} onLine
 */
function logOf(onLine) {
  /** @type {LogLine[]} */
  const lines = [];
  let began = performance.now();
  /** @type {(outcome: LogLine['outcome'], message: string, options?: { object?: string | null, duration_ms?: number }) => void} */
  const line = (outcome, message, { object = null, duration_ms = 0 } = {}) => {
    /** @type {LogLine} */
    const made = { at: Date.now(), step: 'build', outcome, message, object, sql: null, duration_ms };
    lines.push(made);
    onLine?.(made);
  };
  return {
    lines,
    line,
    begin: () => void (began = performance.now()),
    /** @type {(message: string, options?: { object?: string | null }) => void} */
    done: (message, options) => line('ok', message, { ...options, duration_ms: Math.round((performance.now() - began) * 1000) / 1000 }),
  };
}

/**
 * @param {number} n
 * @param {string} what
 */
function count(n, what) {
  return `${n} ${what}${n === 1 ? '' : 's'}`;
}

/** @param {number} bytes */
function bytesText(bytes) {
  if (bytes < 1000) return `${bytes} B`;
  const [size, unit] = bytes < 999_950 ? [bytes / 1000, 'KB'] : [bytes / 1_000_000, 'MB'];
  return `${size.toFixed(1)} ${unit}`;
}
