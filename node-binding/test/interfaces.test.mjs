// @ts-check
// Interface files: what is said of what is wrong in them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compile, readApp } from './steps/read.js';
import { changed, isSender, judge, scheduleFault, vendorApp, write } from './app.mjs';

const NO_METHOD = 'there is no method "nobody"; the manifest has submit-vendor, list-vendors, pay';
const far = 'x'.repeat(101);

/** @type {Record<string, [string, (content: any) => void, ...string[]][]>} by type: what is done to the content, and what is said of it */
const cases = {
  web: [
    [
      'a port that is none',
      (web) => (web.devPort = 70000),
      '/devPort: has to be a whole number, 1 to 65535, but is 70000',
    ],
    [
      'a port that is a text',
      (web) => (web.devPort = '5173'),
      '/devPort: has to be a number, but is a text',
    ],
    [
      'an unknown preview',
      (web) => (web.defaultPreviewMode = 'tablet'),
      '/defaultPreviewMode: has to be "desktop" or "mobile", but is "tablet"',
    ],
    [
      'a path to prerender that is none',
      (web) => web.prerender.paths.push('u'),
      '/prerender/paths/1: "u" does not begin with "/"',
    ],
    [
      'prerender without paths',
      (web) => delete web.prerender.paths,
      '/prerender/paths: is missing',
    ],
  ],
  api: [
    [
      'a route of an unknown method',
      (api) => (api.routes[0].handler = 'nobody'),
      `/routes/0/handler: ${NO_METHOD}`,
    ],
    [
      'an unknown verb',
      (api) => (api.routes[0].method = 'FETCH'),
      '/routes/0/method: has to be GET, POST, PUT, PATCH or DELETE, but is "FETCH"',
    ],
    [
      'a path without a slash',
      (api) => (api.routes[0].path = 'vendors'),
      '/routes/0/path: "vendors" does not begin with "/"',
    ],
    [
      "a path in OpenAPI's words",
      (api) => (api.routes[0].path = '/vendors/{id}'),
      '/routes/0/path: "/vendors/{id}" has braces; a parameter is written ":name"',
    ],
    [
      'a path with a query',
      (api) => (api.routes[0].path = '/vendors?all'),
      '/routes/0/path: "/vendors?all" has more than a path in it; query parameters stand in "params"',
    ],
    [
      'a parameter without a name',
      (api) => (api.routes[0].path = '/v/:/x'),
      '/routes/0/path: ":" is no parameter: its name is made of letters, digits and "_"',
    ],
    [
      'a parameter that is there twice',
      (api) => (api.routes[0].path = '/v/:id/x/:id'),
      '/routes/0/path: "/v/:id/x/:id" has the parameter ":id" twice',
    ],
    [
      'a route that is there twice',
      (api) => api.routes.push({ method: 'get', path: '//vendors/:other', handler: 'pay' }),
      '/routes/5: has the route "GET /vendors/:" of /routes/2',
    ],
    [
      'a declared parameter that the path has not',
      (api) => (api.routes[3].params.path.id = { type: 'string' }),
      '/routes/3/params/path/id: "/vendors/:vendorId" has no ":id"',
    ],
    [
      'a parameter without a type',
      (api) => (api.routes[0].params.query.status = {}),
      '/routes/0/params/query/status/type: is missing',
    ],
    [
      'a parameter whose name has a slash',
      (api) => (api.routes[0].params.query['a/b'] = 7),
      '/routes/0/params/query/a~1b: has to be an object, but is a number',
    ],
    [
      'a schema that is of no object',
      (api) => (api.routes[1].inputSchema = { type: 'array' }),
      '/routes/1/inputSchema/type: has to be "object": what a method takes has names',
    ],
    [
      'an unknown method in the older form',
      (api) => {
        delete api.routes;
        api.methods = ['pay', 'nobody', 'pay'];
      },
      `/methods/1: ${NO_METHOD}`,
      '/methods/2: has the method "pay" of /methods/0',
    ],
  ],
  cron: [
    [
      'no jobs',
      (cron) => {
        delete cron.jobs;
        cron.cron = {};
      },
      '/cron/jobs: is missing',
    ],
    [
      'jobs that are no list',
      (cron) => (cron.jobs = {}),
      '/jobs: has to be a list, but is an object',
    ],
    [
      'a job of an unknown method',
      (cron) => (cron.jobs[0].method = 'nobody'),
      `/jobs/0/method: ${NO_METHOD}`,
    ],
    [
      'a job without a schedule',
      (cron) => delete cron.jobs[0].schedule,
      '/jobs/0/schedule: is missing',
    ],
    [
      'a schedule that is none',
      (cron) => (cron.jobs[0].schedule = '0 3 32 * *'),
      '/jobs/0/schedule: "0 3 32 * *": the day of the month "32" is not within 1 to 31',
    ],
    [
      'a job that is there twice',
      (cron) => cron.jobs.push({ schedule: ' 0 9 * *  5', method: 'pay' }),
      '/jobs/2: has the method and schedule "pay at 0 9 * * 5" of /jobs/0',
    ],
    [
      'a file of something else',
      (cron) => {
        delete cron.jobs;
        cron.tasks = [];
      },
      ': declares no cron interface: that stands below "cron"',
    ],
  ],
  webhook: [
    [
      'an endpoint of an unknown method',
      (webhook) => (webhook.endpoints[0].method = 'nobody'),
      `/endpoints/0/method: ${NO_METHOD}`,
    ],
    [
      'an endpoint without a secret',
      (webhook) => delete webhook.endpoints[0].secret,
      '/endpoints/0/secret: is missing',
    ],
    [
      'an empty secret',
      (webhook) => (webhook.endpoints[0].secret = '  '),
      '/endpoints/0/secret: is empty',
    ],
    [
      'a secret that is there twice',
      (webhook) => (webhook.endpoints[1].secret = webhook.endpoints[0].secret),
      '/endpoints/1/secret: has the secret of /endpoints/0',
    ],
    [
      'a secret of the wrong type',
      (webhook) => (webhook.endpoints[0].secret = 12345),
      '/endpoints/0/secret: has to be a text, but is a number',
    ],
  ],
  discord: [
    [
      'a command of an unknown method',
      (discord) => (discord.commands[0].method = 'nobody'),
      `/commands/0/method: ${NO_METHOD}`,
    ],
    [
      'a name in upper case',
      (discord) => (discord.commands[0].name = 'Vendors'),
      '/commands/0/name: "Vendors" is no name for Discord: it has to be in lower case',
    ],
    [
      'a name with a space',
      (discord) => (discord.commands[0].name = 'all vendors'),
      '/commands/0/name: "all vendors" is no name for Discord: 1 to 32 letters, digits, "-" and "_"',
    ],
    [
      'a name that is too long',
      (discord) => (discord.commands[0].name = 'v'.repeat(33)),
      `/commands/0/name: "${'v'.repeat(33)}" is no name for Discord: 1 to 32 letters, digits, "-" and "_"`,
    ],
    [
      'a command that is there twice',
      (discord) => (discord.commands[1].name = 'vendors'),
      '/commands/1/name: has the name "vendors" of /commands/0',
    ],
    [
      'a description that is too long',
      (discord) => (discord.commands[0].description = far),
      '/commands/0/description: has 101 characters, and at most 100 are allowed',
    ],
    [
      'a command of another type',
      (discord) => (discord.commands[0].type = 2),
      '/commands/0/type: has to be 1, a slash command: other types have no text to run, but is a number',
    ],
    [
      'too many commands',
      (discord) =>
        (discord.commands = Array.from({ length: 101 }, (_, i) => ({
          name: `c${i}`,
          description: 'x',
          method: 'pay',
        }))),
      '/commands: holds 101, and at most 100 are allowed',
    ],
    [
      'an option of no type',
      (discord) => (discord.commands[1].options[0].type = 'STRING'),
      "/commands/1/options/0/type: has to be one of Discord's numbers (1 subcommand, 2 group of subcommands, 3 text, 4 integer, 5 boolean, 6 user, 7 channel, 8 role, 9 mentionable, 10 number or 11 attachment), but is a text",
    ],
    [
      'an option name that is none',
      (discord) => (discord.commands[1].options[0].name = 'The Vendor'),
      '/commands/1/options/0/name: "The Vendor" is no name for Discord: 1 to 32 letters, digits, "-" and "_"',
    ],
    [
      'an option that is there twice',
      (discord) => (discord.commands[1].options[1].name = 'vendor'),
      '/commands/1/options/1/name: has the name "vendor" of /commands/1/options/0',
    ],
    [
      'a required option behind another',
      (discord) => discord.commands[1].options.reverse(),
      '/commands/1/options/1/required: required options come first, and /commands/1/options/0 before it is not',
    ],
    [
      'too many options',
      (discord) =>
        (discord.commands[0].options = Array.from({ length: 26 }, (_, i) => ({
          type: 3,
          name: `o${i}`,
          description: 'x',
        }))),
      '/commands/0/options: holds 26, and at most 25 are allowed',
    ],
    [
      'too many choices',
      (discord) =>
        (discord.commands[1].options[0].choices = Array.from({ length: 26 }, (_, i) => ({
          name: `${i}`,
          value: `${i}`,
        }))),
      '/commands/1/options/0/choices: holds 26, and at most 25 are allowed',
    ],
    [
      'a choice of another type',
      (discord) => (discord.commands[1].options[0].choices[0].value = 1),
      '/commands/1/options/0/choices/0/value: has to be a text, but is a number',
    ],
    [
      'a choice of an integer that is none',
      (discord) =>
        (discord.commands[1].options[0] = {
          type: 4,
          name: 'n',
          description: 'x',
          choices: [{ name: 'half', value: 0.5 }],
        }),
      '/commands/1/options/0/choices/0/value: has to be a whole number, but is a number',
    ],
    [
      'choices of what has none',
      (discord) =>
        (discord.commands[1].options[0] = { type: 5, name: 'n', description: 'x', choices: [] }),
      '/commands/1/options/0/choices: a boolean has none of these',
    ],
    [
      'a least value of a text',
      (discord) => (discord.commands[1].options[0].min_value = 1),
      '/commands/1/options/0/min_value: a text has none of these',
    ],
    [
      'a least value above the greatest',
      (discord) => (discord.commands[1].options[1].max_value = 0),
      '/commands/1/options/1/min_value: is greater than max_value',
    ],
    [
      'a length out of bounds',
      (discord) => (discord.commands[1].options[0].max_length = 6001),
      '/commands/1/options/0/max_length: has to be a whole number, 1 to 6000, but is 6001',
    ],
    [
      'autocomplete beside choices',
      (discord) => (discord.commands[1].options[0].autocomplete = true),
      '/commands/1/options/0/autocomplete: cannot be beside choices',
    ],
    [
      'a value beside a subcommand',
      (discord) => discord.commands[1].options.push({ type: 1, name: 'now', description: 'x' }),
      '/commands/1/options/0: cannot stand beside subcommands',
    ],
    [
      'a group in a subcommand',
      (discord) =>
        (discord.commands[0].options = [
          {
            type: 1,
            name: 'a',
            description: 'x',
            options: [{ type: 2, name: 'b', description: 'x' }],
          },
        ]),
      '/commands/0/options/0/options/0/type: a group of subcommands cannot stand here',
    ],
    [
      'a group without a subcommand',
      (discord) => (discord.commands[0].options = [{ type: 2, name: 'a', description: 'x' }]),
      '/commands/0/options/0/options: is missing: a group needs a subcommand',
    ],
    [
      'a subcommand that is required',
      (discord) =>
        (discord.commands[0].options = [{ type: 1, name: 'a', description: 'x', required: true }]),
      '/commands/0/options/0/required: a subcommand cannot be required',
    ],
    [
      'too many characters in all',
      (discord) => {
        const choices = Array.from({ length: 25 }, (_, i) => ({
          name: `${i}`.padEnd(100, '.'),
          value: `${i}`.padEnd(100, '.'),
        }));
        discord.commands[0].options = ['a', 'b'].map((name) => ({
          type: 3,
          name,
          description: 'x',
          choices,
        }));
      },
      '/commands/0: has 10022 characters in names, descriptions and values, and at most 8000 are allowed',
    ],
    [
      'a token of the wrong type',
      (discord) => (discord.botToken = 7),
      '/botToken: has to be a text, but is a number',
    ],
  ],
  telegram: [
    [
      'a command of an unknown method',
      (telegram) => (telegram.commands[0].method = 'nobody'),
      `/commands/0/method: ${NO_METHOD}`,
    ],
    [
      'a default of an unknown method',
      (telegram) => (telegram.defaultMethod = 'nobody'),
      `/defaultMethod: ${NO_METHOD}`,
    ],
    [
      'a command in upper case',
      (telegram) => (telegram.commands[0].command = '/Vendors'),
      '/commands/0/command: "/Vendors" is no command for Telegram: 1 to 32 of a-z, 0-9 and "_"',
    ],
    [
      'a command with a hyphen',
      (telegram) => (telegram.commands[0].command = 'all-vendors'),
      '/commands/0/command: "all-vendors" is no command for Telegram: 1 to 32 of a-z, 0-9 and "_"',
    ],
    [
      'a command of a slash',
      (telegram) => (telegram.commands[0].command = '/'),
      '/commands/0/command: "/" is no command for Telegram: 1 to 32 of a-z, 0-9 and "_"',
    ],
    [
      'a command that is too long',
      (telegram) => (telegram.commands[0].command = `/${'v'.repeat(33)}`),
      `/commands/0/command: "/${'v'.repeat(33)}" is no command for Telegram: 1 to 32 of a-z, 0-9 and "_"`,
    ],
    [
      'a command that is there twice',
      (telegram) => (telegram.commands[1].command = 'vendors'),
      '/commands/1/command: has the command "vendors" of /commands/0',
    ],
    [
      'no description',
      (telegram) => (telegram.commands[0].description = ''),
      '/commands/0/description: is empty',
    ],
    [
      'a description that is too long',
      (telegram) => (telegram.commands[0].description = 'é'.repeat(257)),
      '/commands/0/description: has 257 characters, and at most 256 are allowed',
    ],
    [
      'too many commands',
      (telegram) =>
        (telegram.commands = Array.from({ length: 101 }, (_, i) => ({
          command: `c${i}`,
          description: 'x',
          method: 'pay',
        }))),
      '/commands: holds 101, and at most 100 are allowed',
    ],
  ],
  email: [
    ['an unknown method', (email) => (email.method = 'nobody'), `/method: ${NO_METHOD}`],
    [
      'a sender that is none',
      (email) => email.approvedSenders.push('example.com'),
      '/approvedSenders/2: "example.com" is neither an address nor "*@domain"',
    ],
    [
      'senders that are no list',
      (email) => (email.approvedSenders = '*@example.com'),
      '/approvedSenders: has to be a list, but is a text',
    ],
  ],
  mcp: [
    [
      'a tool of an unknown method',
      (mcp) => (mcp.tools[0].method = 'nobody'),
      `/tools/0/method: ${NO_METHOD}`,
    ],
    [
      'a name of a tool that is none',
      (mcp) => (mcp.tools[1].name = 'submit vendor'),
      '/tools/1/name: "submit vendor" is no name of a tool: 1 to 128 of A-Z, a-z, 0-9, "_" and "-"',
    ],
    [
      'a tool that is there twice',
      (mcp) => (mcp.tools[1].name = 'list-vendors'),
      '/tools/1: has the tool name "list-vendors" of /tools/0',
    ],
    [
      'a description that is no file',
      (mcp) => (mcp.tools[0].description = 'Lists all vendors.'),
      '/tools/0/description: there is no file "dist/interfaces/mcp/Lists all vendors."',
    ],
    [
      'an annotation of the wrong type',
      (mcp) => (mcp.tools[0].annotations.readOnly = 'yes'),
      '/tools/0/annotations/readOnly: has to be true or false, but is a text',
    ],
    [
      'instructions that are not there',
      (mcp) => (mcp.instructions = 'x.md'),
      '/instructions: there is no file "dist/interfaces/mcp/x.md"',
    ],
    [
      'a resource with two addresses',
      (mcp) => (mcp.resources[0].uriTemplate = 'app://v/{id}'),
      '/resources/0: has both a uri and a uriTemplate; keep one of them',
    ],
    [
      'a resource without an address',
      (mcp) => delete mcp.resources[0].uri,
      '/resources/0: has neither a uri nor a uriTemplate',
    ],
    [
      'a uri that is none',
      (mcp) => (mcp.resources[0].uri = 'vendors'),
      '/resources/0/uri: "vendors" is no URI, as in "app://vendors"',
    ],
    [
      'a uri with a parameter',
      (mcp) => (mcp.resources[0].uri = 'app://vendors/{no}'),
      '/resources/0/uri: "app://vendors/{no}" has a {parameter}; it is a "uriTemplate"',
    ],
    [
      'a template without a parameter',
      (mcp) => (mcp.resources[1].uriTemplate = 'app://vendors'),
      '/resources/1/uriTemplate: "app://vendors" has no {parameter}; it is a "uri"',
      '/resources/1: has the uri "app://vendors" of /resources/0',
    ],
    [
      'a template that is not closed',
      (mcp) => (mcp.resources[1].uriTemplate = 'app://vendors/{id'),
      '/resources/1/uriTemplate: "app://vendors/{id" is no URI template, as in "app://vendors/{id}"',
    ],
    [
      'a template of nothing',
      (mcp) => (mcp.resources[1].uriTemplate = 'app://vendors/{}'),
      '/resources/1/uriTemplate: "app://vendors/{}" is no URI template, as in "app://vendors/{id}"',
    ],
    [
      'an address that is there twice',
      (mcp) => mcp.resources.push(mcp.resources[0]),
      '/resources/2: has the uri "app://vendors" of /resources/0',
    ],
    [
      'a prompt that is there twice',
      (mcp) => mcp.prompts.push(mcp.prompts[0]),
      '/prompts/1/name: has the name "draft" of /prompts/0',
    ],
    [
      'an argument that is there twice',
      (mcp) => mcp.prompts[0].arguments.push({ name: 'vendorId' }),
      '/prompts/0/arguments/1/name: has the name "vendorId" of /prompts/0/arguments/0',
    ],
    [
      'a prompt without a template',
      (mcp) => delete mcp.prompts[0].template,
      '/prompts/0/template: is missing',
    ],
  ],
  agent: [
    ['no model', (agent) => delete agent.model, '/model: is missing'],
    [
      'a temperature that is none',
      (agent) => (agent.temperature = -1),
      '/temperature: has to be a number, 0 or more, but is a number',
    ],
    [
      'half a token',
      (agent) => (agent.maxTokens = 0.5),
      '/maxTokens: has to be a whole number, 1 or more, but is 0.5',
    ],
    [
      'a system prompt that leaves the app',
      (agent) => (agent.systemPrompt = '../../../../x.md'),
      '/systemPrompt: "../../../../x.md" leaves the app\'s folder',
    ],
    [
      'a tool of an unknown method',
      (agent) => (agent.tools[0].method = 'nobody'),
      `/tools/0/method: ${NO_METHOD}`,
    ],
    [
      'a tool of another target',
      (agent) => (agent.tools[1].target = 'server'),
      '/tools/1/target: has to be "client", but is "server"',
    ],
    [
      'a client tool without a name',
      (agent) => delete agent.tools[1].name,
      '/tools/1/name: is missing',
    ],
    [
      'a client tool whose file is not there',
      (agent) => (agent.tools[1].description = 'tools/open.md'),
      '/tools/1/description: there is no file "dist/interfaces/agent/tools/open.md"',
    ],
    [
      'a tool that is there twice',
      (agent) => (agent.tools[1].name = 'list-vendors'),
      '/tools/1: has the name "list-vendors" of /tools/0',
    ],
    [
      'an unknown role',
      (agent) => (agent.auth.requireRole = ['ap-clerk', 'boss']),
      '/auth/requireRole/1: there is no role "boss"; the manifest has requester, ap-clerk',
    ],
    [
      'a role of a user who need not be known',
      (agent) => (agent.auth.requireUser = false),
      '/auth/requireRole: needs "requireUser": true: nobody has a role who is not known',
    ],
    ['auth that says nothing', (agent) => (agent.auth = {}), '/auth/requireUser: is missing'],
  ],
  voice: [
    [
      'no model',
      (voice) => delete voice.model,
      '/model: is missing; in its place there may be "llm", "stt" and "tts"',
    ],
    [
      'a model of three that is not whole',
      (voice) => {
        delete voice.model;
        voice.llm = 'x';
      },
      '/stt: is missing: "llm", "stt" and "tts" go together',
      '/tts: is missing: "llm", "stt" and "tts" go together',
    ],
    [
      'a model beside another',
      (voice) => (voice.tts = 'x'),
      '/tts: cannot be beside "model", which hears and speaks by itself',
    ],
    [
      'an unknown latency',
      (voice) => (voice.tools[0].latency = 'medium'),
      '/tools/0/latency: has to be "fast", "slow" or "background", but is "medium"',
    ],
    [
      'a context of an unknown method',
      (voice) => (voice.context.method = 'nobody'),
      `/context/method: ${NO_METHOD}`,
    ],
    ['no system prompt', (voice) => delete voice.systemPrompt, '/systemPrompt: is missing'],
  ],
};

