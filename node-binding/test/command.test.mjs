// What people expect of any command: it helps who types nothing, is quiet, is cut off, judges, completes.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { workshop } from './support.mjs';

const SCHEMA = 'CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT);';

test('who types nothing is shown what there is, and that is no success', async (t) => {
  const { remy } = workshop(t);
  const nothing = await remy([]);
  assert.deepEqual([nothing.status, nothing.stdout], [2, '']);
  const { stdout } = await remy(['--help']);
  assert.equal(nothing.stderr, stdout);
  assert.equal((await remy(['help'])).stdout, stdout);
  const [help, ofPublish] = [await remy(['help', 'publish']), await remy(['publish', '--help'])];
  assert.deepEqual([help.status, help.stdout], [0, ofPublish.stdout]);
  const version = await remy(['version', '--json']);
  assert.equal(`${JSON.parse(version.stdout).version}\n`, (await remy(['--version'])).stdout);
});

test('flags of every command may stand before it, and a switch may be given twice', async (t) => {
  const { remy, write } = workshop(t);
  write('schema.sql', SCHEMA);
  const made = await remy(['--db', 'app.db', '--json', 'publish', 'schema.sql', '--create']);
  assert.equal(made.status, 0);
  assert.equal(JSON.parse(made.stdout.trim().split('\n').at(-1) ?? '').result.release, 1);
  assert.equal((await remy(['status', '--json', '--json', '--db=app.db'])).status, 0);
  assert.match(
    (await remy(['--db', 'releases', 'publsh'])).stderr,
    /there is no command publsh \(publish\?\)/,
  );
});

test('--quiet: what came of it, warnings and errors alone', async (t) => {
  const { remy, sql, write } = workshop(t);
  await sql(
    "CREATE TABLE users (id INTEGER PRIMARY KEY, fax TEXT); INSERT INTO users VALUES (1, 'x')",
  );
  write('schema.sql', SCHEMA);
  const publish = ['publish', 'schema.sql', '--db', 'app.db', '--quiet'];
  const refused = await remy(publish);
  assert.deepEqual([refused.status, refused.stdout], [3, '']);
  assert.match(refused.stderr, /^error: ambiguous_rename: .*\nhint: .*\n$/);
  const done = await remy([...publish, '--allow', 'drop']);
  assert.deepEqual([done.status, done.stderr], [0, '']);
  assert.match(
    done.stdout,
    /^warning: users\.fax loses .*\nRelease 3 is live; writers waited .*\n$/,
  );
});

test('diff --exit-code, releases --limit, rollback -m', async (t) => {
  const { remy, write } = workshop(t);
  write('schema.sql', SCHEMA);
  const diff = ['diff', 'schema.sql', '--exit-code'];
  const changed = await remy(diff);
  assert.equal(changed.status, 1);
  assert.match(changed.stdout, /create table +users/);
  assert.equal((await remy(['diff', 'schema.sql'])).status, 0);
  assert.equal((await remy(['publish', 'schema.sql', '-m', 'first'])).status, 0);
  const same = await remy([...diff, '--json']);
  assert.deepEqual([same.status, JSON.parse(same.stdout)], [0, []]);
  write('schema.sql', `${SCHEMA} CREATE TABLE more (x);`);
  assert.equal((await remy(['publish', 'schema.sql', '-m', 'second'])).status, 0);
  assert.equal((await remy(['rollback', '-m', 'it was too early'])).status, 0);
  const releases = async (...args) =>
    JSON.parse((await remy(['releases', '--json', ...args])).stdout).map(({ label }) => label);
  assert.deepEqual(await releases(), ['it was too early', 'second', 'first']);
  assert.deepEqual(await releases('--limit', '2'), ['it was too early', 'second']);
  assert.equal((await remy(['rollback'])).status, 3, 'a bare one goes on from what came back');
  assert.equal((await remy(['rollback', '2'])).status, 0);
  assert.deepEqual(await releases('--limit', '1'), ['second'], 'as the release had it');
});

test('a shell completes commands and flags by the script for it', async (t) => {
  const { remy, write, shell } = workshop(t);
  for (const name of ['bash', 'zsh', 'fish']) {
    const { status, stdout } = await remy(['completions', name]);
    assert.equal(status, 0);
    assert.match(stdout, /max-pause-ms/);
  }
  write('remy.bash', (await remy(['completions', 'bash'])).stdout);
  const complete = (/** @type {string} */ words) =>
    shell(
      `source remy.bash; COMP_WORDS=(${words}); COMP_CWORD=$((\${#COMP_WORDS[@]} - 1)); _remy remy "\${COMP_WORDS[-1]}"; echo "\${COMPREPLY[@]}"`,
    );
  assert.match((await complete('remy roll')).stdout, /^rollback\n$/);
  assert.match((await complete('remy publish --max')).stdout, /^--max-pause-ms\n$/);
});

