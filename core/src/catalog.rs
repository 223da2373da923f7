//! The catalog: the history of releases, their logs and snapshots. It follows live and never leads.
use crate::{
    clock,
    error::{Context, Error, Result},
    live::Live,
    marker::{self, Marker},
    place, sqlite, store,
};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::Serialize;
use std::{collections::BTreeSet, path::Path, time::Duration};

/// The format that this version writes, in `user_version`. A newer one is refused.
const FORMAT: i64 = 3;

/// The number of the next release: one above every one that the catalog has.
const NEXT: &str = "(SELECT coalesce(max(release), 0) + 1 FROM releases)";

/// The highest number that is taken over from a marker that this catalog does not know: as many may
/// follow it.
const MOST: i64 = marker::HIGHEST / 2;

/// The order of snapshots: that of the switches that made them. Intents are written one after the
/// other, while clocks go back.
///
/// By the id that a snapshot's name ends in, which has an index: 2,000 snapshots take as many
/// steps, and not their square.
const ORDER: &str = "(SELECT switches.rowid FROM switches WHERE switches.switch_id = substr(snapshots.path, -19, 16))";

/// How long another process may be at work on the catalog.
const WAIT: Duration = Duration::from_secs(10);

/// What brings a catalog of format n to n + 1, from format 1 on.
const UPGRADES: &[&str] = &[
    "ALTER TABLE releases ADD COLUMN preview TEXT",
    include_str!("catalog-2-to-3.sql"),
];

/// A release, as `remy_releases` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Release {
    /// Its number.
    pub release: i64,
    /// Its name.
    pub label: Option<String>,
    /// The commit that it was made from.
    pub commit: Option<String>,
    /// `building`, `compiled`, `preview`, `live`, `superseded` or `failed`.
    pub status: String,
    /// When its publish began.
    pub created_at: i64,
    /// When it went live.
    pub live_at: Option<i64>,
    /// When another went live after it.
    pub superseded_at: Option<i64>,
    /// The release whose database and artifacts it brought back.
    pub restored_from: Option<i64>,
    /// Its snapshot, relative to the store.
    pub database: Option<String>,
    /// How large that is.
    pub database_bytes: Option<i64>,
    /// When its database was dropped.
    pub pruned_at: Option<i64>,
    /// The name of the preview that it is, or was.
    pub preview: Option<String>,
}

/// A line of a build log.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Line {
    /// The release that it is about.
    pub release: i64,
    /// From 1.
    pub seq: i64,
    /// When the step began.
    pub at: i64,
    /// `adopt`, `build`, `clone`, `rehearse`, `check`, `catch_up`, `switch`, `settle`, `prune` or
    /// `recover`.
    pub step: String,
    /// `ok`, `warning` or `failed`.
    pub outcome: String,
    /// What was done.
    pub message: String,
    /// To what.
    pub object: Option<String>,
    /// By which statement.
    pub sql: Option<String>,
    /// How long it took.
    pub duration_ms: f64,
}

/// A release as the engine needs it.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) release: i64,
    pub(crate) status: String,
    pub(crate) label: Option<String>,
    pub(crate) commit: Option<String>,
    pub(crate) restored_from: Option<i64>,
    pub(crate) follows: Option<i64>,
    pub(crate) files_hash: Option<String>,
    pub(crate) declared: Option<String>,
    pub(crate) preview: Option<String>,
    pub(crate) live_at: Option<i64>,
    /// The switch that made it live; none where it was adopted as it stood, or never was live.
    pub(crate) switch_id: Option<String>,
}

/// A snapshot.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    pub(crate) release: i64,
    /// Relative to the store, as [`place::snapshot`] has it. A row that says anything else is
    /// nobody's snapshot.
    pub(crate) path: String,
    pub(crate) switch_id: Option<String>,
    pub(crate) bytes: u64,
    pub(crate) hash: String,
    pub(crate) created_at: i64,
    pub(crate) pruned_at: Option<i64>,
}