/** Where the content of each type is in the vendor app. @param {Record<string, any>} files @param {string} type */
function contentOf(files, type) {
  const i = files['mindstudio.json'].interfaces.findIndex(
    (/** @type {any} */ it) => it.type === type,
  );
  const entry = files['mindstudio.json'].interfaces[i];
  const whole = entry.path ? files[entry.path] : entry.config;
  const nested = whole[type] && typeof whole[type] === 'object';
  return {
    content: nested ? whole[type] : whole,
    at: `${entry.path ?? 'mindstudio.json'}#${entry.path ? '' : `/interfaces/${i}/config`}${nested ? `/${type}` : ''}`,
  };
}

for (const [type, changes] of Object.entries(cases)) {
  for (const [what, change, ...expected] of changes) {
    test(`${type}: ${what}`, () => {
      const files = vendorApp();
      const { content, at } = contentOf(files, type);
      change(content);
      const placed = expected.map((fault) =>
        fault.startsWith(':')
          ? `${at.replace('#', '')}${fault}`
          : `${at}${fault.replace(/ of \//, ` of ${at.split('#')[1]}/`).replace(/, and \//, `, and ${at.split('#')[1]}/`)}`,
      );
      assert.deepEqual(judge(write(files)).faults, placed);
    });
  }
}

