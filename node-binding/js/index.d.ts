import { EventEmitter } from 'node:events';

/** The version of remy. */
export const version: string;

export type Code =
  | 'invalid_argument'
  | 'schema_invalid'
  | 'unsupported_change'
  | 'ambiguous_rename'
  | 'lossy_change'
  | 'ddl_failed'
  | 'check_failed'
  | 'busy'
  | 'pause_exceeded'
  | 'live_in_use'
  | 'not_found'
  | 'not_promotable'
  | 'pruned'
  | 'no_previous_release'
  | 'corrupt'
  | 'io'
  | 'internal'
  | 'build_failed';

/**
 * A part of what to do: words, a verb to be called, an option to be set or left out, leave to be given by the option `allow`, a rename to
 * be told by the option `renames`.
 */
export type RemedyPart =
  | string
  | { verb: string; release?: number; option?: string }
  | { option: string }
  | { allow: ('type_change' | 'lossy' | 'drop')[] }
  | { rename: string };

/** What an error is made of. */
export interface Failure {
  code: Code;
  message: string;
  hint?: string | null;
  remedy?: readonly RemedyPart[] | null;
  object?: string | null;
  sql?: string | null;
}

/** What is wrong with an app. */
export interface Fault {
  /** Seen from the app's folder. */
  file: string;
  /** A JSON pointer; empty for the whole file. */
  pointer: string;
  message: string;
  /** From 1, where the fault is a place in the text. */
  line?: number;
  /** From 1. */
  column?: number;
  /** The line itself; of JSON that does not parse, without its values. */
  source?: string;
}

/** Why a verb failed. */
export class RemyError<C extends string = Code> extends Error {
  constructor(failure: Omit<Failure, 'code'> & { code: C });
  /** Stable: what programs should look at. */
  readonly code: C;
  /** What to do next. */
  readonly hint: string | null;
  /** The same as parts, for who has words of their own for verbs and options. */
  readonly remedy: readonly RemedyPart[] | null;
  /** What it is about: a table, a column, a file. */
  readonly object: string | null;
  /** The statement that failed. */
  readonly sql: string | null;
  /** Of an app: all that is wrong with it. */
  readonly faults?: Fault[];
}

/** Why a call of a method failed: what the method threw, whose code may be any text, or why the call was ended. */
export class CallError extends RemyError<string> {
  private constructor();
  /** As HTTP has it, 400 to 599. */
  readonly status: number;
  /** What the method gave besides. */
  readonly details?: unknown;
  /** Where the method threw it. */
  readonly methodStack?: string;
}

/**
 * `publish`, `stage`, `promote` and `rollback` can be called off, up to the commit of the switch; `clone`, `devStart`, `devReset` and `devTruncate`, up to
 * where the copy has its name or the database is written; `prune`, between two databases; and `verify`. They then reject with the signal's reason. So can
 * what `openApp` builds, and every verb before it has started. Another that is at work goes on to its end, which is near.
 */
export interface Cancellable {
  signal?: AbortSignal;
}

/** Given each line of the build log as it is written. Where it throws, the verb is called off and rejects with that. */
export interface Followed extends Cancellable {
  onProgress?: (line: Line) => void;
}

/** Libraries that bring what the database needs of an application. A verify is called off at once. */
export interface VerifyOptions extends Followed {
  extensions?: string[];
}

/** Leave for what a sync would lose, and renames, as of a publish. */
export type SyncOptions = Cancellable &
  Pick<Options, 'allow' | 'renames' | 'ignore' | 'extensions' | 'lock_timeout_ms'>;

/** A dev session whose schema is what is declared. */
export interface Synced extends Dev {
  /** What ran; nothing where the schema was so before. */
  statements: Statement[];
  warnings: string[];
}

/** Libraries that bring what the tables need of an application. */
export interface TruncateOptions extends Cancellable {
  extensions?: string[];
  lock_timeout_ms?: number;
}

