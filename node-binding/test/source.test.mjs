// @ts-check
// Which files are a release's, and how they are copied.
import assert from 'node:assert/strict';
import {
  existsSync,
  lstatSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  statSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { stageSource } from './steps/source.js';
import { sync } from './steps/tree.js';
import { app, folder, git, write } from './builds.mjs';

const names = (/** @type {import('./steps/source.js').Staged} */ staged) => [
  ...staged.files.keys(),
];
const commitAll = (/** @type {string} */ root) => (
  git(root, 'add', '-A'),
  git(root, 'commit', '-qm', 'x'),
  git(root, 'rev-parse', 'HEAD')
);

const NEVER = {
  '.env': 'SECRET=1',
  '.env.local': 'x',
  'dist/interfaces/web/.env.production': 'x',
  'node_modules/a/index.js': 'x',
  'dist/methods/node_modules/b/index.js': 'x',
  '.remy/live.db': 'x',
  '.remy/cache/x': 'x',
};
const ODD = {
  'a\nb.txt': 'newline',
  'grüße/日本 語.md': 'unicode',
  '-rf.txt': 'hyphen',
  ' a ': 'spaces',
  'tab\t"quote"': 'x',
  'back\\slash': 'x',
};

for (const repository of [true, false]) {
  test(`ignored and private files are left out, odd names are not, ${repository ? 'in a repository' : 'without one'}`, async (t) => {
    const it = app(t, {
      'mindstudio.json': '{}',
      ...NEVER,
      ...ODD,
      '.gitignore': '*.log\n/out/\n!keep.log\ndeep/*\n!deep/this\n',
      'a.log': 'x',
      'keep.log': 'x',
      'out/x': 'x',
      'src/out/x': 'x',
      'src/.gitignore': '!b.log\nprivate/\n',
      'src/b.log': 'x',
      'src/private/x': 'x',
      'deep/this': 'x',
      'deep/that': 'x',
      'bin/tool': { run: '#!/bin/sh\n' },
      empty: '',
      link: { symlink: 'src/b.log' },
      'folder-link': { symlink: './src/out' },
      dangling: { symlink: 'nothing' },
    });
    if (repository) {
      git(it.root, 'init', '-q');
      write(it.root, { '.git/info/exclude': '' });
    }
    const staged = await it.stage();
    const expected = [
      'mindstudio.json',
      ...Object.keys(ODD),
      '.gitignore',
      'keep.log',
      'src/out/x',
      'src/.gitignore',
      'src/b.log',
      'deep/this',
      'bin/tool',
      'empty',
      'link',
      'folder-link',
      'dangling',
    ];
    assert.deepEqual(names(staged), expected.sort());
    assert.equal(staged.commit, null);
    for (const at of [join(staged.out, 'source'), it.tree]) {
      assert.equal(readFileSync(join(at, 'a\nb.txt'), 'utf8'), 'newline');
      assert.equal(statSync(join(at, 'bin/tool')).mode & 0o777, 0o755);
      assert.equal(statSync(join(at, 'empty')).mode & 0o777, 0o644);
      assert.equal(readlinkSync(join(at, 'link')), 'src/b.log');
      assert.equal(readFileSync(join(at, 'folder-link/x'), 'utf8'), 'x');
      assert.equal(readlinkSync(join(at, 'dangling')), 'nothing');
    }
  });
}

test('what is tracked is part of a release though it is ignored; what is private never is', async (t) => {
  const it = app(t, {
    'mindstudio.json': '{}',
    '.gitignore': '*.gen',
    'a.gen': 'x',
    'b.gen': 'x',
    '.env': 'x',
    gone: 'x',
  });
  git(it.root, 'init', '-q');
  git(it.root, 'add', '-f', 'a.gen', '.env', '.gitignore', 'mindstudio.json', 'gone');
  rmSync(join(it.root, 'gone'));
  assert.deepEqual(names(await it.stage()), ['.gitignore', 'a.gen', 'mindstudio.json']);
});

test('commit and dirty', async (t) => {
  const it = app(t, { 'mindstudio.json': '{}', 'a b': 'x' });
  git(it.root, 'init', '-q');
  assert.deepEqual([(await it.stage()).commit, (await it.stage()).dirty], [null, false]);
  const commit = commitAll(it.root);
  const at = async () => (({ commit, dirty }) => ({ commit, dirty }))(await it.stage());
  assert.deepEqual(await at(), { commit, dirty: false });
  it.write({ '.env': 'private', '.remy/live.db': 'x', 'node_modules/x/y': 'x' });
  assert.deepEqual(await at(), { commit, dirty: false });
  it.write({ 'a b': 'y' });
  assert.deepEqual(await at(), { commit, dirty: true });
  it.write({ 'a b': 'x', 'new file': 'x' });
  assert.deepEqual(await at(), { commit, dirty: true });
  it.write({ 'new file': null });
  git(it.root, 'mv', 'a b', 'c d');
  assert.deepEqual(await at(), { commit, dirty: true });
});

test('an app below the top of its repository, and one that an outer repository ignores', async (t) => {
  const outer = folder(t);
  write(outer, {
    '.gitignore': '/ignored',
    other: 'x',
    'apps/one/mindstudio.json': '{}',
    'apps/one/a': '1',
    'ignored/app/mindstudio.json': '{}',
    'ignored/app/.gitignore': 'b',
    'ignored/app/a': 'x',
    'ignored/app/b': 'x',
  });
  git(outer, 'init', '-q');
  const commit = commitAll(outer);
  write(outer, { other: 'y' });
  const one = await stageSource(join(outer, 'apps/one'), join(folder(t), 'out'));
  assert.deepEqual([names(one), one.commit, one.dirty], [['a', 'mindstudio.json'], commit, false]);
  write(outer, { 'apps/one/live.db': 'x', 'apps/one/live.db-remy/catalog.db': 'x' });
  const beside = await stageSource(join(outer, 'apps/one'), join(folder(t), 'out'), {
    live: join(outer, 'apps/one/live.db'),
  });
  assert.deepEqual([names(beside), beside.dirty], [['a', 'mindstudio.json'], false]);
  assert.equal((await stageSource(join(outer, 'apps/one'), join(folder(t), 'out'))).dirty, true);
  const ignored = await stageSource(join(outer, 'ignored/app'), join(folder(t), 'out'));
  assert.deepEqual(
    [names(ignored), ignored.commit],
    [['.gitignore', 'a', 'mindstudio.json'], null],
  );
});

test('a commit is staged as it is, and the working tree and index stay as they are', async (t) => {
  const it = app(t, {
    'mindstudio.json': '{}',
    a: 'old',
    'dir/b': { run: 'x' },
    l: { symlink: 'a' },
    '.env': 'committed by mistake',
    '.gitattributes': '*.crlf eol=crlf\n',
    't.crlf': 'a\nb\n',
    ...ODD,
  });
  git(it.root, 'init', '-q');
  const commit = commitAll(it.root);
  it.write({ a: 'new', 'dir/b': null, c: 'untracked', staged: 'x' });
  git(it.root, 'add', 'staged');
  const before = [
    git(it.root, 'status', '--porcelain'),
    readFileSync(join(it.root, '.git/index')).toString('hex'),
  ];
  for (const ref of ['HEAD', 'main', commit.slice(0, 8)]) {
    const staged = await it.stage({ commit: ref });
    assert.deepEqual(
      names(staged),
      [
        'mindstudio.json',
        'a',
        'dir/b',
        'l',
        '.gitattributes',
        't.crlf',
        ...Object.keys(ODD),
      ].sort(),
    );
    assert.deepEqual([staged.commit, staged.dirty], [commit, false]);
    assert.equal(readFileSync(join(staged.out, 'source/a'), 'utf8'), 'old');
    assert.equal(readFileSync(join(staged.out, 'source/t.crlf'), 'utf8'), 'a\r\nb\r\n');
    assert.equal(statSync(join(staged.out, 'source/dir/b')).mode & 0o777, 0o755);
    assert.equal(readlinkSync(join(staged.out, 'source/l')), 'a');
    assert.deepEqual(readdirSync(staged.out), ['source']);
  }
  assert.deepEqual(
    [
      git(it.root, 'status', '--porcelain'),
      readFileSync(join(it.root, '.git/index')).toString('hex'),
    ],
    before,
  );
  for (const ref of ['nothing', '--all', 'HEAD:a', '-q']) {
    await assert.rejects(
      it.stage({ commit: ref }),
      (/** @type {any} */ error) =>
        error.code === 'not_found' &&
        error.message.includes(
          `there is no commit ${ref} in a repository at ${it.root}. The database is as it was`,
        ),
    );
  }
});

test('a commit of an app below the top of its repository', async (t) => {
  const outer = folder(t);
  write(outer, { x: 'x', 'apps/one/mindstudio.json': '{}', 'apps/one/d/a': '1' });
  git(outer, 'init', '-q');
  commitAll(outer);
  write(outer, { 'apps/one/d/a': '2' });
  const to = folder(t);
  const staged = await stageSource(join(outer, 'apps/one'), join(to, 'out'), { commit: 'HEAD' });
  assert.deepEqual(names(staged), ['d/a', 'mindstudio.json']);
  assert.equal(readFileSync(join(to, 'out/d/a'), 'utf8'), '1');
});

test('a git that another repository is named to is not misled', async (t) => {
  const it = app(t, { 'mindstudio.json': '{}', a: 'x' });
  git(it.root, 'init', '-q');
  const commit = commitAll(it.root);
  const other = folder(t);
  git(other, 'init', '-q');
  Object.assign(process.env, {
    GIT_DIR: join(other, '.git'),
    GIT_INDEX_FILE: join(other, '.git/index'),
    GIT_WORK_TREE: other,
  });
  t.after(() =>
    ['GIT_DIR', 'GIT_INDEX_FILE', 'GIT_WORK_TREE'].forEach((name) => delete process.env[name]),
  );
  const staged = await it.stage();
  assert.deepEqual(
    [names(staged), staged.commit, staged.dirty],
    [['a', 'mindstudio.json'], commit, false],
  );
  assert.equal((await it.stage({ commit: 'HEAD' })).commit, commit);
});

test('a repository that git cannot read is none to guess about: what it alone knows to be ignored stays private', async (t) => {
  const it = app(t, {
    'mindstudio.json': '{}',
    'key.pem': 'private',
    'bin/git': { run: '#!/bin/sh\nkill -9 $$\n' },
  });
  git(it.root, 'init', '-q');
  it.write({ '.git/info/exclude': 'key.pem\nbin/\n' });
  commitAll(it.root);
  assert.deepEqual(names(await it.stage()), ['mindstudio.json']);
  const refused = (/** @type {RegExp} */ said) =>
    assert.rejects(
      it.stage(),
      (/** @type {any} */ error) =>
        error.code === 'io' &&
        said.test(error.message) &&
        /Nothing was done\. Run "git /.test(error.message),
    );
  const [config, index] = ['config', 'index'].map((name) =>
    readFileSync(join(it.root, '.git', name)),
  );
  it.write({ '.git/config': `${config}[broken\n` });
  await refused(/bad config line/);
  it.write({ '.git/config': config, '.git/index': 'x' });
  await refused(/index file/);
  it.write({ '.git/index': index });
  const path = process.env.PATH;
  t.after(() => (process.env.PATH = path));
  process.env.PATH = `${join(it.root, 'bin')}:${path}`;
  await refused(/ended by SIGKILL/);
});

test('the files of submodules and of repositories inside are part of it', async (t) => {
  const sub = folder(t);
  write(sub, { 'lib.ts': 'one', '.gitignore': 'no' });
  git(sub, 'init', '-q');
  commitAll(sub);
  const it = app(t, { 'mindstudio.json': '{}' });
  git(it.root, 'init', '-q');
  git(it.root, 'submodule', '--quiet', 'add', sub, 'vendor/sub');
  commitAll(it.root);
  it.write({
    'vendor/sub/lib.ts': 'two',
    'vendor/sub/no': 'x',
    'vendor/sub/new': 'x',
    'cloned/a': 'x',
  });
  git(join(it.root, 'cloned'), 'init', '-q');
  const staged = await it.stage();
  assert.deepEqual(names(staged), [
    '.gitmodules',
    'cloned/a',
    'mindstudio.json',
    'vendor/sub/.gitignore',
    'vendor/sub/lib.ts',
    'vendor/sub/new',
  ]);
  const committed = await it.stage({ commit: 'HEAD' });
  assert.deepEqual(names(committed), [
    '.gitmodules',
    'mindstudio.json',
    'vendor/sub/.gitignore',
    'vendor/sub/lib.ts',
  ]);
  assert.equal(readFileSync(join(committed.out, 'source/vendor/sub/lib.ts'), 'utf8'), 'one');

  git(it.root, 'submodule', '--quiet', 'deinit', '-f', 'vendor/sub');
  const without = await it.stage();
  assert.deepEqual(names(without), ['.gitmodules', 'cloned/a', 'mindstudio.json']);
  assert.match(
    without.warnings.join(),
    /vendor\/sub is a submodule that is not checked out.*git submodule update --init/,
  );
  await assert.rejects(
    it.stage({ commit: 'HEAD' }),
    /vendor\/sub: is a submodule whose commit [0-9a-f]{12} is not here/,
  );
});

test('links that leave the app are refused, all by name', async (t) => {
  const it = app(t, {
    'mindstudio.json': '{}',
    'a/b': 'x',
    ok: { symlink: 'a/b' },
    'up-and-back': { symlink: '../app/a/b' },
    etc: { symlink: '/etc/passwd' },
    'a/up': { symlink: '../../outside' },
    through: { symlink: 'ok-dir/c' },
    'ok-dir': { symlink: '/tmp' },
  });
  it.write({ absolute: { symlink: join(it.root, 'a/b') } });
  await assert.rejects(it.stage(), (/** @type {any} */ error) => {
    assert.deepEqual(error.faults.map((/** @type {any} */ { file }) => file).sort(), [
      'a/up',
      'etc',
      'ok-dir',
    ]);
    assert.match(error.message, /etc: is a symlink to \/etc\/passwd, outside of the app/);
    return true;
  });
  it.write({ etc: null, 'a/up': null, 'ok-dir': null, through: null });
  const staged = await it.stage();
  assert.equal(readlinkSync(join(staged.out, 'source/absolute')), 'a/b');
  assert.equal(readlinkSync(join(staged.out, 'source/up-and-back')), 'a/b');
  // Out by another name of the app and in again: elsewhere that name may stand for something else.
  write(it.base, { alias: { symlink: 'app' } });
  it.write({ around: { symlink: '../alias/a/b' } });
  await assert.rejects(it.stage(), /around: is a symlink to \.\.\/alias\/a\/b, outside of the app/);
});

test('a link whose way leads out through another link is refused', async (t) => {
  const it = app(t, {
    'mindstudio.json': '{}',
    way: { symlink: 'node_modules/x/passwd' },
    'node_modules/x': { symlink: '/etc' },
  });
  await assert.rejects(
    it.stage(),
    /way: is a symlink to node_modules\/x\/passwd, outside of the app/,
  );
});

test('the live database, what belongs to it and the output are left out wherever they lie', async (t) => {
  const live = [
    'data/app.db',
    'data/app.db-wal',
    'data/app.db-shm',
    'data/app.db-journal',
    'data/app.db-remy/catalog.db',
  ];
  const it = app(t, {
    'mindstudio.json': '{}',
    'data/app.db.md': 'x',
    'data/app.db-remyx': 'x',
    'alias.db': { symlink: 'data/app.db' },
    ...Object.fromEntries(live.map((path) => [path, 'x'])),
    'out/app.json': 'x',
  });
  for (const path of [join(it.root, 'alias.db'), join(it.root, 'data/../alias.db')]) {
    const staged = await it.stage({ live: path, without: [join(it.root, 'out')] });
    assert.deepEqual(names(staged), ['data/app.db-remyx', 'data/app.db.md', 'mindstudio.json']);
  }
});

test('a Git LFS pointer is warned of', async (t) => {
  const it = app(t, {
    'mindstudio.json': '{}',
    'logo.png': 'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12345\n',
  });
  assert.deepEqual((await it.stage()).warnings, [
    'logo.png is a Git LFS pointer, not the file that it stands for. Run: git lfs pull',
  ]);
});

test('hashes are of the content, large files too', async (t) => {
  const big = 'x'.repeat(1_000_000);
  const it = app(t, {
    'mindstudio.json': '{}',
    a: 'same',
    b: 'same',
    big1: `${big}1`,
    big2: `${big}2`,
    exact: 'y'.repeat(65536),
  });
  const { files } = await it.stage();
  const hashes = Object.fromEntries([...files].map(([path, { hash }]) => [path, hash]));
  for (const hash of Object.values(hashes)) assert.match(hash, /^[0-9a-f]{64}$/);
  assert.equal(hashes.a, hashes.b);
  assert.equal(new Set(Object.values(hashes)).size, files.size - 1);
});

test('an aborted signal copies nothing more', async (t) => {
  const it = app(t, { 'mindstudio.json': '{}' });
  await assert.rejects(it.stage({ signal: AbortSignal.abort(new Error('no more')) }), {
    message: 'no more',
  });
});

test('the staged copy becomes equal to the source, whatever was done to it', async (t) => {
  const it = app(t, {
    'mindstudio.json': '{}',
    'a/b/c': '1',
    same: 'x',
    'file-to-folder': 'x',
    'folder-to-file/x': 'x',
    'p/package.json': '{}',
    exec: { run: 'x' },
  });
  await it.stage();
  const kept = lstatSync(join(it.tree, 'same')).ino;
  // A build writes where it likes.
  write(it.tree, {
    'a/b/c': '2',
    'generated/x.ts': 'x',
    'p/node_modules/x/index.js': 'x',
    'q/node_modules/x/index.js': 'x',
    exec: { symlink: 'same' },
  });
  it.write({ 'file-to-folder': null, 'folder-to-file': null });
  it.write({ 'file-to-folder/y': 'y', 'folder-to-file': 'z' });
  await it.stage();
  assert.equal(readFileSync(join(it.tree, 'a/b/c'), 'utf8'), '1');
  assert.equal(existsSync(join(it.tree, 'generated')), false);
  assert.equal(existsSync(join(it.tree, 'q/node_modules')), false);
  assert.equal(readFileSync(join(it.tree, 'p/node_modules/x/index.js'), 'utf8'), 'x');
  assert.equal(readFileSync(join(it.tree, 'file-to-folder/y'), 'utf8'), 'y');
  assert.equal(readFileSync(join(it.tree, 'folder-to-file'), 'utf8'), 'z');
  assert.equal(lstatSync(join(it.tree, 'exec')).isFile(), true);
  assert.equal(lstatSync(join(it.tree, 'same')).ino, kept);
  const staged = await it.stage();
  write(it.tree, { same: 'X' });
  await sync(join(staged.out, 'source'), it.tree, staged.files);
  assert.equal(readFileSync(join(it.tree, 'same'), 'utf8'), 'x');
});
