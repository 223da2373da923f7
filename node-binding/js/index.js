// @ts-check
// remy for Node.js. Every verb runs in a worker process (worker.js), so that this module can be loaded beside any SQLite library.
import { resolve } from 'node:path';
import { json, number, options as read, text } from './arguments.js';
import { RemyError } from './error.js';
import { run } from './process.js';

export { RemyError };

export { App, init, openApp } from './app.js';

export { CallError } from './error.js';

export { Runtime } from './runtime.js';

export { version } from './version.js';

/** @typedef {import('./index.js').Options & import('./index.js').Followed} Options */
/** @typedef {import('./index.js').Cancellable} Cancellable */

/** A live database and its releases. */
export class Remy {
  #path;

  /**
   * Of the database at `path`. Nothing is opened before the first verb.
   *
   * @param {string} path
   */
  constructor(path) {
    this.#path = resolve(text(path, 'path'));
  }

  /**
   * Like the constructor, and rejects where the database cannot be opened.
   *
   * @param {string} path
   * @param {Cancellable} [options]
   */
  static async open(path, options) {
    const remy = new Remy(path);
    await remy.#run('open', [], options);
    return remy;
  }

  get path() {
    return this.#path;
  }

  /** @param {Cancellable} [options] */
  async debug(options) {
    return this.#run('debug', [], options);
  }

  /**
   * @param {string} schema
   * @param {Options} [options]
   */
  async diff(schema, options) {
    return this.#run('diff', [text(schema, 'schema')], options, { takes: true });
  }

  /**
   * @param {string} path
   * @param {Cancellable} [options]
   */
  async clone(path, options) {
    // An empty path is the engine's to refuse, and no folder.
    return this.#run('clone', [text(path, 'path') && resolve(path)], options);
  }

  /**
   * @param {string} schema
   * @param {Options} [options]
   */
  async stage(schema, options) {
    return this.#run('stage', [text(schema, 'schema')], options, { takes: true, follows: true });
  }

  /**
   * @param {string} schema
   * @param {Options} [options]
   */
  async publish(schema, options) {
    return this.#run('publish', [text(schema, 'schema')], options, { takes: true, follows: true });
  }

  /**
   * @param {import('./index.d.ts').BuildFailure} failure
   * @param {Options} [options]
   */
  async fail(failure, options) {
    return this.#run('fail', [json(failure, 'failure')], options, { takes: true, follows: true });
  }

  /**
   * @param {number | null} [release]
   * @param {Options} [options]
   */
  async promote(release, options) {
    return this.#run('promote', [number(release, 'release')], options, {
      takes: true,
      follows: true,
    });
  }

  /**
   * @param {number | null} [release]
   * @param {Options} [options]
   */
  async rollback(release, options) {
    return this.#run('rollback', [number(release, 'release')], options, {
      takes: true,
      follows: true,
    });
  }

  /** @param {Cancellable} [options] */
  async releases(options) {
    return this.#run('releases', [], options);
  }

  /**
   * @param {number | null} [release]
   * @param {Cancellable} [options]
   */
  async buildLog(release, options) {
    return this.#run('buildLog', [number(release, 'release')], options);
  }

  /**
   * @param {string} name
   * @param {Cancellable} [options]
   */
  async devStart(name, options) {
    return this.#run('devStart', [text(name, 'name')], options);
  }

  /**
   * @param {string} name
   * @param {Cancellable} [options]
   */
  async devReset(name, options) {
    return this.#run('devReset', [text(name, 'name')], options);
  }

  /**
   * @param {string} name
   * @param {import('./index.js').TruncateOptions} [options]
   */
  async devTruncate(name, options) {
    return this.#run('devTruncate', [text(name, 'name')], options, { takes: true });
  }

  /**
   * @param {string} name
   * @param {Cancellable} [options]
   */
  async devStop(name, options) {
    return this.#run('devStop', [text(name, 'name')], options);
  }

  /** @param {Cancellable} [options] */
  async devList(options) {
    return this.#run('devList', [], options);
  }

  /**
   * @param {number | null} [days]
   * @param {Options} [options]
   */
  async prune(days, options) {
    return this.#run('prune', [number(days, 'number of days')], options, { takes: true });
  }

  /** @param {Options} [options] */
  async verify(options) {
    return this.#run('verify', [], options, { takes: true, follows: true });
  }

  /** @param {Cancellable} [options] */
  async detach(options) {
    return this.#run('detach', [], options);
  }

  /**
   * Runs a verb. It `takes` options of its own, or only `signal`; it `follows` its build log, or has none.
   *
   * @param {string} verb
   * @param {unknown[]} args
   * @param {Options} [given]
   * @param {{ takes?: boolean, follows?: boolean }} [how]
   */
  #run(verb, args, given, { takes = false, follows = false } = {}) {
    const own = ['signal', ...(follows ? ['onProgress'] : [])];
    const { signal, onProgress, ...options } = /** @type {Options} */ (
      read(verb, given, takes ? undefined : own)
    );
    // Core would not know whose it is.
    if (onProgress && !follows) read(verb, { onProgress }, own);
    const request = {
      path: this.#path,
      verb,
      args: takes ? [...args, json(options, 'options')] : args,
    };
    return run(request, signal, onProgress);
  }
}
