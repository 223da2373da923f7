// @ts-check
// A whole build: from an app's folder to a release's, and what is left where it fails or is called off.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { build } from './steps/build.js';
import { call, folder, git, write } from './builds.mjs';

const IDS = Array.from({ length: 13 }, (_, i) => `method-${i + 1}`);
const WEB = 'dist/interfaces/web';

/** An app of 13 methods, two tables, roles and interfaces of four types. */
function files() {
  return {
    'mindstudio.json': JSON.stringify({
      name: 'Vendors',
      appId: 'made-up',
      description: 'An app',
      futureField: 1,
      roles: [{ id: 'buyer' }],
      tables: [{ name: 'vendors', path: 'dist/methods/src/tables/vendors.ts', export: 'Vendors' }],
      methods: IDS.map((id, i) => ({
        id,
        path: `dist/methods/src/m${i + 1}.ts`,
        export: `m${i + 1}`,
      })),
      interfaces: [
        { type: 'web', path: `${WEB}/web.json` },
        { type: 'api', config: { api: {} } },
        { type: 'cron', path: 'dist/interfaces/cron/interface.json' },
        {
          type: 'webhook',
          config: { webhook: { endpoints: [{ method: 'method-2', secret: 'hush-hush' }] } },
        },
        { type: 'email', config: { email: { method: 'method-1' } }, enabled: false },
      ],
      scenarios: [
        { id: 'full', path: 'dist/methods/.scenarios/full.ts', export: 'full', roles: ['buyer'] },
      ],
    }),
    'dist/methods/package.json': '{"dependencies":{"@mindstudio-ai/agent":"^0.1.0"}}',
    'dist/methods/.scenarios/full.ts': 'export const full = async () => {};',
    'src/app.md': '# The spec',
    'dist/methods/src/tables/vendors.ts':
      "import { db } from '@mindstudio-ai/agent';\nexport const Vendors = db.defineTable<{ name: string }>('vendors');",
    'dist/methods/src/common/sum.ts':
      'export const sum = (...all: number[]) => all.reduce((a, b) => a + b, 0);',
    ...Object.fromEntries(
      IDS.map((_, i) => [
        `dist/methods/src/m${i + 1}.ts`,
        `import { auth } from '@mindstudio-ai/agent';\nimport { Vendors } from './tables/vendors';\nimport { sum } from './common/sum';\nexport async function m${i + 1}(input: { n: number }) {\n  if (input.n < 0) { auth.requireRole('buyer'); return await Vendors.get('x'); }\n  return sum(input.n, ${i + 1});\n}\n`,
      ]),
    ),
    'dist/interfaces/cron/interface.json':
      '{"cron":{"jobs":[{"schedule":"0 3 * * *","method":"method-3"}]}}',
    [`${WEB}/web.json`]: '{"web":{"devPort":5173}}',
    [`${WEB}/package.json`]:
      '{"scripts":{"build":"mkdir -p dist/assets && cp index.html dist && echo 1 > dist/assets/a.js"}}',
    [`${WEB}/index.html`]: '<p>Vendors',
  };
}

/**
 * @param {import('node:test').TestContext} t
 * @param {Record<string, any>} [more]
 */
function app(t, more = {}) {
  const root = join(folder(t), 'app');
  const outs = folder(t);
  write(root, { ...files(), ...more });
  let n = 0;
  return {
    root,
    outs,
    outDir: () => join(outs, `release-${++n}`),
    write: (/** @type {Record<string, any>} */ changes) => write(root, changes),
  };
}

/** @param {string} root */
const below = (root) =>
  readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name).slice(root.length + 1))
    .sort();
/** @param {{ message: string }[]} lines */
const messages = (lines) =>
  lines.map(({ message }) =>
    message.replace(/\[[\d.]+ [KM]?B\]/, '[size]').replace(/kept as it is; .*/, 'kept as it is'),
  );

