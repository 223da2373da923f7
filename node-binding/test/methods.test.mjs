// @ts-check
// Methods become self-contained files, and what did not change is not compiled again.
import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { step } from './steps/step.js';
import { app, call, tarball, write } from './builds.mjs';

const method = (/** @type {string} */ body, head = '') =>
  `${head}export async function run(input: { n?: number } = {}) { ${body} }\n`;
const faults =
  (/** @type {(faults: import('./steps/faults.js').Fault[], message: string) => void} */ check) =>
  (/** @type {any} */ error) => {
    assert.equal(error.code, 'build_failed');
    check(error.faults, error.message);
    return true;
  };

test('a method is one file that runs anywhere, with all that it imports', async (t) => {
  const it = app(t, {
    'm/a.ts': method(
      "return [double(input.n ?? 0), data.deep.value, text, aliased, (await import('./lazy')).lazy, os.EOL, enabled]",
      [
        "import { double } from './common/math.js'; import data from './data.json'; import text from './note.txt'; import { aliased } from '@lib/alias';",
        "import * as os from 'node:os'; import { enabled } from './common';\n",
      ].join('\n'),
    ),
    'm/common/math.ts': 'export const double = (n: number): number => n * 2;\n',
    'm/common/index.ts': 'export enum E { Yes = 1 }\nexport const enabled = E.Yes;\n',
    'm/data.json': '{"deep":{"value":7}}',
    'm/note.txt': 'a text',
    'm/lazy.ts': 'export const lazy = "late";',
    'lib/alias.ts': 'export const aliased = "by tsconfig";',
    'tsconfig.json': '{"compilerOptions":{"paths":{"@lib/*":["./lib/*"]}}}',
    'm/b.ts': method('return 1'),
    'm/two.ts':
      'export const first = async () => 1;\nexport default async () => 2;\nexport const $third = async () => 3;',
  });
  const { out, compiled } = await it.compile({
    a: 'm/a.ts#run',
    b: 'm/b.ts#run',
    'first-one': 'm/two.ts#first',
    second: 'm/two.ts#default',
    third: 'm/two.ts#$third',
  });
  assert.deepEqual(
    compiled.map(({ id, file, reused, warnings }) => ({ id, file, reused, warnings }))[2],
    { id: 'first-one', file: 'methods/first-one.mjs', reused: false, warnings: [] },
  );
  assert.deepEqual(
    readdirSync(join(out, 'methods')).sort(),
    ['a', 'b', 'first-one', 'second', 'third']
      .flatMap((id) => [`${id}.mjs`, `${id}.mjs.map`])
      .sort(),
  );
  assert.deepEqual(call(out, 'a', 'run', { n: 21 }), [
    42,
    7,
    'a text',
    'by tsconfig',
    'late',
    '\n',
    1,
  ]);
  assert.deepEqual(
    [call(out, 'first-one', 'first'), call(out, 'second', 'default'), call(out, 'third', '$third')],
    [1, 2, 3],
  );
  for (const { id, bytes } of compiled)
    assert.equal(readFileSync(join(out, `methods/${id}.mjs`)).length, bytes);
  const map = JSON.parse(readFileSync(join(out, 'methods/a.mjs.map'), 'utf8'));
  assert(
    map.sources.includes('../source/m/a.ts') && map.sources.includes('../source/lib/alias.ts'),
    map.sources.join(),
  );
  for (const source of map.sources) assert(existsSync(join(out, 'methods', source)), source);
  assert.doesNotMatch(readFileSync(join(out, 'methods/a.mjs'), 'utf8'), new RegExp(it.base));
});

test('app code that names require itself', async (t) => {
  const it = app(t, {
    'm/a.ts':
      "import { createRequire } from 'module';\nconst require = createRequire('/');\nexport const run = async () => require('node:path').sep;",
  });
  const { out } = await it.compile({ a: 'm/a.ts#run' });
  assert.equal(call(out, 'a', 'run'), '/');
});

