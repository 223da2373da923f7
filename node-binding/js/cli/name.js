// @ts-check
// What the command is called: as it was called. The registry's package `remy` is somebody else's, and `npx remy` would fetch that one
// wherever this one is not installed.
import { basename } from 'node:path';
import { names } from './commands.js';

/**
 * @param {string} path the program, as it was started
 * @param {NodeJS.ProcessEnv} env
 */
export function nameOf(path, env) {
  // `npx` has the command on the path for this one run only.
  if (env.npm_command === 'exec') return 'npx remy-db';
  const name = basename(path);
  return name === 'remy-db' ? name : 'remy';
}

export const called = nameOf(process.argv[1] ?? '', process.env);

const COMMANDS = new RegExp(`\\bremy (?=(?:${[...new Set(names.map((name) => name.split(' ')[0]))].join('|')}|COMMAND|--help)\\b)`, 'g');

/**
 * A text in which `remy COMMAND` is what one types here.
 * @param {string} text
 */
export function asCalled(text) {
  return text.replace(COMMANDS, `${called} `);
}
