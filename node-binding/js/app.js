// @ts-check
// A folder that is published: where its database is, what it declares, and every verb on both. The CLI is a layer over it.
import { EventEmitter } from 'node:events';
import { existsSync, rmSync, statSync } from 'node:fs';
import { lstat, mkdtemp, readdir, rm, stat, statfs, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Remy, RemyError } from './index.js';
import { options as read, text } from './arguments.js';
import * as files from './app/files.js';
import { besidePackage, build, declaredEffects, isPackage, pack, unpack } from './app/package.js';
import { buildFolder, find, isThere, make, MANIFEST, storeBeside } from './app/place.js';
import { known, refusal } from './app/refusal.js';
import { SOURCE } from './pipeline/staged.js';
import { dismiss, prepare } from './process.js';

export { init } from './app/init.js';

/** @typedef {import('./app/package.js').Built} Built */
/** @typedef {import('./index.js').BuildLine} BuildLine */
/** @typedef {import('./index.js').PublishOptions} PublishOptions */
/** @typedef {import('./index.js').Outcome} Outcome */

/** What an app declares itself, so that nobody can give it as an option. */
const DECLARED = /** @type {const} */ (['artifacts', 'effects', 'migrations']);
/** How a change is refused for what the database holds, or for leave that it needs. */
const OF_THE_DATABASE = ['ambiguous_rename', 'lossy_change', 'check_failed', 'ddl_failed', 'unsupported_change', 'invalid_argument'];
/** Free space that a clone leaves, unless told otherwise. */
const MARGIN = 256 * 2 ** 20;

/**
 * Opens the folder `dir`. Its manifest may be there or above, as git finds its root.
 * @param {string} [dir]
 * @param {{ db?: string, here?: boolean }} [options]
 * @returns {Promise<import('./index.js').App>}
 */
export async function openApp(dir = '.', options) {
  return said(async () => new App(find(text(dir, 'folder'), read('openApp', options, ['db', 'here']))));
}

/**
 * Runs `work`, whose errors become the contract's.
 * @template T
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
async function said(work) {
  try {
    return await work();
  } catch (error) {
    throw known(error);
  }
}

/** @extends {EventEmitter<{ line: [import('./index.js').ProgressLine], live: [Outcome], failed: [unknown] }>} */
export class App extends EventEmitter {
  #place;
  #remy;

  /** @param {import('./app/place.js').Place} place */
  constructor(place) {
    super();
    this.#place = place;
    this.#remy = new Remy(place.path);
  }

  get root() {
    return this.#place.root;
  }

  get path() {
    return this.#place.path;
  }

  get from() {
    return this.#place.from;
  }

  /** @param {PublishOptions} [options] */
  async publish(options) {
    return this.#release('publish', options);
  }

  /** @param {PublishOptions} [options] */
  async stage(options) {
    return this.#release('stage', options);
  }

  /** @param {import('./index.js').DiffOptions} [given] */
  async diff(given) {
    return said(async () => {
      const { schema, ...options } = this.#settled(read('diff', given));
      const from = this.#source(schema);
      if (from.kind === 'package') throw refusal('invalid_argument', `${from.path} is a package`, [{ verb: 'publish', option: 'dry_run' }, ' shows what it would change']);
      if (from.kind === 'app') this.#declared(options);
      const declared = from.kind === 'app' ? { ...options, effects: await declaredEffects(from.path) } : options;
      const path = from.kind === 'app' ? join(from.path, MANIFEST) : from.path;
      return this.#onLive(true, (remy) => remy.diff(path, declared));
    });
  }

