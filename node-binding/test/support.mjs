// What the tests of the CLI share: a folder of their own, in which the real commands run.
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The command: the one named by REMY_PROGRAM, as the addon by REMY_ADDON, or the one of `cargo build`. */
export const program =
  process.env.REMY_PROGRAM ?? fileURLToPath(new URL('../../target/debug/remy', import.meta.url));

/** The program of esbuild's that the package has, so that no test waits for an install of one. */
const esbuild = createRequire(createRequire(import.meta.url).resolve('esbuild')).resolve(
  `@esbuild/linux-${process.arch}/bin/esbuild`,
);

/** A folder that is gone after the test `t`, with the command remy on its path. */
export function workshop(t) {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'remy-test-')));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const bin = join(folder, '.bin');
  mkdirSync(bin);
  symlinkSync(program, join(bin, 'remy'));
  const { REMY_DB, NO_COLOR, FORCE_COLOR, CI, ...rest } = process.env;
  const base = { ESBUILD_BINARY_PATH: esbuild, ...rest, PATH: `${bin}${delimiter}${rest.PATH}` };

  /** Runs a program in the folder. Its stdin is `input`, unless it stays `open`. */
  const run = (program, args, { env, cwd = folder, input, open = false, onStdout } = {}) => {
    const child = spawn(program, args, { cwd, env: { ...base, ...env } });
    const done = new Promise((fulfill, reject) => {
      let [stdout, stderr] = ['', ''];
      child.stdout
        .setEncoding('utf8')
        .on('data', (text) => ((stdout += text), onStdout?.(text, child)));
      child.stderr.setEncoding('utf8').on('data', (text) => (stderr += text));
      child
        .on('error', reject)
        .on('close', (status, signal) => fulfill({ status, signal, stdout, stderr }));
      child.stdin.on('error', () => {});
      if (!open) child.stdin.end(input);
    });
    return Object.assign(done, { child });
  };

  return {
    folder,
    path: (...parts) => join(folder, ...parts),
    write(path, text, mode) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), text, { mode });
    },
    run,
    remy: (args, options) => run('remy', args, options),
    shell: (command, options) => run('bash', ['-c', command], options),
    async sql(statements, db = 'app.db') {
      const { status, stdout, stderr } = await run('sqlite3', ['-batch', '-bail', db], {
        input: statements,
      });
      if (status !== 0) throw new Error(`sqlite3: ${stderr}`);
      return stdout.trim();
    },
  };
}
