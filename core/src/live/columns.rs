//! What live says of its app's tables: `_remy_columns`, the logical type of each column, and
//! `_remy_session`, the one row that says who writes. Both travel with the pages of a switch, as
//! the marker does.

use crate::{
    base::error::{Context, Result},
    schema::{
        Schema,
        app::{App, RecordedTypes, system::SYSTEM},
        logical::Logical,
    },
};
use rusqlite::{Connection, OptionalExtension};

/// The tables of an app, with their columns.
pub(crate) const TABLES: [(&str, &[&str]); 2] = [
    (
        "_remy_columns",
        &["table_name", "column_name", "type", "required"],
    ),
    ("_remy_session", &["id", "user_id"]),
];

/// A column that the live release declares.
#[derive(Debug)]
pub struct DeclaredColumn {
    /// The table, as the release writes it.
    pub table: String,
    /// The column, as the release writes it.
    pub name: String,
    /// Its logical type. `None` where a newer remy has written one that this one does not know: the
    /// column's own type counts then.
    pub logical: Option<Logical>,
}

/// Reads what the live release declares. Nothing where it declares no app.
pub(crate) fn read(conn: &Connection) -> Result<RecordedTypes> {
    let mut recorded = RecordedTypes::default();
    for column in declared(conn)? {
        let columns = recorded.0.entry(column.table.to_ascii_lowercase());
        let columns = columns.or_default();
        if let Some(of) = column.logical {
            columns.insert(column.name.to_ascii_lowercase(), of);
        }
    }
    Ok(recorded)
}

/// Every column that the live release declares, the system columns among them. None where it
/// declares no app.
pub fn declared(conn: &Connection) -> Result<Vec<DeclaredColumn>> {
    if !is_there(conn, "_remy_columns")? {
        return Ok(Vec::new());
    }
    let doing = || "reading the logical types of the columns".to_owned();
    let mut statement = conn
        .prepare("SELECT table_name, column_name, type FROM main._remy_columns")
        .context(doing)?;
    let mut rows = statement.query([]).context(doing)?;
    let mut all = Vec::new();
    while let Some(row) = rows.next().context(doing)? {
        let text = |i| row.get::<_, String>(i).context(doing);
        all.push(DeclaredColumn {
            table: text(0)?,
            name: text(1)?,
            logical: Logical::named(&text(2)?),
        });
    }
    Ok(all)
}

/// What [`write`] has written, row by row.
pub(crate) fn rows(conn: &Connection) -> Result<Vec<(String, String, String, bool)>> {
    if !is_there(conn, "_remy_columns")? {
        return Ok(Vec::new());
    }
    let doing = || "reading the logical types of the columns".to_owned();
    let sql =
        "SELECT table_name, column_name, type, required FROM main._remy_columns ORDER BY 1, 2";
    let mut statement = conn.prepare(sql).context(doing)?;
    let rows = statement.query_map([], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
    });
    rows.and_then(Iterator::collect).context(doing)
}

/// Makes the tables that `schema` needs: triggers name `_remy_session`.
pub(crate) fn ensure(conn: &Connection, schema: &Schema) -> Result<()> {
    if !schema
        .triggers
        .iter()
        .any(|trigger| trigger.sql.contains("_remy_session"))
    {
        return Ok(());
    }
    // Does not read its row: the application's writers change it, and a change that has read it
    // would have to run again.
    if is_there(conn, "_remy_session")? {
        return Ok(());
    }
    conn.execute_batch(
        "CREATE TABLE main._remy_session (id INTEGER PRIMARY KEY CHECK (id = 1), user_id TEXT);
         INSERT INTO main._remy_session (id) VALUES (1)",
    )
    .context(|| "creating _remy_session".into())
}

/// Writes what `app` declares. A release without an app has no logical types.
pub(crate) fn write(conn: &Connection, app: Option<&App>) -> Result<()> {
    let doing = || "writing the logical types of the columns".to_owned();
    let Some(app) = app else {
        if is_there(conn, "_remy_columns")? {
            conn.execute("DELETE FROM main._remy_columns", [])
                .context(doing)?;
        }
        return Ok(());
    };
    conn.execute_batch(
        "CREATE TABLE IF NOT EXISTS main._remy_columns (table_name TEXT NOT NULL, column_name TEXT NOT NULL, type TEXT NOT NULL,
         required INTEGER NOT NULL, PRIMARY KEY (table_name, column_name)) WITHOUT ROWID;
         DELETE FROM main._remy_columns",
    )
    .context(doing)?;
    let sql = "INSERT INTO main._remy_columns (table_name, column_name, type, required) VALUES (?1, ?2, ?3, ?4)";
    let mut insert = conn.prepare(sql).context(doing)?;
    for table in &app.tables {
        for column in &SYSTEM {
            insert
                .execute((&table.name, column.name, column.logical.name(), false))
                .context(doing)?;
        }
        for column in &table.columns {
            insert
                .execute((
                    &table.name,
                    &column.name,
                    column.logical.name(),
                    column.required,
                ))
                .context(doing)?;
        }
    }
    Ok(())
}

fn is_there(conn: &Connection, table: &str) -> Result<bool> {
    let sql = "SELECT 1 FROM main.sqlite_schema WHERE type = 'table' AND name = ?1";
    let found = conn
        .query_row(sql, [table], |_| Ok(()))
        .optional()
        .context(|| format!("looking for {table}"))?;
    Ok(found.is_some())
}
