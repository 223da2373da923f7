//! Releases in the catalog.

use crate::{
    base::{
        clock,
        error::{Context, Result},
        history::{Release, Status},
        ids::{ReleaseId, SwitchId},
        words::words,
    },
    live::marker::{self, Marker},
    store::{
        catalog::{Catalog, word},
        place,
    },
};
use rusqlite::{OptionalExtension, params};
use std::collections::BTreeSet;

/// The number of the next release: one above every one that the catalog has.
const NEXT: &str = "(SELECT coalesce(max(release), 0) + 1 FROM releases)";

/// The highest number that is taken over from a marker that this catalog does not know: as many may
/// follow it.
const MOST: ReleaseId = ReleaseId(marker::HIGHEST.0 / 2);

words! {
    /// How a release came about.
    pub(crate) enum Kind, "kind" {
        Adopt = "adopt",
        Publish = "publish",
        Promote = "promote",
    }
}

/// A release as the engine needs it.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) release: ReleaseId,
    pub(crate) status: Status,
    pub(crate) label: Option<String>,
    pub(crate) commit: Option<String>,
    pub(crate) restored_from: Option<ReleaseId>,
    pub(crate) follows: Option<ReleaseId>,
    pub(crate) files_hash: Option<String>,
    pub(crate) declared: Option<String>,
    pub(crate) preview: Option<String>,
    pub(crate) live_at: Option<i64>,
    /// The switch that made it live; none where it was adopted as it stood, or never was live.
    pub(crate) switch_id: Option<SwitchId>,
}

impl Catalog {
    /// Records a new release and returns its number, one above every number that the catalog has.
    pub(crate) fn begin(
        &self,
        kind: Kind,
        status: Status,
        label: Option<&str>,
        commit: Option<&str>,
    ) -> Result<ReleaseId> {
        self.conn
            .execute(
                &format!(
                    "INSERT INTO releases (release, kind, status, label, commit_id, created_at)
                     VALUES ({NEXT}, ?1, ?2, ?3, ?4, ?5)"
                ),
                params![kind, status, label, commit, clock::now()],
            )
            .context(|| self.doing("numbering a release"))?;
        Ok(ReleaseId(self.conn.last_insert_rowid()))
    }

    /// The number that [`Catalog::begin`] would give.
    pub(crate) fn next(&self) -> Result<ReleaseId> {
        self.conn
            .query_row(&format!("SELECT {NEXT}"), [], |row| row.get(0))
            .context(|| self.doing("numbering a release"))
    }

    /// Records a release that is live already, and that this catalog does not know, with the schema
    /// that it has. Its marker's number is taken over where it comes after every number here; else
    /// that is another release, of another history.
    pub(crate) fn adopt(&self, marker: Option<&Marker>, schema: Option<&str>) -> Result<ReleaseId> {
        let next = self.next()?;
        let release = marker.map_or(next, |marker| {
            if marker.release <= MOST {
                marker.release.max(next)
            } else {
                next
            }
        });
        self.durably("recording the live release", |conn| {
            conn.execute(
                "UPDATE releases SET status = 'superseded', superseded_at = ?2 WHERE status = 'live' AND release <> ?1",
                params![release, clock::now()],
            )?;
            conn.execute(
                "INSERT INTO releases (release, kind, status, label, commit_id, created_at, live_at, switch_id, schema)
                 VALUES (?1, ?8, 'live', ?2, ?3, ?4, ?5, ?6, ?7)",
                params![
                    release,
                    marker.and_then(|m| m.label.as_deref()),
                    marker.and_then(|m| m.commit.as_deref()),
                    clock::now(),
                    marker.map_or_else(clock::now, |m| m.live_at),
                    marker.map(|m| &m.switch_id),
                    schema,
                    Kind::Adopt
                ],
            )
        })?;
        Ok(release)
    }