test('a release is a folder with all that it needs', async (t) => {
  const it = app(t);
  /** @type {any[]} */
  const seen = [];
  const dir = it.outDir();
  const built = await build(it.root, {
    outDir: dir,
    onLine: (line) => seen.push(line),
    schemas: (id) =>
      id === 'method-1' ? { type: 'object', properties: { n: { type: 'number' } } } : {},
  });
  assert.deepEqual(seen, built.lines);
  assert.deepEqual(messages(built.lines), [
    `Staged ${Object.keys(files()).length} files`,
    'Read mindstudio.json: 13 methods, 1 table, 5 interfaces',
    'mindstudio.json#/futureField: is not known here, and kept as it is',
    ...IDS.map((id) => `Compiled ${id} [size]`),
    'Compiled web interface [2 files]',
    'Compiled api interface',
    'Compiled cron interface',
    'Compiled webhook interface',
  ]);
  for (const line of built.lines) {
    assert.deepEqual(Object.keys(line), [
      'at',
      'step',
      'outcome',
      'message',
      'object',
      'sql',
      'duration_ms',
    ]);
    assert(
      Math.abs(line.at - Date.now()) < 60_000 && line.step === 'build' && line.duration_ms >= 0,
    );
  }
  assert.deepEqual(messages(built.warnings.map((message) => ({ message }))), [
    'mindstudio.json#/futureField: is not known here, and kept as it is',
  ]);
  assert.deepEqual(
    below(dir),
    [
      'app.json',
      'interfaces/api.json',
      'interfaces/cron.json',
      'interfaces/openapi.json',
      'interfaces/web.json',
      'interfaces/web/assets/a.js',
      'interfaces/web/index.html',
      'interfaces/webhook.json',
      ...IDS.flatMap((id) => [`methods/${id}.mjs`, `methods/${id}.mjs.map`]),
      ...Object.keys(files()).map((path) => `source/${path}`),
    ].sort(),
  );
  const { methods, ...said } = JSON.parse(readFileSync(join(dir, 'app.json'), 'utf8'));
  assert.deepEqual(said, {
    format: 1,
    name: 'Vendors',
    appId: 'made-up',
    description: 'An app',
    commit: null,
    dirty: false,
    roles: [{ id: 'buyer' }],
    tables: [{ name: 'vendors', path: 'dist/methods/src/tables/vendors.ts', export: 'Vendors' }],
    interfaces: [
      { type: 'web', enabled: true, file: 'interfaces/web.json', dir: 'interfaces/web' },
      { type: 'api', enabled: true, file: 'interfaces/api.json' },
      { type: 'cron', enabled: true, file: 'interfaces/cron.json' },
      { type: 'webhook', enabled: true, file: 'interfaces/webhook.json' },
      { type: 'email', enabled: false },
    ],
    scenarios: [
      { id: 'full', path: 'dist/methods/.scenarios/full.ts', export: 'full', roles: ['buyer'] },
    ],
    auth: null,
  });
  assert.deepEqual(methods[2], {
    id: 'method-3',
    name: null,
    description: null,
    export: 'm3',
    file: 'methods/method-3.mjs',
    bytes: readFileSync(join(dir, 'methods/method-3.mjs')).length,
  });
  assert.equal(call(dir, 'method-3', 'm3', { n: 4 }), 7);
  assert.match(readFileSync(join(dir, 'interfaces/openapi.json'), 'utf8'), /"n"/);
  const { cron_jobs, webhooks, email_routes } = /** @type {any} */ (built.effects);
  assert.deepEqual([cron_jobs.length, webhooks.length, email_routes.length], [1, 1, 0]);
  assert(!JSON.stringify(built.lines).includes('hush-hush'));
  assert.deepEqual(
    below(it.root).filter((path) => !path.startsWith('.remy/')),
    Object.keys(files()).sort(),
  );
  assert.deepEqual(readdirSync(it.outs), ['release-1']);
});

test('unchanged parts are reused, and give the same release', async (t) => {
  const it = app(t);
  const [one, two, three] = [it.outDir(), it.outDir(), it.outDir()];
  await build(it.root, { outDir: one });
  const built = await build(it.root, { outDir: two });
  assert.deepEqual(
    messages(built.lines).filter((message) => message.startsWith('Compiled')),
    ['Compiled api interface', 'Compiled cron interface', 'Compiled webhook interface'],
  );
  for (const file of below(one))
    assert(readFileSync(join(one, file)).equals(readFileSync(join(two, file))), file);
  assert.deepEqual(below(one), below(two));
  it.write({ 'dist/methods/src/m5.ts': 'export const m5 = async () => "changed";' });
  const changed = await build(it.root, { outDir: three });
  assert.deepEqual(
    messages(changed.lines).filter((message) => /^Compiled (method|web )/.test(message)),
    ['Compiled method-5 [size]'],
  );
  assert.equal(call(three, 'method-5', 'm5'), 'changed');
  // Another machine, or another place, gives the same bytes.
  const elsewhere = app(t, {
    'dist/methods/src/m5.ts': 'export const m5 = async () => "changed";',
  });
  const four = elsewhere.outDir();
  await build(elsewhere.root, { outDir: four, cacheDir: join(folder(t), 'far', 'away') });
  for (const file of below(three))
    assert(readFileSync(join(three, file)).equals(readFileSync(join(four, file))), file);
});

