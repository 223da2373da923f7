// @ts-check
// What is at hand for builds, which the addon is told and the program.
import { createRequire } from 'node:module';

/** The program of esbuild's that this package depends on, where it is installed, and the generation of Node.js that is to run methods. */
export function tools() {
  return { esbuild: esbuild(), node: Number(process.versions.node.split('.')[0]) };
}

export function esbuild() {
  const require = createRequire(import.meta.url);
  try {
    return createRequire(require.resolve('esbuild')).resolve(
      `@esbuild/linux-${process.arch}/bin/esbuild`,
    );
  } catch {
    return undefined;
  }
}
