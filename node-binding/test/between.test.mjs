// diff --from RELEASE --to RELEASE.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { workshop } from './support.mjs';

const SCHEMA = 'CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT);';

test('releases are compared with each other, with live and with what is declared', async (t) => {
  const { remy, write, sql } = workshop(t);
  write('remy.json', '{"db": "app.db", "schema": "schema.sql"}');
  const publish = async (schema, effects) => {
    write('schema.sql', schema);
    write('effects.json', JSON.stringify(effects));
    const args = ['publish', '--create', '--effects', 'effects.json', '--allow', 'drop'];
    assert.equal((await remy(args)).status, 0);
  };
  await publish(SCHEMA, {});
  await sql("INSERT INTO users VALUES (1, 'Ann'), (2, NULL)");
  await publish(`${SCHEMA} CREATE TABLE more (x);`, { roles: [{ id: 'buyer' }] });
  await publish('CREATE TABLE users (id INTEGER PRIMARY KEY); CREATE TABLE more (x);', {});
  write('schema.sql', `${SCHEMA} CREATE TABLE next (x);`);

  const diff = async (...args) => {
    const { status, stdout, stderr } = await remy(['diff', ...args]);
    assert.equal(stderr, '');
    return [status, stdout];
  };
  assert.deepEqual(await diff('--from', '1', '--to', '2'), [
    0,
    '#  CHANGE        OBJECT\n1  create table  more\nEFFECT  ID     CHANGE\nrole    buyer  create\n',
  ]);
  // What is lost is counted where it begins.
  assert.deepEqual(await diff('--from', '2', '--to', '3'), [
    0,
    '#  CHANGE       OBJECT      LOSES\n1  drop column  users.name  2 rows, 1 with a value in name\nEFFECT  ID     CHANGE\nrole    buyer  remove\n',
  ]);
  assert.deepEqual(await diff('--to', '1', '--sql'), [
    0,
    'DROP TABLE "more";\nALTER TABLE "users" ADD COLUMN name TEXT;\n',
  ]);
  assert.deepEqual(await diff('--from', '1', '--sql'), [0, 'CREATE TABLE next (x);\n']);
  assert.deepEqual(await diff('--from', '1', 'schema.sql', '--exit-code', '--sql'), [
    1,
    'CREATE TABLE next (x);\n',
  ]);
  assert.deepEqual(await diff('--from', '3', '--to', '3', '--exit-code'), [0, 'Nothing differs\n']);
  const [, json] = await diff('--from', '3', '--to', '2', '--json');
  assert.deepEqual(
    JSON.parse(json).map(({ kind, object }) => [kind, object]),
    [
      ['add_column', 'users.name'],
      ['create_role', 'buyer'],
    ],
  );
});

test('what cannot be compared is refused', async (t) => {
  const { remy, write } = workshop(t);
  write('schema.sql', SCHEMA);
  const code = async (...args) => {
    const { status, stdout } = await remy(['diff', '--json', ...args]);
    return [status, JSON.parse(stdout).error?.code];
  };
  assert.deepEqual(await code('--from', '1', '--to', '1'), [1, 'not_found']);
  assert.equal((await remy(['publish', 'schema.sql'])).status, 0);
  assert.equal((await remy(['publish', 'schema.sql'])).status, 0);
  assert.deepEqual(await code('--from', '7', '--to', '1'), [1, 'not_found']);
  assert.deepEqual(await code('--to', '7'), [1, 'not_found']);
  assert.deepEqual(await code('--from', '1'), [2, 'invalid_argument'], 'nothing is declared');
  const twice = await remy(['diff', 'schema.sql', '--to', '1']);
  assert.equal(twice.stderr, 'error: invalid_argument: SCHEMA and --to do not go together\n');
  assert.equal((await remy(['publish', 'schema.sql'])).status, 0);
  await remy(['prune', '--older-than', '0']);
  assert.deepEqual(await code('--from', '1', '--to', '2'), [3, 'pruned']);
});
