// @ts-check
// A whole app for the tests, with an interface of every type; and what becomes of it when it is changed.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { AppError, line } from './steps/faults.js';
import { readApp } from './steps/read.js';

/** @typedef {Record<string, any>} Files a file's text, or the JSON that it holds, by its path */

/** The app, anew for each test that changes it. */
export function vendorApp() {
  /** @type {Files} */
  const files = {
    'mindstudio.json': {
      appId: 'p2p',
      name: 'Procure-to-Pay',
      description: 'From request to payment.',
      roles: [
        { id: 'requester', name: 'Requester', description: 'Asks for vendors.' },
        { id: 'ap-clerk' },
      ],
      tables: [{ name: 'users', path: 'dist/methods/src/tables/users.ts', export: 'Users' }],
      methods: [
        {
          id: 'submit-vendor',
          name: 'Submit vendor',
          description: 'Asks for a new vendor.',
          path: 'dist/methods/src/submitVendor.ts',
          export: 'submitVendor',
        },
        { id: 'list-vendors', path: 'dist/methods/src/listVendors.ts', export: 'listVendors' },
        { id: 'pay', path: './dist/methods/src/pay.ts', export: 'pay' },
      ],
      interfaces: [
        { type: 'web', path: 'dist/interfaces/web/web.json' },
        { type: 'api', path: 'dist/interfaces/api/api.json' },
        { type: 'discord', path: 'dist/interfaces/discord/interface.json' },
        {
          type: 'telegram',
          config: {
            telegram: {
              botId: '77',
              token: 'telegram-token',
              defaultMethod: 'list-vendors',
              commands: [
                { command: '/vendors', description: 'All vendors', method: 'list-vendors' },
                { command: 'pay_all', description: 'Pay', method: 'pay' },
              ],
            },
          },
        },
        { type: 'cron', path: 'dist/interfaces/cron/interface.json' },
        { type: 'webhook', path: 'dist/interfaces/webhook/interface.json' },
        {
          type: 'email',
          config: {
            method: 'submit-vendor',
            approvedSenders: ['Ann@example.com', '*@trusted.example'],
          },
        },
        { type: 'mcp', path: 'dist/interfaces/mcp/interface.json' },
        { type: 'agent', path: 'dist/interfaces/agent/agent.json' },
        { type: 'voice', path: 'dist/interfaces/voice/interface.json' },
      ],
      scenarios: [
        {
          id: 'overdue',
          name: 'Overdue',
          path: 'dist/methods/.scenarios/overdue.ts',
          export: 'overdue',
          roles: ['ap-clerk'],
        },
      ],
      auth: {
        enabled: true,
        methods: ['email-code', 'api-key'],
        table: { name: 'users', columns: { email: 'email', roles: 'roles', apiKey: 'apiKey' } },
      },
    },
    'dist/methods/src/tables/users.ts':
      "import { db } from '@mindstudio-ai/agent';\nexport const Users = db.defineTable<{ email: string; roles: string[]; apiKey?: string }>('users');\n",
    'dist/methods/src/submitVendor.ts': 'export async function submitVendor() {}',
    'dist/methods/src/listVendors.ts': 'export async function listVendors() {}',
    'dist/methods/src/pay.ts': 'export async function pay() {}',
    'dist/methods/.scenarios/overdue.ts': 'export async function overdue() {}',
    'dist/interfaces/web/web.json': {
      web: {
        devPort: 5173,
        devCommand: 'npm run dev',
        defaultPreviewMode: 'mobile',
        prerender: { paths: ['/u/*'] },
      },
    },
    'dist/interfaces/api/api.json': {
      api: {
        name: 'Vendors API',
        description: 'Vendors and payments.',
        routes: [
          {
            method: 'GET',
            path: '/vendors/',
            handler: 'list-vendors',
            summary: 'List vendors',
            tag: 'Vendors',
            params: {
              query: {
                status: { type: 'string', description: 'Only these' },
                limit: { type: 'integer', required: true },
              },
            },
          },
          { method: 'post', path: '/vendors', handler: 'submit-vendor', tag: 'Vendors' },
          { method: 'GET', path: '/vendors/:id', handler: 'list-vendors' },
          {
            method: 'DELETE',
            path: '/vendors/:vendorId',
            handler: 'pay',
            description: 'Ends it.',
            tag: 'Payments',
            params: {
              path: { vendorId: { type: 'string', required: true, description: 'Which' } },
            },
          },
          {
            method: 'PUT',
            path: '/vendors/:id/name',
            handler: 'submit-vendor',
            params: { body: { name: { type: 'string', required: true, description: 'Its name' } } },
          },
        ],
      },
    },
    'dist/interfaces/discord/interface.json': {
      discord: {
        applicationId: '123',
        botToken: 'discord-token',
        publicKey: 'discord-key',
        commands: [
          {
            name: 'vendors',
            description: 'All vendors',
            method: 'list-vendors',
            loadingMessage: 'One moment',
          },
          {
            name: 'pay',
            description: 'Pays a vendor',
            method: 'pay',
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
        ],
      },
    },
    'dist/interfaces/cron/interface.json': {
      jobs: [
        { schedule: '0  9 * * 5', method: 'pay', description: 'Fridays' },
        { schedule: '*/30 * * * *', method: 'list-vendors' },
      ],
    },
    'dist/interfaces/webhook/interface.json': {
      webhook: {
        endpoints: [
          { method: 'pay', secret: 'whsec_0123456789', description: 'Paid' },
          { method: 'pay', secret: 'whsec_9876543210' },
        ],
      },
    },
    'dist/interfaces/mcp/interface.json': {
      mcp: {
        name: 'Vendors',
        description: 'Tools for vendors.',
        instructions: 'instructions.md',
        tools: [
          {
            method: 'list-vendors',
            title: 'List vendors',
            description: 'tools/listVendors.md',
            annotations: { readOnly: true, openWorld: false },
          },
          { method: 'submit-vendor', name: 'submit_vendor', description: 'tools/submitVendor.md' },
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
            template: 'prompts/draft.md',
          },
        ],
      },
    },
    'dist/interfaces/mcp/instructions.md': 'Read a vendor before you change it.\n',
    'dist/interfaces/mcp/tools/listVendors.md': 'Lists all vendors.\n',
    'dist/interfaces/mcp/tools/submitVendor.md': 'Asks for a vendor.\n',
    'dist/interfaces/mcp/prompts/draft.md': 'Write to {{vendorId}}.\n',
    'dist/interfaces/agent/agent.json': {
      agent: {
        model: 'claude-4-5-haiku',
        temperature: 0.5,
        maxTokens: 16000,
        systemPrompt: 'system.md',
        auth: { requireUser: true, requireRole: 'ap-clerk' },
        tools: [
          { method: 'list-vendors', description: 'tools/listVendors.md' },
          {
            target: 'client',
            name: 'open_page',
            description: 'Opens a page.',
            inputSchema: { properties: { page: { type: 'string' } } },
          },
        ],
        webInterfacePath: '/chat',
      },
    },
    'dist/interfaces/agent/system.md': 'You help with vendors.\n',
    'dist/interfaces/agent/tools/listVendors.md': 'Lists vendors.\n',
    'dist/interfaces/voice/interface.json': {
      name: 'Front desk',
      model: 'gpt-realtime-mini',
      voice: 'marin',
      greeting: 'Hello!',
      turnDetection: { eagerness: 'low' },
      systemPrompt: 'system.md',
      context: { method: 'list-vendors' },
      tools: [{ method: 'pay', latency: 'slow', description: 'pay.md' }],
    },
    'dist/interfaces/voice/system.md': 'You are on the telephone.\n',
    'dist/interfaces/voice/pay.md': 'Pays.\n',
  };
  return files;
}