/** `docs/contract.md` says what each of them does. An unknown key is `invalid_argument`. */
export interface Options extends Cancellable {
  allow?: ('type_change' | 'lossy' | 'drop')[];
  renames?: string[];
  effects?: Effects;
  artifacts?: string;
  migrations?: string;
  ignore?: string[];
  extensions?: string[];
  /** The oldest SQLite that is to use live, such as `3.40`: what it does not read is refused. */
  clients?: string;
  retention_days?: number;
  keep_releases?: number;
  keep_bytes?: number;
  dry_run?: boolean;
  /** `publish` and `stage`: no release where nothing is other than in the live one (status `unchanged`). */
  if_changed?: boolean;
  /** Of a diff: with what a publish would warn of, as rows of kind `warning`. */
  warnings?: boolean;
  label?: string;
  commit?: string;
  lock_timeout_ms?: number;
  max_pause_ms?: number;
  /** How long to wait for calls of methods to end; 0: those who run methods are not told. */
  drain_ms?: number;
  journal_mode?: 'wal' | 'keep';
  margin_bytes?: number;
  /** What was done before, to stand at the top of the release's log. */
  build?: BuildStep[];
  /** Of `stage`: the name of a preview, which has a database of its own. */
  preview?: string;
}

/** A step that the caller took before the verb. `at` is in Unix milliseconds. */
export interface BuildStep {
  at: number;
  outcome: 'ok' | 'warning' | 'failed';
  message: string;
  object?: string | null;
  duration_ms: number;
}

/** Why a release could not be built. */
export interface BuildFailure {
  code: Code;
  message: string;
  object?: string | null;
}

export interface Effects {
  roles?: { id: string; name?: string | null; description?: string | null }[];
  cron_jobs?: { method: string; schedule: string; description?: string | null }[];
  webhooks?: { secret: string; method: string; description?: string | null }[];
  email_routes?: { method: string; approved_senders?: string[] }[];
  bot_commands?: {
    platform: 'discord' | 'telegram';
    name: string;
    method: string;
    description?: string | null;
    definition?: Record<string, unknown>;
  }[];
}

export interface Statement {
  ord: number;
  kind:
    | 'create_table'
    | 'drop_table'
    | 'rename_table'
    | 'add_column'
    | 'drop_column'
    | 'rename_column'
    | 'rebuild_table'
    | 'add_constraint'
    | 'drop_constraint'
    | 'set_not_null'
    | 'drop_not_null'
    | 'create_index'
    | 'drop_index'
    | 'create_view'
    | 'drop_view'
    | 'create_trigger'
    | 'drop_trigger'
    | 'migration'
    /** What a publish would warn of, in a diff that asks for `warnings`. */
    | 'warning'
    /** Of a changed effect, in a diff. */
    | `${'create' | 'update' | 'remove'}_${'role' | 'cron_job' | 'webhook' | 'email_route' | 'bot_command'}`;
  /** `orders`, `orders.note`, the id of an effect. */
  object: string;
  /** Empty for an effect and a warning. */
  sql: string;
  strategy: 'direct' | 'rebuild' | 'effect' | 'warning';
  needs: 'type_change' | 'lossy' | 'drop' | null;
  loses: string | null;
  /** Of a warning, what it says. */
  message?: string;
  /** Of a rename, the name that it gives. One that begins with `_remy_` is on the way to another. */
  new_name?: string;
}

export interface Line {
  release: number;
  seq: number;
  at: number;
  step:
    | 'adopt'
    | 'build'
    | 'clone'
    | 'rehearse'
    | 'check'
    | 'catch_up'
    | 'switch'
    | 'settle'
    | 'prune'
    | 'recover'
    | 'verify';
  outcome: 'ok' | 'warning' | 'failed';
  message: string;
  object: string | null;
  sql: string | null;
  duration_ms: number;
  /** What to do, where it failed and that is known. The message ends with it. */
  hint?: string;
  /** The same as parts. */
  remedy?: RemedyPart[];
}

/** A line of a build, before its release has a number. */
export interface BuildLine {
  at: number;
  step: 'build';
  outcome: Line['outcome'];
  message: string;
  object: string | null;
  sql: null;
  duration_ms: number;
}

/** A line as it is written: of a build it has no number yet. */
export type ProgressLine = Omit<Line, 'release' | 'seq'> & {
  release: number | null;
  seq: number | null;
};

export interface Switch {
  by: 'pages' | 'backup';
  pause_ms: number;
  lock_wait_ms: number;
  pages_written: number;
  pages_total: number;
  attempts: number;
  /** Whether the statements ran once more under the lock: somebody had written to what they have to do with. */
  ran_again: boolean;
}

