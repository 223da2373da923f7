// @ts-check
import { FLAGS, flagsOf } from './flags.js';
import { asCalled, called } from './name.js';
import { shown } from './usage.js';

/** @typedef {import('./commands.js').Command} Command */

/** @param {[string, string][]} pairs */
function columns(pairs) {
  const width = Math.max(...pairs.map(([left]) => left.length));
  return pairs.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`);
}

/** @param {Command} command */
function shape({ name, args }) {
  return [name, ...args.map(shown)].join(' ');
}

/**
 * Every command, or those of a group.
 * @param {Command[]} commands
 * @param {string | null} group
 */
export function overview(commands, group) {
  const listed = commands.filter(({ name }) => group === null || name.startsWith(`${group} `));
  return [
    'remy deploys an SQLite database like code: publish, switch in one transaction, roll back.',
    '',
    ...columns(listed.map((command) => [`${called} ${shape(command)}`, command.summary])),
    '',
    `${called} COMMAND --help says more of each. Exit status: 0 ok, 1 failure, 2 usage, 3 refused, 4 busy, 130 called off.`,
  ].map(asCalled);
}

/** @param {Command} command */
export function help(command) {
  const flags = flagsOf(command).map((name) => /** @type {[string, string]} */ ([flag(name), command.notes?.[name] ?? FLAGS[name].help]));
  return [`remy ${shape(command)}: ${command.summary}`, '', ...columns(flags), '', `  ${command.example}`].map(asCalled);
}

/** @param {string} name */
function flag(name) {
  const { short, value, many } = FLAGS[name];
  return `${short ? `-${short}, ` : ''}--${name}${value ? ` ${value}` : ''}${many ? '...' : ''}`;
}
