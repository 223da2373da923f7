// Files: `files.defineStore(name, options)`.

import { extname } from 'node:path';
import { invalid } from './error.mjs';

/**
 * @typedef {{ access?: 'public' | 'private', maxSize?: number, contentTypes?: string[] }} Options
 * @typedef {(operation: string, what: object) => Promise<any>} Ask
 */

/**
 * Makes what answers for a store.
 * @param {string} name
 * @param {Options} options
 * @param {Ask} ask
 */
export function makeStore(name, { access = 'private', maxSize, contentTypes }, ask) {
  const store = { store: name, access };

  const shareUrl = async (/** @type {string} */ key, /** @type {any} */ { expiresIn } = {}) =>
    (await ask('sign', { ...store, key, expiresIn })).url;

  const file = (/** @type {any} */ told) => ({
    ...store,
    ...told,
    shareUrl: (/** @type {any} */ options) => shareUrl(told.key, options),
  });

  const head = async (/** @type {string} */ key) => file(await ask('head', { ...store, key }));

  return {
    name,
    access,

    async put(/** @type {unknown} */ content, /** @type {any} */ options = {}) {
      const bytes = bytesOf(content);
      const { contentType } = options;
      const key = options.key ?? (await keyOf(options, bytes));
      const body = bytes.toString('base64');
      return file(await ask('put', { ...store, key, body, contentType }));
    },

    async get(/** @type {string} */ key) {
      const { body } = await ask('get', { ...store, key });
      return Buffer.from(body, 'base64');
    },

    head,

    async exists(/** @type {string} */ key) {
      try {
        await head(key);
        return true;
      } catch (error) {
        if (/** @type {any} */ (error).code === 'not_found') return false;
        throw error;
      }
    },

    async list(/** @type {any} */ { prefix, cursor, limit } = {}) {
      const told = await ask('list', { ...store, prefix, cursor, limit });
      return { ...told, files: told.files.map(file) };
    },

    async delete(/** @type {string} */ key) {
      await ask('delete', { ...store, key });
    },

    shareUrl,

    async createUploadToken(/** @type {any} */ options = {}) {
      const { contentType, expiresIn } = options;
      if (contentType && contentTypes && !contentTypes.includes(contentType))
        throw invalid(
          'content_type_not_allowed',
          `A file that is ${contentType} is none of ${contentTypes.join(', ')}. Nothing was allowed`,
        );
      const told = await ask('create-upload', {
        ...store,
        key: options.key ?? (await keyOf({ filename: options.filename })),
        contentType,
        contentTypes,
        maxSize: options.maxSize ?? maxSize,
        expiresIn,
      });
      const { key, url, uploadUrl, uploadFields } = told;
      return { key, url, upload: { url: uploadUrl, fields: uploadFields } };
    },
  };
}

/**
 * A key for a file that is given none: of its own, or that of what it holds.
 * @param {{ filename?: string, contentAddressed?: boolean }} options
 * @param {Buffer} [bytes]
 */
async function keyOf({ filename, contentAddressed }, bytes) {
  const hash = async (/** @type {any} */ of) =>
    Buffer.from(await crypto.subtle.digest('SHA-256', of)).toString('hex');
  const name = bytes && contentAddressed ? await hash(bytes) : crypto.randomUUID();
  return `${name}${extname(filename ?? '')}`;
}

/** @param {unknown} content */
function bytesOf(content) {
  if (typeof content === 'string') return Buffer.from(content);
  if (content instanceof ArrayBuffer) return Buffer.from(content);
  if (ArrayBuffer.isView(content))
    return Buffer.from(content.buffer, content.byteOffset, content.byteLength);
  throw invalid(
    'invalid_argument',
    'What is put is text or bytes: a string, a Buffer, a Uint8Array. Nothing was kept',
  );
}
