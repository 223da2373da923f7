#!/usr/bin/env node
// @ts-check
// The command remy: argv in, rows out, an exit status that says how it went.
import { openApp, RemyError, version } from '../index.js';
import { load, names } from './commands.js';
import { SIGNALS, STATUS } from './exit.js';
import { help, overview } from './help.js';
import { called } from './name.js';
import { unwritten, write } from './output.js';
import { events, follower } from './progress.js';
import { advice, failure, oneLine } from './show.js';
import { parse, UsageError } from './usage.js';

/** Why a verb is called off. */
class CalledOff extends Error {
  /** @param {NodeJS.Signals} signal */
  constructor(signal) {
    super(`called off by ${signal}`);
    this.status = SIGNALS[signal];
  }
}

/** What was done, for whoever does not see it in the output. */
let done = () => 'Nothing was done';

const status = await main(process.argv.slice(2));
const lost = await unwritten();
if (lost) process.stderr.write(`error: io: the output could not be written (${lost.message}). ${done()}. Give the output another place, or free some space there\n`);
process.exitCode = status || (lost ? 1 : 0);

/**
 * @param {string[]} argv
 * @returns {Promise<number | undefined>}
 */
async function main(argv) {
  const json = argv.includes('--json');
  try {
    const { command, group, args, values } = await parse(argv);
    if (command === null) {
      if (values.help) return print(overview(await Promise.all(names.map(load)), group));
      if (values.version) return print([version]);
      throw new UsageError(`${[called, ...(group ? [group] : [])].join(' ')} expects a command: ${[called, ...(group ? [group] : [])].join(' ')} --help lists them`);
    }
    if (values.help) return print(help(command));
    return await run(command, args, values);
  } catch (error) {
    return report(error, json ? (error) => ({ error }) : null);
  }
}

/**
 * @param {import('./commands.js').Command} command
 * @param {any[]} args
 * @param {Record<string, any>} values
 */
async function run(command, args, values) {
  const progress = following(command.follows, values.json);
  const open = () => openApp(values.app ?? '.', { db: values.db, here: values.app !== undefined });
  const context = { open, args, values, signal: callOff(), onProgress: progress?.line };
  let result;
  try {
    result = await command.run(context);
  } catch (failed) {
    // Node's own functions reject with an error of their kind.
    const { name } = /** @type {Error} */ (failed);
    const error = context.signal.aborted && name === 'AbortError' ? context.signal.reason : failed;
    if (!progress) throw error;
    progress.end();
    return report(error, values.json ? (error) => ({ event: 'error', error }) : null);
  }
  progress?.end();
  // The last line for people says what came of a verb that follows.
  done = () => (command.follows ? oneLine(/** @type {any[]} */ (command.show(result, context)).at(-1)) : `${called} ${command.name} itself is done`);
  if (values.json) write(`${JSON.stringify(progress ? { event: 'result', result } : result)}\n`);
  else print(command.show(result, context));
  return command.ok && !command.ok(result) ? 1 : 0;
}

/**
 * What shows a command at work.
 * @param {import('./commands.js').Command['follows']} follows
 * @param {boolean} json
 */
function following(follows, json) {
  if (!follows || (follows === 'terminal' && (json || !process.stderr.isTTY))) return null;
  return json ? events() : follower(process.stderr);
}

/**
 * A signal that the first Ctrl-C aborts. The second does not wait for the end: the worker process sees that nobody is there,
 * and calls off what is not committed yet, or ends what is.
 */
function callOff() {
  const controller = new AbortController();
  for (const signal of /** @type {NodeJS.Signals[]} */ (Object.keys(SIGNALS))) {
    process.on(signal, () => {
      if (controller.signal.aborted) {
        process.stderr.write(`remy: not waiting for the end. Live is as it was, or switched whole: ${called} status says which\n`);
        process.exit(SIGNALS[signal]);
      }
      process.stderr.write('remy: calling off; once more ends without waiting\n');
      controller.abort(new CalledOff(signal));
    });
  }
  return controller.signal;
}

/** @param {string[] | Buffer} output lines for people, or bytes as they are */
function print(output) {
  write(Buffer.isBuffer(output) ? output : output.map((text) => `${oneLine(text)}\n`).join(''));
  return 0;
}

/**
 * @param {any} error
 * @param {((error: object) => object) | null} json what --json says of it
 * @returns {number | undefined}
 */
function report(error, json) {
  done = () => 'What was done is said above';
  if (error instanceof CalledOff) {
    // A verb that is called off has not committed: one that has, ends.
    const message = `${error.message}. Live is unchanged`;
    if (json) write(`${JSON.stringify(json({ code: 'busy', message, hint: null, remedy: null, object: null, sql: null }))}\n`);
    process.stderr.write(`${message}\n`);
    return error.status;
  }
  const { code, message, hint = null, remedy = null, object = null, sql = null, faults } = describe(error);
  if (json) write(`${JSON.stringify(json({ code, ...advice({ message, hint, remedy }), remedy, object, sql, ...(faults && { faults }) }))}\n`);
  process.stderr.write(`${failure({ code, message, hint, remedy, faults }).join('\n')}\n`);
  return STATUS[code] ?? 1;
}

/** @param {any} error */
function describe(error) {
  if (error instanceof RemyError || error instanceof UsageError) return /** @type {any} */ (error);
  return { code: 'internal', message: error?.stack ?? String(error), hint: 'Please report this' };
}
