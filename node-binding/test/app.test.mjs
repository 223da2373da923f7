// Where things live, what becomes of them, and the same by openApp.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs, {
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { basename } from 'node:path';
import { test } from 'node:test';
import { load } from '../js/addon.js';
import { frame, frames } from '../js/frames.js';
import { init, openApp, RemyError } from '../js/index.js';
import { git } from './builds.mjs';
import { workshop } from './support.mjs';

const SCHEMA = 'CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT);';
const mode = (path) => (statSync(path).mode & 0o777).toString(8);

test('live is --db, else REMY_DB, else remy.json, else .remy/live.db', async (t) => {
  const { remy, path, write, folder } = workshop(t);
  const live = async (args, options) => {
    const { stdout, stderr } = await remy(['status', '--json', ...args], options);
    assert.equal(stderr, '');
    const { live, root } = JSON.parse(stdout);
    return [live.path, live.from, root];
  };
  assert.deepEqual(await live([]), [path('.remy/live.db'), 'default', null]);
  write('remy.json', '{"db": "data/app.db"}');
  assert.deepEqual(await live([]), [path('data/app.db'), 'remy.json', null]);
  const env = { REMY_DB: 'env.db' };
  assert.deepEqual(await live([], { env }), [path('env.db'), 'REMY_DB', null]);
  assert.deepEqual(await live(['--db', 'flag.db'], { env }), [path('flag.db'), 'db', null]);

  // The manifest is found from below, and what is beside it goes before what is in the working folder.
  write('shop/mindstudio.json', '{}');
  mkdirSync(path('shop/dist/methods'), { recursive: true });
  const below = { cwd: path('shop/dist/methods') };
  assert.deepEqual(await live([], below), [path('shop/.remy/live.db'), 'default', path('shop')]);
  write('shop/dist/methods/remy.json', '{"db": "below.db"}');
  assert.deepEqual(await live([], below), [
    path('shop/dist/methods/below.db'),
    'remy.json',
    path('shop'),
  ]);
  write('shop/remy.json', '{"db": "beside.db"}');
  assert.deepEqual(await live([], below), [path('shop/beside.db'), 'remy.json', path('shop')]);
  assert.deepEqual(await live(['--app', 'shop']), [
    path('shop/beside.db'),
    'remy.json',
    path('shop'),
  ]);

  // Symlinks are resolved, also on the way to what is not there.
  mkdirSync(path('real'));
  symlinkSync('real', path('link'));
  assert.deepEqual(await live(['--db', 'link/sub/x.db']), [path('real/sub/x.db'), 'db', null]);
  writeFileSync(path('real/x.db'), '');
  symlinkSync(path('real/x.db'), path('file.db'));
  assert.deepEqual(await live(['--db', 'file.db']), [path('real/x.db'), 'db', null]);
  assert.equal(folder, path());
});

test('the first publish makes .remy/live.db for its owner alone; a dry run and a diff do not', async (t) => {
  const { remy, path, write, sql, shell } = workshop(t);
  write('schema.sql', SCHEMA);
  for (const args of [
    ['diff', 'schema.sql'],
    ['publish', 'schema.sql', '--dry-run'],
  ]) {
    const { status, stdout } = await remy(args);
    assert.equal(status, 0);
    assert.match(stdout, /create table +users/);
    assert.throws(() => statSync(path('.remy')), { code: 'ENOENT' });
  }
  const { status, stderr } = await shell('umask 022; remy publish schema.sql');
  assert.equal(status, 0, stderr);
  assert.equal(mode(path('.remy')), '700');
  assert.equal(mode(path('.remy/live.db')), '600');
  assert.equal(readFileSync(path('.remy/.gitignore'), 'utf8'), '*\n');
  assert.equal(
    await sql("SELECT name FROM pragma_table_info('users')", '.remy/live.db'),
    'id\nname',
  );
  // One that is named is made only when that is asked for.
  assert.equal((await remy(['publish', 'schema.sql', '--db', 'new.db'])).status, 1);
  assert.equal((await remy(['publish', 'schema.sql', '--db', 'new.db', '--create'])).status, 0);
  assert.equal(mode(path('new.db')), '600');
});

