// publish --if-changed: no release where nothing is other than in the live one.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { openApp } from '../js/index.js';
import { git } from './builds.mjs';
import { workshop } from './support.mjs';

const SCHEMA = 'CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT);';

test('a schema that live has is not published again', async (t) => {
  const { remy, write } = workshop(t);
  const publish = (/** @type {string[]} */ ...more) =>
    remy(['publish', 'schema.sql', '--if-changed', ...more]);
  write('schema.sql', SCHEMA);
  const first = await publish();
  assert.match(first.stdout, /^Release 1 is live; writers waited .*\n$/);
  const same = await publish('-m', 'again');
  assert.deepEqual(same, {
    status: 0,
    signal: null,
    stdout: 'Nothing has changed: release 1 is live, and no release was made\n',
    stderr: '',
  });
  const { status, stdout } = await publish('--json');
  const { event, result } = JSON.parse(stdout);
  assert.deepEqual([status, event], [0, 'result']);
  assert.deepEqual([result.status, result.release, result.switch], ['unchanged', 1, null]);
  assert.equal(JSON.parse((await remy(['releases', '--json'])).stdout).length, 1);
  write('schema.sql', `${SCHEMA} CREATE TABLE more (x);`);
  assert.match((await publish()).stdout, /^Release 2 is live/);
  assert.match((await remy(['publish', 'schema.sql'])).stdout, /^Release 3 is live/);
});

test('an app is published again for its code, and not for its commit', async (t) => {
  const { remy, path } = workshop(t);
  assert.equal((await remy(['init', 'shop'])).status, 0);
  const shop = { cwd: path('shop') };
  const run = (/** @type {string[]} */ ...args) => git(path('shop'), ...args);
  run('init', '-q');
  run('add', '-A');
  run('commit', '-qm', 'first');
  const publish = () => remy(['publish', '--if-changed'], shop);
  assert.match((await publish()).stdout, /^Release 1 is live/);
  run('commit', '-q', '--allow-empty', '-m', 'nothing');
  const same = await publish();
  assert.equal(same.status, 0);
  assert.equal(same.stdout, 'Nothing has changed: release 1 is live, and no release was made\n');
  assert.match(same.stderr, /^✓ Staged .*\n(✓ .*\n)+$/);
  const app = await openApp(path('shop'));
  assert.equal((await app.publish({ if_changed: true })).status, 'unchanged');
  const method = path('shop/dist/methods/src/addNote.ts');
  writeFileSync(method, `${readFileSync(method, 'utf8')}\n// a word more\n`);
  assert.match((await publish()).stdout, /^Release 2 is live/);
  assert.equal((await app.publish({ if_changed: true })).status, 'unchanged');
});
