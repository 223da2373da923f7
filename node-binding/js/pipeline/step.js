// @ts-check
// A step of a build that the native addon does, on a thread of its own.
import { load } from '../addon.js';
import { RemyError } from '../error.js';
import { AppError } from './faults.js';

/**
 * Does the step. Rejects with the reason of `signal` once that is set, and as the addon refuses it.
 *
 * @param {string} name
 * @param {object} given
 * @param {{ signal?: AbortSignal, onEvent?: (event: any) => void }} [more] `onEvent` is given what the step tells on its way
 * @returns {Promise<any>}
 */
export async function step(name, given, { signal, onEvent } = {}) {
  signal?.throwIfAborted();
  const work = new (load().Step)();
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
    const { done, refused } = JSON.parse(await work.run(name, JSON.stringify(given), tell));
    // What the step told last is still to be heard: it comes by another queue.
    await new Promise(setImmediate);
    if (thrown) throw /** @type {{ e: unknown }} */ (thrown).e;
    signal?.throwIfAborted();
    if (!refused) return done;
    if (refused.faults.length) throw new AppError(refused, refused.output ?? undefined);
    throw new RemyError(refused);
  } finally {
    signal?.removeEventListener('abort', cancel);
  }
}
