// @ts-check
// Packages are installed in the staged copy when what asks for them changed, and one that cannot be had is named.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';
import { install, packageFolder } from './steps/dependencies.js';
import { app, folder, tarball } from './builds.mjs';

const json = (/** @type {unknown} */ value) => `${JSON.stringify(value, null, 2)}\n`;

/**
 * @param {import('./builds.mjs').App} it
 * @param {string} [at]
 * @param {{ signal?: AbortSignal }} [options]
 */
async function installed(it, at = 'api', { signal } = {}) {
  const { files } = await it.stage();
  return install(at, { root: it.root, tree: it.tree, cache: it.cache, files, signal });
}

/** @typedef {(request: import('node:http').IncomingMessage & { url: string }, response: import('node:http').ServerResponse) => void} Answer */

/**
 * A registry on loopback.
 * @param {import('node:test').TestContext} t
 * @param {Answer} answer
 */
async function registry(t, answer) {
  /** @type {{ path: string, token?: string }[]} */
  const asked = [];
  const server = createServer((asking, response) => {
    const request = /** @type {Parameters<Answer>[0]} */ (asking);
    asked.push({ path: decodeURIComponent(request.url), token: request.headers.authorization });
    answer(request, response);
  });
  await new Promise((listening) => server.listen(0, '127.0.0.1', () => listening(null)));
  t.after(() => (server.closeAllConnections(), server.close()));
  return {
    address: `http://127.0.0.1:${/** @type {import('node:net').AddressInfo} */ (server.address()).port}/`,
    asked,
  };
}

/**
 * Everything below a folder and what it looks like, to see that nothing changed.
 * @param {string} root
 */
function snapshot(root) {
  const all = readdirSync(root, { recursive: true, withFileTypes: true });
  return all
    .map((entry) => {
      const at = join(entry.parentPath ?? entry.path, entry.name);
      const { mtimeNs, ino, size } = statSync(at, { bigint: true });
      return `${at} ${ino} ${mtimeNs} ${entry.isFile() ? size : ''}`;
    })
    .sort();
}

const left = (/** @type {import('./builds.mjs').App} */ it) =>
  readdirSync(it.tree, { recursive: true })
    .map(String)
    .filter((path) => !path.includes('node_modules/') && !path.startsWith('.git'))
    .sort();

test('the nearest package.json above a file', () => {
  /** @type {Map<string, import('./steps/source.js').Entry>} */
  const files = new Map(
    ['a/package.json', 'a/b/c.ts', 'd/e.ts'].map((path) => [
      path,
      { hash: '', mode: /** @type {const} */ ('file') },
    ]),
  );
  assert.equal(packageFolder(files, 'a/b/c.ts'), 'a');
  assert.equal(packageFolder(files, 'd/e.ts'), null);
  files.set('package.json', { hash: '', mode: 'file' });
  assert.equal(packageFolder(files, 'd/e.ts'), '');
  assert.equal(packageFolder(files, 'x.ts'), '');
});

test('without packages, or with the SDK and remy only, nothing is run, and the SDK is there', async (t) => {
  const it = app(t, {
    'api/package.json': json({
      dependencies: { '@mindstudio-ai/agent': '^0.1.1' },
      devDependencies: {
        '@mindstudio-ai/interface': '*',
        'remy-db': 'file:../../where/it/was/built',
      },
    }),
    'api/.npmrc': 'registry=http://127.0.0.1:9/',
  });
  const path = process.env.PATH;
  process.env.PATH = '';
  t.after(() => (process.env.PATH = path));
  const state = await installed(it);
  process.env.PATH = path;
  assert.deepEqual([state.packages, state.reused], [0, false]);
  for (const name of ['agent', 'interface', 'interface/voice']) {
    const code = `const m = await import('@mindstudio-ai/${name}'); console.log(Object.keys(m).length > 0)`;
    writeFileSync(join(it.tree, 'api/try.mjs'), code);
    assert.equal(
      execFileSync(process.execPath, ['try.mjs'], { cwd: join(it.tree, 'api'), encoding: 'utf8' }),
      'true\n',
    );
  }
});