test('no secret is in any message', () => {
  const files = vendorApp();
  files['mindstudio.json'].interfaces[3].config.telegram.commands[0].method = 'nobody';
  const { endpoints } = files['dist/interfaces/webhook/interface.json'].webhook;
  endpoints.push(
    { ...endpoints[0] },
    { method: 'nobody', secret: endpoints[1].secret },
    { method: 'pay', secret: [endpoints[1].secret] },
  );
  const { discord } = files['dist/interfaces/discord/interface.json'];
  discord.publicKey = { key: 'discord-key' };
  const { faults } = judge(write(files));
  assert.equal(faults.length, 6);
  assert.doesNotMatch(faults.join('\n'), /whsec|telegram-token|discord-token|discord-key/);
});

test('of what is switched off nothing is looked at', () => {
  for (const off of [
    { type: 'cron', config: { jobs: [{ method: 'nobody', schedule: 'never' }] } },
    { type: 'discord', path: 'dist/interfaces/discord/gone.json' },
    { type: 'web', path: '../elsewhere/web.json' },
    { type: 'mcp' },
    { type: 'agent', path: 7, config: 'none' },
    { type: 'email', path: 'a.json', config: {} },
  ]) {
    assert.deepEqual(
      changed('mindstudio.json', (json) => json.interfaces.push({ ...off, enabled: false })),
      { faults: [], warnings: [] },
      JSON.stringify(off),
    );
  }
  const { faults } = changed('mindstudio.json', (json) =>
    json.interfaces.push({ type: 'slack', enabled: false }),
  );
  assert.equal(faults.length, 1);
});

