// @ts-check
// What `@mindstudio-ai/interface` resolves to in a web project: the client of an app that remy serves. It runs in browsers, depends on
// nothing, and reads what it needs to know of the app from `window.__MINDSTUDIO__`, which the page is served with:
// { token?, releaseId?, user?, methods: { exportName: 'method-id' } }.
//
// It can call methods. Signing in, uploads, events and chats are not served yet: they throw `not_supported`, when they are called.
import { countries, detectCountry, format, isValid, toE164 } from './phone.js';

/** Where methods are served, on the page's own origin. */
const METHODS = '/_/methods/';

/** Why a call failed. `code` is stable; `status` is the answer's HTTP status, where there was one. */
export class MindStudioInterfaceError extends Error {
  name = 'MindStudioInterfaceError';

  /**
   * @param {string} message
   * @param {string} code
   * @param {number} [status]
   */
  constructor(message, code, status) {
    super(message);
    this.code = code;
    this.status = status;
  }
}

/** What the page was served with. */
const page = () => /** @type {any} */ (globalThis).__MINDSTUDIO__ ?? {};

/** @typedef {{ signal?: AbortSignal, stream?: boolean, onToken?: (text: string) => void, onStreamError?: (error: string) => void }} Options */

/** A client whose methods are the app's: by the names of their exports, or by their ids. */
export function createClient() {
  const known = new Map();
  return new Proxy(Object.create(null), {
    get(_, name) {
      // A client that is returned from an async function is no promise.
      if (typeof name === 'symbol' || name === 'then') return undefined;
      if (!known.has(name))
        known.set(name, (/** @type {unknown} */ input, /** @type {Options} */ options) =>
          call(name, input, options),
        );
      return known.get(name);
    },
  });
}

/**
 * @param {string} name
 * @param {unknown} [input]
 * @param {Options} [options]
 */
async function call(name, input = {}, { signal, stream = false, onToken, onStreamError } = {}) {
  const { token, methods } = page();
  const id =
    methods?.[name] ?? (!methods || Object.values(methods).includes(name) ? name : undefined);
  if (id === undefined) {
    throw new MindStudioInterfaceError(
      `the app has no method ${name}. It has ${Object.keys(methods).join(', ') || 'none'}`,
      'method_not_found',
    );
  }
  const headers = {
    'Content-Type': 'application/json',
    ...(token && { Authorization: `Bearer ${token}` }),
  };
  const answer = await fetch(`${METHODS}${encodeURIComponent(id)}/invoke`, {
    method: 'POST',
    headers,
    body: JSON.stringify({ input, ...(stream && { stream }) }),
    signal,
  });
  if (answer.ok && stream && answer.headers.get('Content-Type')?.startsWith('text/event-stream')) {
    return streamed(name, answer, { onToken, onStreamError });
  }
  const body = /** @type {any} */ (await answer.json().catch(() => null));
  if (!answer.ok) {
    const message =
      body?.error ?? `the method ${name} failed: ${answer.status} ${answer.statusText}`.trimEnd();
    throw new MindStudioInterfaceError(message, body?.code ?? 'method_error', answer.status);
  }
  if (body === null)
    throw new MindStudioInterfaceError(
      `the method ${name} gave an answer that is not JSON`,
      'method_error',
      answer.status,
    );
  return body.output;
}

/**
 * What a method returned that answers in events: `data: {json}` a line, of which `done` is the last.
 * @param {string} name
 * @param {Response} answer
 * @param {Options} options
 */
