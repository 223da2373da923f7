// @ts-check
// The program of a process that runs methods: loads the modules of a release, and runs one call after the other.
// `node host.mjs DESCRIPTOR OLDEST`: the socket to the parent, and the oldest Node.js that is taken.
//
// The parent trusts nothing of what comes from here. What this looks after is that methods behave as they do anywhere else.

import { pathToFileURL } from 'node:url';
import { failure, json } from './failures.mjs';
import { LIMIT, frames } from './frames.mjs';
import { MindStudioError } from './sdk/error.mjs';
import { platform } from './platform.mjs';
import { makeHost } from './sdk/host.mjs';
import * as variables from './variables.mjs';

/** @typedef {import('./sdk/host.mjs').Call & { id: number, method: string, input: unknown, callback?: { token: string, url: string } }} Call */

/** What this process was loaded with. */
let loaded = /** @type {any} */ (null);

/** @type {'loading' | 'idle' | 'calling' | 'settling'} what this is at, as the parent sees it */
let stage = 'loading';
/** The last call. */
let current = 0;
/** The method of that. */
let running = '';
/** How much is waited for with `waitUntil`. */
let waits = 0;
let lastRequest = 0;
/** @type {Map<number, { resolve: (value: unknown) => void, reject: (error: Error) => void }>} */
const unanswered = new Map();
/** @type {Map<string, (input: unknown) => unknown>} */
const methods = new Map();
/** @type {Map<string, string[]>} the variables that a method's module has missed, by its id */
const missed = new Map();
/** @type {ReturnType<typeof makeHost>['begin']} */
let begin;

// What a loop writes would else stay in this process until the loop ends: the parent counts it.
for (const stream of [process.stdout, process.stderr]) {
  /** @type {any} */ (stream)._handle?.setBlocking?.(true);
}

const parent = frames(Number(process.argv[2]), take, () => process.exit(1));

/** @param {any} message */
function take(message) {
  if (message.t === 'call') void run(message);
  else if (message.t === 'answer') answered(message);
  else if (message.t === 'load') void load(message);
}

// Loading

/** @param {any} what */
async function load(what) {
  try {
    checkVersion(process.argv[3]);
    loaded = what;
    const made = makeHost({ request, load: what });
    begin = made.begin;
    Object.defineProperty(globalThis, Symbol.for('remy.host'), {
      value: made.host,
    });
    for (const [id, { file, export: name }] of Object.entries(what.methods)) {
      variables.begin();
      methods.set(id, await method(id, file, name));
      missed.set(id, variables.asked());
    }
    stage = 'idle';
    send({ t: 'ready' });
  } catch (error) {
    send({ t: 'failed', error: failure(error) });
  }
}

/** @param {string} oldest */
function checkVersion(oldest) {
  const [major, minor] = process.versions.node.split('.').map(Number);
  const [first, second] = oldest.split('.').map(Number);
  if (major > first || (major === first && minor >= second)) return;
  throw new MindStudioError(
    'node_too_old',
    500,
    `Methods run in Node.js ${oldest} or newer, and ${process.execPath} is ${process.versions.node}. Nothing was called. Install a newer one, or put it first on PATH`,
  );
}

/**
 * @param {string} id
 * @param {string} file
 * @param {string} name
 */
async function method(id, file, name) {
  const refuse = (/** @type {string} */ why, /** @type {unknown} */ cause) => {
    const error = new MindStudioError(
      'method_not_loaded',
      500,
      `The method ${id} cannot be loaded: ${why}`,
    );
    if (cause instanceof Error) error.stack = cause.stack;
    throw error;
  };
  let module;
  try {
    module = await import(pathToFileURL(file).href);
  } catch (error) {
    return refuse(failure(error).message, error);
  }
  const found = module[name];
  return typeof found === 'function'
    ? found
    : refuse(`its module exports no function ${name}`, undefined);
}

// Calls

