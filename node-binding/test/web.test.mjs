// @ts-check
// A web project is built by its own build, in the staged copy, when anything that it may read changed.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { install } from './steps/dependencies.js';
import { buildWeb } from './steps/web.js';
import { app, folder, tarball } from './builds.mjs';

const WEB = 'dist/interfaces/web';
const project = (
  /** @type {string} */ build,
  /** @type {import('./builds.mjs').Files} */ more = {},
) => ({
  [`${WEB}/package.json`]: JSON.stringify({ scripts: { build: 'node build.mjs' }, type: 'module' }),
  [`${WEB}/build.mjs`]: build,
  [`${WEB}/web.json`]: '{}',
  ...more,
});
const HEAD = "import { mkdirSync, readFileSync, writeFileSync, existsSync } from 'node:fs';\n";

/**
 * Stages, installs and builds; gives what was built, by path.
 * @param {import('./builds.mjs').App} it
 * @param {{ signal?: AbortSignal, also?: string[] }} [options]  `also`: other folders that are installed
 */
async function web(it, { signal, also = [] } = {}) {
  const { out, files } = await it.stage();
  const installs = new Map();
  for (const at of [WEB, ...also]) {
    if (!files.has(`${at}/package.json`)) continue;
    const installed = await install(at, {
      root: it.root,
      tree: it.tree,
      cache: it.cache,
      files,
      signal,
    });
    for (const each of installed.folders) installs.set(each, installed);
  }
  const to = join(out, 'interfaces/web');
  const result = await buildWeb({
    folder: WEB,
    settings: [`${WEB}/web.json`],
    files,
    tree: it.tree,
    cache: it.cache,
    to,
    installs,
    signal,
  });
  const paths = readdirSync(to, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name));
  const built = Object.fromEntries(
    paths.map((path) => [path.slice(to.length + 1), readFileSync(path, 'utf8')]),
  );
  assert.equal(Object.keys(built).length, result.files);
  assert.equal(
    paths.reduce((sum, path) => sum + readFileSync(path).length, 0),
    result.bytes,
  );
  return { ...result, built };
}

test('the output of the build is taken, from dist, build or out', async (t) => {
  for (const name of ['dist', 'build', 'out']) {
    const it = app(
      t,
      project(
        `${HEAD}mkdirSync('${name}/assets', { recursive: true }); writeFileSync('${name}/index.html', '<p>'); writeFileSync('${name}/assets/a.js', process.env.NODE_ENV + process.env.CI + process.env.REMY_SECRET);`,
      ),
    );
    process.env.REMY_SECRET = 'secret';
    const { built, reused } = await web(it);
    delete process.env.REMY_SECRET;
    assert.deepEqual(
      [built, reused],
      [{ 'index.html': '<p>', 'assets/a.js': 'productiontrueundefined' }, false],
    );
    assert.equal(existsSync(join(it.root, WEB, name)), false);
  }
});

test('output of before, and files that the release itself has under such a name, are not taken for it', async (t) => {
  const it = app(
    t,
    project(`${HEAD}mkdirSync('out'); writeFileSync('out/index.html', 'new');`, {
      [`${WEB}/build/helper.mjs`]: 'x',
      [`${WEB}/dist/old.html`]: 'committed',
    }),
  );
  assert.deepEqual((await web(it)).built, { 'index.html': 'new' });
  it.write({
    [`${WEB}/build.mjs`]: `${HEAD}writeFileSync('dist/index.html', 'into the committed one');`,
  });
  assert.deepEqual((await web(it)).built, {
    'index.html': 'into the committed one',
    'old.html': 'committed',
  });
  it.write({ [`${WEB}/build.mjs`]: '1;' });
  await assert.rejects(
    web(it),
    /dist\/interfaces\/web\/package\.json#\/scripts\/build: npm run build wrote nothing to dist\/, build\/, out\//,
  );
});

test('a project without a build is its files, with a warning that says which', async (t) => {
  const it = app(t, {
    [`${WEB}/web.json`]: '{}',
    [`${WEB}/index.html`]: '<p>',
    [`${WEB}/a/b.js`]: '1',
    [`${WEB}/shown.html`]: { symlink: 'index.html' },
    other: 'x',
  });
  const taken = { 'index.html': '<p>', 'a/b.js': '1', 'shown.html': '<p>' };
  const { built, warnings } = await web(it);
  assert.deepEqual(built, taken);
  assert.deepEqual(warnings, [
    `there is no ${WEB}/package.json with a script "build": the files of ${WEB} are served as they are: index.html, a/b.js, shown.html`,
  ]);
  // What tools keep there is for nobody else: a token stands in some of it.
  it.write({
    [`${WEB}/package.json`]: '{"scripts":{"dev":"x"}}',
    [`${WEB}/.npmrc`]: 'x',
    [`${WEB}/bun.lock`]: 'x',
    [`${WEB}/a/.cache/x`]: 'x',
    [`${WEB}/.well-known/x`]: 'x',
    [`${WEB}/c.js`]: '1',
  });
  const again = await web(it);
  assert.deepEqual(again.built, { ...taken, '.well-known/x': 'x', 'c.js': '1' });
  assert.deepEqual(again.warnings, [
    `${WEB}/package.json has no script "build": the files of ${WEB} are served as they are: index.html, .well-known/x, a/b.js, c.js, 1 more`,
  ]);
});

