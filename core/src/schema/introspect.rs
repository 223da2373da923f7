//! Reads the schema of a database: structure from the pragmas, the rest from the statements that
//! SQLite keeps.

use crate::{
    base::error::{Context, Result},
    schema::{
        self, Column, Index, Key, KeyColumn, Schema, Table, Trigger, View, VirtualTable, parse,
        shadow,
    },
    sqlite::lex,
};
use rusqlite::Connection;
use std::{
    collections::{BTreeSet, HashMap},
    path::PathBuf,
};

/// A column as `pragma_table_xinfo` tells it.
struct ColumnInfo {
    name: String,
    declared_type: String,
    not_null: bool,
    default: Option<String>,
    key: i64,
    hidden: i64,
}

/// The schema of `conn`'s main database. Tables that match a glob of `ignore`, and what hangs on
/// them, are left out; so are those that belong to virtual tables.
pub fn read(conn: &Connection, ignore: &[String]) -> Result<Schema> {
    read_with(conn, ignore, &[])
}

/// As [`read`]; `libraries` are loadable extensions whose modules SQLite lacks.
pub fn read_with(conn: &Connection, ignore: &[String], libraries: &[PathBuf]) -> Result<Schema> {
    let doing = || "reading the schema".to_owned();
    let mut statement = conn
        .prepare(
            "SELECT type, name, tbl_name, sql, rootpage FROM main.sqlite_schema ORDER BY rowid",
        )
        .context(doing)?;
    let rows = statement
        .query_map([], |row| {
            let sql: Option<String> = row.get(3)?;
            Ok((
                row.get::<_, String>(0)?,
                row.get::<_, String>(1)?,
                row.get::<_, String>(2)?,
                sql,
                row.get::<_, Option<i64>>(4)?,
            ))
        })
        .context(doing)?
        .collect::<rusqlite::Result<Vec<_>>>()
        .context(doing)?;

    let names = rows.iter().map(|row| row.1.to_ascii_lowercase()).collect();
    let is_virtual = |row: &(String, String, String, Option<String>, Option<i64>)| {
        row.0 == "table" && row.4.unwrap_or(0) == 0
    };
    let mut left_out = ignored(conn, ignore)?;
    let mut schema = Schema {
        names,
        ..Schema::default()
    };
    for (_, name, _, sql, _) in rows.iter().filter(|row| is_virtual(row)) {
        if let Some(sql) = sql {
            schema
                .virtual_tables
                .push(read_virtual(conn, name.clone(), sql.clone()));
        }
    }
    let ordinary = rows
        .iter()
        .filter(|row| row.0 == "table" && !is_virtual(row));
    let ordinary: Vec<(&str, &str)> = ordinary
        .filter_map(|row| Some((row.1.as_str(), row.3.as_deref()?)))
        .collect();
    schema.claims = shadow::find(conn, &mut schema.virtual_tables, &ordinary, libraries)?;
    left_out.extend(
        schema
            .virtual_tables
            .iter()
            .filter_map(|table| table.own.as_ref())
            .flatten()
            .cloned(),
    );
    let left_out = |name: &str| is_internal(name) || left_out.contains(&name.to_ascii_lowercase());
    schema.virtual_tables.retain(|table| !left_out(&table.name));

    let mut told = columns(conn)?;
    for row in rows {
        let virtual_table = is_virtual(&row);
        let (kind, name, table, sql, _) = row;
        let Some(sql) = sql else { continue };
        if virtual_table || left_out(&name) || left_out(&table) {
            continue;
        }
        match kind.as_str() {
            "table" => {
                let told = told.remove(&name).unwrap_or_default();
                schema.tables.push(read_table(name, sql, told));
            }
            "index" => schema.indexes.push(Index { name, table, sql }),
            "view" => schema.views.push(View { name, sql }),
            "trigger" => schema.triggers.push(Trigger { name, table, sql }),
            _ => {}
        }
    }
    Ok(schema)
}

/// Whether a name is SQLite's or remy's own.
pub(crate) fn is_internal(name: &str) -> bool {
    ["sqlite_", "_remy_"].iter().any(|own| {
        name.get(..own.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(own))
    })
}

fn columns(conn: &Connection) -> Result<HashMap<String, Vec<ColumnInfo>>> {
    let doing = || "reading the columns of the tables".to_owned();
    let mut statement = conn
        .prepare(
            "SELECT m.name, x.name, x.type, x.\"notnull\", x.dflt_value, x.pk, x.hidden
               FROM main.sqlite_schema m, pragma_table_xinfo(m.name, 'main') x
              WHERE m.type = 'table' AND m.rootpage > 0 ORDER BY m.rowid, x.cid",
        )
        .context(doing)?;
    let mut rows = statement.query([]).context(doing)?;
    let mut told: HashMap<String, Vec<ColumnInfo>> = HashMap::new();
    while let Some(row) = rows.next().context(doing)? {
        let column: rusqlite::Result<ColumnInfo> = (|| {
            Ok(ColumnInfo {
                name: row.get(1)?,
                declared_type: row.get::<_, Option<String>>(2)?.unwrap_or_default(),
                not_null: row.get(3)?,
                default: row.get(4)?,
                key: row.get(5)?,
                hidden: row.get(6)?,
            })
        })();
        let table: String = row.get(0).context(doing)?;
        told.entry(table).or_default().push(column.context(doing)?);
    }
    Ok(told)
}

