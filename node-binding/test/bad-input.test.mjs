// What people get wrong: the status, the code, and one line that helps. Live stays as it is.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { once } from 'node:events';
import { test } from 'node:test';
import { workshop } from './support.mjs';

const USERS =
  "CREATE TABLE users (id INTEGER PRIMARY KEY, age TEXT); INSERT INTO users VALUES (1, '041')";

test('usage: status 2, one line, the nearest name', async (t) => {
  const { remy, folder } = workshop(t);
  const cases = [
    [['--json'], /remy expects a command: remy --help lists them\n$/],
    [['relases'], /there is no command relases \(releases\?\)/],
    [['frobnicate'], /there is no command frobnicate: remy --help lists them/],
    [['dev'], /there is no mindstudio\.json in .* or above it/],
    [['secrets'], /remy secrets expects a command/],
    [
      ['dev', 'rest', 'x'],
      /remy dev has no rest \(reset\?\): it has start, sync, reset, truncate, .*, list/,
    ],
    [
      ['publish', '--alow', 'drop'],
      /remy publish has no flag --alow \(--allow\?\): remy publish --help lists them/,
    ],
    [['releases', '--dry-run'], /remy releases has no flag --dry-run/],
    [['promote', '-m', 'x'], /remy promote has no flag -m/],
    [['version', '--db', 'x'], /remy version has no flag --db: remy version --help lists them/],
    [['completions', 'bsh'], /SHELL expects bash, elvish, .* or zsh, not "bsh"/],
    [['--dry-run'], /remy has no flag --dry-run/],
    [
      ['publish', '--allow', 'everything'],
      /--allow expects type_change or lossy or drop, not "everything"/,
    ],
    [['publish', '--rename', 'a.b'], /--rename expects old=new, such as .*, not "a\.b"/],
    [['publish', '--max-pause-ms', 'soon'], /--max-pause-ms expects a whole number, not "soon"/],
    [['publish', '--max-pause-ms=-1'], /--max-pause-ms expects a whole number, not "-1"/],
    [['publish', '--keep-bytes', '5 apples'], /--keep-bytes expects a number of bytes/],
    [
      ['publish', '--clients', 'soon'],
      /--clients expects a version of SQLite, such as 3\.40, not "soon"/,
    ],
    [['publish', '--journal-mode', 'memory'], /--journal-mode expects wal or keep/],
    [['publish', '--effects', 'nope.json'], /--effects expects a JSON file \(ENOENT/],
    [['publish', '-m'], /-m expects TEXT: a name for the release/],
    [['publish', '-m', '--stage'], /-m expects TEXT/],
    [['publish', '-m', 'a', '-m', 'b'], /-m is given twice/],
    [['releases', '--json=yes'], /--json takes no value/],
    [
      ['prune', '--older-than', 'long'],
      /--older-than expects a number of days, such as 30 or 30d, not "long"/,
    ],
    [['rollback', 'last'], /RELEASE expects the number of a release, not "last"/],
    [['promote', '0'], /RELEASE expects the number of a release, not "0"/],
    [['files'], /remy files expects RELEASE: remy files RELEASE \[PATH\]/],
    [['checkout', '2'], /remy checkout expects DIR: remy checkout RELEASE DIR/],
    [['releases', 'all'], /"all" is one argument too many: remy releases/],
    [['publish', '--db', ''], /--db expects FILE/],
    [
      ['publish'],
      /there is no mindstudio\.json in .* or above it, and nothing is named to be published/,
    ],
    [['build'], /there is no mindstudio\.json/],
    [
      ['publish', 'app/mindstudio.json'],
      /is the manifest of an app, not a schema.*\nhint: Publish the app from its folder, or name app with --app\n$/s,
    ],
  ];
  for (const [args, expected] of cases) {
    const { status, stdout, stderr } = await remy(args);
    assert.equal(status, 2, String(args));
    if (!args.includes('--json')) assert.equal(stdout, '', String(args));
    assert.match(stderr, expected);
    assert.match(stderr, /^error: invalid_argument: .*\n(hint: .*\n)?$/);
  }
  assert.deepEqual(readdirSync(folder), ['.bin'], 'nothing was made');
});

test('exit statuses are those of core and of the contract', () => {
  const text = (path) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
  const core = text('core/src/base/error.rs');
  const codes = new Map(
    [...core.matchAll(/^ {4}(\w+), \w+, "(\w+)";$/gm)].map(([, name, code]) => [name, code]),
  );
  assert(codes.size > 10);
  const arms = core
    .slice(core.indexOf('pub fn exit_code'))
    .matchAll(/((?:\s*\|?\s*Self::\w+\(_\))+) => (\d),/g);
  const statuses = [...arms].flatMap(([, names, status]) =>
    [...names.matchAll(/Self::(\w+)/g)].map(([, name]) => [codes.get(name), Number(status)]),
  );
  const STATUS = Object.fromEntries(statuses);
  assert(Object.keys(STATUS).length > 5);
  const rows = [...text('docs/contract.md').matchAll(/^\| ([1-4]) \| (.*) \|$/gm)];
  const said = rows.flatMap(([, status, what]) =>
    [...what.matchAll(/`([a-z]+(?:_[a-z]+)*)`/g)].map(([, code]) => [code, Number(status)]),
  );
  for (const code of codes.values())
    assert.equal(Object.fromEntries(said)[code], STATUS[code] ?? 1, code);
});

test('help of every command has its example and status 0', async (t) => {
  const { remy } = workshop(t);
  const { stdout } = await remy(['--help']);
  const names = [...stdout.matchAll(/^ {2}remy ((?:dev |secrets )?\w+)/gm)].map(([, name]) => name);
  assert(names.length > 30, String(names));
  for (const name of names) {
    const help = await remy([...name.split(' '), '--help']);
    assert.equal(help.status, 0);
    assert.match(help.stdout, new RegExp(`\n  remy ${name}[^\n]*\n$`));
    assert.equal(help.stderr, '');
  }
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url)));
  assert.equal((await remy(['--version'])).stdout, `${version}\n`);
});

