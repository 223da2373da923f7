// @ts-check
import { size, table } from './show.js';
import { RELEASE } from './usage.js';

/** @type {import('./commands.js').Command} */
export default {
  name: 'files',
  summary: 'list the files of a release, or print one',
  args: [RELEASE, { name: 'PATH', optional: true }],
  flags: [],
  example: 'remy files 3 mindstudio.json',
  async run({ open, args: [release, path], signal }) {
    const app = await open();
    const found = await app.files(release, path, { signal });
    if (found[0]?.path !== path) return found;
    const content = await app.readFile(release, path, { signal });
    // JSON.stringify asks for toJSON; the bytes themselves go out as they are.
    return Object.assign(content, { toJSON: () => ({ ...found[0], base64: content.toString('base64') }) });
  },
  show(found) {
    if (Buffer.isBuffer(found)) return found;
    return table(['PATH', { title: 'SIZE', right: true }], found.map((/** @type {{ path: string, bytes: number }} */ { path, bytes }) => [path, size(bytes)]));
  },
};