export interface Outcome {
  release: number;
  status: 'live' | 'compiled' | 'preview' | 'dry_run' | 'unchanged';
  restored_from: number | null;
  previous: number | null;
  label: string | null;
  commit: string | null;
  dry_run: boolean;
  switch: Switch | null;
  statements: Statement[];
  effects: {
    kind: 'role' | 'cron_job' | 'webhook' | 'email_route' | 'bot_command';
    id: string;
    change: 'create' | 'update' | 'remove';
  }[];
  /** The rows that a rollback takes out of live, as they were when its clone was taken. */
  set_aside: { table: string; rows: number }[];
  /** What a rollback brings back: rows, or values of a column. */
  comes_back: { table: string; column: string | null; rows: number }[];
  /** The oldest SQLite that reads the schema, where that is newer than 3.34, and what needs it. */
  clients: { oldest: string; object: string; feature: string } | null;
  warnings: string[];
  log: Line[];
  total_ms: number;
}

export interface Release {
  release: number;
  label: string | null;
  commit: string | null;
  status: 'building' | 'compiled' | 'preview' | 'live' | 'superseded' | 'failed';
  created_at: number;
  live_at: number | null;
  superseded_at: number | null;
  restored_from: number | null;
  database: string | null;
  database_bytes: number | null;
  pruned_at: number | null;
  preview: string | null;
}

export interface Clone {
  path: string;
  bytes: number;
  release: number | null;
  method: 'reflink' | 'copy' | 'backup';
  duration_ms: number;
}

export interface Dev {
  name: string;
  path: string;
  bytes: number;
  release: number | null;
  status: 'dev' | 'superseded';
  created_at: number;
  reset_at: number | null;
  stopped_at: number | null;
}

export interface Pruned {
  pruned: { release: number; database: string; bytes: number }[];
  kept: number;
  kept_bytes: number;
  freed_bytes: number;
  /** What the caller should know. */
  warnings: string[];
}

export interface Verified {
  ok: boolean;
  checked: { object: string; what: string; ok: boolean; message: string | null }[];
  warnings: string[];
}

export interface Detached {
  dropped: string[];
  left: string[];
}

export interface Debug {
  version: string;
  sqlite: string;
  engine: 'embedded' | 'host';
  switch: 'pages' | 'backup';
  live: string;
  store: string;
  journal_mode: string;
  page_size: number;
  encoding: string;
  pages: number;
  release: number | null;
  /** What was changed of live's schema outside of remy since that release went live. */
  drift: string | null;
  notes: string[];
  /** Where live is not what its store has published last, or the store is not whole: what is known of it. */
  warnings: string[];
}

/**
 * A live database and its releases.
 *
 * Every verb runs in a process of its own, whose program this package is, so the application may have the database open through any SQLite library.
 * Relative paths are the calling process's. A verb rejects with a `RemyError`.
 */
export class Remy {
  /** Of the database at `path`. Nothing is opened before the first verb. */
  constructor(path: string);
  /** Like the constructor, and rejects where the database cannot be opened. */
  static open(path: string, options?: Cancellable): Promise<Remy>;
  /** The database, as an absolute path. */
  readonly path: string;

  /** What remy runs on. */
  debug(options?: Cancellable): Promise<Debug>;
  /** What a publish of `schema` (SQL, or a path) would do to live as it is now. */
  diff(schema: string, options?: Options): Promise<Statement[]>;
  /** Copies live, as of one committed transaction, to `path`, which must not be there. */
  clone(path: string, options?: Cancellable): Promise<Clone>;
  /** Publishes up to the switch, and leaves the release `compiled`. */
  stage(schema: string, options?: Options & Followed): Promise<Outcome>;
  /** Makes live what `schema` declares. */
  publish(schema: string, options?: Options & Followed): Promise<Outcome>;
  /** Records a release that could not be built: `failed`, with the option `build` and the reason in its log. */
  fail(failure: BuildFailure, options?: Options & Followed): Promise<Release>;
  /** Makes a kept or staged release live: the newest `compiled` one, unless one is named. */
  promote(release?: number | null, options?: Options & Followed): Promise<Outcome>;
  /** Makes an earlier release live again: the one that was live before the live one, unless one is named. */
  rollback(release?: number | null, options?: Options & Followed): Promise<Outcome>;
  /** The history, newest first. */
  releases(options?: Cancellable): Promise<Release[]>;
  /** The build log of a release, or of the newest one. */
  buildLog(release?: number | null, options?: Cancellable): Promise<Line[]>;
  /** Takes a copy of live for a dev session. */
  devStart(name: string, options?: Cancellable): Promise<Dev>;
  /** Makes a dev session's database equal to live, under open connections. */
  devReset(name: string, options?: Cancellable): Promise<Dev>;
  /** Empties every table of a dev session's database, under open connections. */
  devTruncate(name: string, options?: TruncateOptions): Promise<Dev>;
  /** Ends a dev session and removes its database. */
  devStop(name: string, options?: Cancellable): Promise<Dev>;
  /** The dev sessions, newest first. */
  devList(options?: Cancellable): Promise<Dev[]>;
  /** Drops snapshots that are older than `days`, or than the option `retention_days`. */
  prune(days?: number | null, options?: Options): Promise<Pruned>;
  /** Reads everything again. It fulfills whether or not all holds: see `ok`. */
  verify(options?: VerifyOptions): Promise<Verified>;
  /** Drops remy's tables from live in one transaction; the store stays. */
  detach(options?: Cancellable): Promise<Detached>;
}

