// @ts-check
// What `remy init` writes.
import { options as read, text } from '../arguments.js';
import { now } from '../pipeline/step.js';

/**
 * @param {string} dir
 * @param {{ sql?: boolean }} [options]
 * @returns {{ root: string, files: string[] }}
 */
export function init(dir, options) {
  const { sql = false } = read('init', options, ['sql']);
  return now('init', [text(dir, 'folder'), Boolean(sql)]);
}