test('init --sql, publish, change, publish: the schema of remy.json', async (t) => {
  const { remy, path, write } = workshop(t);
  const made = await remy(['init', '--sql']);
  assert.deepEqual(
    [made.status, made.stdout],
    [0, 'wrote schema.sql\nwrote remy.json\nNext: remy publish\n'],
  );
  const [here, there] = [
    await remy(['init', '.'], { cwd: path('.bin') }),
    await remy(['init', 'shop']),
  ];
  assert.match(here.stdout, /\nNext: remy publish\n$/);
  assert.match(there.stdout, /\nNext: cd "\/.*\/shop" && remy publish\n$/);
  assert.equal((await remy(['publish'])).status, 0);
  assert.equal((await remy(['diff'])).stdout, 'Nothing to change: live is as declared\n');
  write('schema.sql', SCHEMA);
  assert.match((await remy(['diff'])).stdout, /drop table +notes/);
  const again = await remy(['init', '--sql']);
  assert.equal(again.status, 2);
  assert.match(again.stderr, /schema\.sql, remy\.json are in .* already/);
  assert.equal(readFileSync(path('schema.sql'), 'utf8'), SCHEMA);
});

test('init writes an app that has what a manifest needs', async (t) => {
  const { path } = workshop(t);
  const { files } = init(path('shop'));
  const manifest = JSON.parse(readFileSync(path('shop/mindstudio.json'), 'utf8'));
  assert.equal(manifest.name, 'shop');
  for (const { path: file, export: name } of [...manifest.tables, ...manifest.methods]) {
    assert(files.includes(file));
    assert.match(
      readFileSync(path('shop', file), 'utf8'),
      new RegExp(`export (const|async function) ${name}\\b`),
    );
  }
  assert.throws(() => init(path('shop')), { code: 'invalid_argument' });
});

test("an app's pending changes: its effects in a diff, a table that may be a rename", async (t) => {
  const { remy: run, path, write, sql } = workshop(t);
  const remy = (args) => run([...args, '--app', path('shop')]);
  const declare = (table, roles) => {
    const tables = [{ name: table, path: 'table.ts', export: 'T' }];
    const methods = [{ id: 'nightly', path: 'nightly.ts', export: 'nightly' }];
    write('shop/mindstudio.json', JSON.stringify({ name: 'shop', methods, tables, roles }));
    write(
      'shop/table.ts',
      `import { db } from '@mindstudio-ai/agent';\nexport const T = db.defineTable<{ name: string }>('${table}');\n`,
    );
    write('shop/nightly.ts', 'export async function nightly() {}\n');
  };
  declare('vendors', [{ id: 'buyer' }]);
  assert.match(
    (await remy(['diff'])).stdout,
    /create table +vendors\n(.*\n)+EFFECT +ID +CHANGE\nrole +buyer +create\n$/,
  );
  const first = await remy(['publish']);
  assert.equal(first.status, 0, first.stderr);
  await sql("INSERT INTO vendors (name) VALUES ('Ann')", 'shop/.remy/live.db');
  assert.equal((await remy(['diff'])).stdout, 'Nothing to change: live is as declared\n');

  // Effects alone, for people and as the contract has them.
  declare('vendors', [{ id: 'buyer', name: 'Buyer' }, { id: 'admin' }]);
  assert.equal(
    (await remy(['diff'])).stdout,
    'EFFECT  ID     CHANGE\nrole    admin  create\nrole    buyer  update\n',
  );
  const row = { sql: '', strategy: 'effect', needs: null, loses: null };
  assert.deepEqual(JSON.parse((await remy(['diff', '--json'])).stdout), [
    { ord: 1, kind: 'create_role', object: 'admin', ...row },
    { ord: 2, kind: 'update_role', object: 'buyer', ...row },
  ]);
  assert.equal((await remy(['diff', '--sql'])).stdout, '');

  declare('vendor', [{ id: 'buyer' }]);
  const { status, stderr } = await remy(['publish']);
  assert.equal(status, 3);
  assert.match(
    stderr,
    /error: ambiguous_rename: the app loses vendors, which has rows, and gains vendor\./,
  );
  assert.match(
    stderr,
    /hint: .*--rename vendors=vendor or .*@renamed from=vendors.*above the table's export.*--allow drop/,
  );
  assert.match(
    (await remy(['diff'])).stdout,
    /drop table +vendors +--allow drop +1 row\n(.*\n)*A publish needs --allow drop/,
  );
  const allowed = await remy(['publish', '--allow', 'drop']);
  assert.equal(allowed.status, 0, allowed.stderr);
  assert.equal(await sql('SELECT count(*) FROM vendor', 'shop/.remy/live.db'), '0');
});

