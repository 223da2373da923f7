// What a bundle does that carries the hosted platform's own SDK: it calls back by HTTP.
const ai = () => (globalThis as any).ai;

async function ask(path: string, body: unknown, token = process.env.CALLBACK_TOKEN ?? '') {
  const url = process.env.REMOTE_HOSTNAME;
  if (!url) throw new Error('there is no REMOTE_HOSTNAME');
  const headers = { Authorization: token, 'Content-Type': 'application/json' };
  const answer = await fetch(url + path, { method: 'POST', headers, body: JSON.stringify(body) });
  return { status: answer.status, body: await answer.json() };
}

const query = (queries: object[], token?: string) => ask('/_internal/v2/db/query', { databaseId: 'live', queries }, token);

export async function platform(input: { what: string; token?: string; sql?: string; params?: unknown[]; texts?: string[]; operation?: string; body?: object; size?: number }) {
  switch (input.what) {
    case 'context':
      return { ...ai(), token: process.env.CALLBACK_TOKEN };
    case 'query':
      return await query([{ sql: input.sql, params: input.params }], input.token);
    case 'batch':
      return await query([
        { sql: 'INSERT INTO orders (item, amount) VALUES (?, ?) RETURNING *', params: ['pen', 2] },
        { sql: 'UPDATE orders SET amount = ? WHERE item = ? RETURNING *', params: [3, 'pen'] },
        { sql: 'SELECT count(*) AS n FROM orders' },
      ]);
    case 'broken':
      return await query([{ sql: "INSERT INTO orders (item, amount) VALUES ('half', 1)" }, { sql: 'SELECT * FROM nothing' }]);
    case 'stream':
      for (const text of input.texts ?? []) {
        await ask('/_internal/v2/stream-chunk', { streamId: process.env.STREAM_ID, type: 'token', text });
      }
      await ask('/_internal/v2/stream-chunk', { streamId: process.env.STREAM_ID, type: 'data', data: [1] });
      return process.env.STREAM_ID !== undefined;
    case 'files': {
      const large = input.size ? { body: 'A'.repeat(input.size) } : {};
      return await ask(`/_internal/v2/files/${input.operation}`, { ...input.body, ...large }, input.token);
    }
    case 'users':
      return await ask('/developer/v2/helpers/resolve-users', { userIds: ['x'] }, `Bearer ${process.env.CALLBACK_TOKEN}`);
    default:
      return await ask('/developer/v2/steps/userMessage/execute', {}, `Bearer ${process.env.CALLBACK_TOKEN}`);
  }
}
