// @ts-check
// Compiles each method to one self-contained ESM file with a source map, by esbuild: it bundles TypeScript without a step of its own,
// comes as one binary from the registry, and tells which files it read. What did not change is not compiled again.
import { mkdirSync, statSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, join, posix } from 'node:path';
import { aliasesOf, placesOf } from './aliases.js';
import { packageFolder, remember, SDK, takeAlong } from './dependencies.js';
import { doesNotBuild } from './faults.js';
import { copy, leaves, sha256, together } from './source.js';
import { readJson, writeWhole } from './tree.js';
import { step } from './step.js';
import { nestedTooDeep, notFunction } from './typescript.js';

/** @typedef {import('./faults.js').Fault} Fault */
/** @typedef {import('./source.js').Entry} Entry */
/** @typedef {import('./dependencies.js').Install} Install */
/** @typedef {import('./dependencies.js').Import} Import */
/** @typedef {{ id: string, path: string, export: string }} Method */
/**
 * @typedef {object} Compiled
 * @property {string} id
 * @property {string} file  relative to the release
 * @property {number} bytes
 * @property {string[]} warnings
 * @property {Unsupported[]} unsupported  what it uses of the SDK that remy has nothing behind
 * @property {boolean} reused
 */
/** @typedef {{ module: string, name: string }} Unsupported */
/**
 * What was compiled before, and all that it was made of.
 * @typedef {object} Earlier
 * @property {string} key  of the method, remy and its options
 * @property {Record<string, string | null>} files  hashes of what was read, null for what was looked for and not there
 * @property {Record<string, string>} names  for each place that an import was looked for at: which files could answer it
 * @property {Record<string, string>} installs
 * @property {Import[]} beside  imports of packages that are kept beside it
 * @property {string[]} warnings
 * @property {Unsupported[]} unsupported
 * @property {number} bytes
 */

const require = createRequire(import.meta.url);
const { version, dependencies } = require('../../package.json');

/** @type {import('esbuild').BuildOptions} */
const OPTIONS = {
  bundle: true,
  write: false,
  metafile: true,
  logLevel: 'silent',
  logLimit: 0,
  platform: 'node',
  // What this Node.js runs, as far as all of its generation do.
  target: Number(process.versions.node.split('.')[0]) >= 22 ? 'node22' : 'node20',
  format: 'esm',
  charset: 'utf8',
  sourcemap: 'linked',
  outExtension: { '.js': '.mjs' },
  loader: { '.txt': 'text', '.md': 'text', '.sql': 'text', '.html': 'text', '.csv': 'text', '.node': 'empty' },
  // CommonJS packages ask for Node.js' own modules by `require`, which ESM has none of.
  banner: { js: "import { createRequire as remyCreateRequire } from 'node:module';\nconst require = remyCreateRequire(import.meta.url);" },
};