test('openApp: verbs, events, errors', async (t) => {
  const { folder, path, write } = workshop(t);
  write('schema.sql', SCHEMA);
  const app = await openApp(folder);
  assert.deepEqual([app.root, app.path, app.from], [null, path('.remy/live.db'), 'default']);
  const events = [];
  app.on('line', ({ step, release }) => events.push([step, release]));
  app.on('live', ({ release, status }) => events.push([status, release]));
  app.on('failed', ({ code }) => events.push(['failed', code]));
  const lines = [];
  const { release } = await app.publish({
    schema: path('schema.sql'),
    label: 'one',
    onProgress: (line) => lines.push(line),
  });
  assert.deepEqual(events.at(-1), ['live', release]);
  assert.deepEqual(
    events.slice(0, -1),
    lines.map((line) => [line.step, line.release]),
  );
  assert.deepEqual(
    (await app.buildLog(release)).map(({ message }) => message),
    lines.map(({ message }) => message),
  );
  assert.equal((await app.status()).release.label, 'one');
  await assert.rejects(app.rollback(99), { name: 'RemyError', code: 'not_found' });
  assert.deepEqual(events.at(-1), ['failed', 'not_found']);
  await assert.rejects(app.publish({ schema: path('no.sql') }), RemyError);
  const called = new AbortController();
  await assert.rejects(
    app.publish({
      schema: path('schema.sql'),
      signal: called.signal,
      onProgress: () => called.abort(),
    }),
    { name: 'AbortError' },
  );
  assert.equal((await app.releases())[0].status, 'failed');
  assert.match((await app.status()).warnings.join(), /the last attempt, failed/);
});

test('who looks on and throws calls a build off: no release is made of it', async (t) => {
  const { path } = workshop(t);
  init(path('shop'));
  const app = await openApp(path('shop'));
  const onProgress = () => {
    throw new Error('no more');
  };
  await assert.rejects(app.publish({ onProgress }), { message: 'no more' });
  assert.equal((await app.status()).live.exists, false);
});

const INDEX = JSON.stringify(new URL('../js/index.js', import.meta.url).href);

/** What an application writes that publishes SCHEMA, and hears of what nobody has caught. */
async function application({ write, run, path }, /** @type {string} */ code) {
  write('schema.sql', SCHEMA);
  write(
    'application.mjs',
    `import { openApp } from ${INDEX};
process.on('uncaughtException', ({ message }) => console.log('uncaught', message));
const app = await openApp(${JSON.stringify(path())});
const schema = ${JSON.stringify(path('schema.sql'))};
const fail = (name) => { throw new Error(name); };
${code}`,
  );
  const { stdout, stderr } = await run(process.execPath, ['application.mjs']);
  assert.equal(stderr, '');
  return stdout.trim().split('\n').sort();
}

test('what a listener throws does not hide what came of a verb, and is not swallowed', async (t) => {
  const said = await application(
    workshop(t),
    `app.on('live', () => fail('of live')).on('failed', () => fail('of failed'));
console.log((await app.publish({ schema })).status);
await app.rollback(99).catch(({ code }) => console.log(code));`,
  );
  assert.deepEqual(said, ['live', 'not_found', 'uncaught of failed', 'uncaught of live']);
});

test('onProgress that throws when the release is live does not take back its outcome', async (t) => {
  const said = await application(
    workshop(t),
    `const onProgress = ({ step }) => step === 'settle' && fail('of the last line');
console.log((await app.publish({ schema, onProgress })).status);`,
  );
  assert.deepEqual(said, ['live', 'uncaught of the last line']);
});

test('of a worker that is killed, nobody says that its verb was called off', async (t) => {
  const said = await application(
    workshop(t),
    `import { readFileSync } from 'node:fs';
const called = new AbortController();
const onProgress = () => {
  for (const pid of readFileSync('/proc/self/task/' + process.pid + '/children', 'utf8').trim().split(' '))
    process.kill(Number(pid), 'SIGKILL');
  called.abort();
};
await app.publish({ schema, onProgress, signal: called.signal }).catch(({ name, message }) => console.log(name, message));`,
  );
  assert.match(
    said.join(),
    /^RemyError the process that ran the verb was ended by SIGKILL before it answered/,
  );
});