test('where there is nothing to serve, what was looked for is said', async (t) => {
  const it = app(t, {
    [`${WEB}/web.json`]: '{}',
    [`${WEB}/a.js`]: '1',
    [`${WEB}/deep/index.html`]: '<p>',
  });
  await assert.rejects(web(it), {
    code: 'build_failed',
    message:
      /dist\/interfaces\/web\/index\.html: is not there, and there is no dist\/interfaces\/web\/package\.json with a script "build": the web interface has nothing to serve\. Add this file, or a script "build" that writes to dist\/, build\/, out\//,
  });
  it.write({ [`${WEB}/package.json`]: '{"scripts":{"dev":"x"}}' });
  await assert.rejects(
    web(it),
    /index\.html: is not there, and dist\/interfaces\/web\/package\.json has no script "build"/,
  );
  it.write(project(`${HEAD}mkdirSync('dist'); writeFileSync('dist/main.js', '');`));
  for (const reused of [false, true])
    assert.deepEqual(await web(it), {
      files: 1,
      bytes: 0,
      reused,
      unsupported: [],
      warnings: [
        `the build of ${WEB} wrote no index.html: whoever opens the web interface finds nothing`,
      ],
      built: { 'main.js': '' },
    });
  it.write({
    [`${WEB}/build.mjs`]: `${HEAD}mkdirSync('dist'); writeFileSync('dist/index.html', '');`,
  });
  assert.deepEqual((await web(it)).warnings, []);
});

/**
 * A build that reads as a bundler does: what is imported, by relative paths, from the files of `src`.
 * What it read is its output.
 */
const BUNDLER = `${HEAD}import { readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
const seen = new Map();
const at = (path) => ['', '.d.ts', '.ts', '.js', '/index.ts'].map((end) => path + end).find((path) => existsSync(path) && statSync(path).isFile());
const read = (path) => {
  if (!path || seen.has(path)) return;
  const text = readFileSync(path, 'utf8');
  seen.set(path, text);
  for (const [, to] of text.matchAll(/(?:from |import |url\\()['"]?(\\.[^'")]+)/g)) read(at(join(dirname(path), to)));
};
for (const name of readdirSync('src')) read(join('src', name));
if (existsSync('tool.config.js')) await (await import('./tool.config.js')).default(read);
mkdirSync('dist', { recursive: true });
writeFileSync('dist/n', [...seen.values(), process.env.APP_TITLE ?? ''].join('\\n'));
`;

test('inputs that did not change reuse the output, those that were read build again', async (t) => {
  const it = app(t, {
    'package.json': '{}',
    'dist/methods/src/common/types.ts': 'one',
    'dist/methods/src/other.ts': "import '../deeper/x';",
    'dist/methods/deeper/x.ts': '1',
    'dist/methods/tables/t.ts': '1',
    'spec.md': '1',
    'shared/a.txt': '1',
    'shared/deep/b.txt': '1',
    ...project(BUNDLER),
    [`${WEB}/src/main.ts`]:
      "import type { T } from '../../../methods/src/common/types'; import x from '../lib/x'; const { ...rest } = x; process.env.APP_TITLE\n",
    [`${WEB}/src/page.css`]: '@import url(../../../../shared/a.txt);',
    [`${WEB}/lib/x.ts`]: '1',
  });
  /** @type {(files: import('./builds.mjs').Files, reused: boolean) => Promise<string>} */
  const step = async (files, reused) => {
    it.write(files);
    const now = await web(it);
    assert.equal(now.reused, reused, JSON.stringify(files));
    return now.built.n;
  };
  assert.match(await step({}, false), /^import type[^]*\none\n/);
  await step({}, true);
  await step({ 'spec.md': '2', 'dist/methods/tables/t.ts': '2', 'new.ts': 'x' }, true);
  assert.match(await step({ 'dist/methods/src/common/types.ts': 'two' }, false), /\ntwo\n/);
  await step({ 'dist/methods/src/common/types.ts': 'one' }, true);
  await step({ 'shared/a.txt': '2' }, false);
  await step({ 'shared/deep/b.txt': '2' }, true);
  await step({ [`${WEB}/src/new.ts`]: '' }, false);
  await step({ [`${WEB}/lib/x.ts`]: '2' }, false);
  // What an import leads to leads further.
  await step({ 'dist/methods/src/common/types.ts': "export * from '../other';" }, false);
  await step({ 'dist/methods/deeper/x.ts': '2' }, false);
  // A file that would be taken instead.
  await step({ 'dist/methods/src/common/types.d.ts': 'x' }, false);
  // Variables, whether the project names them or not: a package may, and by a part of the name.
  const names = ['APP_TITLE', 'OTHER_TITLE', '_TITLE', 'TITLE.OF', 'OLDPWD', 'SSH_TTY'];
  t.after(() => names.forEach((name) => delete process.env[name]));
  process.env.APP_TITLE = 'title';
  assert.match(await step({}, false), /title$/);
  for (const name of ['OTHER_TITLE', '_TITLE', 'TITLE.OF']) {
    process.env[name] = 'other';
    await step({}, false);
  }
  // But for those that say where a build is called, and from which terminal.
  process.env.OLDPWD = '/x';
  process.env.SSH_TTY = '/dev/pts/7';
  await step({}, true);
  // A path that no text has, and a folder that is listed: what is read counts, and what is not does not.
  const tool = (/** @type {string} */ code) => ({
    [`${WEB}/tool.config.js`]: `import { readdirSync } from 'node:fs';\nexport default (read) => { ${code} };`,
  });
  await step(tool("read(['..', '..', '..', 'spec.md'].join('/'))"), false);
  assert.match(await step({ 'spec.md': '3 is new' }, false), /3 is new/);
  await step({ 'shared/deep/b.txt': '3' }, true);
  const all =
    "for (const name of readdirSync('../../../shared/deep')) read('../../../shared/deep/' + name)";
  await step(tool(all), false);
  assert.match(await step({ 'shared/deep/b.txt': '4 is new' }, false), /4 is new/);
  assert.match(await step({ 'shared/deep/c.txt': '5 is new' }, false), /5 is new/);
  await step({ 'shared/other.txt': 'x' }, true);
  // What was built of the same before is the page again.
  assert.doesNotMatch(await step({ 'shared/deep/c.txt': null }, true), /5 is new/);
});