  /** @param {import('./index.js').BuildOptions} [given] */
  async build(given) {
    return this.#attempt(async () => {
      const { out, commit, signal, onProgress } = read('build', given, ['out', 'commit', 'signal', 'onProgress']);
      if (this.root === null) throw this.#noManifest([{ verb: 'init' }, ' makes an app; a schema alone needs no build']);
      const without = out === undefined ? [] : await besidePackage(out);
      return this.#built(this.root, { commit, without, signal, onLine: this.#follow(onProgress) }, async (built) => {
        const bytes = out === undefined ? null : await pack(built.dir, out, signal);
        return { package: out ?? null, bytes, commit: built.commit, warnings: built.warnings };
      });
    });
  }

  /**
   * @param {number | null} [release]
   * @param {import('./index.js').Options & import('./index.js').Followed} [options]
   */
  async promote(release, options) {
    return this.#switch('promote', release, options);
  }

  /**
   * @param {number | null} [release]
   * @param {import('./index.js').Options & import('./index.js').Followed} [options]
   */
  async rollback(release, options) {
    return this.#switch('rollback', release, options);
  }

  /** @param {import('./index.js').Cancellable} [options] */
  async releases(options) {
    return this.#onLive(false, (remy) => remy.releases(options));
  }

  /**
   * @param {number | null} [release]
   * @param {import('./index.js').Cancellable} [options]
   */
  async buildLog(release, options) {
    return this.#onLive(false, (remy) => remy.buildLog(release, options));
  }

  /**
   * @param {string} path
   * @param {import('./index.js').Cancellable} [options]
   */
  async clone(path, options) {
    return this.#onLive(false, (remy) => remy.clone(path, options));
  }

  /**
   * @param {number | null} [days]
   * @param {import('./index.js').Options} [options]
   */
  async prune(days, options) {
    return this.#onLive(false, (remy) => remy.prune(days, options));
  }

  /** @param {import('./index.js').VerifyOptions} [options] */
  async verify(options) {
    return this.#onLive(false, (remy) => remy.verify(this.#settled(read('verify', options))));
  }

  /** @param {import('./index.js').Cancellable} [options] */
  async detach(options) {
    return this.#onLive(false, (remy) => remy.detach(options));
  }

  /** @param {import('./index.js').Cancellable} [options] */
  async debug(options) {
    return this.#onLive(false, (remy) => remy.debug(options));
  }

  /**
   * @param {string} name
   * @param {import('./index.js').Cancellable} [options]
   */
  async devStart(name, options) {
    return this.#onLive(false, (remy) => remy.devStart(name, options));
  }

  /**
   * @param {string} name
   * @param {import('./index.js').Cancellable} [options]
   */
  async devReset(name, options) {
    return this.#onLive(false, (remy) => remy.devReset(name, options));
  }

  /**
   * @param {string} name
   * @param {import('./index.js').TruncateOptions} [options]
   */
  async devTruncate(name, options) {
    return this.#onLive(false, (remy) => remy.devTruncate(name, this.#settled(read('devTruncate', options))));
  }

  /**
   * @param {string} name
   * @param {import('./index.js').Cancellable} [options]
   */
  async devStop(name, options) {
    return this.#onLive(false, (remy) => remy.devStop(name, options));
  }

  /** @param {import('./index.js').Cancellable} [options] */
  async devList(options) {
    return this.#onLive(false, (remy) => remy.devList(options));
  }

  /**
   * @param {import('./index.js').Cancellable} [options]
   * @returns {Promise<import('./index.js').Status>}
   */
  async status(options) {
    return said(async () => {
      read('status', options, ['signal']);
      const { root, path, from } = this.#place;
      if (!isThere(path)) {
        this.#there(true);
        const live = { path, from, exists: false, bytes: 0, journal_mode: null };
        return { root, live, store: null, release: null, built: null, compiled: [], previews: [], dev: [], warnings: [] };
      }
      const [debug, releases, devs] = await Promise.all([
        this.#remy.debug(options),
        this.#remy.releases(options),
        this.#remy.devList(options),
      ]);
      const live = { path, from, exists: true, bytes: (await stat(path)).size, journal_mode: debug.journal_mode };
      const release = releases.find(({ release }) => release === debug.release) ?? null;
      const log = release ? await this.#remy.buildLog(files.originOf(releases, release), options) : [];
      const built = log.find(({ step, object }) => step === 'build' && object === SOURCE)?.message ?? null;
      const compiled = releases.filter(({ status }) => status === 'compiled');
      const previews = releases.filter(({ status }) => status === 'preview');
      const dev = devs.filter(({ status }) => status === 'dev');
      const store = await storeOf(debug.store, releases);
      return { root, live, store, release, built, compiled, previews, dev, warnings: warningsOf(debug, releases, live.bytes, store) };
    });
  }

  /**
   * @param {number} release
   * @param {string} [path]
   * @param {import('./index.js').Cancellable} [options]
   */
  async files(release, path, options) {
    if (path !== undefined) text(path, 'path');
    const folder = await this.#folder(release, options);
    const found = await said(() => files.listAll(folder, path));
    if (path === undefined || found.length) return found;
    throw refusal('not_found', `release ${release} has no file ${path}`, [{ verb: 'files', release }, ' lists them'], { object: path });
  }

  /**
   * @param {number} release
   * @param {string} path
   * @param {import('./index.js').Cancellable} [options]
   */
  async readFile(release, path, options) {
    text(path, 'path');
    const folder = await this.#folder(release, options);
    const content = await said(() => files.read(folder, path));
    if (content !== null) return content;
    throw refusal('not_found', `release ${release} has no file ${path}`, [{ verb: 'files', release }, ' lists them'], { object: path });
  }

  /**
   * @param {number} release
   * @param {string} dir
   * @param {import('./index.js').Cancellable} [options]
   */
  async checkout(release, dir, options) {
    text(dir, 'folder');
    const folder = await this.#folder(release, options);
    return { release, dir, files: await said(() => files.checkout(folder, dir, options?.signal)) };
  }

  /**
   * @param {number} release
   * @param {import('./index.js').Cancellable} [options]
   */
  async #folder(release, options) {
    return this.#onLive(false, async (remy) => {
      const [{ store }, releases] = await Promise.all([remy.debug(options), remy.releases(options)]);
      return files.folderOf(store, releases, release);
    });
  }

  /**
   * @param {'publish' | 'stage'} verb
   * @param {PublishOptions} [given]
   * @returns {Promise<Outcome>}
   */
  async #release(verb, given) {
    return this.#attempt(async () => {
      const { schema, create = false, onProgress, ...options } = this.#settled(read(verb, given));
      const from = this.#source(schema);
      // Before a build, which takes longer.
      this.#there(this.#mayMake(create));
      const onLine = this.#follow(onProgress);
      /** @type {(path: string, more?: object) => Promise<Outcome>} */
      const run = (path, more) =>
        this.#onLive(options.dry_run ?? false, (remy) => remy[verb](path, { ...options, ...more, onProgress: onLine }), create);
      if (from.kind === 'schema') return run(from.path);
      this.#declared(options);
      if (from.kind === 'package' && options.commit !== undefined) {
        throw refusal('invalid_argument', `${from.path} is a package, which says its commit itself`, ['Leave ', { option: 'commit' }, ' out, or build the package from it: ', { verb: 'build' }, ' has it, too'], { object: from.path });
      }
      prepare(this.#remy);
      /** @type {(built: Built) => Promise<Outcome>} */
      const release = ({ dir, commit, dirty, effects, lines }) => {
        return run(join(dir, 'source', MANIFEST), { artifacts: dir, effects, commit: described({ commit, dirty }), build: lines.map(step) });
      };
      if (from.kind === 'app') await this.#foreseen(from.path, options);
      if (from.kind === 'app') return this.#built(from.path, { ...options, onLine, record: !options.dry_run, create }, release);
      const built = await unpack(from.path, options.signal);
      return release(built).finally(() => clear(built.work));
    }).finally(() => dismiss(this.#remy));
  }

  /**
   * Refuses before a build what concerns the database alone, as it would be refused behind one: what nobody has given leave for, and
   * what its rows do not allow. An install and a build take longer, and would end in a release that failed. What else is wrong the build
   * says better, with its place.
   * @param {string} root
   * @param {PublishOptions} options
   */
  async #foreseen(root, { commit, allow, renames, ignore, extensions, signal }) {
    // What another commit declares is not here to be read.
    if (commit !== undefined || !isThere(this.path)) return;
    const path = join(root, MANIFEST);
    const asked = { allow, renames, ignore, extensions, signal };
    // Most publishes change no table, and a diff is quick; it refuses what the rows do not allow by itself.
    const refuse = (/** @type {any} */ error) => {
      if (OF_THE_DATABASE.includes(error.code)) throw error;
      return [];
    };
    const rows = await this.#remy.diff(path, asked).catch(refuse);
    signal?.throwIfAborted();
    if (!rows.length) return;
    // Code and effects are not looked at by what is asked here; without them the tables of an app may be refused as such.
    const all = { artifacts: root, effects: {} };
    await this.#remy.publish(path, { ...asked, ...all, dry_run: true }).catch(refuse);
    signal?.throwIfAborted();
  }

  /**
   * Builds the app at `root` into a folder that is there for as long as `use` takes. A build that fails is recorded as a
   * release that failed, where there is something to `record`.
   * @template T
   * @param {string} root
   * @param {{ commit?: string, without?: string[], label?: string, signal?: AbortSignal, onLine: (line: BuildLine) => void, record?: boolean, create?: boolean }} options
   * @param {(built: Built) => Promise<T>} use
   */
  async #built(root, { commit, without, label, signal, onLine, record = false, create = false }, use) {
    const work = await buildFolder(root);
    const outDir = join(work, 'out');
    try {
      /** @type {BuildLine[]} */
      const lines = [];
      /** @type {string | undefined} */
      let from;
      /** @type {{ e: unknown } | null} */
      let thrown = null;
      const tell = (/** @type {BuildLine} */ line) => {
        lines.push(line);
        try {
          onLine(line);
        } catch (e) {
          thrown ??= { e };
          throw e;
        }
      };
      const built = await build(root, { outDir, live: this.path, without, commit, signal, onLine: tell, onSource: (source) => void (from = described(source)) }).catch(async (error) => {
        // Who looks on calls the build off by throwing.
        if (thrown) throw thrown.e;
        // What a build started may die of the same Ctrl-C: how is not why it failed.
        signal?.throwIfAborted();
        // What is refused for what it was given is no release, and the first one is not of an app that is declared wrongly.
        const why = known(error);
        const code = why instanceof RemyError ? why.code : 'internal';
        const recorded = record && !['invalid_argument', 'not_found'].includes(code) && (code !== 'schema_invalid' || isThere(this.path));
        if (recorded) await this.#fail(lines, why, { label, commit: from, onProgress: onLine }, create);
        throw error;
      });
      return await use(built);
    } finally {
      await clear(work);
    }
  }

  /**
   * @param {BuildLine[]} build
   * @param {unknown} why
   * @param {{ label?: string, commit?: string, onProgress: (line: any) => void }} options
   * @param {boolean} create
   */
  async #fail(build, why, options, create) {
    const { code, message, object } = why instanceof RemyError ? why : new RemyError({ code: 'internal', message: String(why) });
    const record = this.#onLive(false, (remy) => remy.fail({ code, message, object }, { build: build.map(step), ...options }), create);
    // What went wrong first is what has to be told.
    await record.catch(() => {});
  }

  /**
   * @param {'promote' | 'rollback'} verb
   * @param {number | null} [release]
   * @param {import('./index.js').Options & import('./index.js').Followed} [given]
   * @returns {Promise<Outcome>}
   */
  async #switch(verb, release, given) {
    return this.#attempt(async () => {
      const { onProgress, ...options } = this.#settled(read(verb, given));
      const onLine = this.#follow(onProgress);
      return this.#onLive(false, (remy) => remy[verb](release, { ...options, onProgress: onLine }));
    });
  }

  /**
   * What comes of an attempt is an event, too.
   * @template T
   * @param {() => Promise<T>} work
   */
  async #attempt(work) {
    try {
      const result = await said(work);
      const outcome = /** @type {Outcome} */ (/** @type {unknown} */ (result));
      if (outcome.status === 'live') this.emit('live', outcome);
      return result;
    } catch (error) {
      this.emit('failed', error);
      throw error;
    }
  }

  /**
   * Tells each line once: those of a build come again when core records them.
   * @param {((line: any) => void) | undefined} onProgress
   */
  #follow(onProgress) {
    const told = new Set();
    return (/** @type {import('./index.js').Line | BuildLine} */ line) => {
      const key = `${line.at} ${line.message}`;
      if (line.step === 'build' && told.has(key)) return;
      if (!('release' in line)) told.add(key);
      const whole = { release: null, seq: null, ...line };
      this.emit('line', whole);
      onProgress?.(whole);
    };
  }

  /**
   * What is to be published.
   * @param {string} [schema]
   * @returns {{ kind: 'app' | 'package' | 'schema', path: string }}
   */
  #source(schema) {
    const { root, from } = this.#place;
    if (schema !== undefined) {
      if (isPackage(schema)) return { kind: 'package', path: schema };
      if (/(^|\/)mindstudio\.json$/.test(schema)) {
        throw refusal('invalid_argument', `${schema} is the manifest of an app, not a schema`, [`Publish the app from its folder, or name ${dirname(schema)} with `, { option: 'app' }], { object: schema });
      }
      // A schema is the whole truth: published by mistake to an app's database, it would drop what the app has.
      if (root !== null && from !== 'db') {
        throw refusal('invalid_argument', `${join(root, MANIFEST)} declares what is published here`, [`Leave ${schema} out, or name its database with `, { option: 'db' }], { object: schema });
      }
      return { kind: 'schema', path: schema };
    }
    if (root !== null) return { kind: 'app', path: root };
    const named = this.#place.schema;
    if (named !== null && !existsSync(named)) throw refusal('not_found', `there is no file ${named}, the schema of remy.json`, 'Correct the path there', { object: named });
    if (named !== null) return { kind: 'schema', path: named };
    throw this.#noManifest(['Name a schema, and its database with ', { option: 'db' }, '. Or make an app: ', { verb: 'init' }, ' does']);
  }

  /**
   * Options, with what remy.json says where they say nothing.
   * @template {{ extensions?: string[] }} T
   * @param {T} given
   * @returns {T}
   */
  #settled(given) {
    const { extensions } = this.#place;
    return given.extensions === undefined && extensions.length ? { ...given, extensions } : given;
  }

  /** @param {readonly import('./index.js').RemedyPart[]} hint */
  #noManifest(hint) {
    return refusal('invalid_argument', `there is no ${MANIFEST} in ${this.#place.base} or above it, and nothing is named to be published`, hint);
  }

  /** @param {import('./index.js').Options} options */
  #declared(options) {
    const given = DECLARED.find((key) => options[key] !== undefined);
    if (given) throw refusal('invalid_argument', `an app declares its own ${given}`, ['Leave ', { option: given }, ' out']);
  }

  /** @param {boolean} create */
  #mayMake(create) {
    return create || this.#place.from === 'default';
  }

  /**
   * Live is there, or is still to be made, where that `may` be. With a store beside it, it is neither: it was there, and is lost.
   * @param {boolean} may
   */
  #there(may) {
    const { path, from } = this.#place;
    if (isThere(path)) return;
    const store = storeBeside(path);
    if (store !== null) {
      const hint = `Copy the newest database of ${join(store, 'snapshots')} to ${path} and make it writable to have it back, or move ${store} away to begin anew`;
      throw refusal('not_found', `${path} is gone, and ${store} keeps its releases`, hint, { object: path });
    }
    if (may) return;
    /** @type {readonly import('./index.js').RemedyPart[]} */
    const hint = from === 'default' ? [{ verb: 'publish' }, ' makes it; ', { option: 'db' }, ' names another'] : ['Check the path; ', { verb: 'publish', option: 'create' }, ' makes a new one'];
    throw refusal('not_found', `there is no database at ${path}`, hint, { object: path });
  }

  /**
   * Runs `work` on live. Where live is still to be made, a `trial` gets an empty database that is not kept.
   * @template T
   * @param {boolean} trial
   * @param {(remy: Remy) => Promise<T>} work
   * @param {boolean} [create] whether this may make live
   * @returns {Promise<T>}
   */
  async #onLive(trial, work, create) {
    return said(async () => {
      if (isThere(this.path)) return work(this.#remy);
      this.#there(this.#mayMake(create ?? false) && (trial || create !== undefined));
      if (trial) {
        const folder = await mkdtemp(join(tmpdir(), 'remy-trial-'));
        try {
          await writeFile(join(folder, 'live.db'), '');
          return await work(new Remy(join(folder, 'live.db')));
        } finally {
          await rm(folder, { recursive: true, force: true });
        }
      }
      make(this.#place);
      return work(this.#remy).catch((error) => {
        // What is refused before there is a store leaves nothing.
        if (storeBeside(this.path) === null && statSync(this.path, { throwIfNoEntry: false })?.size === 0) rmSync(this.path);
        throw error;
      });
    });
  }
}

