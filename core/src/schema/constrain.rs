//! Adds a CHECK or NOT NULL to a table whose rows are known to pass.
//!
//! SQLite's own ALTER TABLE reads the whole table first, and refuses a row of which a CHECK says
//! NULL, though the CHECK itself lets it in. The rows are asked before
//! ([`crate::rehearse::survey`]), and under live's lock only those that others have written since.
//! So the ALTER TABLE runs on a table without rows that has the same statement, and what becomes of
//! the statement there is written to the schema: all that SQLite itself would change.

use crate::{schema::plan::model::Added, sqlite::quote::ident};
use rusqlite::{Connection, config::DbConfig};

/// Runs the ALTER TABLE of `added`, inside the caller's transaction, with what fills in NULLs
/// before it.
pub(crate) fn add(conn: &Connection, added: &Added) -> rusqlite::Result<()> {
    if let Some(fill) = &added.fill {
        without_triggers(conn, fill)?;
    }
    let of = |schema: &str| {
        let sql = format!(
            "SELECT sql FROM {schema}.sqlite_schema WHERE type = 'table' AND name = ?1 COLLATE NOCASE"
        );
        conn.query_row(&sql, [&added.table], |row| row.get::<_, String>(0))
    };
    let (name, before) = (ident(&added.table), of("main")?);
    let rest = before.strip_prefix("CREATE TABLE ").unwrap_or(&before);
    conn.execute_batch(&format!("CREATE TEMP TABLE {rest}"))?;
    conn.execute_batch(&format!("ALTER TABLE temp.{name} {}", added.what))?;
    let after = of("temp")?;
    conn.execute_batch(&format!("DROP TABLE temp.{name}"))?;
    write_statement(conn, &added.table, &after)
}

/// Rows are filled in as a rebuild fills them in: nobody's trigger hears of it.
fn without_triggers(conn: &Connection, sql: &str) -> rusqlite::Result<()> {
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
    let outcome = conn.execute_batch(sql);
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, true)?;
    outcome
}

/// The way that SQLite documents for changes that touch no row: "Making Other Kinds Of Table Schema
/// Changes".
fn write_statement(conn: &Connection, table: &str, sql: &str) -> rusqlite::Result<()> {
    let writable = |on| conn.set_db_config(DbConfig::SQLITE_DBCONFIG_WRITABLE_SCHEMA, on);
    let cookie: i32 = conn.query_row("PRAGMA main.schema_version", [], |row| row.get(0))?;
    writable(true)?;
    let update =
        "UPDATE main.sqlite_schema SET sql = ?2 WHERE type = 'table' AND name = ?1 COLLATE NOCASE";
    let written = conn.execute(update, [table, sql]);
    // Off before the schema is read again: with it on, SQLite passes over what it cannot read.
    writable(false)?;
    if written? != 1 {
        return Err(rusqlite::Error::StatementChangedRows(0));
    }
    // Another cookie, or this connection would go on with the schema that it has.
    conn.execute_batch(&format!(
        "PRAGMA main.schema_version = {}",
        cookie.wrapping_add(1)
    ))
}
