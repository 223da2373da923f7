// The same methods behind node:http, with better-sqlite3 in the process: what a page would ask without remy.
// usage: node server.cjs DATABASE; prints its port
const http = require('node:http');
const Database = require('better-sqlite3');
const db = new Database(process.argv[2]);
db.pragma('journal_mode = WAL');
db.pragma('synchronous = FULL');
const get = db.prepare('SELECT * FROM rows WHERE id = ?');
const push = db.prepare('INSERT INTO rows ("group", n) VALUES (?, ?) RETURNING *');
const methods = {
  nothing: (input) => input,
  one: ({ id }) => get.get(id) ?? null,
  add: ({ n }) => push.get('pushed', n),
};
const server = http.createServer((request, response) => {
  const parts = [];
  request.on('data', (part) => parts.push(part));
  request.on('end', () => {
    const { input } = JSON.parse(Buffer.concat(parts).toString());
    const output = methods[request.url.split('/')[3]](input);
    const body = JSON.stringify({ output });
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) });
    response.end(body);
  });
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
