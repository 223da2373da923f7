// @ts-check
// What `@mindstudio-ai/agent` resolves to: the surface that methods are written against. It is bundled into every method, and has
// nothing behind it itself: whoever runs methods installs a host before it calls one.
//
// The host is `globalThis[Symbol.for('remy.host')]`, an object that answers for the call that is under way (one host serves many calls
// at once, by an AsyncLocalStorage of its own):
//
//   table(name, options)    → the table's verbs (get, filter, push, …), asked for at each use
//   store(name, options)    → the verbs of a store of files (put, get, list, …), asked for at each use
//   db                      → batch(...operations), sql(text, params, options)
//   auth                    → userId, roles, hasRole(...roles), requireRole(...roles), getUsersByRole(role)
//   session                 → what the caller's session carries
//   stream(data)            → sends a part of an answer that is streamed
//   resolveUser(id)         → who a user is, for showing
//   action(name, args)      → `mindstudio.name(...args)`: an AI action, or what stands for several
//   events, email, analytics, reportIssue, getRequestContext
//                           → what the SDK's export of that name is and does; where the host has none, it is `not_supported`
//
// Work that goes on after a method's answer is handed to `globalThis.__msWaitUntil(promise)`, where there is one.

/** Why a call failed. `code` is stable; `status` is the HTTP status that a caller gets. */
export class MindStudioError extends Error {
  name = 'MindStudioError';

  /** What the host throws is one as well: it cannot have this class, of which each bundle has its own. */
  static [Symbol.hasInstance](/** @type {any} */ value) {
    if (this !== MindStudioError) return Function.prototype[Symbol.hasInstance].call(this, value);
    return value instanceof Error && value.name === 'MindStudioError' && 'code' in value;
  }

  /**
   * @param {string} message
   * @param {string} code
   * @param {number} status
   * @param {unknown} [details]
   */
  constructor(message, code, status, details) {
    super(message);
    this.code = code;
    this.status = status;
    this.details = details;
  }
}

const HOST = /* @__PURE__ */ Symbol.for('remy.host');

function host() {
  const found = /** @type {any} */ (globalThis)[HOST];
  if (found) return found;
  throw new MindStudioError(
    'This code runs outside of a remy runtime: there is no database and no caller. Call it through the app',
    'no_runtime',
    500,
  );
}

/**
 * An object whose properties are those of what the host has, looked up at each use: modules keep it from before there is a host.
 * @param {() => any} find
 */
function behind(find) {
  /** @type {(name: string) => any} */
  const own = (name) => {
    const target = find();
    const value = target[name];
    return typeof value === 'function' ? value.bind(target) : value;
  };
  return new Proxy(Object.create(null), {
    // Promises, loggers and test runners look for symbols and `then` on anything they are given.
    get: (_, name) => (typeof name === 'symbol' || name === 'then' ? undefined : own(name)),
    set: () => false,
  });
}

const DAY = 86_400_000;

export const db = {
  /** @type {(name: string, options?: object) => any} nothing is asked of a host before a verb of the table is used */
  defineTable: (name, options = {}) => behind(() => host().table(name, options)),
  /** @type {(...operations: any[]) => any} */
  batch: (...operations) => host().db.batch(...operations),
  /** @type {(text: string, params?: unknown[], options?: object) => any} */
  sql: (text, params, options) => host().db.sql(text, params, options),
  now: () => Date.now(),
  days: (/** @type {number} */ n) => n * DAY,
  hours: (/** @type {number} */ n) => (n * DAY) / 24,
  minutes: (/** @type {number} */ n) => (n * DAY) / 1440,
  ago: (/** @type {number} */ ms) => Date.now() - ms,
  fromNow: (/** @type {number} */ ms) => Date.now() + ms,
  /** As a `user` column holds it: a value for `db.sql`. */
  userRef: (/** @type {unknown} */ id) => `@@user@@${String(id).replace(/^@@user@@/, '')}`,
};

export const files = {
  /** @type {(name: string, options?: object) => any} nothing is asked of a host before a verb of the store is used */
  defineStore: (name, options = {}) => behind(() => host().store(name, options)),
};

export const auth = /* @__PURE__ */ behind(() => host().auth);

export const session = /* @__PURE__ */ behind(() => host().session);

/** `Roles.admin` is `'admin'`. */
export const Roles = /* @__PURE__ */ new Proxy(Object.create(null), {
  get: (_, name) => (typeof name === 'string' ? name : undefined),
});