test('what is found without a path that goes up counts: siblings of a workspace, packages, settings above, variables of any name', async (t) => {
  const it = app(t, {
    'package.json': '{"private":true,"workspaces":["packages/*","dist/interfaces/web"]}',
    'packages/ui/package.json': '{"name":"ui","version":"1.0.0","type":"module","main":"i.js"}',
    'packages/ui/i.js': '1',
    'packages/other/package.json': '{"name":"other","version":"1.0.0"}',
    'packages/other/i.js': '1',
    'dist/methods/package.json': '{}',
    'dist/methods/types.ts': "export * from './more';",
    'dist/methods/more.ts': '1',
    'dist/methods/run.ts': '1',
    ...project(`import 'ui';\n${BUNDLER}`),
    [`${WEB}/package.json`]: JSON.stringify({
      type: 'module',
      scripts: { build: 'node build.mjs' },
      dependencies: { ui: '1.0.0' },
    }),
    [`${WEB}/src/main.ts`]: "import { label } from 'ui'; const { Title } = process.env;",
  });
  const step = async (
    /** @type {import('./builds.mjs').Files} */ files,
    /** @type {boolean} */ reused,
  ) => {
    it.write(files);
    assert.equal((await web(it, { also: ['dist/methods'] })).reused, reused, JSON.stringify(files));
  };
  await step({}, false);
  await step({ 'packages/ui/i.js': '2' }, false);
  await step(
    {
      'packages/other/i.js': '2',
      'dist/methods/run.ts': '2',
      'dist/methods/package.json': '{"description":"x"}',
      'mindstudio.json': '{}',
    },
    true,
  );
  for (const name of ['tsconfig.json', '.browserslistrc', 'dist/postcss.config.mjs'])
    await step({ [name]: '{}' }, false);
  await step({ 'packages/other/i.js': '3', 'dist/methods/run.ts': '3' }, true);
  process.env.Title = 'prod';
  t.after(() => delete process.env.Title);
  await step({}, false);
  // Packages of the methods, once the project imports of them.
  const dependencies = { lib: 'file:../../vendor/lib.tgz' };
  tarball(it.root, 'vendor/lib.tgz', { 'package.json': '{"name":"lib","version":"1.0.0"}' });
  await step({ 'dist/methods/package.json': JSON.stringify({ dependencies }) }, true);
  await step({ [`${WEB}/src/main.ts`]: "import '../../../methods/types';" }, false);
  await step({ 'dist/methods/more.ts': '2' }, false);
  await step({ 'dist/methods/run.ts': '4' }, true);
  tarball(it.root, 'vendor/lib.tgz', { 'package.json': '{"name":"lib","version":"1.0.1"}' });
  await step({}, false);
  await step({}, true);
});

test('a file of this machine counts where the project names it by its whole path', async (t) => {
  const it = app(t, {
    'package.json': '{}',
    ...project(`${HEAD}mkdirSync('dist', { recursive: true }); writeFileSync('dist/n', '1');`),
  });
  const away = join(folder(t), 'settings.json');
  it.write({ [`${WEB}/tool.config.js`]: `export default '${away}';` });
  const reused = async () => (await web(it)).reused;
  assert.deepEqual([await reused(), await reused()], [false, true]);
  writeFileSync(away, '1');
  assert.deepEqual([await reused(), await reused()], [false, true]);
  writeFileSync(away, '2');
  assert.deepEqual([await reused(), await reused()], [false, true]);
});

test('an output that is not what was kept is built again', async (t) => {
  const it = app(t, {
    'package.json': '{}',
    ...project(`${HEAD}mkdirSync('dist/deep', { recursive: true });
writeFileSync('dist/index.html', 'page'); writeFileSync('dist/deep/x.js', 'code');`),
  });
  const built = async (/** @type {boolean} */ reused) => {
    const now = await web(it);
    assert.equal(now.reused, reused);
    assert.deepEqual(now.built, { 'index.html': 'page', 'deep/x.js': 'code' });
  };
  await built(false);
  await built(true);
  const [name] = readdirSync(join(it.cache, 'web'));
  const kept = join(it.cache, 'web', name, 'output');
  // As a power cut leaves it: as long as it was, or shorter, or not at all.
  for (const text of ['\0\0\0\0', '']) {
    writeFileSync(join(kept, 'deep/x.js'), text);
    await built(false);
    await built(true);
  }
  rmSync(join(kept, 'index.html'));
  await built(false);
  await built(true);
});