test('a tool without a description has that of its method', () => {
  const files = vendorApp();
  const tool = { method: 'submit-vendor' };
  files['dist/interfaces/agent/agent.json'].agent.tools.push(tool);
  files['dist/interfaces/voice/interface.json'].tools.push(tool);
  files['dist/interfaces/mcp/interface.json'].mcp.tools[1] = {
    ...tool,
    name: 'submit_vendor',
    description: null,
  };
  const root = write(files);
  assert.deepEqual(judge(root), { faults: [], warnings: [] });
  const { manifest, interfaces } = readApp(root);
  for (const [type, name] of [
    ['agent', 'submit-vendor'],
    ['voice', 'submit-vendor'],
    ['mcp', 'submit_vendor'],
  ]) {
    const { files } = compile(/** @type {any} */ (interfaces.find((it) => it.type === type)), {
      manifest,
      schemas: () => ({ type: 'object' }),
    });
    const { tools } = JSON.parse(files[`interfaces/${type}.json`]);
    assert.equal(
      tools.find((/** @type {any} */ tool) => tool.name === name).description,
      'Asks for a new vendor.',
      type,
    );
  }
  // Where neither has one, a model could not choose it.
  files['dist/interfaces/agent/agent.json'].agent.tools.push({ method: 'pay' });
  files['dist/interfaces/mcp/interface.json'].mcp.tools.push({ method: 'pay' });
  const none = 'is missing, and the method "pay" has none in the manifest that could stand for it';
  assert.deepEqual(judge(write(files)).faults, [
    `dist/interfaces/mcp/interface.json#/mcp/tools/2/description: ${none}`,
    `dist/interfaces/agent/agent.json#/agent/tools/3/description: ${none}`,
  ]);
});

