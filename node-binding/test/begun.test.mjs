// init --from: what is begun on a database that is there.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { workshop } from './support.mjs';

test('a database is live from then on, and a publish changes nothing of it', async (t) => {
  const { remy, sql, path } = workshop(t);
  const schema = `CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT COLLATE NOCASE); -- people
CREATE INDEX by_name ON users (name);
CREATE VIRTUAL TABLE notes USING fts5(text);
CREATE VIEW named AS SELECT name FROM users;
CREATE TRIGGER gone AFTER DELETE ON users BEGIN SELECT 1; END;`;
  await sql(
    `${schema} CREATE TABLE schema_migrations (version TEXT); INSERT INTO users VALUES (1, 'Ann')`,
  );
  const before = await sql('.dump');
  const begun = await remy(['init', 'shop', '--from', 'app.db']);
  assert.deepEqual(begun, {
    status: 0,
    signal: null,
    stdout: `wrote schema.sql\nwrote remy.json\nNext: cd "${path('shop')}" && remy publish\n`,
    stderr: '',
  });
  assert.equal(await sql('.dump'), before);
  const written = readFileSync(path('shop/schema.sql'), 'utf8');
  assert.equal(written.match(/^CREATE /gm)?.length, 5, written);
  assert.doesNotMatch(written, /schema_migrations|notes_content/);
  assert.deepEqual(JSON.parse(readFileSync(path('shop/remy.json'), 'utf8')), {
    db: path('app.db'),
    schema: 'schema.sql',
  });
  const shop = { cwd: path('shop') };
  const diff = await remy(['diff', '--exit-code'], shop);
  assert.deepEqual([diff.status, diff.stdout], [0, 'Nothing to change: live is as declared\n']);
  const published = await remy(['publish', '--json'], shop);
  const { result } = JSON.parse(published.stdout.trim().split('\n').at(-1));
  assert.deepEqual([result.status, result.statements], ['live', []]);
  assert.equal(await sql('SELECT name FROM users'), 'Ann');
  assert.equal(await sql('SELECT count(*) FROM schema_migrations'), '0');
});

test('one in the folder itself is named from there, and nothing is overwritten', async (t) => {
  const { remy, sql, path, write } = workshop(t);
  mkdirSync(path('shop/data'), { recursive: true });
  await sql('CREATE TABLE t (x)', 'shop/data/app.db');
  const shop = { cwd: path('shop') };
  const begun = await remy(['init', '--from', 'data/app.db', '--json'], shop);
  assert.deepEqual(JSON.parse(begun.stdout), {
    root: path('shop'),
    files: ['schema.sql', 'remy.json'],
  });
  assert.equal(JSON.parse(readFileSync(path('shop/remy.json'), 'utf8')).db, 'data/app.db');
  assert.equal(JSON.parse((await remy(['status', '--json'], shop)).stdout).live.exists, true);
  const again = await remy(['init', '--from', 'data/app.db'], shop);
  assert.equal(again.status, 2);
  assert.match(again.stderr, /schema\.sql, remy\.json are in .* already\. Nothing was done/);
  const none = await remy(['init', 'new', '--from', 'none.db']);
  assert.equal(none.status, 1);
  assert.match(none.stderr, /^error: not_found: there is no database at none\.db/);
  write('text.db', 'no database at all, but a text');
  assert.match((await remy(['init', 'new', '--from', 'text.db'])).stderr, /^error: corrupt: /);
});
