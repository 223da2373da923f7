// Types of `@mindstudio-ai/agent`, as remy has it.

/** Why a call failed. */
export class MindStudioError extends Error {
  constructor(message: string, code: string, status: number, details?: unknown);
  /** Stable: what programs should look at. */
  readonly code: string;
  /** The HTTP status that a caller gets. */
  readonly status: number;
  readonly details?: unknown;
}

declare const user: unique symbol;

/** The id of a user. A column of this type refers to one. */
export type User = string & { readonly [user]?: true };
/** An id as a `User`. */
export function User(id: string): User;

/** Columns that every table has, and no write sets. */
export type SystemFields =
  | 'id'
  | 'created_at'
  | 'createdAt'
  | 'updated_at'
  | 'updatedAt'
  | 'last_updated_by'
  | 'lastUpdatedBy';

interface System {
  id: string;
  created_at: number;
  updated_at: number;
  last_updated_by: string | null;
}

/** A row as it is read. */
export type Row<T> = T & Omit<System, keyof T>;
type Writable<T> = Omit<T, SystemFields>;

/** What `push` takes: a row without the system columns. */
export type PushInput<T> = Writable<T>;
/** What `update` takes. */
export type UpdateInput<T> = Partial<Writable<T>>;

/** Says of a row whether it is meant. `$` holds the values that the call gives beside it. */
export type Predicate<T, B = any> = (row: Row<T>, $: B) => unknown;
export type Accessor<T, R = unknown> = (row: Row<T>) => R;

/** Something to do with the database: done when it is awaited, or in a `db.batch`. */
export interface Operation<R> extends PromiseLike<R> {
  catch<E = never>(onRejected?: ((reason: any) => E | PromiseLike<E>) | null): Promise<R | E>;
  finally(onFinally?: (() => void) | null): Promise<R>;
}

type Measure<T> =
  | { count: true }
  | { sum: keyof Row<T> & string }
  | { avg: keyof Row<T> & string }
  | { min: keyof Row<T> & string }
  | { max: keyof Row<T> & string }
  | { countDistinct: keyof Row<T> & string };

export interface Aggregation<T> {
  by?: (keyof Row<T> & string)[];
  select: Record<string, Measure<T>>;
  orderBy?: string;
  desc?: boolean;
  limit?: number;
}

interface Reads<T> {
  filter<B>(predicate: Predicate<T, B>, bindings?: B): Query<T>;
  sortBy(accessor: Accessor<T>): Query<T>;
  count<B>(predicate?: Predicate<T, B>, bindings?: B): Operation<number>;
  some<B>(predicate?: Predicate<T, B>, bindings?: B): Operation<boolean>;
  every<B>(predicate: Predicate<T, B>, bindings?: B): Operation<boolean>;
  min(accessor: Accessor<T>): Operation<Row<T> | null>;
  max(accessor: Accessor<T>): Operation<Row<T> | null>;
  sum(accessor: Accessor<T, number | null | undefined>): Operation<number>;
  avg(accessor: Accessor<T, number | null | undefined>): Operation<number | null>;
  countDistinct(accessor: Accessor<T>): Operation<number>;
  groupBy<K>(accessor: Accessor<T, K>): Operation<Map<K, Row<T>[]>>;
  aggregate(aggregation: Aggregation<T> & { by: string[] }): Operation<Record<string, any>[]>;
  aggregate(aggregation: Aggregation<T>): Operation<Record<string, any>>;
}

/** Rows that are asked for. Each verb gives a new query; awaiting one reads. */
export interface Query<T> extends Operation<Row<T>[]>, Reads<T> {
  reverse(): Query<T>;
  take(n: number): Query<T>;
  skip(n: number): Query<T>;
  first(): Operation<Row<T> | null>;
  last(): Operation<Row<T> | null>;
}

export interface Table<T, Pushed = PushInput<T>> extends Reads<T> {
  get(id: string): Operation<Row<T> | null>;
  findOne<B>(predicate: Predicate<T, B>, bindings?: B): Operation<Row<T> | null>;
  toArray(): Operation<Row<T>[]>;
  isEmpty(): Operation<boolean>;
  push(row: Pushed): Operation<Row<T>>;
  push(rows: Pushed[]): Operation<Row<T>[]>;
  update(id: string, changes: UpdateInput<T>): Operation<Row<T>>;
  upsert(
    key: (keyof Writable<T> & string) | (keyof Writable<T> & string)[],
    row: Pushed,
  ): Operation<Row<T>>;
  remove(id: string): Operation<{ deleted: boolean }>;
  removeAll<B>(predicate: Predicate<T, B>, bindings?: B): Operation<number>;
  clear(): Operation<number>;
}