test('a commit is built, and the working tree is not', async (t) => {
  const it = app(t);
  write(it.root, { '.gitignore': '.remy\n' });
  git(it.root, 'init', '-q');
  git(it.root, 'add', '-A');
  git(it.root, 'commit', '-qm', 'x');
  const commit = git(it.root, 'rev-parse', 'HEAD');
  it.write({ 'mindstudio.json': null, 'dist/methods/src/m1.ts': 'broken(' });
  const built = await build(it.root, { outDir: it.outDir(), commit: 'HEAD' });
  assert.deepEqual([built.commit, built.dirty], [commit, false]);
  assert.match(
    built.lines[0].message,
    new RegExp(`^Staged \\d+ files of commit ${commit.slice(0, 7)}$`),
  );
  assert.equal(call(built.dir, 'method-1', 'm1', { n: 1 }), 2);
  git(it.root, 'checkout', '-q', 'mindstudio.json');
  it.write({ 'dist/methods/src/m1.ts': 'export const m1 = async () => 1;' });
  const now = await build(it.root, { outDir: it.outDir() });
  assert.deepEqual([now.commit, now.dirty], [commit, true]);
  assert.match(now.lines[0].message, /\(working tree dirty\)$/);
});

test('what has no manifest is called as it is known to the user', async (t) => {
  const it = app(t);
  git(it.root, 'init', '-q');
  it.write({ '.gitignore': '.remy\nmindstudio.json\n' });
  git(it.root, 'add', '-A');
  git(it.root, 'commit', '-qm', 'x');
  const commit = git(it.root, 'rev-parse', '--short=7', 'HEAD');
  const none = (/** @type {string} */ called, /** @type {object} */ more) =>
    assert.rejects(build(it.root, { outDir: it.outDir(), ...more }), (/** @type {any} */ error) => {
      assert.equal(error.code, 'not_found');
      assert(error.message.startsWith(`${called} has no app: `), error.message);
      return true;
    });
  await none(`commit ${commit} of ${it.root}`, { commit: 'HEAD' });
  it.write({ 'mindstudio.json': null, 'mindstudio.json/file': '' });
  await none(it.root, {});
});

test("the live database and the output may lie in the app's folder", async (t) => {
  const it = app(t, { 'data.db': 'x', 'data.db-wal': 'x', 'data.db-remy/catalog.db': 'x' });
  const built = await build(it.root, {
    outDir: join(it.root, 'out/release'),
    live: join(it.root, 'data.db'),
    cacheDir: join(it.root, 'cache'),
  });
  assert.deepEqual(below(join(built.dir, 'source')), Object.keys(files()).sort());
});

test('whatever is wrong, nothing is left of the release', async (t) => {
  const it = app(t);
  /** @type {[Record<string, any>, RegExp, string][]} */
  const wrong = [
    [{ 'mindstudio.json': '{ "name": ' }, /mindstudio\.json/, 'schema_invalid'],
    [{ 'mindstudio.json': null }, /mindstudio\.json/, 'not_found'],
    [
      {
        'dist/interfaces/cron/interface.json':
          '{"cron":{"jobs":[{"schedule":"never","method":"nobody"}]}}',
      },
      /nobody/,
      'schema_invalid',
    ],
    [
      {
        'dist/methods/src/m7.ts': 'export const other = 1;',
        'dist/methods/src/m8.ts': 'const = 1',
      },
      /has no export m7[^]*m8\.ts:1:7/,
      'build_failed',
    ],
    [
      {
        'dist/methods/package.json': '{"dependencies":{"far-away":"1"}}',
        'dist/methods/.npmrc': 'registry=http://127.0.0.1:9/',
      },
      /the dependency far-away/,
      'build_failed',
    ],
    [
      { [`${WEB}/package.json`]: '{"scripts":{"build":"echo the reason; exit 3"}}' },
      /ended with status 3[^]*the reason/,
      'build_failed',
    ],
    [{ link: { symlink: '/etc/passwd' } }, /link: is a symlink to \/etc\/passwd/, 'build_failed'],
  ];
  for (const [changes, message, code] of wrong) {
    write(it.root, { ...files(), link: null, 'dist/methods/.npmrc': null });
    it.write(changes);
    /** @type {any[]} */
    const lines = [];
    await assert.rejects(
      build(it.root, { outDir: it.outDir(), onLine: (line) => lines.push(line) }),
      (/** @type {any} */ error) => {
        assert.equal(error.code, code, error.message);
        assert.match(error.message, message);
        return true;
      },
    );
    assert.deepEqual(readdirSync(it.outs), []);
  }
  // What is there already is neither written to nor removed.
  write(it.root, { ...files(), link: null, 'dist/methods/.npmrc': null });
  write(it.outs, { 'mine/file': 'x' });
  await assert.rejects(build(it.root, { outDir: join(it.outs, 'mine') }), { code: 'io' });
  assert.equal(readFileSync(join(it.outs, 'mine/file'), 'utf8'), 'x');
});

