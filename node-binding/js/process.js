// @ts-check
// The worker processes (worker.js) that verbs run in, one each.
import { fork } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { errorOf, RemyError } from './error.js';

/** @typedef {import('node:child_process').ChildProcess} ChildProcess */
/**
 * A verb on a database, or one on a folder that is published.
 * @typedef {{ path: string, verb: string, args: unknown[] } | { place: object, call: object }} Request
 */

const BESIDE =
  'Leave remy-db out of the bundle (as an external package) and install it where the application runs';

/** The file that a worker runs. It is no part of this one, so that it is lacking where this one was bundled. */
function worker() {
  const path = import.meta.url
    ? fileURLToPath(new URL('./worker.js', import.meta.url))
    : 'worker.js';
  if (import.meta.url && existsSync(path)) return path;
  throw new RemyError({
    code: 'not_found',
    message: `${path} is not there, which remy-db runs its verbs in. Nothing was done. ${BESIDE}`,
    hint: BESIDE,
    object: path,
  });
}

function start() {
  // The flags of this process (an inspector, a loader) are not the worker's; its stderr, where a panic speaks, is ours.
  return fork(worker(), [], { execArgv: [], stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
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
 * @param {Request} request
 * @param {AbortSignal} [signal]
 * @param {(line: any) => void} [onProgress]
 * @returns {Promise<any>}
 */
export function run(request, signal, onProgress) {
  signal?.throwIfAborted();
  return new Promise((fulfill, reject) => {
    const child = start();
    // A message that does not arrive is one to a worker that is done: its end says how.
    const send = (/** @type {object} */ message) =>
      child.connected && child.send(message, () => {});
    const cancel = () => send({ cancel: true });
    let begun = false;
    // The signal that called the verb off may have ended a worker before it could begin (worker.js). Of one that had, nobody knows.
    let end = () => reject(signal?.aborted && !begun ? signal.reason : died(child));
    /** @type {{ e: unknown } | null} */
    let thrown = null;

    signal?.addEventListener('abort', cancel, { once: true });
    child.on('error', (error) => {
      if (child.pid !== undefined) return;
      end = () =>
        reject(
          new RemyError({
            code: 'io',
            message: `the worker process did not start: ${error.message}. Nothing was done`,
          }),
        );
      finish();
    });
    child.on('message', (/** @type {any} */ { line, result, error }) => {
      begun = true;
      if (line) {
        try {
          onProgress?.(JSON.parse(line));
        } catch (e) {
          thrown ??= { e };
          cancel();
        }
      } else if (error) {
        const stopped = error.code === 'busy' && (thrown || signal?.aborted);
        end = () => reject(stopped ? (thrown ? thrown.e : signal?.reason) : errorOf(error));
      } else if (result) {
        end = () => {
          if (thrown) uncaught(thrown.e);
          fulfill(JSON.parse(result));
        };
      }
    });
    child.on('close', finish);
    send({ ...request, follow: onProgress !== undefined });

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
  const message = `the worker process ${how} before it answered. Live is as it was, or switched whole. Look at the releases before trying again`;
  return new RemyError({
    code: 'internal',
    message,
    hint: 'Look at the releases before trying again',
  });
}
