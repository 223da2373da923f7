// @ts-check
// mindstudio.json: what is taken, and what is said of what is not.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RemyError } from '../js/error.js';
import { AppError } from './steps/faults.js';
import { readApp } from './steps/read.js';
import { changed, judge, vendorApp, write } from './app.mjs';

const MANIFEST = 'mindstudio.json';

test('a whole app has no faults, and nothing that is odd', () => {
  assert.deepEqual(judge(write(vendorApp())), { faults: [], warnings: [] });
});

test('the manifest, with its defaults', () => {
  const root = write({
    [MANIFEST]: {
      name: 'Small',
      methods: [{ id: 'go', path: './go.ts', export: 'go' }],
      interfaces: [{ type: 'api' }],
    },
    'go.ts': '',
  });
  const { json, ...manifest } = readApp(root).manifest;
  assert.deepEqual(manifest, {
    root,
    file: MANIFEST,
    name: 'Small',
    methods: [{ id: 'go', path: 'go.ts', export: 'go' }],
    tables: [],
    roles: [],
    interfaces: [{ type: 'api', enabled: true }],
    scenarios: [],
    warnings: [],
  });
  assert.equal(json.methods[0].path, './go.ts');
});

test('no manifest', () => {
  const root = write({});
  assert.throws(
    () => readApp(root),
    (error) => {
      assert(error instanceof AppError && error instanceof RemyError && error instanceof Error);
      assert.equal(error.code, 'not_found');
      assert.equal(
        error.message,
        `${root} has no app: there is no file "mindstudio.json". The database is as it was. Run this in the folder of an app, or make one: the verb init does`,
      );
      assert.deepEqual(error.faults, [
        { file: MANIFEST, pointer: '', message: 'there is no file "mindstudio.json"' },
      ]);
      return true;
    },
  );
  assert.throws(() => readApp(`${root}/nowhere`), { code: 'not_found' });
});

test('a manifest that is no JSON', () => {
  assert.throws(() => readApp(write({ [MANIFEST]: '{\n  "name": "X",\n  methods: []\n}\n' })), {
    name: 'AppError',
    code: 'schema_invalid',
    hint: 'Correct what is named and try again',
    object: MANIFEST,
    message: [
      'the app is declared wrongly: 1 fault in 1 file. The database is as it was. Correct what is named and try again',
      '  mindstudio.json:3:3: a key in double quotes has to stand here, but "methods" does',
      '      methods: []',
      '      ^',
    ].join('\n'),
  });
  const faulty = '{\n  "secret": "whsec_TOP" "method": "go"\n}';
  assert.deepEqual(judge(write({ [MANIFEST]: faulty })).faults, [
    'mindstudio.json:2:25: "," or "}" has to stand here, but "\\"" does\n    "secret": "*********" "method": "**"\n                          ^',
  ]);
  assert.deepEqual(judge(write({ [MANIFEST]: Buffer.from([0x7b, 0xff, 0x7d]) })).faults, [
    'mindstudio.json: is not UTF-8 text',
  ]);
  assert.deepEqual(judge(write({ [MANIFEST]: '[]' })).faults, [
    'mindstudio.json: has to be an object, but is a list',
  ]);
});

test('a byte order mark is none of the text', () => {
  const files = vendorApp();
  files[MANIFEST] = `\ufeff${JSON.stringify(files[MANIFEST])}`;
  assert.deepEqual(judge(write(files)).faults, []);
});