test('what is started to ignore a hang-up ignores it, and a reader that has enough ends nothing', async (t) => {
  const { shell, write, remy } = workshop(t);
  write('schema.sql', SCHEMA);
  assert.equal((await remy(['publish', 'schema.sql', '--db', 'app.db', '--create'])).status, 0);
  write('schema.sql', `${SCHEMA} CREATE TABLE more (x);`);
  const hung = await shell(
    `flock app.db-remy/lock sleep 1 & sleep 0.2
    (trap '' HUP; exec remy publish schema.sql --db app.db) & sleep 0.4
    kill -HUP $!; wait $!`,
  );
  assert.equal(hung.status, 0, hung.stderr);
  assert.match(hung.stdout, /^Release 2 is live/);
  const read = await shell('remy log --db app.db | head -c 1; exit ${PIPESTATUS[0]}');
  assert.deepEqual([read.status, read.stderr], [0, '']);
  write('schema.sql', SCHEMA);
  const piped = await shell(
    'remy publish schema.sql --db app.db --json | head -c 1; exit ${PIPESTATUS[0]}',
  );
  assert.deepEqual([piped.status, piped.stderr], [0, '']);
});

test('schema prints what live was made by, and what a release was', async (t) => {
  const { remy, write, sql } = workshop(t);
  const first = `${SCHEMA}
CREATE INDEX by_name ON users (name);
CREATE VIRTUAL TABLE notes USING fts5(text);
CREATE VIEW named AS SELECT name FROM users; -- kept as it is
CREATE TRIGGER gone AFTER DELETE ON users BEGIN SELECT 1; END;
`;
  write('schema.sql', first);
  assert.equal((await remy(['publish', 'schema.sql'])).status, 0);
  write('second.sql', SCHEMA);
  assert.equal((await remy(['publish', 'second.sql', '--allow', 'drop'])).status, 0);
  assert.equal((await remy(['schema'])).stdout, `${SCHEMA}\n`);
  assert.equal((await remy(['schema', '2'])).stdout, `${SCHEMA}\n`);
  const { status, stdout } = await remy(['schema', '1']);
  assert.equal(status, 0);
  assert.equal(stdout.match(/^CREATE /gm)?.length, 5, stdout);
  assert.doesNotMatch(stdout, /_remy_|notes_content|sqlite_/);
  // It makes the same again.
  write('again.sql', stdout);
  await sql('.read again.sql', 'again.db');
  assert.deepEqual(
    JSON.parse((await remy(['diff', 'schema.sql', '--db', 'again.db', '--json'])).stdout),
    [],
  );
  assert.equal((await remy(['rollback'])).status, 0);
  assert.equal(JSON.parse((await remy(['schema', '--json'])).stdout).sql, stdout);
  const none = await remy(['schema', '9', '--json']);
  assert.deepEqual([none.status, JSON.parse(none.stdout).error.code], [1, 'not_found']);
  await remy(['prune', '--older-than', '0']);
  assert.equal((await remy(['schema', '1', '--json'])).status, 3);
});

test('Ctrl-Z stops nobody who may hold the write lock of live', async (t) => {
  const { remy, run, write } = workshop(t);
  write('schema.sql', SCHEMA);
  assert.equal((await remy(['publish', 'schema.sql', '--db', 'app.db', '--create'])).status, 0);
  write('schema.sql', `${SCHEMA} CREATE TABLE more (x);`);
  const writer = run('sqlite3', ['-batch', 'app.db'], { open: true });
  writer.child.stdin.write("BEGIN IMMEDIATE; SELECT 'held';\n");
  await once(writer.child.stdout, 'data');
  const done = remy(['publish', 'schema.sql', '--db', 'app.db', '--lock-timeout-ms', '600000']);
  let seen = '';
  await new Promise((waits) =>
    done.child.stderr.on('data', (text) => (seen += text).includes('Checked foreign') && waits(0)),
  );
  const pause = () => new Promise((resume) => setTimeout(resume, 300));
  await pause();
  // SIGTSTP, SIGTTIN and SIGTTOU: 20 to 22.
  const task = `/proc/${done.child.pid}/task`;
  for (const thread of readdirSync(task)) {
    const [, blocked] =
      /^SigBlk:\s*(\w+)$/m.exec(readFileSync(`${task}/${thread}/status`, 'utf8')) ?? [];
    assert.equal(BigInt(`0x${blocked}`) & 0x380000n, 0x380000n, seen);
  }
  done.child.kill('SIGTSTP');
  await pause();
  assert.doesNotMatch(readFileSync(`${task}/../status`, 'utf8'), /^State:\s*T/m);
  writer.child.stdin.end('ROLLBACK;\n');
  // Behind the switch it may stop.
  const goOn = setInterval(() => done.child.kill('SIGCONT'), 100);
  const { status, stdout } = await done;
  clearInterval(goOn);
  assert.equal(status, 0);
  assert.match(stdout, /^Release 2 is live/);
});
