//! The rows of virtual tables that one of two databases has and the other has not. They stand in
//! tables of the module's own, of which one has a row for each.

use crate::{
    base::error::Result,
    schema::{Schema, VirtualTable, full_text::Content},
    sqlite::{differing_rows::Pages, quote::ident},
};
use rusqlite::Connection;

/// The tables that have a row for each of the virtual table's, and what of it is the row's: of FTS,
/// of FTS without content, of R-Tree, which also keeps there where a row stands.
const ROWS: [(&str, &str); 3] = [("content", "*"), ("docsize", "*"), ("rowid", "rowid")];

/// What a virtual table has otherwise in the two databases.
pub(super) struct Unlike {
    pub(super) table: String,
    /// Rows that the first has and the other has not, or has otherwise.
    pub(super) goes: u64,
    /// The reverse.
    pub(super) comes: u64,
}

/// Compares the virtual tables that both databases have: `main`, and the one that is attached as
/// `then`. Both numbers are 0 where a table differs and its rows cannot be told.
pub(super) fn unlike(
    conn: &Connection,
    (current, old): (&Schema, &Schema),
    then: &str,
    pages: Option<&Pages<'_>>,
    mut count: impl FnMut(&str, String) -> Result<u64>,
) -> Result<Vec<Unlike>> {
    let mut found = Vec::new();
    for table in &current.virtual_tables {
        let same_name = |other: &VirtualTable| other.name.eq_ignore_ascii_case(&table.name);
        // The rows that an index of another table has are that table's.
        if Content::of(table) == Content::Other || !old.virtual_tables.iter().any(same_name) {
            continue;
        }
        let Some(own) = &table.own else { continue };
        let mut alike = true;
        for own in own {
            alike &= is_alike(conn, own, then, pages)?;
        }
        if alike {
            continue;
        }
        let rows = ROWS
            .iter()
            .map(|(end, columns)| {
                (
                    format!("{}_{end}", table.name.to_ascii_lowercase()),
                    columns,
                )
            })
            .find(|(name, _)| own.contains(name));
        let (mut goes, mut comes) = (0, 0);
        if let Some((name, columns)) = rows {
            let name = ident(&name);
            let only = |here: &str, there: &str| {
                format!(
                    "SELECT count(*) FROM (SELECT {columns} FROM {here}.{name} EXCEPT SELECT {columns} FROM {there}.{name})"
                )
            };
            goes = count(&table.name, only("main", then))?;
            comes = count(&table.name, only(then, "main"))?;
        }
        found.push(Unlike {
            table: table.name.clone(),
            goes,
            comes,
        });
    }
    Ok(found)
}

/// Whether a table of a module's own is the same in both, by its pages where they tell.
fn is_alike(conn: &Connection, name: &str, then: &str, pages: Option<&Pages<'_>>) -> Result<bool> {
    if let Some(pages) = pages
        && let Some(rows) = pages.of_table(conn, name, then)?
        && rows.now.is_empty()
        && rows.then.is_empty()
    {
        return Ok(true);
    }
    let name = ident(name);
    let sql = format!(
        "SELECT NOT EXISTS (SELECT * FROM main.{name} EXCEPT SELECT * FROM {then}.{name})
            AND NOT EXISTS (SELECT * FROM {then}.{name} EXCEPT SELECT * FROM main.{name})"
    );
    // What cannot be compared is not known to be alike.
    Ok(conn.query_row(&sql, [], |row| row.get(0)).unwrap_or(false))
}