/** What a method takes, as the core's TypeScript reader says it. @param {string} method */
export function schemas(method) {
  const vendor = { $ref: '#/$defs/Contact' };
  return (
    {
      'submit-vendor': {
        type: 'object',
        properties: { name: { type: 'string' }, contact: vendor },
        required: ['name'],
        $defs: {
          Contact: {
            type: 'object',
            properties: { email: { type: 'string' }, next: { $ref: '#/$defs/Contact' } },
          },
        },
      },
      'list-vendors': {
        type: 'object',
        properties: { status: { enum: ['pending', 'approved'] }, id: { type: 'string' } },
      },
    }[method] ?? {}
  );
}

/**
 * Writes an app to a folder that is gone when the process is.
 *
 * @param {Files} files
 * @param {Record<string, string>} [links] by their paths
 */
export function write(files, links = {}) {
  const root = mkdtempSync(join(tmpdir(), 'remy-app-'));
  process.on('exit', () => rmSync(root, { recursive: true, force: true }));
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(
      join(root, path),
      typeof content === 'string' || Buffer.isBuffer(content)
        ? content
        : JSON.stringify(content, null, 2),
    );
  }
  for (const [path, target] of Object.entries(links)) symlinkSync(target, join(root, path));
  return root;
}

/**
 * What is wrong with an app, and what is odd.
 *
 * @param {string} root
 */
export function judge(root) {
  try {
    return { faults: [], warnings: readApp(root).warnings };
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    // Where in a JSON file a value stands is a matter of how it is written, and has a test of its own.
    return {
      faults: error.faults.map((fault) =>
        line(fault.source === undefined ? { ...fault, line: undefined } : fault),
      ),
      warnings: [],
    };
  }
}

/**
 * What is found after `change` was made to the JSON of one of the vendor app's files.
 *
 * @param {string} file
 * @param {(json: any) => void} change
 */
export function changed(file, change) {
  const files = vendorApp();
  change(files[file]);
  return judge(write(files));
}

/**
 * What is said of the schedule of a job; null where nothing is.
 *
 * @param {string} schedule
 */
export function scheduleFault(schedule) {
  const { faults } = changed('dist/interfaces/cron/interface.json', (json) => {
    json.jobs = [{ method: 'pay', schedule }];
  });
  assert(faults.length < 2, faults.join('\n'));
  return faults[0] ?? null;
}

/**
 * Whether mail of a sender can be approved.
 *
 * @param {string} sender
 */
export function isSender(sender) {
  const { faults } = changed('mindstudio.json', (json) => {
    json.interfaces[6].config.approvedSenders = [sender];
  });
  return faults.length === 0;
}
