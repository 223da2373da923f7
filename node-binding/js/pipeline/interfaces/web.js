// @ts-check
// How a web project is run and shown. Building it is pipeline/web.js.
import { filled, list, matching, oneOf, shape, whole } from '../check.js';

/** @typedef {import('../interfaces.js').Interface} Interface */

export const fields = {
  'devPort?': whole(1, 65535),
  'devCommand?': filled,
  'defaultPreviewMode?': oneOf('desktop', 'mobile'),
  'prerender?': shape({ paths: list(matching(/^\//, 'does not begin with "/"')) }),
};

/** @param {Interface} it */
export function compile({ config }) {
  return { 'interfaces/web.json': config };
}
