/** The version of remy. */
export const version: string;

export type Code =
  | 'invalid_argument' | 'schema_invalid' | 'unsupported_change' | 'ambiguous_rename' | 'lossy_change' | 'ddl_failed'
  | 'check_failed' | 'busy' | 'pause_exceeded' | 'live_in_use' | 'not_found' | 'not_promotable' | 'pruned'
  | 'no_previous_release' | 'corrupt' | 'io' | 'internal';

/** Why a verb failed. */
export class RemyError extends Error {
  /** Stable: what programs should look at. */
  readonly code: Code;
  /** What to do next. */
  readonly hint: string | null;
  /** What it is about: a table, a column, a file. */
  readonly object: string | null;
  /** The statement that failed. */
  readonly sql: string | null;
}

/** Every verb can be called off, up to the commit of its switch. It then rejects with the signal's reason. */
export interface Cancellable {
  signal?: AbortSignal;
}

/** Given each line of the build log as it is written. Where it throws, the verb is called off and rejects with that. */
export interface Followed extends Cancellable {
  onProgress?: (line: Line) => void;
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
  retention_days?: number;
  keep_releases?: number;
  keep_bytes?: number;
  dry_run?: boolean;
  label?: string;
  commit?: string;
  lock_timeout_ms?: number;
  max_pause_ms?: number;
  journal_mode?: 'wal' | 'keep';
  margin_bytes?: number;
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
    | 'create_table' | 'drop_table' | 'rename_table' | 'add_column' | 'drop_column' | 'rename_column' | 'rebuild_table'
    | 'create_index' | 'drop_index' | 'create_view' | 'drop_view' | 'create_trigger' | 'drop_trigger' | 'migration';
  object: string;
  sql: string;
  strategy: 'direct' | 'rebuild';
  needs: 'type_change' | 'lossy' | 'drop' | null;
  loses: string | null;
}

export interface Line {
  release: number;
  seq: number;
  at: number;
  step: 'adopt' | 'build' | 'clone' | 'rehearse' | 'check' | 'catch_up' | 'switch' | 'settle' | 'prune' | 'recover';
  outcome: 'ok' | 'warning' | 'failed';
  message: string;
  object: string | null;
  sql: string | null;
  duration_ms: number;
}

export interface Switch {
  by: 'pages' | 'backup';
  pause_ms: number;
  lock_wait_ms: number;
  pages_written: number;
  pages_total: number;
  attempts: number;
}

export interface Outcome {
  release: number;
  status: 'live' | 'compiled' | 'dry_run';
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
  warnings: string[];
  log: Line[];
  total_ms: number;
}

export interface Release {
  release: number;
  label: string | null;
  commit: string | null;
  status: 'building' | 'compiled' | 'live' | 'superseded' | 'failed';
  created_at: number;
  live_at: number | null;
  superseded_at: number | null;
  restored_from: number | null;
  database: string | null;
  database_bytes: number | null;
  pruned_at: number | null;
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
  notes: string[];
}

/**
 * A live database and its releases.
 *
 * Every verb runs in a worker process of this package, so the application may have the database open through any SQLite library.
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
  devTruncate(name: string, options?: Cancellable): Promise<Dev>;
  /** Ends a dev session and removes its database. */
  devStop(name: string, options?: Cancellable): Promise<Dev>;
  /** The dev sessions, newest first. */
  devList(options?: Cancellable): Promise<Dev[]>;
  /** Drops snapshots that are older than `days`, or than the option `retention_days`. */
  prune(days?: number | null, options?: Options): Promise<Pruned>;
  /** Reads everything again. It fulfills whether or not all holds: see `ok`. */
  verify(options?: Cancellable): Promise<Verified>;
  /** Drops remy's tables from live in one transaction; the store stays. */
  detach(options?: Cancellable): Promise<Detached>;
}
