// @ts-check
// Packages of workspaces, of other tools than npm, and without a lock: they are installed, or refused in words that help. Which folders are
// one workspace is tested where that is told (core/app).
import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { test } from 'node:test';
import { app, call, folder, tarball, write } from './builds.mjs';

const json = (/** @type {unknown} */ value) => `${JSON.stringify(value, null, 2)}\n`;

/** @param {string} root */
const looks = (root) =>
  readdirSync(root, { recursive: true })
    .map(String)
    .sort()
    .map((path) => `${path} ${statSync(join(root, path), { bigint: true }).mtimeNs}`);

test('methods of an npm workspace have its packages, in the versions of its lock, and a sibling of the app', async (t) => {
  const it = app(t, {
    'mindstudio.json': '{}',
    'package.json': json({ name: 'root', private: true, workspaces: ['dist/methods', 'shared'] }),
    // The SDK's packages are in no registry, whoever asks for them.
    'dist/methods/package.json': json({
      name: 'methods',
      version: '1.0.0',
      dependencies: {
        outer: 'file:../../vendor/outer.tgz',
        shared: '1.0.0',
        '@mindstudio-ai/agent': '^0.1.0',
      },
    }),
    'shared/package.json': json({
      name: 'shared',
      version: '1.0.0',
      type: 'module',
      main: 'i.ts',
      dependencies: { '@mindstudio-ai/agent': '^0.1.0' },
    }),
    'shared/i.ts': 'export const shared: string = "shared";',
    'dist/methods/src/a.ts':
      "import { outer } from 'outer';\nimport { shared } from 'shared';\nexport const run = async () => [outer, shared];",
  });
  tarball(it.root, 'vendor/outer.tgz', {
    'package.json': json({
      name: 'outer',
      version: '1.0.0',
      main: 'i.js',
      dependencies: { inner: '1.0.0' },
      bundleDependencies: ['inner'],
    }),
    'i.js': "exports.outer = require('inner');",
    'node_modules/inner/package.json': json({ name: 'inner', version: '1.0.0', main: 'i.js' }),
    'node_modules/inner/i.js': "module.exports = 'inner';",
  });
  const before = looks(it.root);
  const methods = { a: 'dist/methods/src/a.ts#run' };
  const { out, by, installs } = await it.compile(methods);
  assert.deepEqual(call(out, 'a', 'run'), ['inner', 'shared']);
  const installed = installs.get('dist/methods');
  assert.deepEqual(
    [installed.folder, installed.folders, installed.packages, by.a.reused],
    ['', ['', 'dist/methods', 'shared'], 2, false],
  );
  assert.equal(
    readFileSync(join(it.tree, 'shared/package.json'), 'utf8'),
    readFileSync(join(it.root, 'shared/package.json'), 'utf8'),
  );
  const again = await it.compile(methods);
  assert.deepEqual([again.installs.get('').reused, again.by.a.reused], [true, true]);
  // What any of them asks for counts.
  it.write({
    'shared/package.json': json({
      name: 'shared',
      version: '1.0.0',
      type: 'module',
      main: 'i.ts',
      dependencies: { outer: 'file:../vendor/outer.tgz' },
    }),
  });
  assert.equal((await it.compile(methods)).installs.get('').reused, false);
  it.write({
    'shared/package.json': json({
      name: 'shared',
      version: '1.0.0',
      dependencies: { gone: 'file:../vendor/gone.tgz' },
    }),
  });
  await assert.rejects(it.compile(methods), { code: 'build_failed' });
  for (const at of ['node_modules', 'dist/methods/node_modules', 'package-lock.json'])
    assert.equal(existsSync(join(it.tree, at)), false, at);
  it.write({
    'shared/package.json': json({
      name: 'shared',
      version: '1.0.0',
      type: 'module',
      main: 'i.ts',
      dependencies: { '@mindstudio-ai/agent': '^0.1.0' },
    }),
  });
  assert.deepEqual(
    looks(it.root).map((line) => line.split(' ')[0]),
    before.map((line) => line.split(' ')[0]),
  );
});

