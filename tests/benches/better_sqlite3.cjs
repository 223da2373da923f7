// The same work by better-sqlite3, in one process: what a method would take without a runtime.
// usage: node better_sqlite3.cjs DATABASE WORK TIMES [VALUE]
const Database = require('better-sqlite3');
const [path, work, times, value] = process.argv.slice(2);
const db = new Database(path);
db.pragma('journal_mode = WAL');
db.pragma('synchronous = FULL');
const ids = db.prepare('SELECT id FROM rows LIMIT 1000').pluck().all();
const get = db.prepare('SELECT * FROM rows WHERE id = ?');
const filter = db.prepare('SELECT * FROM rows WHERE "group" = ?');
const push = db.prepare('INSERT INTO rows ("group", n) VALUES (?, ?) RETURNING *');
const works = {
  get: (i) => get.get(ids[i % ids.length]),
  filter: () => filter.all(value),
  push: (i) => push.all('pushed', i),
};
const began = process.hrtime.bigint();
for (let i = 0; i < Number(times); i++) works[work](i);
console.log(Number(process.hrtime.bigint() - began) / 1e3 / Number(times));
