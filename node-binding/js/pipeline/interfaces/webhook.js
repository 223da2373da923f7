// @ts-check
// Methods that others call by a secret. The secret is in no message, and in no file that is compiled: only the effects have it.
import { all, distinct, filled, given, list, shape, text } from '../check.js';
import { method } from '../references.js';

/** @typedef {import('../interfaces.js').Interface} Interface */

export const fields = {
  endpoints: all(
    list(shape({ method, secret: filled, 'description?': text })),
    distinct('secret', 'secret', { secret: true }),
  ),
};

/** @param {Interface} it */
export function compile({ config }) {
  const endpoints = config.endpoints.map((/** @type {any} */ { method, description }) => given({ method, description }));
  return { 'interfaces/webhook.json': { endpoints } };
}

/** @param {Interface} it */
export function effects({ config }) {
  return { webhooks: config.endpoints.map((/** @type {any} */ { secret, method, description }) => given({ secret, method, description })) };
}