test("a member's own version of a package that cannot be bundled is the one that is kept, and that there is none is said", async (t) => {
  const native = (/** @type {string} */ version) => ({
    'package.json': json({ name: 'native', version, main: 'i.js' }),
    'i.js': `exports.found = [${JSON.stringify(version)}, require('path').basename(__filename)];`,
  });
  const it = app(t, {
    'package.json': json({
      name: 'root',
      private: true,
      workspaces: ['a', 'b'],
      dependencies: { native: 'file:vendor/native-1.tgz' },
    }),
    'a/package.json': json({
      name: 'a',
      version: '1.0.0',
      dependencies: { native: 'file:../vendor/native-2.tgz' },
    }),
    'b/package.json': json({ name: 'b', version: '1.0.0' }),
    'a/run.ts': "import { found } from 'native';\nexport const run = async () => found;",
    'b/run.ts': "import { found } from 'native';\nexport const run = async () => found;",
  });
  tarball(it.root, 'vendor/native-1.tgz', native('1.0.0'));
  tarball(it.root, 'vendor/native-2.tgz', native('2.0.0'));
  for (const how of ['compiled', 'reused'])
    assert.deepEqual(
      call((await it.compile({ a: 'a/run.ts#run' })).out, 'a', 'run'),
      ['2.0.0', 'i.js'],
      how,
    );
  await assert.rejects(
    it.compile({ a: 'a/run.ts#run', b: 'b/run.ts#run' }),
    /(a\/)?package\.json: two packages that cannot be bundled want the same place: native@\d\.0\.0 and native@\d\.0\.0\. Ask for one version/,
  );
  // Found beside the one file, and not beside the other.
  it.write({ 'package.json': null });
  await it.compile({ a: 'a/run.ts#run' });
  it.write({
    'c/run.ts': "import { found } from 'native';\nexport const run = async () => found;",
    'a/run.ts':
      "import { run as c } from '../c/run';\nimport { found } from 'native';\nexport const run = async () => [found, await c()];",
  });
  await assert.rejects(
    it.compile({ a: 'a/run.ts#run' }),
    /c\/run\.ts: imports "native", which cannot be bundled and is not installed for it: the release would lack it\. Name it in package\.json/,
  );
});

test('packages without a lock are warned of, whether they are installed or reused; none at all are not', async (t) => {
  const it = app(t, {
    'api/package.json': json({ dependencies: { a: 'file:../vendor/a.tgz' } }),
    'bare/package.json': '{}',
    'api/a.ts': 'export const run = async () => 1;',
    'bare/b.ts': 'export const run = async () => 1;',
  });
  tarball(it.root, 'vendor/a.tgz', { 'package.json': json({ name: 'a', version: '1.0.0' }) });
  for (const reused of [false, true]) {
    const { installs } = await it.compile({ a: 'api/a.ts#run', b: 'bare/b.ts#run' });
    assert.equal(installs.get('api').reused, reused);
    assert.deepEqual(installs.get('api').warnings, [
      "api/package.json has no lock beside it: its packages are the newest that it takes, and may be others next time. Keep one, such as npm's package-lock.json",
    ]);
    assert.deepEqual(installs.get('bare').warnings, []);
  }
});

/** A yarn that says how it was called. @param {string} version */
const yarn = (version) => ({
  yarn: {
    run: `#!/bin/sh
if [ "$1" = --version ]; then echo ${version}; exit; fi
[ -z "$YARN_NETWORK_TIMEOUT" ] || { echo "Usage Error: Unrecognized or legacy configuration settings found: networkTimeout"; exit 1; }
mkdir -p node_modules/a && echo '{"name":"a","version":"1.0.0"}' > node_modules/a/package.json && echo 'export const a = 5;' > node_modules/a/index.js && echo changed >> yarn.lock
`,
  },
});

test('yarn: a lock of a newer one is not left to yarn 1, and nothing of yarn 1 disturbs a newer one', async (t) => {
  const lock = '__metadata:\n  version: 8\n';
  const it = app(t, {
    'api/package.json': json({ dependencies: { a: '1' } }),
    'api/yarn.lock': lock,
    'api/a.ts': "import { a } from 'a';\nexport const run = async () => a;",
  });
  const path = process.env.PATH;
  t.after(() => (process.env.PATH = path));
  const use = (/** @type {string} */ version) => {
    const bin = folder(t);
    write(bin, yarn(version));
    process.env.PATH = `${bin}${delimiter}${path}`;
  };
  use('1.22.22');
  await assert.rejects(it.compile({ a: 'api/a.ts#run' }), {
    code: 'build_failed',
    message:
      /api\/yarn\.lock: is of yarn 2 or newer, and yarn on this machine is 1\.22\.22\. Run "corepack enable", or use npm and its package-lock\.json instead/,
  });
  use('4.9.2');
  assert.equal(call((await it.compile({ a: 'api/a.ts#run' })).out, 'a', 'run'), 5);
  assert.deepEqual(
    [
      readFileSync(join(it.tree, 'api/yarn.lock'), 'utf8'),
      readFileSync(join(it.root, 'api/yarn.lock'), 'utf8'),
    ],
    [lock, lock],
  );
  use('1.22.22');
  it.write({ 'api/yarn.lock': '# yarn lockfile v1\n' });
  assert.equal(call((await it.compile({ a: 'api/a.ts#run' })).out, 'a', 'run'), 5);
});
