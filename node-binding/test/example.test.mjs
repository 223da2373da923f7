// @ts-check
// The example app of tests/app, and what tests/app-changes makes of it when it is copied over: what they declare, and whole builds.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { build } from './steps/build.js';
import { effects, readApp } from './steps/read.js';
import { folder } from './builds.mjs';

/** @typedef {import('./steps/build.js').Built} Built */

const TESTS = fileURLToPath(new URL('../../tests', import.meta.url));
const METHODS = 'dist/methods';
const WEB = 'dist/interfaces/web';

/**
 * A copy of the app, and what changes it.
 * @param {import('node:test').TestContext} t
 */
function example(t) {
  const base = folder(t);
  const root = join(base, 'app');
  const put = (/** @type {string} */ name) => cpSync(join(TESTS, name), root, { recursive: true });
  put('app');
  return { base, root, change: () => put('app-changes') };
}

/**
 * What an app declares, by what a reader looks for; it has no fault, and nothing is odd.
 * @param {string} root
 */
function declared(root) {
  const { manifest, interfaces, warnings } = readApp(root);
  assert.deepEqual(warnings, []);
  // A file that nobody declares would be of no use.
  const files = (/** @type {string} */ at) =>
    readdirSync(join(root, at))
      .filter((name) => name.endsWith('.ts'))
      .map((name) => `${at}/${name}`)
      .sort();
  const paths = (/** @type {{ path: string }[]} */ entries) =>
    entries.map(({ path }) => path).sort();
  assert.deepEqual(paths(manifest.methods), files(`${METHODS}/src`));
  assert.deepEqual(paths(manifest.tables), files(`${METHODS}/src/tables`));
  assert.deepEqual(paths(manifest.scenarios), files(`${METHODS}/.scenarios`));
  const { roles, ...effect } = /** @type {any} */ (effects(manifest, interfaces));
  return {
    methods: manifest.methods.length,
    tables: manifest.tables.map(({ name }) => name),
    roles: roles.map((/** @type {any} */ { id }) => id),
    interfaces: interfaces.map(({ type }) => type),
    effects: Object.fromEntries(
      Object.entries(effect).map(([kind, entries]) => [kind, entries.length]),
    ),
  };
}

test('what the example declares, before and after the change', (t) => {
  const it = example(t);
  const before = {
    methods: 13,
    tables: ['users', 'vendors', 'purchaseOrders'],
    roles: ['requester', 'buyer'],
    interfaces: ['web', 'api', 'cron', 'webhook', 'email', 'discord', 'telegram', 'mcp', 'agent'],
    effects: { cron_jobs: 1, webhooks: 1, email_routes: 1, bot_commands: 5 },
  };
  assert.deepEqual(declared(it.root), before);
  it.change();
  assert.deepEqual(declared(it.root), {
    ...before,
    methods: 16,
    tables: [...before.tables, 'invoices'],
    roles: [...before.roles, 'accountant'],
    effects: { ...before.effects, bot_commands: 6 },
  });
});

test('the change has no file that changes nothing', () => {
  const [app, changes] = [join(TESTS, 'app'), join(TESTS, 'app-changes')];
  const files = readdirSync(changes, { recursive: true, encoding: 'utf8' }).filter((path) =>
    statSync(join(changes, path)).isFile(),
  );
  assert(files.length > 0);
  assert.deepEqual(
    files.filter(
      (path) =>
        existsSync(join(app, path)) &&
        readFileSync(join(app, path)).equals(readFileSync(join(changes, path))),
    ),
    [],
  );
});

test('lock files name no registry', () => {
  for (const at of [METHODS, WEB]) {
    const lock = readFileSync(join(TESTS, 'app', at, 'package-lock.json'), 'utf8');
    assert.doesNotMatch(lock, /"resolved"/);
  }
});

test(
  'the example is built whole, before and after the change (needs the registry)',
  { timeout: 300_000 },
  async (t) => {
    const it = example(t);
    const cacheDir = join(it.base, 'cache');
    let releases = 0;
    const release = async () => {
      const built = await build(it.root, {
        outDir: join(it.base, `release-${++releases}`),
        cacheDir,
      });
      assert.deepEqual(built.warnings, []);
      page(built.dir);
      return built;
    };

    const first = await release();
    assert.deepEqual([fresh(first).length, kept(first).length], [13, 0]);
    types(join(cacheDir, 'source'));
    it.change();
    const second = await release();
    // Those that import nothing of the table that changed.
    const untouched = [
      'approve-order',
      'cancel-order',
      'cancel-stale-orders',
      'list-orders',
      'record-delivery',
    ];
    assert.deepEqual([kept(second), fresh(second).length], [untouched, 16 - untouched.length]);
    types(join(cacheDir, 'source'));
    const third = await release();
    assert.deepEqual([fresh(third), kept(third).length], [[], 16]);
  },
);

/** @param {Built} built @param {string} word */
const methods = (built, word) =>
  built.lines
    .filter(
      ({ message, object }) =>
        message.startsWith(word) &&
        built.manifest.methods.some((/** @type {any} */ { id }) => id === object),
    )
    .map(({ object }) => object)
    .sort();
/** The methods that were compiled. @param {Built} built */
const fresh = (built) => methods(built, 'Compiled');
/** The methods whose earlier output was taken. @param {Built} built */
const kept = (built) => methods(built, 'Reused');

/**
 * A page whose scripts and styles are all there.
 * @param {string} dir
 */
function page(dir) {
  const at = join(dir, 'interfaces/web');
  const named = [
    ...readFileSync(join(at, 'index.html'), 'utf8').matchAll(/(?:src|href)="(\/[^"]+)"/g),
  ].map(([, path]) => path);
  assert.deepEqual(named.map((path) => path.replace(/.*\./, '')).sort(), ['css', 'js']);
  for (const path of named) assert(existsSync(join(at, path)), path);
}

/**
 * Builds do not check types. The staged copy has all that is imported, remy's own SDK among it.
 * @param {string} tree
 */
function types(tree) {
  for (const at of [METHODS, WEB]) {
    try {
      execFileSync(
        'npx',
        ['--yes', '--package', 'typescript@5.9.3', '--', 'tsc', '-p', join(tree, at)],
        { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] },
      );
    } catch (error) {
      assert.fail(/** @type {any} */ (error).stdout);
    }
  }
}
