/** A connection of better-sqlite3 or node:sqlite. */
export interface Loads {
  loadExtension(path: string): unknown;
  enableLoadExtension?(allow: boolean): void;
}

/** The path of the extension. Its entry point is `sqlite3_remy_init`. Throws where there is none for this platform. */
export function getLoadablePath(): string;

/** Loads the extension into a connection: then `SELECT remy_version()`. On node:sqlite no extension is allowed afterwards. */
export function load(db: Loads): void;
