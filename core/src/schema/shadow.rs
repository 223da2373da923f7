//! Which tables belong to virtual tables.
//!
//! No name tells: `doc_content` beside `doc` is FTS5's own, or a table of the user's whose text
//! `doc` indexes, and SQLite's `xShadowName` goes by the ending alone. So each virtual table is
//! made once more in an empty database: what appears beside it there is its module's. Where the
//! module is not here, whatever may be its own stays.

use crate::{
    base::error::{Context, Result, sqlite_message},
    schema::{Claim, VirtualTable},
    sqlite::{
        lex, libraries,
        quote::{ident, idents},
    },
};
use rusqlite::Connection;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

/// SQLite's own modules. They make all of their tables at once, but for FTS3's `stat`, which its
/// first merge makes.
const OF_SQLITE: &[&str] = &[
    "dbstat",
    "fts3",
    "fts3tokenize",
    "fts4",
    "fts4aux",
    "fts5",
    "fts5vocab",
    "geopoly",
    "rtree",
    "rtree_i32",
    "sqlite_dbpage",
];

/// Records for each of `virtuals`, tables of the database of `conn`, which of the ordinary `tables`
/// (names and statements) belong to it. Returns those that may belong to one. `libraries` are
/// loadable extensions with modules.
pub(crate) fn find(
    conn: &Connection,
    virtuals: &mut [VirtualTable],
    tables: &[(&str, &str)],
    libraries: &[PathBuf],
) -> Result<Vec<Claim>> {
    if virtuals.is_empty() {
        return Ok(Vec::new());
    }
    let scratch = scratch(libraries)?;
    // What is indexed, which may be a virtual table as well, comes before its index.
    let (indexes, others): (Vec<_>, Vec<_>) = virtuals
        .iter_mut()
        .partition(|table| table.option("content").is_some());
    for table in others.into_iter().chain(indexes) {
        match made(&scratch, conn, table, tables)? {
            Ok(own) => table.own = Some(own),
            Err(why) => table.missing = Some(why),
        }
    }
    let owned: BTreeSet<String> = virtuals
        .iter()
        .filter_map(|table| table.own.as_ref())
        .flatten()
        .cloned()
        .collect();
    let mut claims = Vec::new();
    for table in &*virtuals {
        let whole = OF_SQLITE.contains(&table.module.to_ascii_lowercase().as_str());
        if table.own.is_some() && whole {
            continue;
        }
        let prefix = format!("{}_", table.name.to_ascii_lowercase());
        let others: Vec<&str> = tables
            .iter()
            .map(|(name, _)| *name)
            .filter(|name| {
                let lower = name.to_ascii_lowercase();
                lower.starts_with(&prefix) && !owned.contains(&lower)
            })
            .collect();
        if others.is_empty() {
            continue;
        }
        let said = table
            .own
            .as_ref()
            .map(|own| said(table, own, &others, libraries))
            .transpose()?
            .flatten();
        let claimed = others
            .into_iter()
            .filter(|name| said.as_ref().is_none_or(|said| said.contains(*name)));
        claims.extend(claimed.map(|name| Claim {
            table: name.to_owned(),
            by: table.name.clone(),
            said: said.is_some(),
        }));
    }
    Ok(claims)
}

/// An empty database in memory, with the modules of `libraries`.
fn scratch(libraries: &[PathBuf]) -> Result<Connection> {
    let conn =
        Connection::open_in_memory().context(|| "opening a database in memory".to_owned())?;
    libraries::load_extensions(&conn, libraries)?;
    Ok(conn)
}

/// Makes a virtual table: only the first statement of a text that nobody need have checked.
fn make(scratch: &Connection, table: &VirtualTable) -> rusqlite::Result<()> {
    let mut statement = scratch.prepare(&table.sql)?;
    statement.raw_execute().map(|_| ())
}