export interface TableOptions<T> {
  /** Accepted, and without effect: there is one database. */
  database?: string;
  /** Groups of columns that no two rows share. */
  unique?: (keyof Writable<T> & string)[][];
  /** What `push` and `upsert` fill in. */
  defaults?: Partial<Writable<T>>;
}

type Results<O extends readonly PromiseLike<any>[]> = { [I in keyof O]: Awaited<O[I]> };

export const db: {
  /** Declares a table. Nothing is read before a verb of it is awaited. */
  defineTable<T>(name: string, options?: TableOptions<T> & { defaults?: undefined }): Table<T>;
  /** With defaults, any column may be left out of a push. */
  defineTable<T>(name: string, options: TableOptions<T>): Table<T, Partial<Writable<T>>>;
  /** Does several things in one transaction. */
  batch<O extends PromiseLike<any>[]>(...operations: O): Promise<Results<O>>;
  /** A SELECT of one's own, with `?` for values. */
  sql<R = Record<string, unknown>>(
    text: string,
    params?: unknown[],
    options?: { database?: string },
  ): Operation<R[]>;
  /** Unix milliseconds. */
  now(): number;
  days(n: number): number;
  hours(n: number): number;
  minutes(n: number): number;
  ago(ms: number): number;
  fromNow(ms: number): number;
  /** A user as a value of a column, for `db.sql`. */
  userRef(id: string): User;
};

export type FileAccess = 'public' | 'private';

export interface DefineStoreOptions {
  /** `private`, if nothing is said: for who has signed in, and who has a link. Everybody may read what is public. */
  access?: FileAccess;
  /** The most bytes of what a page uploads. */
  maxSize?: number;
  /** The types of what a page uploads; any, if nothing is said. */
  contentTypes?: string[];
}

export interface PutOptions {
  /** Parts with `/` between them: `reports/q1.pdf`. Without it the file gets one that no other has. */
  key?: string;
  contentType?: string;
  /** How a key ends that is not given: `q1.pdf` is for `.pdf`. */
  filename?: string;
  /** A key that is not given is of what the file holds: the same bytes are one file. */
  contentAddressed?: boolean;
}

export interface ListOptions {
  /** What keys begin with. */
  prefix?: string;
  /** Of the page before. */
  cursor?: string;
  /** How many, 1,000 if nothing is said, and at most. */
  limit?: number;
}

/** A file of a store. */
export interface StoredFile {
  store: string;
  key: string;
  access: FileAccess;
  size: number;
  contentType: string;
  /** ISO 8601. */
  updatedAt: string;
  /** Where pages of the app have it: a path. */
  url: string;
  /** A link for who has not signed in. Ends after `expiresIn` seconds, 60 to 604,800, a day if nothing is said. Of private files only. */
  shareUrl(options?: { expiresIn?: number }): Promise<string>;
}

/** By which a page uploads a file: `platform.upload(token, file)` of `@mindstudio-ai/interface`. */
export interface UploadToken {
  key: string;
  url: string;
  upload: { url: string; fields: Record<string, string> };
}

/** Files under keys, outside of releases: no rollback takes them, and nothing but `delete`. */
export interface Store {
  readonly name: string;
  readonly access: FileAccess;
  put(content: string | ArrayBuffer | ArrayBufferView, options?: PutOptions): Promise<StoredFile>;
  get(key: string): Promise<Uint8Array & { toString(encoding?: string): string }>;
  head(key: string): Promise<StoredFile>;
  exists(key: string): Promise<boolean>;
  list(options?: ListOptions): Promise<{ files: StoredFile[]; cursor?: string }>;
  /** Removes a file, where it is there. */
  delete(key: string): Promise<void>;
  shareUrl(key: string, options?: { expiresIn?: number }): Promise<string>;
  /** Lets a page upload one file, within `expiresIn` seconds, 60 to 86,400, 900 if nothing is said. */
  createUploadToken(options?: {
    key?: string;
    contentType?: string;
    filename?: string;
    maxSize?: number;
    expiresIn?: number;
  }): Promise<UploadToken>;
}

export const files: {
  /** Declares a store. Nothing is asked for before a verb of it is used. */
  defineStore(name: string, options?: DefineStoreOptions): Store;
};

/** Who called. */
export const auth: {
  readonly userId: User | null;
  readonly roles: readonly string[];
  /** Whether the caller has any of the roles. */
  hasRole(...roles: string[]): boolean;
  /** Throws 401 without a user, 403 without any of the roles. */
  requireRole(...roles: string[]): void;
  getUsersByRole(role: string): User[];
};

/** `Roles.admin` is `'admin'`. */
export const Roles: Record<string, string>;

/** What the caller's session carries. */
export const session: Session;

export interface Session {
  channel?: 'web' | 'agent' | 'voice';
  visitorId?: string;
  threadId?: string;
  voiceSessionId?: string;
  [more: string]: any;
}

/** Goes on with work after the method has answered. Never throws. */
export function waitUntil(work: PromiseLike<unknown> | unknown): void;

