//! Snapshots in the catalog.

use crate::{
    base::{
        clock,
        error::Result,
        ids::{ReleaseId, SwitchId},
    },
    store::{catalog::Catalog, place},
};
use rusqlite::params;

/// The order of snapshots: that of the switches that made them. Intents are written one after the
/// other, while clocks go back.
///
/// By the id that a snapshot's name ends in, which has an index: 2,000 snapshots take as many
/// steps, and not their square.
pub(super) const ORDER: &str = "(SELECT switches.rowid FROM switches WHERE switches.switch_id = substr(snapshots.path, -19, 16))";

/// A snapshot.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    pub(crate) release: ReleaseId,
    /// Relative to the store, as [`place::snapshot`] has it. A row that says anything else is
    /// nobody's snapshot.
    pub(crate) path: String,
    pub(crate) switch_id: Option<SwitchId>,
    pub(crate) bytes: u64,
    pub(crate) hash: String,
    pub(crate) created_at: i64,
    pub(crate) pruned_at: Option<i64>,
}

impl Catalog {
    pub(crate) fn snapshot(&self, release: ReleaseId) -> Result<Option<Snapshot>> {
        Ok(self.snapshots_where("WHERE release = ?1", [release])?.pop())
    }

    /// Every snapshot that is kept, the one of the last switch first, whatever its time is.
    pub(crate) fn kept_snapshots(&self) -> Result<Vec<Snapshot>> {
        self.snapshots_where(
            &format!("WHERE pruned_at IS NULL ORDER BY {ORDER} DESC"),
            [],
        )
    }

    fn snapshots_where(&self, which: &str, params: impl rusqlite::Params) -> Result<Vec<Snapshot>> {
        let rows = self.rows(
            &format!("SELECT release, path, switch_id, bytes, hash, created_at, pruned_at FROM snapshots {which}"),
            params,
            |row| {
                let (release, written): (_, String) = (row.get(0)?, row.get(1)?);
                let Some(path) = place::of_snapshot(release, &written) else { return Ok(None) };
                Ok(Some(Snapshot {
                    release,
                    path,
                    switch_id: row.get(2)?,
                    bytes: u64::try_from(row.get::<_, i64>(3)?).unwrap_or(0),
                    hash: row.get(4)?,
                    created_at: row.get(5)?,
                    pruned_at: row.get(6)?,
                }))
            },
        )?;
        Ok(rows.into_iter().flatten().collect())
    }

    /// Releases whose snapshot is said to be where none can be: somebody has written into the
    /// catalog.
    pub(crate) fn misplaced_snapshots(&self) -> Result<Vec<(ReleaseId, String)>> {
        let mut rows: Vec<(ReleaseId, String)> = self.rows(
            "SELECT release, path FROM snapshots ORDER BY release",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        rows.retain(|(release, written)| place::of_snapshot(*release, written).is_none());
        Ok(rows)
    }

    /// Records, durably and before the file goes, that a snapshot is pruned.
    pub(crate) fn pruned(&self, release: ReleaseId) -> Result<()> {
        self.write_durably(
            "recording a prune",
            "UPDATE snapshots SET pruned_at = ?2 WHERE release = ?1",
            params![release, clock::now()],
        )
    }

    /// Snapshots whose file may still be there although they are pruned.
    pub(crate) fn pruned_snapshots(&self) -> Result<Vec<Snapshot>> {
        self.snapshots_where("WHERE pruned_at IS NOT NULL", [])
    }
}
