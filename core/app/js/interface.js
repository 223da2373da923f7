// @ts-check
// What `@mindstudio-ai/interface` resolves to in a web project: the client of an app that remy serves. It runs in browsers, depends on
// nothing, and reads what it needs to know of the app from `window.__MINDSTUDIO__`, which the page is served with:
// { token?, releaseId?, user?, methods: { exportName: 'method-id' } }.
//
// It can call methods, sign in, upload files and listen to events. Chats are not served yet: they throw `not_supported`, when they are called.
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

/** With the token of the page. */
const headers = () => {
  const { token } = page();
  return {
    'Content-Type': 'application/json',
    ...(token && { Authorization: `Bearer ${token}` }),
  };
};

/**
 * What an answer says, or why there is none.
 * @param {Response} answer
 * @param {string} what it was asked for
 * @param {string} code where it has none
 */
async function said(answer, what, code) {
  const body = /** @type {any} */ (await answer.json().catch(() => null));
  if (!answer.ok) {
    const message =
      body?.error ?? `${what} failed: ${answer.status} ${answer.statusText}`.trimEnd();
    throw new MindStudioInterfaceError(message, body?.code ?? code, answer.status);
  }
  if (body === null)
    throw new MindStudioInterfaceError(
      `${what} gave an answer that is not JSON`,
      code,
      answer.status,
    );
  return body;
}

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
  const { methods } = page();
  const id =
    methods?.[name] ?? (!methods || Object.values(methods).includes(name) ? name : undefined);
  if (id === undefined) {
    throw new MindStudioInterfaceError(
      `the app has no method ${name}. It has ${Object.keys(methods).join(', ') || 'none'}`,
      'method_not_found',
    );
  }
  const answer = await fetch(`${METHODS}${encodeURIComponent(id)}/invoke`, {
    method: 'POST',
    headers: headers(),
    body: JSON.stringify({ input, ...(stream && { stream }) }),
    signal,
  });
  if (answer.ok && stream && answer.headers.get('Content-Type')?.startsWith('text/event-stream')) {
    return streamed(name, answer, { onToken, onStreamError });
  }
  return (await said(answer, `the method ${name}`, 'method_error')).output;
}

/**
 * The events of an answer, as they come: `data: {json}` a line.
 * @param {Response} answer
 */
async function* eventsOf(answer) {
  const reader = /** @type {ReadableStream<Uint8Array>} */ (answer.body).getReader();
  const decoder = new TextDecoder();
  let rest = '';
  for (let done = false; !done;) {
    const part = await reader.read();
    done = part.done;
    rest += done ? `${decoder.decode()}\n` : decoder.decode(part.value, { stream: true });
    const lines = rest.split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines)
      if (line.startsWith('data: ')) yield JSON.parse(line.slice('data: '.length));
  }
}

/**
 * What a method returned that answers in events, of which `done` is the last.
 * @param {string} name
 * @param {Response} answer
 * @param {Options} options
 */
