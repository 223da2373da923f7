// @ts-check
// A folder that is published: where its database is, what it declares, and every verb on both. Each verb runs whole in a process of its own
// (process.js); here its arguments are looked at, and whoever listens is told.
import { EventEmitter } from 'node:events';
import { resolve } from 'node:path';
import { load } from './addon.js';
import { number, options as read, text } from './arguments.js';
import { errorOf } from './error.js';
import { run, uncaught } from './process.js';
import { startRuntime } from './runtime.js';
import { tools } from './tools.js';

/** @typedef {import('./index.js').Outcome} Outcome */
/** @typedef {import('./index.js').PublishOptions} PublishOptions */
/** @typedef {import('./index.js').Cancellable} Cancellable */
/** @typedef {import('./index.js').Options & import('./index.js').Followed} Followed */
/** @typedef {{ root: string | null, path: string, from: import('./index.js').App['from'] }} Place */

/**
 * What the addon says of a call that has waited for nothing.
 * @param {string} told
 */
function done(told) {
  const { done, refused } = JSON.parse(told);
  if (refused) throw errorOf(refused);
  return done;
}

/**
 * Opens the folder `dir`. Its manifest may be there or above, as git finds its root.
 * @param {string} [dir]
 * @param {{ db?: string, here?: boolean }} [options]
 * @returns {Promise<import('./index.js').App>}
 */
export async function openApp(dir = '.', options) {
  const { db, here = false } = read('openApp', options, ['db', 'here']);
  const named = { db, here, environment: process.env.REMY_DB };
  return new App(done(load().findPlace(resolve(text(dir, 'folder')), JSON.stringify(named))));
}

/**
 * Writes what an app, or a schema alone, begins with.
 * @param {string} dir
 * @param {{ sql?: boolean }} [options]
 * @returns {{ root: string, files: string[] }}
 */
export function init(dir, options) {
  const { sql = false } = read('init', options, ['sql']);
  return done(load().init(text(dir, 'folder'), Boolean(sql)));
}

/** @extends {EventEmitter<{ line: [import('./index.js').ProgressLine], live: [Outcome], failed: [unknown] }>} */
export class App extends EventEmitter {
  #place;

  /** @param {Place} place */
  constructor(place) {
    super();
    this.#place = place;
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
    return this.#change('publish', options);
  }

  /** @param {PublishOptions} [options] */
  async stage(options) {
    return this.#change('stage', options);
  }

  /** @param {import('./index.js').DiffOptions} [given] */
  async diff(given) {
    const { schema, signal, ...options } = read('diff', given);
    return this.#run('diff', { schema, options }, { signal });
  }

