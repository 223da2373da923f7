// @ts-check
// One verb in a process of its own, started by process.js: two SQLite libraries in one process must not share a file, and the
// application may have the database open through one of its own.
//
// In:  { path, verb, args, follow }, or { place, call, follow } of a folder that is published; then perhaps { cancel: true }
// Out: { begun: true } before anything is done, then { line } for each line of the build log, then { result } or { error: { code, message, hint, remedy, object, sql } }.
//      Lines and results are JSON text.
import { load } from './addon.js';

/** @type {any} */
let remy;
let isCalledOff = false;
const cancel = () => {
  // Also before there is a verb: it is not begun then.
  isCalledOff = true;
  remy?.cancel();
};

// The application is gone, or the terminal is told to stop or closed: what is not committed yet is called off, the rest ends as it
// would. A worker that one of them ends all the same had not begun.
process.on('disconnect', cancel);
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, cancel);
// Ctrl-Z stops who started this, and not what may hold live's write lock: its writers would wait until `fg`. The threads of Node
// let these signals in, so that the core cannot keep them off by the mask of its own.
for (const signal of ['SIGTSTP', 'SIGTTIN', 'SIGTTOU']) process.on(signal, () => {});

// Before there is a request, which may be some time from now. What is wrong with the addon is the answer to that.
try {
  load();
} catch {}

process.on('message', async (/** @type {any} */ message) => {
  if (message.cancel) return cancel();
  // Who started this knows of whatever is done from here on, also where this process is killed.
  await new Promise((sent) => (process.connected ? process.send?.({ begun: true }, sent) : sent(null)));
  const answer = await run(message);
  // The lines and the end of a verb come by two queues of the same event loop turn: all lines are out after it.
  await new Promise(setImmediate);
  if (process.connected) process.send?.(answer, () => process.disconnect());
});

/** @param {{ path?: string, verb: string, args: unknown[], place?: object, call?: object, follow: boolean }} request */
async function run({ path, verb, args, place, call, follow }) {
  try {
    const onLine = (/** @type {string} */ line) => process.connected && process.send?.({ line });
    const lines = follow ? [onLine] : [];
    if (place) {
      remy = new (load().Project)(JSON.stringify(place));
      if (isCalledOff) remy.cancel();
      const { done, refused } = JSON.parse(await remy.run(JSON.stringify(call), ...lines));
      return refused ? { error: refused } : { result: JSON.stringify(done) };
    }
    remy = new (load().Remy)(path);
    if (isCalledOff) remy.cancel();
    return { result: await remy[verb](...args, ...lines) };
  } catch (caught) {
    const error = /** @type {any} */ (caught);
    const { code, message, hint = null, remedy = null, object = null, sql = null } = error;
    // What the addon rejects with has a hint, if only null. Node's own errors have codes too, but not of the contract.
    return {
      error: {
        code: 'hint' in error ? code : 'internal',
        message,
        hint,
        remedy: typeof remedy === 'string' ? JSON.parse(remedy) : remedy,
        object,
        sql,
      },
    };
  }
}
