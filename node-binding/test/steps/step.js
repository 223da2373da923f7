// @ts-check
// A step of a build by itself, in a process of its own: the program remy-steps of the tests.
import { spawn, spawnSync } from 'node:child_process';
import { createInterface } from 'node:readline';
import { errorOf } from '../../js/error.js';

const PROGRAM = process.env.REMY_STEPS ?? '';

/**
 * Does the step. Rejects with the reason of `signal` once that is set, and as the step is refused.
 *
 * @param {string} name
 * @param {object} given
 * @param {{ signal?: AbortSignal, onEvent?: (event: any) => void }} [more] `onEvent` is given what the step tells on its way
 * @returns {Promise<any>}
 */
export async function step(name, given, { signal, onEvent } = {}) {
  signal?.throwIfAborted();
  const child = spawn(PROGRAM, [name], { stdio: ['pipe', 'pipe', 'inherit'] });
  child.stdin.on('error', () => {});
  child.stdin.write(`${JSON.stringify(given)}\n`);
  const cancel = () => void child.stdin.write('cancel\n');
  signal?.addEventListener('abort', cancel, { once: true });
  /** @type {{ e: unknown } | null} */
  let thrown = null;
  let last = /** @type {any} */ (null);
  try {
    for await (const line of createInterface({ input: child.stdout })) {
      const told = JSON.parse(line);
      if (!('event' in told)) last = told;
      else if (!thrown) {
        try {
          onEvent?.(told.event);
        } catch (e) {
          thrown = { e };
          cancel();
        }
      }
    }
  } finally {
    signal?.removeEventListener('abort', cancel);
  }
  if (thrown) throw thrown.e;
  signal?.throwIfAborted();
  if (last === null) throw new Error(`the step ${name} ended before it was done`);
  return result(last);
}

/**
 * Does a step that takes no time, and waits for it.
 *
 * @param {string} name
 * @param {unknown} given
 */
export function now(name, given) {
  const input = `${JSON.stringify(given)}\n`;
  const { stdout, status } = spawnSync(PROGRAM, [name, 'now'], {
    input,
    encoding: 'utf8',
    maxBuffer: 2 ** 30,
  });
  if (status !== 0) throw new Error(`the step ${name} ended with ${status}`);
  return result(JSON.parse(stdout));
}

/** @param {any} told */
function result({ done, refused }) {
  if (refused) throw errorOf(refused);
  return done;
}
