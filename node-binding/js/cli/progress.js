// @ts-check
// A release while it is made: a live view on a terminal, plain lines elsewhere, events with --json. What failed is left to
// the error that ends it.
import { write } from './output.js';
import { cut, mark, message, took } from './show.js';

/** @typedef {import('../index.js').ProgressLine} ProgressLine */
/**
 * @typedef {object} Follower
 * @property {(line: ProgressLine) => void} line
 * @property {() => void} end
 */

/** What is at work after a step, until the next line says how it went. */
/** @type {Record<string, string>} */
const NEXT = {
  adopt: 'Preparing',
  build: 'Building',
  clone: 'Rehearsing the change',
  rehearse: 'Rehearsing the change',
  check: 'Catching up with writers',
  catch_up: 'Switching',
  switch: 'Settling',
  settle: 'Settling',
  verify: 'Reading everything again',
};
const FRAMES = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
/** @type {Record<string, string>} */
const COLORS = { ok: '\x1b[32m', warning: '\x1b[33m', failed: '\x1b[31m' };
/** Times stand at most this far to the right. */
const WIDTH = 100;

/** @returns {Follower} */
export function events() {
  return { line: (line) => write(`${JSON.stringify({ event: 'line', line })}\n`), end() {} };
}

/**
 * @param {import('node:tty').WriteStream} stream
 * @returns {Follower}
 */
export function follower(stream) {
  return stream.isTTY && process.env.TERM !== 'dumb' ? view(stream) : lines(stream);
}

/**
 * @param {NodeJS.WritableStream} stream
 * @returns {Follower}
 */
function lines(stream) {
  const line = (/** @type {ProgressLine} */ line) => {
    if (line.outcome === 'failed') return;
    const [first, ...more] = message(line);
    const time = took(line.duration_ms);
    stream.write([`${mark(line)} ${first}${time && `  ${time}`}`, ...more, ''].join('\n'));
  };
  return { line, end() {} };
}

/**
 * @param {import('node:tty').WriteStream} stream
 * @returns {Follower}
 */
function view(stream) {
  const colored = stream.hasColors();
  const paint = (/** @type {string} */ color, /** @type {string} */ text) => (colored ? `${color}${text}\x1b[0m` : text);
  let [working, frame] = ['Starting', 0];
  const spin = () => {
    const width = stream.columns || 80;
    stream.write(`\r\x1b[K${paint('\x1b[36m', FRAMES[frame++ % FRAMES.length])} ${cut(working, width - 3)}`);
  };
  const timer = setInterval(spin, 80);
  timer.unref();
  spin();

  return {
    line(line) {
      if (line.outcome === 'failed') return;
      const width = Math.min(stream.columns || 80, WIDTH);
      const time = took(line.duration_ms);
      // The mark and a space before, two spaces between, and the last column free.
      const room = width - 5 - time.length;
      // A warning is never cut.
      const [first, ...more] = message(line);
      const text = line.outcome === 'ok' ? cut(first, room) : first;
      const gap = ' '.repeat(Math.max(2, room - [...text].length + 2));
      stream.write(`\r\x1b[K${paint(COLORS[line.outcome] ?? '', mark(line))} ${text}${time && gap + paint('\x1b[2m', time)}\n${more.map((text) => `${text}\n`).join('')}`);
      working = NEXT[line.step] ?? 'At work';
      spin();
    },
    end() {
      clearInterval(timer);
      stream.write('\r\x1b[K');
    },
  };
}