test('methods and roles that the manifest does not tell are no faults of those who name them', () => {
  const { faults } = changed('mindstudio.json', (json) =>
    Object.assign(json, { methods: 'all', roles: 7 }),
  );
  assert.deepEqual(faults, [
    'mindstudio.json#/methods: has to be a list, but is a text',
    'mindstudio.json#/roles: has to be a list, but is a number',
  ]);
});

test('what is odd, and does no harm', () => {
  const files = vendorApp();
  const { api } = files['dist/interfaces/api/api.json'];
  Object.assign(api, { methods: ['pay'] });
  api.routes[0].params.body = { x: { type: 'string' } };
  api.routes[0].params.query.since = { type: 'date' };
  files['dist/interfaces/mcp/prompts/draft.md'] = '{{vendorId}} {{ tone }} {{tone}}';
  const at = 'dist/interfaces/api/api.json#/api';
  assert.deepEqual(judge(write(files)), {
    faults: [],
    warnings: [
      `${at}/routes/0/params/query/since/type: "date" is no type of JSON; OpenAPI is told of no type`,
      `${at}/routes/0/params/body: is not read: GET has no body`,
      `${at}/methods: is not read where there are routes`,
      'dist/interfaces/mcp/interface.json#/mcp/prompts/0/template: the template has {{tone}}, which is no argument of the prompt',
    ],
  });
});

