// What a program gives that is not what it should be: an `invalid_argument` that names it, before anything is done.
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { init, openApp, Remy, RemyError } from '../js/index.js';
import { workshop } from './support.mjs';

test('options of a wrong kind or name are refused by their name', async (t) => {
  const { path, folder, write, remy: cli } = workshop(t);
  assert.equal((await cli(['init', 'shop'])).status, 0);
  write('schema.sql', 'CREATE TABLE a (x);');
  const app = /** @type {any} */ (await openApp(path('shop')));
  const plain = /** @type {any} */ (await openApp(folder));
  const remy = /** @type {any} */ (new Remy(path('app.db')));
  const circle = {};
  circle.build = circle;
  /** @type {[() => any, string | RegExp][]} */
  const cases = [
    [() => app.publish({ onProgress: 5 }), 'the option onProgress of publish must be a function'],
    [() => app.publish({ signal: 5 }), 'the option signal of publish must be an AbortSignal'],
    [() => app.stage({ signal: {} }), 'the option signal of stage must be an AbortSignal'],
    [() => app.publish({ create: 'yes' }), 'the option create of publish must be true or false'],
    [() => app.publish(null), 'the options must be an object'],
    [() => plain.publish({ schema: 5 }), 'the option schema of publish must be a string'],
    [() => plain.diff({ schema: 5 }), 'the option schema of diff must be a string'],
    [() => app.diff(null), 'the options must be an object'],
    [() => app.build({ out: 5 }), 'the option out of build must be a string'],
    [() => app.build({ nope: 1 }), 'build has no option nope'],
    [() => app.build([]), 'the options must be an object'],
    [
      () => app.promote(1, { onProgress: 5 }),
      'the option onProgress of promote must be a function',
    ],
    [() => app.rollback(1, null), 'the options must be an object'],
    [() => app.status({ nope: 1 }), 'status has no option nope'],
    [() => app.files(1, 5), 'the path must be a string'],
    [() => app.readFile(1), 'the path must be a string'],
    [() => app.checkout(1, 5), 'the folder must be a string'],
    [() => openApp(/** @type {any} */ (5)), 'the folder must be a string'],
    [() => openApp('.', /** @type {any} */ ({ nope: 1 })), 'openApp has no option nope'],
    [
      () => openApp('.', /** @type {any} */ ({ db: 5 })),
      'the option db of openApp must be a string',
    ],
    [async () => init(/** @type {any} */ (undefined)), 'the folder must be a string'],
    [async () => init(path('new'), /** @type {any} */ ({ sq: true })), 'init has no option sq'],
    [
      () => remy.publish('x;', { onProgress: 5 }),
      'the option onProgress of publish must be a function',
    ],
    [() => remy.releases({ signal: 5 }), 'the option signal of releases must be an AbortSignal'],
    [() => remy.diff('x;', { onProgress() {} }), 'diff has no option onProgress'],
    [() => remy.fail(), 'the failure must be an object'],
    [() => remy.fail(null), 'the failure must be an object'],
    [() => remy.publish('x;', circle), /^the options cannot be given as JSON: .*circular/],
  ];
  for (const [call, expected] of cases) {
    const error = await call().then(
      () => assert.fail(`${call}`),
      (/** @type {any} */ error) => error,
    );
    assert(error instanceof RemyError, `${call}: ${error.stack}`);
    assert.equal(error.code, 'invalid_argument', `${call}`);
    if (typeof expected === 'string')
      assert.equal(error.message.split('. ')[0], expected, `${call}`);
    else assert.match(error.message, expected);
    assert.match(error.message, /\. Nothing was done(\. It has [\w, ]+)?$/s);
  }
  assert.deepEqual(
    [readdirSync(folder).sort(), readdirSync(path('shop')).sort()],
    [
      ['.bin', 'schema.sql', 'shop'],
      ['.gitignore', 'dist', 'mindstudio.json', 'tsconfig.json'],
    ],
    'nothing was made',
  );
  // What is undefined is not given.
  assert.deepEqual(
    await plain
      .diff({ schema: path('schema.sql'), signal: undefined, onProgress: undefined })
      .then((/** @type {any[]} */ rows) => rows.length),
    1,
  );
});
