// What comes in as a path or a name, and what the command is called.
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';
import { openApp, Remy } from '../js/index.js';
import { program, workshop } from './support.mjs';

const SCHEMA = 'CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT);';
/** An app of one method. */
const app = (/** @type {string} */ before = '') => ({
  'mindstudio.json': JSON.stringify({
    name: 'shop',
    tables: [],
    methods: [{ id: 'list-all', path: 'm.ts', export: 'run' }],
  }),
  'm.ts': `${before}export async function run() { return 1; }\n`,
});

test('the command has the name in hints that it was called by', async (t) => {
  const { remy, run, path, write, sql } = workshop(t);
  symlinkSync(program, path('.bin/remy-db'));
  write('schema.sql', SCHEMA);
  await sql('CREATE TABLE users (id INTEGER PRIMARY KEY)');
  const npx = { env: { npm_command: 'exec' } };
  for (const [name, as, options] of [
    ['remy', 'remy'],
    ['remy-db', 'remy-db'],
    ['remy-db', 'npx remy-db', npx],
    ['remy', 'npx remy-db', npx],
  ]) {
    const said = async (/** @type {string[]} */ ...args) => {
      const { stdout, stderr } = await run(name, args, options);
      return stdout + stderr;
    };
    const all = await Promise.all([
      said(),
      said('dev'),
      said('--help'),
      said('publish', '--help'),
      said('publsh'),
      said('publish', '--lable', 'x'),
      said('promote', 'x', 'y'),
      said('log', '99', '--db', 'app.db'),
      said('dev', 'stop', 'x', '--db', 'app.db'),
      said('diff', '--db', 'none.db', 'schema.sql'),
      said('releases', '--db', 'app.db'),
      said('dev', 'list', '--db', 'app.db'),
      said('status'),
      said('rollback', '7', '--db', 'app.db'),
    ]);
    for (const text of all) {
      for (const [, before] of text.matchAll(
        /(\S* ?\S*\bremy(?:-db)?) (?:publish|releases|promote|rollback|dev|status|log|--help|init)\b/g,
      )) {
        assert(
          before.endsWith(as) && (as.startsWith('npx') || !before.endsWith(`npx ${as}`)),
          `${name}: ${before} in ${text}`,
        );
      }
    }
    assert.match(
      all[0],
      new RegExp(`\n  ${as} publish .*\n${as} COMMAND --help says more of each`, 's'),
    );
    assert.match(all[2], new RegExp(`\n  ${as} publish `));
    assert.match(all[8], new RegExp(`hint: Start it first; ${as} dev list lists the sessions\n`));
    assert.match(all[13], new RegExp(`hint: ${as} releases lists them\n`));
  }
  assert.match((await remy(['log', '99', '--db', 'app.db'])).stderr, /^(?!.*[Tt]he verb )/s);
});

test('an error of --json has the command in it as it was called; one of the API has none', async (t) => {
  const { run, path, write, sql } = workshop(t);
  write('schema.sql', SCHEMA);
  await sql('CREATE TABLE users (id INTEGER PRIMARY KEY)');
  symlinkSync(program, path('.bin/remy-db'));
  assert.equal((await run('remy-db', ['publish', 'schema.sql', '--db', 'app.db'])).status, 0);
  const hint = async (/** @type {string[]} */ ...args) =>
    JSON.parse((await run('remy-db', [...args, '--json'])).stdout.trim().split('\n').at(-1) ?? '')
      .error;
  for (const [args, words] of /** @type {[string[], string][]} */ ([
    [
      ['diff', 'schema.sql', '--db', 'none.db'],
      'Check the path; remy-db publish --create makes a new one',
    ],
    [['files', '9', '--db', 'app.db'], 'remy-db releases lists them'],
    [['log', '9', '--db', 'app.db'], 'remy-db releases lists them'],
    [['publish', 'none.tar', '--db', 'app.db'], 'remy-db build --out makes one'],
  ])) {
    const { message, hint: said } = await hint(...args);
    assert.equal(said, words);
    assert(message.endsWith(words), message);
  }
  const live = await openApp(path(), { db: path('app.db') });
  const none = await openApp(path(), { db: path('none.db') });
  const done = await live.publish({ schema: path('schema.sql'), artifacts: path('schema.sql') });
  for (const call of [
    () => none.diff({ schema: path('schema.sql') }),
    () => none.releases(),
    () => live.files(9),
    () => live.readFile(done.release, 'none'),
    () => live.files(done.release, 'none'),
    () => live.publish({ schema: path('none.tar') }),
    () => live.diff({ schema: path('none.tar') }),
    () => live.publish(),
    () => live.build(),
    () => live.publish({ schema: path('mindstudio.json') }),
    () => live.buildLog(9),
    () => live.devStop('x'),
    () => live.rollback(9),
  ]) {
    await assert.rejects(call, ({ message, hint }) => {
      assert.doesNotMatch(`${message} ${hint}`, /\bremy [a-z]|--[a-z]/, message);
      return true;
    });
  }
});

