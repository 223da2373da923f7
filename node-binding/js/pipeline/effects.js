// @ts-check
// What a release declares besides tables, as the option `effects` of the verbs takes it.
import { given } from './check.js';
import { types } from './interfaces.js';

/** @typedef {import('./manifest.js').Manifest} Manifest */
/** @typedef {import('./interfaces.js').Interface} Interface */

/**
 * @param {Manifest} manifest
 * @param {Interface[]} interfaces
 * @returns {import('../index.js').Effects}
 */
export function effects(manifest, interfaces) {
  /** @type {any} */
  const all = {
    roles: manifest.roles.map(({ id, name, description }) => given({ id, name, description })),
    cron_jobs: [],
    webhooks: [],
    email_routes: [],
    bot_commands: [],
  };
  for (const it of interfaces.filter((it) => it.enabled)) {
    for (const [kind, entries] of Object.entries(types[it.type].effects?.(it) ?? {})) all[kind].push(...entries);
  }
  return all;
}
