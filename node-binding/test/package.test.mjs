// The package of a built app: what is packed, and what is refused to be unpacked.
import assert from 'node:assert/strict';
import {
  linkSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { test } from 'node:test';
import { step } from './steps/step.js';
import { workshop } from './support.mjs';

const APP = {
  'app.json': '{"format": 1, "commit": null}',
  'source/mindstudio.json': '{}',
  'methods/run.mjs': 'export {};',
};

/** @type {(dir: string, file: string) => Promise<number>} */
const pack = (dir, file) => step('pack', [dir, file]);

function built({ write }, name = 'built', files = APP) {
  for (const [path, text] of Object.entries(files)) write(`${name}/${path}`, text);
}

test('the same files give the same bytes, links become files', async (t) => {
  const shop = workshop(t);
  const { path, shell, run } = shop;
  built(shop, 'a');
  built(shop, 'b');
  linkSync(path('a/methods/run.mjs'), path('a/methods/same.mjs'));
  symlinkSync('run.mjs', path('b/methods/same.mjs'));
  utimesSync(path('b/app.json'), 0, 0);
  const size = await pack(path('a'), path('a.tar'));
  await pack(path('b'), path('b.tar'));
  assert.equal(size, statSync(path('a.tar')).size);
  assert.deepEqual(readFileSync(path('a.tar')), readFileSync(path('b.tar')));
  const { stdout } = await run('tar', ['-tvf', 'a.tar']);
  assert.deepEqual(stdout.match(/^[^d]/gm), ['-', '-', '-', '-'], 'nothing but files');
  await pack(path('a'), path('a.tar.gz'));
  assert.equal((await shell('gzip -dc a.tar.gz | cmp - a.tar')).status, 0);
  // Nothing else is left where it was written.
  assert.deepEqual(readdirSync(path()).sort(), ['.bin', 'a', 'a.tar', 'a.tar.gz', 'b', 'b.tar']);
});

test("a package in the app's folder is no part of the next, nor is what one is written by", async (t) => {
  const { path, write, remy, shell } = workshop(t);
  write(
    'shop/mindstudio.json',
    '{"name": "shop", "methods": [{"id": "hi", "path": "hi.ts", "export": "hi"}]}',
  );
  write('shop/hi.ts', 'export const hi = () => 1;');
  assert.equal(
    (
      await shell(
        'cd shop && git init -q && git add . && git -c user.name=a -c user.email=a@b commit -qm x',
      )
    ).status,
    0,
  );
  assert.equal((await remy(['build', '-o', 'app.tar'], { cwd: path('shop') })).status, 0);
  const first = readFileSync(path('shop/app.tar'));
  write('shop/.app.tar-killed/app.tar', 'half');
  assert.equal(
    (await remy(['build', '-o', path('shop/app.tar')], { cwd: path('shop') })).status,
    0,
  );
  assert.deepEqual(readFileSync(path('shop/app.tar')), first);
  assert.doesNotMatch((await shell('tar -tf shop/app.tar')).stdout, /app\.tar/);
  assert.equal(JSON.parse((await shell('tar -xOf shop/app.tar app.json')).stdout).dirty, false);
});

test('what leads out of the app is not packed', async (t) => {
  const shop = workshop(t);
  const { path } = shop;
  built(shop);
  for (const aim of ['/etc/passwd', '../../../etc/passwd', 'nowhere', '.']) {
    symlinkSync(aim, path('built/source/link'));
    await assert.rejects(pack(path('built'), path('app.tar')), {
      code: 'invalid_argument',
      object: 'source/link',
    });
    await shop.shell('rm built/source/link');
  }
  assert.throws(() => statSync(path('app.tar')), { code: 'ENOENT' });
});

test('a package that is none is refused, and nothing is written', async (t) => {
  const shop = workshop(t);
  const { remy, shell, path, write } = shop;
  built(shop);
  const tmp = path('tmp');
  await shell('mkdir tmp');
  writeFileSync(
    path('text.tar'),
    'no archive, but longer than a header of one would be '.repeat(20),
  );
  const cases = [
    ['true', 'nope.tar', 1, /^error: not_found: there is no package nope\.tar/],
    [
      'true',
      'text.tar',
      3,
      /^error: schema_invalid: text\.tar is no package that remy built, or is damaged\. Nothing was done\n/,
    ],
    [
      'head -c 20000 /dev/zero | tr "\\\\0" "\\\\377" >x.tar',
      'x.tar',
      3,
      /^error: schema_invalid: x\.tar is no package that remy built, or is damaged\. Nothing was done\n/,
    ],
    [
      'mkdir folder.tar',
      'folder.tar',
      1,
      /^error: io: folder\.tar cannot be read: illegal operation on a directory \(EISDIR\)\. Nothing was done\n/,
    ],
    [
      'tar -cf x.tar -C built --transform "s,app.json,../evil," .',
      'x.tar',
      3,
      /\.\.\/evil leaves the folder/,
    ],
    [
      'tar -cPf x.tar --transform "s,built/app.json,/tmp/remy-evil," built/app.json',
      'x.tar',
      3,
      /\/tmp\/remy-evil leaves the folder/,
    ],
    [
      'ln -s /etc built/link; tar -cf x.tar -C built .; rm built/link',
      'x.tar',
      3,
      /link is a SymbolicLink/,
    ],
    [
      'ln built/app.json built/hard; tar -cf x.tar -C built .; rm built/hard',
      'x.tar',
      3,
      /(hard|app\.json) is a Link/,
    ],
    ['mkfifo built/pipe; tar -cf x.tar -C built .; rm built/pipe', 'x.tar', 3, /pipe is a FIFO/],
    ['tar -cf x.tar -C built source', 'x.tar', 3, /its app\.json cannot be read/],
    ['tar -cf x.tar -C built app.json', 'x.tar', 3, /has no source\/mindstudio\.json/],
    [
      'cp -r built next; echo \'{"format": 2}\' > next/app.json; tar -cf x.tar -C next .',
      'x.tar',
      3,
      /has format 2, and this remy reads 1/,
    ],
    ['tar -cf x.tar -C built . && truncate -s 1500 x.tar', 'x.tar', 3, /x\.tar is no package/],
  ];
  for (const [make, file, status, expected] of cases) {
    assert.equal((await shell(make)).status, 0, make);
    const done = await remy(['publish', file], { env: { TMPDIR: tmp } });
    assert.deepEqual([make, done.status, done.stdout], [make, status, '']);
    assert.match(done.stderr, expected);
    assert.match(done.stderr, /^hint: /m);
    assert.deepEqual(readdirSync(tmp), [], 'nothing is left');
    assert.throws(() => statSync(path('.remy')), { code: 'ENOENT' });
  }
  assert.throws(() => statSync('/tmp/remy-evil'), { code: 'ENOENT' });
  write('x.tar', '');
  assert.equal((await remy(['diff', 'x.tar'])).status, 2);
});