/// What a switch, or a detach, is about to do.
#[derive(Debug, Clone)]
pub(crate) struct Intent {
    pub(crate) switch_id: String,
    pub(crate) old_switch: Option<String>,
    pub(crate) release: i64,
    /// The release that is live before it; none where live was empty.
    pub(crate) previous: Option<i64>,
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
        place::snapshot(self.previous.unwrap_or(0), &self.switch_id)
    }
}

/// A dev session.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) name: String,
    pub(crate) release: Option<i64>,
    pub(crate) status: String,
    pub(crate) created_at: i64,
    pub(crate) reset_at: Option<i64>,
    pub(crate) stopped_at: Option<i64>,
}

pub(crate) struct Catalog {
    conn: Connection,
}

/// Keeps a catalog of an older format beside it. Only for who holds its write lock, so that no two
/// are at it.
fn keep_copy(path: &Path, live: &Live, version: i64) -> Result<()> {
    let copy = path.with_file_name(format!("catalog.{version}.db"));
    if copy.exists() {
        return Ok(()); // of an upgrade that was cut off
    }
    // Under another name until it is whole: what a crash leaves of it is not taken for the copy.
    let new = path.with_file_name(format!("catalog.{version}.new"));
    let doing = || format!("keeping the catalog as {}", copy.display());
    store::remove(&new)?;
    let file = store::create_like(&live.path, &new)?;
    // A connection of its own: VACUUM works in no transaction. It reads what was committed before
    // the lock was taken.
    let conn = store::open_catalog(path, live).context(doing)?;
    conn.execute("VACUUM INTO ?1", [new.to_string_lossy()])
        .context(doing)?;
    file.sync_all()
        .and_then(|()| std::fs::rename(&new, &copy))
        .context(doing)?;
    store::sync_name(path)
}

/// Makes the tables, or changes those of an older format, in one transaction.
fn bring_up_to_date(conn: &Connection, path: &Path, live: &Live) -> Result<()> {
    let doing = || format!("bringing the catalog {} up to date", path.display());
    conn.execute_batch("BEGIN IMMEDIATE").context(doing)?;
    let done = (|| {
        // Again, under the lock: another process may have been faster.
        let version = format_of(conn, path)?;
        if (1..FORMAT).contains(&version) {
            keep_copy(path, live, version)?;
        }
        upgrade(conn, path, version)?;
        conn.execute_batch(&format!("PRAGMA user_version = {FORMAT}; COMMIT"))
            .context(doing)
    })();
    if done.is_err() {
        let _ = conn.execute_batch("ROLLBACK");
    }
    done
}

/// Makes the tables of this format out of those of `version`, in the transaction that is open.
fn upgrade(conn: &Connection, path: &Path, version: i64) -> Result<()> {
    let doing = || format!("bringing the catalog {} up to date", path.display());
    let steps = match usize::try_from(version) {
        Ok(0) => &[include_str!("catalog.sql")],
        Ok(at) if version < FORMAT => &UPGRADES[at - 1..],
        _ => &[],
    };
    steps
        .iter()
        .try_for_each(|sql| conn.execute_batch(sql))
        .context(doing)
        .map_err(|e| match e {
            // What stands in it is not what any remy has written.
            Error::Internal(_) => Error::corrupt(e.detail().what.clone())
                .state("Live is unchanged")
                .hint(ANEW),
            e => e,
        })
}

/// The way out of a catalog that cannot be read.
const ANEW: &str =
    "Move the catalog aside: the next publish begins a new one; the snapshots stay where they are";

/// The format of a catalog. Refuses a newer one.
fn format_of(conn: &Connection, path: &Path) -> Result<i64> {
    let version: i64 = conn
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .context(|| format!("opening the catalog {}", path.display()))
        .map_err(|e| match e {
            Error::Corrupt(_) => e.state("Live is unchanged").hint(ANEW),
            e => e,
        })?;
    if version > FORMAT {
        return Err(Error::invalid_argument(format!(
            "the store {} was written by a newer remy (its format is {version}, this one knows {FORMAT})",
            path.parent().unwrap_or(path).display()
        ))
        .state("Nothing was done")
        .hint("Use that version of remy, or a newer one"));
    }
    Ok(version)
}

