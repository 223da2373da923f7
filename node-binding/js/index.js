// @ts-check
// remy for Node.js. Every verb runs in a process of its own (process.js), so that this module can be loaded beside any SQLite library.
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
    await remy.#run({ verb: 'open' }, options);
    return remy;
  }

  get path() {
    return this.#path;
  }

  /** @param {Cancellable} [options] */
  async debug(options) {
    return this.#run({ verb: 'debug' }, options);
  }

  /**
   * @param {string} schema
   * @param {Options} [options]
   */
  async diff(schema, options) {
    return this.#run({ verb: 'diff', schema: text(schema, 'schema') }, options, { takes: true });
  }

  /**
   * @param {string} path
   * @param {Cancellable} [options]
   */
  async clone(path, options) {
    // An empty path is the engine's to refuse, and no folder.
    return this.#run({ verb: 'clone', path: text(path, 'path') && resolve(path) }, options);
  }

  /**
   * @param {string} schema
   * @param {Options} [options]
   */
  async stage(schema, options) {
    return this.#run({ verb: 'stage', schema: text(schema, 'schema') }, options, {
      takes: true,
      follows: true,
    });
  }

  /**
   * @param {string} schema
   * @param {Options} [options]
   */
  async publish(schema, options) {
    return this.#run({ verb: 'publish', schema: text(schema, 'schema') }, options, {
      takes: true,
      follows: true,
    });
  }

  /**
   * @param {import('./index.d.ts').BuildFailure} failure
   * @param {Options} [options]
   */
  async fail(failure, options) {
    return this.#run({ verb: 'fail', failure: json(failure, 'failure') }, options, {
      takes: true,
      follows: true,
    });
  }

  /**
   * @param {number | null} [release]
   * @param {Options} [options]
   */
  async promote(release, options) {
    return this.#run({ verb: 'promote', release: number(release, 'release') }, options, {
      takes: true,
      follows: true,
    });
  }

  /**
   * @param {number | null} [release]
   * @param {Options} [options]
   */
  async rollback(release, options) {
    return this.#run({ verb: 'rollback', release: number(release, 'release') }, options, {
      takes: true,
      follows: true,
    });
  }

  /** @param {Cancellable} [options] */
  async releases(options) {
    return this.#run({ verb: 'releases' }, options);
  }

  /**
   * @param {number | null} [release]
   * @param {Cancellable} [options]
   */
  async buildLog(release, options) {
    return this.#run({ verb: 'buildLog', release: number(release, 'release') }, options);
  }

  /**
   * @param {string} name
   * @param {Cancellable} [options]
   */
  async devStart(name, options) {
    return this.#run({ verb: 'devStart', name: text(name, 'name') }, options);
  }

  /**
   * @param {string} name
   * @param {Cancellable} [options]
   */
  async devReset(name, options) {
    return this.#run({ verb: 'devReset', name: text(name, 'name') }, options);
  }

  /**
   * @param {string} name
   * @param {import('./index.js').TruncateOptions} [options]
   */
  async devTruncate(name, options) {
    return this.#run({ verb: 'devTruncate', name: text(name, 'name') }, options, { takes: true });
  }

  /**
   * @param {string} name
   * @param {Cancellable} [options]
   */
  async devStop(name, options) {
    return this.#run({ verb: 'devStop', name: text(name, 'name') }, options);
  }

  /** @param {Cancellable} [options] */
  async devList(options) {
    return this.#run({ verb: 'devList' }, options);
  }

  /**
   * @param {number | null} [days]
   * @param {Options} [options]
   */
  async prune(days, options) {
    return this.#run({ verb: 'prune', days: number(days, 'number of days') }, options, {
      takes: true,
    });
  }

  /** @param {Options} [options] */
  async verify(options) {
    return this.#run({ verb: 'verify' }, options, { takes: true, follows: true });
  }

  /** @param {Cancellable} [options] */
  async detach(options) {
    return this.#run({ verb: 'detach' }, options);
  }

  /**
   * Runs a verb. It `takes` options of its own, or only `signal`; it `follows` its build log, or has none.
   *
   * @param {{ verb: string, [argument: string]: unknown }} call as core has it, whose options are JSON text
   * @param {Options} [given]
   * @param {{ takes?: boolean, follows?: boolean }} [how]
   */
  #run(call, given, { takes = false, follows = false } = {}) {
    const own = ['signal', ...(follows ? ['onProgress'] : [])];
    const { signal, onProgress, ...options } = /** @type {Options} */ (
      read(call.verb, given, takes ? undefined : own)
    );
    // Core would not know whose it is.
    if (onProgress && !follows) read(call.verb, { onProgress }, own);
    const verb = takes ? { ...call, options: json(options, 'options') } : call;
    return run({ path: { path: this.#path, verb } }, signal, onProgress);
  }
}
