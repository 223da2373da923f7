// What a person sees on a terminal: a pseudo-terminal of util-linux's `script`.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { test } from 'node:test';
import { workshop } from './support.mjs';

const SCHEMA = 'CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT);';

/** Runs a command on a terminal of `columns`. */
function terminal({ run }, command, { columns = 80, ...options } = {}) {
  return run('script', ['-qec', `stty cols ${columns}; ${command}`, '/dev/null'], {
    env: { TERM: 'xterm-256color' },
    ...options,
  });
}

/** What stays on the screen, line by line. */
function screen(text) {
  const lines = text.split('\n').map((line) => line.split('\x1b[K').at(-1).replaceAll('\r', ''));
  return lines.map((line) => line.replace(/\x1b\[[\d;]*m/g, ''));
}

test('the progress view: colours, a line at work, times at the right', async (t) => {
  const shop = workshop(t);
  shop.write('schema.sql', `${SCHEMA} CREATE TABLE "${'long'.repeat(40)}" (x);`);
  const { status, stdout } = await terminal(shop, 'remy publish schema.sql');
  assert.equal(status, 0);
  assert.match(stdout, /\x1b\[36m⠋\x1b\[0m Starting/);
  assert.match(stdout, /\x1b\[36m.\x1b\[0m Rehearsing the change/);
  assert.match(
    stdout,
    /\x1b\[32m✓\x1b\[0m Cloned live database \[[^\]]*\] +\x1b\[2m[^\x1b]* m?s\x1b\[0m/,
  );
  const lines = screen(stdout);
  assert.match(
    lines.find((line) => line.startsWith('✓ Release')),
    /^✓ Release \d+ created$/,
  );
  const timed = lines.filter(
    (line) => / m?s$/.test(line) && line.startsWith('✓') && !/\[\d+ pages\] in/.test(line),
  );
  assert(timed.length >= 4);
  for (const line of timed) assert.equal([...line].length, 79, line);
  assert.match(
    lines.find((line) => line.includes('longlong')),
    /…/,
  );
  assert.match(lines.at(-2), /^Release 1 is live; writers waited/);
  assert.doesNotMatch(lines.join('\n'), /[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏]/, 'no line at work is left');
});

test('no colour where it is not wanted, no cursor where it cannot move', async (t) => {
  const shop = workshop(t);
  shop.write('schema.sql', SCHEMA);
  const { stdout } = await terminal(shop, 'NO_COLOR=1 remy publish schema.sql', { columns: 40 });
  assert.match(stdout, /\x1b\[K/);
  assert.doesNotMatch(stdout, /\x1b\[\d*m/);
  for (const line of screen(stdout).filter((line) => line.startsWith('✓')))
    assert([...line].length <= 40, line);
  const dumb = await terminal(shop, 'remy publish schema.sql', { env: { TERM: 'dumb' } });
  assert.doesNotMatch(dumb.stdout, /\x1b/);
  assert.match(dumb.stdout, /✓ Cloned live database/);
  const piped = await shop.remy(['publish', 'schema.sql']);
  assert.doesNotMatch(piped.stdout + piped.stderr, /\x1b|\r/);
});

test('a refusal on a terminal is told once', async (t) => {
  const shop = workshop(t);
  await shop.sql(
    "CREATE TABLE users (id INTEGER PRIMARY KEY, fax TEXT); INSERT INTO users VALUES (1, 'x')",
  );
  shop.write('schema.sql', SCHEMA);
  const { status, stdout } = await terminal(shop, 'remy publish schema.sql --db app.db');
  assert.equal(status, 3);
  assert.equal(stdout.split('ambiguous_rename').length, 2);
});

test('names from a database do not reach the terminal as they are', async (t) => {
  const shop = workshop(t);
  shop.write('schema.sql', 'CREATE TABLE "a\x1b[31m\u202e" (x);');
  for (const args of [['diff', 'schema.sql'], ['publish', 'schema.sql'], ['log']]) {
    const { stdout, stderr } = await shop.remy(args);
    assert.match(stdout + stderr, /a\\u001b\[31m\\u202e/);
    assert.doesNotMatch(stdout + stderr, /\x1b|\u202e/);
  }
});

test('a name cannot make a line of its own', async (t) => {
  const shop = workshop(t);
  await shop.sql(
    'CREATE TABLE "a\nerror: io: forged\t" (x); INSERT INTO "a\nerror: io: forged\t" VALUES (1)',
  );
  shop.write('schema.sql', 'CREATE TABLE "a\nerror: io: forged\t" (y);');
  const args = ['publish', 'schema.sql', '--db', 'app.db'];
  const refused = await shop.remy(args);
  assert.equal(refused.status, 3);
  assert.match(refused.stderr, /^error: ambiguous_rename: a\\nerror: io: forged\t loses x/m);
  assert.match(refused.stderr, /^hint: .*--rename '"a\\nerror: /m);
  const log = (await shop.remy(['log', '--db', 'app.db'])).stdout;
  assert.match(log, /a\\nerror: io: forged/);
  const verified = (await shop.remy(['verify', '--db', 'app.db'])).stdout;
  for (const text of [refused.stderr, log, verified]) assert.doesNotMatch(text, /^ *error: io/m);
  const [event] = (await shop.remy([...args, '--json'])).stdout.trim().split('\n').slice(-1);
  assert.match(JSON.parse(event).error.message, /^a\nerror: io: forged\t loses x/);
});

test('a rename says to what', async (t) => {
  const shop = workshop(t);
  await shop.sql('CREATE TABLE vendors (id INTEGER PRIMARY KEY, terms TEXT)');
  shop.write(
    'schema.sql',
    'CREATE TABLE "odd ""TO"" name" (id INTEGER PRIMARY KEY, "payment TO ""x" TEXT);',
  );
  const { stdout } = await shop.remy([
    'diff',
    'schema.sql',
    '--db',
    'app.db',
    '--rename',
    'vendors="odd ""TO"" name"',
    '--rename',
    '"odd ""TO"" name".terms="payment TO ""x"',
  ]);
  assert.match(stdout, /rename table +vendors → odd "TO" name\n/);
  assert.match(stdout, /rename column +odd "TO" name\.terms → payment TO "x\n/);
});

test('a rename is advised as a shell takes it', async (t) => {
  const shop = workshop(t);
  await shop.sql(
    `CREATE TABLE vendors ("it's terms" TEXT); INSERT INTO vendors VALUES ('30 days')`,
  );
  shop.write('schema.sql', 'CREATE TABLE vendors (terms TEXT);');
  const { stderr } = await shop.remy(['publish', 'schema.sql', '--db', 'app.db']);
  assert.match(
    stderr,
    /^hint: .*--rename 'vendors\."it'\\''s terms"=terms' or a comment @renamed from="it's terms" beside/m,
  );
  const { status } = await shop.remy([
    'publish',
    'schema.sql',
    '--db',
    'app.db',
    '--rename',
    `vendors."it's terms"=terms`,
  ]);
  assert.equal(status, 0);
});

test('detach asks', async (t) => {
  const shop = workshop(t);
  shop.write('schema.sql', SCHEMA);
  await shop.remy(['publish', 'schema.sql']);
  const answer = (text) =>
    terminal(shop, 'remy detach', {
      onStdout: (out, child) => out.includes('[y/N]') && child.stdin.write(text),
      input: undefined,
      open: true,
    });
  const no = await answer('\n');
  assert.equal(no.status, 2);
  assert.match(no.stdout, /Take remy out of .*live\.db\?/);
  assert.match(no.stdout, /was not confirmed\. Nothing was done/);
  const left = await answer('\x04');
  assert.equal(left.status, 2);
  const stopped = await answer('\x03');
  assert.equal(stopped.status, 130);
  assert.equal(JSON.parse((await shop.remy(['status', '--json'])).stdout).release.release, 1);
  const yes = await answer('y\n');
  assert.equal(yes.status, 0);
  assert.equal(JSON.parse((await shop.remy(['status', '--json'])).stdout).release, null);
});

test('a rollback that takes something away asks on a terminal, and nowhere else', async (t) => {
  const shop = workshop(t);
  const release = async () =>
    JSON.parse((await shop.remy(['status', '--json'])).stdout).release.release;
  shop.write('schema.sql', SCHEMA);
  await shop.remy(['publish', 'schema.sql']);
  shop.write('schema.sql', `${SCHEMA} CREATE TABLE more (x);`);
  await shop.remy(['publish', 'schema.sql']);
  await shop.sql('INSERT INTO more VALUES (1), (2)', '.remy/live.db');
  const answer = (text) =>
    terminal(shop, 'remy rollback', {
      onStdout: (out, child) => out.includes('[y/N]') && child.stdin.write(text),
      input: undefined,
      open: true,
    });
  const no = await answer('\n');
  assert.equal(no.status, 2);
  assert.match(no.stdout, /drop table +more +2 rows/);
  assert.match(
    no.stdout,
    /Bring back release 1\? What goes stays in the snapshot of release 2\. \[y\/N\]/,
  );
  assert.equal(await release(), 2);
  const yes = await answer('y\n');
  assert.equal(yes.status, 0);
  assert.equal(await release(), 3);
  // Nothing goes that is in live: nothing is asked.
  assert.equal((await terminal(shop, 'remy rollback 2')).status, 0);
  assert.equal((await terminal(shop, 'remy rollback 1 --yes')).status, 0);
  // Without a terminal it is done, and says what went.
  await shop.remy(['promote', '2']);
  const { status, stdout } = await shop.remy(['rollback', '1']);
  assert.equal(status, 0);
  assert.match(stdout, /SET ASIDE +ROWS\nmore +2\n/);
});

test('Ctrl-C calls off: live is as it was, and nothing of it is left', async (t) => {
  const shop = workshop(t);
  const { remy, write, sql, path } = shop;
  write('schema.sql', SCHEMA);
  assert.equal((await remy(['publish', 'schema.sql', '--db', 'app.db', '--create'])).status, 0);
  // A writer that holds the lock keeps the publish waiting, and lets it be stopped in its switch.
  const writer = spawn('sqlite3', ['-batch', path('app.db')]);
  t.after(() => writer.kill());
  writer.stdin.write("BEGIN IMMEDIATE; SELECT 'held';\n");
  await once(writer.stdout, 'data');
  write('schema.sql', `${SCHEMA} CREATE TABLE more (x);`);
  const waits = (args, options) => {
    const done = remy(
      ['publish', 'schema.sql', '--db', 'app.db', '--lock-timeout-ms', '600000', ...args],
      options,
    );
    const waiting = new Promise((fulfill) => {
      let seen = '';
      for (const stream of [done.child.stdout, done.child.stderr])
        stream.on('data', (text) => (seen += text).includes('Checked foreign keys') && fulfill());
    });
    return { done, waiting };
  };
  for (const [signal, status] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ]) {
    const { done, waiting } = waits([]);
    await waiting;
    done.child.kill(signal);
    const ended = await done;
    assert.deepEqual([ended.status, ended.signal, ended.stdout], [status, null, '']);
    assert.match(ended.stderr, /calling off; once more ends without waiting\n/);
    assert.match(ended.stderr, new RegExp(`called off by ${signal}\\. Live is unchanged\n$`));
  }
  const json = waits(['--json']);
  await json.waiting;
  json.done.child.kill('SIGINT');
  const { status, stdout } = await json.done;
  assert.equal(status, 130);
  assert.deepEqual(Object.keys(JSON.parse(stdout.trim().split('\n').at(-1))), ['event', 'error']);
  assert.deepEqual(readdirSync(path('app.db-remy/work')), []);
  assert(!existsSync(path('.remy')));

  // Ctrl-C itself, as a terminal gives it.
  const typed = await terminal(
    shop,
    'remy publish schema.sql --db app.db --lock-timeout-ms 600000',
    {
      open: true,
      onStdout: (text, child) => text.includes('Checked foreign keys') && child.stdin.write('\x03'),
    },
  );
  assert.equal(typed.status, 130);
  assert.match(typed.stdout, /Live is unchanged/);
  writer.stdin.end('ROLLBACK;\n');
  await once(writer, 'close');
  assert.equal(await sql("SELECT count(*) FROM sqlite_schema WHERE name = 'more'"), '0');
  assert.equal((await remy(['verify', '--db', 'app.db'])).status, 0);
  assert.equal((await remy(['publish', 'schema.sql', '--db', 'app.db'])).status, 0);
});

test('a terminal that closes calls off as well', async (t) => {
  const { run, remy, write, path } = workshop(t);
  write('schema.sql', SCHEMA);
  assert.equal((await remy(['publish', 'schema.sql', '--db', 'app.db', '--create'])).status, 0);
  write('schema.sql', `${SCHEMA} CREATE TABLE more (x);`);
  const writer = run('sqlite3', ['-batch', 'app.db'], { open: true });
  t.after(() => writer.child.kill());
  writer.child.stdin.write("BEGIN IMMEDIATE; SELECT 'held';\n");
  await once(writer.child.stdout, 'data');
  const done = run('setsid', [
    'remy',
    'publish',
    'schema.sql',
    '--db',
    'app.db',
    '--lock-timeout-ms',
    '600000',
  ]);
  let seen = '';
  done.child.stderr.on('data', (text) => {
    const before = seen;
    seen += text;
    if (seen.includes('Checked foreign keys') && !before.includes('Checked foreign keys'))
      process.kill(-done.child.pid, 'SIGHUP');
  });
  const { status, stderr } = await done;
  assert.equal(status, 129);
  assert.match(stderr, /called off by SIGHUP\. Live is unchanged\n$/);
  assert.deepEqual(readdirSync(path('app.db-remy/work')), []);
});

test('Ctrl-C ends what a build started, and that is no other failure', async (t) => {
  const { run, remy, write, path } = workshop(t);
  assert.equal((await remy(['init', 'shop'])).status, 0);
  // The terminal's Ctrl-C, as soon as the program runs, and once: what a build starts is in no group of the terminal's, so that it
  // reaches the command alone, which is the topmost of its name.
  const ends = `#!/bin/sh
mkdir "$ONCE" || exit 1
p=$$
while [ "$p" -gt 1 ]; do
  case $(cat /proc/$p/comm) in remy*) command=$p ;; esac
  p=$(cut -d" " -f4 /proc/$p/stat)
done
kill -INT "$command"
sleep 60
`;
  for (const program of ['bin/git', 'bin/esbuild']) write(program, ends, 0o755);
  const cases = [
    { PATH: `${path('bin')}:${path('.bin')}:${process.env.PATH}` },
    { ESBUILD_BINARY_PATH: path('bin/esbuild') },
  ];
  for (const [i, env] of cases.entries()) {
    const { status, stderr } = await run('setsid', ['remy', 'publish', '--app', 'shop'], {
      env: { ...env, ONCE: path(`once-${i}`) },
    });
    assert.match(stderr, /called off by SIGINT\. Live is unchanged\n$/);
    assert.equal(status, 130);
  }
});

test('Ctrl-C twice does not wait, and what was not committed is not', async (t) => {
  const { remy, run, write, sql, path } = workshop(t);
  write('schema.sql', SCHEMA);
  assert.equal((await remy(['publish', 'schema.sql', '--db', 'app.db', '--create'])).status, 0);
  write('schema.sql', `${SCHEMA} CREATE TABLE more (x);`);
  const other = run('flock', ['app.db-remy/lock', 'sh', '-c', 'echo held; read line'], {
    open: true,
  });
  await once(other.child.stdout, 'data');
  const done = remy(['publish', 'schema.sql', '--db', 'app.db', '--lock-timeout-ms', '600000']);
  done.child.stderr.once('data', () => done.child.kill('SIGINT'));
  // It is ready for a signal when it handles it: bit 1 is SIGINT's.
  const handles = () => {
    const [, caught] = /^SigCgt:\s*(\w+)$/m.exec(
      readFileSync(`/proc/${done.child.pid}/status`, 'utf8'),
    );
    return (BigInt(`0x${caught}`) & 2n) !== 0n;
  };
  while (!handles()) await new Promise((resume) => setTimeout(resume, 20));
  done.child.kill('SIGINT');
  const { status, stdout, stderr } = await done;
  assert.deepEqual([status, stdout], [130, '']);
  assert.match(
    stderr,
    /calling off.*\nremy: not waiting for the end\. Live is as it was, or switched whole: remy status says which\n$/,
  );
  other.child.stdin.end('\n');
  await other;
  assert(!existsSync(`/proc/${done.child.pid}`), 'the verb has ended with it');
  assert.equal(await sql("SELECT count(*) FROM sqlite_schema WHERE name = 'more'"), '0');
  assert.deepEqual(readdirSync(path('app.db-remy/work')), []);
});
