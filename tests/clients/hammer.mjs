// A client of better-sqlite3 that writes as long as its stdin is open, with statements that it prepared once. As hammer.py.
//
// hammer.mjs DATABASE NAME HOW TIMEOUT   HOW: plain, one row a statement; mapped, several a transaction, through mmap
import { createRequire } from 'node:module';
import { setTimeout as rest } from 'node:timers/promises';

const Database = createRequire(import.meta.url)('better-sqlite3');
const [path, name, how, timeout] = process.argv.slice(2);
const db = new Database(path, { timeout: timeout * 1000 });
db.pragma('synchronous = NORMAL');
if (how === 'mapped') db.pragma('mmap_size = 268435456');

let stop = false;
process.stdin.on('end', () => { stop = true; }).resume();

const insert = db.prepare('INSERT INTO app_writes (key, release) SELECT ?, release FROM _remy_release RETURNING release').pluck();
const pad = db.prepare('SELECT count(*), max(length(a)) FROM pad');
const several = db.transaction((keys) => keys.map((key) => [key, insert.get(key)]));
let longest = 0;
for (let n = 1; !stop; n++) {
  const key = `${name}-${n}`;
  const start = performance.now();
  const rows = how === 'plain' ? [[key, insert.get(key)]] : several.immediate([0, 1, 2].map((part) => `${key}-${part}`));
  longest = Math.max(longest, performance.now() - start);
  process.stdout.write(rows.map(([key, release]) => `${key} ${release}\n`).join(''));
  if (n % 10 === 0) pad.get();
  await rest(Math.random() * 10);
}
db.close();
console.log(`longest ${Math.round(longest)}`);