test("an install is kept until what asks for it changes, and nothing of the user's folder does", async (t) => {
  const manifest = {
    name: 'x',
    dependencies: { a: 'file:../vendor/a.tgz', '@mindstudio-ai/agent': '^1.0.0' },
    optionalDependencies: {},
  };
  const it = app(t, {
    'mindstudio.json': '{}',
    'api/package.json': json(manifest),
    'api/x.ts': '',
  });
  tarball(it.root, 'vendor/a.tgz', {
    'package.json': json({ name: 'a', version: '1.0.0' }),
    'index.js': 'module.exports = 1',
  });
  const before = snapshot(it.root);
  const first = await installed(it);
  assert.deepEqual([first.packages, first.reused], [1, false]);
  assert.deepEqual(snapshot(it.root), before);
  assert.deepEqual(left(it), [
    'api',
    'api/node_modules',
    'api/package.json',
    'api/x.ts',
    'mindstudio.json',
    'vendor',
    'vendor/a.tgz',
  ]);
  assert.equal(readFileSync(join(it.tree, 'api/package.json'), 'utf8'), json(manifest));
  const again = await installed(it);
  assert.deepEqual([again.reused, again.id], [true, first.id]);

  /** @type {(files: import('./builds.mjs').Files, reused: boolean) => Promise<object>} */
  const step = async (files, reused) => {
    it.write(files);
    const now = await installed(it);
    assert.equal(now.reused, reused, JSON.stringify(files));
    return now;
  };
  await step({ 'api/x.ts': 'changed', 'mindstudio.json': '{ }' }, true);
  await step(
    {
      'api/package.json': json({
        ...manifest,
        dependencies: { ...manifest.dependencies, '@mindstudio-ai/agent': '^2.0.0' },
      }),
    },
    true,
  );
  tarball(it.root, 'vendor/a.tgz', {
    'package.json': json({ name: 'a', version: '1.0.0' }),
    'index.js': 'module.exports = 2',
  });
  await step({}, false);
  assert.match(readFileSync(join(it.tree, 'api/node_modules/a/index.js'), 'utf8'), /2/);
  await step({ 'api/.npmrc': 'audit=false' }, false);
  await step({ 'api/package.json': json({ dependencies: {} }) }, false);
  assert.equal(existsSync(join(it.tree, 'api/node_modules/a')), false);
});

test('npm ci by a lock that names the SDK, in the versions of the lock', async (t) => {
  const served = folder(t);
  for (const version of ['1.0.0', '1.1.0'])
    tarball(served, `a-${version}.tgz`, {
      'package.json': json({ name: 'a', version }),
      'index.js': '',
    });
  tarball(served, 'sub-1.0.0.tgz', {
    'package.json': json({ name: 'sub', version: '1.0.0' }),
    'index.js': '',
  });
  const { address, asked } = await registry(t, (request, response) => {
    const [, name, , file] = request.url.split('/');
    if (file) return response.end(readFileSync(join(served, file)));
    const versions = Object.fromEntries(
      ['1.0.0', '1.1.0'].map((version) => [
        version,
        { name, version, dist: { tarball: `${address}${name}/-/${name}-${version}.tgz` } },
      ]),
    );
    response.end(JSON.stringify({ name, versions, 'dist-tags': { latest: '1.1.0' } }));
  });
  const wanted = { a: '^1.0.0', '@mindstudio-ai/agent': '^0.1.0' };
  const it = app(t, {
    'api/package.json': json({ name: 'x', version: '1.0.0', dependencies: wanted }),
    '.gitignore': '.npmrc',
    'api/.npmrc': `registry=${address}\n//${new URL(address).host}/:_authToken=hidden-token\n`,
    'api/package-lock.json': json({
      name: 'x',
      version: '1.0.0',
      lockfileVersion: 3,
      requires: true,
      packages: {
        '': { name: 'x', version: '1.0.0', dependencies: wanted },
        'node_modules/a': { version: '1.0.0' },
        'node_modules/@mindstudio-ai/agent': {
          version: '0.1.4',
          resolved: 'https://registry.example/@mindstudio-ai/agent/-/agent-0.1.4.tgz',
          integrity: 'sha512-AAAA',
          dependencies: { sub: '1' },
        },
        'node_modules/@mindstudio-ai/agent/node_modules/deep': { version: '9.9.9' },
        'node_modules/sub': { version: '1.0.0' },
      },
    }),
  });
  const state = await installed(it);
  assert.deepEqual(state.packages, 1);
  assert.equal(
    JSON.parse(readFileSync(join(it.tree, 'api/node_modules/a/package.json'), 'utf8')).version,
    '1.0.0',
  );
  assert.equal(existsSync(join(it.tree, 'api/node_modules/sub')), false);
  assert(
    asked.length > 0 && asked.every(({ path }) => path.startsWith('/a')),
    JSON.stringify(asked),
  );
  assert(asked.every(({ token }) => token === 'Bearer hidden-token'));
  // A token that git ignores is used, and is nowhere afterwards.
  assert.deepEqual(
    left(it).filter((path) => path.includes('npmrc')),
    [],
  );
  assert.match(
    readFileSync(join(it.tree, 'api/package-lock.json'), 'utf8'),
    /@mindstudio-ai\/agent/,
  );
});

