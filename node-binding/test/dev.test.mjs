// Methods and scenarios of the working tree, by app.runtime(): as the folder has them when they are called.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CallError, openApp, RemyError } from '../js/index.js';
import { program, workshop } from './support.mjs';

process.env.REMY_PROGRAM ??= program;

const MANIFEST = {
  name: 'n',
  tables: [{ path: 't.ts', export: 'Items' }],
  methods: [{ id: 'names', path: 'm.ts', export: 'names' }],
  scenarios: ['full', 'fails', 'lasts'].map((id) => ({ id, path: 's.ts', export: id, roles: [] })),
};

const tables = (more = '') => `import { db } from '@mindstudio-ai/agent';
export const Items = db.defineTable<{ name: string${more} }>('items');
`;

const METHOD = `import { Items } from './t';
export const names = async () => (await Items.sortBy((it) => it.name)).map((it) => it.name);
`;

const SCENARIOS = `import { MindStudioError } from '@mindstudio-ai/agent';
import { Items } from './t';
export async function full() { console.log('filling'); await Items.push([{ name: 'a' }, { name: 'b' }]); }
export async function fails() { await Items.push({ name: 'x' }); throw new MindStudioError('no luck', 'unlucky', 418); }
export async function lasts() { await Items.push({ name: 'x' }); console.log('runs'); await new Promise((done) => setTimeout(done, 60_000)); }
`;

/** An app that was never published, with its session `default`. */
async function session(t) {
  const all = workshop(t);
  all.write('n/mindstudio.json', JSON.stringify(MANIFEST));
  all.write('n/t.ts', tables());
  all.write('n/m.ts', METHOD);
  all.write('n/s.ts', SCENARIOS);
  const app = await openApp(all.path('n'));
  await app.devStart('default');
  const runtime = await app.runtime();
  t.after(() => runtime.close());
  const names = async () => (await runtime.invoke('names', {}, { dev: 'default' })).output;
  return { ...all, app, runtime, names };
}

test('a scenario fills a session, and methods run there as the folder has them', async (t) => {
  const { runtime, names, write } = await session(t);
  const lines = [];
  const seeded = await runtime.devSeed('default', 'full', {
    onOutput: (...line) => lines.push(line),
  });
  assert.deepEqual(lines, [['filling', 'stdout']]);
  const { call, durationMs, ...rest } = seeded;
  assert.deepEqual(rest, { name: 'default', scenario: 'full', user: null, roles: [] });
  assert.ok(call && durationMs > 0);
  const returned = await runtime.invoke('names', {}, { dev: 'default' });
  assert.deepEqual([returned.output, returned.release], [['a', 'b'], null]);
  write('n/t.ts', tables('; size?: number'));
  write('n/m.ts', METHOD.replace('it.name);', '[it.name, it.size]);'));
  assert.deepEqual(await names(), [
    ['a', null],
    ['b', null],
  ]);
  // Those that come at once share a build.
  const began = performance.now();
  write('n/m.ts', METHOD);
  const all = await Promise.all(Array.from({ length: 20 }, names));
  assert.deepEqual(all, Array(20).fill(['a', 'b']));
  t.diagnostic(`20 calls after a change: ${Math.round(performance.now() - began)} ms`);
});

test('what cannot be done in dev is refused, and the session is as it was', async (t) => {
  const { runtime, names, write } = await session(t);
  await runtime.devSeed('default', 'full');
  const unlucky = await runtime.devSeed('default', 'fails').then(assert.fail, (error) => error);
  assert.ok(unlucky instanceof CallError);
  assert.deepEqual(
    [unlucky.code, unlucky.status, unlucky.message],
    ['unlucky', 418, 'no luck. The dev session default is as it was before'],
  );
  const stop = new AbortController();
  const lasts = runtime.devSeed('default', 'lasts', {
    signal: stop.signal,
    onOutput: () => stop.abort(new Error('enough')),
  });
  await assert.rejects(lasts, { message: 'enough' });
  assert.deepEqual(await names(), ['a', 'b']);
  await assert.rejects(runtime.devSeed('default', 'ful'), { code: 'scenario_not_found' });
  await assert.rejects(runtime.devSeed('nobody', 'full'), { code: 'not_found' });
  await assert.rejects(runtime.invoke('names', {}, { dev: 'nobody' }), { code: 'not_found' });
  await assert.rejects(runtime.invoke('scenario.full', {}, { dev: 'default' }), {
    code: 'method_not_found',
  });
  await assert.rejects(runtime.invoke('names', {}, { dev: 'default', release: 1 }), {
    code: 'invalid_argument',
    message: /release and dev do not go together/,
  });
  write('n/m.ts', 'export const names = (');
  const broken = await names().then(assert.fail, (error) => error);
  assert.ok(broken instanceof RemyError && !(broken instanceof CallError));
  assert.deepEqual(
    [broken.code, broken.faults?.map(({ file, line }) => [file, line])],
    ['build_failed', [['m.ts', 1]]],
  );
  write('n/m.ts', METHOD);
  assert.deepEqual(await names(), ['a', 'b']);
});
