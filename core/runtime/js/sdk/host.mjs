// What `@mindstudio-ai/agent` finds as `globalThis[Symbol.for('remy.host')]`, for one call after the other.

import { makeActions } from './actions.mjs';
import { makeAuth } from './auth.mjs';
import { withContents } from './email.mjs';
import { MindStudioError, invalid } from './error.mjs';
import { makeStore } from './files.mjs';
import { Operation, batch } from './operation.mjs';
import { planned } from './predicate.mjs';
import { makeTable } from './table.mjs';
import { rowsOf, toStored } from './values.mjs';

/**
 * @typedef {{ auth: import('./auth.mjs').Auth, session: any, request: any, stream: boolean }} Call
 * @typedef {{ tables: Record<string, { columns: import('./values.mjs').Columns }> }} Load
 */

/**
 * Makes the host of a process. `begin` says whose call is under way.
 * @param {{ load: Load, request: (request: object) => Promise<any> }} of
 */
export function makeHost({ load, request }) {
  /** @type {Call | null} */
  let call = null;
  /** @type {ReturnType<typeof makeAuth> | null} */
  let auth = null;

  /** Modules that ask while they load have no caller. */
  const called = () => {
    if (call) return call;
    throw new MindStudioError(
      'no_call',
      500,
      'No call is under way: a module asks for its caller while it loads',
    );
  };

  /** @type {import('./operation.mjs').Run} */
  const run = (operations) => request({ ask: 'database', operations });

  const service =
    (/** @type {string} */ name) =>
    (/** @type {any[]} */ ...args) =>
      request({
        ask: 'service',
        name,
        arguments: args.map((arg) => arg ?? null),
      });

  const sendEmail = async (/** @type {any} */ message) =>
    service('email.send')(await withContents(message));

  return {
    begin(/** @type {Call} */ next) {
      call = next;
      auth = makeAuth(next.auth);
    },
    host: {
      table(/** @type {string} */ name, /** @type {import('./table.mjs').Options} */ options) {
        const found = Object.hasOwn(load.tables, name) ? load.tables[name] : null;
        if (!found)
          throw invalid('table_not_found', `The database of this release has no table ${name}`);
        return makeTable({ table: name, columns: found.columns, run }, options);
      },
      store: (/** @type {string} */ name, /** @type {import('./files.mjs').Options} */ options) =>
        makeStore(name, options, (operation, what) => service(`files.${operation}`)(what)),
      db: {
        batch: (/** @type {any[]} */ ...operations) => batch(run, operations),
        sql(/** @type {string} */ text, /** @type {unknown[]} */ params = []) {
          const values = params.map((value) => toStored(value, undefined));
          return new Operation(run, () => ({
            steps: [{ op: 'sql', text, params: values, reads: true }],
            finish: ([reply]) => rowsOf(reply, null),
          }));
        },
      },
      get auth() {
        called();
        return auth;
      },
      get session() {
        return called().session ?? {};
      },
      getRequestContext: () => called().request,
      stream: async (/** @type {unknown} */ data) => {
        if (called().stream) await request({ ask: 'stream', data: data ?? null });
      },
      async resolveUser(/** @type {string} */ id) {
        const [user] = await request({
          ask: 'resolveUsers',
          ids: [String(id)],
        });
        return user ?? null;
      },
      events: {
        async publish(/** @type {unknown} */ channels, /** @type {unknown} */ data) {
          if (!isJson(data))
            throw invalid('invalid_payload', 'JSON cannot hold this. Nothing was published');
          return service('events.publish')(channels, data);
        },
        grant: service('events.grant'),
      },
      email: Object.assign((/** @type {any} */ message) => sendEmail(message), { send: sendEmail }),
      action: makeActions(service('action'), sendEmail),
      planned,
    },
  };
}

/** @param {unknown} data */
function isJson(data) {
  try {
    return JSON.stringify(data) !== undefined;
  } catch {
    return false;
  }
}