test('where a build was not seen to its end, all that texts name counts', async (t) => {
  const it = app(t, {
    'package.json': '{}',
    'spec.md': '1',
    'shared/a.txt': '1',
    'shared/deep/b.txt': '1',
    'settings/ts.json': '1',
    'dist/methods/types.ts': "export * from './more';",
    'dist/methods/more.ts': '1',
    ...project(`${HEAD}mkdirSync('dist', { recursive: true }); writeFileSync('dist/n', '');`),
    [`${WEB}/src/main.ts`]: "import type { T } from '../../../methods/types';",
    [`${WEB}/src/page.css`]: '@import url(../../../../shared/a.txt);',
  });
  const step = async (
    /** @type {import('./builds.mjs').Files} */ files,
    /** @type {boolean} */ reused,
  ) => {
    it.write(files);
    assert.equal((await web(it)).reused, reused, JSON.stringify(files));
  };
  await step({}, false);
  await step({ 'shared/a.txt': '2' }, true);
  // As a build leaves it whose process is killed.
  const history = join(it.cache, 'web-seen.json');
  writeFileSync(
    history,
    JSON.stringify({ ...JSON.parse(readFileSync(history, 'utf8')), at_work: true }),
  );
  await step({ 'package.json': '{ }' }, false);
  await step({ 'shared/a.txt': '3' }, false);
  await step({ 'shared/deep/b.txt': '2', 'spec.md': '2', 'new.ts': 'x' }, true);
  await step({ 'dist/methods/more.ts': '2' }, false);
  await step({ [`${WEB}/tool.config.js`]: "resolve('../../../shared')" }, false);
  await step({ 'shared/deep/b.txt': '3' }, false);
  await step({ 'spec.md': '3' }, true);
  await step({ 'tsconfig.json': '{"extends":"./settings/ts","outDir":"./dist"}' }, false);
  await step({ 'settings/ts.json': '2' }, false);
  await step({ [`${WEB}/tool.config.js`]: "resolve(__dirname, '..', '..', name)" }, false);
  await step({ 'spec.md': '4' }, false);
  await step({}, true);
});

/**
 * An app as the platform's scaffold makes it: `tsc -b` checks the methods with the page.
 * @param {import('./builds.mjs').Files} more
 */
const scaffold = (more) => ({
  'mindstudio.json': '{}',
  'dist/methods/package.json': '{"private":true}',
  'dist/methods/src/list.ts': 'export const list = async () => 1;',
  'dist/methods/src/common/labels.ts': "export const label: string = 'first label';",
  'dist/methods/src/common/types.ts': 'export interface Vendor { name: string }',
  [`${WEB}/package.json`]: JSON.stringify({
    type: 'module',
    scripts: { build: 'tsc -b && bundle' },
    dependencies: { bundle: 'file:../../../vendor/bundle.tgz' },
  }),
  [`${WEB}/tsconfig.json`]: '{"files":[],"references":[{"path":"./tsconfig.app.json"}]}',
  [`${WEB}/tsconfig.app.json`]: '{"include":["src","../../methods/src"]}',
  [`${WEB}/web.json`]: '{}',
  [`${WEB}/src/main.ts`]:
    "import { label } from '../../../methods/src/common/labels'; import type { Vendor } from '../../../methods/src/common/types';\n",
  ...more,
});

/**
 * The packages of it: a type check that reads all that is included, and a bundler.
 * @param {string} root
 * @param {{ check?: string }} [more] what the check does besides
 */
function tools(root, { check = '' } = {}) {
  const walk = `import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
const walk = (at) => readdirSync(at, { withFileTypes: true }).forEach((entry) => entry.isDirectory() ? walk(at + '/' + entry.name) : readFileSync(at + '/' + entry.name));
mkdirSync('node_modules/.tmp', { recursive: true });
writeFileSync('node_modules/.tmp/tsconfig.app.tsbuildinfo', String(Date.now()));
`;
  tarball(root, 'vendor/bundle.tgz', {
    'package.json': JSON.stringify({
      name: 'bundle',
      version: '1.0.0',
      type: 'module',
      bin: { tsc: 'tsc.mjs', bundle: 'bundle.mjs' },
    }),
    'tsc.mjs': {
      run: `#!/usr/bin/env node\n${walk}walk('src'); walk('../../methods/src');\n${check}`,
    },
    // Types are erased before a bundler follows imports.
    'bundle.mjs': {
      run: `#!/usr/bin/env node\n${BUNDLER.replace("readFileSync(path, 'utf8')", "readFileSync(path, 'utf8').replace(/import type .*/g, '')")}`,
    },
  });
}

