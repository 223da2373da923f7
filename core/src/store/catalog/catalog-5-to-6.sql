-- What services outside were told last of what is live. What they are to be told live says: where the two differ, somebody brings them what
-- is live. No switch writes here, and no rollback takes a line back.
CREATE TABLE outbox (
  service  TEXT PRIMARY KEY,        -- discord, telegram
  sent     TEXT,                    -- the hash of what it was told last, and has
  release  INTEGER,                 -- of that
  sent_at  INTEGER,
  tried    TEXT,                    -- the hash of what it could not be told
  attempts INTEGER NOT NULL,        -- how often
  next_at  INTEGER,                 -- when that is tried again
  error    TEXT
) WITHOUT ROWID;