test('a worker that is told to end before it has a verb begins none', async (t) => {
  const { path, write, sql } = workshop(t);
  await sql('CREATE TABLE t (a)');
  write('schema.sql', SCHEMA);
  const { path: file } = load().helper();
  const stdio = ['ignore', 'ignore', 'inherit', 'pipe'];
  const process = spawn(file, ['remy-helper', 'by-3'], { stdio });
  t.after(() => process.kill('SIGKILL'));
  const verb = { verb: 'publish', schema: path('schema.sql'), options: '{}' };
  const call = { on: { path: { path: path('app.db'), verb } }, lines: false };
  const said = [];
  const hear = frames((kind, text) => {
    said.push({ kind, text });
    if (kind !== 'h') return;
    process.kill('SIGTERM');
    setTimeout(() => process.stdio[3].write(frame('c', JSON.stringify(call))), 200);
  });
  process.stdio[3].on('data', hear);
  await once(process, 'close');
  assert.equal(JSON.parse(said.at(-1).text).refused?.code, 'busy', JSON.stringify(said));
});

test('what a build leaves that cannot be removed does not take back its release', async (t) => {
  const { path } = workshop(t);
  init(path('shop'));
  const app = await openApp(path('shop'));
  const { rm } = fs.promises;
  t.after(() => ((fs.promises.rm = rm), syncBuiltinESMExports()));
  fs.promises.rm = async (at, options) => {
    if (/\.remy\/build[^/]*$/.test(at))
      throw Object.assign(new Error('EBUSY'), { code: 'EBUSY', syscall: 'rm' });
    return rm(at, options);
  };
  syncBuiltinESMExports();
  assert.equal((await app.publish()).status, 'live');
});

test('a package says its commit itself', async (t) => {
  const { path } = workshop(t);
  const app = await openApp(path());
  await assert.rejects(app.publish({ schema: 'app.tar', commit: 'main' }), {
    code: 'invalid_argument',
    message: /says its commit itself\. Nothing was done/,
  });
});

test('every warning is said once: of the manifest, of tables, of the change, of what it loses', async (t) => {
  const { remy, path, write, sql, shell } = workshop(t);
  await remy(['init', 'shop']);
  const cwd = path('shop');
  const named = JSON.parse(readFileSync(path('shop/mindstudio.json'), 'utf8'));
  write(
    'shop/mindstudio.json',
    JSON.stringify({ ...named, future: 1, tables: [{ ...named.tables[0], name: 'note' }] }),
  );
  assert.equal((await remy(['publish'], { cwd })).status, 0);
  await sql("INSERT INTO notes (text) VALUES ('a'); CREATE TABLE theirs (x)", 'shop/.remy/live.db');
  await shell("sed -i 's/text/body/' shop/dist/methods/src/tables/notes.ts");
  /** @type {[string, RegExp][]} */
  const warnings = [
    ['of the manifest', /\/future: is not known here/g],
    ['of a table', /"note" differs from the name of the table itself/g],
    ['of the change', /@renamed from=/g],
    ['of what is left alone', /declared theirs: left alone/g],
    ['of what goes', /notes\.text loses/g],
  ];
  for (const args of [['publish', '--dry-run'], ['stage', '--preview', 'try'], ['publish']]) {
    const { status, stdout, stderr } = await remy(args, { cwd });
    assert.equal(status, 0, stderr);
    for (const [what, warning] of warnings)
      assert.equal(
        `${stdout}${stderr}`.match(warning)?.length,
        1,
        `${args.join(' ')}: ${what}\n${stdout}${stderr}`,
      );
  }
  const log = (await remy(['log'], { cwd })).stdout;
  for (const [what, warning] of warnings.slice(0, -1))
    assert.equal(log.match(warning)?.length, 1, `the log: ${what}\n${log}`);
  const built = await remy(['build'], { cwd });
  for (const [what, warning] of warnings.slice(0, 2))
    assert.equal(`${built.stdout}${built.stderr}`.match(warning)?.length, 1, `build: ${what}`);
});

