-- The catalog, format 2 (user_version). History only: what is live is said by `_remy_release` in live.

CREATE TABLE releases (
  release       INTEGER PRIMARY KEY,
  kind          TEXT NOT NULL,      -- adopt, publish, promote
  status        TEXT NOT NULL,      -- building, compiled, preview, live, superseded, failed
  label         TEXT,
  commit_id     TEXT,
  created_at    INTEGER NOT NULL,   -- Unix milliseconds, as every _at
  live_at       INTEGER,
  superseded_at INTEGER,
  restored_from INTEGER,            -- a re-promotion: the release whose database it brought back
  follows       INTEGER,            -- the release that was live before this one
  artifacts     TEXT,               -- relative to the store
  artifacts_hash TEXT,
  declared      TEXT,               -- what was declared, as JSON: a compiled release is published again from this
  plan          TEXT,               -- the statements, as JSON
  preview       TEXT                -- the name of the preview that it is, or was: previews/<name>.db
);

CREATE TABLE build_log (
  release     INTEGER NOT NULL,
  seq         INTEGER NOT NULL,
  at          INTEGER NOT NULL,
  step        TEXT NOT NULL,
  outcome     TEXT NOT NULL,        -- ok, warning, failed
  message     TEXT NOT NULL,
  object      TEXT,
  sql         TEXT,
  duration_ms REAL NOT NULL,
  PRIMARY KEY (release, seq)
) WITHOUT ROWID;

-- The database of a release as it was when that release stopped being live.
CREATE TABLE snapshots (
  release    INTEGER PRIMARY KEY,
  path       TEXT NOT NULL,         -- relative to the store
  switch_id  TEXT,                  -- the marker in it; NULL: adopted as it stood
  bytes      INTEGER NOT NULL,
  hash       TEXT NOT NULL,         -- BLAKE3
  created_at INTEGER NOT NULL,
  pruned_at  INTEGER
);

-- What a switch is about to do, written before it takes live's lock. Recovery compares live's marker with the two ids.
CREATE TABLE switches (
  switch_id  TEXT PRIMARY KEY,
  old_switch TEXT,                  -- live's marker before it; NULL: none
  release    INTEGER NOT NULL,
  previous   INTEGER,
  work       TEXT NOT NULL,         -- the clone, relative to the store
  snapshot   TEXT NOT NULL,         -- where its main file goes
  state      TEXT NOT NULL,         -- intended, done, failed
  at         INTEGER NOT NULL
);

CREATE TABLE dev (
  id         INTEGER PRIMARY KEY,
  name       TEXT NOT NULL,
  path       TEXT NOT NULL,         -- relative to the store
  release    INTEGER,
  status     TEXT NOT NULL,         -- dev, superseded
  created_at INTEGER NOT NULL,
  reset_at   INTEGER,
  stopped_at INTEGER
);
CREATE UNIQUE INDEX dev_open ON dev (name) WHERE status = 'dev';
