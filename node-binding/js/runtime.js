// @ts-check
// The methods of an app, run by a process that lasts: the package's program, which asks nobody for a terminal and shares no SQLite with
// the application. A line of JSON each way (core/cli, commands/runtime.rs).
import { spawn } from 'node:child_process';
import { basename, delimiter, dirname } from 'node:path';
import { createInterface } from 'node:readline';
import { missing, program } from './addon.js';
import { options as read, text, wrong } from './arguments.js';
import { CallError, errorOf, RemyError } from './error.js';
import { uncaught } from './process.js';
import { esbuild } from './tools.js';

/** @typedef {{ root: string | null, path: string }} Place */
/** @typedef {import('./index.js').InvokeOptions} InvokeOptions */
/** @typedef {import('./index.js').RuntimeOptions} RuntimeOptions */
/** @typedef {Pick<InvokeOptions, 'signal' | 'onOutput' | 'onStream'>} Heard who hears of a call */
/** @typedef {{ fulfill: (returned: any) => void, reject: (error: unknown) => void, options: Heard }} Waiting */

/**
 * The environment of the process. Methods run in the Node.js that runs this, where a program of that name is on its path; esbuild, which
 * bundles those of a dev session, is the package's.
 */
function environment() {
  const { execPath } = process;
  const { ESBUILD_BINARY_PATH = esbuild(), ...rest } = process.env;
  const env = ESBUILD_BINARY_PATH === undefined ? rest : { ...rest, ESBUILD_BINARY_PATH };
  if (basename(execPath) !== 'node') return env;
  return { ...env, PATH: [dirname(execPath), env.PATH ?? ''].join(delimiter) };
}

/** One process, and the calls that it runs. */
class Session {
  #child;
  /** @type {Map<number, Waiting>} */
  #calls = new Map();
  #next = 1;
  #isClosing = false;
  /** @type {RemyError | null} why it is of no use any more */
  ended = null;
  /** Rejects where it cannot run methods. */
  ready;
  /** Is there when the process is gone. */
  gone;

  /**
   * @param {Place} place
   * @param {RuntimeOptions} options
   */
  constructor({ root, path }, { maxProcesses }) {
    const most = maxProcesses === undefined ? [] : ['--max-processes', String(maxProcesses)];
    const where = ['--db', path, ...(root === null ? [] : ['--app', root])];
    // In a session of its own: a terminal's Ctrl-C is the application's to hear, and its end is what ends this.
    const child = spawn(program(), ['runtime', '--json', ...where, ...most], {
      argv0: 'remy',
      cwd: root ?? dirname(path),
      detached: true,
      stdio: ['pipe', 'pipe', 'ignore'],
      env: environment(),
    });
    this.#child = child;
    child.stdin.on('error', () => {});
    /** @type {RemyError | undefined} */
    let refused;
    const { promise, resolve, reject } = promised();
    this.ready = promise;
    createInterface({ input: child.stdout, crlfDelay: Infinity }).on('line', (line) => {
      const told = JSON.parse(line);
      if (told.ready) resolve(null);
      else if (told.call === undefined)
        refused = told.error.status ? new CallError(told.error) : errorOf(told.error);
      else this.#told(told);
    });
    this.gone = new Promise((fulfill) => {
      const end = (/** @type {RemyError} */ error) => {
        this.ended = error;
        reject(error);
        for (const { reject } of this.#calls.values()) reject(error);
        this.#calls.clear();
        fulfill(null);
      };
      child.on('error', (error) => {
        if (child.pid === undefined)
          end(missing(`the program cannot be started: ${error.message}`));
      });
      child.on('close', (status, signal) => end(refused ?? died(status, signal)));
    });
  }

  /**
   * @param {string} method
   * @param {string} input as JSON
   * @param {InvokeOptions} options
   */
  call(method, input, options) {
    const { as, user, preview, release, dev, onStream } = options;
    const asked = { method, user, roles: as, preview, release, dev, stream: !!onStream };
    return this.#ask(`${JSON.stringify(asked).slice(0, -1)},"input":${input}}`, options);
  }

  /**
   * @param {string} name
   * @param {string} scenario
   * @param {Heard} options
   */
  seed(name, scenario, options) {
    return this.#ask(JSON.stringify({ seed: scenario, dev: name }), options);
  }

  /**
   * @param {string} asked an object of JSON, which has more than nothing
   * @param {Heard} options
   */
  #ask(asked, options) {
    const { signal } = options;
    const call = this.#next++;
    const cancel = () => this.#send(`{"cancel":${call}}`);
    const { promise, resolve, reject } = promised();
    this.#calls.set(call, { fulfill: resolve, reject, options });
    this.hold();
    this.#send(`{"call":${call},${asked.slice(1)}`);
    signal?.addEventListener('abort', cancel, { once: true });
    return promise
      .catch((error) => {
        throw signal?.aborted && error.code === 'cancelled' ? signal.reason : error;
      })
      .finally(() => {
        signal?.removeEventListener('abort', cancel);
        this.hold();
      });
  }