/** @type {[string, (json: any) => void, ...string[]][]} what is done to the manifest, and what is said of it */
const cases = [
  ['no name', (json) => delete json.name, '/name: is missing'],
  ['a name of white space', (json) => (json.name = ' '), '/name: is empty'],
  [
    'a name of the wrong type',
    (json) => (json.name = 7),
    '/name: has to be a text, but is a number',
  ],
  ['null for a name', (json) => (json.name = null), '/name: has to be a text, but is null'],
  [
    'an appId of the wrong type',
    (json) => (json.appId = false),
    '/appId: has to be a text, but is false',
  ],
  [
    'methods of the wrong type',
    (json) => (json.methods = {}),
    '/methods: has to be a list, but is an object',
  ],
  [
    'no methods',
    (json) => Object.assign(json, { methods: [], interfaces: [] }),
    '/methods: has to hold at least 1',
  ],
  [
    'a method that is no object',
    (json) => json.methods.push('pay'),
    '/methods/3: has to be an object, but is a text',
  ],
  ['a method without an id', (json) => delete json.methods[2].id, '/methods/2/id: is missing'],
  [
    'an id that is not kebab-case',
    (json) => json.methods.push({ ...json.methods[0], id: 'payAll' }),
    '/methods/3/id: "payAll" is not kebab-case, as in "shop-owner"',
  ],
  [
    'an id with a hyphen too many',
    (json) => json.methods.push({ ...json.methods[0], id: 'pay--all' }),
    '/methods/3/id: "pay--all" is not kebab-case, as in "shop-owner"',
  ],
  [
    'an id that is there already',
    (json) => json.methods.push({ ...json.methods[2] }),
    '/methods/3/id: has the id "pay" of /methods/2',
  ],
  [
    'an export that cannot be',
    (json) => (json.methods[1].export = 'list-vendors'),
    '/methods/1/export: "list-vendors" is no name that a file can export',
  ],
  [
    'a method file that is not there',
    (json) => (json.methods[1].path = 'dist/methods/src/list.ts'),
    '/methods/1/path: there is no file "dist/methods/src/list.ts"',
  ],
  [
    'a method file that is a folder',
    (json) => (json.methods[1].path = 'dist/methods'),
    '/methods/1/path: "dist/methods" is not a file',
  ],
  [
    'an absolute path',
    (json) => (json.methods[1].path = '/etc/passwd'),
    '/methods/1/path: "/etc/passwd" is an absolute path; files are named from the app\'s folder on',
  ],
  [
    'a path that leaves the root',
    (json) => (json.methods[1].path = 'dist/../../x.ts'),
    '/methods/1/path: "dist/../../x.ts" leaves the app\'s folder',
  ],
  ['a path with a NUL', (json) => (json.methods[1].path = 'dist\0'), '/methods/1/path: is no path'],
  [
    'a table file that is not there',
    (json) => (json.tables[0].path = 'users.ts'),
    '/tables/0/path: there is no file "users.ts"',
  ],
  [
    'a table without an export',
    (json) => delete json.tables[0].export,
    '/tables/0/export: is missing',
  ],
  [
    'two tables of one name',
    (json) => json.tables.push({ ...json.tables[0], export: 'People', name: 'Users' }),
    '/tables/1/name: has the name "users" of /tables/0, letter case aside',
  ],
  [
    'a table that is there twice',
    (json) => json.tables.push({ ...json.tables[0], name: 'people' }),
    '/tables/1/export: has the path and export "dist/methods/src/tables/users.ts#Users" of /tables/0',
  ],
  ['a role without an id', (json) => delete json.roles[1].id, '/roles/1/id: is missing'],
  [
    'a role id that is not kebab-case',
    (json) => json.roles.push({ id: 'Buyer' }),
    '/roles/2/id: "Buyer" is not kebab-case, as in "shop-owner"',
  ],
  [
    'a role that is there twice',
    (json) => json.roles.push({ id: 'requester' }),
    '/roles/2/id: has the id "requester" of /roles/0',
  ],
  [
    'a scenario file that is not there',
    (json) => (json.scenarios[0].path = 'x.ts'),
    '/scenarios/0/path: there is no file "x.ts"',
  ],
  [
    'a scenario without roles',
    (json) => delete json.scenarios[0].roles,
    '/scenarios/0/roles: is missing',
  ],
  [
    'a scenario of an unknown role',
    (json) => json.scenarios[0].roles.push('boss'),
    '/scenarios/0/roles/1: there is no role "boss"; the manifest has requester, ap-clerk',
  ],
  [
    'an unknown role beside one with an empty id',
    (json) => ((json.roles[0].id = ''), json.scenarios[0].roles.push('boss')),
    '/roles/0/id: is empty',
    '/scenarios/0/roles/1: there is no role "boss"; the manifest has ap-clerk',
  ],
  [
    'a scenario that is there twice',
    (json) => json.scenarios.push(json.scenarios[0]),
    '/scenarios/1/id: has the id "overdue" of /scenarios/0',
  ],
  [
    'an unknown interface',
    (json) => (json.interfaces[0].type = 'slack'),
    '/interfaces/0/type: has to be "web", "api", "discord", "telegram", "cron", "webhook", "email", "mcp", "agent" or "voice", but is "slack"',
  ],
  [
    "a type of JavaScript's own",
    (json) => (json.interfaces[0].type = 'constructor'),
    '/interfaces/0/type: has to be "web", "api", "discord", "telegram", "cron", "webhook", "email", "mcp", "agent" or "voice", but is "constructor"',
  ],
  [
    'two interfaces of a type',
    (json) => json.interfaces.push({ type: 'cron', config: { jobs: [] } }),
    '/interfaces/10: is another "cron" interface beside /interfaces/4; put them into one, or give one "enabled": false',
  ],
  [
    'a path and a config',
    (json) => (json.interfaces[4].config = { jobs: [] }),
    '/interfaces/4: has both a path and a config; keep one of them',
  ],
  [
    'neither a path nor a config',
    (json) => delete json.interfaces[4].path,
    '/interfaces/4: needs a path or a config',
  ],
  [
    'a config of the wrong type',
    (json) => (json.interfaces[6].config = 'email'),
    '/interfaces/6/config: has to be an object, but is a text',
  ],
  [
    'an interface that is no object',
    (json) => (json.interfaces[6] = null),
    '/interfaces/6: has to be an object, but is null',
  ],
  [
    'an interface file that is not there',
    (json) => (json.interfaces[4].path = 'cron.json'),
    '/interfaces/4/path: there is no file "cron.json"',
  ],
  [
    '"enabled" of the wrong type',
    (json) => (json.interfaces[4].enabled = 'no'),
    '/interfaces/4/enabled: has to be true or false, but is a text',
  ],
  ['no "enabled" in auth', (json) => delete json.auth.enabled, '/auth/enabled: is missing'],
  [
    'an unknown way to sign in',
    (json) => json.auth.methods.push('password'),
    '/auth/methods/2: has to be "email-code", "sms-code", "api-key" or "remy", but is "password"',
  ],
  [
    'a way to sign in twice',
    (json) => json.auth.methods.push('api-key'),
    '/auth/methods/2: has the name "api-key" of /auth/methods/1',
  ],
  [
    'no way to sign in',
    (json) => (json.auth.methods = []),
    '/auth/methods: is missing: nobody could sign in',
  ],
  [
    'a way to sign in without its column',
    (json) => json.auth.methods.push('sms-code'),
    '/auth/table/columns/phone: is missing: "sms-code" needs it',
  ],
  [
    'no auth table',
    (json) => delete json.auth.table,
    '/auth/table: is missing: it says where the users are',
  ],
  [
    "an auth table that is none of the app's",
    (json) => (json.auth.table.name = 'people'),
    '/auth/table/name: there is no table "people"; the manifest has users',
  ],
  [
    'a key that a pointer escapes',
    (json) => (json.auth.table.columns = { 'email?': 1, email: 'e', apiKey: 'a', roles: ['r/~'] }),
    '/auth/table/columns/roles: has to be a text, but is a list',
  ],
];

