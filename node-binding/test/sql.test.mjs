// remy sql: statements on live, on what releases were, on previews, and on dev sessions' databases.
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { test } from 'node:test';
import { workshop } from './support.mjs';

const SCHEMA = 'CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT);';

/** An app with a release 2, whose live has two users, and a release 1 with one. */
async function app(t) {
  const shop = workshop(t);
  await shop.sql(`PRAGMA journal_mode = wal; ${SCHEMA} INSERT INTO users VALUES (1, 'Ann')`);
  shop.write('schema.sql', `${SCHEMA} CREATE TABLE more (x);`);
  shop.write('remy.json', '{"db": "app.db", "schema": "schema.sql"}');
  assert.equal((await shop.remy(['publish'])).status, 0);
  await shop.sql("INSERT INTO users VALUES (2, 'Bob')");
  return shop;
}

test('rows of live, and of what a release was, for people and as JSON', async (t) => {
  const { remy, shell } = await app(t);
  const people = await remy(['sql', 'SELECT * FROM users']);
  assert.deepEqual(people, {
    status: 0,
    signal: null,
    stdout: 'id  name\n 1  Ann\n 2  Bob\n',
    stderr: '',
  });
  const two = await remy(['sql', "SELECT 1 AS a; SELECT 'x' AS b, NULL AS c, x'00' AS d"]);
  assert.equal(two.stdout, "a\n1\n\nb  c     d\nx  NULL  x'00'\n");
  const then = await remy(['sql', '--release', '1', '--json', 'SELECT * FROM users']);
  assert.deepEqual([then.status, then.stdout], [0, '[{"id":1,"name":"Ann"}]\n']);
  const now = await remy(['sql', '--release', '2', '--json', 'SELECT count(*) AS n FROM users']);
  assert.equal(now.stdout, '[{"n":2}]\n');
  assert.equal(
    (await remy(['sql', '--json', "SELECT 1 AS a, 2 AS a, 9e999, x'ff'"])).stdout,
    `[{"a":1,"a:1":2,"9e999":"inf","x'ff'":{"base64":"/w=="}}]\n`,
  );
  const none = await remy(['sql', '--json', 'SELECT * FROM more']);
  assert.equal(none.stdout, '[]\n');
  assert.equal((await remy(['sql', 'SELECT * FROM more'])).stdout, 'x\n');
  const piped = await shell("printf 'SELECT name FROM users;\\n-- no more\\n' | remy sql");
  assert.deepEqual([piped.status, piped.stdout], [0, 'name\nAnn\nBob\n']);
});

test('what is not a dev session is only read, and nothing reaches beyond it', async (t) => {
  const { remy, sql, path, write } = await app(t);
  write('next.sql', `${SCHEMA} CREATE TABLE more (x, y);`);
  assert.equal((await remy(['stage', 'next.sql', '--preview', 'next'])).status, 0);
  const dump = () => sql('.dump');
  const before = await dump();
  const places = [[], ['--release', '1'], ['--release', '2'], ['--preview', 'next']];
  const writes = [
    "INSERT INTO users VALUES (3, 'Cid')",
    'DELETE FROM users RETURNING id',
    'DROP TABLE users',
    'CREATE TEMP TABLE t (x)',
    'PRAGMA user_version = 7',
    'PRAGMA query_only = 0; DELETE FROM users',
    'PRAGMA journal_mode = delete',
    'PRAGMA wal_checkpoint(TRUNCATE)',
    'ANALYZE',
    'VACUUM',
    "VACUUM INTO 'copy.db'",
    "ATTACH 'copy.db' AS copy",
    'COMMIT; DELETE FROM users',
    'BEGIN IMMEDIATE',
    'SAVEPOINT a',
    "SELECT load_extension('x')",
    "SELECT fts3_tokenizer('simple', x'0000000000000000')",
  ];
  for (const place of places)
    for (const statement of writes) {
      const { status, stdout, stderr } = await remy(['sql', ...place, statement]);
      assert.deepEqual([status, stdout], [2, ''], `${statement}: ${stderr}`);
      assert.match(stderr, /^error: invalid_argument: .*Nothing was changed\n/, statement);
    }
  assert.equal(await dump(), before);
  assert(!existsSync(path('copy.db')));
  const { stderr } = await remy(['sql', 'DELETE FROM users']);
  assert.match(
    stderr,
    /^error: invalid_argument: a statement that writes is refused: .*app\.db is only read here\. Nothing was changed\nhint: remy dev start takes a copy that may be written to\n$/,
  );
  const columns = await remy(['sql', '--preview', 'next', 'PRAGMA table_info(more)', '--json']);
  assert.deepEqual(
    JSON.parse(columns.stdout).map(({ name }) => name),
    ['x', 'y'],
  );
  // A release that is a preview has its database.
  assert.equal((await remy(['sql', '--release', '3', 'SELECT y FROM more'])).status, 0);
  assert.deepEqual(readdirSync(path('app.db-remy/work')), []);
});