test('what stands beside the content is odd, and kept', () => {
  const files = vendorApp();
  files['dist/interfaces/cron/interface.json'] = {
    $schema: 'cron.json',
    cron: { jobs: [] },
    jobs: [{}],
    version: 1,
  };
  const at = 'dist/interfaces/cron/interface.json#';
  assert.deepEqual(judge(write(files)), {
    faults: [],
    warnings: [
      `${at}/jobs: is not known here, and kept as it is; "cron" is known`,
      `${at}/version: is not known here, and kept as it is; "cron" is known`,
    ],
  });
});

test('where the content stands', () => {
  const files = vendorApp();
  files['mindstudio.json'].interfaces[1] = { type: 'api' };
  files['dist/interfaces/voice/interface.json'] = {
    voice: { ...files['dist/interfaces/voice/interface.json'] },
  };
  files['mindstudio.json'].interfaces[0] = { type: 'web', config: { devPort: 80 } };
  const { interfaces } = readApp(write(files));
  assert.deepEqual(
    interfaces.map(({ type, file, pointer, dir }) => [type, file, pointer, dir]),
    [
      ['web', 'mindstudio.json', '/interfaces/0/config', 'dist/interfaces/web'],
      ['api', 'mindstudio.json', '/interfaces/1', '.'],
      ['discord', 'dist/interfaces/discord/interface.json', '/discord', 'dist/interfaces/discord'],
      ['telegram', 'mindstudio.json', '/interfaces/3/config/telegram', '.'],
      ['cron', 'dist/interfaces/cron/interface.json', '', 'dist/interfaces/cron'],
      ['webhook', 'dist/interfaces/webhook/interface.json', '/webhook', 'dist/interfaces/webhook'],
      ['email', 'mindstudio.json', '/interfaces/6/config', '.'],
      ['mcp', 'dist/interfaces/mcp/interface.json', '/mcp', 'dist/interfaces/mcp'],
      ['agent', 'dist/interfaces/agent/agent.json', '/agent', 'dist/interfaces/agent'],
      ['voice', 'dist/interfaces/voice/interface.json', '/voice', 'dist/interfaces/voice'],
    ],
  );
});

