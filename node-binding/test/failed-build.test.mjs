// A build that fails: what is said of it at once, and what its release's log keeps.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { git, tarball } from './builds.mjs';
import { workshop } from './support.mjs';

const json = (value) => JSON.stringify(value, null, 2);

/** An app whose package.json asks for what its lock has not. */
async function unlocked(t) {
  const shop = workshop(t);
  const at = shop.path('shop');
  assert.equal((await shop.remy(['init', 'shop'])).status, 0);
  tarball(at, 'vendor/a.tgz', { 'package.json': json({ name: 'a', version: '1.0.0' }) });
  tarball(at, 'vendor/b.tgz', { 'package.json': json({ name: 'b', version: '2.0.0' }) });
  shop.write(
    'shop/dist/methods/package.json',
    json({
      name: 'x',
      version: '1.0.0',
      dependencies: { a: 'file:../../vendor/a.tgz', b: 'file:../../vendor/b.tgz' },
    }),
  );
  shop.write(
    'shop/dist/methods/package-lock.json',
    json({
      name: 'x',
      version: '1.0.0',
      lockfileVersion: 3,
      requires: true,
      packages: { '': { name: 'x', version: '1.0.0' } },
    }),
  );
  return { ...shop, at, remy: (args) => shop.remy(args, { cwd: at }) };
}

test("a lock that does not match: npm's cause at once, all that it said in the log", async (t) => {
  const { remy, at } = await unlocked(t);
  const { status, stdout, stderr } = await remy(['publish']);
  assert.deepEqual([status, stdout], [1, '']);
  assert.match(
    stderr,
    /^✓ Release 1 created\nerror: build_failed: the app does not build: 1 fault in 1 file\. The database is as it was/m,
  );
  assert.match(
    stderr,
    /^ {2}dist\/methods\/package\.json: npm ci ended with status 1\n {2}code EUSAGE\n {2}`npm ci` can only install packages when .* are in sync\./m,
  );
  assert.match(
    stderr,
    /^ {2}Missing: a@.* from lock file\n {2}Missing: b@.* from lock file\nhint: /m,
  );
  assert.doesNotMatch(stderr, /npm error|complete log|Usage|Clean install|--ignore-scripts/);
  const log = await remy(['log']);
  assert.match(
    log.stdout,
    /✗ +build .*dist\/methods\/package\.json: npm ci ended with status 1\. All that it said:\n {4}npm error code EUSAGE\n/,
  );
  assert.match(log.stdout, /^ {4}npm error Usage:$/m);
  assert.match(
    log.stdout,
    /✗ +build .*build_failed: the app does not build: 1 fault in 1 file\..*\n {6}dist\/methods\/package\.json: npm ci/,
  );
  const [release] = JSON.parse((await remy(['releases', '--json'])).stdout);
  assert.deepEqual([release.release, release.status], [1, 'failed']);
  // Each line of the table stands for itself, and what belongs to it is indented.
  assert(
    log.stdout
      .trimEnd()
      .split('\n')
      .slice(1)
      .every((line) => /^ {4}|^ +1 {2}/.test(line) || line === ''),
    log.stdout,
  );
  assert.deepEqual(readdirSync(`${at}/.remy`).sort(), [
    '.gitignore',
    'cache',
    'live.db',
    'live.db-remy',
  ]);
});

test('a build that fails has the commit that it was of, as one that does not', async (t) => {
  const shop = workshop(t);
  const at = shop.path('shop');
  const remy = (args) => shop.remy(args, { cwd: at });
  await shop.remy(['init', 'shop']);
  shop.write('shop/dist/methods/src/addNote.ts', 'wrong(');
  git(at, 'init', '-q');
  git(at, 'add', '-A');
  git(at, 'commit', '-qm', 'a');
  const head = git(at, 'rev-parse', 'HEAD');
  await remy(['publish', '--commit', 'main']);
  shop.write('shop/more', '');
  await remy(['publish']);
  const releases = JSON.parse((await remy(['releases', '--json'])).stdout);
  assert.deepEqual(
    releases.map(({ status, commit }) => [status, commit]),
    [
      ['failed', `${head}-dirty`],
      ['failed', head],
    ],
  );
});

test('a control character in the output of a build is shown as what it is', async (t) => {
  const shop = workshop(t);
  const remy = (args) => shop.remy(args, { cwd: shop.path('shop') });
  await shop.remy(['init', 'shop']);
  shop.write(
    'shop/dist/methods/src/addNote.ts',
    "import x from './\u0007bell';\n\texport const addNote = x;",
  );
  const { stderr } = await remy(['publish']);
  assert.match(stderr, /\\u0007bell/);
  const { stdout } = await remy(['log']);
  // eslint-disable-next-line no-control-regex
  assert.doesNotMatch(stdout + stderr, /[\x00-\x08\x0b-\x1f]/);
  assert.match(
    stdout,
    /\n {6}dist\/methods\/src\/addNote\.ts:1:15: .*\n {8}import x from '\.\/\\u0007bell';\n/,
  );
});

test('a first publish that is refused for its manifest, its schema or its commit leaves nothing behind', async (t) => {
  const shop = workshop(t);
  const at = shop.path('shop');
  const remy = (args, cwd = at) => shop.remy(args, { cwd });
  await shop.remy(['init', 'shop']);
  const manifest = readFileSync(`${at}/mindstudio.json`, 'utf8');
  shop.write('shop/mindstudio.json', manifest.replace('"methods"', '"method"'));
  const wrong = await remy(['publish']);
  assert.equal(wrong.status, 3, wrong.stderr);
  const left = () =>
    (existsSync(`${at}/.remy`) ? readdirSync(`${at}/.remy`) : []).filter((name) =>
      name.startsWith('live.db'),
    );
  assert.deepEqual(left(), []);
  shop.write('shop/mindstudio.json', manifest);
  git(at, 'init', '-q');
  git(at, 'add', '-A');
  git(at, 'commit', '-qm', 'a');
  assert.notEqual((await remy(['publish', '--commit', 'typo'])).status, 0);
  assert.deepEqual(left(), []);
  shop.write('bad.sql', 'CREATE TABLE t (a); nonsense;');
  assert.equal(
    (await remy(['publish', 'bad.sql', '--db', 'new.db', '--create'], shop.path('.'))).status,
    3,
  );
  assert(!existsSync(shop.path('new.db')) && !existsSync(shop.path('new.db-remy')));

  // What comes then is release 1, and a slip after it burns no number either.
  assert.equal((await remy(['publish'])).status, 0);
  assert.notEqual((await remy(['publish', '--commit', 'typo'])).status, 0);
  const releases = JSON.parse((await remy(['releases', '--json'])).stdout);
  assert.deepEqual(
    releases.map(({ release, status }) => [release, status]),
    [[1, 'live']],
  );
});
