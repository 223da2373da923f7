// The official SDK as a client: does what its one argument says ({ url, key }), and prints what came of it as JSON.
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';

const { url, key } = JSON.parse(process.argv[2]);
const headers = key ? { authorization: `Bearer ${key}` } : {};
const client = new Client({ name: 'test', version: '1' });
await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } }));
const failure = (/** @type {any} */ error) => ({ code: error.code, message: error.message, data: error.data });
const tool = (name, args, options) => client.callTool({ name, arguments: args }, undefined, options).catch(failure);
const parts = ['one', { two: 2 }, 'three'];
const heard = [];
const told = await tool('tell', { parts }, { onprogress: (/** @type {any} */ progress) => heard.push(progress) });
// Once it is known to run.
const calledOff = new AbortController();
const cancelled = await tool('tell', { parts: ['begun'], ms: 60_000 }, { signal: calledOff.signal, onprogress: () => calledOff.abort('enough') });
console.log(
  JSON.stringify({
    server: client.getServerVersion(),
    instructions: client.getInstructions(),
    capabilities: client.getServerCapabilities(),
    ping: await client.ping(),
    tools: (await client.listTools()).tools,
    echo: await tool('echo', { a: 1 }),
    greet: await tool('say-hello', { name: 'Ada' }),
    nothing: await tool('nothing', {}),
    refuse: await tool('refuse', {}),
    told,
    heard,
    cancelled,
    none: await tool('none', {}),
    resources: (await client.listResources()).resources,
    templates: (await client.listResourceTemplates()).resourceTemplates,
    all: await client.readResource({ uri: 'app://people' }),
    vendor: await client.readResource({ uri: 'app://vendors/a%20b' }),
    gone: await client.readResource({ uri: 'app://none' }).catch(failure),
    prompts: (await client.listPrompts()).prompts,
    prompt: await client.getPrompt({ name: 'review', arguments: { who: '{{tone}}', tone: 'kind' } }),
    missing: await client.getPrompt({ name: 'review', arguments: {} }).catch(failure),
  }),
);
await client.close();
