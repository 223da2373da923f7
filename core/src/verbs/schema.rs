//! Schema: the statements that make live, or what a release was, anew.

use crate::{
    base::{
        error::{Context, Result},
        ids::ReleaseId,
    },
    declare::left_alone,
    live::database::Live,
    release::reading::Reading,
};
use rusqlite::Connection;
use serde::Serialize;
use std::path::Path;

/// What an application has declared, in an order that SQLite takes: a table before what is on it.
/// What a virtual table keeps for itself comes with it; remy's own tables are not of the schema.
const OBJECTS: &str = "
    SELECT tbl_name, sql FROM sqlite_schema
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
    let database = match release {
        None => Reading::live(live)?,
        Some(release) => Reading::release(live, release)?,
    };
    let sql = statements(&database, database.path(), &|_| true)?;
    Ok(Dumped { release, sql })
}

/// The schema of live as it is to be declared: without the tables in which other tools keep their
/// books, which stay where nobody declares them.
pub(crate) fn own(live: &Live) -> Result<String> {
    let database = Reading::live(live)?;
    let is_own = |table: &str| !left_alone::is_of_books(table);
    statements(&database, database.path(), &is_own)
}

fn statements(conn: &Connection, of: &Path, with: &dyn Fn(&str) -> bool) -> Result<String> {
    let doing = || format!("reading the schema of {}", of.display());
    let mut query = conn.prepare(OBJECTS).context(doing)?;
    let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
    let mut text = String::new();
    for row in rows.context(doing)? {
        let (table, sql): (String, String) = row.context(doing)?;
        if with(&table) {
            text.push_str(&sql);
            text.push_str(";\n");
        }
    }
    Ok(text)
}