test('no database: not_found, and what to do', async (t) => {
  const { remy, folder } = workshop(t);
  for (const verb of [
    ['releases'],
    ['log'],
    ['rollback'],
    ['promote'],
    ['verify'],
    ['prune'],
    ['debug'],
    ['files', '1'],
    ['dev', 'list'],
    ['detach', '-y'],
    ['clone', 'x.db'],
  ]) {
    for (const [flags, hint] of [
      [['--db', 'no.db'], 'Check the path; remy publish --create makes a new one'],
      [[], 'remy publish makes it; --db names another'],
    ]) {
      const { status, stdout, stderr } = await remy([...verb, ...flags]);
      assert.deepEqual([verb, status, stdout], [verb, 1, '']);
      assert.match(stderr, /^error: not_found: there is no database at .*\. Nothing was done\n/);
      assert.equal(stderr.split('\n')[1], `hint: ${hint}`);
    }
  }
  const status = await remy(['status']);
  assert.equal(status.status, 0);
  assert.match(status.stdout, /live\.db \(the default\)\ndatabase +not there yet/);
  assert.match(
    (await remy(['status', '--db', 'no.db'])).stdout,
    /no\.db \(--db\)\ndatabase +not there yet: remy publish --create makes it$/m,
  );
  const publish = await remy(['publish', 'schema.sql', '--db', 'no.db']);
  assert.equal(publish.status, 1);
  assert.deepEqual(readdirSync(folder), ['.bin'], 'nothing was made');
});

test('live is gone, its store is not: nothing is made in its place, and it is said how to have it back', async (t) => {
  const { remy, write, path } = workshop(t);
  write('schema.sql', 'CREATE TABLE users (id INTEGER PRIMARY KEY);');
  for (const [db, flags] of [
    ['.remy/live.db', []],
    ['app.db', ['--db', 'app.db']],
  ]) {
    assert.equal((await remy(['publish', 'schema.sql', '--create', ...flags])).status, 0);
    rmSync(path(db));
    for (const verb of [
      ['publish', 'schema.sql', '--create'],
      ['publish', 'schema.sql', '--dry-run'],
      ['diff', 'schema.sql'],
      ['stage', 'schema.sql'],
      ['status'],
      ['releases'],
      ['log'],
      ['rollback'],
    ]) {
      const { status, stdout, stderr } = await remy([...verb, ...flags]);
      const live = path(db);
      const hint = `hint: Copy the newest database of ${live}-remy/snapshots to ${live} and make it writable to have it back, or move ${live}-remy away to begin anew\n`;
      assert.deepEqual(
        [verb, status, stdout, stderr],
        [
          verb,
          1,
          '',
          `error: not_found: ${live} is gone, and ${live}-remy keeps its releases. Nothing was done\n${hint}`,
        ],
      );
      assert(!existsSync(live));
    }
  }
  renameSync(path('app.db-remy'), path('away'));
  assert.equal((await remy(['publish', 'schema.sql', '--create', '--db', 'app.db'])).status, 0);
});

