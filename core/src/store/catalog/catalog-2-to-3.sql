-- From format 2: releases are known by their switches.
ALTER TABLE releases ADD COLUMN switch_id TEXT;
ALTER TABLE releases ADD COLUMN schema TEXT;
UPDATE releases SET switch_id = coalesce(
  (SELECT switch_id FROM switches WHERE switches.release = releases.release AND state = 'done' ORDER BY rowid DESC LIMIT 1),
  (SELECT switch_id FROM snapshots WHERE snapshots.release = releases.release));
-- A switch makes one release live. Where several say it was theirs, somebody has written into the catalog: the row of the switch itself
-- tells whose it was, and where there is none nobody has it.
UPDATE releases SET switch_id = NULL
WHERE switch_id IN (SELECT switch_id FROM releases GROUP BY switch_id HAVING count(*) > 1)
  AND release IS NOT (SELECT release FROM switches WHERE switches.switch_id = releases.switch_id AND state = 'done');
CREATE UNIQUE INDEX release_of_switch ON releases (switch_id);
CREATE TABLE IF NOT EXISTS work (id TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS removals (folder TEXT NOT NULL, name TEXT NOT NULL, PRIMARY KEY (folder, name));
