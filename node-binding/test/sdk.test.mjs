// @ts-check
// What apps import: the surface of both SDKs, with nothing behind it, and with a host.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import * as agentModule from '../js/sdk/agent.js';
import * as webModule from '../js/sdk/interface.js';
import { createVoiceClient } from '../js/sdk/voice.js';

// Tests use both as untyped code does; the types have a test of their own.
const agent = /** @type {any} */ (agentModule);
const web = /** @type {any} */ (webModule);
const anywhere = /** @type {any} */ (globalThis);
const HOST = Symbol.for('remy.host');

test('the agent SDK exports what apps import', () => {
  const names = [
    'MindStudioAgent',
    'MindStudioError',
    'Roles',
    'User',
    'analytics',
    'auth',
    'dataSources',
    'db',
    'default',
    'defineJewel',
    'defineMapper',
    'email',
    'events',
    'files',
    'getRequestContext',
    'mindstudio',
    'prerender',
    'reportIssue',
    'resolveUser',
    'runWithContext',
    'session',
    'stream',
    'voice',
    'waitUntil',
  ];
  assert.deepEqual(Object.keys(agent).sort(), names);
  assert.equal(agent.default, agent.mindstudio);
});

test('tables are declared without a host, and used only with one', async () => {
  const Vendors = agent.db.defineTable('vendors', { unique: [['name']] });
  const Uploads = agent.files.defineStore('uploads', { access: 'public' });
  const code = { name: 'MindStudioError', code: 'no_runtime', status: 500 };
  for (const use of [
    () => Vendors.get('1'),
    () => agent.auth.userId,
    () => agent.auth.requireRole('x'),
    () => agent.session.x,
    () => agent.stream('x'),
    () => agent.resolveUser('x'),
    () => Uploads.put('x'),
    () => agent.db.batch(),
    () => agent.db.sql('SELECT 1'),
  ])
    assert.throws(use, code);
  // Looked at by others: promises, loggers.
  assert.equal(await Promise.resolve(Vendors), Vendors);
  assert.equal(String(Object.prototype.toString.call(agent.auth)), '[object Object]');

  /** @type {any[]} */
  const asked = [];
  anywhere[HOST] = {
    table: (/** @type {string} */ name, /** @type {object} */ options) => ({
      get: (/** @type {string} */ id) => ({ name, options, id }),
    }),
    store: (/** @type {any[]} */ ...all) => ({ name: all[0], put: () => all }),
    auth: {
      userId: 'u1',
      roles: ['admin'],
      hasRole() {
        return this.roles.includes('admin');
      },
    },
    db: { batch: (/** @type {any[]} */ ...all) => all, sql: (/** @type {any[]} */ ...all) => all },
    session: { a: 1 },
    stream: (/** @type {any} */ data) => asked.push(data),
    resolveUser: (/** @type {string} */ id) => ({ id }),
  };
  try {
    assert.deepEqual(Vendors.get('7'), {
      name: 'vendors',
      options: { unique: [['name']] },
      id: '7',
    });
    assert.deepEqual(
      [Uploads.name, Uploads.put('x')],
      ['uploads', ['uploads', { access: 'public' }]],
    );
    assert.equal(agent.auth.userId, 'u1');
    const { hasRole } = agent.auth;
    assert.equal(hasRole(), true);
    assert.deepEqual(agent.db.batch(1, 2), [1, 2]);
    assert.deepEqual(agent.db.sql('x', [1]), ['x', [1], undefined]);
    assert.equal(agent.session.a, 1);
    agent.stream('part');
    assert.deepEqual(asked, ['part']);
    assert.deepEqual(agent.resolveUser('9'), { id: '9' });
  } finally {
    delete anywhere[HOST];
  }
});

test('roles and times', () => {
  assert.equal(agent.Roles['ap-clerk'], 'ap-clerk');
  assert.equal(
    agent.db.days(2) + agent.db.hours(1) + agent.db.minutes(1),
    2 * 86_400_000 + 3_600_000 + 60_000,
  );
  assert(
    Math.abs(agent.db.ago(1000) - (Date.now() - 1000)) < 1000 &&
      Math.abs(agent.db.fromNow(1000) - (Date.now() + 1000)) < 1000,
  );
});

