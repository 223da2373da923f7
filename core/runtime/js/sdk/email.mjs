// E-mail: what an attachment's URL leads to is fetched here, as all that a method reaches is. The parent fetches nothing that a method names.

import { MindStudioError, invalid } from './error.mjs';

/** What a message may hold of attachments, so that it fits into a frame with base64. */
const BYTES = 10 * 1024 * 1024;

/**
 * The message, with the contents of its attachments.
 * @param {any} message
 */
export async function withContents(message) {
  if (typeof message !== 'object' || message === null)
    throw invalid('invalid_email', 'An e-mail is an object with to, subject and body');
  if (message.attachments == null) return message;
  if (!Array.isArray(message.attachments))
    throw invalid('invalid_email', 'attachments is no list. Nothing was sent');
  const attachments = [];
  let left = BYTES;
  for (const given of message.attachments) {
    const { url, content, ...rest } = typeof given === 'string' ? { url: given } : (given ?? {});
    const attachment = content === undefined ? await fetched(String(url), left) : { content };
    left -= (attachment.content.length * 3) / 4;
    if (left < 0) throw tooLarge();
    attachments.push({ ...attachment, ...rest });
  }
  return { ...message, attachments };
}

/**
 * @param {string} url
 * @param {number} most bytes
 */
async function fetched(url, most) {
  const answer = await fetch(url).catch((error) => {
    throw unreadable(url, error.cause?.message ?? error.message);
  });
  if (!answer.ok) throw unreadable(url, `${answer.status} ${answer.statusText}`);
  const parts = [];
  let length = 0;
  for await (const part of answer.body ?? []) {
    length += part.length;
    if (length > most) throw tooLarge();
    parts.push(part);
  }
  const name = new URL(answer.url).pathname.split('/').at(-1);
  return {
    content: Buffer.concat(parts).toString('base64'),
    filename: name ? decodeURIComponent(name) : 'attachment',
    contentType: answer.headers.get('content-type')?.split(';')[0],
  };
}

/**
 * @param {string} url
 * @param {string} why
 */
const unreadable = (url, why) =>
  new MindStudioError(
    'attachment_not_read',
    502,
    `The attachment ${url} cannot be read: ${why}. Nothing was sent`,
  );

const tooLarge = () =>
  new MindStudioError(
    'email_too_large',
    413,
    `The attachments of an e-mail are larger than ${BYTES >> 20} MiB together. Nothing was sent`,
  );
