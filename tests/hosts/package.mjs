// The package without a database: arguments, errors. Run by node.rs.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { test } from 'node:test';
import { Remy, RemyError, version } from '../../node-binding/js/index.js';
import { getLoadablePath, load } from '../../sqlite-ext/npm/index.js';

const remy = new Remy('no/such/folder/app.db');
const invalid = (message) => ({ name: 'RemyError', code: 'invalid_argument', message });

test('versions', () => {
  for (const path of ['../../node-binding/package.json', '../../sqlite-ext/npm/package.json']) {
    assert.equal(JSON.parse(readFileSync(new URL(path, import.meta.url))).version, version);
  }
  assert.equal(remy.path, resolve('no/such/folder/app.db'));
});

test('loading the package loads no SQLite into the process', () => {
  assert.doesNotMatch(readFileSync('/proc/self/maps', 'utf8'), /libremy|remy.*\.node/);
});

test('wrong arguments are found before a process is started', async () => {
  assert.throws(() => new Remy(), invalid(/the path must be a string/));
  await assert.rejects(remy.publish(7), invalid(/the schema must be a string/));
  await assert.rejects(remy.rollback(1.5), invalid(/the release must be a whole number/));
  await assert.rejects(remy.rollback('2'), invalid(/the release must be a whole number/));
  await assert.rejects(remy.prune({}), invalid(/the number of days must be a whole number/));
  for (const options of [null, [], 'v2', 7]) {
    await assert.rejects(remy.publish('x;', options), invalid(/the options must be an object/));
    await assert.rejects(remy.releases(options), invalid(/the options must be an object/));
  }
  await assert.rejects(remy.debug({ label: 'x' }), invalid(/debug has no option label/));
  await assert.rejects(remy.diff('x;', { onProgress() {} }), invalid(/diff has no option onProgress/));
});

test('options are the core\'s to judge', async () => {
  await assert.rejects(remy.publish('x;', { lable: 1 }), (error) => {
    assert(error instanceof RemyError && error instanceof Error);
    assert.equal(error.code, 'invalid_argument');
    assert.match(error.message, /there is no option "lable"/);
    assert.match(error.hint, /There are allow, renames, .*label/);
    assert.equal(error.object, 'lable');
    return true;
  });
  await assert.rejects(remy.prune(-1), invalid(/-1 is no number of days/));
});

test('every verb reaches the core, and whatever becomes of it is a RemyError', async () => {
  const verbs = [
    Remy.open(remy.path), remy.debug(), remy.diff('x;'), remy.clone('x'), remy.stage('x;'), remy.publish('x;'), remy.promote(),
    remy.rollback(1), remy.releases(), remy.buildLog(), remy.devStart('x'), remy.devReset('x'), remy.devTruncate('x'),
    remy.devStop('x'), remy.devList(), remy.prune(30), remy.verify(), remy.detach(),
  ];
  for (const { status, reason } of await Promise.allSettled(verbs)) {
    assert.equal(status, 'rejected');
    assert(reason instanceof RemyError, reason);
    assert.match(reason.code, /^[a-z_]+$/);
  }
});

test('an aborted signal starts nothing', async () => {
  await assert.rejects(remy.publish('x;', { signal: AbortSignal.abort() }), { name: 'AbortError' });
  await assert.rejects(remy.publish('x;', { signal: AbortSignal.abort(new Error('no more')) }), { message: 'no more' });
});

test('an addon that does not load is told of', async () => {
  const index = new URL('../../node-binding/js/index.js', import.meta.url);
  const script = `import { Remy } from ${JSON.stringify(index)};
await new Remy('app.db').debug().catch(({ name, code, message }) => console.log(JSON.stringify({ name, code, message })));`;
  const env = { ...process.env, REMY_ADDON: 'no/such/addon.node' };
  const { stdout } = await promisify(execFile)('node', ['--input-type=module', '-e', script], { env });
  const { name, code, message } = JSON.parse(stdout);
  assert.deepEqual([name, code], ['RemyError', 'not_found']);
  assert.match(message, /addon\.node: .*Install remy-db again/);
});

test('the extension\'s package', () => {
  const calls = [];
  const db = { enableLoadExtension: (allow) => calls.push(allow), loadExtension: (path) => calls.push(path) };
  let path;
  try {
    path = getLoadablePath();
  } catch (error) {
    return assert.match(error.message, /there is none at/);
  }
  load(db);
  assert.deepEqual(calls, [true, path, false]);
  assert.match(path, /remy0.*\.so$/);
});