test('what remy has nothing behind links, and throws when it is called', () => {
  const code = (/** @type {string} */ name) => ({
    name: 'MindStudioError',
    code: 'not_supported',
    status: 501,
    message: `remy does not support ${name} of @mindstudio-ai/agent`,
  });
  assert.throws(() => agent.mindstudio(), code('mindstudio'));
  assert.throws(() => new agent.MindStudioAgent(), code('MindStudioAgent'));
  assert.throws(() => agent.runWithContext({}, () => {}), code('runWithContext'));
  const Policies = agent.dataSources.defineDataSource('policies');
  assert.throws(() => Policies.search('x'), code('dataSources.defineDataSource().search'));
});

test('what a host may have is asked of it, and not supported where it has none', async () => {
  const uses = {
    'events.publish': () => agent.events.publish('a', 1),
    'events.grant': () => agent.events.grant(['a'], { publish: true }),
    'email.send': () => agent.email.send({ subject: 's', body: 'b' }),
    email: () => agent.email({ subject: 's', body: 'b' }),
    'mindstudio.generateText': () => agent.mindstudio.generateText({}),
    'mindstudio.listModels': () => agent.mindstudio.listModels(),
    'analytics.track': () => agent.analytics.track('x'),
    reportIssue: () => agent.reportIssue('x'),
    getRequestContext: () => agent.getRequestContext(),
  };
  for (const use of Object.values(uses)) assert.throws(use, { code: 'no_runtime' });
  anywhere[HOST] = {};
  try {
    for (const [what, use] of Object.entries(uses))
      assert.throws(use, {
        code: 'not_supported',
        message: `remy does not support ${what} of @mindstudio-ai/agent`,
      });
    anywhere[HOST] = {
      events: { publish: (/** @type {any} */ ...all) => all, some: 1 },
      action: (/** @type {any} */ ...all) => all,
      getRequestContext: () => ({ method: 'GET' }),
    };
    assert.deepEqual(
      [uses['events.publish'](), uses.getRequestContext()],
      [['a', 1], { method: 'GET' }],
    );
    assert.throws(() => agent.events.grant('a'), { code: 'not_supported' });
    assert.deepEqual(uses['mindstudio.generateText'](), ['generateText', [{}]]);
    // Of the platform's other services nothing is behind it.
    assert.throws(uses['mindstudio.listModels'], { code: 'not_supported' });
  } finally {
    delete anywhere[HOST];
  }
  const jewel = { a: 1 };
  assert.deepEqual(
    [agent.defineJewel(jewel) === jewel, agent.defineMapper(jewel) === jewel],
    [true, true],
  );
  assert.equal(agent.db.userRef('u1'), '@@user@@u1');
  assert.equal(agent.db.userRef('@@user@@u1'), '@@user@@u1');
});

test('work that goes on after the answer is handed on, and never throws', async (t) => {
  /** @type {any[]} */
  const handed = [];
  const work = Promise.resolve(7);
  anywhere.__msWaitUntil = (/** @type {any} */ promise) => handed.push(promise);
  agent.waitUntil(work);
  agent.mindstudio.waitUntil(work);
  assert.deepEqual(
    handed.map((promise) => promise === work),
    [true, true],
  );
  const said = t.mock.method(console, 'error', () => {});
  anywhere.__msWaitUntil = () => {
    throw new Error('full');
  };
  agent.waitUntil(work);
  delete anywhere.__msWaitUntil;
  agent.waitUntil(Promise.reject(new Error('late')));
  agent.waitUntil(undefined);
  await new Promise(setImmediate);
  assert.deepEqual(
    said.mock.calls.map(({ arguments: [error] }) => error.message),
    ['full', 'late'],
  );
});

