// @ts-check
// What a call's end is to its caller: JSON, or why there is none.

import { LIMIT } from './frames.mjs';
import { MindStudioError } from './sdk/error.mjs';

/** How many arrays and objects may stand in each other: the parent reads 128, the frame's own among them. */
const DEPTH = 120;

const TEXT = 64 * 1024;

/** Room for what a frame has besides. */
const FRAME = 1024;

/**
 * What a method returned, as JSON. Throws what its caller sees where that cannot be.
 * @param {unknown} output
 */
export function json(output) {
  if (output === undefined) return 'null';
  let text;
  try {
    text = JSON.stringify(output);
  } catch (error) {
    throw notJson(error instanceof Error ? error.message.split('\n')[0] : String(error));
  }
  if (text === undefined) throw notJson(`it is a ${typeof output}`);
  if (text.length > LIMIT - FRAME || Buffer.byteLength(text) > LIMIT - FRAME) {
    throw new MindStudioError(
      'output_too_large',
      500,
      `The method returned more than ${LIMIT >> 20} MiB of JSON. What it has written to the database stays. Return less at once`,
    );
  }
  if (isDeep(text)) throw notJson(`over ${DEPTH} arrays and objects stand in each other`);
  return text;
}

/** @param {string} why */
const notJson = (why) =>
  new MindStudioError(
    'output_not_json',
    500,
    `The method returned what JSON cannot hold: ${why}. What it has written to the database stays`,
  );

/** @param {string} text JSON */
function isDeep(text) {
  if (text.length < 2 * DEPTH) return false;
  let depth = 0;
  let quoted = false;
  for (let at = 0; at < text.length; at++) {
    const c = text.charCodeAt(at);
    if (quoted) {
      if (c === 0x5c) at++;
      else if (c === 0x22) quoted = false;
    } else if (c === 0x22) quoted = true;
    else if (c === 0x7b || c === 0x5b) {
      if (++depth > DEPTH) return true;
    } else if (c === 0x7d || c === 0x5d) depth--;
  }
  return false;
}

/** What the engine throws when there is no more memory, for buffers and for WebAssembly. */
const MEMORY =
  /^(Array buffer allocation failed|Failed to allocate memory|WebAssembly\.\w+(\.\w+)?\(\): .*(allocate|grow|[Oo]ut of memory))/;

/**
 * What was thrown, as the caller sees it. It may be anything, and may throw when it is looked at.
 * @param {unknown} thrown
 */
export function failure(thrown) {
  try {
    return plain(thrown);
  } catch {
    return {
      message: 'The method threw what cannot be read',
      code: 'method_failed',
      status: 500,
    };
  }
}

/** @param {unknown} thrown */
function plain(thrown) {
  const error = /** @type {any} */ (thrown);
  if (!(typeof error === 'object' && error !== null && 'message' in error)) {
    return { message: cut(said(thrown)), code: 'method_failed', status: 500 };
  }
  const message = cut(String(error.message));
  const stack = typeof error.stack === 'string' ? cut(error.stack) : undefined;
  if (error instanceof RangeError && MEMORY.test(message)) {
    return {
      message: `The method used more memory than a process has (768 MiB of objects, 1280 MiB in all): ${message}. Work on less at once`,
      code: 'memory_exceeded',
      status: 500,
      stack,
    };
  }
  if (error.name !== 'MindStudioError') {
    return { message, code: 'method_failed', status: 500, stack };
  }
  const { code, status, details } = error;
  return {
    message,
    code: typeof code === 'string' && code ? cut(code) : 'method_failed',
    status: Number.isInteger(status) && status >= 400 && status < 600 ? status : 500,
    details: held(details),
    stack,
  };
}

/** @param {unknown} value */
function said(value) {
  return typeof value === 'object' || typeof value === 'function'
    ? (JSON.stringify(value) ?? typeof value)
    : String(value);
}

/**
 * Details that JSON cannot hold are left out: why the call failed is told all the same.
 * @param {unknown} details
 */
function held(details) {
  if (details === undefined) return undefined;
  try {
    return JSON.parse(json(details));
  } catch {
    return undefined;
  }
}

/** @param {string} text */
const cut = (text) => (text.length > TEXT ? `${text.slice(0, TEXT)}…` : text);