test("a voice has a field of its type's name", () => {
  const files = vendorApp();
  const content = files['dist/interfaces/voice/interface.json'];
  for (const voice of ['marin', { id: 'marin' }]) {
    for (const [pointer, json] of /** @type {[string, any][]} */ ([
      ['', { ...content, voice }],
      ['/voice', { voice: { ...content, voice } }],
      ['/voice', { voice: { ...content, voice }, name: 'x' }],
    ])) {
      files['dist/interfaces/voice/interface.json'] = json;
      const it = readApp(write(files)).interfaces.find((it) => it.type === 'voice');
      assert.deepEqual([it?.pointer, it?.config.voice], [pointer, voice]);
    }
  }
});

test('a web interface without a path needs the folder that is usual', () => {
  const files = vendorApp();
  files['mindstudio.json'].interfaces[0] = { type: 'web' };
  delete files['dist/interfaces/web/web.json'];
  assert.deepEqual(judge(write(files)).faults, [
    'mindstudio.json#/interfaces/0: needs a path: the project is the folder of that file, and there is no dist/interfaces/web',
  ]);
});

test('an interface file that is no object', () => {
  const files = vendorApp();
  files['dist/interfaces/cron/interface.json'] = '[]';
  files['dist/interfaces/webhook/interface.json'] = '{"webhook": []}';
  assert.deepEqual(judge(write(files)).faults, [
    'dist/interfaces/cron/interface.json: has to be an object, as in { "cron": … }',
    'dist/interfaces/webhook/interface.json#/webhook: has to be an object, but is a list',
  ]);
});

