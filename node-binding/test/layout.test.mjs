// The packages as they are published: remy-db, and the engine in the package of this platform.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { install } from './steps/dependencies.js';
import { app } from './builds.mjs';
import { program } from './support.mjs';

const here = fileURLToPath(new URL('..', import.meta.url));
const manifest = (/** @type {string} */ folder) =>
  JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));

test('what npm packs, installed without a checkout, has its engine', (t) => {
  const addon = process.env.REMY_ADDON;
  assert(addon, 'REMY_ADDON names the addon that was built');
  const root = mkdtempSync(join(tmpdir(), 'remy-layout-'));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  const platform = `linux-${process.arch}-gnu`;
  const engine = join(root, 'engine');
  cpSync(join(here, 'npm', platform), engine, { recursive: true });
  copyFileSync(addon, join(engine, manifest(engine).main));
  copyFileSync(program, join(engine, 'remy'));
  const modules = join(root, 'node_modules');
  mkdirSync(modules);
  for (const [name, folder] of [
    ['remy-db', here],
    [`remy-db-${platform}`, engine],
  ]) {
    const packed = JSON.parse(
      execFileSync('npm', ['pack', '--json', '--silent', '--pack-destination', root, folder], {
        encoding: 'utf8',
      }),
    );
    assert.equal(packed[0].name, name);
    mkdirSync(join(modules, name));
    execFileSync('tar', [
      '-xf',
      join(root, packed[0].filename),
      '--strip-components=1',
      '-C',
      join(modules, name),
    ]);
  }
  assert(
    !readdirSync(join(modules, 'remy-db')).includes('npm'),
    'the engine is no part of remy-db itself',
  );
  for (const name of Object.keys(manifest(here).dependencies))
    symlinkSync(join(here, 'node_modules', name), join(modules, name));
  const { REMY_ADDON: _, REMY_PROGRAM: __, ...env } = process.env;
  execFileSync('sqlite3', ['app.db', 'CREATE TABLE kept (a)'], { cwd: root });
  const remy = join(modules, 'remy-db/js/command.js');
  execFileSync('node', [remy, 'publish', 'CREATE TABLE kept (a, b);', '--db', 'app.db'], {
    cwd: root,
    env,
    stdio: 'pipe',
  });
  const columns = execFileSync(
    'sqlite3',
    ['app.db', "SELECT name FROM pragma_table_info('kept')"],
    { cwd: root, encoding: 'utf8' },
  );
  assert.equal(columns, 'a\nb\n');
});

test('the packages of the platforms are of one version with remy-db', () => {
  const platforms = readdirSync(join(here, 'npm'));
  assert.deepEqual(platforms.sort(), ['linux-arm64-gnu', 'linux-x64-gnu']);
  for (const platform of platforms) {
    const { name, version, main, files, cpu } = manifest(join(here, 'npm', platform));
    assert.deepEqual(
      { name, version, main, files },
      {
        name: `remy-db-${platform}`,
        version: manifest(here).version,
        main: `remy.${platform}.node`,
        files: [main, 'remy'],
      },
    );
    assert.deepEqual(cpu, [platform.split('-')[1]]);
  }
});

test('the SDK that is packed is the one that builds bring, under the same names', async (t) => {
  const sdk = new URL('../../core/app/js/', import.meta.url);
  const [packed] = JSON.parse(
    execFileSync('npm', ['pack', '--json', '--silent', '--dry-run', here], { encoding: 'utf8' }),
  );
  const files = packed.files.map((/** @type {{ path: string }} */ { path }) => path);
  assert.deepEqual(
    files.filter((/** @type {string} */ path) => path.startsWith('js/sdk/')),
    readdirSync(sdk).map((name) => `js/sdk/${name}`),
  );
  for (const name of readdirSync(sdk))
    assert.equal(
      readFileSync(join(here, 'js/sdk', name), 'utf8'),
      readFileSync(new URL(name, sdk), 'utf8'),
    );
  const it = app(t, { 'api/package.json': '{}' });
  const { files: staged } = await it.stage();
  await install('api', { root: it.root, tree: it.tree, cache: it.cache, files: staged });
  const put = manifest(join(it.tree, 'api/node_modules/remy-db'));
  const own = Object.entries(manifest(here).exports).filter(([, to]) =>
    to.types?.startsWith('./js/sdk/'),
  );
  assert.deepEqual([put.version, Object.entries(put.exports)], [manifest(here).version, own]);
});
