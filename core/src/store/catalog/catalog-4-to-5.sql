-- Jobs that were seen in a live release: earlier times than since are none of theirs.
CREATE TABLE cron_jobs (
  method   TEXT NOT NULL,
  schedule TEXT NOT NULL,
  since    INTEGER NOT NULL,
  PRIMARY KEY (method, schedule)
) WITHOUT ROWID;

-- A run is here before it begins, so that no other process makes it as well, and no process after a crash once more.
CREATE TABLE cron_runs (
  run      INTEGER PRIMARY KEY,
  method   TEXT NOT NULL,
  schedule TEXT,                    -- NULL, as due is: it was asked for
  due      INTEGER,                 -- the time of the schedule that it is for
  at       INTEGER NOT NULL,        -- when it was claimed
  ended_at INTEGER,
  status   TEXT NOT NULL,           -- running, returned, failed, lost, skipped
  missed   INTEGER NOT NULL,        -- how many times before it passed without a run
  process  TEXT NOT NULL,
  call     TEXT,                    -- the record of calls has it
  message  TEXT
);
CREATE UNIQUE INDEX cron_run_due ON cron_runs (method, schedule, due) WHERE due IS NOT NULL;