test('what a build left that was killed goes with the next one; one at work stays', async (t) => {
  const { remy, path, write, run } = workshop(t);
  await remy(['init', 'shop']);
  // Without a word on whose they are, only their age tells.
  for (const name of ['build-old', 'build-new']) write(`shop/.remy/${name}/out/app.json`, '{}');
  const yesterday = new Date(Date.now() - 25 * 60 * 60 * 1000);
  utimesSync(path('shop/.remy/build-old'), yesterday, yesterday);
  const begun = async () => {
    // It lives until its stdin ends.
    const build = run('sh', ['-c', 'exec "$REMY_STEPS" buildFolder wait'], { open: true });
    build.child.stdin.write('"shop"\n');
    t.after(() => build.child.kill());
    const [folder] = await once(build.child.stdout, 'data');
    return { build, name: basename(JSON.parse(folder).done) };
  };
  const [killed, atWork] = [await begun(), await begun()];
  assert.deepEqual(
    readdirSync(path('shop/.remy')).sort(),
    ['.gitignore', 'build-new', killed.name, atWork.name].sort(),
  );
  killed.build.child.kill('SIGKILL');
  await killed.build;
  // Its number may be another process's since.
  const reused = path('shop/.remy', killed.name, 'owner.json');
  const was = JSON.parse(readFileSync(reused, 'utf8'));
  write('shop/.remy/build-reused/owner.json', JSON.stringify({ ...was, pid: process.pid }));
  write(
    'shop/.remy/build-elsewhere/owner.json',
    JSON.stringify({ ...was, where: 'another machine' }),
  );
  assert.equal((await remy(['build'], { cwd: path('shop') })).status, 0);
  assert.deepEqual(
    readdirSync(path('shop/.remy')).sort(),
    ['.gitignore', 'build-elsewhere', 'build-new', atWork.name, 'cache'].sort(),
  );
});

test('status tells what waits, and where the space goes', async (t) => {
  const { remy, write } = workshop(t);
  write('schema.sql', SCHEMA);
  await remy(['publish', 'schema.sql', '-m', 'one']);
  write('schema.sql', `${SCHEMA} CREATE TABLE more (x);`);
  assert.equal((await remy(['publish', 'schema.sql', '--stage', '-m', 'two'])).status, 0);
  await remy(['dev', 'start', 'ann']);
  const { stdout } = await remy(['status', '--json']);
  const { live, store, release, built, compiled, dev, warnings } = JSON.parse(stdout);
  assert.deepEqual(
    [
      live.exists,
      live.journal_mode,
      release.label,
      compiled.map(({ label }) => label),
      dev.map(({ name }) => name),
      warnings,
    ],
    [true, 'wal', 'one', ['two'], ['ann'], []],
  );
  assert.equal(built, null, 'a schema stages no file');
  assert(store.bytes > 0 && store.free_bytes > store.bytes && store.snapshots === 0);
});

test('status and releases say what an app was made from: the files, the commit, whether the tree was dirty', async (t) => {
  const { path, write, ...shop } = workshop(t);
  const remy = (/** @type {string[]} */ args) => shop.remy(args, { cwd: path('shop') });
  await shop.remy(['init', 'shop']);
  git(path('shop'), 'init', '-q');
  git(path('shop'), 'add', '-A');
  git(path('shop'), 'commit', '-qm', 'a');
  const head = git(path('shop'), 'rev-parse', 'HEAD');
  await remy(['publish']);
  write('shop/more', '');
  await remy(['publish']);
  const dirty = (await remy(['status'])).stdout;
  assert.match(
    dirty,
    new RegExp(
      `^from +Staged \\d+ files of commit ${head.slice(0, 7)} \\(working tree dirty\\)$`,
      'm',
    ),
  );
  assert.match(dirty, new RegExp(`^release +2, commit ${head.slice(0, 12)}-dirty, since `, 'm'));
  assert.deepEqual(
    (await remy(['releases'])).stdout
      .split('\n')
      .slice(1, 3)
      .map((line) => line.match(/\S+-dirty|\b[0-9a-f]{12}\b/)?.[0]),
    [`${head.slice(0, 12)}-dirty`, head.slice(0, 12)],
  );
  await remy(['rollback']);
  const back = (await remy(['status'])).stdout;
  assert.match(back, new RegExp(`^from +Staged \\d+ files of commit ${head.slice(0, 7)}$`, 'm'));
  assert.match(back, /^release +3, .*as release 1 was, since /m);
});

