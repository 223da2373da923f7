// @ts-check
// argv → a command and its values; or one line that says what was expected.
import { parseArgs } from 'node:util';
import { load, names } from './commands.js';
import { FLAGS, flagsOf } from './flags.js';
import { called } from './name.js';

/** @typedef {{ name: string, optional?: boolean, read?: (text: string) => unknown }} Argument */

/** What was typed is not understood. */
export class UsageError extends Error {
  code = 'invalid_argument';
}

/**
 * @param {string[]} argv
 * @returns {Promise<{ command: import('./commands.js').Command | null, group: string | null, args: any[], values: Record<string, any> }>}
 */
export async function parse(argv) {
  const { tokens } = parseArgs({ args: argv, options: declared(), strict: false, allowPositionals: true, tokens: true });
  const words = tokens.flatMap((token) => (token.kind === 'positional' ? [token.value] : []));
  const flags = tokens.filter((token) => token.kind === 'option');
  const { name, group, rest } = choose(words);
  const command = name === null ? null : await load(name);
  const values = read(flags, command);
  if (command === null || values.help) return { command, group, args: [], values };
  return { command, group, args: positionals(command, rest), values };
}

function declared() {
  const entries = Object.entries(FLAGS).map(([name, { short, value }]) => {
    const type = /** @type {'string' | 'boolean'} */ (value ? 'string' : 'boolean');
    return [name, short ? { type, short } : { type }];
  });
  return Object.fromEntries(entries);
}

/**
 * @param {string[]} words
 * @returns {{ name: string | null, group: string | null, rest: string[] }}
 */
function choose([first, second, ...rest]) {
  if (first === undefined) return { name: null, group: null, rest: [] };
  if (names.includes(first)) return { name: first, group: null, rest: second === undefined ? [] : [second, ...rest] };
  const parts = names.filter((name) => name.startsWith(`${first} `)).map((name) => name.slice(first.length + 1));
  if (parts.length) {
    if (second === undefined) return { name: null, group: first, rest: [] };
    if (parts.includes(second)) return { name: `${first} ${second}`, group: first, rest };
    throw new UsageError(`${called} ${first} has no ${second}${meant(second, parts)}: it has ${parts.join(', ')}`);
  }
  const known = [...new Set(names.map((name) => name.split(' ')[0]))];
  throw new UsageError(`there is no command ${first}${meant(first, known)}: ${called} --help lists them`);
}

/**
 * @param {{ name: string, rawName: string, value: string | undefined, inlineValue: boolean | undefined }[]} tokens
 * @param {{ name: string, flags: string[], placeless?: boolean } | null} command
 */
function read(tokens, command) {
  const known = flagsOf(command ?? { flags: ['version'], placeless: true });
  /** @type {Record<string, any>} */
  const values = {};
  for (const { name, rawName, value, inlineValue } of tokens) {
    const flag = FLAGS[name];
    if (!flag || !known.includes(name)) {
      const of = command ? `${called} ${command.name}` : called;
      throw new UsageError(`${of} has no flag ${rawName}${meant(rawName, known.map((name) => `--${name}`))}: ${of} --help lists them`);
    }
    if (!flag.value) {
      if (value !== undefined) throw new UsageError(`${rawName} takes no value`);
      values[name] = true;
      continue;
    }
    const missing = value === undefined || value === '' || (!inlineValue && value.startsWith('-'));
    if (missing) throw new UsageError(`${rawName} expects ${flag.value}: ${flag.help}`);
    if (name in values && !flag.many) throw new UsageError(`${rawName} is given twice`);
    const one = convert(rawName, value, flag.read);
    values[name] = flag.many ? [...(values[name] ?? []), one] : one;
  }
  return values;
}

/**
 * @param {{ name: string, args: Argument[] }} command
 * @param {string[]} words
 */
function positionals({ name, args }, words) {
  const shape = [called, name, ...args.map(shown)].join(' ');
  if (words.length > args.length) throw new UsageError(`${JSON.stringify(words[args.length])} is one argument too many: ${shape}`);
  return args.map((arg, i) => {
    if (words[i] !== undefined) return convert(arg.name, words[i], arg.read);
    if (arg.optional) return undefined;
    throw new UsageError(`${called} ${name} expects ${arg.name}: ${shape}`);
  });
}

/** @param {Argument} arg */
export function shown({ name, optional }) {
  return optional ? `[${name}]` : name;
}

/**
 * @param {string} name
 * @param {string} text
 * @param {((text: string) => unknown) | undefined} read
 */
function convert(name, text, read) {
  try {
    return read ? read(text) : text;
  } catch (error) {
    throw new UsageError(`${name} expects ${/** @type {Error} */ (error).message}, not ${JSON.stringify(text)}`);
  }
}

/** @type {Argument} */
export const RELEASE = {
  name: 'RELEASE',
  read(text) {
    if (/^[1-9]\d{0,14}$/.test(text)) return Number(text);
    throw new Error('the number of a release');
  },
};

/**
 * The nearest of `names`, where one is near.
 * @param {string} word
 * @param {string[]} names
 */
function meant(word, names) {
  const near = names.map((name) => ({ name, far: distance(word, name) })).sort((a, b) => a.far - b.far)[0];
  return near.far <= Math.max(1, Math.floor(word.length / 3)) ? ` (${near.name}?)` : '';
}

/**
 * How many letters have to be put in, taken out or changed.
 * @param {string} a
 * @param {string} b
 */
function distance(a, b) {
  let above = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      row[j] = Math.min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1));
    }
    above = row;
  }
  return above[b.length];
}
