// @ts-check
// Runs a program of the build (npm, a web build) in a process group of its own, and leaves none of the group behind.
import { spawn } from 'node:child_process';
import { doesNotBuild } from './faults.js';

/** How much of a program's output is kept of its beginning, and of its end. */
const KEPT = 32 * 1024;

/** How long a group that is called off has to end by itself. */
const GRACE_MS = 2000;

/**
 * The groups at work, by the process that began each. Where this process does not wait for their end, they end with it: they would
 * write to a staged copy that the next build takes for its own.
 * @type {Set<number>}
 */
const groups = new Set();
process.on('exit', () => groups.forEach((group) => end(group, 'SIGKILL')));

/**
 * @typedef {object} Ran
 * @property {number | null} status
 * @property {NodeJS.Signals | null} signal
 * @property {string} output  what it wrote to stdout and stderr; of a long one the beginning and the end, and how much is left out
 */

/**
 * Fulfills when the program has ended, however it ended. Rejects when it cannot be started (`ENOENT`), or with the reason of `signal`.
 * @param {string} program
 * @param {string[]} args
 * @param {{ cwd: string, env: NodeJS.ProcessEnv, signal?: AbortSignal }} options
 * @returns {Promise<Ran>}
 */
export function run(program, args, { cwd, env, signal }) {
  signal?.throwIfAborted();
  return new Promise((fulfill, reject) => {
    // A group of its own: what npm starts is ended with it. It is also out of reach of a terminal's Ctrl-C, which is `signal`'s to bring.
    const child = spawn(program, args, { cwd, env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
    if (child.pid !== undefined) groups.add(child.pid);
    let [head, tail, left] = ['', '', 0];
    /** @type {NodeJS.Timeout | undefined} */
    let grace;

    const stop = () => {
      end(child.pid, 'SIGTERM');
      grace = setTimeout(() => end(child.pid, 'SIGKILL'), GRACE_MS);
    };
    signal?.addEventListener('abort', stop, { once: true });
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8');
      stream.on('data', (text) => {
        const free = KEPT - head.length;
        head += text.slice(0, free);
        tail += text.slice(free);
        left += Math.max(0, tail.length - KEPT);
        tail = tail.slice(-KEPT);
      });
    }
    child.on('error', (error) => {
      if (child.pid === undefined) done(() => reject(error));
    });
    child.on('exit', (status, how) => {
      // What the program left running would hold the pipes open, and write to the staged copy while others read it.
      end(child.pid, 'SIGKILL');
      groups.delete(/** @type {number} */ (child.pid));
      // What it wrote before it ended is in the pipes still. Whoever left the group may hold them for ever.
      const late = setTimeout(close, 500);
      child.on('close', close);
      function close() {
        clearTimeout(late);
        child.stdout.destroy();
        child.stderr.destroy();
        const output = left ? `${head}\n… ${left} characters are left out here …\n${tail}` : head + tail;
        done(() => (signal?.aborted ? reject(signal.reason) : fulfill({ status, signal: how, output })));
      }
    });

    /** @param {() => void} settle */
    function done(settle) {
      clearTimeout(grace);
      signal?.removeEventListener('abort', stop);
      settle();
    }
  });
}

/**
 * @param {number | undefined} group
 * @param {NodeJS.Signals} how
 */
function end(group, how) {
  try {
    if (group !== undefined) process.kill(-group, how);
  } catch {
    // Nobody is left in it.
  }
}

/** What an outer npm (`npx remy-db …`, a script) says about its own project: an inner npm would take it for this one. */
const OUTER_NPM =
  /^npm_(package_|lifecycle_|command$|execpath$|config_(local_prefix|prefix|package|call|workspaces?|include_workspace_root|global|dry_run|omit|include|only|production|if_present)$)/i;

/**
 * The environment of installs and builds: the caller's, without what is remy's own, without what an outer npm or git says about
 * another project, and without a NODE_ENV that would leave build tools out.
 * @returns {NodeJS.ProcessEnv}
 */
export function environment() {
  const env = { ...process.env };
  for (const name of Object.keys(env)) {
    if (/^(REMY|GIT)_/.test(name) || OUTER_NPM.test(name)) delete env[name];
  }
  for (const name of ['INIT_CWD', 'NODE_ENV', 'NODE_TEST_CONTEXT', 'NODE_CHANNEL_FD', 'NODE_CHANNEL_SERIALIZATION_MODE']) delete env[name];
  return { ...env, CI: 'true' };
}

/** How many lines of an output a message holds: of the beginning, where npm gives its reason, and of the end, where others do. */
const [FIRST, LAST] = [12, 24];

/** The lines by which npm says that more is said elsewhere, and warnings: none of them is why it failed. */
const ASIDE = /^npm (warn|WARN|notice)\b|^(npm (error|ERR!) )?(A complete log of this run can be found in: |Run "npm help \w+" for more info)/;

/**
 * A fault for a program that failed: why, in few lines, with all that it said for the log. Files are named as they are in the app.
 * @param {Ran} ran
 * @param {{ file: string, pointer: string, program: string, tree: string, before?: string }} what
 */
export function failed({ status, signal, output }, { file, pointer, program, tree, before = '' }) {
  const how = signal ? `was ended by ${signal}` : `ended with status ${status}`;
  // eslint-disable-next-line no-control-regex
  const said = output.replace(/\u001b\[[0-9;?]*[A-Za-z]/g, '').replaceAll(`${tree}/`, '').split(/\r\n|\n|\r/).map((line) => line.trimEnd());
  const message = [`${before}${program} ${how}`, ...shortened(causeOf(said))].join('\n');
  return doesNotBuild([{ file, pointer, message }], `${file}: ${program} ${how}. All that it said:\n${said.join('\n').trim()}`);
}

/** @param {string[]} said */
function causeOf(said) {
  const lines = said.filter((line) => !ASIDE.test(line)).map((line) => line.replace(/^npm (error|ERR!) ?/, ''));
  // Where npm was called in another way than it expects, a lock that does not match among them, its whole usage follows a line on what
  // the command does.
  const usage = lines.findIndex((line, i) => line === 'Usage:' && lines[i + 1]?.startsWith('npm '));
  return (usage < 0 ? lines : lines.slice(0, Math.max(0, usage - 2))).filter((line) => !/^\d*$/.test(line));
}

/** @param {string[]} lines */
function shortened(lines) {
  const left = lines.length - FIRST - LAST;
  return left <= 1 ? lines : [...lines.slice(0, FIRST), `… ${left} lines are left out here`, ...lines.slice(-LAST)];
}
