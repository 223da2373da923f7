// @ts-check
// What goes to stdout. What cannot be written there stops nothing: it is told when all is done.
import { fstatSync, writeFileSync } from 'node:fs';

/** @type {NodeJS.ErrnoException | null} */
let lost = null;

process.stdout.on('error', failed);
// There is nowhere left to say that.
process.stderr.on('error', () => {});

/** @param {NodeJS.ErrnoException} error */
function failed(error) {
  // Who reads our output may have read enough.
  if (error.code !== 'EPIPE') lost ??= error;
}

/** @param {string | Buffer} output */
export function write(output) {
  if (!fstatSync(process.stdout.fd).isFile()) {
    process.stdout.write(output);
    return;
  }
  // The stream would take a write for whole of which only a part fitted on the disk.
  try {
    writeFileSync(process.stdout.fd, Buffer.from(output));
  } catch (error) {
    failed(/** @type {NodeJS.ErrnoException} */ (error));
  }
}

/**
 * Why stdout has not got all that was written, once that is known.
 * @returns {Promise<NodeJS.ErrnoException | null>}
 */
export async function unwritten() {
  // A stream tells what became of a write in a later turn.
  await new Promise((done) => process.stdout.write('', () => setImmediate(done)));
  return lost;
}
