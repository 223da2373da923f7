// What a GitHub workflow shows beside the lines that are wrong.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { workshop } from './support.mjs';

const annotations = (/** @type {string} */ text) =>
  text.split('\n').filter((line) => line.startsWith('::'));

test('faults have their places, as the repository names files', async (t) => {
  const { remy, path, folder } = workshop(t);
  assert.equal((await remy(['init', 'apps/shop'])).status, 0);
  const manifest = path('apps/shop/mindstudio.json');
  const text = readFileSync(manifest, 'utf8').replace('"addNote"', '"add: 100%,\\nNote"');
  writeFileSync(manifest, text);
  const env = { GITHUB_ACTIONS: 'true', GITHUB_WORKSPACE: folder };
  const publish = ['publish', '--app', 'apps/shop'];
  const { status, stdout, stderr } = await remy(publish, { env });
  assert.deepEqual([status, stdout], [3, '']);
  const told = annotations(stderr);
  assert(told.length > 0, stderr);
  for (const line of told)
    assert.match(line, /^::error file=apps\/shop\/[\w./]+,line=\d+,col=\d+::\S/);
  assert.match(told.join('\n'), /100%25,/);
  // Nobody reads them elsewhere, and JSON has its own.
  assert.deepEqual(annotations((await remy(publish)).stderr), []);
  const json = await remy([...publish, '--json'], { env });
  assert.deepEqual(annotations(json.stdout + json.stderr), []);
});

test('refusals and warnings are annotated, too', async (t) => {
  const { remy, sql, write } = workshop(t);
  const env = { GITHUB_ACTIONS: 'true' };
  await sql(
    "CREATE TABLE users (id INTEGER PRIMARY KEY, fax TEXT); INSERT INTO users VALUES (1, 'x')",
  );
  write('schema.sql', 'CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT);');
  const publish = ['publish', 'schema.sql', '--db', 'app.db'];
  const refused = await remy(publish, { env });
  assert.equal(refused.status, 3);
  assert.match(
    annotations(refused.stderr).join('\n'),
    /^::error::ambiguous_rename: users loses fax[^\n]*$/,
  );
  const done = await remy([...publish, '--allow', 'drop', '--quiet'], { env });
  assert.equal(done.status, 0);
  assert.match(annotations(done.stderr).join('\n'), /^::warning::users\.fax loses 1 row[^\n]*$/);
});