for (const [what, change, ...expected] of cases) {
  test(what, () => {
    const { faults } = changed(MANIFEST, change);
    assert.deepEqual(
      faults.filter((fault) => fault.startsWith(MANIFEST)),
      expected.map((fault) => `${MANIFEST}#${fault}`),
    );
  });
}

test('links are followed, but not out of the app, nor to what no release has', () => {
  const files = vendorApp();
  const outside = write({ 'secret.ts': '' });
  Object.assign(files, { '.env': 'KEY=1', 'node_modules/x/x.ts': '', '.git/config': '' });
  files[MANIFEST].methods.push(
    ...[
      'inside.ts',
      'outside.ts',
      'env.ts',
      'gone.ts',
      'node_modules/x/x.ts',
      '.git/config',
      '.env',
      'node_modules/pay.ts',
    ].map((path, i) => ({ id: `m${i}`, path, export: 'm' })),
  );
  const links = {
    'inside.ts': 'dist/methods/src/pay.ts',
    'outside.ts': `${outside}/secret.ts`,
    'env.ts': '.env',
    'gone.ts': 'nowhere.ts',
    'node_modules/pay.ts': '../dist/methods/src/pay.ts',
  };
  assert.deepEqual(judge(write(files, links)).faults, [
    'mindstudio.json#/methods/4/path: "outside.ts" is a link that leaves the app\'s folder',
    'mindstudio.json#/methods/5/path: "env.ts" is in ".env", which is never part of a release',
    'mindstudio.json#/methods/6/path: there is no file "gone.ts"',
    'mindstudio.json#/methods/7/path: "node_modules/x/x.ts" is in "node_modules", which is never part of a release',
    'mindstudio.json#/methods/8/path: ".git/config" is in ".git", which is never part of a release',
    'mindstudio.json#/methods/9/path: ".env" is in ".env", which is never part of a release',
    'mindstudio.json#/methods/10/path: "node_modules/pay.ts" is in "node_modules", which is never part of a release',
  ]);
});

