// @ts-check
// Frames: four bytes (the length, little-endian) and JSON, on the socket to the parent.

import { writeSync } from 'node:fs';
import { Socket } from 'node:net';

/** The most bytes of a frame, as the parent has it. */
export const LIMIT = 16 * 1024 * 1024;

const HEAD = 4;

/** Half of a pair of surrogates, as JSON writes it. UTF-8 has none: the parent would read no JSON. */
const HALF = /(?<!\\)((?:\\\\)*)\\ud[89a-f][0-9a-f]{2}/g;

/**
 * Writes what there is room for, and returns how much that was: without the stream, which takes longer than all else of a small frame.
 * @param {number} descriptor
 * @param {Buffer} frame
 */
function writeNow(descriptor, frame) {
  try {
    return writeSync(descriptor, frame);
  } catch {
    // There is no room, or the parent is gone: the stream says which.
    return 0;
  }
}

/**
 * Takes frames from the descriptor, and sends some. `end` is called when the parent is gone.
 * @param {number} descriptor
 * @param {(message: any) => void} take
 * @param {() => void} end
 */
export function frames(descriptor, take, end) {
  const socket = new Socket({ fd: descriptor, readable: true, writable: true });
  /** @type {Buffer[]} */
  let parts = [];
  let length = 0;
  let wanted = HEAD;
  socket.on('data', (part) => {
    parts.push(part);
    length += part.length;
    while (length >= wanted) {
      let bytes = parts.length === 1 ? parts[0] : Buffer.concat(parts, length);
      const whole = HEAD + bytes.readUInt32LE(0);
      if (length >= whole) {
        const message = JSON.parse(bytes.toString('utf8', HEAD, whole));
        bytes = bytes.subarray(whole);
        length -= whole;
        wanted = HEAD;
        parts = length ? [bytes] : [];
        take(message);
      } else {
        parts = [bytes];
        wanted = whole;
      }
    }
  });
  socket.on('error', end);
  socket.on('close', end);
  return {
    /** @param {string} json whose bytes are within the limit */
    send(json) {
      const text = json.includes('\\ud') ? json.replace(HALF, '$1\ufffd') : json;
      const size = Buffer.byteLength(text);
      const frame = Buffer.allocUnsafe(HEAD + size);
      frame.writeUInt32LE(size, 0);
      frame.write(text, HEAD);
      const sent = socket.writableLength === 0 ? writeNow(descriptor, frame) : 0;
      if (sent < frame.length) socket.write(frame.subarray(sent));
    },
    /** @param {boolean} is whether it keeps the process from ending */
    hold(is) {
      if (is) socket.ref();
      else socket.unref();
    },
  };
}
