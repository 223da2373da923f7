// @ts-check
// What `remy init` writes: the least that can be published.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { refusal } from './refusal.js';

/**
 * @param {string} dir
 * @param {{ sql?: boolean }} [options]
 */
export function init(dir, { sql = false } = {}) {
  const root = resolve(dir);
  const files = Object.entries(sql ? ofSchema() : ofApp(basename(root) || 'app'));
  const taken = files.map(([path]) => path).filter((path) => existsSync(join(root, path)));
  if (taken.length) {
    const is = taken.length === 1 ? 'is' : 'are';
    throw refusal('invalid_argument', `${taken.join(', ')} ${is} in ${root} already`, 'Start in a folder without them', { object: root });
  }
  for (const [path, text] of files) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text, { flag: 'wx' });
  }
  return { root, files: files.map(([path]) => path) };
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
