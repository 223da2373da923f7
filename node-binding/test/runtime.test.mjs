// app.runtime(): methods run by a process that lasts.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { basename } from 'node:path';
import { test } from 'node:test';
import { setTimeout as rest } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { CallError, openApp, RemyError } from '../js/index.js';
import { program, workshop } from './support.mjs';

process.env.REMY_PROGRAM ??= program;

const MANIFEST = {
  name: 'n',
  roles: [{ id: 'admin' }],
  tables: [{ path: 't.ts', export: 'Items' }],
  methods: ['add', 'who', 'fails', 'lasts', 'streams', 'release'].map((id) => ({
    id,
    path: 'm.ts',
    export: id,
  })),
};

const TABLES = `import { db } from '@mindstudio-ai/agent';
export const Items = db.defineTable<{ name: string }>('items');
`;

const METHODS = `import { auth, MindStudioError, stream, waitUntil } from '@mindstudio-ai/agent';
import { Items } from './t';
export async function add(input: { name: string }) {
  await Items.push({ name: input.name });
  return Items.count();
}
export async function who() { return [auth.userId, auth.roles]; }
export async function fails() {
  console.error('about to fail');
  throw new MindStudioError('Not today.', 'not_today', 418, { until: 'tomorrow' });
}
export async function lasts(input: { ms: number }) { await new Promise((done) => setTimeout(done, input.ms)); return 'done'; }
export async function streams() {
  await stream('one');
  await stream({ two: 2 });
  waitUntil(new Promise((done) => setTimeout(done, 300)).then(() => Items.push({ name: 'later' })));
  return 3;
}
export async function release() { return VERSION; }
`;

/** The app, live, and who publishes it again. */
async function live(t) {
  const all = workshop(t);
  const folder = all.path('n');
  const publish = async (version) => {
    all.write('n/mindstudio.json', JSON.stringify(MANIFEST));
    all.write('n/t.ts', TABLES);
    all.write('n/m.ts', METHODS.replace('VERSION', String(version)));
    const { status, stderr } = await all.remy(['publish'], { cwd: folder });
    assert.equal(status, 0, stderr);
  };
  await publish(1);
  return { folder, publish, app: await openApp(folder) };
}

/** The processes whose folder is this, of the program. */
function processes(folder) {
  const is = (pid) => {
    try {
      return (
        readlinkSync(`/proc/${pid}/cwd`) === folder &&
        readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')[1] === 'runtime'
      );
    } catch {
      return false;
    }
  };
  return readdirSync('/proc')
    .filter((pid) => /^\d+$/.test(pid) && is(pid))
    .map(Number);
}

async function until(what, is) {
  for (let i = 0; i < 500; i++) {
    if (await is()) return;
    await rest(20);
  }
  assert.fail(`never: ${what}`);
}

test('methods are called, many at once, on what is live by then', async (t) => {
  const { app, folder, publish } = await live(t);
  const runtime = await app.runtime({ maxProcesses: 4 });
  const first = await runtime.invoke('add', { name: 'a' });
  assert.deepEqual(Object.keys(first), ['output', 'release', 'call', 'durationMs']);
  assert.deepEqual([first.output, first.release], [1, 1]);
  const all = await Promise.all(
    Array.from({ length: 20 }, (_, i) => runtime.invoke('add', { name: `n${i}` })),
  );
  assert.equal(Math.max(...all.map(({ output }) => Number(output))), 21);
  assert.deepEqual((await runtime.invoke('who', {}, { as: ['admin'] })).output, [
    'impersonated',
    ['admin'],
  ]);
  await publish(2);
  assert.deepEqual((await runtime.invoke('release')).output, 2);
  assert.deepEqual((await runtime.invoke('release', {}, { release: 1 })).output, 1);
  const heard = [];
  const streams = await runtime.invoke('streams', {}, { onStream: (part) => heard.push(part) });
  assert.deepEqual([heard, streams.output], [['one', { two: 2 }], 3]);
  assert.equal(processes(folder).length, 1);
  await runtime.close();
  assert.deepEqual(processes(folder), []);
  await assert.rejects(runtime.invoke('who'), { code: 'invalid_argument', message: /is closed/ });
  // What a method had left to do was done before.
  const again = await app.runtime();
  assert.equal((await again.invoke('add', { name: 'z' })).output, 23);
  await again.close();
});