test('all that is wrong with all methods is told at once, with file, line, column and the line', async (t) => {
  const it = app(t, {
    'm/syntax.ts': 'export async function run() {\n\tconst é = 1; return é +;\n}\n',
    'm/import.ts':
      "import x from './nowhere';\nimport y from 'no-package';\nexport const run = async () => [x, y];",
    'm/export.ts': 'export async function submitVendor() {}\nexport const other = 1;',
    'm/none.ts': 'const x = 1;',
    'm/named.ts': "import { missing } from './export';\nexport const run = async () => missing;",
    'm/good.ts': method('return 1'),
    'm/json.ts': "import x from './bad.json';\nexport const run = async () => x;",
    'm/bad.json': '{ "a": }',
    'package.json': '{}',
  });
  await assert.rejects(
    it.compile({
      syntax: 'm/syntax.ts#run',
      import: 'm/import.ts#run',
      named: 'm/named.ts#run',
      json: 'm/json.ts#run',
      good: 'm/good.ts#run',
      gone: 'm/gone.ts#run',
      wrong: 'm/good.ts#ran',
    }),
    faults((faults, message) => {
      const places = faults.map(({ file, line, column }) => `${file}:${line}:${column}`).sort();
      assert.deepEqual(places, [
        'm/bad.json:1:8',
        'm/gone.ts:undefined:undefined',
        'm/good.ts:undefined:undefined',
        'm/import.ts:1:15',
        'm/import.ts:2:15',
        'm/named.ts:1:10',
        'm/syntax.ts:2:25',
      ]);
      assert.match(
        message,
        /m\/syntax\.ts:2:25: Unexpected ";"\n\s+\tconst é = 1; return é \+;\n\s+\t +\^/,
      );
      assert.match(
        message,
        /m\/import\.ts:1:15: Could not resolve "\.\/nowhere"\. Correct the path\n/,
      );
      assert.match(
        message,
        /m\/import\.ts:2:15: Could not resolve "no-package"\. Add the package to package\.json, or correct the path\n/,
      );
      assert.match(message, /m\/gone\.ts: is not among the release's files \(method gone\)/);
    }),
  );
  await assert.rejects(
    it.compile({
      'submit-vendor': 'm/export.ts#submitVendr',
      none: 'm/none.ts#run',
      good: 'm/good.ts#run',
    }),
    faults((faults) => {
      assert.deepEqual(
        faults.map(({ file, message }) => `${file} ${message}`),
        [
          'm/export.ts has no export submitVendr (method submit-vendor): it exports other, submitVendor. Did you mean submitVendor?',
          'm/none.ts has no export run (method none): it exports nothing',
        ],
      );
    }),
  );
  // A failure leaves nothing behind that a later build would take for compiled.
  const { by } = await it.compile({ good: 'm/good.ts#run' });
  assert.equal(by.good.reused, false);
});

test('an export that is no function is refused where it stands; one that may be is published', async (t) => {
  const it = app(t, {
    'm/package.json': '{"dependencies":{"far":"file:../far"}}',
    'far/package.json': '{"name":"far","version":"1.0.0","main":"i.js"}',
    'far/i.js': 'exports.far = async () => "far";',
    'm/list.ts': 'export const other = 1;\n\n\texport const list = [1, 2] as const;',
    'm/class.ts': 'export class Do {}',
    'm/again.ts': "export { settings as again } from './sub/settings';",
    'm/sub/settings.ts': '// what it is\nexport const settings = { a: 1 };',
    'm/wrap.ts': 'const wrap = <T,>(of: T) => of;\nexport const run = wrap(async () => "wrapped");',
    'm/far.ts': "export { far as run } from 'far';",
    'm/late.ts': 'export let run: any = null;\nrun = async () => "late";',
    'm/sync.ts': 'export function run() { return "sync"; }',
  });
  const good = {
    wrap: 'm/wrap.ts#run',
    far: 'm/far.ts#run',
    late: 'm/late.ts#run',
    sync: 'm/sync.ts#run',
  };
  await assert.rejects(
    it.compile({
      ...good,
      list: 'm/list.ts#list',
      class: 'm/class.ts#Do',
      again: 'm/again.ts#again',
      gone: 'm/sync.ts#gone',
    }),
    faults((faults, message) => {
      assert.deepEqual(
        faults.map(({ file, line, column, source }) => [file, line, column, source]),
        [
          ['m/class.ts', 1, 8, 'export class Do {}'],
          ['m/list.ts', 3, 22, '\texport const list = [1, 2] as const;'],
          ['m/sub/settings.ts', 2, 25, 'export const settings = { a: 1 };'],
          ['m/sync.ts', undefined, undefined, undefined],
        ],
      );
      assert.match(
        message,
        /m\/list\.ts:3:22: list is a list, no function: a method is an async function that its file exports by this name \(method list\)\n/,
      );
    }),
  );
  const { out } = await it.compile(good);
  for (const [id, said] of [
    ['wrap', 'wrapped'],
    ['far', 'far'],
    ['late', 'late'],
    ['sync', 'sync'],
  ])
    assert.equal(call(out, id, 'run'), said);
});

test('types are not checked', async (t) => {
  const it = app(t, {
    'm/a.ts': 'export const run = async (): Promise<string> => (1 as number) satisfies string;',
  });
  assert.equal(call((await it.compile({ a: 'm/a.ts#run' })).out, 'a', 'run'), 1);
});

test("the SDK is remy's own, under all of its names", async (t) => {
  const it = app(t, {
    'm/table.ts':
      "import { db } from '@mindstudio-ai/agent';\nexport const Vendors = db.defineTable<{ name: string }>('vendors', { unique: [['name']] });",
    'm/a.ts':
      "import { auth, Roles, MindStudioError, User } from '@mindstudio-ai/agent';\nimport * as sdk from '@mindstudio-ai/agent/anything';\nimport { Vendors } from './table';\nexport const run = async (id: User) => { auth.requireRole(Roles.admin); return [await Vendors.get('1'), sdk.auth.userId, typeof MindStudioError]; };",
    'm/b.ts':
      "import mindstudio, { files, nonsense } from '@mindstudio-ai/agent';\nimport * as sdk from '@mindstudio-ai/agent';\nconst Store = files.defineStore('x');\nexport const codes = async () => { const of = async (f: any) => { try { await f(); } catch (e: any) { return [e.name, e.code]; } };\nreturn [await of(() => mindstudio.generateText({})), await of(() => nonsense()), await of(() => (sdk as any).other.deep()), await of(() => Store.put(1))]; };",
    'm/c.ts':
      "import { files, type nothing } from '@mindstudio-ai/agent';\nimport type { Db } from '@mindstudio-ai/agent';\nexport const run = async (x: nothing | Db) => 1;",
    'm/d.ts': "export { Anything } from '@mindstudio-ai/agent';\nexport const run = async () => 1;",
  });
  const { out, by } = await it.compile({ a: 'm/a.ts#run', b: 'm/b.ts#codes', c: 'm/c.ts#run' });
  assert.deepEqual(by.a.warnings, []);
  assert.deepEqual(by.c.warnings, []);
  assert.deepEqual(
    by.b.unsupported.map((/** @type {any} */ { module, name }) => `${name} of ${module}`).sort(),
    ['nonsense', 'other'].map((name) => `${name} of @mindstudio-ai/agent`),
  );
  assert.deepEqual([...by.a.unsupported, ...by.c.unsupported], []);
  assert.deepEqual(
    call(out, 'b', 'codes'),
    ['no_runtime', 'not_supported', 'not_supported', 'no_runtime'].map((code) => [
      'MindStudioError',
      code,
    ]),
  );
  assert.throws(() => call(out, 'a', 'run'), /no_runtime/);
  assert.doesNotMatch(readFileSync(join(out, 'methods/c.mjs'), 'utf8'), /remyUnsupported\("/);
  // What is reused says what it said.
  const again = await it.compile({ b: 'm/b.ts#codes' });
  assert.deepEqual([again.by.b.reused, again.by.b.unsupported], [true, by.b.unsupported]);
});

test('actions and what goes on after the answer are no use of what remy has nothing behind', async (t) => {
  const it = app(t, {
    'm/a.ts':
      "import mindstudio from '@mindstudio-ai/agent';\nexport const run = async () => { mindstudio.waitUntil(Promise.resolve()); return typeof mindstudio.waitUntil; };",
    'm/b.ts':
      "import { mindstudio, waitUntil } from '@mindstudio-ai/agent';\nconst mine = { mindstudio: 1 };\nexport const run = async () => { waitUntil(mindstudio.waitUntil); return Object.keys(mine); };",
    'm/c.ts':
      "import { unheardOf } from '@mindstudio-ai/interface';\nimport { toE } from '@mindstudio-ai/interface/voice';\nimport { auth } from '@mindstudio-ai/interface';\nexport const run = async () => { try { unheardOf(); toE(); } catch (e: any) { return [e.code, auth.phone.toE164('0151 23', 'DE')]; } };",
  });
  const { out, by } = await it.compile({ a: 'm/a.ts#run', b: 'm/b.ts#run', c: 'm/c.ts#run' });
  assert.deepEqual([by.a.unsupported, by.b.unsupported], [[], []]);
  assert.deepEqual(
    by.c.unsupported.map((/** @type {any} */ { module, name }) => `${name} of ${module}`).sort(),
    ['toE of @mindstudio-ai/interface', 'unheardOf of @mindstudio-ai/interface'],
  );
  assert.deepEqual(
    [call(out, 'a', 'run'), call(out, 'c', 'run')],
    ['function', ['not_supported', '+4915123']],
  );
});

test('what has nothing behind it is told of once, with those that use it', async () => {
  const uses = ['a', 'b', 'c', 'd', 'e'].map((by) => ({
    module: '@mindstudio-ai/agent',
    name: 'files',
    by,
  }));
  const told = await step('unsupportedWarning', [
    ...uses,
    { module: '@mindstudio-ai/interface', name: 'unheardOf', by: 'web' },
  ]);
  assert.equal(
    told,
    'what remy has nothing behind throws not_supported when it is called: files of @mindstudio-ai/agent (in a, b, c and 2 more); unheardOf of @mindstudio-ai/interface (in web)',
  );
  assert.equal(await step('unsupportedWarning', []), null);
});

test(
  'esbuild is installed once, by npm, where there is none at hand (needs the registry)',
  { timeout: 120_000 },
  async (t) => {
    const it = app(t, { 'm/a.ts': method('return 1') });
    const compile = async (/** @type {string | null} */ esbuild = null) => {
      const { out, files } = await it.stage();
      const methods = [{ id: 'a', path: 'm/a.ts', export: 'run' }];
      const { tree, cache } = it;
      const where = { files: Object.fromEntries(files), tree, cache, out, installs: {} };
      const { compiled } = await step('compileMethods', { methods, ...where, esbuild });
      return { out, reused: compiled[0].reused };
    };
    const path = process.env.PATH;
    process.env.PATH = '/nowhere';
    t.after(() => (process.env.PATH = path));
    await assert.rejects(compile(), {
      code: 'not_found',
      message:
        /^esbuild [\d.]+, which bundles methods, is not on this machine, and npm, which would install it, neither\. The database is as it was\. Install npm, or unpack @esbuild\/linux-\w+ [\d.]+ of the registry to /,
    });
    process.env.PATH = path;
    assert.equal(call((await compile()).out, 'a', 'run'), 1);
    process.env.PATH = '/nowhere';
    it.write({ 'm/a.ts': method('return 2') });
    assert.equal((await compile()).reused, false);
    // One of another version says so, and is not used.
    it.write({ 'm/a.ts': method('return 3'), 'other/esbuild': { run: OTHER } });
    await assert.rejects(compile(join(it.root, 'other/esbuild')), {
      code: 'build_failed',
      message:
        /other\/esbuild, is of no use: it answers "0\.1\.0", and not "[\d.]+"\. The database/,
    });
  },
);

/** A program that is of another version. */
const OTHER = "#!/bin/sh\nprintf '\\5\\0\\0\\0000.1.0'; exec /bin/sleep 60\n";

test('methods are bundled for what the Node.js at hand runs', async (t) => {
  const it = app(t, {
    'm/a.ts':
      "import value from 'data:application/json,7' with { type: 'json' };\nexport const run = async () => value;",
    'm/b.ts': 'export const run = async () => /[\\p{L}--[a-z]]/v.test("A");',
  });
  // Import attributes came within the time of Node.js 20, and all of 22 has them.
  if (Number(process.versions.node.split('.')[0]) < 22) return t.skip('Node.js 20');
  const { out } = await it.compile({ a: 'm/a.ts#run', b: 'm/b.ts#run' });
  assert.deepEqual([call(out, 'a', 'run'), call(out, 'b', 'run')], [7, true]);
});

/**
 * What is compiled again when files change.
 * @param {import('./builds.mjs').App} it
 * @param {Record<string, string>} methods
 */
async function reuse(it, methods) {
  const { by, out } = await it.compile(methods);
  return { out, again: Object.keys(methods).filter((id) => !by[id].reused) };
}

test('what did not change is not compiled again, and esbuild not started', async (t) => {
  const it = app(t, {
    'package.json': '{}',
    'tsconfig.json': '{}',
    'm/a.ts': method('return shared', "import { shared } from './shared';"),
    'm/b.ts': method(
      'return shared + own',
      "import { shared } from './shared'; import { own } from './b/own';",
    ),
    'm/c.ts': method('return 1', "import type { T } from './types';"),
    'm/shared.ts': 'export const shared = 1;',
    'm/b/own.ts': 'export const own = 1;',
    'm/types.ts': 'export type T = 1;',
    'spec.md': 'x',
  });
  const methods = { a: 'm/a.ts#run', b: 'm/b.ts#run', c: 'm/c.ts#run' };
  /** @type {(files: import('./builds.mjs').Files, expected: string[], methods_?: Record<string, string>) => Promise<string>} */
  const step = async (files, expected, methods_ = methods) => {
    it.write(files);
    const { again, out } = await reuse(it, methods_);
    assert.deepEqual(again, expected, JSON.stringify(files));
    for (const id of Object.keys(methods_))
      assert(
        existsSync(join(out, `methods/${id}.mjs`)) &&
          existsSync(join(out, `methods/${id}.mjs.map`)),
      );
    return out;
  };
  await step({}, ['a', 'b', 'c']);
  await step({}, []);
  await step({ 'm/a.ts': method('return shared + 1', "import { shared } from './shared';") }, [
    'a',
  ]);
  await step({ 'm/b/own.ts': 'export const own = 2;' }, ['b']);
  const out = await step({ 'm/shared.ts': 'export const shared = 5;' }, ['a', 'b']);
  assert.deepEqual([call(out, 'a', 'run'), call(out, 'b', 'run')], [6, 7]);
  // What nobody imports, a new method, a text, a type that is only a type.
  await step(
    {
      'm/new.ts': method('return 1'),
      'spec.md': 'y',
      'm/other/x.ts': 'x',
      'm/types.ts': 'export type T = 2;',
    },
    [],
  );
  await step({}, ['new'], { ...methods, new: 'm/new.ts#run' });
  // Settings that esbuild reads.
  await step({ 'tsconfig.json': '{"compilerOptions":{"useDefineForClassFields":false}}' }, [
    'a',
    'b',
    'c',
  ]);
  await step({ 'm/tsconfig.json': '{}' }, ['a', 'b', 'c']);
  await step({ 'm/b/package.json': '{"sideEffects":false}' }, ['b']);
  await step({ 'm/tsconfig.json': null }, ['a', 'b', 'c']);
  // Another export of the same file, and the same content again.
  await step({ 'm/two.ts': 'export const x = async () => 1, y = async () => 2;' }, ['t'], {
    t: 'm/two.ts#x',
  });
  await step({}, ['t'], { t: 'm/two.ts#y' });
  await assert.rejects(it.compile({ t: 'm/two.ts#z' }), /has no export z/);
  await step({}, [], { t: 'm/two.ts#y' });
});

test('a file that comes or goes and would be taken instead is seen', async (t) => {
  const it = app(t, {
    'm/a.ts': method('return x', "import { x } from './x';"),
    'm/x/index.ts': 'export const x = "folder";',
  });
  const methods = { a: 'm/a.ts#run' };
  const value = async (/** @type {import('./builds.mjs').Files} */ files) => {
    it.write(files);
    return call((await it.compile(methods)).out, 'a', 'run');
  };
  assert.equal(await value({}), 'folder');
  assert.equal(await value({ 'm/x.js': 'export const x = "js";' }), 'js');
  assert.equal(await value({ 'm/x.ts': 'export const x = "ts";' }), 'ts');
  assert.equal(await value({ 'm/x.tsx': 'export const x = "tsx";' }), 'tsx');
  assert.equal(await value({ 'm/x.tsx': null, 'm/x.ts': null }), 'js');
  assert.equal(await value({ 'm/x.js': null }), 'folder');
  assert.equal(
    await value({
      'm/x/package.json': '{"main":"./main.ts"}',
      'm/x/main.ts': 'export const x = "main";',
    }),
    'main',
  );
  assert.equal(
    await value({
      'm/x/package.json': '{"main":"./other.ts"}',
      'm/x/other.ts': 'export const x = "other";',
    }),
    'other',
  );
  // `./y.js` written, `./y.ts` meant.
  assert.equal(
    await value({
      'm/a.ts': method('return x', "import { x } from './y.js';"),
      'm/y.ts': 'export const x = "y.ts";',
    }),
    'y.ts',
  );
  assert.equal(await value({ 'm/y.js': 'export const x = "y.js";' }), 'y.js');
  // By paths of a tsconfig that extends another.
  assert.equal(
    await value({
      'm/a.ts': method('return x', "import { x } from '#x';"),
      'tsconfig.json': '{"extends":"./base"}',
      'base.json': '{"compilerOptions":{"paths":{"#x":["./one.ts"]}}}',
      'one.ts': 'export const x = 1;',
      'two.ts': 'export const x = 2;',
    }),
    1,
  );
  assert.equal(
    await value({ 'base.json': '{"compilerOptions":{"paths":{"#x":["./zero.ts","./one.ts"]}}}' }),
    1,
  );
  assert.equal(await value({ 'zero.ts': 'export const x = 0;' }), 0);
  assert.equal(
    await value({ 'base.json': '{"compilerOptions":{"paths":{"#x":["./two.ts"]}}}' }),
    2,
  );
  // By imports of a package.json.
  assert.equal(
    await value({ 'tsconfig.json': null, 'package.json': '{"imports":{"#x":"./two.ts"}}' }),
    2,
  );
  assert.equal(await value({ 'package.json': '{"imports":{"#x":"./one.ts"}}' }), 1);
});

test('with baseUrl and paths, a file that nobody imports compiles nothing anew, and one that comes before another does', async (t) => {
  const it = app(t, {
    'm/tsconfig.json':
      '{ // as an editor has it\n "extends": "../base.json", "compilerOptions": { "baseUrl": "./src", /* none */ "strict": true, }, }',
    'base.json':
      '{"compilerOptions":{"paths":{"@lib/*":["./lib/*","../shared/*"],"exact":["./lib/one"]}}}',
    'm/src/a.ts': method(
      'return [x, one, os.EOL]',
      "import { x } from 'common/x';\nimport { one } from '@lib/one';\nimport * as os from 'os';\n",
    ),
    'm/src/b.ts': method('return exact', "import { one as exact } from 'exact';\n"),
    'm/src/c.ts': method('return 1'),
    'm/src/common/x.ts': 'export const x = "x";',
    'm/src/lib/one.ts': 'export const one = 1;',
    'lib/one.ts': 'export const one = 1;',
    'shared/none.ts': '',
  });
  const methods = { a: 'm/src/a.ts#run', b: 'm/src/b.ts#run', c: 'm/src/c.ts#run' };
  const again = async (/** @type {import('./builds.mjs').Files} */ files) => {
    it.write(files);
    const { compiled, out } = await it.compile(methods);
    return { out, again: compiled.filter(({ reused }) => !reused).map(({ id }) => id) };
  };
  assert.deepEqual((await again({})).again, ['a', 'b', 'c']);
  for (const path of [
    'm/src/new.ts',
    'm/src/common/y.ts',
    'm/src/lib/two.ts',
    'new.ts',
    'shared/two.ts',
  ])
    assert.deepEqual((await again({ [path]: method('return 1') })).again, [], path);
  const { out, again: first } = await again({ 'm/src/common/x.tsx': 'export const x = "tsx";' });
  assert.deepEqual([first, call(out, 'a', 'run')[0]], [['a'], 'tsx']);
  // A file that would be taken for what is a module of Node.js.
  assert.deepEqual((await again({ 'm/src/os.ts': 'export const EOL = "mine";' })).again, ['a']);
  assert.deepEqual(
    (
      await again({
        'base.json': '{"compilerOptions":{"paths":{"@lib/*":["./lib/*"],"exact":["./lib/one"]}}}',
      })
    ).again,
    ['a', 'b', 'c'],
  );
});

test('a link that points elsewhere now is seen', async (t) => {
  const it = app(t, {
    'm/a.ts': method('return x', "import { x } from './x';"),
    'm/x.ts': { symlink: '../one.ts' },
    'one.ts': 'export const x = 1;',
    'two.ts': 'export const x = 2;',
  });
  assert.equal(call((await it.compile({ a: 'm/a.ts#run' })).out, 'a', 'run'), 1);
  it.write({ 'm/x.ts': { symlink: '../two.ts' } });
  assert.equal(call((await it.compile({ a: 'm/a.ts#run' })).out, 'a', 'run'), 2);
  it.write({
    'm/a.ts': method('return x', "import { x } from './lib/x';"),
    'm/lib': { symlink: '../lib1' },
    'lib1/x.ts': 'export const x = 3;',
    'lib2/x.ts': 'export const x = 4;',
  });
  assert.equal(call((await it.compile({ a: 'm/a.ts#run' })).out, 'a', 'run'), 3);
  it.write({ 'lib1/x.tsx': 'export const x = 33;' });
  assert.equal(call((await it.compile({ a: 'm/a.ts#run' })).out, 'a', 'run'), 33);
  it.write({ 'm/lib': { symlink: '../lib2' } });
  assert.equal(call((await it.compile({ a: 'm/a.ts#run' })).out, 'a', 'run'), 4);
});

test('a cache that is not whole is not used', async (t) => {
  const it = app(t, { 'm/a.ts': method('return 1') });
  await it.compile({ a: 'm/a.ts#run' });
  for (const [path, text] of /** @type {[string, string | null][]} */ ([
    ['a.mjs', 'cut'],
    ['a.json', '{"key'],
    ['a.mjs', null],
    ['a.mjs.map', null],
  ])) {
    write(join(it.cache, 'methods'), { [path]: text });
    const { out, by } = await it.compile({ a: 'm/a.ts#run' });
    assert.equal(by.a.reused, false, path);
    assert.equal(call(out, 'a', 'run'), 1);
  }
});

test('folders above the app have no say', async (t) => {
  const it = app(t, {
    'm/a.ts': 'class A { x = 1 }\nexport const run = async () => Object.keys(new A());\n',
  });
  write(it.base, {
    'tsconfig.json': '{ "broken',
    'node_modules/stray/index.js': 'export const x = 1;',
  });
  assert.deepEqual(call((await it.compile({ a: 'm/a.ts#run' })).out, 'a', 'run'), ['x']);
  // Nor when the app has settings elsewhere.
  write(it.base, {
    'tsconfig.json': '{"compilerOptions":{"useDefineForClassFields":false}}',
    'package.json': '{"sideEffects":false}',
  });
  it.write({
    'web/tsconfig.json': '{}',
    'm/b.ts':
      "import './c';\nclass A { x; }\nexport const run = async () => [Object.keys(new A()), globalThis.c];\n",
    'm/c.ts': '(globalThis as any).c = 1;',
  });
  assert.deepEqual(call((await it.compile({ b: 'm/b.ts#run' })).out, 'b', 'run'), [['x'], 1]);
  it.write({ 'm/a.ts': method('return x', "import { x } from 'stray';"), 'm/package.json': '{}' });
  await assert.rejects(
    it.compile({ a: 'm/a.ts#run' }),
    /m\/a\.ts: imports "stray", which is outside of the app\. A package must be named in m\/package\.json/,
  );
  // A package that does not say what it needs takes nothing from there either.
  it.write({
    'm/a.ts': method('return x', "import { x } from 'unsaid';"),
    'm/package.json': '{"dependencies":{"unsaid":"file:../vendor/unsaid.tgz"}}',
  });
  tarball(it.root, 'vendor/unsaid.tgz', {
    'package.json': '{"name":"unsaid","version":"1.0.0"}',
    'index.js': "exports.x = require('stray').x;",
  });
  await assert.rejects(
    it.compile({ a: 'm/a.ts#run' }),
    /m\/node_modules\/unsaid\/index\.js: imports "stray", which is outside of the app\. A package must be named in m\/package\.json/,
  );
});

test('packages are bundled in, CommonJS ones and their requires too; what cannot be is kept beside', async (t) => {
  const it = app(t, {
    'api/package.json': JSON.stringify({
      dependencies: {
        esm: 'file:../vendor/esm.tgz',
        cjs: 'file:../vendor/cjs.tgz',
        files: 'file:../vendor/files.tgz',
        native: 'file:../vendor/native.tgz',
        outer: 'file:../vendor/outer.tgz',
        '@mindstudio-ai/agent': '^1',
      },
    }),
    'api/src/plain.ts': method(
      'return [esm(1), eol, await inner()]',
      "import { esm } from 'esm'; import { eol } from 'cjs'; import { inner } from 'esm/sub';",
    ),
    'api/src/beside.ts': method(
      'return [data, addon, nested]',
      "import { data } from 'files'; import { addon } from 'native'; import { nested } from 'outer';",
    ),
  });
  tarball(it.root, 'vendor/esm.tgz', {
    'package.json': JSON.stringify({
      name: 'esm',
      version: '1.0.0',
      type: 'module',
      exports: { '.': './i.js', './sub': './sub.js' },
    }),
    'i.js': 'export const esm = (n) => n + 1;',
    'sub.js': "export const inner = async () => (await import('./late.js')).default;",
    'late.js': 'export default "late";',
  });
  tarball(it.root, 'vendor/cjs.tgz', {
    'package.json': '{"name":"cjs","version":"1.0.0"}',
    'index.js':
      "let optional; try { optional = require('not-there'); } catch {}\nexports.eol = require('os').EOL + (optional ?? 'none');",
  });
  tarball(it.root, 'vendor/files.tgz', {
    'package.json': '{"name":"files","version":"1.0.0","dependencies":{"cjs":"*"}}',
    'index.js':
      "exports.data = require('fs').readFileSync(require('path').join(__dirname, 'data.txt'), 'utf8') + require('cjs').eol;",
    'data.txt': 'read',
  });
  tarball(it.root, 'vendor/native.tgz', {
    'package.json': '{"name":"native","version":"1.0.0"}',
    'index.js': "try { require('./build/addon.node'); } catch (e) { exports.addon = e.code; }",
    'build/addon.node': 'no addon',
  });
  // One that has another to itself.
  tarball(it.root, 'vendor/outer.tgz', {
    'package.json':
      '{"name":"outer","version":"1.0.0","dependencies":{"lookup":"1"},"bundleDependencies":["lookup"]}',
    'index.js': "exports.nested = require('lookup').found;",
    'node_modules/lookup/package.json': '{"name":"lookup","version":"1.0.0"}',
    'node_modules/lookup/index.js': 'exports.found = require("path").basename(__filename);',
  });
  const methods = { plain: 'api/src/plain.ts#run', beside: 'api/src/beside.ts#run' };
  const { out, installs } = await it.compile(methods);
  assert.equal(installs.get('api').packages, 6);
  assert.deepEqual(installs.get('api').beside, ['files', 'native', 'outer']);
  assert.deepEqual(call(out, 'plain', 'run'), [2, '\nnone', 'late']);
  assert.deepEqual(call(out, 'beside', 'run'), ['read\nnone', 'ERR_DLOPEN_FAILED', 'index.js']);
  assert.deepEqual(readdirSync(join(out, 'methods/node_modules')).sort(), [
    'cjs',
    'files',
    'native',
    'outer',
  ]);
  const map = JSON.parse(readFileSync(join(out, 'methods/plain.mjs.map'), 'utf8'));
  assert(map.sources.includes('../source/api/node_modules/esm/i.js'), map.sources.join());

  const again = await it.compile(methods);
  assert.deepEqual(
    [again.by.plain.reused, again.by.beside.reused, again.installs.get('api').reused],
    [true, true, true],
  );
  assert.deepEqual(call(again.out, 'beside', 'run'), [
    'read\nnone',
    'ERR_DLOPEN_FAILED',
    'index.js',
  ]);
  const one = await it.compile({ plain: methods.plain });
  assert.equal(existsSync(join(one.out, 'methods/node_modules')), false);

  // Another version of a package, other bundles.
  tarball(it.root, 'vendor/esm.tgz', {
    'package.json': JSON.stringify({
      name: 'esm',
      version: '1.0.1',
      type: 'module',
      exports: { '.': './i.js', './sub': './sub.js' },
    }),
    'i.js': 'export const esm = (n) => n + 2;',
    'sub.js': 'export const inner = async () => 0;',
  });
  const changed = await it.compile(methods);
  assert.deepEqual([changed.installs.get('api').reused, changed.by.plain.reused], [false, false]);
  assert.deepEqual(call(changed.out, 'plain', 'run'), [3, '\nnone', 0]);
});

test('app code that looks for files where it stands is warned of', async (t) => {
  const it = app(t, {
    'm/a.ts': '// import.meta.url\nexport const run = async () => import.meta.url;\n',
  });
  assert.match(
    (await it.compile({ a: 'm/a.ts#run' })).by.a.warnings.join(),
    /m\/a\.ts:2: looks for files where it stands/,
  );
});

test('an aborted signal compiles nothing', async (t) => {
  const it = app(t, { 'm/a.ts': method('return 1') });
  await assert.rejects(
    it.compile({ a: 'm/a.ts#run' }, { signal: AbortSignal.abort(new Error('no more')) }),
    { message: 'no more' },
  );
  assert.equal((await it.compile({ a: 'm/a.ts#run' })).by.a.reused, false);
});