test('a client calls methods where they are served', async (t) => {
  /** @type {any[]} */
  const asked = [];
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const part of request) body += part;
    asked.push([request.method, request.url, request.headers.authorization, JSON.parse(body)]);
    if (request.url?.includes('refused'))
      return response.writeHead(403).end('{"error":"only admins","code":"forbidden"}');
    if (request.url?.includes('broken')) return response.writeHead(502).end('<html>');
    response.end(JSON.stringify({ output: { ok: true } }));
  });
  await new Promise((listening) => server.listen(0, '127.0.0.1', () => listening(null)));
  t.after(() => server.close());
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  const real = globalThis.fetch;
  // A page's addresses are relative to it.
  globalThis.fetch = (path, options) => real(`http://127.0.0.1:${port}${path}`, options);
  anywhere.__MINDSTUDIO__ = {
    token: 'tok',
    methods: { submitVendor: 'submit-vendor', refuse: 'refused', fail: 'broken' },
    user: { id: 'u', name: 'Ann' },
  };
  t.after(() => ((globalThis.fetch = real), delete anywhere.__MINDSTUDIO__));
  const api = web.createClient();
  assert.deepEqual(await api.submitVendor({ name: 'Acme' }), { ok: true });
  assert.deepEqual(await api['submit-vendor'](), { ok: true });
  assert.deepEqual(asked, [
    ['POST', '/_/methods/submit-vendor/invoke', 'Bearer tok', { input: { name: 'Acme' } }],
    ['POST', '/_/methods/submit-vendor/invoke', 'Bearer tok', { input: {} }],
  ]);
  await assert.rejects(api.refuse(), {
    name: 'MindStudioInterfaceError',
    message: 'only admins',
    code: 'forbidden',
    status: 403,
  });
  await assert.rejects(api.fail(), { code: 'method_error', status: 502 });
  await assert.rejects(api.nothing(), {
    code: 'method_not_found',
    message: 'the app has no method nothing. It has submitVendor, refuse, fail',
  });
  assert.equal(await Promise.resolve(api), api);
  assert.deepEqual(
    [web.auth.currentUser.name, web.auth.isAuthenticated(), web.auth.userId],
    ['Ann', true, 'u'],
  );
});

test('a method that answers in events', async (t) => {
  /** @type {string[]} */
  let parts = [];
  /** @type {any} */
  let asked;
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const part of request) body += part;
    asked = JSON.parse(body);
    response.writeHead(200, { 'Content-Type': 'text/event-stream' });
    for (const part of parts) {
      response.write(part);
      await new Promise((later) => setTimeout(later, 10));
    }
    response.end();
  });
  await new Promise((listening) => server.listen(0, '127.0.0.1', () => listening(null)));
  t.after(() => server.close());
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  const real = globalThis.fetch;
  globalThis.fetch = (path, options) => real(`http://127.0.0.1:${port}${path}`, options);
  t.after(() => (globalThis.fetch = real));
  /** @type {any[]} */
  const seen = [];
  const options = {
    stream: true,
    onToken: (/** @type {string} */ text) => seen.push(text),
    onStreamError: (/** @type {string} */ error) => seen.push({ error }),
  };
  const go = () => web.createClient().talk({ a: 1 }, options);
  parts = [
    'data: {"type":"token","te',
    'xt":"Hé"}\n\n: other\n',
    'data: {"type":"token","text":"Héllo"}\n\ndata: {"type":"data","data":1}\n\ndata: {"type":"done","output":null}\n\n',
  ];
  assert.deepEqual(
    [await go(), seen, asked],
    [null, ['Hé', 'Héllo'], { input: { a: 1 }, stream: true }],
  );
  parts = ['data: {"type":"error","error":"no more"}\n\n'];
  await assert.rejects(go(), { message: 'no more', code: 'stream_error' });
  assert.deepEqual(seen.at(-1), { error: 'no more' });
  parts = ['data: {"type":"token","text":"a"}\n\n'];
  await assert.rejects(go(), { code: 'stream_incomplete' });
});

test('telephone numbers', () => {
  const { phone } = web.auth;
  for (const [text, country, number] of [
    ['(555) 123-4567', 'US', '+15551234567'],
    ['1 555 123 4567', 'CA', '+15551234567'],
    ['0151 234567', 'DE', '+49151234567'],
    ['06 1234 5678', 'IT', '+390612345678'],
    ['+44 20 7946 0958', 'US', '+442079460958'],
    ['0044 20', 'US', '+4420'],
  ])
    assert.equal(phone.toE164(text, country), number, text);
  assert.deepEqual(
    [phone.format('+15551234567'), phone.format('+49151234567'), phone.format('none')],
    ['+1 (555) 123-4567', '+49 151 234 567', 'none'],
  );
  assert.deepEqual(
    phone.countries.find((/** @type {any} */ { code }) => code === 'DE'),
    { code: 'DE', name: 'Germany', dialCode: '+49', flag: '🇩🇪' },
  );
  assert(
    phone.countries.length > 200 &&
      new Set(phone.countries.map((/** @type {any} */ { code }) => code)).size ===
        phone.countries.length,
  );
  assert.match(phone.detectCountry(), /^[A-Z]{2}$/);
  assert.deepEqual([phone.isValid('+15551234567'), phone.isValid('5551234567')], [true, false]);
});

