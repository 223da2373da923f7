// @ts-check
// What `remy init` writes: the least that can be published.
import { closeSync, existsSync, mkdirSync, openSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { options as read, text } from '../arguments.js';
import { known, refusal } from './refusal.js';

/** What is written only where it is not there. */
const OPTIONAL = ['tsconfig.json', '.gitignore'];

/**
 * @param {string} dir
 * @param {{ sql?: boolean }} [options]
 */
export function init(dir, options) {
  const { sql = false } = read('init', options, ['sql']);
  const root = resolve(text(dir, 'folder'));
  // What a folder may have already is its own.
  const isOurs = (/** @type {string} */ path) => !OPTIONAL.includes(path) || !existsSync(join(root, path));
  const files = Object.entries(sql ? ofSchema() : ofApp(basename(root) || 'app')).filter(([path]) => isOurs(path));
  const taken = files.map(([path]) => path).filter((path) => existsSync(join(root, path)));
  if (taken.length) {
    const is = taken.length === 1 ? 'is' : 'are';
    throw refusal('invalid_argument', `${taken.join(', ')} ${is} in ${root} already`, 'Start in a folder without them', { object: root });
  }
  if (existsSync(root) && !statSync(root).isDirectory()) {
    throw refusal('invalid_argument', `${root} is not a folder`, 'Name a folder, which need not be there yet', { object: root });
  }
  /** @type {string[]} */
  const made = [];
  try {
    for (const [path, text] of files) made.push(...writeNew(join(root, path), text));
  } catch (error) {
    for (const path of made) rmSync(path, { recursive: true, force: true });
    throw known(error, 'Nothing was done');
  }
  return { root, files: files.map(([path]) => path) };
}

/**
 * Writes a file that is not there, and gives what was made for it: itself, and the first of the folders above it.
 * @param {string} path
 * @param {string} text
 */
function writeNew(path, text) {
  const folder = mkdirSync(dirname(path), { recursive: true });
  const made = folder === undefined ? [path] : [folder, path];
  const file = openSync(path, 'wx');
  try {
    writeFileSync(file, text);
  } catch (error) {
    rmSync(made[0], { recursive: true, force: true });
    throw error;
  } finally {
    closeSync(file);
  }
  return made;
}

/** @returns {Record<string, string>} */
function ofSchema() {
  return {
    'schema.sql': `CREATE TABLE notes (
  id INTEGER PRIMARY KEY,
  text TEXT NOT NULL,
  created_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP
);
`,
    'remy.json': json({ schema: 'schema.sql' }),
  };
}

/**
 * @param {string} name
 * @returns {Record<string, string>}
 */
function ofApp(name) {
  return {
    'mindstudio.json': json({
      name,
      tables: [{ name: 'notes', path: 'dist/methods/src/tables/notes.ts', export: 'Notes' }],
      methods: [{ id: 'add-note', path: 'dist/methods/src/addNote.ts', export: 'addNote' }],
    }),
    // For editors: remy itself checks no types. The SDK's are those of remy-db, where that is installed here or above.
    'tsconfig.json': json({
      compilerOptions: {
        strict: true, noEmit: true, module: 'esnext', moduleResolution: 'bundler', target: 'es2022', lib: ['es2022'], skipLibCheck: true, types: ['remy-db/modules'],
      },
      include: ['dist/methods/**/*.ts'],
    }),
    '.gitignore': '.remy/\nnode_modules/\n.env*\n',
    'dist/methods/package.json': json({ private: true, type: 'module' }),
    'dist/methods/src/tables/notes.ts': `import { db } from '@mindstudio-ai/agent';

export const Notes = db.defineTable<{ text: string }>('notes');
`,
    'dist/methods/src/addNote.ts': `import { Notes } from './tables/notes';

export async function addNote(input: { text: string }) {
  return Notes.push({ text: input.text });
}
`,
  };
}

/** @param {unknown} value */
function json(value) {
  return `${JSON.stringify(value, null, 2)}\n`;
}
