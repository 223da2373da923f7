// @ts-check
import { init } from '../index.js';
import { called } from './name.js';

/** @type {import('./commands.js').Command} */
export default {
  name: 'init',
  summary: 'write the beginnings of an app, or of a schema',
  args: [{ name: 'DIR', optional: true }],
  flags: ['sql'],
  placeless: true,
  notes: { sql: 'a schema.sql and a remy.json instead of an app' },
  example: 'remy init vendors --sql',
  run: ({ args: [dir], values }) => init(dir ?? '.', { sql: values.sql }),
  show: ({ root, files }) => [
    ...files.map((/** @type {string} */ file) => `wrote ${file}`),
    root === process.cwd() ? `Next: ${called} publish` : `Next: cd ${JSON.stringify(root)} && ${called} publish`,
  ],
};
