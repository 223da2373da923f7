// @ts-check
// Slash commands of a Discord bot. The limits are those of Discord's application commands; it refuses all commands for one that
// breaks them.
import { all, anything, both, distinct, filled, flag, given, is, isObject, list, names, or, shape, text, whole } from '../check.js';
import { method } from '../references.js';

/** @typedef {import('../check.js').Check} Check */
/** @typedef {import('../interfaces.js').Interface} Interface */

/** What an option may be, by Discord's numbers. */
const TYPES = [
  'subcommand', 'group of subcommands', 'text', 'integer', 'boolean', 'user', 'channel', 'role', 'mentionable', 'number', 'attachment',
];
const [SUBCOMMAND, GROUP, TEXT, INTEGER, , , CHANNEL, , , NUMBER] = TYPES.map((_, i) => i + 1);

const [MOST_COMMANDS, MOST_OPTIONS, MOST_CHOICES] = [100, 25, 25];
/** Of names, descriptions and values of one command, its options and their choices. */
const MOST_CHARACTERS = 8000;

/** Discord counts characters, not the units of UTF-16. */
const length = (/** @type {string} */ value) => [...value].length;

/**
 * @param {number} most
 * @returns {Check}
 */
const upTo = (most) => both(filled, (at) =>
  length(at.value) <= most || at.fault(`has ${length(at.value)} characters, and at most ${most} are allowed`));