test('a schema that is missing, malformed, empty', async (t) => {
  const { remy, sql, write } = workshop(t);
  await sql(USERS);
  const before = await sql('SELECT * FROM sqlite_schema; SELECT * FROM users');
  write('bad.sql', 'CREATE TABLE users (id INTEGER PRIMARY KEY,, age TEXT);');
  write('empty.sql', '');
  const cases = [
    ['missing.sql', 1, 'not_found'],
    ['bad.sql', 3, 'schema_invalid'],
    ['empty.sql', 3, 'schema_invalid'],
  ];
  for (const [schema, status, code] of cases) {
    for (const verb of ['diff', 'publish', 'stage']) {
      const done = await remy([verb, schema, '--db', 'app.db']);
      assert.deepEqual([verb, schema, done.status, done.stdout], [verb, schema, status, '']);
      assert.match(done.stderr, new RegExp(`^error: ${code}: `, 'm'));
      assert.match(done.stderr, /^hint: /m);
    }
  }
  assert.equal(
    await sql("SELECT * FROM sqlite_schema WHERE name NOT GLOB '_remy*'; SELECT * FROM users"),
    before,
  );
});

test('a lossy change is refused with 3, named, and done when it is allowed', async (t) => {
  const { remy, sql, write } = workshop(t);
  await sql(USERS);
  write('schema.sql', 'CREATE TABLE users (id INTEGER PRIMARY KEY, age INTEGER);');
  const refused = await remy(['publish', 'schema.sql', '--db', 'app.db']);
  assert.equal(refused.status, 3);
  assert.equal(refused.stdout, '');
  assert.match(refused.stderr, /^error: lossy_change: .*users\.age/m);
  assert.match(refused.stderr, /^hint: .*--allow lossy/m);
  assert.doesNotMatch(refused.stderr, /"allow":/);
  assert.equal(await sql('SELECT age FROM users'), '041');
  const allowed = await remy([
    'publish',
    'schema.sql',
    '--db',
    'app.db',
    '--allow',
    'type_change,lossy',
  ]);
  assert.equal(allowed.status, 0);
  assert.equal(await sql('SELECT age FROM users'), '41');
  // Refusals of --json: an event of a verb that follows, a document of any other; the line for people is on stderr in both.
  const again = await remy(['promote', '--db', 'app.db', '--json']);
  assert.equal(again.status, 1);
  const { event, error } = JSON.parse(again.stdout);
  assert.deepEqual(
    [event, error.code, Object.keys(error)],
    ['error', 'not_found', ['code', 'message', 'hint', 'remedy', 'object', 'sql']],
  );
  assert.match(again.stderr, /^error: not_found: no release waits/);
  const log = await remy(['log', '99', '--db', 'app.db', '--json']);
  assert.equal(log.status, 1);
  assert.equal(JSON.parse(log.stdout).error.code, 'not_found');
  const usage = await remy(['log', 'x', '--json']);
  assert.equal(usage.status, 2);
  assert.equal(JSON.parse(usage.stdout).error.code, 'invalid_argument');
});

