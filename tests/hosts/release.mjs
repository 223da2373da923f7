// The whole way: publish, follow, call off, roll back. Run by node.rs with a database of its own.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Remy } from '../../node-binding/js/index.js';

const { REMY_DATABASE: path, REMY_SCHEMA: schema } = process.env;

test('publish, releases, rollback', async () => {
  const remy = await Remy.open(path);
  assert.equal((await remy.debug()).engine, 'embedded');
  assert.deepEqual((await remy.diff(schema)).map(({ kind, object }) => [kind, object]), [['add_column', 'users.email']]);

  // Called off by its signal: nothing has happened.
  const controller = new AbortController();
  await assert.rejects(remy.publish(schema, { signal: controller.signal, onProgress: () => controller.abort() }), {
    name: 'AbortError',
  });
  // Called off by a callback that throws.
  const thrown = new Error('enough');
  await assert.rejects(remy.publish(schema, { onProgress: () => { throw thrown; } }), thrown);
  assert.equal((await remy.diff(schema)).length, 1);

  const lines = [];
  const outcome = await remy.publish(schema, { label: 'v2', onProgress: (line) => lines.push(line) });
  assert.equal(outcome.status, 'live');
  assert.equal(outcome.label, 'v2');
  assert(outcome.switch.pause_ms >= 0);
  assert.deepEqual(lines.filter((line) => line.release === outcome.release), outcome.log);
  assert.deepEqual(await remy.buildLog(outcome.release), outcome.log);

  const back = await remy.rollback();
  assert.equal(back.restored_from, outcome.previous);
  const releases = await remy.releases();
  assert.equal(releases[0].release, back.release);
  assert.equal(releases[0].status, 'live');
  assert.equal((await remy.verify()).ok, true);

  await assert.rejects(remy.promote(99), { name: 'RemyError', code: 'not_found' });
});
