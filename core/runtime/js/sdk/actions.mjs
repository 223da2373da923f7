// AI actions: `mindstudio.NAME(step, options)`.

import { invalid } from './error.mjs';

/** The names of actions that the platform knows under another. */
const TYPES = /** @type {Record<string, string>} */ ({
  generateText: 'userMessage',
  generateAsset: 'generatePdf',
});

/** How many of a batch run. */
const BATCH = 50;

/**
 * Makes what answers for `mindstudio`.
 * @param {(type: string, step: object, options: object) => Promise<any>} run
 * @param {(message: any) => Promise<any>} sendEmail
 */
export function makeActions(run, sendEmail) {
  const step = (/** @type {string} */ type, /** @type {any} */ what, /** @type {any} */ options) =>
    run(Object.hasOwn(TYPES, type) ? TYPES[type] : type, what ?? {}, options ?? {});

  /** @param {any} steps */
  async function batch(steps) {
    if (!Array.isArray(steps) || steps.length > BATCH)
      throw invalid('invalid_argument', `A batch is a list of ${BATCH} steps at most`);
    const one = async (/** @type {any} */ { stepType, step: what }) => {
      try {
        return { stepType, output: await step(stepType, what, {}) };
      } catch (error) {
        return { stepType, error: error instanceof Error ? error.message : String(error) };
      }
    };
    return { results: await Promise.all(steps.map(one)) };
  }

  return async (/** @type {string} */ name, /** @type {any[]} */ args) => {
    if (name === 'executeStep') return step(String(args[0]), args[1], args[2]);
    if (name === 'executeStepBatch') return batch(args[0]);
    if (name === 'sendEmail') return sendEmail(args[0]);
    return step(name, args[0], args[1]);
  };
}