test('a schema that older clients cannot read is told of, and refused with 3 where they are named', async (t) => {
  const { write, remy } = workshop(t);
  write('schema.sql', 'CREATE TABLE amounts (id INTEGER PRIMARY KEY, most INTEGER DEFAULT 1_000);');
  const publish = ['publish', 'schema.sql', '--db', 'app.db', '--create'];
  const refused = await remy([...publish, '--clients', '3.40']);
  assert.equal(refused.status, 3, refused.stderr);
  assert.match(
    refused.stderr,
    /the table amounts has digits in groups \(1_000\), which SQLite reads from 3\.46 on, and clients with 3\.40 are to use it/,
  );
  assert.match(refused.stderr, /hint: .*say so with --clients/);
  const done = await remy(publish);
  assert.match(
    done.stdout,
    /is live.*\nClients need SQLite 3\.46 or newer: amounts has digits in groups \(1_000\)\n$/,
  );
});

test('a disk that is too small: both numbers, nothing started; and a full one', async (t) => {
  const { remy, sql, write, path } = workshop(t);
  await sql(USERS);
  write('schema.sql', 'CREATE TABLE users (id INTEGER PRIMARY KEY, age TEXT);');
  assert.equal((await remy(['publish', 'schema.sql', '--db', 'app.db'])).status, 0);
  write('schema.sql', 'CREATE TABLE users (id INTEGER PRIMARY KEY, age TEXT, name TEXT);');
  const small = await remy(['publish', 'schema.sql', '--db', 'app.db', '--margin-bytes', '900TB']);
  assert.deepEqual([small.status, small.stdout], [1, '']);
  assert.match(
    small.stderr,
    /^error: io: a clone of .*\/app\.db needs \d.* [KM]B and 900 TB have to stay free, but .*\/app\.db-remy has \d.* free\. Nothing was started\nhint: .*set --margin-bytes lower\n$/m,
  );
  assert.equal(await sql("SELECT name FROM pragma_table_info('users')"), 'id\nage');
  assert.deepEqual(readdirSync(path('app.db-remy/work')), []);
  assert.match((await remy(['log', '--db', 'app.db'])).stdout, /✗ .*have to stay free/);
});

test('a path that cannot be used: what was being done, to which path, and what to do', async (t) => {
  const { remy, write, path } = workshop(t);
  write('file', '');
  write('schema.sql', 'CREATE TABLE a (x);');
  assert.equal(
    (
      await remy([
        'publish',
        'schema.sql',
        '--db',
        'app.db',
        '--create',
        '--artifacts',
        'schema.sql',
      ])
    ).status,
    0,
  );
  assert.equal((await remy(['init', 'shop'])).status, 0);
  mkdirSync(path('folder.tar'));
  write('odd/remy.json/x', '');
  const cases = [
    [
      ['init', 'file'],
      2,
      `invalid_argument: ${path('file')} is not a folder. Nothing was done\nhint: Name a folder, which need not be there yet\n`,
    ],
    [
      ['init', 'file/x'],
      1,
      `io: making the folder ${path('file/x')}: not a directory (ENOTDIR). Nothing was done\nhint: Check that path\n`,
    ],
    [
      ['checkout', '1', 'file', '--db', 'app.db'],
      2,
      `invalid_argument: ${path('file')} is not a folder. Nothing was done\nhint: Name a folder that is empty or not there\n`,
    ],
    [
      ['build', '--app', 'shop', '-o', 'nope/x.tar'],
      2,
      `invalid_argument: there is no folder ${path('nope')} for the package x.tar. Nothing was done\nhint: Make the folder, or name another\n`,
    ],
    [
      ['build', '--app', 'shop', '-o', 'file/x.tar'],
      2,
      `invalid_argument: there is no folder ${path('file')} for the package x.tar. Nothing was done\nhint: Make the folder, or name another\n`,
    ],
    [
      ['build', '--app', 'shop', '-o', 'x.zip'],
      2,
      'invalid_argument: x.zip is no name of a package. Nothing was done\nhint: Name one that ends in .tar, .tar.gz or .tgz, such as app.tar\n',
    ],
    [
      ['build', '--app', 'shop', '-o', 'folder.tar'],
      2,
      'invalid_argument: folder.tar is a folder. Nothing was done\nhint: Name a file that is to be the package\n',
    ],
  ];
  for (const [args, status, expected] of cases) {
    const done = await remy(args);
    assert.deepEqual([args, done.status, done.stderr], [args, status, `error: ${expected}`]);
  }
  const odd = await remy(['status'], { cwd: path('odd') });
  assert.equal(
    odd.stderr,
    `error: io: ${path('odd/remy.json')} cannot be read: illegal operation on a directory (EISDIR). Nothing was done\nhint: Put it right, or remove it\n`,
  );
});