test('a method that a type check reads, and no page, does not build the page again', async (t) => {
  const it = app(t, scaffold({}));
  tools(it.root);
  const step = async (
    /** @type {import('./builds.mjs').Files} */ files,
    /** @type {boolean} */ reused,
  ) => {
    it.write(files);
    const now = await web(it, { also: ['dist/methods'] });
    assert.equal(now.reused, reused, JSON.stringify(files));
    return now.built.n;
  };
  assert.match(await step({}, false), /first label/);
  await step({}, true);
  await step({ 'dist/methods/src/list.ts': 'export const list = async () => 2;' }, true);
  // What the page imports is in the page, and what it imports of types is checked with it.
  const labels = "export const label: string = 'second label';";
  assert.match(await step({ 'dist/methods/src/common/labels.ts': labels }, false), /second label/);
  await step({ 'dist/methods/src/common/types.ts': 'export interface Vendor {}' }, false);
  await step({ 'dist/methods/src/list.ts': 'export const list = async () => 3;' }, true);
  // What another import leads to counts from then on.
  const more = `import './deeper'; ${labels}`;
  await step(
    { 'dist/methods/src/common/labels.ts': more, 'dist/methods/src/common/deeper.ts': 'one' },
    false,
  );
  assert.match(
    await step({ 'dist/methods/src/common/deeper.ts': 'two is new' }, false),
    /two is new/,
  );
  await step({ [`${WEB}/tsconfig.app.json`]: '{"include":["src","../../methods"]}' }, false);
});

test('a type check that writes what a page may read is an input of the page', async (t) => {
  for (const check of [
    "writeFileSync('src/made.ts', readFileSync('../../methods/src/list.ts'));",
    "writeFileSync('node_modules/made.js', readFileSync('../../methods/src/list.ts'));",
  ]) {
    const it = app(t, scaffold({}));
    tools(it.root, { check });
    assert.equal((await web(it)).reused, false);
    assert.equal((await web(it)).reused, true);
    it.write({ 'dist/methods/src/list.ts': 'export const list = async () => 2;' });
    assert.equal((await web(it)).reused, false, check);
  }
});

test('a page is not stale where a tool keeps what it read, and does not read it again', async (t) => {
  // As webpack's cache does: a file of the same time is not opened.
  const it = app(t, {
    'shared/a.txt': 'a',
    'shared/b.txt': 'b',
    ...project(`${HEAD}import { statSync } from 'node:fs';
const kept = 'node_modules/.cache.json';
const cache = existsSync(kept) ? JSON.parse(readFileSync(kept, 'utf8')) : {};
for (const name of ['a', 'b']) {
  const path = ['..', '..', '..', 'shared', name + '.txt'].join('/');
  const time = statSync(path).mtimeMs;
  if (cache[name]?.time !== time) cache[name] = { time, text: readFileSync(path, 'utf8') };
}
writeFileSync(kept, JSON.stringify(cache));
mkdirSync('dist'); writeFileSync('dist/n', cache.a.text + cache.b.text);`),
  });
  assert.equal((await web(it)).built.n, 'ab');
  it.write({ 'shared/a.txt': 'A' });
  assert.equal((await web(it)).built.n, 'Ab');
  it.write({ 'shared/b.txt': 'B' });
  assert.equal((await web(it)).built.n, 'AB');
});

test('what a build reads of a package that is a folder of the app, and through a link, counts', async (t) => {
  const it = app(t, {
    'common/package.json': '{"name":"common","version":"1.0.0","type":"module","main":"i.js"}',
    'common/i.js':
      "import { readFileSync } from 'node:fs'; export default readFileSync(import.meta.dirname + '/text', 'utf8');",
    'common/text': 'one',
    'far/data': 'data',
    'other/data': 'other',
    linked: { symlink: 'far' },
    ...project(
      `import text from 'common';\n${HEAD}mkdirSync('dist'); writeFileSync('dist/n', text + readFileSync(['..', '..', '..', 'linked/data'].join('/'), 'utf8'));`,
    ),
  });
  it.write({
    [`${WEB}/package.json`]: JSON.stringify({
      type: 'module',
      scripts: { build: 'node build.mjs' },
      dependencies: { common: 'file:../../../common' },
    }),
  });
  const step = async (
    /** @type {import('./builds.mjs').Files} */ files,
    /** @type {string} */ built,
  ) => {
    it.write(files);
    const now = await web(it);
    assert.deepEqual([now.built.n, now.reused], [built, false], JSON.stringify(files));
    assert.equal((await web(it)).reused, true);
  };
  await step({}, 'onedata');
  await step({ 'common/text': 'two' }, 'twodata');
  await step({ 'far/data': 'DATA' }, 'twoDATA');
  await step({ linked: { symlink: 'other' } }, 'twoother');
});

test("the interface SDK is in the project's packages", async (t) => {
  const it = app(
    t,
    project(
      "import { createClient, platform } from '@mindstudio-ai/interface'; import { createVoiceClient } from '@mindstudio-ai/interface/voice';\nimport { mkdirSync, writeFileSync } from 'node:fs'; mkdirSync('dist'); writeFileSync('dist/x', [typeof createClient, typeof createVoiceClient, await platform.requestFile().catch((e) => e.code)].join());",
    ),
  );
  it.write({
    [`${WEB}/package.json`]: JSON.stringify({
      type: 'module',
      scripts: { build: 'node build.mjs' },
      dependencies: { '@mindstudio-ai/interface': '^0.1.0' },
    }),
  });
  assert.deepEqual((await web(it)).built, { x: 'function,function,not_supported' });
});