/** A user's id. A type in TypeScript; as a value it gives the id as text. */
export const User = (/** @type {unknown} */ id) => String(id);

export const stream = (/** @type {unknown} */ data) => host().stream(data);

export const resolveUser = (/** @type {string} */ id) => host().resolveUser(id);

/**
 * Keeps the method's process at a promise that the answer does not wait for. Never throws: what becomes of the promise is nobody's answer.
 * @param {unknown} work
 */
export function waitUntil(work) {
  try {
    const { __msWaitUntil: wait } = /** @type {any} */ (globalThis);
    if (wait) wait(work);
    else Promise.resolve(work).catch((error) => console.error(error));
  } catch (error) {
    console.error(error);
  }
}

/** @param {string} what */
const refusal = (what) =>
  new MindStudioError(
    `remy does not support ${what} of @mindstudio-ai/agent`,
    'not_supported',
    501,
  );

/**
 * What the host has under this name: a function, an object of functions, or both. Looked up at each use, as `behind` does.
 * @param {string} name
 * @returns {any}
 */
function ofHost(name) {
  const find = (/** @type {string} */ what) => host()[name] ?? fail(what);
  const fail = (/** @type {string} */ what) => {
    throw refusal(what);
  };
  return new Proxy(() => {}, {
    get(_, property) {
      if (typeof property === 'symbol' || property === 'then') return undefined;
      return (/** @type {any[]} */ ...args) => {
        const target = find(`${name}.${property}`);
        return typeof target[property] === 'function'
          ? target[property](...args)
          : fail(`${name}.${property}`);
      };
    },
    set: () => false,
    apply: (_, __, args) => find(name)(...args),
  });
}

export const events = /* @__PURE__ */ ofHost('events');
export const email = /* @__PURE__ */ ofHost('email');
export const analytics = /* @__PURE__ */ ofHost('analytics');
export const reportIssue = /* @__PURE__ */ ofHost('reportIssue');
export const getRequestContext = /* @__PURE__ */ ofHost('getRequestContext');

/** What `mindstudio` has besides actions: other services of the platform, which remy has nothing behind. */
const NO_ACTIONS = [
  'changeName',
  'changeProfilePicture',
  'estimateStepCost',
  'getAppContext',
  'getConnector',
  'getConnectorAction',
  'getUserInfo',
  'listAgents',
  'listConnections',
  'listConnectors',
  'listModels',
  'listModelsByType',
  'listModelsSummary',
  'listModelsSummaryByType',
  'runAgent',
  'runTask',
  'uploadFile',
];

/** AI actions: each property is the action of that name. */
export const mindstudio = /* @__PURE__ */ new Proxy(() => {}, {
  get(_, name) {
    if (typeof name === 'symbol' || name === 'then') return undefined;
    if (name === 'waitUntil') return waitUntil;
    return (/** @type {any[]} */ ...args) => {
      const found = host();
      if (!found.action || NO_ACTIONS.includes(name)) throw refusal(`mindstudio.${name}`);
      return found.action(name, args);
    };
  },
  set: () => false,
  apply() {
    throw refusal('mindstudio');
  },
});

// They declare something for others to read, and are what they are given.
export const defineJewel = (/** @type {unknown} */ jewel) => jewel;
export const defineMapper = (/** @type {unknown} */ mapper) => mapper;

/**
 * An export that remy has nothing behind: it links, has any property, and throws when it is called. What declares something for a whole
 * module (`dataSources.defineDataSource`) gives such a thing again: a method that imports the module and does not use it runs.
 * @param {string} name
 * @returns {any}
 */
function remyUnsupported(name) {
  const refuse = () => {
    if (/\.define[A-Z]\w*$/.test(name)) return remyUnsupported(`${name}()`);
    throw refusal(name);
  };
  return new Proxy(class {}, {
    get: (target, property) => {
      if (typeof property === 'symbol' || property === 'then') return undefined;
      return property === 'prototype' ? target.prototype : remyUnsupported(`${name}.${property}`);
    },
    apply: refuse,
    construct: refuse,
  });
}

export const dataSources = /* @__PURE__ */ remyUnsupported('dataSources');
export const voice = /* @__PURE__ */ remyUnsupported('voice');
export const prerender = /* @__PURE__ */ remyUnsupported('prerender');
export const MindStudioAgent = /* @__PURE__ */ remyUnsupported('MindStudioAgent');
export const runWithContext = /* @__PURE__ */ remyUnsupported('runWithContext');
// The same binding, so that a bundle calls it by one name.
export { mindstudio as default };
