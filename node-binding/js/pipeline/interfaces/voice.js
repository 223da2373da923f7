// @ts-check
// A model that speaks with users: one that hears and speaks itself, or a chat model between two that do.
import { anything, filled, given, is, isObject, object, oneOf, shape, text } from '../check.js';
import { method, textFile } from '../references.js';
import { auth, authOf, compileTools, tools } from './tools.js';

/** @typedef {import('../interfaces.js').Interface} Interface */
/** @typedef {import('../interfaces.js').Compiling} Compiling */
/** @typedef {import('../check.js').Check} Check */

/** A model's id, or the id with settings of that model's. @type {Check} */
const model = (at) => (isObject(at.value) ? object : filled)(at);

export const fields = {
  'name?': text,
  'description?': text,
  'model?': model,
  'llm?': model,
  'stt?': model,
  'tts?': model,
  'voice?': is('a text or an object', (value) => typeof value === 'string' || isObject(value)),
  'greeting?': text,
  'turnDetection?': object,
  systemPrompt: textFile,
  'auth?': auth,
  'phone?': anything,
  'context?': shape({ method }),
  'tools?': tools({ 'latency?': oneOf('fast', 'slow', 'background') }),
  'webInterfacePath?': text,
};

/** @type {Check} */
export function also(at) {
  const has = (/** @type {string} */ key) => at.value[key] !== undefined && at.value[key] !== null;
  const parts = ['llm', 'stt', 'tts'];
  if (!has('model') && !parts.some(has)) return at.at('model').fault('is missing; in its place there may be "llm", "stt" and "tts"');
  if (!has('model')) {
    const missing = parts.filter((part) => !has(part));
    return missing.map((part) => at.at(part).fault('is missing: "llm", "stt" and "tts" go together')).every(Boolean);
  }
  return parts.filter(has).map((part) => at.at(part).fault('cannot be beside "model", which hears and speaks by itself')).every(Boolean);
}

/**
 * @param {Interface} it
 * @param {Compiling} app
 */
export function compile(it, app) {
  const systemPrompt = it.files[`${it.pointer}/systemPrompt`];
  return { 'interfaces/voice.json': { ...given(it.config), systemPrompt, auth: authOf(it, app), tools: compileTools(it, app) } };
}