test('what nobody has given leave for is refused before a build, and leaves no failed release', async (t) => {
  const { path, write, sql, ...shop } = workshop(t);
  const remy = (/** @type {string[]} */ args) => shop.remy(args, { cwd: path('shop') });
  await shop.remy(['init', 'shop']);
  const table = (/** @type {string} */ name) => {
    write(
      `shop/dist/methods/src/tables/${name}.ts`,
      `import { db } from '@mindstudio-ai/agent';\nexport const T = db.defineTable<{ note: string }>('${name}');\n`,
    );
    const manifest = JSON.parse(readFileSync(path('shop/mindstudio.json'), 'utf8'));
    manifest.tables = [
      ...(manifest.tables ?? []).filter((/** @type {any} */ { name }) => name !== 'first'),
      { name, path: `dist/methods/src/tables/${name}.ts`, export: 'T' },
    ];
    write('shop/mindstudio.json', JSON.stringify(manifest));
  };
  table('first');
  assert.equal((await remy(['publish'])).status, 0);
  await sql("INSERT INTO first (id, note) VALUES ('a', 'b')", 'shop/.remy/live.db');
  table('second');
  for (let i = 0; i < 2; i++) {
    const { status, stderr } = await remy(['publish']);
    assert.equal(status, 3);
    assert.match(stderr, /ambiguous_rename: the app loses first/);
    assert.doesNotMatch(stderr, /Staged|Installed|Compiled/);
  }
  assert.equal(JSON.parse((await remy(['releases', '--json'])).stdout).length, 1);
  assert.equal((await remy(['publish', '--allow', 'drop'])).status, 0);
});

test('what the rows do not allow is refused before a build, and leaves no failed release', async (t) => {
  const { path, write, sql, ...shop } = workshop(t);
  const remy = (/** @type {string[]} */ args) => shop.remy(args, { cwd: path('shop') });
  await shop.remy(['init', 'shop']);
  const manifest = JSON.parse(readFileSync(path('shop/mindstudio.json'), 'utf8'));
  manifest.tables = [
    ...manifest.tables,
    { name: 'remarks', path: 'dist/methods/src/tables/remarks.ts', export: 'T' },
  ];
  write('shop/mindstudio.json', JSON.stringify(manifest));
  const table = (/** @type {string} */ row, unique = '') =>
    write(
      'shop/dist/methods/src/tables/remarks.ts',
      `import { db } from '@mindstudio-ai/agent';\nexport const T = db.defineTable<{ ${row} }>('remarks'${unique});\n`,
    );
  table('note: string; kind: string');
  const first = await remy(['publish']);
  assert.equal(first.status, 0, first.stderr);
  await sql(
    "INSERT INTO remarks (id, note, kind) VALUES ('a', 'b', 'same'), ('c', 'd', 'same')",
    'shop/.remy/live.db',
  );
  const refused = async (/** @type {RegExp} */ why) => {
    const { status, stderr } = await remy(['publish']);
    assert.match(stderr, why);
    assert.equal(status, 1);
    assert.doesNotMatch(stderr, /Staged|Installed|Compiled/);
    assert.equal(JSON.parse((await remy(['releases', '--json'])).stdout).length, 1);
  };
  table('/** @cast */ note: number; kind: string');
  await refused(/check_failed: remarks\.note would become number/);
  table('note: string; kind: string', ", { unique: [['kind']] }");
  await refused(/(check|ddl)_failed: .*kind/);
  // A migration is of the database, too.
  table('note: string; kind: string');
  write('shop/dist/methods/migrations/0001_wrong.sql', 'UPDATE nowhere SET a = 1;');
  await refused(/ddl_failed: the migration 0001_wrong\.sql/);
});