/// The names, in lower case, of those of `tables` that `table` makes; what SQLite says where it
/// cannot be made here.
fn made(
    scratch: &Connection,
    conn: &Connection,
    table: &VirtualTable,
    tables: &[(&str, &str)],
) -> Result<std::result::Result<BTreeSet<String>, String>> {
    if let Some(content) = table
        .option("content")
        .filter(|content| !content.is_empty())
    {
        stand_in(scratch, conn, &content);
    }
    let before = names(scratch)?;
    if let Err(e) = make(scratch, table) {
        return Ok(Err(sqlite_message(&e)));
    }
    // FTS3 makes the table of its settings when the first is set, and both it and FTS4 take one
    // that is there for it: whose it is its definition tells.
    let settings = ["fts3", "fts4"]
        .iter()
        .any(|module| table.module.eq_ignore_ascii_case(module));
    let settings = settings.then(|| format!("{}_stat", table.name.to_ascii_lowercase()));
    if settings.is_some() {
        let name = ident(&table.name);
        let _ = scratch.execute_batch(&format!(
            "INSERT INTO {name} ({name}) VALUES ('automerge=8')"
        ));
    }
    let is_own = |made: &(String, String)| {
        !before.contains_key(&made.0)
            && (settings.as_ref() != Some(&made.0)
                || tables.iter().any(|table| is_same(*table, made)))
    };
    let own = names(scratch)?
        .into_iter()
        .filter(is_own)
        .map(|(name, _)| name)
        .collect();
    Ok(Ok(own))
}

/// FTS4 without columns takes those of the table whose content it indexes.
fn stand_in(scratch: &Connection, conn: &Connection, content: &str) {
    let columns = conn
        .prepare("SELECT name FROM pragma_table_xinfo(?1, 'main') ORDER BY cid")
        .and_then(|mut s| {
            s.query_map([content], |row| row.get(0))?
                .collect::<rusqlite::Result<Vec<String>>>()
        })
        .unwrap_or_default();
    // What cannot be made is not there; making the virtual table then tells.
    let sql = format!(
        "CREATE TABLE IF NOT EXISTS {} ({})",
        ident(content),
        idents(&columns)
    );
    let _ = scratch.execute_batch(&sql);
}

/// Which of `others` the module says are its own, as SQLite asks it; `None` where it says nothing
/// of its tables.
pub(super) fn said(
    table: &VirtualTable,
    own: &BTreeSet<String>,
    others: &[&str],
    libraries: &[PathBuf],
) -> Result<Option<BTreeSet<String>>> {
    if rusqlite::version_number() < 3_037_000 {
        return Ok(None);
    }
    let doing = || format!("asking the module of {} for its tables", table.name);
    // SQLite asks of the tables that are there when the virtual one comes.
    let scratch = scratch(libraries)?;
    for name in others {
        scratch
            .execute_batch(&format!("CREATE TABLE {} (x)", ident(name)))
            .context(doing)?;
    }
    if make(&scratch, table).is_err() {
        return Ok(None);
    }
    let sql = "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'shadow'";
    let mut statement = scratch.prepare(sql).context(doing)?;
    let found: BTreeSet<String> = statement
        .query_map([], |row| row.get(0))
        .and_then(Iterator::collect)
        .context(doing)?;
    let speaks = found
        .iter()
        .any(|name| own.contains(&name.to_ascii_lowercase()))
        || others.iter().any(|name| found.contains(*name));
    Ok(speaks.then_some(found))
}

/// The ordinary tables of a database by their names in lower case, with their statements.
fn names(conn: &Connection) -> Result<BTreeMap<String, String>> {
    let doing = || "reading the tables of a module".to_owned();
    let sql = "SELECT lower(name), coalesce(sql, '') FROM sqlite_schema WHERE type = 'table' AND rootpage > 0";
    let mut statement = conn.prepare(sql).context(doing)?;
    statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .and_then(Iterator::collect::<rusqlite::Result<_>>)
        .context(doing)
}

/// Whether a table is that of a module, by its name and what it is made of.
fn is_same((name, sql): (&str, &str), (module_name, module_sql): &(String, String)) -> bool {
    let body = |sql: &str| {
        let tokens = lex::tokens(sql);
        let open = tokens.iter().position(|token| token.is("(")).unwrap_or(0);
        lex::meaning(&tokens[open..], &|_| None)
    };
    name.eq_ignore_ascii_case(module_name) && body(sql) == body(module_sql)
}