/** Code that looks for files where it stands, or loads what is only known when it runs: a bundle stands elsewhere. */
const LOOKS_BESIDE = /\b__(?:dirname|filename)\b|\bimport\.meta\.(?:url|dirname|filename)\b|\brequire\.resolve\b|\brequire\(\s*[^\s'"`)]|\.node['"`]/;

/** How a method is named to esbuild, with its id behind. */
const ENTRY = 'remy-method:';

/** How often a bundle may show that it needs something else than was thought. */
const ROUNDS = 8;

/**
 * @param {object} what
 * @param {Method[]} what.methods
 * @param {Map<string, Entry>} what.files
 * @param {string} what.tree
 * @param {string} what.cache
 * @param {string} what.out  the release's folder
 * @param {Map<string, Install>} what.installs  by folder
 * @param {AbortSignal} [what.signal]
 * @param {(method: Compiled) => void} [what.onMethod]  given each method when it is done
 * @returns {Promise<Compiled[]>}
 */
export async function compileMethods({ methods, files, tree, cache, out, installs, signal, onMethod }) {
  const key = sha256(JSON.stringify([version, dependencies.esbuild, OPTIONS, await step('sdkHash', {})]));
  const paths = [...files].map(([path, { mode, hash }]) => ({ path, as: mode === 'link' ? `${path} ${hash}` : path }));
  /** @type {Compiled[]} */
  const done = [];
  /** @type {(Method & { folder: string | null })[]} */
  const changed = [];
  /** @type {Import[]} */
  const beside = [];
  /** @type {Fault[]} */
  const faults = [];
  mkdirSync(join(out, 'methods'), { recursive: true });

  const settle = (/** @type {Method} */ method, /** @type {Earlier} */ made, /** @type {boolean} */ reused) => {
    beside.push(...made.beside);
    const compiled = { id: method.id, file: `methods/${method.id}.mjs`, bytes: made.bytes, warnings: made.warnings, unsupported: made.unsupported, reused };
    done.push(compiled);
    onMethod?.(compiled);
  };

  for (const method of methods) {
    if (!files.has(method.path)) {
      faults.push({ file: method.path, pointer: '', message: `is not among the release's files (method ${method.id}): is it ignored by git?` });
      continue;
    }
    const earlier = /** @type {Earlier | null} */ (readJson(join(cache, 'methods', `${method.id}.json`), null));
    if (earlier && holds(earlier, methodKey(key, method), files, paths, installs) && (await taken(cache, out, method.id, earlier))) settle(method, earlier, true);
    else changed.push({ ...method, folder: packageFolder(files, method.path) });
  }

  if (changed.length) {
    // Of what is nested too deep the compiler's process dies, and says nothing that helps.
    const deep = nestedTooDeep(tree, files.keys());
    if (deep.length) throw doesNotBuild(deep);
    // As the CommonJS that it is: `import` would first look through it for what it exports.
    const esbuild = /** @type {typeof import('esbuild')} */ (require('esbuild'));
    // One call for each folder with packages: what cannot be bundled is a matter of the folder.
    for (const [folder, group] of grouped(changed)) {
      signal?.throwIfAborted();
      const install = folder === null ? undefined : installs.get(folder);
      const bundle = await bundled(esbuild, { group, files, tree, cache, install, signal });
      faults.push(...bundle.faults);
      // esbuild looks at what is imported from where only when all files could be read: each by itself, the others say what is wrong with them.
      for (const method of bundle.faults.length && group.length > 1 ? group : []) {
        faults.push(...(await bundled(esbuild, { group: [method], files, tree, cache, install, signal })).faults);
      }
      for (const method of faults.length ? [] : group) {
        const made = await written(method, bundle, { key: methodKey(key, method), files, paths, installs, install, tree, cache, out });
        settle(method, made, false);
      }
    }
  }
  if (faults.length) throw doesNotBuild(inOrder(faults));
  await keepBeside({ beside, files, tree, out });
  const order = methods.map(({ id }) => id);
  return done.sort((a, b) => order.indexOf(a.id) - order.indexOf(b.id));
}

/**
 * Each fault once, by place.
 * @param {Fault[]} faults
 */
function inOrder(faults) {
  const all = [...new Map(faults.map((fault) => [JSON.stringify(fault), fault])).values()];
  return all.sort((a, b) => (a.file < b.file ? -1 : Number(a.file > b.file)) || (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0));
}

/** @param {(Method & { folder: string | null })[]} methods */
function grouped(methods) {
  /** @type {Map<string | null, Method[]>} */
  const groups = new Map();
  for (const { folder, ...method } of methods) groups.set(folder, [...(groups.get(folder) ?? []), method]);
  return groups;
}

// What was compiled before.

/**
 * @param {string} key
 * @param {Method} method
 */
function methodKey(key, method) {
  return sha256(JSON.stringify([key, method.path, method.export]));
}

/**
 * Whether compiling again would give the same.
 * @param {Earlier} earlier
 * @param {string} key
 * @param {Map<string, Entry>} files
 * @param {Named[]} paths
 * @param {Map<string, Install>} installs
 */
function holds(earlier, key, files, paths, installs) {
  return (
    earlier.key === key &&
    Object.entries(earlier.files).every(([path, hash]) => (files.get(path)?.hash ?? null) === hash) &&
    Object.entries(earlier.installs).every(([folder, id]) => installs.get(folder)?.id === id) &&
    Object.entries(earlier.names).every(([stem, names]) => namesAt(stem, paths) === names)
  );
}

/** @typedef {{ path: string, as: string }} Named  a file of the release; `as` also says where a link points */

/**
 * The files that an import of `stem` could be taken to mean: itself, with any ending, or in a folder of that name; '' for all there are.
 * More than esbuild tries, so that none that it tries is missed.
 * @param {string} stem
 * @param {Named[]} paths
 */
function namesAt(stem, paths) {
  const meant = paths.filter(({ path }) => !stem || path === stem || path.startsWith(`${stem}.`) || path.startsWith(`${stem}/`));
  return sha256(meant.map(({ as }) => as).join('\n'));
}

/**
 * Takes an earlier bundle into the release, if it is there as it was written.
 * @param {string} cache
 * @param {string} out
 * @param {string} id
 * @param {Earlier} earlier
 */
async function taken(cache, out, id, earlier) {
  try {
    for (const name of [`${id}.mjs`, `${id}.mjs.map`]) {
      const { size } = statSync(join(cache, 'methods', name));
      if (name.endsWith('.mjs') && size !== earlier.bytes) return false;
      await copy(join(cache, 'methods', name), join(out, 'methods', name), size);
    }
    return true;
  } catch {
    return false;
  }
}

// Compiling.

/**
 * @typedef {object} Bundle
 * @property {Fault[]} faults
 * @property {import('esbuild').Metafile} metafile
 * @property {Map<string, Uint8Array>} outputs  by name
 * @property {import('esbuild').Message[]} warnings
 */

/** How many builds use the one esbuild process of this one. */
let users = 0;

/**
 * Bundles methods of one folder, until all that is bundled can be: a package that cannot is left out, an export that the SDK does not
 * have is made.
 * @param {typeof import('esbuild')} esbuild
 * @param {{ group: Method[], files: Map<string, Entry>, tree: string, cache: string, install?: Install, signal?: AbortSignal }} what
 * @returns {Promise<Bundle>}
 */
async function bundled(esbuild, { group, files, tree, cache, install, signal }) {
  const beside = new Set(install?.beside);
  /** @type {Map<string, Set<string>>} */
  const made = new Map(SDK.map((module) => [module, new Set()]));
  // A folder above the app has no say in how it compiles, and settings there that are broken none either, as far as that can be helped.
  const configured = [...files.keys()].some((path) => /(^|\/)[tj]sconfig\.json$/.test(path));
  users++;
  try {
    for (let round = 0; ; round++) {
      signal?.throwIfAborted();
      const result = await esbuild
        .build({
          ...OPTIONS,
          metafile: true,
          absWorkingDir: tree,
          outdir: join(cache, 'methods'),
          // By its id: esbuild takes a `*` in a path, in the folder's or the file's own name, for a pattern.
          entryPoints: group.map(({ id }) => ({ in: `${ENTRY}${id}`, out: id })),
          external: [...beside],
          plugins: [entryPlugin(group, tree), sdkPlugin(made)],
          ...(configured ? {} : { tsconfigRaw: '{}' }),
        })
        .catch((failure) => {
          if (!Array.isArray(failure?.errors)) throw failure;
          return { errors: /** @type {import('esbuild').Message[]} */ (failure.errors), warnings: /** @type {import('esbuild').Message[]} */ (failure.warnings), metafile: undefined, outputFiles: undefined };
        });
      const again = round < ROUNDS && (learn(result, made, beside) || (await cannotBundle(result.metafile, tree, beside)));
      if (again) continue;
      const faults = result.errors.map((message) => fault(message, files));
      if (!result.metafile || !result.outputFiles) return { faults, metafile: { inputs: {}, outputs: {} }, outputs: new Map(), warnings: [] };
      faults.push(...strangers(result.metafile, install), ...wrongExports(group, result.metafile, tree));
      if (install && beside.size > install.beside.length) {
        install.beside = [...beside].sort();
        await remember(cache, install);
      }
      const outputs = new Map(result.outputFiles.map((file) => [posix.basename(file.path), file.contents]));
      return { faults, metafile: result.metafile, outputs, warnings: result.warnings };
    }
  } finally {
    // The process would stay for as long as this one does.
    if (--users === 0) await esbuild.stop();
  }
}

/**
 * Resolves methods by their ids.
 * @param {Method[]} group
 * @param {string} tree
 * @returns {import('esbuild').Plugin}
 */
function entryPlugin(group, tree) {
  const paths = new Map(group.map(({ id, path }) => [`${ENTRY}${id}`, join(tree, path)]));
  return { name: 'remy-entry', setup: (build) => build.onResolve({ filter: new RegExp(`^${ENTRY}`) }, ({ path }) => ({ path: paths.get(path) })) };
}

/**
 * Resolves the SDK, under any of its sub-paths, to remy's own module, with the exports that it lacks.
 * @param {Map<string, Set<string>>} made
 * @returns {import('esbuild').Plugin}
 */
function sdkPlugin(made) {
  return {
    name: 'remy-sdk',
    setup(build) {
      build.onResolve({ filter: new RegExp(`^(${SDK.join('|')})(/|$)`) }, ({ path }) => ({
        path: SDK.find((name) => path === name || path.startsWith(`${name}/`)),
        namespace: 'remy',
        sideEffects: false,
      }));
      build.onResolve({ filter: /^\.\//, namespace: 'remy' }, ({ path }) => ({ path: posix.basename(path), namespace: 'remy', sideEffects: false }));
      build.onLoad({ filter: /.*/, namespace: 'remy' }, async ({ path }) => {
        return { contents: await step('sdkModule', { path, names: [...(made.get(path) ?? [])] }) };
      });
    },
  };
}

/**
 * What errors and warnings say that another round can help: names that the SDK does not export, packages that esbuild cannot read.
 * @param {{ errors: import('esbuild').Message[], warnings: import('esbuild').Message[] }} result
 * @param {Map<string, Set<string>>} made
 * @param {Set<string>} beside
 */
function learn({ errors, warnings }, made, beside) {
  const size = () => [...made.values(), beside].reduce((sum, { size }) => sum + size, 0);
  const before = size();
  for (const { text, location } of [...errors, ...warnings]) {
    const [, module] = text.match(/\bin "remy:([^"]+)"/) ?? [];
    const [, name] = text.match(/^(?:No matching export in "[^"]+" for import|Import) "([\p{ID_Start}$_][\p{ID_Continue}$]*)"/u) ?? [];
    if (name) made.get(module)?.add(name);
    const inside = location && packageOf(location.file);
    if (inside && errors.some((error) => error.location === location)) beside.add(inside.name);
  }
  return size() > before;
}

/**
 * The rule for what is kept beside the release: a package is, if a file of it that would be bundled is a native addon, or looks for files
 * or modules where it stands. With a package that another has to itself, the other one is kept, since that is where it finds it.
 * @param {import('esbuild').Metafile | undefined} metafile
 * @param {string} tree
 * @param {Set<string>} beside
 */
async function cannotBundle(metafile, tree, beside) {
  const before = beside.size;
  await together(Object.keys(metafile?.inputs ?? {}), async (input) => {
    const inside = packageOf(input);
    if (!inside || beside.has(inside.name)) return;
    const path = input.replace(/[?#].*$/, '');
    if (/\.(node|wasm)$/.test(path) || (/\.[cm]?[jt]sx?$/.test(path) && LOOKS_BESIDE.test(await readFile(join(tree, path), 'utf8')))) beside.add(inside.name);
  });
  return beside.size > before;
}

/**
 * The package of a folder's node_modules that a file is in.
 * @param {string} path
 */
function packageOf(path) {
  const match = path.match(/^((?:.*?\/)??)node_modules\/((?:@[^/]+\/)?[^/]+)\//);
  return match && !leaves(path) ? { folder: match[1].replace(/\/$/, ''), name: match[2] } : null;
}

/**
 * @param {import('esbuild').Message} message
 * @param {Map<string, Entry>} files
 * @returns {Fault}
 */
function fault({ text, location, notes }, files) {
  // Of a file that is not the app's, nothing is told: not what it holds, nor what is wrong with that.
  if (location && leaves(location.file)) {
    return { file: 'mindstudio.json', pointer: '/methods', message: `a method imports ${basename(location.file)}, which is outside of the app. Copy it into the app, or correct the path` };
  }
  // What esbuild advises for an import that leads nowhere is an option of its own, which an app cannot set.
  const more = notes.filter((note) => !note.location && !note.text.startsWith('You can mark the path ')).map((note) => note.text);
  const [, lost] = /^Could not resolve "(.+)"$/.exec(text) ?? [];
  if (lost && location) {
    const named = posix.join(packageFolder(files, location.file) ?? '', 'package.json');
    more.push(/^\.{0,2}\//.test(lost) ? 'Correct the path' : `Add the package to ${named}, or correct the path`);
  }
  const message = [text, ...more].join('. ');
  if (!location) return { file: 'mindstudio.json', pointer: '/methods', message };
  const column = Buffer.from(location.lineText).subarray(0, location.column).toString().length + 1;
  return { file: location.file, pointer: '', message, line: location.line, column, source: location.lineText };
}

/**
 * Files from outside of the release that were found all the same, by the app or by a package of it: they are on this machine only.
 * @param {import('esbuild').Metafile} metafile
 * @param {Install | undefined} install
 * @returns {Fault[]}
 */
function strangers(metafile, install) {
  const faults = [];
  for (const [file, { imports }] of Object.entries(metafile.inputs)) {
    if (leaves(file)) continue;
    for (const { path, original } of imports) {
      if (!leaves(path) || path.startsWith('node:')) continue;
      const named = posix.join(install?.folder ?? '', 'package.json');
      faults.push({ file, pointer: '', message: `imports ${JSON.stringify(original ?? path)}, which is outside of the app. A package must be named in ${named}` });
    }
  }
  return faults;
}

/**
 * @param {Method[]} group
 * @param {import('esbuild').Metafile} metafile
 * @param {string} tree
 * @returns {Fault[]}
 */
function wrongExports(group, metafile, tree) {
  const faults = [];
  for (const method of group) {
    const exports = outputOf(metafile, method.id)?.[1].exports ?? [];
    if (exports.includes(method.export)) {
      for (const fault of notFunction(tree, method)) faults.push({ ...fault, message: `${fault.message} (method ${method.id})` });
      continue;
    }
    const has = exports.length ? `it exports ${exports.sort().join(', ')}` : 'it exports nothing';
    const near = nearest(method.export, exports);
    const message = `has no export ${method.export} (method ${method.id}): ${has}${near ? `. Did you mean ${near}?` : ''}`;
    faults.push({ file: method.path, pointer: '', message });
  }
  return faults;
}

/**
 * @param {import('esbuild').Metafile} metafile
 * @param {string} id
 */
function outputOf(metafile, id) {
  return Object.entries(metafile.outputs).find(([path]) => posix.basename(path) === `${id}.mjs`);
}

/**
 * The name that takes the fewest changes to reach, if that is few.
 * @param {string} name
 * @param {string[]} names
 */
function nearest(name, names) {
  const [best] = names.map((other) => ({ other, distance: changes(name.toLowerCase(), other.toLowerCase()) })).sort((a, b) => a.distance - b.distance);
  return best && best.distance <= Math.max(2, name.length / 3) ? best.other : null;
}

/**
 * @param {string} a
 * @param {string} b
 */
function changes(a, b) {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) next[j] = Math.min(next[j - 1] + 1, row[j] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1));
    row = next;
  }
  return row[b.length];
}

// What is kept.

/**
 * Writes a method to the release and the cache, with all that it was made of.
 * @param {Method} method
 * @param {Bundle} bundle
 * @param {{ key: string, files: Map<string, Entry>, paths: Named[], installs: Map<string, Install>, install?: Install, tree: string, cache: string, out: string }} what
 * @returns {Promise<Earlier>}
 */
async function written(method, { metafile, outputs, warnings }, { key, files, paths, installs, install, tree, cache, out }) {
  const found = /** @type {NonNullable<ReturnType<typeof outputOf>>} */ (outputOf(metafile, method.id));
  const code = /** @type {Uint8Array} */ (outputs.get(`${method.id}.mjs`));
  const map = /** @type {Uint8Array} */ (outputs.get(`${method.id}.mjs.map`));
  const inputs = reachable(metafile, method.path);
  const { read, stems } = await madeOf(inputs, { metafile, files, tree });
  const used = new Set(read.map((path) => packageOf(path)?.folder).filter((folder) => folder !== undefined));
  if (install) used.add(install.folder);
  const externals = new Set(outside(found[1].imports));
  /** @type {Earlier} */
  const made = {
    key,
    files: Object.fromEntries(read.filter((path) => !packageOf(path)).map((path) => [path, files.get(path)?.hash ?? null])),
    names: Object.fromEntries(stems.map((stem) => [stem, namesAt(stem, paths)])),
    installs: Object.fromEntries([...used].map((folder) => [folder, installs.get(folder)?.id ?? ''])),
    // From where it is imported: a member of a workspace may have another version than its top.
    beside: install ? [...inputs].flatMap((importer) => outside(metafile.inputs[importer]?.imports ?? []).filter((name) => externals.has(name) && install.beside.includes(name)).map((name) => ({ importer, name }))) : [],
    warnings: [...saidOf(inputs, warnings), ...(await looksBeside(inputs, tree))],
    unsupported: await step('usedIn', Buffer.from(code).toString('utf8')),
    bytes: code.byteLength,
  };
  // The description comes last: what it describes is there whole.
  writeWhole(join(cache, 'methods', `${method.id}.mjs.map`), map);
  writeWhole(join(cache, 'methods', `${method.id}.mjs`), code);
  writeWhole(join(cache, 'methods', `${method.id}.json`), JSON.stringify(made));
  await taken(cache, out, method.id, made);
  return made;
}

/**
 * The packages that imports leave out of a bundle.
 * @param {{ path: string, external?: boolean }[]} imports
 */
function outside(imports) {
  return [...new Set(imports.filter(({ external }) => external).map(({ path }) => path.match(/^(?:@[^/]+\/)?[^/]+/)?.[0] ?? path))];
}

/**
 * The inputs that a method imports, also those of which nothing is left in its bundle: another content may leave something.
 * @param {import('esbuild').Metafile} metafile
 * @param {string} entry
 */
function reachable(metafile, entry) {
  const seen = new Set([entry]);
  for (const input of seen) for (const { path, external } of metafile.inputs[input]?.imports ?? []) if (!external) seen.add(path);
  return seen;
}

/**
 * What decides what a bundle is: files that were read, settings that were looked for, and the places that imports were looked for at.
 * @param {Set<string>} inputs
 * @param {{ metafile: import('esbuild').Metafile, files: Map<string, Entry>, tree: string }} what
 */
async function madeOf(inputs, { metafile, files, tree }) {
  const read = new Set();
  /** @type {Set<string>} */
  const stems = new Set();
  /** @type {Set<string>} */
  const settings = new Set();
  /** @type {Map<string, string>} imports that are no relative path, with where they led to last */
  const named = new Map();
  for (const input of inputs) {
    if (input.startsWith('remy:')) continue;
    const path = input.replace(/[?#].*$/, '');
    read.add(path);
    if (packageOf(path)) continue;
    for (let folder = posix.dirname(path); ; folder = posix.dirname(folder)) {
      for (const name of ['package.json', 'tsconfig.json', 'jsconfig.json']) settings.add(posix.join(folder, name));
      if (folder === '.') break;
    }
    for (const { path: to, original = to, external } of metafile.inputs[input].imports) {
      if (to.startsWith('remy:')) continue;
      // `./x.js` may be `./x.ts`.
      if (!original.startsWith('.')) named.set(original, external ? '' : to);
      else if (!external) stems.add(stemOf(posix.join(posix.dirname(path), original), files));
    }
  }
  const aliases = await aliasesIn(settings, { files, tree });
  for (const [original, to] of named) {
    // With `paths` or `baseUrl`, a file of the app may come before a package.
    const places = placesOf(aliases ?? [], original).filter((place) => !leaves(place)).map((place) => stemOf(place, files));
    const isThere = !to || packageOf(to) || places.some((stem) => stem && (to === stem || to.startsWith(`${stem}.`) || to.startsWith(`${stem}/`)));
    // What led to a file of the app otherwise went through a package.json, which may name any.
    if (aliases === null || !isThere) stems.add('');
    else for (const stem of places) stems.add(stem);
  }
  return { read: [...read, ...settings], stems: [...stems] };
}

/**
 * What settings say of where imports lead, with those that they extend, which are added to them; `null` where that cannot be told.
 * @param {Set<string>} settings
 * @param {{ files: Map<string, Entry>, tree: string }} what
 */
async function aliasesIn(settings, { files, tree }) {
  const found = [];
  for (const path of settings) {
    if (path.endsWith('package.json') || !files.has(path)) continue;
    const text = await readFile(join(tree, path), 'utf8');
    found.push(aliasesOf(path, text));
    for (const [, base] of text.matchAll(/"(\.{1,2}\/[^"]+|\.{1,2})"/g)) {
      for (const end of ['', '.json']) {
        const other = posix.join(posix.dirname(path), base) + end;
        if (/\.json$/.test(other) && !leaves(other)) settings.add(other);
      }
    }
  }
  return found.every((each) => each !== null) ? found : null;
}

/**
 * The beginning that all files have which a path could mean; '' where it goes through a link, and so to other names.
 * @param {string} path
 * @param {Map<string, Entry>} files
 */
function stemOf(path, files) {
  for (let folder = posix.dirname(path); folder !== '.'; folder = posix.dirname(folder)) if (files.get(folder)?.mode === 'link') return '';
  return path.replace(/\/$/, '').replace(/\.[cm]?jsx?$/, '');
}

/**
 * @param {Set<string>} inputs
 * @param {import('esbuild').Message[]} warnings
 */
function saidOf(inputs, warnings) {
  return warnings
    .filter(({ location }) => location && inputs.has(location.file) && !packageOf(location.file))
    .map(({ text, location }) => `${location?.file}:${location?.line}: ${text}`);
}

/**
 * The app's own code is bundled, whatever it looks for.
 * @param {Set<string>} inputs
 * @param {string} tree
 */
async function looksBeside(inputs, tree) {
  const warnings = [];
  for (const input of inputs) {
    if (input.startsWith('remy:') || packageOf(input) || !/\.[cm]?[jt]sx?$/.test(input)) continue;
    const lines = (await readFile(join(tree, input), 'utf8')).split('\n');
    const line = lines.findIndex((text) => /\b__(dirname|filename)\b|\bimport\.meta\.(url|dirname|filename)\b/.test(text.replace(/^\s*(\/\/|\*).*/, '')));
    if (line >= 0) warnings.push(`${input}:${line + 1}: looks for files where it stands; a compiled method stands elsewhere. Import them instead`);
  }
  return warnings;
}

/**
 * @param {{ beside: Import[], files: Map<string, Entry>, tree: string, out: string }} what
 */
async function keepBeside({ beside, files, tree, out }) {
  const { clashes, missing } = await takeAlong(tree, beside, join(out, 'methods', 'node_modules'));
  const faults = clashes.map(({ found, versions }) => {
    const message = `two packages that cannot be bundled want the same place: ${versions}. Ask for one version in all package.json files`;
    return { file: posix.join(packageOf(`${found}/`)?.folder ?? '', 'package.json'), pointer: '', message };
  });
  for (const { importer, name } of missing) {
    const named = posix.join(packageFolder(files, importer) ?? '', 'package.json');
    const message = `imports ${JSON.stringify(name)}, which cannot be bundled and is not installed for it: the release would lack it. Name it in ${named}`;
    faults.push({ file: importer, pointer: '', message });
  }
  if (faults.length) {
    await rm(join(out, 'methods'), { recursive: true, force: true });
    throw doesNotBuild(faults);
  }
}
