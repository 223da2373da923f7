// @ts-check
// A question to whoever sits at the terminal.
import { once } from 'node:events';
import { UsageError } from './usage.js';

/** Whether somebody is there to answer. */
export function somebody() {
  return process.stdin.isTTY === true;
}

/**
 * Throws unless the answer is yes.
 * @param {string} question
 * @param {AbortSignal} signal
 */
export async function ask(question, signal) {
  process.stderr.write(`${question} [y/N] `);
  let answer;
  try {
    [answer = ''] = await Promise.race([once(process.stdin, 'data', { signal }), once(process.stdin, 'end', { signal })]);
  } finally {
    // Being read from keeps the process alive.
    process.stdin.destroy();
  }
  if (!/^y(es)?$/i.test(String(answer).trim())) throw new UsageError('it was not confirmed. Nothing was done');
}