test('a diff shows names of the user, also where something is renamed by way of another name', async (t) => {
  const { remy, write, sql } = workshop(t);
  await sql(
    'CREATE TABLE t (a, b, c); INSERT INTO t VALUES (1, 2, 3); CREATE TABLE p (x); CREATE TABLE q (y)',
  );
  const shown = async (/** @type {string} */ schema, /** @type {string[]} */ ...renames) => {
    write('schema.sql', schema);
    const flags = renames.flatMap((rename) => ['--rename', rename]);
    const { stdout } = await remy(['diff', 'schema.sql', '--db', 'app.db', ...flags]);
    const rows = JSON.parse(
      (await remy(['diff', 'schema.sql', '--db', 'app.db', '--json', ...flags])).stdout,
    );
    assert(
      rows.every((/** @type {any} */ { object }) => !object.includes('_remy_')),
      JSON.stringify(rows),
    );
    return stdout
      .split('\n')
      .slice(1, -1)
      .map((line) => line.replace(/ {2,}/g, ' | ').trim());
  };
  assert.deepEqual(
    await shown('CREATE TABLE t (a, c); CREATE TABLE p (x); CREATE TABLE q (y);', 't.b=a'),
    ['1 | rename column | t.b → a', '2 | drop column | t.a | 1 row, 1 with a value in a | 2'],
  );
  assert.deepEqual(
    await shown(
      'CREATE TABLE t (b, a, c); CREATE TABLE q (x); CREATE TABLE p (y);',
      't.a=b',
      't.b=a',
      'p=q',
      'q=p',
    ),
    [
      '1 | rename table | p → q | 2',
      '2 | rename table | q → p | 2',
      '3 | rename column | t.a → b | 2',
      '4 | rename column | t.b → a | 2',
    ],
  );
});

test('a diff says on stderr what a publish would warn of, and in rows where it is asked', async (t) => {
  const { remy, write, sql } = workshop(t);
  await sql('CREATE TABLE t (a, b)');
  write('schema.sql', 'CREATE TABLE t (b, a);');
  const plain = await remy(['diff', 'schema.sql', '--db', 'app.db']);
  assert.deepEqual([plain.status, plain.stdout], [0, 'Nothing to change: live is as declared\n']);
  assert.match(plain.stderr, /^warning: the columns of t stand in another order in live/);
  const json = await remy(['diff', 'schema.sql', '--db', 'app.db', '--json']);
  assert.deepEqual([json.stdout, json.stderr], ['[]\n', plain.stderr]);
  const [row] = JSON.parse(
    (await remy(['diff', 'schema.sql', '--db', 'app.db', '--json', '--warnings'])).stdout,
  );
  assert.deepEqual([row.kind, row.strategy, row.sql], ['warning', 'warning', '']);
  assert(plain.stderr.includes(row.message));
});

test('files and checkout: what a release was made from', async (t) => {
  const { remy, path, write, shell } = workshop(t);
  const n = 2;
  write('schema.sql', SCHEMA);
  await remy(['publish', 'schema.sql']);
  write('kept/source/mindstudio.json', '{}\n');
  write('kept/source/src/run.sh', '#!/bin/sh\n', 0o755);
  write('kept/source/bytes', Buffer.from([0, 255, 10]));
  write('kept/app.json', '{}');
  symlinkSync('/etc/hostname', path('kept/source/away'));
  assert.equal((await remy(['publish', 'schema.sql', '--artifacts', 'kept'])).status, 0);
  const listed = await remy(['files', `${n}`, '--json']);
  assert.deepEqual(
    JSON.parse(listed.stdout).map(({ path }) => path),
    ['away', 'bytes', 'mindstudio.json', 'src/run.sh'],
  );
  assert.match((await remy(['files', `${n}`, 'src'])).stdout, /^PATH +SIZE\nsrc\/run\.sh +10 B\n$/);
  assert.equal((await remy(['files', `${n}`, 'mindstudio.json'])).stdout, '{}\n');
  assert.equal(
    (await shell(`remy files ${n} bytes | od -An -tu1`)).stdout.trim().replace(/ +/g, ' '),
    '0 255 10',
  );
  assert.deepEqual(JSON.parse((await remy(['files', `${n}`, 'bytes', '--json'])).stdout), {
    path: 'bytes',
    bytes: 3,
    base64: 'AP8K',
  });
  // A symlink is itself: nothing outside of the release is read.
  assert.equal((await remy(['files', `${n}`, 'away'])).stdout, '/etc/hostname');
  assert.deepEqual(JSON.parse((await remy(['files', `${n}`, 'away', '--json'])).stdout), {
    path: 'away',
    bytes: 13,
    base64: btoa('/etc/hostname'),
  });
  for (const wrong of ['nope', '../app.json', '/etc/passwd', 'src/../../app.json']) {
    const { status, stderr } = await remy(['files', `${n}`, wrong]);
    assert.equal(status, 1);
    assert.match(stderr, /^error: not_found: release 2 has no file/);
    await assert.rejects((await openApp(path())).readFile(n, wrong), { code: 'not_found' });
  }
  const out = await remy(['checkout', `${n}`, 'new/out']);
  assert.deepEqual([out.status, out.stdout], [0, 'Wrote 4 files of release 2 to new/out\n']);
  assert.equal(mode(path('new/out/src/run.sh')), '755');
  assert.equal(
    (await shell('diff -r --no-dereference kept/source new/out && ls -A new')).stdout,
    'out\n',
  );
  const taken = await remy(['checkout', `${n}`, 'new/out']);
  assert.equal(taken.status, 2);
  assert.match(taken.stderr, /new\/out is not empty/);
  mkdirSync(path('empty'));
  assert.equal((await remy(['checkout', `${n}`, 'empty'])).status, 0);
  // A release without files, one that is not there, and one that brings back another's.
  assert.match((await remy(['files', '1'])).stderr, /release 1 has no files/);
  assert.match((await remy(['files', '9'])).stderr, /there is no release 9/);
  await remy(['rollback']);
  assert.equal((await remy(['promote', `${n}`])).status, 0);
  assert.equal((await remy(['files', `${n + 2}`, 'mindstudio.json'])).stdout, '{}\n');
});

