#!/usr/bin/env node
// @ts-check
// The command: finds the program `remy` in the package of this platform, and lets it have the arguments, the terminal and the signals.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { constants } from 'node:os';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { missing, platform } from './addon.js';

const require = createRequire(import.meta.url);

/** The program's path: the one named by REMY_PROGRAM, in the package of this platform, or in a checkout, where that package is a folder. */
function find() {
  if (process.env.REMY_PROGRAM) return process.env.REMY_PROGRAM;
  try {
    return require.resolve(`remy-db-${platform}/remy`);
  } catch {
    const places = [
      `../npm/${platform}/remy`,
      '../../target/release/remy',
      '../../target/debug/remy',
    ];
    const paths = places.map((path) => fileURLToPath(new URL(path, import.meta.url)));
    const found = paths.find((path) => existsSync(path));
    if (found) return found;
    throw missing(
      `there is no package remy-db-${platform}, which brings the program for this machine, and no program at ${paths.join(', ')}`,
    );
  }
}

/** The program of esbuild's that this package depends on, where it is installed. */
function esbuild() {
  try {
    const own = createRequire(require.resolve('esbuild'));
    return own.resolve(`@esbuild/linux-${process.arch}/bin/esbuild`);
  } catch {
    return undefined;
  }
}

/** @param {any} error as RemyError has it */
function refuse({ code, message, hint, object }) {
  if (process.argv.includes('--json')) {
    const error = { code, message, hint, remedy: [hint], object, sql: null };
    process.stdout.write(`${JSON.stringify({ error })}\n`);
  }
  const what = message.endsWith(`. ${hint}`) ? message.slice(0, -hint.length - 2) : message;
  process.stderr.write(`error: ${code}: ${what}\nhint: ${hint}\n`);
  process.exitCode = 1;
}

/** @param {string} program */
function start(program) {
  const { ESBUILD_BINARY_PATH = esbuild(), ...env } = process.env;
  // In its hints it has the name that it was called by.
  const argv0 = basename(process.argv[1] ?? 'remy');
  const child = spawn(program, process.argv.slice(2), {
    argv0,
    stdio: 'inherit',
    env: ESBUILD_BINARY_PATH === undefined ? env : { ...env, ESBUILD_BINARY_PATH },
  });
  // A terminal gives its signals to both.
  const isTerminal = [0, 1, 2].some((fd) => require('node:tty').isatty(fd));
  for (const signal of /** @type {NodeJS.Signals[]} */ (['SIGINT', 'SIGHUP', 'SIGTERM'])) {
    process.on(signal, () => void (isTerminal && signal !== 'SIGTERM' ? 0 : child.kill(signal)));
  }
  child.on('error', (error) => {
    if (child.pid === undefined) refuse(missing(`the program cannot be started: ${error.message}`));
  });
  child.on('exit', (status, signal) => {
    process.exitCode = status ?? 128 + (signal === null ? 0 : constants.signals[signal]);
  });
}

try {
  start(find());
} catch (error) {
  refuse(error);
}
