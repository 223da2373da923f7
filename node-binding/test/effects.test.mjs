// @ts-check
// What a release declares besides tables: as the contract has it, and as the core takes it.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { Remy } from '../js/index.js';
import { effects, readApp } from './steps/read.js';
import { judge, vendorApp, write } from './app.mjs';

/** @param {Record<string, any>} files */
function effectsOf(files) {
  const { manifest, interfaces } = readApp(write(files));
  return effects(manifest, interfaces);
}

const expected = {
  roles: [
    { id: 'requester', name: 'Requester', description: 'Asks for vendors.' },
    { id: 'ap-clerk' },
  ],
  cron_jobs: [
    { method: 'pay', schedule: '0 9 * * 5', description: 'Fridays' },
    { method: 'list-vendors', schedule: '*/30 * * * *' },
  ],
  webhooks: [
    { secret: 'whsec_0123456789', method: 'pay', description: 'Paid' },
    { secret: 'whsec_9876543210', method: 'pay' },
  ],
  email_routes: [
    { method: 'submit-vendor', approved_senders: ['Ann@example.com', '*@trusted.example'] },
  ],
  bot_commands: [
    {
      platform: 'discord',
      name: 'vendors',
      method: 'list-vendors',
      description: 'All vendors',
      definition: { type: 1 },
    },
    {
      platform: 'discord',
      name: 'pay',
      method: 'pay',
      description: 'Pays a vendor',
      definition: {
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
    },
    {
      platform: 'telegram',
      name: 'vendors',
      method: 'list-vendors',
      description: 'All vendors',
      definition: {},
    },
    { platform: 'telegram', name: 'pay_all', method: 'pay', description: 'Pay', definition: {} },
  ],
};

test('effects', () => assert.deepEqual(effectsOf(vendorApp()), expected));

test('an app without any', () => {
  const files = vendorApp();
  Object.assign(files['mindstudio.json'], { roles: null, interfaces: [], scenarios: [] });
  assert.deepEqual(effectsOf(files), {
    roles: [],
    cron_jobs: [],
    webhooks: [],
    email_routes: [],
    bot_commands: [],
  });
});

test('what is switched off has none', () => {
  const files = vendorApp();
  for (const it of files['mindstudio.json'].interfaces) it.enabled = false;
  assert.deepEqual(effectsOf(files), {
    ...expected,
    cron_jobs: [],
    webhooks: [],
    email_routes: [],
    bot_commands: [],
  });
});

test('null stands for what is not said', () => {
  const files = vendorApp();
  files['dist/interfaces/cron/interface.json'].jobs[0].description = null;
  files['mindstudio.json'].interfaces[6].config.approvedSenders = null;
  const found = effectsOf(files);
  assert.deepEqual(found.cron_jobs?.[0], { method: 'pay', schedule: '0 9 * * 5' });
  assert.deepEqual(found.email_routes, [{ method: 'submit-vendor', approved_senders: [] }]);
});

const remy = new Remy(join(write({ 'live.db': '' }), 'live.db'));

test('the core takes them', async () => {
  const { effects: changes } = await remy.publish('CREATE TABLE t (x);', {
    effects: effectsOf(vendorApp()),
  });
  assert.deepEqual(
    changes.map(({ kind, id, change }) => `${change} ${kind} ${id}`),
    [
      'create role ap-clerk',
      'create role requester',
      'create cron_job list-vendors',
      'create cron_job pay',
      'create webhook pay',
      'create webhook pay#2',
      'create email_route submit-vendor',
      'create bot_command discord/pay',
      'create bot_command discord/vendors',
      'create bot_command telegram/pay_all',
      'create bot_command telegram/vendors',
    ],
  );
});

// One call of the core for all: it names everything that it refuses.
test('the core refuses the same schedules and senders', async () => {
  const fields = [
    '*',
    '0',
    '7',
    '8',
    '12',
    '31',
    '32',
    '59',
    '60',
    '1-5',
    '5-1',
    '*/7',
    '*/0',
    '0/5',
    '1-9/2',
    'jan',
    'Dec',
    'sun-tue',
    'fri-sun',
    '1,2',
    '1,',
    ',',
    '-1',
    '+1',
    '1-2-3',
    '*/2/3',
    '*-5',
    '1.5',
    '00005',
    'L',
    '?',
  ];
  const schedules = fields
    .flatMap((field) =>
      [0, 1, 2, 3, 4].map((place) =>
        [0, 1, 2, 3, 4].map((i) => (i === place ? field : '*')).join(' '),
      ),
    )
    .concat(
      '* * * *',
      '* * * * * *',
      '@daily',
      '0 0 30 2 *',
      '0 0 31 feb-apr *',
      '0 0 31 4,6 *',
      '0 0 31 4 1',
    );
  const jobs = [...new Set(schedules)].map((schedule) => ({ method: 'm', schedule }));
  const senders = [
    'a@b',
    '*@b.c',
    'a b@c',
    'a',
    '@',
    '*@',
    'a@',
    '*a@b',
    'a@b@c',
    'a,b@c',
    '<a@b>',
    'a@b..c',
    'a@-b',
    'a@b-',
    'a@b_c',
    'ü@ü.é',
    'a@½.b',
    'a\u00a0b@c',
    'a@b.',
    '"x y"@b',
  ];
  const refused = await remy
    .publish('CREATE TABLE t (x);', {
      dry_run: true,
      effects: { cron_jobs: jobs, email_routes: [{ method: 'm', approved_senders: senders }] },
    })
    .then(
      () => assert.fail('the core took them all'),
      (error) => {
        assert.equal(error.code, 'schema_invalid', error.message);
        return error.message;
      },
    );
  const app = vendorApp();
  app['dist/interfaces/cron/interface.json'] = {
    jobs: jobs.map(({ schedule }) => ({ method: 'pay', schedule })),
  };
  app['mindstudio.json'].interfaces[6].config.approvedSenders = senders;
  const { faults } = judge(write(app));
  const isRefused = (/** @type {string} */ pointer) =>
    faults.some((fault) => fault.includes(`#${pointer}:`));
  for (const [i, { schedule }] of jobs.entries()) {
    assert.equal(
      refused.includes(`/cron_jobs/${i}/schedule:`),
      isRefused(`/jobs/${i}/schedule`),
      schedule,
    );
  }
  for (const [i, sender] of senders.entries()) {
    assert.equal(
      refused.includes(`/email_routes/0/approved_senders/${i}:`),
      isRefused(`/interfaces/6/config/approvedSenders/${i}`),
      sender,
    );
  }
  assert(faults.length > 50 && faults.length < jobs.length + senders.length, `${faults.length}`);
});