  /** @param {import('./index.js').BuildOptions} [given] */
  async build(given) {
    return this.#attempt(async () => {
      const { out, commit, ...more } = read('build', given, [
        'out',
        'commit',
        'signal',
        'onProgress',
      ]);
      return this.#run('build', { out, commit, tools: tools() }, more);
    });
  }

  /**
   * @param {number | null} [release]
   * @param {Followed} [options]
   */
  async promote(release, options) {
    return this.#switch('promote', release, options);
  }

  /**
   * @param {number | null} [release]
   * @param {Followed} [options]
   */
  async rollback(release, options) {
    return this.#switch('rollback', release, options);
  }

  /** @param {Cancellable} [options] */
  async releases(options) {
    return this.#run('releases', {}, read('releases', options, ['signal']));
  }

  /**
   * @param {number | null} [release]
   * @param {Cancellable} [options]
   */
  async buildLog(release, options) {
    return this.#run(
      'buildLog',
      { release: number(release, 'release') },
      read('buildLog', options, ['signal']),
    );
  }

  /**
   * @param {string} path
   * @param {Cancellable} [options]
   */
  async clone(path, options) {
    // An empty path is the engine's to refuse, and no folder.
    return this.#run(
      'clone',
      { path: text(path, 'path') && resolve(path) },
      read('clone', options, ['signal']),
    );
  }

  /**
   * @param {number | null} [days]
   * @param {import('./index.js').Options} [given]
   */
  async prune(days, given) {
    const { signal, ...options } = read('prune', given);
    return this.#run('prune', { days: number(days, 'days'), options }, { signal });
  }

  /** @param {import('./index.js').VerifyOptions} [given] */
  async verify(given) {
    const { signal, onProgress, ...options } = read('verify', given);
    return this.#run('verify', { options }, { signal, onProgress });
  }

  /** @param {Cancellable} [options] */
  async detach(options) {
    return this.#run('detach', {}, read('detach', options, ['signal']));
  }

  /** @param {Cancellable} [options] */
  async debug(options) {
    return this.#run('debug', {}, read('debug', options, ['signal']));
  }

  /**
   * @param {string} name
   * @param {Cancellable} [options]
   */
  async devStart(name, options) {
    return this.#run(
      'devStart',
      { name: text(name, 'name') },
      read('devStart', options, ['signal']),
    );
  }

  /**
   * @param {string} name
   * @param {import('./index.js').SyncOptions} [given]
   */
  async devSync(name, given) {
    const { signal, ...options } = read('devSync', given);
    return this.#run('devSync', { name: text(name, 'name'), options }, { signal });
  }

  /**
   * @param {string} name
   * @param {Cancellable} [options]
   */
  async devReset(name, options) {
    return this.#run(
      'devReset',
      { name: text(name, 'name') },
      read('devReset', options, ['signal']),
    );
  }

  /**
   * @param {string} name
   * @param {import('./index.js').TruncateOptions} [given]
   */
  async devTruncate(name, given) {
    const { signal, ...options } = read('devTruncate', given);
    return this.#run('devTruncate', { name: text(name, 'name'), options }, { signal });
  }

  /**
   * @param {string} name
   * @param {Cancellable} [options]
   */
  async devStop(name, options) {
    return this.#run('devStop', { name: text(name, 'name') }, read('devStop', options, ['signal']));
  }

  /** @param {Cancellable} [options] */
  async devList(options) {
    return this.#run('devList', {}, read('devList', options, ['signal']));
  }

  /**
   * @param {Cancellable} [options]
   * @returns {Promise<import('./index.js').Status>}
   */
  async status(options) {
    return this.#run('status', {}, read('status', options, ['signal']));
  }

  /**
   * @param {number} release
   * @param {string} [path]
   * @param {Cancellable} [options]
   */
  async files(release, path, options) {
    if (path !== undefined) text(path, 'path');
    return this.#run(
      'files',
      { release: number(release, 'release'), path },
      read('files', options, ['signal']),
    );
  }

  /**
   * @param {number} release
   * @param {string} path
   * @param {Cancellable} [options]
   */
  async readFile(release, path, options) {
    const call = { release: number(release, 'release'), path: text(path, 'path') };
    // Each byte comes as the letter of its number.
    return Buffer.from(
      await this.#run('readFile', call, read('readFile', options, ['signal'])),
      'latin1',
    );
  }

  /**
   * @param {number} release
   * @param {string} dir
   * @param {Cancellable} [options]
   */
  async checkout(release, dir, options) {
    return this.#run(
      'checkout',
      { release: number(release, 'release'), dir: text(dir, 'folder') },
      read('checkout', options, ['signal']),
    );
  }

  /** @param {import('./index.js').RuntimeOptions} [options] */
  async runtime(options) {
    return startRuntime(this.#place, read('runtime', options, ['maxProcesses']));
  }

  /**
   * @param {'publish' | 'stage'} verb
   * @param {PublishOptions} [given]
   * @returns {Promise<Outcome>}
   */
  async #change(verb, given) {
    return this.#attempt(async () => {
      const { schema, create = false, signal, onProgress, ...options } = read(verb, given);
      return this.#run(
        verb,
        { schema, create, options, tools: tools() },
        { signal, onProgress },
        true,
      );
    });
  }

  /**
   * @param {'promote' | 'rollback'} verb
   * @param {number | null} [release]
   * @param {Followed} [given]
   * @returns {Promise<Outcome>}
   */
  async #switch(verb, release, given) {
    return this.#attempt(async () => {
      const { signal, onProgress, ...options } = read(verb, given);
      return this.#run(
        verb,
        { release: number(release, 'release'), options },
        { signal, onProgress },
        true,
      );
    });
  }

  /**
   * What comes of an attempt is an event, too.
   * @template T
   * @param {() => Promise<T>} work
   */
  async #attempt(work) {
    const result = await work().catch((error) => {
      this.#tell(() => this.emit('failed', error));
      throw error;
    });
    const outcome = /** @type {Outcome} */ (/** @type {unknown} */ (result));
    if (outcome.status === 'live') this.#tell(() => this.emit('live', outcome));
    return result;
  }

  /**
   * Tells who listens. What a listener throws changes nothing of what came of the verb: it is thrown where nobody waits for that, as
   * whatever a listener of Node's own throws.
   * @param {() => void} emit
   */
  #tell(emit) {
    try {
      emit();
    } catch (error) {
      uncaught(error);
    }
  }

  /**
   * @param {string} verb
   * @param {object} call
   * @param {Cancellable & { onProgress?: (line: any) => void }} how
   * @param {boolean} [emits] whether who listens is told of its lines
   * @returns {Promise<any>}
   */
  async #run(verb, call, { signal, onProgress }, emits = onProgress !== undefined) {
    const onLine = (/** @type {import('./index.js').ProgressLine} */ line) => {
      this.emit('line', line);
      onProgress?.(line);
    };
    const project = { place: this.#place, call: { verb, ...call } };
    return run({ project }, signal, emits ? onLine : undefined);
  }
}
