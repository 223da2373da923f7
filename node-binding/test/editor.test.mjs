// @ts-check
// What an editor has of an app: types of what it imports, and schemas of its JSON files.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { init, openApp } from '../js/index.js';
import { vendorApp } from './app.mjs';
import { folder } from './builds.mjs';

const PACKAGE = fileURLToPath(new URL('..', import.meta.url));
const APP = fileURLToPath(new URL('../../tests/app', import.meta.url));
const require = createRequire(import.meta.url);
/** @type {any} */
const { default: Ajv } = require('ajv');

/**
 * Puts remy-db where `npm install` would, with no more of it than is published.
 * @param {string} root
 */
function installed(root) {
  const at = join(root, 'node_modules/remy-db');
  mkdirSync(at, { recursive: true });
  for (const part of ['js', 'package.json'])
    cpSync(join(PACKAGE, part), join(at, part), { recursive: true });
}

/**
 * What a type checker says of a project.
 * @param {string} project
 */
function checked(project) {
  try {
    return execFileSync(
      'npx',
      ['--yes', '--package', 'typescript@5.9.3', '--', 'tsc', '-p', project],
      { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] },
    );
  } catch (error) {
    return /** @type {any} */ (error).stdout;
  }
}

test('what init writes type-checks, and faults in it are seen', (t) => {
  const root = join(folder(t), 'shop');
  const { files } = init(root);
  assert(files.includes('tsconfig.json') && files.includes('.gitignore'));
  assert.match(readFileSync(join(root, '.gitignore'), 'utf8'), /^\.remy\/$/m);
  installed(root);
  assert.equal(checked(root), '');
  writeFileSync(
    join(root, 'dist/methods/src/addNote.ts'),
    "import { Notes } from './tables/notes';\nexport const addNote = async () => Notes.push({ txt: 'x' });\n",
  );
  assert.match(checked(root), /addNote\.ts\(2,\d+\): error TS\d+: [^]*txt/);
});

test('what a folder has already stays, and init goes on', (t) => {
  const root = folder(t);
  writeFileSync(join(root, '.gitignore'), 'mine\n');
  writeFileSync(join(root, 'tsconfig.json'), '{}');
  const { files } = init(root);
  assert(
    !files.includes('.gitignore') &&
      !files.includes('tsconfig.json') &&
      existsSync(join(root, 'mindstudio.json')),
  );
  assert.equal(readFileSync(join(root, '.gitignore'), 'utf8'), 'mine\n');
});

test("the example app's methods type-check, also where remy-db is a link", (t) => {
  const root = join(folder(t), 'app');
  cpSync(APP, root, { recursive: true });
  // Its one package, as far as it is used.
  mkdirSync(join(root, 'dist/methods/node_modules/nanoid'), { recursive: true });
  writeFileSync(
    join(root, 'dist/methods/node_modules/nanoid/index.d.ts'),
    'export function nanoid(size?: number): string;\nexport function customAlphabet(alphabet: string, size?: number): () => string;\n',
  );
  mkdirSync(join(root, 'node_modules'));
  symlinkSync(PACKAGE, join(root, 'node_modules/remy-db'));
  assert.equal(checked(join(root, 'dist/methods')), '');
});

test('the schemas of mindstudio.json and remy.json take what is right, and no more', (t) => {
  const schema = (/** @type {string} */ name) =>
    new Ajv({ strict: false }).compile(
      JSON.parse(readFileSync(require.resolve(`remy-db/schemas/${name}.schema.json`), 'utf8')),
    );
  const manifest = schema('mindstudio');
  const root = join(folder(t), 'shop');
  init(root);
  const { 'mindstudio.json': vendors } = vendorApp();
  const read = (/** @type {string} */ path) => JSON.parse(readFileSync(path, 'utf8'));
  for (const right of [
    vendors,
    read(join(APP, 'mindstudio.json')),
    read(join(root, 'mindstudio.json')),
    { ...vendors, auth: null, tables: [{ path: 'a.ts', export: 'A' }], future: 1 },
  ]) {
    assert(manifest(right), JSON.stringify(manifest.errors));
  }
  /** @type {((json: any) => void)[]} */
  const wrong = [
    (json) => delete json.name,
    (json) => (json.methods = []),
    (json) => (json.methods[0].id = 'Not Kebab'),
    (json) => delete json.tables[0].path,
    (json) => (json.interfaces[0].type = 'slack'),
    (json) => (json.interfaces[0].config = {}),
    (json) => (json.auth.methods = ['password']),
    (json) => delete json.scenarios[0].roles,
    (json) => (json.methods[0].autonomy = 'wild'),
  ];
  for (const change of wrong) {
    const json = structuredClone(vendors);
    change(json);
    assert(!manifest(json), String(change));
  }
  const settings = schema('remy');
  assert(
    settings({
      $schema: './node_modules/remy-db/schemas/remy.schema.json',
      db: 'a.db',
      schema: 'b.sql',
    }),
  );
  for (const json of [{ db: 7 }, { other: 'x' }, []]) assert(!settings(json), JSON.stringify(json));
});

test('remy.json may name its schema', async (t) => {
  const root = folder(t);
  writeFileSync(
    join(root, 'remy.json'),
    JSON.stringify({ $schema: './node_modules/remy-db/schemas/remy.schema.json', db: 'a.db' }),
  );
  assert.equal((await openApp(root)).path, join(root, 'a.db'));
});