test('an app in a folder that is a link', () => {
  const root = write(vendorApp());
  const link = `${write({}, { app: root })}/app`;
  assert.deepEqual(judge(link), { faults: [], warnings: [] });
});

test('null stands for what may be left out', () => {
  const { faults, warnings } = changed(MANIFEST, (json) =>
    Object.assign(json, {
      description: null,
      appId: null,
      interfaces: null,
      scenarios: null,
      auth: null,
    }),
  );
  assert.deepEqual({ faults, warnings }, { faults: [], warnings: [] });
});

test('auth that is switched off may be half done', () => {
  assert.deepEqual(changed(MANIFEST, (json) => (json.auth = { enabled: false })).faults, []);
});

test('what is not known is kept, with a warning', () => {
  const files = vendorApp();
  files[MANIFEST].futureField = [];
  files[MANIFEST].methods[0]['time/out'] = 5;
  files['dist/interfaces/webhook/interface.json'].webhook.retries = 3;
  files['dist/interfaces/webhook/interface.json'].version = 2;
  const { manifest, interfaces, warnings } = readApp(write(files));
  assert.deepEqual(warnings, [
    'mindstudio.json#/futureField: is not known here, and kept as it is; appId, name, description, iconUrl, openGraphShareImageUrl, dataSources, methods, tables, roles, interfaces, scenarios and auth are known',
    'mindstudio.json#/methods/0/time~1out: is not known here, and kept as it is; id, name, description, path, export, autonomy, jewel, sampleRate, attributionWindow and tuning are known',
    'dist/interfaces/webhook/interface.json#/version: is not known here, and kept as it is; "webhook" is known',
    'dist/interfaces/webhook/interface.json#/webhook/retries: is not known here, and kept as it is; endpoints is known',
  ]);
  assert.deepEqual(manifest.warnings, warnings.slice(0, 2));
  const webhook = interfaces.find((it) => it.type === 'webhook');
  assert.deepEqual(webhook?.warnings, warnings.slice(2));
  assert.equal(webhook?.config.retries, 3);
  assert.deepEqual(manifest.json.futureField, []);
});

test('what the platform reads, and remy does not, is known and kept', () => {
  const files = vendorApp();
  Object.assign(files[MANIFEST], {
    iconUrl: 'https://x.example/i.png',
    openGraphShareImageUrl: 'https://x.example/o.png',
    dataSources: [
      {
        slug: 'crm',
        mapper: { path: 'dist/methods/src/mappers/crm.ts', export: 'map', timeoutMs: 1000 },
      },
    ],
  });
  Object.assign(files[MANIFEST].methods[0], {
    autonomy: 'approve',
    jewel: { path: 'x' },
    sampleRate: 0.5,
    attributionWindow: '7d',
    tuning: { a: 1 },
  });
  const root = write(files);
  assert.deepEqual(judge(root), { faults: [], warnings: [] });
  const { manifest } = readApp(root);
  assert.deepEqual(
    [manifest.methods[0].autonomy, manifest.json.dataSources[0].slug],
    ['approve', 'crm'],
  );
});

test("the auth table and its columns are those that the tables' files declare", () => {
  // The name in the manifest is for people.
  const renamed = changed(MANIFEST, (json) => (json.tables[0].name = 'people'));
  assert.deepEqual(renamed.faults, []);
  for (const entry of ['name', 'columns'])
    assert.deepEqual(
      changed(MANIFEST, (json) => delete json.tables[0].name),
      { faults: [], warnings: [] },
      entry,
    );
  const faults = (/** @type {(json: any) => void} */ change) => changed(MANIFEST, change).faults;
  const columns = 'which has email, roles, apiKey';
  assert.deepEqual(
    faults((json) =>
      Object.assign(json.auth.table.columns, {
        email: 'mail',
        phone: 'created_at',
        roles: 'Roles',
      }),
    ),
    [
      `mindstudio.json#/auth/table/columns/email: there is no column "mail" in the table "users", ${columns}`,
      `mindstudio.json#/auth/table/columns/roles: there is no column "Roles" in the table "users", ${columns}`,
    ],
  );
  assert.deepEqual(
    faults((json) => ((json.tables[0].name = 'people'), (json.auth.table.name = 'people'))),
    ['mindstudio.json#/auth/table/name: there is no table "people"; the manifest has users'],
  );
  assert.deepEqual(
    faults(
      (json) =>
        (json.auth = {
          ...json.auth,
          enabled: false,
          table: { name: 'nothing', columns: { email: 'x' } },
        }),
    ),
    [],
  );
  // A table that cannot be read is one fault, and not one of those who name it.
  assert.deepEqual(
    faults((json) => ((json.tables[0].export = 'Gone'), (json.auth.table.columns.email = 'mail')))
      .length,
    1,
  );
});