/**
 * Serves a page by what answers its requests; its addresses are relative to it.
 * @param {import('node:test').TestContext} t
 * @param {(request: import('node:http').IncomingMessage, body: any, response: import('node:http').ServerResponse) => void} answer
 */
async function pageOf(t, answer) {
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const part of request) body += part;
    answer(request, body && JSON.parse(body), response);
  });
  await new Promise((listening) => server.listen(0, '127.0.0.1', () => listening(null)));
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  const real = globalThis.fetch;
  globalThis.fetch = (path, options) => real(`http://127.0.0.1:${port}${path}`, options);
  anywhere.__MINDSTUDIO__ = { token: 'tok', methods: {}, user: null };
  t.after(() => {
    globalThis.fetch = real;
    delete anywhere.__MINDSTUDIO__;
    server.closeAllConnections();
    server.close();
  });
}

test('who signs in on a page is its user from then on', async (t) => {
  /** @type {any[]} */
  const asked = [];
  const user = { id: 'u', email: 'a@b.c', apiKey: null };
  const answers = /** @type {Record<string, object>} */ ({
    'email/send': { verificationId: 'v' },
    'email/verify': { user, token: 'tok2', methods: { m: 'm' }, visitorId: 'u' },
    'phone/change': {},
    'phone/change/confirm': { user: { ...user, phone: '+1' }, token: 'tok3', methods: {} },
    'api-key/create': { key: 'sk_x', apiKey: 'sk_…x' },
    'api-key/revoke': {},
    logout: { user: null, token: 'tok4', methods: {} },
  });
  await pageOf(t, ({ url, headers }, body, response) => {
    const path = String(url).slice('/_/auth/'.length);
    asked.push([path, headers.authorization, body]);
    const answer = body.code === 'no' ? null : answers[path];
    if (answer) response.end(JSON.stringify(answer));
    else response.writeHead(400).end('{"error":"wrong","code":"invalid_code"}');
  });
  /** @type {any[]} */
  const seen = [];
  const end = web.auth.onAuthStateChanged((/** @type {any} */ now) => seen.push(now?.id ?? null));
  assert.deepEqual(await web.auth.sendEmailCode('a@b.c'), { verificationId: 'v' });
  await assert.rejects(web.auth.verifyEmailCode('v', 'no'), { code: 'invalid_code', status: 400 });
  assert.equal((await web.auth.verifyEmailCode('v', '123456')).email, 'a@b.c');
  assert.deepEqual(
    [web.auth.userId, web.auth.currentVisitorId, web.auth.authStatus],
    ['u', 'u', 'authenticated'],
  );
  assert.equal(await web.auth.requestPhoneChange('+1'), undefined);
  assert.equal((await web.auth.confirmPhoneChange('+1', '1')).phone, '+1');
  assert.equal((await web.auth.createApiKey()).key, 'sk_x');
  assert.equal(web.auth.currentUser.apiKey, 'sk_…x');
  await web.auth.revokeApiKey();
  assert.equal(web.auth.currentUser.apiKey, null);
  end();
  assert.equal(await web.auth.logout(), undefined);
  assert.deepEqual(seen, [null, 'u', 'u', 'u', 'u']);
  assert.equal(web.auth.isAuthenticated(), false);
  assert.deepEqual(
    asked.map(([path, token]) => [path, token]),
    [
      ['email/send', 'Bearer tok'],
      ['email/verify', 'Bearer tok'],
      ['email/verify', 'Bearer tok'],
      ['phone/change', 'Bearer tok2'],
      ['phone/change/confirm', 'Bearer tok2'],
      ['api-key/create', 'Bearer tok3'],
      ['api-key/revoke', 'Bearer tok3'],
      ['logout', 'Bearer tok3'],
    ],
  );
  assert.deepEqual(asked[3][2], { newPhone: '+1' });
});