const name = both(filled, (at) => {
  if (!/^[-_'\p{L}\p{N}\p{sc=Deva}\p{sc=Thai}]{1,32}$/u.test(at.value)) {
    return at.fault(`"${at.value}" is no name for Discord: 1 to 32 letters, digits, "-" and "_"`);
  }
  return at.value === at.value.toLowerCase() || at.fault(`"${at.value}" is no name for Discord: it has to be in lower case`);
});

/**
 * A bound of an option's value. Discord's are within what a double holds exactly.
 *
 * @param {number} type
 */
function bound(type) {
  if (type === INTEGER) return is('a whole number', Number.isSafeInteger);
  return is('a number', (value) => typeof value === 'number' && Math.abs(value) <= Number.MAX_SAFE_INTEGER);
}

const optionType = is(
  `one of Discord's numbers (${or(TYPES.map((what, i) => `${i + 1} ${what}`))})`,
  (value) => Number.isInteger(value) && value >= 1 && value <= TYPES.length,
);

/** The fields that only some types of option have. */
const ONLY = {
  choices: [TEXT, INTEGER, NUMBER],
  autocomplete: [TEXT, INTEGER, NUMBER],
  min_value: [INTEGER, NUMBER],
  max_value: [INTEGER, NUMBER],
  min_length: [TEXT],
  max_length: [TEXT],
  channel_types: [CHANNEL],
  options: [SUBCOMMAND, GROUP],
};

/**
 * A choice, whose value is of the option's type.
 *
 * @param {number} type
 */
function choice(type) {
  const value = type === TEXT ? upTo(100) : type === INTEGER || type === NUMBER ? bound(type) : anything;
  return shape({ name: upTo(100), value, 'name_localizations?': anything });
}

/**
 * An option. `within` are the types that may stand here.
 *
 * @param {number[]} within
 * @returns {Check}
 */
function option(within) {
  return (at) => {
    const type = at.value?.type;
    const fits = shape({
      type: both(optionType, (at) => within.includes(at.value) || at.fault(`a ${TYPES[at.value - 1]} cannot stand here`)),
      name,
      description: upTo(100),
      'required?': flag,
      'choices?': all(list(choice(type), { most: MOST_CHOICES }), distinct('name', 'name')),
      'autocomplete?': flag,
      'min_value?': bound(type),
      'max_value?': bound(type),
      'min_length?': whole(0, 6000),
      'max_length?': whole(1, 6000),
      'channel_types?': list(is('a whole number', Number.isInteger)),
      'options?': (inner) => options(type === GROUP ? [SUBCOMMAND] : VALUES)(inner),
      'name_localizations?': anything,
      'description_localizations?': anything,
    })(at);
    return fits && only(at) && consistent(at);
  };
}

/** @type {Check} */
function only(at) {
  return Object.entries(ONLY).map(([field, types]) => {
    const found = at.at(field);
    const given = found.value !== undefined && found.value !== null && found.value !== false;
    return !given || types.includes(at.value.type) || found.fault(`a ${TYPES[at.value.type - 1]} has none of these`);
  }).every(Boolean);
}

/** @type {Check} */
function consistent(at) {
  const { type, choices, autocomplete, min_value, max_value, min_length, max_length } = at.value;
  return [
    !(autocomplete && choices?.length) || at.at('autocomplete').fault('cannot be beside choices'),
    !(min_value > max_value) || at.at('min_value').fault('is greater than max_value'),
    !(min_length > max_length) || at.at('min_length').fault('is greater than max_length'),
    type !== GROUP || at.value.options?.length > 0 || at.at('options').fault('is missing: a group needs a subcommand'),
    type > GROUP || !at.value.required || at.at('required').fault(`a ${TYPES[type - 1]} cannot be required`),
  ].every(Boolean);
}

const VALUES = TYPES.map((_, i) => i + 1).filter((type) => type > GROUP);

/**
 * A list of options: subcommands and groups alone, or values alone, of which those that are required come first.
 *
 * @param {number[]} within
 * @returns {Check}
 */
function options(within) {
  return all(
    list(option(within), { most: MOST_OPTIONS }),
    distinct('name', 'name'),
    (at) => {
      const entries = at.each().filter((entry) => isObject(entry.value));
      const nested = entries.some((entry) => entry.value.type <= GROUP);
      const mixed = nested && entries.find((entry) => entry.value.type > GROUP);
      const firstOptional = entries.findIndex((entry) => entry.value.required !== true);
      const late = !nested && firstOptional >= 0 && entries.slice(firstOptional).find((entry) => entry.value.required === true);
      return [
        !mixed || mixed.fault('cannot stand beside subcommands'),
        !late || late.at('required').fault(`required options come first, and ${entries[firstOptional].pointer} before it is not`),
      ].every(Boolean);
    },
  );
}

/** What Discord is told of a command. */
const told = {
  name,
  description: upTo(100),
  'type?': is('1, a slash command: other types have no text to run', (value) => value === 1),
  'options?': options([SUBCOMMAND, GROUP, ...VALUES]),
  'default_member_permissions?': text,
  'nsfw?': flag,
  'contexts?': list(anything),
  'integration_types?': list(anything),
  'name_localizations?': anything,
  'description_localizations?': anything,
};

const command = all(
  shape({ ...told, method, 'loadingMessage?': text }),
  (at) => {
    const characters = weight(at.value);
    const what = `has ${characters} characters in names, descriptions and values`;
    return characters <= MOST_CHARACTERS || at.fault(`${what}, and at most ${MOST_CHARACTERS} are allowed`);
  },
);

/**
 * @param {any} it a command, option or choice
 * @returns {number}
 */
function weight(it) {
  const own = [it?.name, it?.description, it?.value].filter((part) => typeof part === 'string').map(length);
  const inner = [it?.options, it?.choices].filter(Array.isArray).flat().map(weight);
  return [...own, ...inner].reduce((sum, part) => sum + part, 0);
}

export const fields = {
  commands: all(list(command, { most: MOST_COMMANDS }), distinct('name', 'name')),
  'loadingMessage?': text,
  'applicationId?': text,
  'botToken?': text,
  'publicKey?': text,
};

/** @param {any} command */
function body(command) {
  return given({ ...Object.fromEntries(names(told).map((name) => [name, command[name]])), type: 1 });
}

/** @param {Interface} it */
export function compile({ config }) {
  const commands = config.commands.map((/** @type {any} */ { name, method, loadingMessage }) =>
    given({ name, method, loadingMessage: loadingMessage ?? config.loadingMessage }));
  return { 'interfaces/discord.json': { commands }, 'interfaces/discord-commands.json': config.commands.map(body) };
}

/** @param {Interface} it */
export function effects({ config }) {
  return {
    bot_commands: config.commands.map((/** @type {any} */ command) => {
      const { name, description, ...definition } = body(command);
      return { platform: 'discord', name, method: command.method, description, definition };
    }),
  };
}
