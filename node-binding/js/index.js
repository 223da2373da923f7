// remy for Node.js. Every verb runs in a worker process (worker.js), so that this module can be loaded beside any SQLite library.
import { fork } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The version of remy. */
export const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));

const worker = fileURLToPath(new URL('./worker.js', import.meta.url));

/** Why a verb failed. `code` is stable; the message says what happened, what state everything is in, and what to do. */
export class RemyError extends Error {
  name = 'RemyError';

  constructor({ code, message, hint = null, object = null, sql = null }) {
    super(message);
    this.code = code;
    this.hint = hint;
    this.object = object;
    this.sql = sql;
  }
}

/** A live database and its releases. */
export class Remy {
  #path;

  /** Of the database at `path`. Nothing is opened before the first verb. */
  constructor(path) {
    this.#path = resolve(text(path, 'path'));
  }

  /** Like the constructor, and rejects where the database cannot be opened. */
  static async open(path, options) {
    const remy = new Remy(path);
    await remy.#run('open', [], options);
    return remy;
  }

  get path() {
    return this.#path;
  }

  async debug(options) {
    return this.#run('debug', [], options);
  }

  async diff(schema, options) {
    return this.#run('diff', [text(schema, 'schema')], options, { takes: true });
  }

  async clone(path, options) {
    return this.#run('clone', [resolve(text(path, 'path'))], options);
  }

  async stage(schema, options) {
    return this.#run('stage', [text(schema, 'schema')], options, { takes: true, follows: true });
  }

  async publish(schema, options) {
    return this.#run('publish', [text(schema, 'schema')], options, { takes: true, follows: true });
  }

  async promote(release, options) {
    return this.#run('promote', [number(release, 'release')], options, { takes: true, follows: true });
  }

  async rollback(release, options) {
    return this.#run('rollback', [number(release, 'release')], options, { takes: true, follows: true });
  }

  async releases(options) {
    return this.#run('releases', [], options);
  }

  async buildLog(release, options) {
    return this.#run('buildLog', [number(release, 'release')], options);
  }

  async devStart(name, options) {
    return this.#run('devStart', [text(name, 'name')], options);
  }

  async devReset(name, options) {
    return this.#run('devReset', [text(name, 'name')], options);
  }

  async devTruncate(name, options) {
    return this.#run('devTruncate', [text(name, 'name')], options);
  }

  async devStop(name, options) {
    return this.#run('devStop', [text(name, 'name')], options);
  }

  async devList(options) {
    return this.#run('devList', [], options);
  }

  async prune(days, options) {
    return this.#run('prune', [number(days, 'number of days')], options, { takes: true });
  }

  async verify(options) {
    return this.#run('verify', [], options);
  }

  async detach(options) {
    return this.#run('detach', [], options);
  }

  /** Runs a verb. It `takes` options of its own, or only `signal`; it `follows` its build log, or has none. */
  #run(verb, args, { signal, onProgress, ...options } = {}, { takes = false, follows = false } = {}) {
    const [unknown] = [...(takes ? [] : Object.keys(options)), ...(!follows && onProgress ? ['onProgress'] : [])];
    if (unknown) throw wrong(`${verb} has no option ${unknown}`);
    const request = { path: this.#path, verb, args: takes ? [...args, JSON.stringify(options)] : args, follow: !!onProgress };
    return run(request, signal, onProgress);
  }
}

/** Runs a request in a worker process. */
function run(request, signal, onProgress) {
  signal?.throwIfAborted();
  return new Promise((fulfill, reject) => {
    // The flags of this process (an inspector, a loader) are not the worker's; its stderr, where a panic speaks, is ours.
    const child = fork(worker, [], { execArgv: [], stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    // A message that does not arrive is one to a worker that is done: its end says how.
    const send = (message) => child.connected && child.send(message, () => {});
    const cancel = () => send({ cancel: true });
    let end = () => reject(died(child));
    let thrown = null;

    signal?.addEventListener('abort', cancel, { once: true });
    child.on('error', (error) => {
      if (child.pid !== undefined) return;
      end = () => reject(new RemyError({ code: 'io', message: `the worker process did not start: ${error.message}. Nothing was done` }));
      finish();
    });
    child.on('message', ({ line, result, error }) => {
      if (line) {
        try {
          onProgress(JSON.parse(line));
        } catch (e) {
          thrown ??= { e };
          cancel();
        }
      } else if (error) {
        const stopped = error.code === 'busy' && (thrown || signal?.aborted);
        end = () => reject(stopped ? (thrown ? thrown.e : signal.reason) : new RemyError(error));
      } else {
        end = () => (thrown ? reject(thrown.e) : fulfill(JSON.parse(result)));
      }
    });
    child.on('close', finish);
    send(request);

    // Only when the process is gone are its locks.
    function finish() {
      signal?.removeEventListener('abort', cancel);
      end();
    }
  });
}

function died(child) {
  const how = child.signalCode ? `was ended by ${child.signalCode}` : `ended with status ${child.exitCode}`;
  const message = `the worker process ${how} before it answered. Live is as it was, or switched whole. Look at releases() before trying again`;
  return new RemyError({ code: 'internal', message, hint: 'Look at releases() before trying again' });
}

function text(value, what) {
  if (typeof value !== 'string') throw wrong(`the ${what} must be a string`);
  return value;
}

function number(value, what) {
  if (value === undefined || value === null) return null;
  if (!Number.isSafeInteger(value)) throw wrong(`the ${what} must be a whole number`);
  return value;
}

function wrong(message) {
  return new RemyError({ code: 'invalid_argument', message: `${message}. Nothing was done` });
}