type Channels = string | string[];

/** Messages to pages that are open now. */
export const events: {
  publish(channels: Channels, data: unknown): Promise<{ delivered: number; id: string }>;
  /** A token by which a page listens, and publishes where `publish` says so: to all of them, or to those it names. Lives 60 to 3600 seconds, 900 if nothing is said. */
  grant(
    channels: Channels,
    options?: { ttlSeconds?: number; publish?: boolean | Channels },
  ): Promise<{ token: string; expiresAt: number; ttlSeconds: number }>;
};

/** An e-mail. One of `to`, `cc` and `bcc` has to be there. */
export interface EmailMessage {
  to?: string | string[];
  cc?: string | string[];
  bcc?: string | string[];
  subject: string;
  body: string;
  /** `auto`, if nothing is said: HTML where it looks like it, else text. Markdown goes out as it is written. */
  bodyType?: 'auto' | 'html' | 'markdown' | 'text';
  /** What is shown where HTML is not. */
  text?: string;
  /** A URL, which the method's process fetches, or the content in base64. */
  attachments?: (
    | string
    | { url: string; filename?: string; contentType?: string }
    | { content: string; filename: string; contentType?: string }
  )[];
  /** `support`, `support@example.com` or `Support <support@example.com>`, of the domain that the server sends as. */
  from?: string;
  replyTo?: string;
  inReplyTo?: string;
  references?: string[];
  /** `marketing`, if nothing is said: one message for each, and nobody sees who else has it. */
  category?: 'transactional' | 'marketing';
  batchId?: string;
}

export interface EmailReceipt {
  recipients: string[];
  cc: string[];
  bcc: string[];
  from: string;
  suppressed: string[];
  batchId: string;
}

/** Sends e-mail, by the server secret `SMTP_URL`. */
export const email: {
  (message: EmailMessage): Promise<EmailReceipt>;
  send(message: EmailMessage): Promise<EmailReceipt>;
  /** Not supported by remy. */
  [verb: string]: (...args: any[]) => Promise<any>;
};

/** Counts what happens in the app. */
export const analytics: {
  track(event: string, properties?: Record<string, unknown>): Promise<void>;
  [verb: string]: (...args: any[]) => Promise<any>;
};

/** Tells the app's makers that something is wrong. */
export function reportIssue(issue: unknown, details?: Record<string, unknown>): Promise<void>;

/** What an API call's input has as `_request`. */
export interface RequestContext {
  method: string;
  /** By names in lower case. */
  headers: Record<string, string>;
  rawBody: string;
  [more: string]: any;
}

/** The request that the method is called by, where it is. */
export function getRequestContext(): RequestContext | null;

/** Declares what a method is measured by. */
export function defineJewel<J>(jewel: J): J;
/** Declares how the records of a data source become rows. */
export function defineMapper<M>(mapper: M): M;

/** Sends a part of an answer that is streamed; nothing, where nobody asked for one. */
export function stream(data: string | Record<string, unknown>): Promise<void>;

export interface ResolvedUser {
  id: string;
  name: string | null;
  email: string | null;
  profilePictureUrl: string | null;
}

/** Who a user is, for showing. */
export function resolveUser(id: string): Promise<ResolvedUser | null>;

/** What an action returns: what is its own, and what it has cost, where that is told. */
export type ActionResult = Record<string, any> & {
  $appId?: string;
  $threadId?: string;
  $rateLimitRemaining?: number;
  $billingCost?: number;
  $billingEvents?: Record<string, any>[];
};

/** AI actions: each property is the action of that name. They need the server secret `MINDSTUDIO_API_KEY`. */
export const mindstudio: {
  waitUntil: typeof waitUntil;
  /** The action `type`, under the platform's own name for it. */
  executeStep(type: string, step?: Record<string, any>, options?: any): Promise<ActionResult>;
  /** Several at once. One that fails has `error` in the place of `output`. */
  executeStepBatch(
    steps: { stepType: string; step?: Record<string, any> }[],
    options?: any,
  ): Promise<{ results: { stepType: string; output?: any; error?: string }[] }>;
  /** Sends an e-mail, as `email.send` does. */
  sendEmail(message: EmailMessage): Promise<EmailReceipt>;
} & Record<string, (step?: Record<string, any>, options?: any) => Promise<ActionResult>>;
export default mindstudio;

// Below is what remy has nothing behind: it links, and throws `MindStudioError('not_supported')` when it is called.

/** Not supported by remy. */
export const dataSources: any;
/** Not supported by remy. */
export const voice: any;
/** Not supported by remy. */
export const prerender: any;
/** Not supported by remy. */
export const MindStudioAgent: any;
/** Not supported by remy. */
export type MindStudioAgent = any;
/** Not supported by remy. */
export const runWithContext: any;
