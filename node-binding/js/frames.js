// @ts-check
// Frames, as the program that verbs run in has them (core/helper/src/frame.rs): a letter, four bytes with the length of what follows,
// the lowest first, and that as text.

const HEAD = 5;

/**
 * @param {string} kind
 * @param {string} text
 */
export function frame(kind, text) {
  const body = Buffer.from(text);
  const head = Buffer.alloc(HEAD);
  head.write(kind, 'latin1');
  head.writeUInt32LE(body.length, 1);
  return Buffer.concat([head, body]);
}

/**
 * Takes what comes, and gives `take` each frame once it is whole.
 * @param {(kind: string, text: string) => void} take
 * @returns {(chunk: Buffer) => void}
 */
export function frames(take) {
  /** @type {Buffer[]} */
  let parts = [];
  let length = 0;
  let wanted = HEAD;
  return (chunk) => {
    parts.push(chunk);
    length += chunk.length;
    // What is not whole yet is not copied again for each part that comes.
    while (length >= wanted) {
      let bytes = parts.length === 1 ? /** @type {Buffer} */ (parts[0]) : Buffer.concat(parts);
      const end = HEAD + bytes.readUInt32LE(1);
      if (end <= length) {
        take(bytes.toString('latin1', 0, 1), bytes.toString('utf8', HEAD, end));
        bytes = bytes.subarray(end);
      }
      parts = [bytes];
      length = bytes.length;
      wanted = length < HEAD ? HEAD : HEAD + bytes.readUInt32LE(1);
    }
  };
}