const missing =
  (/** @type {RegExp} */ pattern, /** @type {string} */ pointer) => (/** @type {any} */ error) => {
    assert.equal(error.code, 'build_failed');
    assert.deepEqual(
      error.faults.map((/** @type {any} */ { file, pointer }) => [file, pointer]),
      [['api/package.json', pointer]],
    );
    assert.match(error.message, pattern);
    return true;
  };

test('a dependency that is not there, or not in that version, is named', async (t) => {
  const { address } = await registry(t, (request, response) => {
    if (decodeURIComponent(request.url) === '/old')
      return response.end(
        JSON.stringify({
          name: 'old',
          versions: {
            '1.0.0': {
              name: 'old',
              version: '1.0.0',
              dist: { tarball: `${address}old/-/old-1.0.0.tgz` },
            },
          },
          'dist-tags': { latest: '1.0.0' },
        }),
      );
    response.statusCode = 404;
    response.end('{"error":"Not found"}');
  });
  const it = app(t, {
    'api/.npmrc': `registry=${address}`,
    'api/package.json': json({ dependencies: { '@no/such': '^1.0.0' } }),
  });
  await assert.rejects(
    installed(it),
    missing(
      /the dependency @no\/such \(asked for as "\^1\.0\.0"\) cannot be fetched: npm install ended with status 1\n[^]*E404/,
      '/dependencies/@no~1such',
    ),
  );
  assert.equal(existsSync(join(it.tree, 'api/node_modules')), false);
  it.write({ 'api/package.json': json({ devDependencies: { old: '^2.0.0' } }) });
  await assert.rejects(
    installed(it),
    missing(
      /the dependency old \(asked for as "\^2\.0\.0"\) cannot be fetched[^]*No matching version/,
      '/devDependencies/old',
    ),
  );
  it.write({ 'api/package.json': json({ dependencies: { old: '1.0.0' } }) });
  await assert.rejects(
    installed(it),
    missing(
      /the dependency old \(asked for as "1\.0\.0"\) cannot be fetched[^]*E404/,
      '/dependencies/old',
    ),
  );
  it.write({ 'api/package.json': '{ "dependencies": ' });
  await assert.rejects(installed(it), /api\/package\.json: is not JSON that npm reads/);
});

/** @type {Record<string, Answer | null>} */
const REGISTRIES = {
  'refuses connections': null,
  'never answers': () => {},
  'stops in the middle of an answer': (_, response) =>
    void response.writeHead(200, { 'content-length': 1000 }).write('{"name":'),
};
for (const [what, answer] of Object.entries(REGISTRIES)) {
  test(
    `a registry that ${what}: the dependency is named within a minute`,
    { timeout: 90_000 },
    async (t) => {
      const { address } = answer ? await registry(t, answer) : { address: 'http://127.0.0.1:9/' };
      const it = app(t, {
        'api/.npmrc': `registry=${address}`,
        'api/package.json': json({ dependencies: { 'far-away': '1' } }),
      });
      const began = performance.now();
      await assert.rejects(
        installed(it),
        missing(
          /the dependency far-away \(asked for as "1"\) cannot be fetched/,
          '/dependencies/far-away',
        ),
      );
      const took = performance.now() - began;
      t.diagnostic(`${Math.round(took)} ms`);
      assert(took < 60_000, `${took} ms`);
    },
  );
}

test('an install that is called off leaves no process and nothing installed', async (t) => {
  const { address } = await registry(t, () => {});
  const it = app(t, {
    'api/.npmrc': `registry=${address}`,
    'api/package.json': json({
      name: `called-off-${process.pid}`,
      dependencies: { 'far-away': '1' },
    }),
  });
  const controller = new AbortController();
  setTimeout(() => controller.abort(new Error('no more')), 1500);
  await assert.rejects(installed(it, 'api', { signal: controller.signal }), { message: 'no more' });
  assert.deepEqual(processesIn(it.tree), []);
  assert.equal(existsSync(join(it.tree, 'api/node_modules')), false);
  assert.match(readFileSync(join(it.tree, 'api/package.json'), 'utf8'), /called-off/);
});

/**
 * Processes whose folder is below one.
 * @param {string} root
 */
function processesIn(root) {
  return readdirSync('/proc').filter((pid) => {
    try {
      return (
        /^\d+$/.test(pid) &&
        Number(pid) !== process.pid &&
        execFileSync('readlink', [`/proc/${pid}/cwd`], { encoding: 'utf8' }).startsWith(root)
      );
    } catch {
      return false;
    }
  });
}