    /// The release that a switch made live.
    pub(crate) fn release_of(&self, switch_id: &SwitchId) -> Result<Option<ReleaseId>> {
        self.conn
            .query_row(
                "SELECT release FROM releases WHERE switch_id = ?1",
                [switch_id],
                |row| row.get(0),
            )
            .optional()
            .context(|| self.doing("looking for a switch"))
    }

    /// Records the switch of a release that was adopted by its marker under a format that kept only
    /// the number.
    pub(crate) fn set_switch(&self, release: ReleaseId, switch_id: &SwitchId) -> Result<()> {
        self.write_durably(
            "recording a switch",
            "UPDATE releases SET switch_id = ?2 WHERE release = ?1",
            params![release, switch_id],
        )
    }

    /// Records that a release is live once more, since somebody put its database back by hand.
    pub(crate) fn live_again(&self, release: ReleaseId) -> Result<()> {
        self.durably("recording the live release", |conn| {
            conn.execute(
                "UPDATE releases SET status = 'superseded', superseded_at = ?2 WHERE status = 'live' AND release <> ?1",
                params![release, clock::now()],
            )?;
            conn.execute(
                "UPDATE releases SET status = 'live', superseded_at = NULL WHERE release = ?1",
                params![release],
            )
        })?;
        Ok(())
    }

    /// Live's schema as a release went live, or is going to: the JSON model.
    pub(crate) fn set_schema(&self, release: ReleaseId, schema: &str) -> Result<()> {
        self.write(
            "recording a schema",
            "UPDATE releases SET schema = ?2 WHERE release = ?1",
            params![release, schema],
        )
    }

    /// What [`Catalog::set_schema`] recorded.
    pub(crate) fn schema(&self, release: ReleaseId) -> Result<Option<String>> {
        let schema = self
            .conn
            .query_row(
                "SELECT schema FROM releases WHERE release = ?1",
                [release],
                |row| row.get(0),
            )
            .optional();
        schema
            .map(Option::flatten)
            .context(|| self.doing("reading a schema"))
    }

    pub(crate) fn set_status(&self, release: ReleaseId, status: Status) -> Result<()> {
        self.write_durably(
            "writing a status",
            "UPDATE releases SET status = ?2 WHERE release = ?1",
            params![release, status],
        )
    }

    /// Makes a release the preview of a name; the one that was is superseded.
    pub(crate) fn set_preview(&self, release: ReleaseId, name: &str) -> Result<()> {
        self.durably("recording a preview", |conn| {
            conn.execute(
                "UPDATE releases SET status = 'superseded', superseded_at = ?2 WHERE status = 'preview' AND preview = ?1",
                params![name, clock::now()],
            )?;
            conn.execute(
                "UPDATE releases SET status = 'preview', preview = ?2, superseded_at = NULL WHERE release = ?1",
                params![release, name],
            )?;
            conn.execute("DELETE FROM removals WHERE folder = 'previews' AND name = ?1", [name])
        })?;
        Ok(())
    }

    /// Records what a release is made of.
    pub(crate) fn describe(
        &self,
        release: ReleaseId,
        declared: Option<&str>,
        plan: Option<&str>,
    ) -> Result<()> {
        self.write(
            "describing a release",
            "UPDATE releases SET declared = coalesce(?2, declared), plan = coalesce(?3, plan)
              WHERE release = ?1",
            params![release, declared, plan],
        )
    }

    /// Records whose files a release has: its own, or those of one that it brings back.
    pub(crate) fn set_files(
        &self,
        release: ReleaseId,
        of: Option<ReleaseId>,
        hash: Option<&str>,
    ) -> Result<()> {
        self.write(
            "recording artifacts",
            "UPDATE releases SET artifacts = ?2, artifacts_hash = ?3 WHERE release = ?1",
            params![release, of.map(place::files), hash],
        )
    }

    pub(crate) fn set_restored_from(&self, release: ReleaseId, from: ReleaseId) -> Result<()> {
        self.write(
            "recording a rollback",
            "UPDATE releases SET restored_from = ?2 WHERE release = ?1",
            params![release, from],
        )
    }

