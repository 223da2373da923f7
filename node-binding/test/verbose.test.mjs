// publish --verbose: what the programs of a build say, as they say it.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { workshop } from './support.mjs';

const WEB = 'dist/interfaces/web';

test('lines of a web build are on stderr while it runs, without what is kept secret', async (t) => {
  const { remy, write, path } = workshop(t);
  assert.equal((await remy(['init', 'shop'])).status, 0);
  const manifest = JSON.parse(readFileSync(path('shop/mindstudio.json'), 'utf8'));
  const interfaces = [{ type: 'web', path: `${WEB}/web.json` }];
  write('shop/mindstudio.json', JSON.stringify({ ...manifest, interfaces }));
  write(`shop/${WEB}/web.json`, '{}');
  write(`shop/${WEB}/index.html`, '<p>');
  write(`shop/${WEB}/package.json`, '{"private": true, "scripts": {"build": "node build.mjs"}}');
  write(
    `shop/${WEB}/build.mjs`,
    `import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
    console.log('\\x1b[32mtransforming\\x1b[0m with', process.env.SHOP_TOKEN);
    const until = Date.now() + 20000;
    while (!existsSync(process.env.SHOP_SEEN)) if (Date.now() > until) process.exit(7);
    mkdirSync('dist', { recursive: true });
    writeFileSync('dist/index.html', String(process.env.SHOP_ROUND));`,
  );
  const env = { SHOP_TOKEN: 's3cret-token', SHOP_SEEN: path('seen'), SHOP_ROUND: '1' };
  const publish = (/** @type {string[]} */ ...more) =>
    remy(['publish', ...more], { cwd: path('shop'), env });
  const done = publish('--verbose');
  // It is told before the build has ended: the build waits for that.
  done.child.stderr.on('data', (text) => text.includes('transforming') && write('seen', ''));
  const { status, stdout, stderr } = await done;
  assert.equal(status, 0, stderr);
  assert.match(stdout, /^Release 1 is live/);
  assert.match(stderr, /^  npm \| transforming with \*\*\*$/m);
  assert.doesNotMatch(stderr, /s3cret|\x1b/);
  write(`shop/${WEB}/index.html`, '<p>more');
  const silent = await publish();
  assert.equal(silent.status, 0);
  assert.doesNotMatch(silent.stderr, /transforming/);
  write(`shop/${WEB}/index.html`, '<p>still more');
  const json = await publish('-v', '--json');
  assert.match(json.stderr, /^  npm \| transforming/m);
  for (const line of json.stdout.trim().split('\n')) JSON.parse(line);
  const both = await publish('-v', '-q');
  assert.equal(both.status, 0);
});