/**
 * Removes what a verb worked in. Where that fails, what came of the verb is what has to be told.
 * @param {string} folder
 */
async function clear(folder) {
  await rm(folder, { recursive: true, force: true }).catch(() => {});
}

/**
 * @param {string} path
 * @param {import('./index.js').Release[]} releases
 */
async function storeOf(path, releases) {
  const snapshots = releases.filter(({ status, database, pruned_at }) => status !== 'preview' && database !== null && pruned_at === null);
  const { bavail, bsize } = await statfs(dirname(path));
  return { path, bytes: await bytesOf(path), snapshots: snapshots.length, free_bytes: bavail * bsize };
}

/**
 * A commit as a release has it: as `git describe --dirty` does.
 * @param {{ commit: string | null, dirty: boolean }} source
 */
function described({ commit, dirty }) {
  return commit === null ? undefined : `${commit}${dirty ? '-dirty' : ''}`;
}

/**
 * A line of a build, as core takes it.
 * @param {BuildLine} line
 * @returns {import('./index.js').BuildStep}
 */
function step({ at, outcome, message, object, duration_ms }) {
  return { at, outcome, message, object, duration_ms };
}

/**
 * What the files of a folder take on the disk. One that goes meanwhile takes nothing.
 * @param {string} folder
 */
async function bytesOf(folder) {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  const sizes = entries
    .filter((entry) => entry.isFile())
    .map((entry) => lstat(join(entry.parentPath ?? entry.path, entry.name)).then(({ blocks }) => blocks * 512, () => 0));
  return (await Promise.all(sizes)).reduce((sum, bytes) => sum + bytes, 0);
}

/**
 * @param {import('./index.js').Debug} debug
 * @param {import('./index.js').Release[]} releases newest first
 * @param {number} bytes
 * @param {{ free_bytes: number }} store
 */
function warningsOf({ drift, warnings: known }, releases, bytes, store) {
  const warnings = [...known];
  if (drift !== null) warnings.push(drift);
  const [newest] = releases;
  if (newest?.status === 'failed') warnings.push(`release ${newest.release}, the last attempt, failed: its log says why`);
  if (newest?.status === 'building') warnings.push(`release ${newest.release} is at work, or was cut off: the next verb clears it up`);
  if (store.free_bytes < bytes + MARGIN) warnings.push('the disk has too little free space for a clone: free some, or prune old releases');
  return warnings;
}
