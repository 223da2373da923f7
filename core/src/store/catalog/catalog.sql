-- The catalog (user_version: format.rs), with what follows in catalog-4-to-5.sql. History only: what is live is said by `_remy_release` in live.

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
  preview       TEXT,               -- the name of the preview that it is, or was: previews/<name>.db
  switch_id     TEXT,               -- the switch that made it live: by this it is known in live's marker, never by its number
  schema        TEXT                -- live's schema as this went live, as the JSON model
);
CREATE UNIQUE INDEX release_of_switch ON releases (switch_id);

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
  remedy      TEXT,                 -- what to do, where it failed: JSON
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

-- What a switch or a detach is about to do, written before it takes live's lock. Recovery compares live's marker with the two ids.
-- Their order is that of the rows, whatever the clock said.
CREATE TABLE switches (
  switch_id  TEXT PRIMARY KEY,
  old_switch TEXT,                  -- live's marker before it; NULL: none
  release    INTEGER NOT NULL,
  previous   INTEGER,
  work       TEXT NOT NULL,         -- the clone, relative to the store; empty: a detach, after which live carries no marker
  snapshot   TEXT NOT NULL,         -- where its main file goes
  state      TEXT NOT NULL,         -- intended, done, failed
  at         INTEGER NOT NULL
);

-- The ids that files in work/ begin with. Others are nobody's that this catalog knows.
CREATE TABLE work (id TEXT PRIMARY KEY);

-- Databases that are to be removed, or are not said to be there yet: what is found of them after a crash goes.
CREATE TABLE removals (
  folder TEXT NOT NULL,             -- dev, previews
  name   TEXT NOT NULL,
  PRIMARY KEY (folder, name)
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
