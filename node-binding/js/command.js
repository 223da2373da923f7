#!/usr/bin/env node
// @ts-check
// The command: finds the program `remy` in the package of this platform, and lets it have the arguments, the terminal and the signals.
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { basename } from 'node:path';
import { isatty } from 'node:tty';
import { missing, program } from './addon.js';
import { esbuild } from './tools.js';

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

/** @param {string} path */
function start(path) {
  const { ESBUILD_BINARY_PATH = esbuild(), ...env } = process.env;
  // In its hints it has the name that it was called by.
  const argv0 = basename(process.argv[1] ?? 'remy');
  const child = spawn(path, process.argv.slice(2), {
    argv0,
    stdio: 'inherit',
    env: ESBUILD_BINARY_PATH === undefined ? env : { ...env, ESBUILD_BINARY_PATH },
  });
  // A terminal gives its signals to both.
  const isTerminal = [0, 1, 2].some((fd) => isatty(fd));
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
  start(program());
} catch (error) {
  refuse(error);
}
