// @ts-check
// A model that talks to users, with the app's methods as tools.
import { filled, given, is, text, whole } from '../check.js';
import { textFile } from '../references.js';
import { auth, authOf, compileTools, tools } from './tools.js';

/** @typedef {import('../interfaces.js').Interface} Interface */
/** @typedef {import('../interfaces.js').Compiling} Compiling */

export const fields = {
  'name?': text,
  'description?': text,
  model: filled,
  'temperature?': is('a number, 0 or more', (value) => typeof value === 'number' && value >= 0),
  'maxTokens?': whole(1),
  systemPrompt: textFile,
  'auth?': auth,
  'tools?': tools(),
  'webInterfacePath?': text,
};

/**
 * @param {Interface} it
 * @param {Compiling} app
 */
export function compile(it, app) {
  const systemPrompt = it.files[`${it.pointer}/systemPrompt`];
  return { 'interfaces/agent.json': { ...given(it.config), systemPrompt, auth: authOf(it, app), tools: compileTools(it, app) } };
}
