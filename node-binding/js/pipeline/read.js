// @ts-check
// Reads all that an app declares: manifest, interfaces and tables. What is wrong with any of them is told with what is wrong with the others.
import { checkAuth } from './auth.js';
import { Faults } from './faults.js';
import { readInterfaces } from './interfaces.js';
import { readManifest } from './manifest.js';
import { checkTables } from './typescript.js';

/**
 * What the app in the folder `root` declares, or one `AppError` with every fault of all its files.
 *
 * @param {string} root
 * @param {string} [called] what it is for those who read of it
 */
export function readApp(root, called) {
  const faults = new Faults();
  const manifest = readManifest(root, faults, called);
  const interfaces = readInterfaces(manifest, faults);
  checkAuth(manifest, checkTables(manifest, faults), faults);
  faults.throwAny();
  return { manifest, interfaces, warnings: faults.warnings };
}
