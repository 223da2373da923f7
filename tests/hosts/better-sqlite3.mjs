// The extension in better-sqlite3, and the Node.js package beside it. Run by node.rs with a database of its own.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { Remy } from '../../node-binding/js/index.js';

const Database = createRequire(import.meta.url)('better-sqlite3');
const { REMY_DATABASE: path, REMY_SCHEMA: schema, REMY_EXTENSION: extension } = process.env;

test('the extension publishes and rolls back, under prepared statements of another connection', () => {
  const db = new Database(path).loadExtension(extension);
  const users = new Database(path).prepare('SELECT * FROM users');
  assert.deepEqual(users.all(), [{ id: 1, name: 'Ann' }]);
  const outcome = JSON.parse(db.prepare('SELECT remy_publish(?)').pluck().get(schema));
  assert.equal(outcome.switch.by, 'pages');
  assert.deepEqual(users.all(), [{ id: 1, name: 'Ann', email: null }]);
  assert.equal(db.prepare("SELECT release FROM remy_releases WHERE status = 'live'").pluck().get(), outcome.release);
  db.prepare('SELECT remy_rollback()').get();
  assert.deepEqual(users.all(), [{ id: 1, name: 'Ann' }]);
  assert.throws(() => db.prepare('SELECT remy_publish(NULL)').get(), { code: 'SQLITE_ERROR', message: /^invalid_argument: / });
});

test('the package switches a database that the application has open through its own SQLite', async () => {
  const db = new Database(path);
  const users = db.prepare('SELECT * FROM users');
  users.all();
  const remy = await Remy.open(path);
  const outcome = await remy.publish(schema);
  assert.equal(outcome.switch.by, 'pages');
  assert.deepEqual(users.all(), [{ id: 1, name: 'Ann', email: null }]);
  db.prepare("INSERT INTO users (name) VALUES ('Bob')").run();
  await remy.rollback();
  assert.deepEqual(users.all(), [{ id: 1, name: 'Ann' }], 'a rollback takes later writes out of live');
});