test("a lock of a tool that is not there is named; npm's own decides where there are two", async (t) => {
  const it = app(t, {
    'api/package.json': json({ dependencies: { a: '1' } }),
    'api/pnpm-lock.yaml': 'lockfileVersion: 9',
  });
  const path = process.env.PATH;
  process.env.PATH = folder(t);
  t.after(() => (process.env.PATH = path));
  // git is not there either: the files are found all the same.
  for (const [lock, tool] of [
    ['pnpm-lock.yaml', 'pnpm'],
    ['yarn.lock', 'yarn'],
    ['bun.lock', 'bun'],
    ['package-lock.json', 'npm'],
  ]) {
    it.write({ [`api/${lock}`]: '{}' });
    if (lock === 'yarn.lock') it.write({ 'api/pnpm-lock.yaml': null });
    if (lock === 'bun.lock') it.write({ 'api/yarn.lock': null });
    const instead = tool === 'npm' ? '' : ', or use npm and its package-lock.json instead';
    await assert.rejects(
      installed(it),
      (/** @type {any} */ error) =>
        error.code === 'build_failed' &&
        error.message.endsWith(
          `api/${lock}: needs ${tool}, which is not on this machine. Install it${instead}`,
        ),
    );
  }
});

test('what an install script does is done, and what it says is in the error', async (t) => {
  const it = app(t, {
    'api/package.json': json({
      scripts: { postinstall: 'node post.mjs' },
      dependencies: { a: 'file:../vendor/a.tgz' },
    }),
    'api/post.mjs':
      "import { writeFileSync } from 'node:fs'; writeFileSync('node_modules/made', process.env.CI + process.env.NODE_ENV + process.env.REMY_SECRET);",
  });
  tarball(it.root, 'vendor/a.tgz', { 'package.json': json({ name: 'a', version: '1.0.0' }) });
  Object.assign(process.env, { REMY_SECRET: 'secret', NODE_ENV: 'production' });
  t.after(() => ['REMY_SECRET', 'NODE_ENV'].forEach((name) => delete process.env[name]));
  await installed(it);
  assert.equal(
    readFileSync(join(it.tree, 'api/node_modules/made'), 'utf8'),
    'trueundefinedundefined',
  );
  it.write({
    'api/post.mjs': "console.error('the reason'); process.exit(3);",
    'api/package.json': json({
      scripts: { postinstall: 'node post.mjs' },
      dependencies: { a: 'file:../vendor/a.tgz' },
      x: 1,
    }),
  });
  await assert.rejects(
    installed(it),
    missing(/npm install ended with status 3\n[^]*the reason/, ''),
  );
  assert.equal(existsSync(join(it.tree, 'api/node_modules')), false);
});

test('a package that is a folder of the app is one; one that leaves the app is refused', async (t) => {
  const it = app(t, {
    'api/package.json': json({ dependencies: { common: 'file:../common' } }),
    'common/package.json': json({
      name: 'common',
      version: '1.0.0',
      type: 'module',
      exports: './i.ts',
    }),
    'common/i.ts': 'export const x: number = 1;',
    'api/a.ts': "import { x } from 'common'; export const run = async () => x;",
  });
  const first = await it.compile({ a: 'api/a.ts#run' });
  it.write({ 'common/i.ts': 'export const x: number = 2;' });
  const second = await it.compile({ a: 'api/a.ts#run' });
  assert.deepEqual(
    [first.by.a.reused, second.by.a.reused, second.installs.get('api').reused],
    [false, false, true],
  );
  assert.match(readFileSync(join(second.out, 'methods/a.mjs'), 'utf8'), /x = 2/);
  it.write({ 'api/package.json': json({ dependencies: { common: 'file:../../common' } }) });
  await assert.rejects(
    installed(it),
    /api\/package\.json#\/dependencies\/common: is file:\.\.\/\.\.\/common, outside of the app/,
  );
});

test(
  'packages from the registry, a native one among them (needs the registry)',
  { timeout: 120_000 },
  async (t) => {
    const it = app(t, {
      'api/package.json': json({
        dependencies: { 'is-number': '7.0.0', nanoid: '^5.0.0', bufferutil: '4.0.9' },
      }),
      'api/a.ts':
        "import isNumber from 'is-number'; import { nanoid } from 'nanoid';\nexport const run = async () => [isNumber(5), nanoid().length];",
      'api/b.ts':
        "import b from 'bufferutil';\nexport const run = async () => { const x = Buffer.from([1, 2]); b.mask(x, Buffer.from([1, 1, 1, 1]), x, 0, 2); return [...x]; };",
    });
    const { call } = await import('./builds.mjs');
    const { out, installs } = await it.compile({ a: 'api/a.ts#run', b: 'api/b.ts#run' });
    assert.deepEqual(
      installs.get('api').beside.filter((/** @type {string} */ name) => name !== 'nanoid'),
      ['bufferutil'],
    );
    assert.deepEqual(call(out, 'a', 'run'), [true, 21]);
    assert.deepEqual(call(out, 'b', 'run'), [0, 3]);
  },
);
