// @ts-check
// The method that mail runs.
import { both, filled, given, list } from '../check.js';
import { method } from '../references.js';

/** @typedef {import('../interfaces.js').Interface} Interface */

const sender = both(filled, (at) => isSender(at.value) || at.fault(`"${at.value}" is neither an address nor "*@domain"`));

export const fields = { method, 'approvedSenders?': list(sender) };

/** @param {Interface} it */
export function compile({ config: { method, approvedSenders } }) {
  return { 'interfaces/email.json': given({ method, approvedSenders }) };
}

/** @param {Interface} it */
export function effects({ config: { method, approvedSenders } }) {
  return { email_routes: [{ method, approved_senders: approvedSenders ?? [] }] };
}

/**
 * `ann@example.com` or `*@example.com`, by core's rules.
 *
 * @param {string} sender
 */
export function isSender(sender) {
  const at = sender.lastIndexOf('@');
  if (at < 0) return false;
  const user = sender.slice(0, at);
  const labels = sender.slice(at + 1).split('.');
  const named = /^(?!-)[\p{Alphabetic}\p{N}-]+(?<!-)$/u;
  return (user === '*' || /^[^\p{White_Space}\p{Cc}*@,;<>]+$/u.test(user)) && labels.every((label) => named.test(label));
}