    /// Whose files a release has: its own, or those of the one that it brought back.
    pub(crate) fn files_of(&self, release: ReleaseId) -> Result<Option<ReleaseId>> {
        // The number counts, and not what is written under `artifacts`. What is brought back is
        // older than what brings it back: otherwise there need be no end to it.
        let origin = self
            .conn
            .query_row(
                "WITH RECURSIVE origin (release, restored_from) AS (
                   SELECT release, restored_from FROM releases WHERE release = ?1 AND artifacts IS NOT NULL
                   UNION ALL
                   SELECT r.release, r.restored_from FROM releases r JOIN origin o ON r.release = o.restored_from AND r.release < o.release)
                 SELECT release FROM origin WHERE restored_from IS NULL",
                [release],
                |row| row.get(0),
            )
            .optional();
        origin.context(|| self.doing("looking for the files of a release"))
    }

    /// The release that the catalog takes for live.
    pub(crate) fn live(&self) -> Result<Option<Entry>> {
        self.entry("WHERE status = 'live' ORDER BY release DESC LIMIT 1", [])
    }

    pub(crate) fn release(&self, release: ReleaseId) -> Result<Option<Entry>> {
        self.entry("WHERE release = ?1", [release])
    }

    /// The newest release that waits to be promoted.
    pub(crate) fn newest_compiled(&self) -> Result<Option<Entry>> {
        self.entry(
            "WHERE status = 'compiled' ORDER BY release DESC LIMIT 1",
            [],
        )
    }

    fn entry(&self, which: &str, params: impl rusqlite::Params) -> Result<Option<Entry>> {
        self.conn
            .query_row(
                &format!(
                    "SELECT release, status, label, commit_id, restored_from, follows, artifacts_hash, declared,
                       preview, live_at, switch_id FROM releases {which}"
                ),
                params,
                |row| {
                    let release = row.get(0)?;
                    Ok(Entry {
                        release,
                        status: word(row, 1, format_args!("release {release}"))?,
                        label: row.get(2)?,
                        commit: row.get(3)?,
                        restored_from: row.get(4)?,
                        follows: row.get(5)?,
                        files_hash: row.get(6)?,
                        declared: row.get(7)?,
                        preview: row.get(8)?,
                        live_at: row.get(9)?,
                        switch_id: row.get(10)?,
                    })
                },
            )
            .optional()
            .context(|| self.doing("reading a release"))
    }

    /// Every release, newest first.
    pub(crate) fn releases(&self) -> Result<Vec<Release>> {
        self.rows(
            "SELECT r.release, r.label, r.commit_id, r.status, r.created_at, r.live_at, r.superseded_at, r.restored_from,
                    CASE WHEN s.pruned_at IS NULL THEN s.path END, s.bytes, s.pruned_at, r.preview
             FROM releases r LEFT JOIN snapshots s USING (release) ORDER BY r.release DESC",
            [],
            |row| {
                let release = row.get(0)?;
                let status = word(row, 3, format_args!("release {release}"))?;
                let (written, preview): (Option<String>, Option<String>) = (row.get(8)?, row.get(11)?);
                let database = match &preview {
                    Some(name) if status == Status::Preview => place::is_name(name).then(|| place::preview(name)),
                    _ => written.and_then(|path| place::of_snapshot(release, &path)),
                };
                Ok(Release {
                    release,
                    label: row.get(1)?,
                    commit: row.get(2)?,
                    status,
                    created_at: row.get(4)?,
                    live_at: row.get(5)?,
                    superseded_at: row.get(6)?,
                    restored_from: row.get(7)?,
                    database,
                    database_bytes: row.get(9)?,
                    pruned_at: row.get(10)?,
                    preview,
                })
            },
        )
    }

    /// Leaves a release that did not go live with `status`.
    pub(crate) fn set_failed(&self, release: ReleaseId, status: Status) -> Result<()> {
        self.write(
            "writing a status",
            "UPDATE releases SET status = ?2
              WHERE release = ?1 AND status IN ('building', 'compiled')",
            params![release, status],
        )
    }

    /// Releases that a process left behind in the middle of a publish.
    pub(crate) fn unfinished(&self) -> Result<Vec<ReleaseId>> {
        self.rows(
            "SELECT release FROM releases WHERE status = 'building' ORDER BY release",
            [],
            |row| row.get(0),
        )
    }

    /// Releases that never were live and cannot go live any more, with whether files were written
    /// down for them: those that failed, and previews that are no more.
    pub(crate) fn fruitless(&self) -> Result<Vec<(ReleaseId, bool)>> {
        self.rows(
            "SELECT release, artifacts IS NOT NULL FROM releases
             WHERE status = 'failed' OR (status = 'superseded' AND preview IS NOT NULL AND live_at IS NULL)",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
    }

    /// The previews that there are: release, name, and when it was begun.
    pub(crate) fn previews(&self) -> Result<Vec<(ReleaseId, String, i64)>> {
        let mut previews: Vec<(ReleaseId, String, i64)> = self.rows(
            "SELECT release, preview, created_at FROM releases WHERE status = 'preview' AND preview IS NOT NULL",
            [],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )?;
        previews.retain(|(_, name, _)| place::is_name(name));
        Ok(previews)
    }

    /// Records, durably and before its database goes, that a preview is no more.
    pub(crate) fn end_preview(&self, release: ReleaseId) -> Result<()> {
        self.durably("recording the end of a preview", |conn| {
            conn.execute(
                "INSERT OR IGNORE INTO removals (folder, name)
                 SELECT 'previews', preview FROM releases WHERE release = ?1 AND status = 'preview'",
                [release],
            )?;
            conn.execute(
                "UPDATE releases SET status = 'superseded', superseded_at = ?2 WHERE release = ?1 AND status = 'preview'",
                params![release, clock::now()],
            )
        })?;
        Ok(())
    }

    /// Files that should be there: whose they are, and their hash. Those of a release whose
    /// database was pruned may be gone; a release that brought back another one shares its.
    pub(crate) fn files(&self) -> Result<BTreeSet<(ReleaseId, String)>> {
        let rows: Vec<(ReleaseId, String)> = self.rows(
            "SELECT r.release, r.artifacts_hash FROM releases r LEFT JOIN snapshots s USING (release)
             WHERE r.artifacts IS NOT NULL AND r.artifacts_hash IS NOT NULL AND s.pruned_at IS NULL
               AND r.status IN ('live', 'superseded', 'compiled', 'preview')",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        let mut files = BTreeSet::new();
        for (release, hash) in rows {
            files.extend(self.files_of(release)?.map(|of| (of, hash)));
        }
        Ok(files)
    }

    /// Whose files pruned releases have. They may be gone, or be another release's, too.
    pub(crate) fn pruned_files(&self) -> Result<BTreeSet<ReleaseId>> {
        let rows: Vec<ReleaseId> = self.rows(
            "SELECT release FROM releases JOIN snapshots USING (release) WHERE artifacts IS NOT NULL AND pruned_at IS NOT NULL",
            [],
            |row| row.get(0),
        )?;
        let mut files = BTreeSet::new();
        for release in rows {
            files.extend(self.files_of(release)?);
        }
        Ok(files)
    }
}

/// Where a bare rollback goes to: a re-promotion counts as the release that it brought back, so
/// that rolling back twice goes two back.
pub(crate) fn target(catalog: &Catalog, live: ReleaseId) -> Result<Option<ReleaseId>> {
    let mut entry = catalog.release(live)?;
    // Always an older one: otherwise there need be no end to it.
    while let Some(from) = entry
        .as_ref()
        .and_then(|entry| entry.restored_from.filter(|&from| from < entry.release))
    {
        entry = catalog.release(from)?;
    }
    Ok(entry.and_then(|entry| entry.follows))
}