test('init that fails midway leaves nothing', async (t) => {
  const { shell, path } = workshop(t);
  mkdirSync(path('app'));
  const { status, stderr } = await shell("trap '' XFSZ; ulimit -f 0; remy init app");
  assert.equal(status, 1);
  const file = path('app/mindstudio.json');
  assert(
    stderr.startsWith(`error: io: writing ${file}: file too large (EFBIG). Nothing was done\n`),
    stderr,
  );
  assert.deepEqual(readdirSync(path('app')), []);
});

test('a writer that does not let go: busy, 4', async (t) => {
  const { remy, sql, write, path } = workshop(t);
  await sql(USERS);
  write('schema.sql', 'CREATE TABLE users (id INTEGER PRIMARY KEY, age TEXT, name TEXT);');
  assert.equal((await remy(['publish', 'schema.sql', '--db', 'app.db'])).status, 0);
  const writer = spawn('sqlite3', ['-batch', path('app.db')]);
  t.after(() => writer.kill());
  writer.stdin.write("BEGIN IMMEDIATE; SELECT 'held';\n");
  await once(writer.stdout, 'data');
  write('schema.sql', 'CREATE TABLE users (id INTEGER PRIMARY KEY, age TEXT);');
  const busy = await remy(['publish', 'schema.sql', '--db', 'app.db', '--lock-timeout-ms', '100']);
  assert.equal(busy.status, 4);
  assert.match(busy.stderr, /^error: busy: /m);
  writer.stdin.end('ROLLBACK;\n');
  await once(writer, 'close');
  assert.equal(await sql("SELECT name FROM pragma_table_info('users')"), 'id\nage\nname');
});

test('a file that is no database, a settings file that is wrong', async (t) => {
  const { remy, write } = workshop(t);
  write('text.db', 'this is no database at all, it is a text that goes on for more than a header');
  for (const args of [['releases'], ['publish', 'CREATE TABLE a (x);']]) {
    const { status, stderr } = await remy([...args, '--db', 'text.db']);
    assert.equal(status, 1);
    assert.match(stderr, /^error: corrupt: .*text\.db/m);
  }
  for (const [settings, expected] of [
    ['{', /remy\.json is not JSON/],
    ['[]', /remy\.json is not an object/],
    ['{"database": "x.db"}', /remy\.json has an unknown key "database"/],
    ['{"db": 7}', /remy\.json has no path at "db"/],
  ]) {
    write('remy.json', settings);
    const { status, stderr } = await remy(['status']);
    assert.equal(status, 2);
    assert.match(stderr, expected);
    assert.match(stderr, /^hint: It is one JSON object/m);
  }
});

test('an app: a schema on top of it, options that it declares itself, a folder without one', async (t) => {
  const { remy, write, path } = workshop(t);
  assert.equal((await remy(['init', 'shop'])).status, 0);
  write('shop/schema.sql', 'CREATE TABLE a (x);');
  const mixed = await remy(['publish', 'schema.sql'], { cwd: path('shop') });
  assert.equal(mixed.status, 2);
  assert.match(mixed.stderr, /shop\/mindstudio\.json declares what is published here/);
  assert.match(mixed.stderr, /hint: Leave schema\.sql out, or name its database with --db/);
  const environment = await remy(['publish', 'schema.sql'], {
    cwd: path('shop'),
    env: { REMY_DB: path('x.db') },
  });
  assert.equal(
    environment.status,
    2,
    'REMY_DB may be set for all of a session: it is no word about this schema',
  );
  const options = await remy(['publish', '--artifacts', 'dist'], { cwd: path('shop') });
  assert.equal(options.status, 2);
  assert.match(options.stderr, /an app declares its own artifacts/);
  const elsewhere = await remy(['publish', '--app', '.bin']);
  assert.equal(elsewhere.status, 1);
  assert.match(elsewhere.stderr, /^error: not_found: there is no mindstudio\.json in .*\.bin/);
  assert(!existsSync(path('shop', '.remy')), 'nothing was made');
});
