//! The tables that remy keeps in live.

use crate::{
    base::error::{Context, Result},
    effects::tables,
    live::{
        columns,
        marker::{not_as_made, read},
    },
    sqlite::calls,
};
use rusqlite::Connection;

/// Reads the marker, and looks whether all of remy's tables are as it makes them, so that no verb
/// stops in the middle for one.
pub(crate) fn understood(conn: &Connection) -> Result<()> {
    read(conn)?;
    let doing = || format!("looking at remy's tables in {}", calls::name(conn));
    for (table, columns) in tables::TABLES
        .into_iter()
        .chain(columns::TABLES)
        .chain([MIGRATIONS])
    {
        let mut query = conn
            .prepare("SELECT lower(name) FROM pragma_table_info(?1, 'main')")
            .context(doing)?;
        let found: Vec<String> = query
            .query_map([table], |row| row.get(0))
            .context(doing)?
            .collect::<rusqlite::Result<_>>()
            .context(doing)?;
        let missing = columns
            .iter()
            .find(|column| !found.iter().any(|found| found == *column));
        if let Some(missing) = missing.filter(|_| !found.is_empty()) {
            return Err(not_as_made(
                conn,
                table,
                &format!("it has no column {missing}"),
            ));
        }
    }
    Ok(())
}

/// The record of migrations, with its columns.
pub(crate) const MIGRATIONS: (&str, &[&str]) =
    ("_remy_migrations", &["name", "hash", "applied_at"]);
