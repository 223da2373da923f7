//! The catalog: the history of releases, their logs and snapshots. It follows live and never leads.

pub(crate) mod build_log;
pub(crate) mod cron;
pub(crate) mod dev;
pub(crate) mod format;
pub(crate) mod outbox;
pub(crate) mod releases;
pub(crate) mod removals;
pub(crate) mod snapshots;
pub(crate) mod switches;

use crate::{
    base::{
        error::{Context, Result},
        words::{UnknownWord, Words},
    },
    live::database::{self, Live},
    sqlite::{calls, tx},
    store::catalog::format::{FORMAT, bring_up_to_date, format_of, upgrade},
};
use rusqlite::{Connection, Params, Row, types::Type};
use std::{fmt::Display, path::Path, time::Duration};

/// How long another process may be at work on the catalog.
const WAIT: Duration = Duration::from_secs(10);

pub(crate) struct Catalog {
    conn: Connection,
}

impl Catalog {
    /// Opens the catalog, a file that is there, and makes or checks its tables.
    pub(crate) fn open(path: &Path, live: &Live) -> Result<Self> {
        let shown = || format!("opening the catalog {}", path.display());
        let conn = database::open_catalog(path, live).context(shown)?;
        conn.busy_timeout(WAIT).context(shown)?;
        let version = format_of(&conn, path)?;
        // WAL, so that a line of a log costs no fsync; what must be durable says so itself.
        calls::to_wal(&conn, WAIT).context(shown)?;
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
        let conn = database::open_catalog(path, live).context(shown)?;
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
        format!("{what} in the catalog {}", calls::name(&self.conn))
    }

    /// What `f` writes is on the disk when this returns.
    fn durably<T>(
        &self,
        what: &str,
        f: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T> {
        let run = || {
            self.conn.execute_batch("PRAGMA synchronous = FULL")?;
            let tx = tx::begin_to_write(&self.conn)?;
            let value = f(&tx)?;
            tx.commit().map(|()| value)
        };
        let done = run();
        let _ = self.conn.execute_batch("PRAGMA synchronous = NORMAL");
        done.context(|| self.doing(what))
    }

    /// Runs one statement. It is on the disk with the next that is written durably.
    fn write(&self, what: &str, sql: &str, params: impl Params) -> Result<()> {
        let written = self.conn.execute(sql, params);
        written.map(drop).context(|| self.doing(what))
    }

    /// Runs one statement, whose effect is on the disk when this returns.
    fn write_durably(&self, what: &str, sql: &str, params: impl Params) -> Result<()> {
        self.durably(what, |conn| conn.execute(sql, params))
            .map(drop)
    }

    fn rows<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>> {
        let mut query = self.conn.prepare(sql).context(|| self.doing("reading"))?;
        let rows = query.query_map(params, read).and_then(Iterator::collect);
        rows.context(|| self.doing("reading"))
    }

    /// What `integrity_check` finds in the catalog, if anything.
    pub(crate) fn integrity(&self) -> Result<Option<String>> {
        let found = crate::sqlite::integrity::whole(&self.conn)?;
        Ok((!found.wrong.is_empty()).then(|| found.wrong.join("; ")))
    }
}

/// Reads a word of what `of` says.
fn word<T: Words>(row: &Row<'_>, at: usize, of: impl Display) -> rusqlite::Result<T> {
    let word: String = row.get(at)?;
    T::of_word(&word).ok_or_else(|| {
        let unknown = UnknownWord {
            of: of.to_string(),
            what: T::WHAT,
            word,
        };
        rusqlite::Error::FromSqlConversionFailure(at, Type::Text, unknown.into())
    })
}

#[cfg(all(test, feature = "engine"))]
mod tests {
    use super::*;
    use crate::{
        base::ids::{ReleaseId, SwitchId},
        store::catalog::snapshots::ORDER,
    };
    use rusqlite::params;

    #[test]
    fn a_status_that_is_none_is_an_error_that_names_the_release() {
        crate::sqlite::engine::init();
        let conn = Connection::open_in_memory().unwrap();
        conn.execute_batch(include_str!("catalog.sql")).unwrap();
        conn.execute_batch(
            "INSERT INTO releases (release, kind, status, created_at) VALUES (7, 'publish', 'paused', 0)",
        )
        .unwrap();
        let catalog = Catalog { conn };
        for e in [
            catalog.release(ReleaseId(7)).map(drop).unwrap_err(),
            catalog.releases().map(drop).unwrap_err(),
        ] {
            assert_eq!(e.code(), "corrupt");
            let said = r#"release 7 has the status "paused", which this remy does not know. Use the remy that wrote it"#;
            assert!(e.to_string().contains(said), "{e}");
        }
    }

    /// How many steps SQLite takes to list the snapshots of so many releases.
    fn steps(releases: i64) -> i32 {
        crate::sqlite::engine::init();
        let conn = Connection::open_in_memory().unwrap();
        conn.execute_batch(include_str!("catalog.sql")).unwrap();
        let catalog = Catalog { conn };
        for release in 1..=releases {
            // Live was switched in the reverse of the order of the numbers.
            let switch_id = SwitchId::from(format!("{:016x}", releases - release).as_str());
            let snapshot = crate::store::place::snapshot(ReleaseId(release), &switch_id);
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
