//! Switches in the catalog.

use crate::{
    base::{
        clock,
        error::{Context, Error, Result, State},
        history::Status,
        ids::{ReleaseId, SwitchId},
    },
    sqlite::calls,
    store::{
        catalog::{
            Catalog,
            snapshots::{ORDER, Snapshot},
        },
        place,
    },
};
use rusqlite::params;

/// What a switch, or a detach, is about to do.
#[derive(Debug, Clone)]
pub(crate) struct Intent {
    pub(crate) switch_id: SwitchId,
    pub(crate) old_switch: Option<SwitchId>,
    pub(crate) release: ReleaseId,
    /// The release that is live before it; none where live was empty.
    pub(crate) previous: Option<ReleaseId>,
    /// Live is to carry no marker after it: a detach.
    pub(crate) detaches: bool,
}

impl Intent {
    /// The clone, relative to the store.
    pub(crate) fn work(&self) -> String {
        place::work(&self.switch_id)
    }

    /// Where the clone's main file goes, relative to the store.
    pub(crate) fn snapshot(&self) -> String {
        place::snapshot(self.previous.unwrap_or(ReleaseId::NONE), &self.switch_id)
    }
}

impl Catalog {
    /// Records that live was detached, and is nobody's release any more.
    pub(crate) fn detached(&self, intent: &Intent) -> Result<()> {
        self.durably("recording that nothing is live", |conn| {
            conn.execute(
                "UPDATE releases SET status = 'superseded', superseded_at = ?1 WHERE status = 'live'",
                [clock::now()],
            )?;
            conn.execute("UPDATE switches SET state = 'done' WHERE switch_id = ?1", [&intent.switch_id])
        })?;
        Ok(())
    }

    /// Writes down what a switch or a detach is about to do, durably.
    pub(crate) fn intend(&self, intent: &Intent) -> Result<()> {
        self.write_durably(
            "writing the intent of a switch",
            "INSERT INTO switches (switch_id, old_switch, release, previous, work, snapshot, state, at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'intended', ?7)",
                params![
                    intent.switch_id,
                    intent.old_switch,
                    intent.release,
                    intent.previous,
                    if intent.detaches { String::new() } else { intent.work() },
                    intent.snapshot(),
                    clock::now()
            ],
        )
    }

    /// Takes back an intent whose switch never got as far as COMMIT.
    pub(crate) fn forget(&self, intent: &Intent) -> Result<()> {
        self.write_durably(
            "taking back the intent of a switch",
            "DELETE FROM switches WHERE switch_id = ?1",
            [&intent.switch_id],
        )
    }

    /// An id that no other switch has. Files in `work/` begin with it, and it is on the disk before
    /// the first of them: they are this store's own, and go where a crash leaves them.
    pub(crate) fn unique(&self) -> Result<SwitchId> {
        self.durably("making an id", |conn| {
            conn.query_row(
                "INSERT INTO work VALUES (lower(hex(randomblob(8)))) RETURNING id",
                [],
                |row| row.get(0),
            )
        })
    }

    /// The ids of files in `work/`.
    pub(crate) fn work(&self) -> Result<Vec<SwitchId>> {
        self.rows("SELECT id FROM work", [], |row| row.get(0))
    }

    /// Records that there are no files in `work/`.
    pub(crate) fn nothing_at_work(&self) -> Result<()> {
        self.write("forgetting ids", "DELETE FROM work", [])
    }

    /// Switches whose end is not recorded, oldest first.
    pub(crate) fn open_intents(&self) -> Result<Vec<Intent>> {
        let intents = self.rows(
            "SELECT switch_id, old_switch, release, previous, work = '' FROM switches WHERE state = 'intended' ORDER BY rowid",
            [],
            |row| {
                Ok(Intent {
                    switch_id: row.get(0)?,
                    old_switch: row.get(1)?,
                    release: row.get(2)?,
                    previous: row.get(3)?,
                    detaches: row.get(4)?,
                })
            },
        )?;
        // It becomes part of names of files.
        match intents.iter().find(|intent| !intent.switch_id.is_well_formed()) {
            None => Ok(intents),
            Some(intent) => Err(Error::corrupt(format!(
                "the catalog {} has a switch that is not decided, {:?}, and that is no id of a switch",
                calls::name(&self.conn),
                intent.switch_id.to_string()
            ))
            .state(State::LiveUnchanged)
            .hint("Somebody has written into the catalog: put it back from a backup")),
        }
    }

    /// Records that live was switched: the release is live, the one before has its snapshot.
    pub(crate) fn switched(
        &self,
        intent: &Intent,
        live_at: i64,
        snapshot: Option<&Snapshot>,
    ) -> Result<()> {
        self.durably("recording a switch", |conn| {
            // What live was like is asked of the live release alone.
            conn.execute(
                "UPDATE releases SET status = 'superseded', superseded_at = ?2, schema = NULL WHERE status = 'live' AND release <> ?1",
                params![intent.release, live_at],
            )?;
            // The database of a preview that goes live is not what goes live.
            conn.execute(
                "INSERT OR IGNORE INTO removals (folder, name)
                 SELECT 'previews', preview FROM releases WHERE release = ?1 AND status = 'preview'",
                [intent.release],
            )?;
            conn.execute(
                "UPDATE releases SET status = 'live', live_at = ?2, follows = ?3, superseded_at = NULL, switch_id = ?4
                 WHERE release = ?1",
                params![intent.release, live_at, intent.previous, intent.switch_id],
            )?;
            if let Some(snapshot) = snapshot {
                conn.execute(
                    "INSERT OR REPLACE INTO snapshots (release, path, switch_id, bytes, hash, created_at)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                    params![
                        snapshot.release,
                        snapshot.path,
                        snapshot.switch_id,
                        i64::try_from(snapshot.bytes).unwrap_or(i64::MAX),
                        snapshot.hash,
                        snapshot.created_at
                    ],
                )?;
            }
            conn.execute("UPDATE switches SET state = 'done' WHERE switch_id = ?1", [&intent.switch_id])
        })?;
        Ok(())
    }

    /// Records that a switch did not happen.
    pub(crate) fn not_switched(&self, intent: &Intent, status: Status) -> Result<()> {
        self.durably("recording a switch that failed", |conn| {
            conn.execute(
                "UPDATE switches SET state = 'failed' WHERE switch_id = ?1",
                [&intent.switch_id],
            )?;
            // A staged release stays compiled.
            conn.execute(
                "UPDATE releases SET status = ?2 WHERE release = ?1 AND status = 'building'",
                params![intent.release, status],
            )
        })?;
        Ok(())
    }

    /// When each snapshot was taken, in the order of their switches.
    pub(crate) fn switch_times(&self) -> Result<Vec<i64>> {
        self.rows(
            &format!("SELECT created_at FROM snapshots ORDER BY {ORDER}"),
            [],
            |row| row.get(0),
        )
    }

    /// The day of a time, as people write it.
    pub(crate) fn day(&self, at: i64) -> Result<String> {
        self.conn
            .query_row(
                "SELECT ifnull(date(?1 / 1000, 'unixepoch'), 'an unknown day')",
                [at],
                |row| row.get(0),
            )
            .context(|| self.doing("reading a time"))
    }
}
