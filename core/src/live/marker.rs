//! `_remy_release`: the one row in live that says which release is live. It travels with the pages
//! of a switch, so it cannot be wrong about them.

use crate::{
    base::{
        error::{Context, Error, Result, State},
        ids::{ReleaseId, SwitchId},
    },
    sqlite::calls,
};
use rusqlite::{Connection, OptionalExtension, config::DbConfig};

/// The format that this version writes.
const FORMAT: i64 = 1;

const TABLE: &str = "_remy_release";

/// The highest number of a release, which every face can represent. No publish counts beyond it.
pub(crate) const HIGHEST: ReleaseId = ReleaseId(999_999_999_999_999);

/// What live says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Marker {
    /// Unique to the switch that wrote it.
    pub(crate) switch_id: SwitchId,
    pub(crate) release: ReleaseId,
    pub(crate) label: Option<String>,
    pub(crate) commit: Option<String>,
    /// The release's artifacts, relative to the store.
    pub(crate) artifacts: Option<String>,
    /// When its switch was committed, to the moment before the COMMIT.
    pub(crate) live_at: i64,
}

/// Which release is live, if any was ever switched in. Fails as [`read`] does.
pub fn release(conn: &Connection) -> Result<Option<ReleaseId>> {
    Ok(read(conn)?.map(|marker| marker.release))
}

/// Reads the marker. `None` where no release was ever switched in.
///
/// Fails with `invalid_argument` where a newer remy has written it, and where it is nothing that a
/// remy has written.
pub(crate) fn read(conn: &Connection) -> Result<Option<Marker>> {
    let doing = || format!("reading the marker of {}", calls::name(conn));
    plain_tables(conn)?;
    let there = conn
        .query_row(
            "SELECT 1 FROM main.sqlite_schema WHERE type = 'table' AND lower(name) = '_remy_release'",
            [],
            |_| Ok(()),
        )
        .optional()
        .context(doing)?;
    if there.is_none() {
        return Ok(None);
    }
    // First, and nothing else with it: a newer one may have other columns.
    let format = "SELECT format FROM main._remy_release";
    let format: Option<i64> = conn
        .query_row(format, [], |row| row.get(0))
        .optional()
        .context(doing)
        .map_err(|e| not_ours(conn, e))?;
    if let Some(format) = format.filter(|&format| format != FORMAT) {
        return Err(match format > FORMAT {
            true => Error::invalid_argument(format!(
                "{} was last published by a newer remy (the format of its _remy_release is {format}, this one knows {FORMAT})",
                calls::name(conn)
            ))
            .state(State::NothingDone)
            .hint("Use that version of remy, or a newer one"),
            false => not_as_made(conn, TABLE, &format!("its format is {format}")),
        });
    }
    let marker = conn
        .query_row(
            "SELECT switch_id, release, label, \"commit\", artifacts, live_at FROM main._remy_release",
            [],
            |row| {
                Ok(Marker {
                    switch_id: row.get(0)?,
                    release: row.get(1)?,
                    label: row.get(2)?,
                    commit: row.get(3)?,
                    artifacts: row.get(4)?,
                    live_at: row.get(5)?,
                })
            },
        )
        .optional()
        .context(doing)
        .map_err(|e| not_ours(conn, e))?;
    match marker {
        Some(Marker { release, .. }) if !(ReleaseId(1)..=HIGHEST).contains(&release) => Err(Error::invalid_argument(format!(
            "the table _remy_release of {} says that release {release} is live, and no release has that number",
            calls::name(conn)
        ))
        .state(State::LiveUnchanged)
        .hint("Somebody has written to that table: restore the database, or set the number right there")),
        marker => Ok(marker),
    }
}

/// Refuses what has a name of remy's and is no table of rows: reading a view or a virtual table
/// runs what somebody else has written, and nothing can be kept in one.
fn plain_tables(conn: &Connection) -> Result<()> {
    let doing = || format!("looking at remy's tables in {}", calls::name(conn));
    let sql = "SELECT name, type FROM main.sqlite_schema WHERE lower(substr(name, 1, 6)) = '_remy_'
               AND (type = 'view' OR type = 'table' AND rootpage = 0)";
    let other = conn.query_row(sql, [], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
    });
    let Some((name, kind)) = other.optional().context(doing)? else {
        return Ok(());
    };
    let kind = if kind == "view" {
        "a view"
    } else {
        "a virtual table"
    };
    Err(Error::invalid_argument(format!(
        "{name} of {} is {kind}, where remy has a table of its own",
        calls::name(conn)
    ))
    .object(name)
    .state(State::NothingDone)
    .hint("Names that begin with _remy_ are remy's own: make it again under another name, and drop this one"))
}

/// Of a column that is not there, or a value of another type.
fn not_ours(conn: &Connection, e: Error) -> Error {
    match e {
        Error::Internal(_) => not_as_made(conn, TABLE, &e.detail().what),
        e => e,
    }
}

pub(super) fn not_as_made(conn: &Connection, table: &str, why: &str) -> Error {
    Error::invalid_argument(format!("the table {table} of {} is not as remy makes it: {why}", calls::name(conn)))
        .object(table)
        .state(State::NothingDone)
        .hint("Rename it where it is the application's own; restore it, or run the remy that made it, where it is not")
}

/// Writes the marker, inside the caller's transaction.
pub(crate) fn write(conn: &Connection, marker: &Marker) -> Result<()> {
    let doing = || format!("writing the marker into {}", calls::name(conn));
    conn.execute_batch(
        "CREATE TABLE IF NOT EXISTS main._remy_release (
           one INTEGER PRIMARY KEY CHECK (one = 1), format INTEGER NOT NULL, switch_id TEXT NOT NULL, release INTEGER NOT NULL,
           label TEXT, \"commit\" TEXT, artifacts TEXT, live_at INTEGER NOT NULL)",
    )
    .context(doing)?;
    conn.execute(
        "INSERT OR REPLACE INTO main._remy_release (one, format, switch_id, release, label, \"commit\", artifacts, live_at)
         VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        (FORMAT, &marker.switch_id, marker.release, &marker.label, &marker.commit, &marker.artifacts, marker.live_at),
    )
    .context(doing)?;
    Ok(())
}

/// Says in an image when it goes live, in a transaction of its own. Nothing else is written: the
/// pages of the image are counted, so a trigger that somebody has put on the table does not fire.
pub(crate) fn stamp(conn: &Connection, live_at: i64) -> Result<()> {
    let stamp = || {
        let fired = conn.db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER)?;
        conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
        let done = conn.execute("UPDATE main._remy_release SET live_at = ?1", [live_at]);
        conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, fired)?;
        done
    };
    stamp().context(|| format!("writing the time into the marker of {}", calls::name(conn)))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_row_whatever_comes() {
        crate::sqlite::engine::init();
        let conn = Connection::open_in_memory().unwrap();
        assert_eq!(read(&conn).unwrap(), None);
        let mut marker = Marker {
            switch_id: "a".into(),
            release: ReleaseId(2),
            label: Some("v2".into()),
            commit: None,
            artifacts: None,
            live_at: 7,
        };
        write(&conn, &marker).unwrap();
        marker.switch_id = "b".into();
        marker.release = ReleaseId(3);
        write(&conn, &marker).unwrap();
        assert_eq!(read(&conn).unwrap(), Some(marker));
    }
}