test('why a call fails comes through, and what the method printed', async (t) => {
  const { app } = await live(t);
  const runtime = await app.runtime();
  t.after(() => runtime.close());
  const lines = [];
  const fails = runtime.invoke('fails', {}, { onOutput: (...line) => lines.push(line) });
  const error = await fails.then(assert.fail, (error) => error);
  assert.ok(error instanceof CallError && error instanceof RemyError);
  assert.deepEqual(
    [error.code, error.message, error.status, error.details],
    ['not_today', 'Not today.', 418, { until: 'tomorrow' }],
  );
  assert.match(error.methodStack ?? '', /m\.ts:\d+/);
  assert.deepEqual(lines, [['about to fail', 'stderr']]);
  await assert.rejects(runtime.invoke('fail'), {
    code: 'method_not_found',
    status: 404,
    message: 'There is no method fail in this release. Did you mean fails? Nothing was called',
  });
  await assert.rejects(runtime.invoke('who', {}, { as: ['king'] }), { code: 'role_not_found' });
  for (const [input, options, message] of [
    [1n, {}, /^the input cannot be given as JSON/],
    [() => 1, {}, /^the input cannot be given as JSON/],
    [{}, { as: 'admin' }, /^the option as of invoke must be a list of strings/],
    [{}, { preview: 'x', release: 1 }, /do not go together/],
    [{}, { roles: [] }, /^invoke has no option roles/],
  ]) {
    await assert.rejects(runtime.invoke('who', input, /** @type {any} */ (options)), {
      code: 'invalid_argument',
      message,
    });
  }
});

test('a call is called off by its signal, and by close', async (t) => {
  const { app } = await live(t);
  const runtime = await app.runtime();
  const stop = new AbortController();
  const lasts = runtime.invoke('lasts', { ms: 60_000 }, { signal: stop.signal });
  setTimeout(() => stop.abort(new Error('enough')), 200);
  await assert.rejects(lasts, { message: 'enough' });
  const another = runtime.invoke('lasts', { ms: 60_000 });
  await Promise.all([
    assert.rejects(another, { code: 'cancelled' }),
    rest(200).then(() => runtime.close()),
  ]);
});

test('where its process dies, calls fail by that, and the next one starts another', async (t) => {
  const { app, folder } = await live(t);
  const runtime = await app.runtime();
  t.after(() => runtime.close());
  const [pid] = processes(folder);
  const lasts = runtime.invoke('lasts', { ms: 60_000 });
  await rest(200);
  process.kill(pid, 'SIGKILL');
  await assert.rejects(lasts, {
    code: 'io',
    message:
      'the process that runs methods was ended by SIGKILL. What calls had written by then stays; those under way are lost. The next call starts another one',
  });
  assert.equal((await runtime.invoke('add', { name: 'a' })).output, 1);
  assert.equal(processes(folder).length, 1);
});

test('where nothing is live there is nothing to run', async (t) => {
  const { folder, write } = workshop(t);
  write('mindstudio.json', JSON.stringify(MANIFEST));
  write('app.db', '');
  const app = await openApp(folder, { db: `${folder}/app.db` });
  await assert.rejects(app.runtime(), { code: 'no_release' });
});

test('it ends with its program, which it does not keep from ending', async (t) => {
  const { folder } = await live(t);
  const js = fileURLToPath(new URL('../js/index.js', import.meta.url));
  const script = (more) => `import { openApp } from ${JSON.stringify(js)};
const app = await openApp(${JSON.stringify(folder)});
const runtime = await app.runtime();
console.log((await runtime.invoke('who')).output[1].length);
${more}`;
  const start = (more) =>
    spawn(process.execPath, ['--input-type=module', '-e', script(more)], { cwd: '/' });
  const ends = start('');
  let said = '';
  ends.stderr.on('data', (text) => (said += text));
  const [status] = await once(ends, 'close');
  assert.equal(status, 0, said);
  const stays = start('setInterval(() => {}, 1000);');
  await once(stays.stdout, 'data');
  assert.equal(processes(folder).length > 0, true, basename(folder));
  stays.kill('SIGKILL');
  await until('the process is gone', () => processes(folder).length === 0);
});
