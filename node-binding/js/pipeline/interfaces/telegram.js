// @ts-check
// Commands of a Telegram bot. The limits are those of `setMyCommands`.
import { all, both, distinct, filled, given, list, shape, text } from '../check.js';
import { method } from '../references.js';

/** @typedef {import('../interfaces.js').Interface} Interface */

/** Telegram takes a command with and without the slash. @param {string} command */
const bare = (command) => command.replace(/^\//, '');

const command = both(filled, (at) =>
  /^[a-z0-9_]{1,32}$/.test(bare(at.value)) || at.fault(`"${at.value}" is no command for Telegram: 1 to 32 of a-z, 0-9 and "_"`));

const description = both(filled, (at) => {
  const { length } = [...at.value];
  return length <= 256 || at.fault(`has ${length} characters, and at most 256 are allowed`);
});

export const fields = {
  commands: all(
    list(shape({ command, description, method }), { most: 100 }),
    distinct('command', 'command', { key: (entry) => (typeof entry?.command === 'string' ? bare(entry.command) : undefined) }),
  ),
  'defaultMethod?': method,
  'botId?': text,
  'token?': text,
};

/** @param {Interface} it */
export function compile({ config }) {
  const commands = config.commands.map((/** @type {any} */ { command, description }) => ({ command: bare(command), description }));
  const methods = config.commands.map((/** @type {any} */ { command, method }) => ({ command: bare(command), method }));
  return {
    'interfaces/telegram.json': given({ commands: methods, defaultMethod: config.defaultMethod }),
    'interfaces/telegram-commands.json': { commands },
  };
}

/** @param {Interface} it */
export function effects({ config }) {
  return {
    bot_commands: config.commands.map((/** @type {any} */ { command, description, method }) =>
      ({ platform: 'telegram', name: bare(command), method, description, definition: {} })),
  };
}
