//! Schema: the statements that make live, or what a release was, anew.

use crate::{
    base::{
        error::{Context, Error, Result, State},
        history::Status,
        ids::ReleaseId,
        remedy::VerbName,
    },
    live::database::Live,
    release::seen,
    remedy,
};
use rusqlite::{Connection, OpenFlags};
use serde::Serialize;
use std::path::Path;

/// What an application has declared, in an order that SQLite takes: a table before what is on it.
/// What a virtual table keeps for itself comes with it; remy's own tables are not of the schema.
const OBJECTS: &str = "
    SELECT sql FROM sqlite_schema
    WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND tbl_name NOT LIKE '\\_remy\\_%' ESCAPE '\\'
      AND tbl_name NOT IN (SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'shadow')
    ORDER BY CASE type WHEN 'table' THEN 0 WHEN 'index' THEN 1 WHEN 'view' THEN 2 ELSE 3 END, rowid";

/// A schema.
#[derive(Debug, Clone, Serialize)]
pub struct Dumped {
    /// Of which release; none of what is live.
    pub release: Option<ReleaseId>,
    /// Its statements, each ended by `;` and a line end.
    pub sql: String,
}

/// The schema of live, or of a release whose database is there.
pub(crate) fn schema(live: &Live, release: Option<ReleaseId>) -> Result<Dumped> {
    let sql = match release {
        None => of_live(live)?,
        Some(release) => of_release(live, release)?,
    };
    Ok(Dumped { release, sql })
}

fn of_live(live: &Live) -> Result<String> {
    let conn = live.connect()?;
    statements(&conn, &live.path)
}

fn of_release(live: &Live, number: ReleaseId) -> Result<String> {
    let none = |what: String| {
        Error::not_found(what)
            .state(State::NothingDone)
            .object(format!("release {number}"))
            .hint(remedy![VerbName::Releases, " lists them"])
    };
    let store = seen::look(live)?.map(|seen| seen.store);
    let store = store.ok_or_else(|| none(format!("there is no release {number}")))?;
    let entry = store.catalog.release(number)?;
    let entry = entry.ok_or_else(|| none(format!("there is no release {number}")))?;
    if entry.status == Status::Live {
        return of_live(live);
    }
    let snapshot = store.catalog.snapshot(number)?;
    let snapshot = snapshot.ok_or_else(|| none(format!("release {number} has no database")))?;
    if snapshot.pruned_at.is_some() {
        return Err(
            Error::pruned(format!("the database of release {number} was pruned"))
                .state(State::NothingDone)
                .object(format!("release {number}"))
                .hint(remedy![
                    "Name a release that still has its database; ",
                    VerbName::Releases,
                    " lists them"
                ]),
        );
    }
    let path = store.path(&snapshot.path);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let conn = match live.vfs() {
        Some(vfs) => Connection::open_with_flags_and_vfs(&path, flags, vfs),
        None => Connection::open_with_flags(&path, flags),
    };
    statements(
        &conn.context(|| format!("opening {}", path.display()))?,
        &path,
    )
}

fn statements(conn: &Connection, of: &Path) -> Result<String> {
    let doing = || format!("reading the schema of {}", of.display());
    let mut query = conn.prepare(OBJECTS).context(doing)?;
    let rows = query.query_map([], |row| row.get::<_, String>(0));
    let mut text = String::new();
    for sql in rows.context(doing)? {
        text.push_str(&sql.context(doing)?);
        text.push_str(";\n");
    }
    Ok(text)
}