test('a fault in a JSON file has its line and column, and the line itself is not shown', () => {
  const files = vendorApp();
  files[MANIFEST].methods[0].export = 'submit vendor';
  delete files[MANIFEST].methods[1].path;
  files[MANIFEST].auth.table.columns.email = 'mail';
  files['dist/interfaces/webhook/interface.json'] =
    '{\n\t"webhook": { "endpoints": [\n\t\t{ "method": "nobody", "secret": "whsec_0123456789" }] }\n}\n';
  const text = JSON.stringify(files[MANIFEST], null, 2);
  const at = (/** @type {string} */ part, from = 0) => {
    const before = text.slice(0, text.indexOf(part, from));
    return [before.split('\n').length, before.length - before.lastIndexOf('\n')];
  };
  const read = () => readApp(write(files));
  assert.throws(read, (error) => {
    assert(error instanceof AppError);
    const found = error.faults.map(({ file, pointer, line, column, source }) => [
      file,
      pointer,
      line,
      column,
      source,
    ]);
    assert.deepEqual(found, [
      [MANIFEST, '/methods/0/export', ...at('"submit vendor"'), undefined],
      // What is missing is missing in what lacks it.
      [MANIFEST, '/methods/1/path', ...at('{\n      "id": "list-vendors"'), undefined],
      ['dist/interfaces/webhook/interface.json', '/webhook/endpoints/0/method', 3, 15, undefined],
      [MANIFEST, '/auth/table/columns/email', ...at('"mail"'), undefined],
    ]);
    assert(
      error.message.includes(
        `\n  mindstudio.json:${at('"submit vendor"').join(':')}: /methods/0/export: "submit vendor" is no name`,
      ),
      error.message,
    );
    assert.doesNotMatch(error.message, /whsec/);
    return true;
  });
  // Of an interface that stands in the manifest, too, and of tables, which core reads.
  files[MANIFEST] = {
    ...vendorApp()[MANIFEST],
    tables: [
      { path: 'gone.ts', export: 'A' },
      { path: 'dist/methods/src/tables/users.ts', export: 'Users' },
    ],
  };
  files[MANIFEST].interfaces[6].config.method = 'nobody';
  assert.throws(
    read,
    (error) =>
      error instanceof AppError &&
      error.faults.every(({ line, column }) => line && column) &&
      error.faults.length === 3,
  );
});

test('a key that is there twice is told of', () => {
  const files = vendorApp();
  files['dist/interfaces/cron/interface.json'] = '{"cron": {"jobs": [{}], "jobs": []}}';
  assert.deepEqual(judge(write(files)).warnings, [
    'dist/interfaces/cron/interface.json#/cron/jobs: is there twice; the last one counts',
  ]);
  const { manifest, warnings } = readApp(
    write({
      [MANIFEST]:
        '{"name": "X", "x": {"b/c": 1, "b/c": 2}, "y": [{"z": 1, "z": 1}], "methods": [{"id": "go", "path": "go.ts", "export": "go"}]}',
      'go.ts': '',
    }),
  );
  assert.deepEqual(manifest.json.x, { 'b/c': 2 });
  assert.deepEqual(
    warnings.filter((warning) => warning.includes('twice')),
    ['/x/b~1c', '/y/0/z'].map((at) => `${MANIFEST}#${at}: is there twice; the last one counts`),
  );
});