impl Catalog {
    /// Opens the catalog, a file that is there, and makes or checks its tables.
    pub(crate) fn open(path: &Path, live: &Live) -> Result<Self> {
        let shown = || format!("opening the catalog {}", path.display());
        let conn = store::open_catalog(path, live).context(shown)?;
        conn.busy_timeout(WAIT).context(shown)?;
        let version = format_of(&conn, path)?;
        // WAL, so that a line of a log costs no fsync; what must be durable says so itself.
        sqlite::to_wal(&conn, WAIT).context(shown)?;
        conn.execute_batch("PRAGMA synchronous = NORMAL")
            .context(shown)?;
        if version < FORMAT {
            bring_up_to_date(&conn, path, live)?;
        }
        Ok(Self { conn })
    }

    /// Opens the catalog to read it, while nobody else does: without the shared memory that a WAL
    /// has otherwise, as a full disk has no room for it. One of an older format is brought up to
    /// date in a transaction that is never committed.
    pub(crate) fn open_alone(path: &Path, live: &Live) -> Result<Self> {
        let shown = || format!("opening the catalog {}", path.display());
        let conn = store::open_catalog(path, live).context(shown)?;
        conn.busy_timeout(WAIT).context(shown)?;
        // Before the first read: the wal-index is in memory then.
        conn.execute_batch("PRAGMA locking_mode = EXCLUSIVE")
            .context(shown)?;
        let version = format_of(&conn, path)?;
        if version < FORMAT {
            // Nothing of it goes to the disk: not what is changed, and without a WAL not what was
            // there before.
            conn.execute_batch("PRAGMA cache_spill = OFF; PRAGMA temp_store = MEMORY")
                .context(shown)?;
            let journal: String = conn
                .query_row("PRAGMA journal_mode", [], |row| row.get(0))
                .context(shown)?;
            if journal != "wal" {
                conn.query_row("PRAGMA journal_mode = MEMORY", [], |_| Ok(()))
                    .context(shown)?;
            }
            conn.execute_batch("BEGIN IMMEDIATE").context(shown)?;
            upgrade(&conn, path, version)?;
        }
        Ok(Self { conn })
    }

    fn doing(&self, what: &str) -> String {
        format!("{what} in the catalog {}", sqlite::name(&self.conn))
    }