async function streamed(name, answer, { onToken, onStreamError }) {
  for await (const event of eventsOf(answer)) {
    // The text so far, not what came since.
    if (event.type === 'token') onToken?.(event.text);
    if (event.type === 'done') return event.output;
    if (event.type === 'error') {
      onStreamError?.(event.error);
      throw new MindStudioInterfaceError(event.error, event.code ?? 'stream_error', answer.status);
    }
  }
  throw new MindStudioInterfaceError(
    `the answer of the method ${name} ended before it was whole`,
    'stream_incomplete',
    answer.status,
  );
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

/**
 * Sends a file to where a server lets it be uploaded.
 * @param {{ url: string, fields: Record<string, string> }} to
 * @param {File} file
 * @param {UploadOptions} options
 */
async function sendFile({ url, fields }, file, { onProgress, signal }) {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  // Last: a server decides by what stands before it.
  form.append('file', file);
  const answer = onProgress
    ? await watched(url, form, onProgress, signal)
    : await fetch(url, { method: 'POST', body: form, signal });
  await said(answer, 'the upload', 'upload_error');
}

/**
 * The same, told how far it is: `fetch` does not say that.
 * @param {string} url
 * @param {FormData} form
 * @param {(fraction: number) => void} onProgress
 * @param {AbortSignal} [signal]
 * @returns {Promise<Response>}
 */
function watched(url, form, onProgress, signal) {
  return new Promise((done, fail) => {
    signal?.throwIfAborted();
    const request = new /** @type {any} */ (globalThis).XMLHttpRequest();
    request.upload.onprogress = (/** @type {any} */ { lengthComputable, loaded, total }) => {
      if (lengthComputable) onProgress(loaded / total);
    };
    request.onload = () => {
      const { status, statusText, responseText } = request;
      if (status < 300) onProgress(1);
      done(new Response(responseText, { status, statusText }));
    };
    request.onerror = () => fail(new TypeError('the upload was cut off'));
    request.onabort = () => fail(signal?.reason);
    signal?.addEventListener('abort', () => request.abort(), { once: true });
    request.open('POST', url);
    request.send(form);
  });
}

/** @typedef {{ onProgress?: (fraction: number) => void, signal?: AbortSignal }} UploadOptions */

export const platform = {
  ...none('platform', ['requestFile']),
  /** @type {(file: File, options?: UploadOptions) => Promise<string>} a file that everybody may read: its URL */
  async uploadFile(file, options = {}) {
    const answer = await fetch('/_/generate-upload-request', {
      method: 'POST',
      headers: headers(),
      body: JSON.stringify({ filename: file.name, contentType: file.type }),
      signal: options.signal,
    });
    const { uploadUrl, uploadFields, publicUrl } = await said(answer, 'the upload', 'upload_error');
    await sendFile({ url: uploadUrl, fields: uploadFields }, file, options);
    return publicUrl;
  },
  /** @type {(token: any, file: File, options?: UploadOptions) => Promise<{ key: string, url: string }>} where a method lets it go */
  async upload({ key, url, upload }, file, options = {}) {
    await sendFile(upload, file, options);
    return { key, url };
  },
  /** The path that the app's pages are below, without a slash at its end. */
  get basePath() {
    return page().basePath ?? '';
  },
};

export const analytics = {
  /** Nobody counts yet. A page that tells what happens on it goes on all the same. */
  track() {},
};

/** How long a subscription waits before it asks again, in milliseconds: longer each time that it is in vain. */
const FIRST_WAIT = 500;
const LONGEST_WAIT = 30_000;

/** How long what a page publishes is gathered, and how many of it go at once. */
const GATHERS = 40;
const AT_ONCE = 50;

export const events = {
  /**
   * Listens until it is closed: where the connection or the grant ends, it asks again.
   * @param {{ getToken: () => string | Promise<string>, onEvent: (event: any) => void, onConnect?: () => void, onGap?: (count: number) => void, onError?: (error: Error) => void }} options
   */
  connect({ getToken, onEvent, onConnect, onGap, onError }) {
    /** @type {'connecting' | 'open' | 'closed'} */
    let state = 'connecting';
    /** @type {string | null} */
    let grant = null;
    const closing = new AbortController();

    /** @param {any} event */
    const take = (event) => {
      if (event?.type === 'grant_expired') grant = null;
      else if (event?.type === 'events_dropped') onGap?.(event.count);
      else if (typeof event?.channel === 'string') onEvent(event);
    };

    const listen = async () => {
      for (let wait = FIRST_WAIT; state !== 'closed'; wait = Math.min(wait * 2, LONGEST_WAIT)) {
        try {
          grant ??= await getToken();
        } catch (error) {
          // The app's own method refuses.
          close();
          onError?.(error instanceof Error ? error : new Error(String(error)));
          return;
        }
        const later = await once(take).catch(() => null);
        if (later === 0) wait = FIRST_WAIT / 2;
        if (closing.signal.aborted) return;
        state = 'connecting';
        await new Promise((next) => setTimeout(next, Math.max(later ?? 0, wait)));
      }
    };

    /**
     * Listens once. Returns for how long not to ask again; 0 where it was heard for a while.
     * @param {(event: any) => void} take
     */
    const once = async (take) => {
      const answer = await fetch('/_/events', {
        headers: { Authorization: `Bearer ${grant}`, Accept: 'text/event-stream' },
        signal: closing.signal,
      });
      if (answer.status === 401) grant = null;
      if (!answer.ok) return 1000 * (Number(answer.headers.get('Retry-After')) || 0) || null;
      state = 'open';
      onConnect?.();
      for await (const event of eventsOf(answer)) take(event);
      return 0;
    };

    /** @type {{ channels: string | string[], data: unknown }[]} */
    let waiting = [];
    let isGathering = false;
    const send = async () => {
      isGathering = false;
      const batch = waiting;
      waiting = [];
      if (!grant || state === 'closed' || batch.length === 0) return;
      const answer = await fetch('/_/events', {
        method: 'POST',
        headers: { Authorization: `Bearer ${grant}`, 'Content-Type': 'application/json' },
        body: JSON.stringify({ events: batch }),
      }).catch(() => null);
      if (answer?.status === 403)
        onError?.(new Error('the grant does not publish to these channels'));
    };

    const close = () => {
      state = 'closed';
      closing.abort();
    };
    listen();
    return {
      get state() {
        return state;
      },
      close,
      /** At most once: nothing of it is kept where it cannot be sent. */
      publish(/** @type {string | string[]} */ channels, /** @type {unknown} */ data) {
        if (state === 'closed') return;
        waiting.push({ channels, data });
        if (waiting.length >= AT_ONCE) void send();
        else if (!isGathering) {
          isGathering = true;
          setTimeout(send, GATHERS);
        }
      },
    };
  },
};

/** @type {Set<(user: any) => void>} who is told when somebody signs in or out */
const watchers = new Set();

/**
 * Asks for something of signing in.
 * @param {string} path
 * @param {object} [body]
 */
async function ask(path, body = {}) {
  const answer = await fetch(`/_/auth/${path}`, {
    method: 'POST',
    headers: headers(),
    body: JSON.stringify(body),
  });
  return await said(answer, `auth/${path}`, 'auth_error');
}

/**
 * The page is another user's from here on, without being loaded again.
 * @param {any} bundle
 */
function becomes({ token, user, methods, visitorId }) {
  const told = { token, user, methods, ...(visitorId && { visitorId }) };
  /** @type {any} */ (globalThis).__MINDSTUDIO__ = { ...page(), ...told };
  tell();
  return user;
}

const tell = () => {
  for (const watcher of watchers) watcher(page().user ?? null);
};

/** @param {string | null} apiKey */
function shows(apiKey) {
  const { user } = page();
  if (!user) return;
  user.apiKey = apiKey;
  tell();
}

export const auth = {
  ...none('auth', ['signInWithRemy']),
  sendEmailCode: (/** @type {string} */ email) => ask('email/send', { email }),
  verifyEmailCode: async (/** @type {string} */ verificationId, /** @type {string} */ code) =>
    becomes(await ask('email/verify', { verificationId, code })),
  sendSmsCode: (/** @type {string} */ phone) => ask('sms/send', { phone }),
  verifySmsCode: async (/** @type {string} */ verificationId, /** @type {string} */ code) =>
    becomes(await ask('sms/verify', { verificationId, code })),
  requestEmailChange: async (/** @type {string} */ newEmail) =>
    void (await ask('email/change', { newEmail })),
  confirmEmailChange: async (/** @type {string} */ newEmail, /** @type {string} */ code) =>
    becomes(await ask('email/change/confirm', { newEmail, code })),
  requestPhoneChange: async (/** @type {string} */ newPhone) =>
    void (await ask('phone/change', { newPhone })),
  confirmPhoneChange: async (/** @type {string} */ newPhone, /** @type {string} */ code) =>
    becomes(await ask('phone/change/confirm', { newPhone, code })),
  async createApiKey() {
    const made = await ask('api-key/create');
    shows(made.apiKey);
    return made;
  },
  async revokeApiKey() {
    await ask('api-key/revoke');
    shows(null);
  },
  logout: async () => void becomes(await ask('logout')),
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
  /** @type {(watcher: (user: any) => void) => () => void} tells who is signed in, now and whenever that changes */
  onAuthStateChanged(watcher) {
    watchers.add(watcher);
    watcher(page().user ?? null);
    return () => void watchers.delete(watcher);
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