async function streamed(name, answer, { onToken, onStreamError }) {
  const reader = /** @type {ReadableStream<Uint8Array>} */ (answer.body).getReader();
  const decoder = new TextDecoder();
  let rest = '';
  for (;;) {
    const { value, done } = await reader.read();
    const lines = (
      rest + (done ? `${decoder.decode()}\n` : decoder.decode(value, { stream: true }))
    ).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      if (!line.startsWith('data: ')) continue;
      const event = JSON.parse(line.slice('data: '.length));
      // The text so far, not what came since.
      if (event.type === 'token') onToken?.(event.text);
      if (event.type === 'done') return event.output;
      if (event.type === 'error') {
        onStreamError?.(event.error);
        throw new MindStudioInterfaceError(
          event.error,
          event.code ?? 'stream_error',
          answer.status,
        );
      }
    }
    if (done)
      throw new MindStudioInterfaceError(
        `the answer of the method ${name} ended before it was whole`,
        'stream_incomplete',
        answer.status,
      );
  }
}

/**
 * Refuses what is not served yet.
 * @param {string} what
 */
function notServed(what) {
  return async () => {
    throw new MindStudioInterfaceError(`${what} is not served by remy yet`, 'not_supported');
  };
}

/** @type {(group: string, names: string[]) => Record<string, () => Promise<never>>} */
const none = (group, names) =>
  Object.fromEntries(names.map((name) => [name, notServed(`${group}.${name}`)]));

export const platform = {
  ...none('platform', ['uploadFile', 'upload', 'requestFile']),
  /** The path that the app's pages are below, without a slash at its end. */
  get basePath() {
    return page().basePath ?? '';
  },
};

export const analytics = {
  /** Nobody counts yet. A page that tells what happens on it goes on all the same. */
  track() {},
};

export const events = {
  connect() {
    throw new MindStudioInterfaceError('events.connect is not served by remy yet', 'not_supported');
  },
};

export const auth = {
  ...none('auth', [
    'sendEmailCode',
    'verifyEmailCode',
    'sendSmsCode',
    'verifySmsCode',
    'signInWithRemy',
    'requestEmailChange',
    'confirmEmailChange',
    'requestPhoneChange',
    'confirmPhoneChange',
    'createApiKey',
    'revokeApiKey',
    'logout',
  ]),
  get currentUser() {
    return page().user ?? null;
  },
  get userId() {
    return page().user?.id ?? null;
  },
  get name() {
    return page().user?.name ?? null;
  },
  email: { isValid: (/** @type {string} */ text) => /^[^\s@]+@[^\s@]+\.[^\s@]+$/.test(text) },
  phone: { countries, detectCountry, toE164, format, isValid },
  get authStatus() {
    return page().user ? 'authenticated' : 'unauthenticated';
  },
  get currentVisitorId() {
    return page().visitorId ?? null;
  },
  getCurrentUser: () => page().user ?? null,
  getCurrentVisitorId: () => page().visitorId ?? null,
  isAuthenticated: () => Boolean(page().user),
  /** Nothing comes back from a sign-in that is not served: pages call this on every load. */
  handleRemyRedirect: async () => null,
  /** @type {(watcher: (user: any) => void) => () => void} tells who is signed in, now: nobody else can sign in on this page yet */
  onAuthStateChanged(watcher) {
    watcher(page().user ?? null);
    return () => {};
  },
};

/** A client for conversations with the app's agent. */
export function createAgentChatClient() {
  return {
    ...none('agent chat', [
      'createThread',
      'listThreads',
      'getThread',
      'updateThread',
      'deleteThread',
      'claimThread',
    ]),
    sendMessage: () => Object.assign(notServed('agent chat.sendMessage')(), { abort() {} }),
    registerClientTool: () => () => {},
  };
}

/**
 * An export that remy does not have: it links, has any property, and throws when it is called. Builds add one for each name that an app
 * imports and that is not here.
 * @param {string} name
 * @returns {any}
 */
// eslint-disable-next-line no-unused-vars
function remyUnknown(name) {
  const refuse = () => {
    throw new MindStudioInterfaceError(
      `remy does not support ${name} of @mindstudio-ai/interface`,
      'not_supported',
    );
  };
  return new Proxy(class {}, {
    get: (target, property) => {
      if (typeof property === 'symbol' || property === 'then') return undefined;
      return property === 'prototype' ? target.prototype : remyUnknown(`${name}.${property}`);
    },
    apply: refuse,
    construct: refuse,
  });
}
