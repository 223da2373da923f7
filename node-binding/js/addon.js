// Finds and loads the native addon. Only the worker process does.
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const platform = `${process.platform}-${process.arch}-gnu`;

/** The addon's path: the one named by REMY_ADDON, beside this package, in the package of this platform, or in a checkout. */
function find() {
  if (process.env.REMY_ADDON) return process.env.REMY_ADDON;
  const beside = [`../remy.${platform}.node`, '../../target/release/libremy_node.so', '../../target/debug/libremy_node.so'];
  const paths = beside.map((path) => fileURLToPath(new URL(path, import.meta.url)));
  const [packaged, ...built] = paths;
  if (existsSync(packaged)) return packaged;
  try {
    return createRequire(import.meta.url).resolve(`remy-db-${platform}`);
  } catch {
    const found = built.find((path) => existsSync(path));
    if (found) return found;
  }
  throw new Error(`remy-db has no addon for ${platform}: there is none at ${paths.join(', ')}, and no package remy-db-${platform}`);
}

/** Loads the addon. Its file may have any name, so it is not left to `require`. */
export function load() {
  const module = { exports: {} };
  process.dlopen(module, find());
  return module.exports;
}