/** The options of `App.publish` and `App.stage`. */
export interface PublishOptions extends Options {
  /** A schema, or a package of `App.build`. Absent: the app, or the schema that remy.json names. */
  schema?: string;
  /** Makes the database where there is none; the one in `.remy/` is made anyway. */
  create?: boolean;
  /** Given each line of the build and of the release, once. */
  onProgress?: (line: ProgressLine) => void;
}

/** The options of `App.diff`. */
export interface DiffOptions extends Options {
  /** As of `PublishOptions`, but no package. */
  schema?: string;
}

/** The options of `App.build`. */
export interface BuildOptions extends Cancellable {
  /** The package to write. Absent: the build is only tried. */
  out?: string;
  /** The commit to build. Absent: the working tree. */
  commit?: string;
  onProgress?: (line: ProgressLine) => void;
}

/** What `App.build` gives. */
export interface Package {
  package: string | null;
  bytes: number | null;
  commit: string | null;
  warnings: string[];
}

export interface Status {
  /** The folder of the manifest. */
  root: string | null;
  live: {
    path: string;
    /** What named it. */
    from: 'db' | 'REMY_DB' | 'remy.json' | 'default';
    exists: boolean;
    bytes: number;
    journal_mode: string | null;
  };
  store: { path: string; bytes: number; snapshots: number; free_bytes: number } | null;
  /** The live one. */
  release: Release | null;
  /** Which files the live one was made from; `null` where it was made from a schema. */
  built: string | null;
  /** Those that wait to be promoted, newest first. */
  compiled: Release[];
  /** Those that can be tried on a database of their own, newest first. */
  previews: Release[];
  dev: Dev[];
  /** What services outside (Discord, Telegram) have not been told yet of what is live, and why. */
  outbox: {
    service: 'discord' | 'telegram';
    release: number;
    /** When that went live, Unix milliseconds. */
    since: number | null;
    told: number | null;
    attempts: number;
    next_at: number | null;
    error: string | null;
    /** The server secrets that have no value. */
    waits_for: string[];
  }[];
  warnings: string[];
}

/** A file of a release. */
export interface File {
  path: string;
  bytes: number;
}

/**
 * A folder that is published, and its live database: the path `db`, else the environment variable `REMY_DB`, else `"db"` in
 * remy.json, else `.remy/live.db`, which the first publish makes.
 *
 * Every verb is `Remy`'s. Relative paths are the calling process's.
 */