fn read_table(name: String, sql: String, told: Vec<ColumnInfo>) -> Table {
    let parsed = parse::table(&sql).filter(|parsed| agree(parsed, &told));
    let Some(parsed) = parsed else {
        return opaque(name, sql, told);
    };
    let columns = parsed
        .columns
        .into_iter()
        .zip(told)
        .map(|(parsed, told)| Column {
            name: told.name,
            declared_type: told.declared_type,
            not_null: parsed.not_null,
            default: parsed.default,
            collate: parsed.collate,
            generated: parsed.generated,
            definition: parsed.definition,
            cast: None,
        });
    Table {
        name,
        columns: columns.collect(),
        primary_key: parsed.primary_key,
        autoincrement: parsed.autoincrement,
        uniques: parsed.uniques,
        checks: parsed.checks,
        foreign_keys: parsed.foreign_keys,
        without_rowid: parsed.without_rowid,
        strict: parsed.strict,
        opaque: false,
        sql,
    }
}

/// Whether the statement was read as SQLite reads it.
fn agree(parsed: &parse::ParsedTable, told: &[ColumnInfo]) -> bool {
    let keys = told.iter().filter(|column| column.key > 0).count();
    parsed.columns.len() == told.len()
        && keys
            == parsed
                .primary_key
                .as_ref()
                .map_or(0, |key| key.columns.len())
        && parsed.columns.iter().zip(told).all(|(parsed, told)| {
            parsed.name == told.name
                && parsed.default.is_some() == told.default.is_some()
                && parsed
                    .generated
                    .as_ref()
                    .map_or(0, |g| if g.stored { 3 } else { 2 })
                    == told.hidden
                && (parsed.not_null.is_some() == told.not_null || told.key > 0)
        })
}

fn opaque(name: String, sql: String, mut told: Vec<ColumnInfo>) -> Table {
    let tail: Vec<_> = lex::tokens(&sql)
        .into_iter()
        .rev()
        .take_while(|token| !token.is(")"))
        .collect();
    let (without_rowid, strict) = (
        tail.iter().any(|t| t.is("ROWID")),
        tail.iter().any(|t| t.is("STRICT")),
    );
    let columns = told
        .iter()
        .map(|column| Column {
            name: column.name.clone(),
            declared_type: column.declared_type.clone(),
            not_null: column.not_null.then(|| "abort".to_owned()),
            default: column.default.clone(),
            generated: (column.hidden > 1).then(|| schema::Generated {
                expr: String::new(),
                stored: column.hidden == 3,
            }),
            ..Column::default()
        })
        .collect();
    told.retain(|column| column.key > 0);
    told.sort_by_key(|column| column.key);
    let key_columns: Vec<_> = told
        .into_iter()
        .map(|column| KeyColumn {
            name: column.name,
            ..KeyColumn::default()
        })
        .collect();
    let primary_key = (!key_columns.is_empty()).then(|| Key {
        columns: key_columns,
        conflict: "abort".into(),
        ..Key::default()
    });
    Table {
        name,
        columns,
        primary_key,
        without_rowid,
        strict,
        opaque: true,
        sql,
        ..Table::default()
    }
}

fn read_virtual(conn: &Connection, name: String, sql: String) -> VirtualTable {
    // The module may be one that this SQLite does not have: then its columns are not known, and
    // need not be.
    let columns = conn
        .prepare("SELECT name FROM pragma_table_xinfo(?1, 'main') WHERE hidden = 0 ORDER BY cid")
        .and_then(|mut s| {
            s.query_map([&name], |row| row.get(0))?
                .collect::<rusqlite::Result<Vec<String>>>()
        })
        .unwrap_or_default();
    virtual_table(name, sql, columns)
}

/// A virtual table by its statement.
pub(crate) fn virtual_table(name: String, sql: String, columns: Vec<String>) -> VirtualTable {
    let (_, module, arguments) = parse::virtual_table(&sql).unwrap_or_default();
    VirtualTable {
        name,
        module,
        arguments,
        columns,
        sql,
        own: None,
        missing: None,
    }
}

/// The tables, in lower case, that match a glob.
fn ignored(conn: &Connection, globs: &[String]) -> Result<BTreeSet<String>> {
    if globs.is_empty() {
        return Ok(BTreeSet::new());
    }
    let doing = || "matching the globs of ignored tables".to_owned();
    let matches = vec!["name GLOB ?"; globs.len()].join(" OR ");
    let sql =
        format!("SELECT lower(name) FROM main.sqlite_schema WHERE type = 'table' AND ({matches})");
    let mut statement = conn.prepare(&sql).context(doing)?;
    let names = statement
        .query_map(rusqlite::params_from_iter(globs), |row| row.get(0))
        .context(doing)?;
    names.collect::<rusqlite::Result<_>>().context(doing)
}