test('a name that the SDK does not have links, and is told of', async (t) => {
  const it = app(
    t,
    project(
      [
        "import { createClient, unheardOf, type Nothing as None, default as all } from '@mindstudio-ai/interface';",
        "import nobody, { also as other } from '@mindstudio-ai/interface/voice';",
        "// import { gone } from '@mindstudio-ai/interface';",
        "export { passed } from '@mindstudio-ai/interface';",
        "import { mkdirSync, writeFileSync } from 'node:fs';",
        'const of = (f) => { try { f(); } catch (e) { return [e.name, e.code]; } };',
        "mkdirSync('dist'); writeFileSync('dist/x', JSON.stringify([typeof createClient, of(() => unheardOf.deep()), of(() => new other()), of(() => all()), of(nobody)]));",
      ]
        .join('\n')
        .replace('type Nothing as None, ', ''),
    ),
  );
  it.write({
    [`${WEB}/types.ts`]:
      "import type { Nothing, Thread } from '@mindstudio-ai/interface';\nimport { type Odd, events } from \"@mindstudio-ai/interface\";\nimport type Whole from '@mindstudio-ai/interface';",
  });
  const refused = ['MindStudioInterfaceError', 'not_supported'];
  const names = ['Nothing', 'Odd', 'default', 'passed', 'unheardOf'].map((name) => ({
    module: '@mindstudio-ai/interface',
    name,
  }));
  names.push(
    ...['also', 'default'].map((name) => ({ module: '@mindstudio-ai/interface/voice', name })),
  );
  for (const reused of [false, true]) {
    const now = await web(it);
    assert.deepEqual(
      [now.reused, JSON.parse(now.built.x), now.unsupported],
      [reused, ['function', refused, refused, refused, refused], names],
    );
  }
  // A name that is not asked for any more is not there any more.
  it.write(
    project(
      "import * as sdk from '@mindstudio-ai/interface';\nimport { mkdirSync, writeFileSync } from 'node:fs'; mkdirSync('dist'); writeFileSync('dist/x', String('unheardOf' in sdk));",
      { [`${WEB}/types.ts`]: '' },
    ),
  );
  const now = await web(it);
  assert.deepEqual([now.built.x, now.unsupported], ['false', []]);
});

test('a build that fails says how, and with what output', async (t) => {
  const it = app(
    t,
    project(
      "console.log('on stdout'); console.error('\\u001b[31mthe reason\\u001b[0m'); process.exit(7);",
    ),
  );
  await assert.rejects(web(it), (/** @type {any} */ error) => {
    assert.equal(error.code, 'build_failed');
    assert.deepEqual(
      error.faults.map((/** @type {any} */ { file, pointer }) => file + pointer),
      [`${WEB}/package.json/scripts/build`],
    );
    assert.match(error.message, /npm run build ended with status 7\n[^]*on stdout\s+the reason/);
    return true;
  });
  // It is not taken for built.
  await assert.rejects(web(it), /status 7/);
  it.write({ [`${WEB}/build.mjs`]: "process.kill(process.pid, 'SIGKILL');" });
  await assert.rejects(web(it), /npm run build (ended with status|was ended by)/);
  it.write({
    [`${WEB}/build.mjs`]:
      "for (let i = 0; i < 5000; i++) console.log('x'.repeat(100)); console.log('the end'); process.exitCode = 1;",
  });
  await assert.rejects(
    web(it),
    (/** @type {any} */ error) =>
      error.message.includes('the end') && error.message.length < 20_000,
  );
});

/**
 * Whether a process is there (and no zombie).
 * @param {string} pid
 */