  /** Keeps this program from ending while there are calls, or something else is waited for. */
  hold(isWaitedFor = this.#isClosing || this.#calls.size > 0) {
    for (const one of [this.#child, this.#child.stdin, this.#child.stdout]) {
      const handle = /** @type {{ ref(): void, unref(): void }} */ (/** @type {unknown} */ (one));
      if (isWaitedFor) handle.ref();
      else handle.unref();
    }
  }

  async close() {
    this.#isClosing = true;
    this.#child.stdin.end();
    this.hold();
    await this.gone;
  }

  /** @param {string} line */
  #send(line) {
    this.#child.stdin.write(`${line}\n`);
  }

  /** @param {any} told of a call */
  #told({ call, line, stream, part, returned, error }) {
    const waiting = this.#calls.get(call);
    // What a method prints when it has answered has nobody to hear it.
    if (!waiting) return;
    const { fulfill, reject, options } = waiting;
    if (returned || error) this.#calls.delete(call);
    if (returned) return fulfill(returned);
    if (error) return reject(error.status ? new CallError(error) : errorOf(error));
    try {
      if (line !== undefined) options.onOutput?.(line, stream);
      else options.onStream?.(part);
    } catch (thrown) {
      uncaught(thrown);
    }
  }
}

/** @type {('preview' | 'release' | 'dev')[]} where a method may be called that is not live */
const ELSEWHERE = ['preview', 'release', 'dev'];

/** @returns {{ promise: Promise<any>, resolve: (value: any) => void, reject: (error: unknown) => void }} */
function promised() {
  /** @type {any} */
  const all = {};
  all.promise = new Promise((resolve, reject) => Object.assign(all, { resolve, reject }));
  // Who waits for it is told; that nobody does is no mistake.
  all.promise.catch(() => {});
  return all;
}

/**
 * @param {number | null} status
 * @param {string | null} signal
 */
function died(status, signal) {
  const how = signal ? `was ended by ${signal}` : `ended with status ${status}`;
  return new RemyError({
    code: 'io',
    message: `the process that runs methods ${how}. What calls had written by then stays; those under way are lost. The next call starts another one`,
  });
}

/** Runs the methods of an app. */
export class Runtime {
  #place;
  #options;
  /** @type {Session | null} */
  #session;
  #isClosed = false;

  /**
   * @param {Place} place
   * @param {RuntimeOptions} options
   * @param {Session} session
   */
  constructor(place, options, session) {
    this.#place = place;
    this.#options = options;
    this.#session = session;
  }

  /**
   * @param {string} method
   * @param {unknown} [input]
   * @param {InvokeOptions} [given]
   * @returns {Promise<any>}
   */
  async invoke(method, input = {}, given) {
    const options = read('invoke', given, [
      'as',
      'user',
      ...ELSEWHERE,
      'signal',
      'onOutput',
      'onStream',
    ]);
    text(method, 'method');
    const elsewhere = ELSEWHERE.filter((option) => options[option] !== undefined);
    if (elsewhere.length > 1)
      throw wrong(`the options ${elsewhere.slice(0, 2).join(' and ')} do not go together`);
    const json = asJson(input);
    const session = await this.#started(options.signal);
    return session.call(method, json, options);
  }

  /**
   * @param {string} name
   * @param {string} scenario
   * @param {import('./index.js').SeedOptions} [given]
   * @returns {Promise<any>}
   */
  async devSeed(name, scenario, given) {
    const options = read('devSeed', given, ['signal', 'onOutput']);
    text(name, 'name');
    text(scenario, 'scenario');
    const session = await this.#started(options.signal);
    return session.seed(name, scenario, options);
  }

  async close() {
    this.#isClosed = true;
    await this.#session?.close();
  }

  /** @param {AbortSignal} [signal] */
  async #started(signal) {
    signal?.throwIfAborted();
    if (this.#isClosed) throw wrong('the runtime is closed', 'Ask the app for another one');
    // One that has died has told so to whoever waited for it.
    if (this.#session === null || this.#session.ended)
      this.#session = new Session(this.#place, this.#options);
    const session = this.#session;
    session.hold(true);
    await session.ready;
    if (signal?.aborted) {
      session.hold();
      throw signal.reason;
    }
    return session;
  }
}

/**
 * @param {Place} place
 * @param {RuntimeOptions} options
 */
export async function startRuntime(place, options) {
  const session = new Session(place, options);
  await session.ready;
  session.hold();
  return new Runtime(place, options, session);
}

/**
 * What a method gets is JSON: what is none is refused, and not left out.
 * @param {unknown} input
 */
function asJson(input) {
  let json;
  try {
    json = JSON.stringify(input);
  } catch (error) {
    throw wrong(`the input cannot be given as JSON: ${/** @type {Error} */ (error).message}`);
  }
  if (json === undefined) throw wrong('the input cannot be given as JSON');
  return json;
}
