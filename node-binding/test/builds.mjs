// @ts-check
// What the tests of a build share: an app in a temporary folder, staged as a build stages it.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { install, packageFolder } from './steps/dependencies.js';
import { compileMethods } from './steps/methods.js';
import { stageSource } from './steps/source.js';
import { sync } from './steps/tree.js';

/** @typedef {import('node:test').TestContext} TestContext */
/** @typedef {Record<string, any>} Files  a file's text by its path; what else it may be, `write` says */

/**
 * A temporary folder, gone when the test is.
 * @param {TestContext} t
 */
export function folder(t) {
  const path = realpathSync(mkdtempSync(join(tmpdir(), 'remy-build-')));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/**
 * Writes files: `{ path: text }`; `null` removes one, `{ symlink }` and `{ run }` make a symlink and an executable.
 * @param {string} root
 * @param {Files} files
 */
export function write(root, files) {
  for (const [path, content] of Object.entries(files)) {
    const at = join(root, path);
    if (content === null || content?.symlink) rmSync(at, { recursive: true, force: true });
    if (content === null) continue;
    mkdirSync(dirname(at), { recursive: true });
    if (content.symlink) symlinkSync(content.symlink, at);
    else if (content.run) writeFileSync(at, content.run, { mode: 0o755 });
    else writeFileSync(at, content);
  }
}

/**
 * Runs git in a folder, as somebody, whatever this machine's git is set up for.
 * @param {string} cwd
 * @param {string[]} args
 */
export function git(cwd, ...args) {
  const env = { ...process.env, GIT_CONFIG_GLOBAL: '/dev/null', GIT_CONFIG_SYSTEM: '/dev/null' };
  const who = [
    '-c',
    'user.name=a',
    '-c',
    'user.email=a@b',
    '-c',
    'init.defaultBranch=main',
    '-c',
    'protocol.file.allow=always',
  ];
  return execFileSync('git', [...who, ...args], {
    cwd,
    env,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  }).trim();
}

let releases = 0;

/** @typedef {ReturnType<typeof app>} App */

/**
 * An app in a temporary folder, and what builds do with it one step at a time.
 * @param {TestContext} t
 * @param {Files} files
 */
export function app(t, files) {
  const base = folder(t);
  const root = join(base, 'app');
  const cache = join(base, 'cache');
  const tree = join(cache, 'source');
  write(root, files);
  return {
    base,
    root,
    cache,
    tree,
    write: (/** @type {Files} */ more) => write(root, more),
    /** @param {Parameters<typeof stageSource>[2]} [options] */
    async stage(options) {
      const out = join(base, `release-${++releases}`);
      const staged = await stageSource(root, join(out, 'source'), options);
      await sync(join(out, 'source'), tree, staged.files);
      return { out, ...staged };
    },
    /**
     * Stages and compiles; `methods` is `{ id: 'path#export' }`.
     * @param {Record<string, string>} methods
     * @param {{ signal?: AbortSignal }} [options]
     */
    async compile(methods, { signal } = {}) {
      const { out, files } = await this.stage();
      const list = Object.entries(methods).map(([id, at]) => ({
        id,
        path: at.split('#')[0],
        export: at.split('#')[1],
      }));
      const installs = new Map();
      for (const at of new Set(list.map(({ path }) => packageFolder(files, path)))) {
        if (at === null || installs.has(at)) continue;
        const installed = await install(at, { root, tree, cache, files, signal });
        for (const each of installed.folders) installs.set(each, installed);
      }
      const compiled = await compileMethods({
        methods: list,
        files,
        tree,
        cache,
        out,
        installs,
        signal,
      });
      return {
        out,
        compiled,
        by: Object.fromEntries(compiled.map((each) => [each.id, each])),
        installs,
      };
    },
  };
}

/**
 * A package as a tarball, to be asked for as `file:…`: it is installed as one from a registry is, and needs none.
 * @param {string} root
 * @param {string} path
 * @param {Files} files
 */
export function tarball(root, path, files) {
  const at = mkdtempSync(join(tmpdir(), 'remy-pack-'));
  try {
    write(join(at, 'package'), files);
    mkdirSync(dirname(join(root, path)), { recursive: true });
    execFileSync('tar', ['-czf', join(root, path), '-C', at, 'package']);
  } finally {
    rmSync(at, { recursive: true, force: true });
  }
}

/**
 * Runs an export of a compiled method, in a process of its own, and gives what it fulfills with.
 * @param {string} out
 * @param {string} id
 * @param {string} name
 * @param {any[]} args
 */
export function call(out, id, name, ...args) {
  const code = `const m = await import(${JSON.stringify(`${out}/methods/${id}.mjs`)}); console.log(JSON.stringify(await m[${JSON.stringify(name)}](...${JSON.stringify(args)})))`;
  return JSON.parse(
    execFileSync(process.execPath, ['--input-type=module', '-e', code], {
      encoding: 'utf8',
      cwd: '/',
    }),
  );
}
