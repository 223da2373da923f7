// @ts-check
// The processes that verbs run in, one each: the addon's own file is their program (core/helper). Two SQLite libraries in one process must
// not share a file, and the application may have the database open through one of its own.
import { spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { load } from './addon.js';
import { errorOf, RemyError } from './error.js';
import { frame, frames } from './frames.js';

/** @typedef {import('node:child_process').ChildProcess} ChildProcess */
/** @typedef {import('node:stream').Duplex} Duplex */
/**
 * A verb on a database, or one on a folder that is published.
 * @typedef {{ path: { path: string, verb: object } } | { project: { place: object, call: object } }} On
 */

/** By which descriptor it is spoken to: of the others each goes one way only. */
const SOCKET = 3;

/** @returns {{ path: string, loader: string, byLoader: boolean, hello: string }} */
function program() {
  const { helper } = load();
  try {
    return helper();
  } catch (error) {
    throw unstarted(/** @type {Error} */ (error).message);
  }
}

/**
 * In a session of its own: what a terminal tells this process (to stop, to end) is for this one, which calls the verb off or does not.
 * @param {ReturnType<typeof program>} program
 */
function start({ path, loader, byLoader }) {
  const words = ['remy-helper', `by-${SOCKET}`];
  /** @type {import('node:child_process').SpawnOptions} */
  const how = { stdio: ['ignore', 'ignore', 'inherit', 'pipe'], detached: true };
  return byLoader || !isExecutable(path)
    ? spawn(loader, [path, ...words], how)
    : spawn(path, words, how);
}

/**
 * A library as a rule has no leave to be executed; its loader has.
 * @param {string} path
 */
function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** @param {string} why */
function unstarted(why) {
  return new RemyError({
    code: 'io',
    message: `the process that verbs run in did not start: ${why}. Nothing was done`,
  });
}

/**
 * Throws where no promise takes it.
 * @param {unknown} error
 */
export function uncaught(error) {
  process.nextTick(() => {
    throw error;
  });
}

/**
 * Runs a verb. Where `onProgress` throws, the verb is called off; what it throws is why, unless the verb is done all the same: then its
 * result is what there is, and the error is uncaught.
 *
 * @param {On} on
 * @param {AbortSignal} [signal]
 * @param {(line: any) => void} [onProgress]
 * @returns {Promise<any>}
 */
export function run(on, signal, onProgress) {
  signal?.throwIfAborted();
  return new Promise((fulfill, reject) => {
    const its = program();
    const child = start(its);
    const socket = /** @type {Duplex} */ (child.stdio[SOCKET]);
    // What does not arrive is for one that is done: its end says how.
    socket.on('error', () => {});
    const send = (/** @type {string} */ kind, text = '') =>
      socket.writable && socket.write(frame(kind, text));
    const cancel = () => send('q');
    let begun = false;
    // The signal that called the verb off may have ended a process before it could begin. Of one that had, nobody knows.
    let end = () => reject(signal?.aborted && !begun ? signal.reason : died(child));
    /** @type {{ e: unknown } | null} */
    let thrown = null;
    /** @type {Record<string, (text: string) => void>} */
    const hears = {
      h(hello) {
        begun = true;
        if (hello === its.hello) return void send('c', JSON.stringify({ on, lines: onProgress !== undefined }));
        end = () => reject(unstarted(`${its.path} is of another build: ${hello}`));
        socket.destroy();
      },
      l(line) {
        try {
          onProgress?.(JSON.parse(line));
        } catch (e) {
          thrown ??= { e };
          cancel();
        }
      },
      // Its lines have been heard: it may go on.
      s: () => send('a'),
      r(text) {
        const { done, refused } = JSON.parse(text);
        const stopped = refused?.code === 'busy' && (thrown || signal?.aborted);
        end = () => {
          if (refused) return reject(stopped ? (thrown ? thrown.e : signal?.reason) : errorOf(refused));
          if (thrown) uncaught(thrown.e);
          fulfill(done);
        };
      },
      e(text) {
        const { code, detail } = JSON.parse(text);
        end = () => reject(new RemyError({ code, message: detail.what }));
      },
    };

    signal?.addEventListener('abort', cancel, { once: true });
    child.on('error', (error) => {
      if (child.pid !== undefined) return;
      end = () => reject(unstarted(error.message));
      finish();
    });
    socket.on('data', frames((kind, text) => hears[kind]?.(text)));
    child.on('close', finish);

    // Only when the process is gone are its locks.
    function finish() {
      signal?.removeEventListener('abort', cancel);
      end();
    }
  });
}

/** @param {ChildProcess} child */
function died(child) {
  const how = child.signalCode
    ? `was ended by ${child.signalCode}`
    : `ended with status ${child.exitCode}`;
  const message = `the process that ran the verb ${how} before it answered. Live is as it was, or switched whole. Look at the releases before trying again`;
  return new RemyError({
    code: 'internal',
    message,
    hint: 'Look at the releases before trying again',
  });
}