test('a page listens to events, asks for another grant when one ends, and publishes', async (t) => {
  /** @type {any[]} */
  const published = [];
  /** @type {string[]} */
  const grants = [];
  await pageOf(t, ({ method, headers }, body, response) => {
    if (method === 'POST') {
      published.push(body);
      return response.end('{"delivered":1}');
    }
    grants.push(String(headers.authorization));
    if (grants.length === 2) return response.writeHead(401).end('{}');
    response.writeHead(200, { 'Content-Type': 'text/event-stream' });
    response.write(': \n\ndata: {"channel":"a","data":1,"ts":5,"id":"i"}\n\n');
    if (grants.length === 1) response.end('data: {"type":"grant_expired"}\n\n');
    else response.write('data: {"type":"events_dropped","count":3}\n\n');
  });
  let minted = 0;
  let connected = 0;
  /** @type {any[]} */
  const heard = [];
  const gap = await new Promise((done) => {
    const subscription = web.events.connect({
      getToken: () => `g${++minted}`,
      onEvent: (/** @type {any} */ event) => heard.push(event),
      onConnect: () => connected++,
      onGap: (/** @type {number} */ count) => done([subscription, count]),
    });
  });
  const [subscription, count] = gap;
  assert.deepEqual(grants, ['Bearer g1', 'Bearer g2', 'Bearer g3']);
  assert.deepEqual([count, connected, heard.length, subscription.state], [3, 2, 2, 'open']);
  assert.deepEqual(heard[0], { channel: 'a', data: 1, ts: 5, id: 'i' });
  subscription.publish('a', { x: 1 });
  subscription.publish(['a', 'b'], 2);
  while (published.length === 0) await new Promise((later) => setTimeout(later, 10));
  assert.deepEqual(published, [
    {
      events: [
        { channels: 'a', data: { x: 1 } },
        { channels: ['a', 'b'], data: 2 },
      ],
    },
  ]);
  subscription.close();
  assert.equal(subscription.state, 'closed');
  const refused = await new Promise((done) =>
    web.events.connect({
      getToken: () => Promise.reject(new Error('not you')),
      onEvent() {},
      onError: done,
    }),
  );
  assert.equal(refused.message, 'not you');
});

test('a page uploads a file by what it is let, and says what it is', async (t) => {
  /** @type {any[]} */
  const asked = [];
  const server = createServer(async (request, response) => {
    const parts = [];
    for await (const part of request) parts.push(part);
    const body = Buffer.concat(parts);
    if (request.url === '/_/generate-upload-request') {
      asked.push([request.headers.authorization, JSON.parse(String(body))]);
      const told = {
        uploadUrl: '/_/upload',
        uploadFields: { token: 'up' },
        publicUrl: 'http://x/y',
      };
      return response.end(JSON.stringify(told));
    }
    const form = await new Response(body, {
      headers: { 'Content-Type': String(request.headers['content-type']) },
    }).formData();
    const file = /** @type {File} */ (form.get('file'));
    asked.push([[...form.keys()], form.get('token'), file.name, await file.text()]);
    if (form.get('token') === 'over')
      return response.writeHead(403).end('{"error":"too late","code":"invalid_token"}');
    response.end('{}');
  });
  await new Promise((listening) => server.listen(0, '127.0.0.1', () => listening(null)));
  t.after(() => server.close());
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  const real = globalThis.fetch;
  globalThis.fetch = (path, options) => real(`http://127.0.0.1:${port}${path}`, options);
  anywhere.__MINDSTUDIO__ = { token: 'tok' };
  t.after(() => ((globalThis.fetch = real), delete anywhere.__MINDSTUDIO__));
  const file = new File(['hello'], 'a b.txt', { type: 'text/plain' });
  assert.equal(await web.platform.uploadFile(file), 'http://x/y');
  const given = { key: 'k', url: '/u', upload: { url: '/_/upload', fields: { token: 'over' } } };
  await assert.rejects(web.platform.upload(given, file), {
    message: 'too late',
    code: 'invalid_token',
    status: 403,
  });
  given.upload.fields.token = 'up';
  assert.deepEqual(await web.platform.upload(given, file), { key: 'k', url: '/u' });
  const sent = (/** @type {string} */ token) => [['token', 'file'], token, 'a b.txt', 'hello'];
  assert.deepEqual(asked, [
    ['Bearer tok', { filename: 'a b.txt', contentType: 'text/plain' }],
    sent('up'),
    sent('over'),
    sent('up'),
  ]);
});