test('the database of a dev session is its own', async (t) => {
  const { remy, sql } = await app(t);
  assert.equal((await remy(['dev', 'start', 'alice'])).status, 0);
  const dev = (statement, ...more) => remy(['sql', '--dev', 'alice', statement, ...more]);
  const done = await dev(
    "BEGIN; INSERT INTO users VALUES (3, 'Cid'); COMMIT; CREATE TABLE own (x); SELECT count(*) AS n FROM users",
  );
  assert.deepEqual([done.status, done.stdout], [0, 'n\n3\n']);
  const open = await dev('BEGIN; DELETE FROM users');
  assert.equal(open.status, 2);
  assert.match(open.stderr, /a transaction was begun, and not ended\. It was rolled back/);
  const attached = await dev("ATTACH 'app.db' AS live; DELETE FROM live.users");
  assert.equal(attached.status, 2);
  const half = await dev(
    "INSERT INTO users VALUES (4, 'Dee'); INSERT INTO users VALUES (4, 'Eve')",
  );
  assert.match(
    half.stderr,
    /UNIQUE constraint failed: users\.id\. The statements before it were run/,
  );
  assert.equal((await dev('SELECT count(*) AS n FROM users', '--json')).stdout, '[{"n":4}]\n');
  assert.equal(await sql('SELECT count(*) FROM users'), '2');
});

test('what is not there is said as other commands say it', async (t) => {
  const { remy } = await app(t);
  const code = async (...args) => {
    const { status, stdout } = await remy(['sql', '--json', 'SELECT 1', ...args]);
    return [status, JSON.parse(stdout).error?.code];
  };
  assert.deepEqual(await code('--release', '9'), [1, 'not_found']);
  assert.deepEqual(await code('--dev', 'bob'), [1, 'not_found']);
  assert.deepEqual(await code('--dev', '../x'), [2, 'invalid_argument']);
  assert.deepEqual(await code('--preview', 'next'), [1, 'not_found']);
  assert.deepEqual(await code('--release', '1', '--dev', 'bob'), [2, 'invalid_argument']);
  const both = await remy(['sql', 'SELECT 1', '--dev', 'bob', '--preview', 'x']);
  assert.equal(both.stderr, 'error: invalid_argument: --dev and --preview do not go together\n');
  const wrong = await remy(['sql', 'SELEC 1']);
  assert.deepEqual([wrong.status, wrong.stdout], [2, '']);
  assert.match(wrong.stderr, /^error: invalid_argument: near "SELEC": syntax error/);
  assert.equal((await remy(['publish'])).status, 0);
  await remy(['prune', '--older-than', '0']);
  assert.deepEqual(await code('--release', '1'), [3, 'pruned']);
});

test('Ctrl-C ends a statement, and what waits for one', async (t) => {
  const { remy, run } = await app(t);
  const endless =
    'WITH RECURSIVE n (x) AS (VALUES (1) UNION ALL SELECT x + 1 FROM n) SELECT max(x) FROM n';
  for (const done of [remy(['sql', endless]), run('remy', ['sql'], { open: true })]) {
    await new Promise((resume) => setTimeout(resume, 700));
    done.child.kill('SIGINT');
    const { status, stdout, stderr } = await done;
    assert.deepEqual([status, stdout], [130, '']);
    assert.match(stderr, /called off by SIGINT\. Live is unchanged\n$/);
  }
});

test('a table fits the terminal', async (t) => {
  const { run } = await app(t);
  const statement = `SELECT 1 AS n, '${'word '.repeat(20).trim()}' AS first, '${'other '.repeat(12).trim()}' AS second`;
  const { status, stdout } = await run(
    'script',
    ['-qec', `stty cols 60; remy sql "${statement}"`, '/dev/null'],
    { env: { TERM: 'xterm-256color' } },
  );
  assert.equal(status, 0);
  const lines = stdout.trimEnd().split('\r\n');
  assert(lines.length > 3, stdout);
  for (const line of lines) assert(line.length <= 60, line);
  assert.equal(stdout.match(/word/g)?.length, 20);
  assert.equal(stdout.match(/other/g)?.length, 12);
});