test('files: what was compiled of an app, too', async (t) => {
  const { remy, path } = workshop(t);
  const { files } = init(path('shop'));
  const app = ['--app', path('shop')];
  assert.equal((await remy(['publish', ...app])).status, 0);
  const { release } = JSON.parse((await remy(['status', '--json', ...app])).stdout).release;
  const rows = JSON.parse((await remy(['files', `${release}`, '--json', ...app])).stdout);
  const source = files.filter((file) => !file.endsWith('.gitignore')).sort();
  assert.deepEqual(
    rows.map(({ path }) => path).filter((path) => !path.endsWith('.gitignore')),
    [
      ...source,
      'interfaces/web.json',
      'interfaces/web/index.html',
      'interfaces/web/main.js',
      ...['add-note', 'list-notes'].flatMap((id) => [`methods/${id}.mjs`, `methods/${id}.mjs.map`]),
    ],
  );
  assert.match(
    (await remy(['files', `${release}`, 'methods/add-note.mjs', ...app])).stdout,
    /export \{\n {2}addNote\n\};/,
  );
  assert.match(
    (await remy(['files', `${release}`, 'methods', ...app])).stdout,
    /^PATH +SIZE\n(methods\/(add-note|list-notes)\.mjs(\.map)? +[\d.]+ K?B\n){4}$/,
  );
  // A checkout is what one works on.
  assert.equal((await remy(['checkout', `${release}`, path('out'), ...app])).status, 0);
  await assert.rejects((await openApp(path('shop'))).readFile(release, 'app.json'), {
    code: 'not_found',
  });
});

test('who stops reading stops nothing', async (t) => {
  const { shell, write, sql } = workshop(t);
  write('schema.sql', SCHEMA);
  const done = await shell(
    'set -o pipefail; remy publish schema.sql --json | head -1 >/dev/null; echo "$?"; remy releases | head -1; echo "$?"',
  );
  assert.equal(done.stderr, '');
  assert.deepEqual(
    done.stdout.split('\n').map((line) => line.slice(0, 7)),
    ['0', 'RELEASE', '0', ''],
  );
  assert.equal(
    await sql("SELECT count(*) FROM pragma_table_info('users')", '.remy/live.db'),
    '2',
    'the publish went on to its end',
  );
});

test('verify says 1 where something is not whole', async (t) => {
  const { remy, write, shell } = workshop(t);
  write('schema.sql', SCHEMA);
  await remy(['publish', 'schema.sql']);
  await remy(['publish', 'schema.sql']);
  assert.equal((await remy(['verify'])).status, 0);
  await shell('cd .remy/live.db-remy/snapshots; chmod u+w *.db; printf x >> *.db');
  const { status, stdout } = await remy(['verify']);
  assert.equal(status, 1);
  assert.match(stdout, /^✗ +snapshots\/.*size and hash/m);
  assert.match(stdout, /\d checks? failed\n$/);
  assert.equal((await remy(['verify', '--json'])).status, 1);
});