    /// What `f` writes is on the disk when this returns.
    fn durably<T>(
        &self,
        what: &str,
        f: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T> {
        let run = || {
            self.conn
                .execute_batch("PRAGMA synchronous = FULL; BEGIN IMMEDIATE")?;
            let done =
                f(&self.conn).and_then(|value| self.conn.execute_batch("COMMIT").map(|()| value));
            if done.is_err() {
                let _ = self.conn.execute_batch("ROLLBACK");
            }
            done
        };
        let done = run();
        let _ = self.conn.execute_batch("PRAGMA synchronous = NORMAL");
        done.context(|| self.doing(what))
    }

    /// Records a new release and gives its number, one above every number that the catalog has.
    pub(crate) fn begin(
        &self,
        kind: &str,
        status: &str,
        label: Option<&str>,
        commit: Option<&str>,
    ) -> Result<i64> {
        self.conn
            .execute(
                &format!(
                    "INSERT INTO releases (release, kind, status, label, commit_id, created_at)
                     VALUES ({NEXT}, ?1, ?2, ?3, ?4, ?5)"
                ),
                params![kind, status, label, commit, clock::now()],
            )
            .context(|| self.doing("numbering a release"))?;
        Ok(self.conn.last_insert_rowid())
    }

    /// The number that [`Catalog::begin`] would give.
    pub(crate) fn next(&self) -> Result<i64> {
        self.conn
            .query_row(&format!("SELECT {NEXT}"), [], |row| row.get(0))
            .context(|| self.doing("numbering a release"))
    }

    /// Records a release that is live already, and that this catalog does not know, with the schema
    /// that it has. Its marker's number is taken over where it comes after every number here; else
    /// that is another release, of another history.
    pub(crate) fn adopt(&self, marker: Option<&Marker>, schema: Option<&str>) -> Result<i64> {
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
                 VALUES (?1, 'adopt', 'live', ?2, ?3, ?4, ?5, ?6, ?7)",
                params![
                    release,
                    marker.and_then(|m| m.label.as_deref()),
                    marker.and_then(|m| m.commit.as_deref()),
                    clock::now(),
                    marker.map_or_else(clock::now, |m| m.live_at),
                    marker.map(|m| m.switch_id.as_str()),
                    schema
                ],
            )
        })?;
        Ok(release)
    }

    /// The release that a switch made live.
    pub(crate) fn release_of(&self, switch_id: &str) -> Result<Option<i64>> {
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
    pub(crate) fn set_switch(&self, release: i64, switch_id: &str) -> Result<()> {
        self.durably("recording a switch", |conn| {
            conn.execute(
                "UPDATE releases SET switch_id = ?2 WHERE release = ?1",
                params![release, switch_id],
            )
        })?;
        Ok(())
    }

    /// Records that a release is live once more, since somebody put its database back by hand.
    pub(crate) fn live_again(&self, release: i64) -> Result<()> {
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

    /// Live's schema as a release went live, or is going to: the JSON model.
    pub(crate) fn set_schema(&self, release: i64, schema: &str) -> Result<()> {
        self.conn
            .execute(
                "UPDATE releases SET schema = ?2 WHERE release = ?1",
                params![release, schema],
            )
            .context(|| self.doing("recording a schema"))?;
        Ok(())
    }

    /// What [`Catalog::set_schema`] recorded.
    pub(crate) fn schema(&self, release: i64) -> Result<Option<String>> {
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

    pub(crate) fn set_status(&self, release: i64, status: &str) -> Result<()> {
        self.durably("writing a status", |conn| {
            conn.execute(
                "UPDATE releases SET status = ?2 WHERE release = ?1",
                params![release, status],
            )
        })?;
        Ok(())
    }

    /// Makes a release the preview of a name; the one that was is superseded.
    pub(crate) fn set_preview(&self, release: i64, name: &str) -> Result<()> {
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
        release: i64,
        declared: Option<&str>,
        plan: Option<&str>,
    ) -> Result<()> {
        self.conn
            .execute(
                "UPDATE releases SET declared = coalesce(?2, declared), plan = coalesce(?3, plan) WHERE release = ?1",
                params![release, declared, plan],
            )
            .context(|| self.doing("describing a release"))?;
        Ok(())
    }

    /// Records whose files a release has: its own, or those of one that it brings back.
    pub(crate) fn set_files(
        &self,
        release: i64,
        of: Option<i64>,
        hash: Option<&str>,
    ) -> Result<()> {
        self.conn
            .execute(
                "UPDATE releases SET artifacts = ?2, artifacts_hash = ?3 WHERE release = ?1",
                params![release, of.map(place::files), hash],
            )
            .context(|| self.doing("recording artifacts"))?;
        Ok(())
    }

    pub(crate) fn set_restored_from(&self, release: i64, from: i64) -> Result<()> {
        self.conn
            .execute(
                "UPDATE releases SET restored_from = ?2 WHERE release = ?1",
                params![release, from],
            )
            .context(|| self.doing("recording a rollback"))?;
        Ok(())
    }

    /// Whose files a release has: its own, or those of the one that it brought back.
    pub(crate) fn files_of(&self, release: i64) -> Result<Option<i64>> {
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

    pub(crate) fn release(&self, release: i64) -> Result<Option<Entry>> {
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
                    Ok(Entry {
                        release: row.get(0)?,
                        status: row.get(1)?,
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
                let (release, status): (_, String) = (row.get(0)?, row.get(3)?);
                let (written, preview): (Option<String>, Option<String>) = (row.get(8)?, row.get(11)?);
                let database = match &preview {
                    Some(name) if status == "preview" => place::is_name(name).then(|| place::preview(name)),
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

    fn rows<T>(
        &self,
        sql: &str,
        params: impl rusqlite::Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>> {
        let mut query = self.conn.prepare(sql).context(|| self.doing("reading"))?;
        let rows = query.query_map(params, read).and_then(Iterator::collect);
        rows.context(|| self.doing("reading"))
    }

    /// Adds a line to a release's log, and gives its number.
    pub(crate) fn add_line(&self, line: &Line) -> Result<i64> {
        self.conn
            .execute(
                "INSERT INTO build_log (release, seq, at, step, outcome, message, object, sql, duration_ms)
                 VALUES (?1, (SELECT coalesce(max(seq), 0) + 1 FROM build_log WHERE release = ?1), ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                params![line.release, line.at, line.step, line.outcome, line.message, line.object, line.sql, line.duration_ms],
            )
            .and_then(|_| {
                self.conn.query_row("SELECT max(seq) FROM build_log WHERE release = ?1", [line.release], |row| row.get(0))
            })
            .context(|| self.doing("writing the build log"))
    }

    /// The log of a release, or of the newest one.
    pub(crate) fn build_log(&self, release: Option<i64>) -> Result<Vec<Line>> {
        self.rows(
            "SELECT release, seq, at, step, outcome, message, object, sql, duration_ms FROM build_log
             WHERE release = coalesce(?1, (SELECT max(release) FROM releases)) ORDER BY seq",
            [release],
            |row| {
                Ok(Line {
                    release: row.get(0)?,
                    seq: row.get(1)?,
                    at: row.get(2)?,
                    step: row.get(3)?,
                    outcome: row.get(4)?,
                    message: row.get(5)?,
                    object: row.get(6)?,
                    sql: row.get(7)?,
                    duration_ms: row.get(8)?,
                })
            },
        )
    }

    /// Writes down what a switch or a detach is about to do, durably.
    pub(crate) fn intend(&self, intent: &Intent) -> Result<()> {
        self.durably("writing the intent of a switch", |conn| {
            conn.execute(
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
        })?;
        Ok(())
    }

    /// Takes back an intent whose switch never got as far as COMMIT.
    pub(crate) fn forget(&self, intent: &Intent) -> Result<()> {
        self.durably("taking back the intent of a switch", |conn| {
            conn.execute(
                "DELETE FROM switches WHERE switch_id = ?1",
                [&intent.switch_id],
            )
        })?;
        Ok(())
    }

    /// An id that no other switch has. Files in `work/` begin with it, and it is on the disk before
    /// the first of them: they are this store's own, and go where a crash leaves them.
    pub(crate) fn unique(&self) -> Result<String> {
        self.durably("making an id", |conn| {
            conn.query_row(
                "INSERT INTO work VALUES (lower(hex(randomblob(8)))) RETURNING id",
                [],
                |row| row.get(0),
            )
        })
    }

    /// The ids of files in `work/`.
    pub(crate) fn work(&self) -> Result<Vec<String>> {
        self.rows("SELECT id FROM work", [], |row| row.get(0))
    }

    /// Records that there are no files in `work/`.
    pub(crate) fn nothing_at_work(&self) -> Result<()> {
        self.conn
            .execute("DELETE FROM work", [])
            .context(|| self.doing("forgetting ids"))?;
        Ok(())
    }

    /// Records, durably and before a database has its name in `dev` or `previews`, that it goes
    /// unless it is said to be there.
    pub(crate) fn will_remove(&self, folder: &str, name: &str) -> Result<()> {
        self.durably("recording a database that is being made", |conn| {
            conn.execute(
                "INSERT OR IGNORE INTO removals (folder, name) VALUES (?1, ?2)",
                [folder, name],
            )
        })?;
        Ok(())
    }

    /// The databases that are to be removed, by folder and name. One that is said to be there
    /// stays.
    pub(crate) fn removals(&self) -> Result<Vec<(String, String)>> {
        self.rows(
            "SELECT folder, name FROM removals
             WHERE NOT EXISTS (SELECT 1 FROM dev WHERE folder = 'dev' AND dev.name = removals.name AND status = 'dev')
               AND NOT EXISTS (SELECT 1 FROM releases WHERE folder = 'previews' AND preview = removals.name AND status = 'preview')",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
    }

    /// Records that there is nothing left to remove.
    pub(crate) fn all_removed(&self) -> Result<()> {
        self.conn
            .execute("DELETE FROM removals", [])
            .context(|| self.doing("recording removals"))?;
        Ok(())
    }

    /// Leaves a release that did not go live with `status`.
    pub(crate) fn set_failed(&self, release: i64, status: &str) -> Result<()> {
        self.conn
            .execute(
                "UPDATE releases SET status = ?2 WHERE release = ?1 AND status IN ('building', 'compiled')",
                params![release, status],
            )
            .context(|| self.doing("writing a status"))?;
        Ok(())
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
        match intents.iter().find(|intent| !place::is_switch_id(&intent.switch_id)) {
            None => Ok(intents),
            Some(intent) => Err(Error::corrupt(format!(
                "the catalog {} has a switch that is not decided, {:?}, and that is no id of a switch",
                sqlite::name(&self.conn),
                intent.switch_id
            ))
            .state("Live is unchanged")
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
    pub(crate) fn not_switched(&self, intent: &Intent, status: &str) -> Result<()> {
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

    /// Releases that a process left behind in the middle of a publish.
    pub(crate) fn unfinished(&self) -> Result<Vec<i64>> {
        self.rows(
            "SELECT release FROM releases WHERE status = 'building' ORDER BY release",
            [],
            |row| row.get(0),
        )
    }

    pub(crate) fn snapshot(&self, release: i64) -> Result<Option<Snapshot>> {
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
    pub(crate) fn misplaced_snapshots(&self) -> Result<Vec<(i64, String)>> {
        let mut rows: Vec<(i64, String)> = self.rows(
            "SELECT release, path FROM snapshots ORDER BY release",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        rows.retain(|(release, written)| place::of_snapshot(*release, written).is_none());
        Ok(rows)
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

    /// Records, durably and before the file goes, that a snapshot is pruned.
    pub(crate) fn pruned(&self, release: i64) -> Result<()> {
        self.durably("recording a prune", |conn| {
            conn.execute(
                "UPDATE snapshots SET pruned_at = ?2 WHERE release = ?1",
                params![release, clock::now()],
            )
        })?;
        Ok(())
    }

    /// Releases that never were live and cannot go live any more, with whether files were written
    /// down for them: those that failed, and previews that are no more.
    pub(crate) fn fruitless(&self) -> Result<Vec<(i64, bool)>> {
        self.rows(
            "SELECT release, artifacts IS NOT NULL FROM releases
             WHERE status = 'failed' OR (status = 'superseded' AND preview IS NOT NULL AND live_at IS NULL)",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
    }

    /// The previews that there are: release, name, and when it was begun.
    pub(crate) fn previews(&self) -> Result<Vec<(i64, String, i64)>> {
        let mut previews: Vec<(i64, String, i64)> = self.rows(
            "SELECT release, preview, created_at FROM releases WHERE status = 'preview' AND preview IS NOT NULL",
            [],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )?;
        previews.retain(|(_, name, _)| place::is_name(name));
        Ok(previews)
    }

    /// Records, durably and before its database goes, that a preview is no more.
    pub(crate) fn end_preview(&self, release: i64) -> Result<()> {
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
    pub(crate) fn files(&self) -> Result<BTreeSet<(i64, String)>> {
        let rows: Vec<(i64, String)> = self.rows(
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
    pub(crate) fn pruned_files(&self) -> Result<BTreeSet<i64>> {
        let rows: Vec<i64> = self.rows(
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

    /// What `integrity_check` finds in the catalog, if anything.
    pub(crate) fn integrity(&self) -> Result<Option<String>> {
        let found = crate::integrity::whole(&self.conn)?;
        Ok((!found.wrong.is_empty()).then(|| found.wrong.join("; ")))
    }

    /// Snapshots whose file may still be there although they are pruned.
    pub(crate) fn pruned_snapshots(&self) -> Result<Vec<Snapshot>> {
        self.snapshots_where("WHERE pruned_at IS NOT NULL", [])
    }

    pub(crate) fn dev_open(&self, name: &str) -> Result<Option<Session>> {
        Ok(self
            .sessions_where("WHERE name = ?1 AND status = 'dev'", [name])?
            .pop())
    }

    /// Every dev session, newest first.
    pub(crate) fn dev_sessions(&self) -> Result<Vec<Session>> {
        self.sessions_where("ORDER BY id DESC", [])
    }

    fn sessions_where(&self, which: &str, params: impl rusqlite::Params) -> Result<Vec<Session>> {
        let mut sessions = self.rows(
            &format!(
                "SELECT name, release, status, created_at, reset_at, stopped_at FROM dev {which}"
            ),
            params,
            |row| {
                Ok(Session {
                    name: row.get(0)?,
                    release: row.get(1)?,
                    status: row.get(2)?,
                    created_at: row.get(3)?,
                    reset_at: row.get(4)?,
                    stopped_at: row.get(5)?,
                })
            },
        )?;
        sessions.retain(|session| place::is_name(&session.name));
        Ok(sessions)
    }

    pub(crate) fn dev_started(&self, name: &str, release: Option<i64>) -> Result<()> {
        self.durably("recording a dev session", |conn| {
            conn.execute(
                "INSERT INTO dev (name, path, release, status, created_at) VALUES (?1, ?2, ?3, 'dev', ?4)",
                params![name, place::dev(name), release, clock::now()],
            )?;
            conn.execute("DELETE FROM removals WHERE folder = 'dev' AND name = ?1", [name])
        })?;
        Ok(())
    }

    pub(crate) fn dev_was_reset(&self, name: &str, release: Option<i64>) -> Result<()> {
        self.conn
            .execute(
                "UPDATE dev SET reset_at = ?2, release = ?3 WHERE name = ?1 AND status = 'dev'",
                params![name, clock::now(), release],
            )
            .context(|| self.doing("recording the reset of a dev session"))?;
        Ok(())
    }

    /// Before its database goes: a session without one could not be reset.
    pub(crate) fn dev_stopped(&self, name: &str) -> Result<()> {
        self.durably("recording the end of a dev session", |conn| {
            conn.execute("INSERT OR IGNORE INTO removals (folder, name) VALUES ('dev', ?1)", [name])?;
            conn.execute(
                "UPDATE dev SET status = 'superseded', stopped_at = ?2 WHERE name = ?1 AND status = 'dev'",
                params![name, clock::now()],
            )
        })?;
        Ok(())
    }
}

#[cfg(all(test, feature = "engine"))]
mod tests {
    use super::*;

    /// How many steps SQLite takes to list the snapshots of so many releases.
    fn steps(releases: i64) -> i32 {
        crate::engine::init();
        let conn = Connection::open_in_memory().unwrap();
        conn.execute_batch(include_str!("catalog.sql")).unwrap();
        let catalog = Catalog { conn };
        for release in 1..=releases {
            // Live was switched in the reverse of the order of the numbers.
            let switch_id = format!("{:016x}", releases - release);
            let snapshot = place::snapshot(release, &switch_id);
            catalog
                .conn
                .execute(
                    "INSERT INTO snapshots VALUES (?1, ?2, NULL, 1, '', 1, NULL)",
                    params![release, snapshot],
                )
                .unwrap();
        }
        for switch in 0..releases {
            let sql =
                "INSERT INTO switches VALUES (printf('%016x', ?1), NULL, 1, 1, '', '', 'done', 1)";
            catalog.conn.execute(sql, [switch]).unwrap();
        }
        let kept = catalog.kept_snapshots().unwrap();
        assert_eq!(kept.len(), usize::try_from(releases).unwrap());
        assert!(
            kept.is_sorted_by_key(|snapshot| snapshot.release),
            "the last switch was that of release 1"
        );
        let mut query = catalog
            .conn
            .prepare(&format!("SELECT release FROM snapshots ORDER BY {ORDER}"))
            .unwrap();
        assert_eq!(
            query
                .query_map([], |row| row.get::<_, i64>(0))
                .unwrap()
                .count(),
            kept.len()
        );
        query.get_status(rusqlite::StatementStatus::VmStep)
    }

    #[test]
    fn listing_the_snapshots_takes_as_many_steps_as_there_are() {
        let (few, many) = (steps(200), steps(2_000));
        assert!(many < few * 12, "{few} steps for 200, {many} for 2000");
    }
}
