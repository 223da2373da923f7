// An application: it has live open through better-sqlite3, and writes between any two events, while its verbs run in their
// worker process. Prints each key whose commit was acknowledged. Run by node.rs, which looks for them.
import { createRequire } from 'node:module';
import { Remy } from '../../node-binding/js/index.js';

const Database = createRequire(import.meta.url)('better-sqlite3');
const { REMY_DATABASE: path, REMY_SCHEMA: schema } = process.env;

const db = new Database(path, { timeout: 20000 });
const insert = db.prepare('INSERT INTO app_writes (key) VALUES (?)');
let written = 0;
let going = true;
let held = false;
const writing = (async () => {
  while (going) {
    await new Promise(setImmediate);
    if (held) continue;
    const key = `app-${++written}`;
    insert.run(key);
    console.log(key);
    // A connection that comes and goes, as a pool's do.
    if (written % 10 === 0) new Database(path).close();
  }
})();

const remy = await Remy.open(path);
for (let n = 0; n < 5; n++) {
  await remy.publish(schema.replace('email TEXT', `email TEXT, column_${n} TEXT`), { allow: ['drop'] });
  // Called off while it waits for a lock of the application's own: nothing has happened.
  held = true;
  db.exec('BEGIN IMMEDIATE');
  const controller = new AbortController();
  const options = { signal: controller.signal, lock_timeout_ms: 30000, onProgress };
  function onProgress({ step }) {
    if (step === 'check') setTimeout(() => controller.abort(), 100);
  }
  const calledOff = await remy.publish(schema, options).then(() => 'published', (error) => error.name);
  db.exec('COMMIT');
  held = false;
  if (calledOff !== 'AbortError') throw new Error(`a publish that was called off: ${calledOff}`);
  if (!db.pragma('table_info(users)').some(({ name }) => name === `column_${n}`)) throw new Error('it went on all the same');
}
await remy.rollback();
going = false;
await writing;
db.close();