test('a build that is called off at any line leaves nothing of the release, and the next one is whole', async (t) => {
  const it = app(t);
  const lines = (await build(it.root, { outDir: it.outDir() })).lines.length;
  for (let stop = 0; stop < lines; stop++) {
    if (stop % 4 !== 0 && stop < lines - 5) continue;
    write(it.root, {
      'dist/methods/src/common/sum.ts': `export const sum = (...all: number[]) => all.reduce((a, b) => a + b, ${stop});`,
      [`${WEB}/index.html`]: String(stop),
    });
    const controller = new AbortController();
    let seen = 0;
    const built = build(it.root, {
      outDir: join(it.outs, 'called-off'),
      signal: controller.signal,
      onLine: () => seen++ === stop && controller.abort(new Error('no more')),
    });
    await assert.rejects(built, { message: 'no more' });
    assert.equal(existsSync(join(it.outs, 'called-off')), false);
  }
  const last = await build(it.root, { outDir: it.outDir() });
  assert.equal(call(last.dir, 'method-2', 'm2', { n: 1 }), 3 + lines - 1);
  await assert.rejects(
    build(it.root, { outDir: it.outDir(), signal: AbortSignal.abort(new Error('never')) }),
    { message: 'never' },
  );
});

test(
  'builds in one cache wait for each other, and one that was killed holds nobody up',
  { timeout: 60_000 },
  async (t) => {
    const it = app(t);
    // More than Node has threads in its pool: none of them waits there.
    const built = await Promise.all(
      Array.from({ length: 6 }, () => build(it.root, { outDir: it.outDir() })),
    );
    for (const { dir } of built) assert.deepEqual(below(dir), below(built[0].dir));

    const slow = app(t, { [`${WEB}/package.json`]: '{"scripts":{"build":"sleep 60"}}' });
    const code = `import { build } from ${JSON.stringify(new URL('./steps/build.js', import.meta.url).href)}; await build(${JSON.stringify(slow.root)}, { outDir: ${JSON.stringify(slow.outDir())}, onLine: ({ message }) => console.log(message) });`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', code], {
      stdio: ['ignore', 'pipe', 'inherit'],
      detached: true,
    });
    await new Promise((compiled) =>
      child.stdout.on('data', (text) => String(text).includes('method-13') && compiled(null)),
    );
    const waits = new AbortController();
    setTimeout(() => waits.abort(new Error('waited')), 1500);
    /** @type {string[]} */
    const told = [];
    const waiting = build(slow.root, {
      outDir: slow.outDir(),
      signal: waits.signal,
      onLine: ({ message }) => told.push(message),
    });
    await assert.rejects(waiting, { message: 'waited' });
    assert.deepEqual(told, ['Waits for another build of this app to end']);
    const npm = execFileSync('pgrep', ['-P', String(child.pid)], { encoding: 'utf8' })
      .trim()
      .split('\n')
      .map(Number);
    child.kill('SIGKILL');
    // Its own web build outlives a process that is killed; this test ends that.
    for (const pid of npm)
      try {
        process.kill(-pid, 'SIGKILL');
      } catch {
        /* esbuild's went with it */
      }
    slow.write({ [`${WEB}/package.json`]: '{"scripts":{"build":"mkdir dist; echo > dist/x"}}' });
    const next = await build(slow.root, { outDir: slow.outDir() });
    assert.equal(existsSync(join(next.dir, 'interfaces/web/x')), true);
  },
);

test("a web project's .env files are warned of", async (t) => {
  const it = app(t, { [`${WEB}/.env`]: 'VITE_X=secret' });
  const { warnings, dir } = await build(it.root, { outDir: it.outDir() });
  assert(warnings.some((text) => text.startsWith(`${WEB}/.env is no part of a release`)));
  assert(!below(dir).some((path) => path.includes('.env')));
});

test('an app without a web interface, tables or packages, in a folder that is only read', async (t) => {
  const root = join(folder(t), 'odd name (1) ünï');
  write(root, {
    'mindstudio.json': JSON.stringify({
      name: 'x',
      methods: [{ id: 'hello', path: './hello.js', export: 'default' }],
    }),
    'hello.js': 'export default async () => "hello";',
  });
  const cacheDir = join(folder(t), 'cache');
  chmodSync(root, 0o555);
  const { dir } = await build(root, { outDir: join(dirname(cacheDir), 'out'), cacheDir }).finally(
    () => chmodSync(root, 0o755),
  );
  assert.equal(call(dir, 'hello', 'default'), 'hello');
  assert.deepEqual(below(root), ['hello.js', 'mindstudio.json']);
});