test('ten faults of four files are told at once, as people read them', () => {
  const files = vendorApp();
  files[MANIFEST].methods[0].export = 'submit vendor';
  files[MANIFEST].methods[1].path = 'dist/methods/src/list.ts';
  files[MANIFEST].roles.push({ id: 'AP' });
  files['dist/interfaces/api/api.json'].api.routes[1].handler = 'submitVendors';
  files['dist/interfaces/api/api.json'].api.routes[3].path = 'vendors';
  files['dist/interfaces/cron/interface.json'].jobs[0].schedule = '0 25 * * 5';
  files['dist/interfaces/cron/interface.json'].jobs[1].method = 'listVendors';
  files['dist/interfaces/webhook/interface.json'] =
    '{\n\t"webhook": {\n\t\t"endpoints": [],\n\t}\n}\n';
  files['dist/interfaces/api/api.json'].api.routes[0].params.query.limit = 'integer';
  files['dist/interfaces/cron/interface.json'].jobs.push({ schedule: '@daily', method: 'pay' });
  delete files['dist/interfaces/api/api.json'].api.routes[3].params;
  const root = write(files);
  assert.throws(() => readApp(root), {
    code: 'schema_invalid',
    message: `\
the app is declared wrongly: 10 faults in 4 files. The database is as it was. Correct what is named and try again
  mindstudio.json:31:17: /methods/0/export: "submit vendor" is no name that a file can export
  mindstudio.json:35:15: /methods/1/path: there is no file "dist/methods/src/list.ts"
  mindstudio.json:15:13: /roles/2/id: "AP" is not kebab-case, as in "shop-owner"
  dist/interfaces/api/api.json:18:22: /api/routes/0/params/query/limit: has to be an object, but is a text
  dist/interfaces/api/api.json:25:20: /api/routes/1/handler: there is no method "submitVendors"; the manifest has submit-vendor, list-vendors, pay
  dist/interfaces/api/api.json:35:17: /api/routes/3/path: "vendors" does not begin with "/"
  dist/interfaces/cron/interface.json:4:19: /jobs/0/schedule: "0 25 * * 5": the hour "25" is not within 0 to 23
  dist/interfaces/cron/interface.json:10:17: /jobs/1/method: there is no method "listVendors": that is the export of "list-vendors", and methods are named by their ids
  dist/interfaces/cron/interface.json:13:19: /jobs/2/schedule: "@daily": a schedule has five fields (minute hour day month weekday), this one has 1
  dist/interfaces/webhook/interface.json:3:18: a comma stands before the "}"; the last entry has none
    \t\t"endpoints": [],
    \t\t               ^`,
  });
});

test('faults of table files are told with all others, and those of an entry once', () => {
  const files = vendorApp();
  files[MANIFEST].roles.push({ id: 'AP' });
  files[MANIFEST].tables.push(
    { name: 'gone', path: 'dist/methods/src/tables/gone.ts', export: 'Gone' },
    { name: 'calls', path: 'dist/methods/src/tables/calls.ts', export: 'Calls' },
    { name: 'none', path: 'dist/methods/src/pay.ts' },
  );
  files['dist/methods/src/tables/calls.ts'] =
    "import { db } from '@mindstudio-ai/agent';\nexport const Calls = db.defineTable<{ back: () => void }>('calls');\n";
  files['dist/interfaces/cron/interface.json'].jobs[1].method = 'nobody';
  const { faults } = judge(write(files));
  assert.deepEqual(
    faults.map((fault) => fault.split('\n')[0].replace(/(: calls\.back is a function).*/, '$1')),
    [
      'mindstudio.json#/tables/1/path: there is no file "dist/methods/src/tables/gone.ts"',
      'mindstudio.json#/tables/3/export: is missing',
      'mindstudio.json#/roles/2/id: "AP" is not kebab-case, as in "shop-owner"',
      'dist/interfaces/cron/interface.json#/jobs/1/method: there is no method "nobody"; the manifest has submit-vendor, list-vendors, pay',
      'dist/methods/src/tables/calls.ts:2:39: calls.back is a function',
    ],
  );
  // Nor that a table's file has no export of a name that cannot be one.
  const odd = vendorApp();
  odd[MANIFEST].tables[0].export = 'Us ers';
  assert.deepEqual(judge(write(odd)).faults, [
    'mindstudio.json#/tables/0/export: "Us ers" is no name that a file can export',
  ]);
  // A manifest that is no JSON is one fault, not one of each reader.
  files[MANIFEST] = '{';
  assert.equal(judge(write(files)).faults.length, 1);
});