/** @param {Call} call */
async function run(call) {
  stage = 'calling';
  current = call.id;
  running = call.method;
  hold();
  let text;
  try {
    const method = methods.get(call.method);
    if (!method)
      throw new MindStudioError('method_not_found', 404, `There is no method ${call.method}`);
    begin(call);
    variables.begin();
    tellPlatformSdk(call);
    text = `{"t":"returned","call":${call.id},"output":${json(await method(call.input))}}`;
  } catch (error) {
    text = threw(call, error);
  }
  end(call.id, text);
}

/**
 * Tells the hosted platform's own SDK of a call, where a bundle carries that: it looks at these, and calls back by HTTP.
 * @param {Call} call
 */
function tellPlatformSdk({ id, auth, stream, callback }) {
  if (!callback) return;
  process.env.CALLBACK_TOKEN = callback.token;
  process.env.REMOTE_HOSTNAME = callback.url;
  if (stream) process.env.STREAM_ID = String(id);
  else delete process.env.STREAM_ID;
  /** @type {any} */ (globalThis).ai = platform(auth, loaded);
}

/**
 * @param {{ id: number, method: string }} call
 * @param {unknown} error
 */
function threw({ id, method }, error) {
  const names = [...new Set([...(missed.get(method) ?? []), ...variables.asked()])];
  return JSON.stringify({ t: 'threw', call: id, error: { ...failure(error), missed: names } });
}

/**
 * @param {number} call
 * @param {string} text
 */
function end(call, text) {
  // An exception that nobody caught has ended it already.
  if (stage !== 'calling' || current !== call) return;
  stage = 'settling';
  parent.send(text);
  hold();
}

/** Keeps the process from ending as long as there is something to come; what a method has begun keeps it by itself. */
function hold() {
  parent.hold(stage !== 'settling' || unanswered.size > 0 || waits > 0);
}

// Nothing is left to do: not a timer, not a connection.
process.on('beforeExit', () => {
  if (stage !== 'settling') return;
  stage = 'idle';
  hold();
  send({ t: 'idle', call: current });
});

process.on('uncaughtException', (error) => {
  console.error(error);
  if (stage === 'calling') end(current, threw({ id: current, method: running }, error));
});

// Work that a method began and does not wait for is not what it answers with.
process.on('unhandledRejection', (reason) => console.error(reason));

Object.defineProperty(globalThis, '__msWaitUntil', {
  value: (/** @type {unknown} */ work) => {
    waits++;
    hold();
    Promise.resolve(work)
      .catch((error) => console.error(error))
      .finally(() => {
        waits--;
        hold();
      });
  },
});

// Requests

/**
 * Asks the parent for something: `{ ask, … }`. Rejects with an error that has a code and a status.
 * @param {object} what
 * @returns {Promise<any>}
 */
function request(what) {
  return new Promise((resolve, reject) => {
    if (stage !== 'calling' && stage !== 'settling') {
      throw new MindStudioError(
        'no_call',
        500,
        'There is no call: what a method leaves behind has the database until nothing of it is left, and modules have none while they load. Keep the process with waitUntil(promise)',
      );
    }
    const id = ++lastRequest;
    const text = JSON.stringify({ t: 'request', id, ...what });
    if (Buffer.byteLength(text) > LIMIT) {
      throw new MindStudioError(
        'request_too_large',
        413,
        `What was sent is larger than ${LIMIT >> 20} MiB. Nothing was done. Send less at once`,
      );
    }
    unanswered.set(id, { resolve, reject });
    parent.send(text);
    hold();
  });
}

/** @param {any} answer */
function answered({ id, value, error }) {
  const waiting = unanswered.get(id);
  if (!waiting) return;
  unanswered.delete(id);
  hold();
  if (error) {
    waiting.reject(new MindStudioError(error.code, error.status, error.message, error.details));
  } else waiting.resolve(value);
}

/** @param {object} message */
function send(message) {
  parent.send(JSON.stringify(message));
}