test('options are named in hints as flags are', async (t) => {
  const { remy, sql, write } = workshop(t);
  await sql('CREATE TABLE users (id INTEGER PRIMARY KEY)');
  write('schema.sql', SCHEMA);
  for (const [args, flag] of [
    [['--migrations', 'none'], '--migrations'],
    [['--artifacts', 'none'], '--artifacts'],
    [['--extension', 'none.so'], '--extension'],
  ]) {
    const { stderr } = await remy(['publish', 'schema.sql', '--db', 'app.db', ...args]);
    const [, hint] = /\nhint: (.*)/.exec(stderr) ?? [];
    assert(hint?.includes(flag) && !/option|`/.test(hint), stderr);
  }
});

test('a path is a path, whatever is in it', async (t) => {
  const { remy, path, write, sql, folder } = workshop(t);
  await sql('CREATE TABLE users (id INTEGER PRIMARY KEY)');
  for (const name of ['schema (1).sql', 'a;b.sql', 'App (copy)/schema', 'create (x).sql']) {
    write(name, name.endsWith('.sql') ? SCHEMA : '');
    if (!name.endsWith('.sql')) await sql(SCHEMA, name);
    const { status, stdout, stderr } = await remy(['diff', name, '--db', 'app.db']);
    assert.deepEqual([status, stderr], [0, ''], name);
    assert.match(stdout, /add column +users\.name/, name);
  }
  const gone = await remy(['diff', 'schema (2).sql', '--db', 'app.db']);
  assert.match(gone.stderr, /^error: not_found: .*schema \(2\)\.sql/);

  write('set (1)/x; y.sql', SCHEMA);
  write('set (1)/remy.json', '{"db": "live.db", "schema": "x; y.sql"}');
  assert.equal((await remy(['publish', '--create'], { cwd: path('set (1)') })).status, 0);
  write('set (1)/remy.json', '{"db": "live.db", "schema": "z; y.sql"}');
  assert.match(
    (await remy(['publish'], { cwd: path('set (1)') })).stderr,
    /^error: not_found: there is no file .*z; y\.sql, the schema of remy\.json/,
  );
  assert(folder);
});

test('an app is published from a folder of any name', async (t) => {
  const { path, remy, write } = workshop(t);
  for (const name of ['App (copy)', 'a;b', 'x*y', '[z] {q}?']) {
    for (const [file, text] of Object.entries(app())) write(`${name}/${file}`, text);
    const { status, stderr } = await remy(['publish'], { cwd: path(name) });
    assert.equal(status, 0, `${name}: ${stderr}`);
    const { status: again, stderr: why } = await remy(['diff'], { cwd: path(name) });
    assert.equal(again, 0, `${name}: ${why}`);
  }
});

test('nothing of a file outside of the app is told', async (t) => {
  const { path, remy, write } = workshop(t);
  write('secret.txt.ts', 'sesame:x:0:0:open\n');
  for (const from of [
    path('secret.txt.ts'),
    '../../../secret.txt',
    '/etc/passwd',
    `../../../../../../../../../../../../../../../../etc/passwd`,
  ]) {
    const files = app(`import ${JSON.stringify(from)};\n`);
    for (const [file, text] of Object.entries(files)) write(`shop/${file}`, text);
    const { status, stdout, stderr } = await remy(['publish', '--json'], { cwd: path('shop') });
    assert.equal(status, 1, stderr);
    assert.doesNotMatch(stdout + stderr, /sesame|:0:0:|\/bin\//, from);
    assert.match(stdout, /outside of the app|Could not resolve/, from);
  }
});

test('a method that is nested too deep for a compiler is refused by its name', async (t) => {
  const { path, remy, write } = workshop(t);
  for (const deep of [
    `${'['.repeat(200_000)}${']'.repeat(200_000)}`,
    `${'!'.repeat(2_000_000)}1`,
  ]) {
    for (const [file, text] of Object.entries(app(`export const x = ${deep};\n`)))
      write(`shop/${file}`, text);
    const { status, stderr } = await remy(['publish'], { cwd: path('shop') });
    assert.equal(status, 1);
    assert.match(
      stderr,
      /error: build_failed: [^\n]*\n  m\.ts:1:\d+: what stands here is nested too deep to be read\n/,
    );
    assert(stderr.length < 2000);
  }
});

test('remy.json names the libraries that a schema needs', async (t) => {
  const { remy, path, write, sql } = workshop(t);
  await sql('CREATE TABLE users (id INTEGER PRIMARY KEY)', 'sub/../app.db');
  write('sub/none.so', 'none');
  write('sub/schema.sql', SCHEMA);
  write('sub/remy.json', '{"db": "../app.db", "schema": "schema.sql", "extensions": ["none.so"]}');
  const cwd = path('sub');
  for (const args of [['diff'], ['publish'], ['stage']]) {
    const { status, stderr } = await remy(args, { cwd });
    assert.equal(status, 2);
    assert(
      stderr.includes(
        `error: invalid_argument: the extension ${path('sub/none.so')} cannot be loaded`,
      ),
      stderr,
    );
  }
  // What is given goes before what is set.
  write('other.so', 'none');
  assert.match(
    (await remy(['diff', '--extension', '../other.so'], { cwd })).stderr,
    /the extension \.\.\/other\.so cannot/,
  );
  await assert.rejects((await openApp(cwd)).diff(), {
    code: 'invalid_argument',
    object: path('sub/none.so'),
  });
  for (const wrong of ['"none.so"', '[7]', '[""]', '{}', 'null']) {
    write('sub/remy.json', `{"extensions": ${wrong}}`);
    const { status, stderr } = await remy(['status'], { cwd });
    assert.equal(status, 2, wrong);
    assert.match(
      stderr,
      /remy\.json has no (list|path) at "extensions"[^]*hint: .*"extensions", a list of paths/,
    );
  }
});

test('a rename of names in quotes', async (t) => {
  const { remy, sql, write } = workshop(t);
  await sql(
    'CREATE TABLE "a=b" (id INTEGER PRIMARY KEY, z TEXT); INSERT INTO "a=b" VALUES (1, \'x\')',
  );
  write('schema.sql', 'CREATE TABLE "a=b" (id INTEGER PRIMARY KEY, "z=2" TEXT);');
  const rename = (/** @type {string} */ told) =>
    remy(['publish', 'schema.sql', '--db', 'app.db', '--rename', told]);
  assert.deepEqual(
    [(await rename('"a=b".z="z=2"')).status, await sql('SELECT "z=2" FROM "a=b"')],
    [0, 'x'],
  );
  for (const wrong of ['a=', '=b', 'a', '']) assert.equal((await rename(wrong)).status, 2, wrong);
});

test('a package without its engine says which package that is', async (t) => {
  const { run, path } = workshop(t);
  mkdirSync(path('node_modules'));
  const here = fileURLToPath(new URL('..', import.meta.url));
  for (const name of ['js', 'package.json'])
    cpSync(`${here}${name}`, path('node_modules/remy-db', name), { recursive: true });
  const main = path('node_modules/remy-db/js/command.js');
  const { status, stderr } = await run(
    'node',
    [main, 'publish', SCHEMA, '--db', 'app.db', '--create'],
    { env: { REMY_PROGRAM: '' } },
  );
  assert.equal(status, 1);
  assert.match(
    stderr,
    /^error: not_found: there is no package remy-db-linux-\w+-gnu, [^\n]*Nothing was done\nhint: Install remy-db again/,
  );
  await run('sqlite3', [path('app.db'), SCHEMA]);
  const broken = await run('node', [main, 'status', '--db', 'app.db'], {
    env: { REMY_PROGRAM: path('app.db') },
  });
  assert.match(
    broken.stderr,
    /^error: not_found: the program cannot be started: [^\n]*\nhint: Install remy-db again/,
  );
});

test('a bundle has what it needs but the addon, and says so', async (t) => {
  const { path, run, sql } = workshop(t);
  const esbuild = createRequire(import.meta.url)('esbuild');
  await sql(SCHEMA);
  // Beside a bundle there is no package.json, or another one's.
  const stdin = {
    contents: `import { Remy, version } from ${JSON.stringify(fileURLToPath(new URL('../js/index.js', import.meta.url)))}; await new Remy('app.db').debug().catch((e) => console.log(JSON.stringify({ ...e, message: e.message, version })));`,
    resolveDir: path('.'),
  };
  await esbuild.build({
    stdin,
    bundle: true,
    platform: 'node',
    format: 'esm',
    outfile: path('dist/app.mjs'),
    external: ['esbuild'],
    logLevel: 'silent',
  });
  await esbuild.stop();
  const without = await run('node', ['dist/app.mjs'], { env: { REMY_ADDON: '' } });
  const { code, message, version } = JSON.parse(without.stdout || without.stderr);
  assert.equal(version, createRequire(import.meta.url)('../package.json').version);
  assert.equal(code, 'not_found');
  assert.match(message, /^there is no package remy-db-linux-\w+-gnu, which brings the engine/);
  const { status, stdout, stderr } = await run('node', ['dist/app.mjs']);
  assert.deepEqual([status, stdout, stderr], [0, '', '']);
});

test('a dev database is emptied with the libraries that it needs', async (t) => {
  const { remy, path, write, sql } = workshop(t);
  write('schema.sql', SCHEMA);
  await sql(`${SCHEMA} INSERT INTO users VALUES (1, 'Ann')`);
  const of = new Remy(path('app.db'));
  await of.devStart('me');
  await assert.rejects(of.devTruncate('me', { extensions: [path('none.so')] }), {
    code: 'invalid_argument',
    message: /none\.so/,
  });
  assert.match(
    (await remy(['dev', 'truncate', 'me', '--db', 'app.db', '--extension', 'none.so'])).stderr,
    /invalid_argument: [^]*none\.so/,
  );
  await of.devTruncate('me', { extensions: [] });
});
