// Output that cannot be written: what was begun ends, and the status says that somebody has not got its output.
import assert from 'node:assert/strict';
import { readdirSync, statSync } from 'node:fs';
import { test } from 'node:test';
import { workshop } from './support.mjs';

const SCHEMA = 'CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT);';
const FULL =
  /error: io: the output could not be written \(ENOSPC.*\)\. (.*)\. Give the output another place, or free some space there\n$/;

test('a full disk below stdout: the verb ends, status 1 and one line that says what was done', async (t) => {
  const { shell, write, sql } = workshop(t);
  write('a.sql', SCHEMA);
  write('b.sql', `${SCHEMA} CREATE TABLE more (x);`);
  const cases = [
    [
      'remy publish a.sql --db app.db --create --json >/dev/full',
      1,
      /^Release 1 is live; writers waited/,
    ],
    ['remy publish b.sql --db app.db >/dev/full', 1, /^Release 2 is live; writers waited/],
    ['remy log --db app.db >/dev/full', 1, /^remy log itself is done$/],
    ['remy --version >/dev/full', 1, /^Nothing was done$/],
    ['remy publish none.sql --db app.db --json >/dev/full', 1, /^What was done is said above$/],
    ['remy publish --json --max-pause-ms soon >/dev/full', 2, /^What was done is said above$/],
  ];
  for (const [command, status, done] of cases) {
    const ended = await shell(command);
    assert.deepEqual([command, ended.status], [command, status]);
    assert.match(ended.stderr.match(FULL)?.[1] ?? ended.stderr, done);
    assert.doesNotMatch(ended.stderr, /\n {4}at /);
  }
  assert.equal(await sql('SELECT release FROM _remy_release'), '2');
});

test('an app is built to its end and nothing of the build is left; stderr that cannot be written is no failure', async (t) => {
  const { shell, remy, path } = workshop(t);
  assert.equal((await remy(['init', 'shop'])).status, 0);
  assert.equal((await shell('cd shop && remy publish --json >/dev/full')).status, 1);
  const quiet = await shell('cd shop && remy publish 2>/dev/full');
  assert.equal(quiet.status, 0);
  assert.match(quiet.stdout, /^Release 2 is live/m);
  assert.equal((await shell('cd shop && remy publish nope.tar 2>/dev/full')).status, 1);
  assert.deepEqual(readdirSync(path('shop/.remy')).sort(), [
    '.gitignore',
    'cache',
    'live.db',
    'live.db-remy',
  ]);
});

test('a file that takes only a part of the output is no success', async (t) => {
  const { shell, path } = workshop(t);
  const { status, stderr } = await shell("trap '' XFSZ; ulimit -f 1; remy publish --help >out");
  assert.equal(statSync(path('out')).size, 1024);
  assert.equal(status, 1);
  assert.match(stderr, /^error: io: the output could not be written \(EFBIG/);
});