function runs(pid) {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

/** @param {string} pid */
async function gone(pid) {
  for (let tries = 0; tries < 100; tries++) {
    if (!runs(pid)) return;
    await new Promise((later) => setTimeout(later, 50));
  }
  assert.fail(`process ${pid} runs still`);
}

test(
  'what a build leaves running is ended, and does not hold it up',
  { timeout: 30_000 },
  async (t) => {
    const pids = join(folder(t), 'pids');
    const it = app(
      t,
      project(`${HEAD}import { spawn } from 'node:child_process';
const child = spawn(process.execPath, ['-e', 'process.on("SIGTERM", () => {}); setInterval(() => {}, 50)'], { stdio: 'inherit' }); child.unref();
mkdirSync('dist'); writeFileSync('dist/x', ''); writeFileSync(${JSON.stringify(pids)}, String(child.pid)); process.exit(0);`),
    );
    assert.equal((await web(it)).files, 1);
    await gone(readFileSync(pids, 'utf8'));
  },
);

test(
  'a build ends with the process that began it, however that ends',
  { timeout: 60_000 },
  async (t) => {
    const pids = join(folder(t), 'pids');
    const it = app(
      t,
      project(`${HEAD}import { spawn } from 'node:child_process';
process.on('SIGTERM', () => {});
const child = spawn(process.execPath, ['-e', 'process.on("SIGTERM", () => {}); setInterval(() => {}, 50)'], { stdio: 'inherit' });
writeFileSync(${JSON.stringify(pids)}, process.pid + ' ' + child.pid); setInterval(() => {}, 50);`),
    );
    const { files, out } = await it.stage();
    const installed = await install(WEB, { root: it.root, tree: it.tree, cache: it.cache, files });
    const what = { folder: WEB, tree: it.tree, cache: it.cache, to: join(out, 'web') };
    const code = `import { buildWeb } from ${JSON.stringify(new URL('./steps/web.js', import.meta.url).href)};
    const given = ${JSON.stringify({ files: [...files], installs: [[WEB, installed]] })};
    await buildWeb({ ...${JSON.stringify(what)}, files: new Map(given.files), installs: new Map(given.installs) });`;
    for (const how of /** @type {const} */ (['SIGKILL', 'SIGTERM'])) {
      rmSync(pids, { force: true });
      const child = spawn(process.execPath, ['--input-type=module', '-e', code], {
        stdio: 'ignore',
      });
      while (!existsSync(pids) || !readFileSync(pids, 'utf8'))
        await new Promise((later) => setTimeout(later, 20));
      child.kill(how);
      for (const pid of readFileSync(pids, 'utf8').split(' ')) await gone(pid);
    }
  },
);

test(
  'a build that is called off is ended with all that it started',
  { timeout: 30_000 },
  async (t) => {
    const pids = join(folder(t), 'pids');
    const it = app(
      t,
      project(`${HEAD}import { spawn } from 'node:child_process';
process.on('SIGTERM', () => {});
const child = spawn(process.execPath, ['-e', 'process.on("SIGTERM", () => {}); setInterval(() => {}, 50)'], { stdio: 'inherit' });
writeFileSync(${JSON.stringify(pids)}, process.pid + ' ' + child.pid); setInterval(() => {}, 50);`),
    );
    const controller = new AbortController();
    const built = web(it, { signal: controller.signal });
    while (!existsSync(pids)) await new Promise((later) => setTimeout(later, 20));
    controller.abort(new Error('no more'));
    await assert.rejects(built, { message: 'no more' });
    for (const pid of readFileSync(pids, 'utf8').split(' ')) await gone(pid);
    assert.deepEqual(readdirSync(it.cache).includes('web'), false);
  },
);

test(
  'a project built by Vite, with types from the methods (needs the registry)',
  { timeout: 180_000 },
  async (t) => {
    const it = app(t, {
      'dist/methods/src/common/types.ts':
        "import { db } from '@mindstudio-ai/agent';\nexport interface Vendor { name: string }\nexport const Vendors = db.defineTable<Vendor>('vendors', { defaults: { name: 'x' } });\nexport const kinds = ['a', 'b'] as const;",
      'dist/methods/package.json': JSON.stringify({
        dependencies: { '@mindstudio-ai/agent': '*' },
      }),
      [`${WEB}/package.json`]: JSON.stringify({
        type: 'module',
        scripts: { build: 'tsc --noEmit && vite build' },
        dependencies: { '@mindstudio-ai/interface': '^0.1' },
        devDependencies: { vite: '^6.0.0', typescript: '5.9.3' },
      }),
      [`${WEB}/index.html`]: '<div id="x"></div><script type="module" src="/src/main.ts"></script>',
      [`${WEB}/tsconfig.json`]: JSON.stringify({
        compilerOptions: {
          strict: true,
          module: 'esnext',
          moduleResolution: 'bundler',
          target: 'es2022',
          lib: ['es2022', 'dom'],
          types: [],
        },
        include: ['src'],
      }),
      [`${WEB}/src/main.ts`]:
        "import { createClient, auth } from '@mindstudio-ai/interface';\nimport { createVoiceClient } from '@mindstudio-ai/interface/voice';\nimport type { Vendor } from '../../../methods/src/common/types';\nconst api = createClient<{ list(input: { page: number }): Promise<{ vendors: Vendor[] }> }>();\nvoid api.list({ page: 1 }).then(({ vendors }) => document.body.append(vendors[0].name, auth.currentUser?.name ?? '', String(createVoiceClient)));\n",
      [`${WEB}/web.json`]: '{}',
    });
    const { files } = await it.stage();
    await install('dist/methods', { root: it.root, tree: it.tree, cache: it.cache, files });
    const first = await web(it);
    assert(Object.keys(first.built).includes('index.html'), Object.keys(first.built).join());
    assert(Object.values(first.built).some((text) => text.includes('/_/methods/')));
    assert.equal((await web(it)).reused, true);
    it.write({
      [`${WEB}/src/main.ts`]:
        "import type { Vendor } from '../../../methods/src/common/types';\nexport const x: Vendor = { nam: '' };\n",
    });
    await assert.rejects(web(it), /src\/main\.ts.*TS2561|error TS/);
  },
);

test(
  'a page that Vite makes is never stale, and no method that it does not read makes it again (needs the registry)',
  { timeout: 400_000 },
  async (t) => {
    const it = app(t, {
      'mindstudio.json': '{}',
      'package.json': '{"private":true}',
      'dist/methods/package.json': '{"private":true,"dependencies":{"@mindstudio-ai/agent":"*"}}',
      'dist/methods/src/list.ts':
        "import { db } from '@mindstudio-ai/agent';\nexport const list = async () => [db, 'no page has this'];",
      'dist/methods/src/common/labels.ts':
        "export { deep } from './deep';\nexport const label = 'label 1';",
      'dist/methods/src/common/deep.ts': "export const deep = 'deep 1';",
      'dist/methods/src/common/types.ts': 'export interface Vendor { name: string }',
      'shared/alias.ts': "export const aliased = 'alias 1';",
      'shared/texts/one.txt': 'text 1',
      'shared/other/one.txt': 'no page has this',
      'common/package.json': '{"name":"common","version":"1.0.0","type":"module","main":"i.js"}',
      'common/i.js': "export const common = 'common 1';",
      [`${WEB}/package.json`]: JSON.stringify({
        type: 'module',
        scripts: { build: 'tsc -b && vite build' },
        dependencies: { '@mindstudio-ai/interface': '*', common: 'file:../../../common' },
        devDependencies: { vite: '^8.0.0', typescript: '5.9.3' },
      }),
      [`${WEB}/index.html`]: '<div id="x"></div><script type="module" src="/src/main.ts"></script>',
      [`${WEB}/public/robots.txt`]: 'robots 1',
      [`${WEB}/tsconfig.json`]: '{"files":[],"references":[{"path":"./tsconfig.app.json"}]}',
      [`${WEB}/tsconfig.app.json`]: JSON.stringify({
        compilerOptions: {
          strict: true,
          noEmit: true,
          tsBuildInfoFile: './node_modules/.tmp/tsconfig.app.tsbuildinfo',
          module: 'esnext',
          moduleResolution: 'bundler',
          target: 'es2022',
          lib: ['es2022', 'dom'],
          types: ['vite/client'],
          allowJs: true,
          paths: { '@shared/*': ['../../../shared/*'] },
        },
        include: ['src', '../../methods/src'],
      }),
      [`${WEB}/vite.config.ts`]:
        "import { fileURLToPath } from 'node:url';\nexport default { define: { SET: '\"set 1\"' }, build: { modulePreload: false }, resolve: { alias: { '@shared': fileURLToPath(new URL('../../../shared', import.meta.url)) } } };",
      [`${WEB}/src/main.ts`]: `import { createClient } from '@mindstudio-ai/interface';
import { aliased } from '@shared/alias';
import { common } from 'common';
import { deep, label } from '../../../methods/src/common/labels';
import type { Vendor } from '../../../methods/src/common/types';
declare const SET: string;
const texts = import.meta.glob('../../../../shared/texts/*.txt', { query: '?raw', import: 'default', eager: true });
const vendor: Vendor = { name: 'vendor' };
document.body.append(aliased, common, deep, label, SET, vendor.name, JSON.stringify(texts), import.meta.env.VITE_TITLE, String(createClient));
`,
      [`${WEB}/web.json`]: '{}',
    });
    const build = async (/** @type {import('./builds.mjs').Files} */ files = {}) => {
      it.write(files);
      const began = performance.now();
      const { built, reused } = await web(it, { also: ['dist/methods'] });
      const page = Object.values(built).join('\n');
      t.diagnostic(
        `${Object.keys(files)}: ${Math.round(performance.now() - began)} ms, ${reused ? 'reused' : 'built'}`,
      );
      return { page, reused };
    };
    process.env.VITE_TITLE = 'title 1';
    t.after(() => delete process.env.VITE_TITLE);
    const first = await build();
    for (const text of ['alias', 'common', 'deep', 'label', 'set', 'text', 'title', 'robots'])
      assert(first.page.includes(`${text} 1`), text);
    const methods = 'dist/methods/src';
    const same = {
      [`${methods}/list.ts`]: "export const list = async () => 'another';",
      'shared/other/one.txt': 'another',
    };
    assert.equal((await build()).reused, true);
    assert.equal((await build(same)).reused, true, 'a method that the page does not read');
    /** @type {[import('./builds.mjs').Files, string][]} */
    const changes = [
      [{ 'shared/alias.ts': "export const aliased = 'alias 2';" }, 'alias 2'],
      [{ 'common/i.js': "export const common = 'common 2';" }, 'common 2'],
      [{ [`${methods}/common/deep.ts`]: "export const deep = 'deep 2';" }, 'deep 2'],
      [{ 'shared/texts/one.txt': 'text 2' }, 'text 2'],
      [{ 'shared/texts/two.txt': 'text 3' }, 'text 3'],
      [{ [`${WEB}/public/robots.txt`]: 'robots 2' }, 'robots 2'],
      [
        {
          [`${WEB}/vite.config.ts`]: readFileSync(
            join(it.root, WEB, 'vite.config.ts'),
            'utf8',
          ).replace('set 1', 'set 2'),
        },
        'set 2',
      ],
    ];
    for (const [files, text] of changes) {
      const now = await build(files);
      assert.deepEqual([now.reused, now.page.includes(text)], [false, true], text);
    }
    process.env.VITE_TITLE = 'title 2';
    assert((await build()).page.includes('title 2'));
    // What comes to stand before what was found.
    const before = {
      [`${methods}/common/labels.mjs`]:
        "export const deep = 'deep 3'; export const label = 'label 3';",
    };
    assert.equal((await build(before)).reused, false);
    assert.equal(
      (await build({ [`${methods}/list.ts`]: 'export const list = async () => 3;' })).reused,
      true,
    );
    // Types that the page names are checked with it.
    it.write({ [`${methods}/common/types.ts`]: 'export interface Vendor { name: number }' });
    await assert.rejects(build(), /src\/main\.ts.*error TS2322/);
  },
);