// The same schedules that core's own tests have.
test('schedules', () => {
  for (const good of [
    '* * * * *',
    '*/15 0-6,22,23 1-31/2 jan-Mar,12 mon-fri',
    '0/5 3 * * 7',
    '0 0 * * fri-sun',
    ' 5\t4  29 2 * ',
    '0 0 31 2 1',
  ]) {
    assert.equal(scheduleFault(good), null, good);
  }
  for (const [bad, why] of /** @type {[string, string][]} */ ([
    ['* * * *', 'five fields'],
    ['@daily', 'five fields'],
    ['60 * * * *', 'minute'],
    ['* -1 * * *', 'hour'],
    ['* +1 * * *', 'hour'],
    ['* * 0 * *', 'day of the month'],
    ['* * * 13 *', 'month'],
    ['* * * * 8', 'day of the week'],
    ['* * * foo *', 'month'],
    ['*/0 * * * *', 'step'],
    ['*/60 * * * *', 'step'],
    ['1,,2 * * * *', 'minute'],
    ['5-1 * * * *', 'backwards'],
    ['1-2-3 * * * *', 'minute'],
    ['*/2/3 * * * *', 'step'],
    ['0 0 30 feb *', 'does not come'],
    ['0 0 31 4,6,9,11 *', 'does not come'],
    ['99999999999 * * * *', 'minute'],
    ['', 'is empty'],
    ['*-5 * * * *', 'minute'],
    ['1.5 * * * *', 'minute'],
    ['* * * * mon#1', 'day of the week'],
    ['0 0 L * *', 'day of the month'],
    ['* * * * * *', 'five fields'],
  ])) {
    assert.match(scheduleFault(bad) ?? 'nothing', new RegExp(why), bad);
  }
});

test('senders', () => {
  for (const good of [
    'ann@example.com',
    '*@example.com',
    'a.b+c@mail.example.co.uk',
    'ann@localhost',
    'ünï@exämple.org',
  ])
    assert(isSender(good), good);
  for (const bad of [
    'ann',
    '@example.com',
    'ann@',
    'a*@example.com',
    '*',
    '*@',
    '*@*.example.com',
    'Ann <ann@example.com>',
    'ann@example..com',
    'ann@-a.com',
    'a b@example.com',
    'a@b@example.com',
  ]) {
    assert(!isSender(bad), bad);
  }
});
