// @ts-check
// What is at hand for builds.
import { createRequire } from 'node:module';

/** The program of esbuild's that the environment names, or that this package depends on, and the generation of Node.js that is to run methods. */
export function tools() {
  return { esbuild: esbuild(), node: Number(process.versions.node.split('.')[0]) };
}

function esbuild() {
  const require = createRequire(import.meta.url);
  if (process.env.ESBUILD_BINARY_PATH) return process.env.ESBUILD_BINARY_PATH;
  try {
    return createRequire(require.resolve('esbuild')).resolve(
      `@esbuild/linux-${process.arch}/bin/esbuild`,
    );
  } catch {
    return null;
  }
}