export class App extends EventEmitter<{
  line: [ProgressLine];
  live: [Outcome];
  failed: [unknown];
}> {
  private constructor();
  /** The folder of the manifest, `null` where there is none. */
  readonly root: string | null;
  /** The live database, symlinks resolved. */
  readonly path: string;
  /** What named it. */
  readonly from: Status['live']['from'];

  publish(options?: PublishOptions): Promise<Outcome>;
  stage(options?: PublishOptions): Promise<Outcome>;
  diff(options?: DiffOptions): Promise<Statement[]>;
  build(options?: BuildOptions): Promise<Package>;
  promote(
    release?: number | null,
    options?: Options & { onProgress?: (line: ProgressLine) => void },
  ): Promise<Outcome>;
  rollback(
    release?: number | null,
    options?: Options & { onProgress?: (line: ProgressLine) => void },
  ): Promise<Outcome>;
  releases(options?: Cancellable): Promise<Release[]>;
  buildLog(release?: number | null, options?: Cancellable): Promise<Line[]>;
  status(options?: Cancellable): Promise<Status>;
  verify(options?: VerifyOptions): Promise<Verified>;
  prune(days?: number | null, options?: Options): Promise<Pruned>;
  /** The files of a release, or those at or below `path`: of an app its source, then what was compiled, below `interfaces/` and `methods/`. */
  files(release: number, path?: string, options?: Cancellable): Promise<File[]>;
  /** What a file of a release holds; of a symlink, where it points. */
  readFile(release: number, path: string, options?: Cancellable): Promise<Buffer>;
  /** Writes the files of a release to `dir`, which must be empty or not there. */
  checkout(
    release: number,
    dir: string,
    options?: Cancellable,
  ): Promise<{ release: number; dir: string; files: number }>;
  clone(path: string, options?: Cancellable): Promise<Clone>;
  detach(options?: Cancellable): Promise<Detached>;
  debug(options?: Cancellable): Promise<Debug>;
  devStart(name: string, options?: Cancellable): Promise<Dev>;
  /** Makes the schema of a dev session what the app's working tree declares, under open connections. */
  devSync(name: string, options?: SyncOptions): Promise<Synced>;
  devReset(name: string, options?: Cancellable): Promise<Dev>;
  devTruncate(name: string, options?: TruncateOptions): Promise<Dev>;
  devStop(name: string, options?: Cancellable): Promise<Dev>;
  devList(options?: Cancellable): Promise<Dev[]>;
  /** Starts what runs the app's methods; rejects where nothing is live, or cannot be run. */
  runtime(options?: RuntimeOptions): Promise<Runtime>;
}

export interface RuntimeOptions {
  /** The most processes that run methods at once; each runs one call. */
  maxProcesses?: number;
}

export interface InvokeOptions {
  /** Roles for this call, in the place of the user's own. */
  as?: string[];
  /** As whom: the id of a row in the app's table of users. */
  user?: string;
  /** The method as a preview has it, on the database of that. */
  preview?: string;
  /** As a release had it, on a copy of its database. */
  release?: number;
  /** As the working tree has it, on the database of this dev session, whose schema is synced before. */
  dev?: string;
  /** Calls the call off: its process is ended, and it is rejected with the signal's reason. */
  signal?: AbortSignal;
  /** Takes each line that the method prints, without secrets. */
  onOutput?: (line: string, stream: 'stdout' | 'stderr') => void;
  /** Takes each part of an answer that is streamed; without it nobody reads them. */
  onStream?: (part: unknown) => void;
}

/** What a call returned. */
export interface Returned<T = unknown> {
  /** What the method returned, `null` for nothing. */
  output: T;
  /** The release whose code ran. */
  release: number | null;
  /** The id of the call, as its record has it. */
  call: string;
  durationMs: number;
}

export interface SeedOptions extends Cancellable {
  /** Takes each line that the scenario prints, without secrets. */
  onOutput?: (line: string, stream: 'stdout' | 'stderr') => void;
}

/** A dev session that was seeded. */
export interface Seeded {
  name: string;
  scenario: string;
  /** The row of the test user; `null` where the app has no users. */
  user: string | null;
  /** The roles that the test user has now. */
  roles: string[];
  /** The id of the call, as its record has it. */
  call: string;
  durationMs: number;
}

/**
 * Runs the methods of an app in a process of its own, which starts theirs. It keeps no program from ending, but for calls that are under
 * way.
 */
export class Runtime {
  private constructor();
  /** Calls a method with `input`, as JSON. Any number of calls may be under way at once. */
  invoke<T = unknown>(
    method: string,
    input?: unknown,
    options?: InvokeOptions,
  ): Promise<Returned<T>>;
  /**
   * Makes the dev session `name` what the working tree is, empties its tables, unless the scenario says not to, and fills them by the
   * scenario. Where that fails or is called off, the session's database is as it was.
   */
  devSeed(name: string, scenario: string, options?: SeedOptions): Promise<Seeded>;
  /** Calls off what is under way, and ends the process once methods have done what they left to do, up to 10 s. */
  close(): Promise<void>;
}

/** Opens `dir`. Its manifest may be there or above, unless it has to be `here`. */
export function openApp(dir?: string, options?: { db?: string; here?: boolean }): Promise<App>;

/** Writes the beginnings of an app into `dir`, or of a schema. Nothing is overwritten. */
export function init(dir: string, options?: { sql?: boolean }): { root: string; files: string[] };
