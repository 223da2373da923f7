// @ts-check
// A step of a build that the native addon does, on a thread of its own.
import { load } from '../addon.js';
import { RemyError } from '../error.js';
import { AppError } from './faults.js';

/** @typedef {{ signal?: AbortSignal, onEvent?: (event: any) => void }} More `onEvent` is given what the step tells on its way */

/**
 * Does the step. Rejects with the reason of `signal` once that is set, and as the addon refuses it.
 *
 * @param {string} name
 * @param {unknown} given
 * @param {More} [more]
 * @returns {Promise<any>}
 */
export async function step(name, given, more) {
  more?.signal?.throwIfAborted();
  const work = new (load().Step)();
  return followed(work, (tell) => work.run(name, JSON.stringify(given), tell), more);
}

/**
 * Does a step while its caller waits: one that only looks, or writes little.
 *
 * @param {string} name
 * @param {unknown} given
 * @returns {any}
 */
export function now(name, given) {
  const { done, refused } = JSON.parse(load().stepNow(name, JSON.stringify(given)));
  if (refused) throw refusedAs(refused);
  return done;
}

/**
 * Holds a cache for one build at a time, and gives what lets it go.
 *
 * @param {string} cache
 * @param {More} [more]
 * @returns {Promise<() => void>}
 */
export async function hold(cache, more) {
  more?.signal?.throwIfAborted();
  const work = new (load().Step)();
  const release = () => work.release();
  // Called off as it is had, it is let go.
  await followed(work, (tell) => work.hold(cache, tell), more).catch((error) => (release(), Promise.reject(error)));
  return release;
}

/**
 * @param {{ cancel: () => void }} work
 * @param {(tell: (event: string) => void) => Promise<string>} run
 * @param {More} [more]
 */
async function followed(work, run, { signal, onEvent } = {}) {
  /** @type {{ e: unknown } | null} */
  let thrown = null;
  const cancel = () => work.cancel();
  const tell = (/** @type {string} */ event) => {
    try {
      onEvent?.(JSON.parse(event));
    } catch (e) {
      thrown ??= { e };
      cancel();
    }
  };
  signal?.addEventListener('abort', cancel, { once: true });
  try {
    const { done, refused } = JSON.parse(await run(tell));
    // What the step told last is still to be heard: it comes by another queue.
    await new Promise(setImmediate);
    if (thrown) throw /** @type {{ e: unknown }} */ (thrown).e;
    signal?.throwIfAborted();
    if (!refused) return done;
    throw refusedAs(refused);
  } finally {
    signal?.removeEventListener('abort', cancel);
  }
}

/** @param {any} refused */
function refusedAs(refused) {
  return refused.faults.length ? new AppError(refused, refused.output ?? undefined) : new RemyError(refused);
}
