//! What a rollback takes out of live: rows that are in it now, and not in the snapshot that comes back.
use crate::{
    SetAside,
    error::{Context, Result, sqlite_message},
    quote::ident,
    schema::{Schema, Table, introspect},
};
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::path::{Path, PathBuf};

/// Counts, table by table, the rows of `now` that the database at `then` has not, or has otherwise. Gives, besides, a warning for
/// each table that cannot be counted here: its rows may need a function or collation that the application alone has.
///
/// Tables are compared by their keys over the columns that both have. Tables without any such row are left out, and so are
/// virtual tables, whose rows stand in tables of their own.
pub(crate) fn count(now: &Connection, then: &Path, libraries: &[PathBuf]) -> Result<(Vec<SetAside>, Vec<String>)> {
    let doing = || format!("comparing live with {}", then.display());
    now.execute("ATTACH ?1 AS remy_then", [then.to_string_lossy()]).context(doing)?;
    let counted = (|| {
        let old = Connection::open_with_flags(then, OpenFlags::SQLITE_OPEN_READ_ONLY).context(doing)?;
        let old = introspect::read_with(&old, &[], libraries)?;
        let (mut found, mut warnings) = (Vec::new(), Vec::new());
        for table in introspect::read_with(now, &[], libraries)?.tables {
            let counted = now.query_row(&missing(&table, &old), [], |row| row.get::<_, i64>(0));
            match counted.map(i64::unsigned_abs) {
                Ok(0) => {}
                Ok(rows) => found.push(SetAside { table: table.name, rows }),
                // Of the schema, and not of the file: the next table may be counted all the same.
                Err(e) if e.sqlite_error_code() == Some(ErrorCode::Unknown) => warnings.push(format!(
                    "the rows of {} that would go cannot be counted ({}): name the libraries that its schema needs in the option extensions",
                    table.name,
                    sqlite_message(&e)
                )),
                Err(e) => return Err(e).context(|| format!("counting the rows of {}", table.name)),
            }
        }
        Ok((found, warnings))
    })();
    now.execute_batch("DETACH remy_then").context(doing)?;
    counted
}

/// Counts the rows of a table that an older schema's table of that name does not have.
fn missing(table: &Table, old: &Schema) -> String {
    let name = ident(&table.name);
    let all = format!("SELECT count(*) FROM main.{name} AS n");
    let Some(then) = old.table(&table.name) else { return all };
    let key = |table: &Table| -> Option<Vec<String>> {
        match (&table.primary_key, table.without_rowid, table.rowid_name()) {
            (Some(key), true, _) => Some(key.columns.iter().map(|column| column.name.clone()).collect()),
            (_, false, Some(rowid)) => Some(vec![rowid.to_owned()]),
            _ => None,
        }
    };
    let (Some(keys), Some(then_keys)) = (key(table), key(then)) else { return all };
    if table.without_rowid != then.without_rowid || (table.without_rowid && keys != then_keys) {
        return all;
    }
    // By `=`, which finds the row by its key; keys are never NULL.
    let keys = keys.iter().zip(&then_keys).map(|(now, then)| format!("t.{} = n.{}", ident(then), ident(now)));
    let common =
        table.columns.iter().filter(|column| column.generated.is_none() && then.column(&column.name).is_some());
    let equal: Vec<_> =
        keys.chain(common.map(|column| format!("t.{0} IS n.{0} COLLATE BINARY", ident(&column.name)))).collect();
    format!("{all} WHERE NOT EXISTS (SELECT 1 FROM remy_then.{name} AS t WHERE {})", equal.join(" AND "))
}