test('what is not served yet says so, when it is called', async () => {
  const code = { code: 'not_supported' };
  await assert.rejects(web.platform.requestFile(), code);
  await assert.rejects(web.auth.signInWithRemy(), code);
  const chat = web.createAgentChatClient();
  await assert.rejects(chat.createThread(), code);
  await assert.rejects(chat.sendMessage(), code);
  await assert.rejects(createVoiceClient().startSession(), code);
  assert.equal(await web.auth.handleRemyRedirect(), null);
  assert.deepEqual([web.analytics.track('seen'), web.platform.basePath], [undefined, '']);
  /** @type {any[]} */
  const seen = [];
  web.auth.onAuthStateChanged((/** @type {any} */ user) => seen.push(user))();
  assert.deepEqual(seen, [null]);
});

test('types for editors: what is declared is there, and an app checks against it', (t) => {
  const declared = (/** @type {string} */ name) =>
    [
      ...readFileSync(new URL(`../js/sdk/${name}.d.ts`, import.meta.url), 'utf8').matchAll(
        /^export (?:const|function|class|default) (\w+)/gm,
      ),
    ]
      .map(([line, name]) => (line.includes('default') ? 'default' : name))
      .sort();
  for (const [name, module] of Object.entries({
    agent,
    interface: web,
    voice: { createVoiceClient },
  }))
    assert.deepEqual(declared(name), Object.keys(module).sort(), name);

  const at = mkdtempSync(join(tmpdir(), 'remy-types-'));
  t.after(() => rmSync(at, { recursive: true, force: true }));
  for (const [name, file] of [
    ['agent', 'agent'],
    ['interface', 'interface'],
  ]) {
    mkdirSync(join(at, 'node_modules/@mindstudio-ai', name), { recursive: true });
    writeFileSync(
      join(at, 'node_modules/@mindstudio-ai', name, 'index.d.ts'),
      readFileSync(new URL(`../js/sdk/${file}.d.ts`, import.meta.url)),
    );
    writeFileSync(
      join(at, 'node_modules/@mindstudio-ai', name, 'package.json'),
      JSON.stringify({ name: `@mindstudio-ai/${name}`, types: 'index.d.ts' }),
    );
  }
  writeFileSync(
    join(at, 'app.ts'),
    `
import mindstudio, { db, auth, Roles, User, MindStudioError, stream, resolveUser, session, files, events, waitUntil, email, analytics, reportIssue, getRequestContext, defineJewel, defineMapper } from '@mindstudio-ai/agent';
import type { StoredFile } from '@mindstudio-ai/agent';
import { createClient, platform, auth as page, createAgentChatClient, analytics as seen, events as heard } from '@mindstudio-ai/interface';
import type { ThreadSummary, ThreadListPage, Message, SendMessageResult, SendMessageOptions, AgentChatEvent, InvokeOptions, UploadToken, Auth, AuthStatus, Country, BootstrapConfig } from '@mindstudio-ai/interface';
interface Vendor { name: string; status: 'pending' | 'approved'; owner?: User; tags: string[]; createdAt: number }
const Vendors = db.defineTable<Vendor>('vendors', { unique: [['name']], defaults: { status: 'pending' } });
const Plain = db.defineTable<{ amount: number; note?: string }>('plain');
export async function run(input: { id: string }) {
  auth.requireRole(Roles.admin, 'x');
  if (!auth.userId) throw new MindStudioError('no', 'unauthenticated', 401);
  const vendor = await Vendors.push({ name: 'a', tags: [], owner: auth.userId });
  const id: string = vendor.id, at: number = vendor.created_at, same: Vendor = vendor;
  const [one, count, rows] = await db.batch(Vendors.get(id), Plain.count((p, $) => p.amount > $.least, { least: 1 }), Vendors.filter((v) => v.status === 'approved').sortBy((v) => v.createdAt).reverse().take(3));
  const names: string[] = rows.map((row) => row.name); const n: number = count; const first: string | undefined = one?.status;
  const groups = await Plain.groupBy((p) => p.amount); groups.get(1)?.[0].note;
  const sums = await Plain.aggregate({ by: ['amount'], select: { n: { count: true } } }); sums[0].n;
  await Vendors.upsert('name', { name: 'b', tags: [] }).catch(() => null);
  await stream({ a: 1 }); (await resolveUser(id))?.name; session.anything; await mindstudio.generateText({});
  const Uploads = files.defineStore('x', { access: 'private', contentTypes: ['image/png'] }); const stored: StoredFile = await Uploads.put(new Uint8Array(1), { filename: 'a.png', contentAddressed: true });
  const link: string = await stored.shareUrl({ expiresIn: 60 }); (await Uploads.get(stored.key)).toString('utf8'); (await Uploads.list({ prefix: link })).files[0].size; await Uploads.createUploadToken({ maxSize: 1 });
  const owner: User = db.userRef(id); await db.sql<{ n: number }>('SELECT count(*) AS n FROM vendors WHERE owner = ?', [owner]);
  const total: number = await Plain.filter((p, $) => p.amount > $.least, { least: 1 }).sum((p) => p.amount); const mean: number | null = await Plain.avg((p) => p.amount); await Plain.countDistinct((p) => p.note);
  waitUntil(events.publish(['a', 'b'], { total })); mindstudio.waitUntil(stream('x')); const { token } = await events.grant('a', { ttlSeconds: 60, publish: true });
  await email.send({ to: 'a@b.c', subject: 's', body: 'b' }); await analytics.track('x', { mean }); await reportIssue(new Error(token)); getRequestContext()?.headers['x-a'];
  defineJewel({ name: 'speed' }).name; defineMapper((row: { a: string }) => row.a)({ a: 'x' });
  // @ts-expect-error a required column
  await Plain.push({ note: 'x' });
  // @ts-expect-error no such column
  await Plain.update(id, { amuont: 1 });
  // @ts-expect-error another type
  Vendors.filter((v) => v.status === 'nothing');
  return { at, same, names, n, first };
}
const api = createClient<{ run(input: { id: string }): Promise<{ n: number }> }>();
export const page2 = async () => [(await api.run({ id: '1' })).n, await platform.uploadFile(new File([], 'x')), page.currentUser?.email, createAgentChatClient().sendMessage('t', 'x', { onText() {} }).abort()];
// @ts-expect-error no such method
api.walk();
const options: InvokeOptions = { stream: true, onToken: (text) => text.length, onStreamError: (error) => error.length };
export const answer = async (): Promise<number> => (await api.run({ id: '1' }, options)).n + (await createClient<{ now(): Promise<number> }>().now());
export const any = async () => (await createClient().whatever({ a: 1 }, { signal: new AbortController().signal })).x;
interface Shared { greet(input: { name: string }): Promise<string> }
export const shared: Shared = createClient<Shared>();
const status: AuthStatus = page.authStatus; const whole: Auth = page; const all: Country[] = page.phone.countries;
seen.track('x', { status, n: all.length, to: page.phone.toE164('1', page.phone.detectCountry()), shown: page.phone.format('1'), path: platform.basePath });
heard.connect({ getToken: () => 'x', onEvent: (event) => event.channel.length }).close();
export async function chat(token: UploadToken, boot: BootstrapConfig, more: SendMessageOptions): Promise<SendMessageResult> {
  const client = createAgentChatClient(); const { threads, nextCursor }: ThreadListPage = await client.listThreads(); const first: ThreadSummary | undefined = threads[0];
  const messages: Message[] = (await client.getThread(first?.id ?? nextCursor ?? '')).messages; boot.methods[messages[0].role]; await platform.upload(token, new File([], 'x')); whole.currentUser?.roles.includes('x');
  const onEvent = (event: AgentChatEvent) => { if (event.type === 'client_tool_call') client.registerClientTool(event.name, () => event.input); };
  return client.sendMessage('t', 'x', { onEvent }, more);
}
`,
  );
  writeFileSync(
    join(at, 'tsconfig.json'),
    JSON.stringify({
      compilerOptions: {
        strict: true,
        noEmit: true,
        module: 'nodenext',
        target: 'es2022',
        lib: ['es2022', 'dom'],
        types: [],
      },
      files: ['app.ts'],
    }),
  );
  execFileSync('npx', ['--yes', '--package', 'typescript@5.9.3', '--', 'tsc', '-p', at], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
});
