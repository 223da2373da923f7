//! Strings in double quotes: what SQLite takes for a name where there is one of that name, and for a text where there is none.
//!
//! A column that goes turns the name into a text without a word: `CHECK ("b" <> '')` holds always, a view gives `b`, an index on
//! `"b"` takes one row. So what an object has for strings is asked of SQLite before a change and after: no name becomes one.
use crate::{
    error::{Context, Error, Result},
    quote::literal,
    schema::{
        Schema, Table,
        lex::{self, Kind},
    },
    strangers::StandIns,
};
use rusqlite::{Connection, config::DbConfig};
use std::collections::{BTreeMap, BTreeSet};

/// What in a statement is in double quotes and is a string, and what else keeps it from being compiled. `compile` is given its text,
/// on a connection that takes no such strings, and answers with SQLite's words.
pub(crate) fn strings(
    text: &str,
    mut compile: impl FnMut(&str) -> std::result::Result<(), String>,
) -> (BTreeSet<String>, Option<String>) {
    let mut found = BTreeSet::new();
    let mut text = text.to_owned();
    loop {
        let Err(why) = compile(&text) else { return (found, None) };
        let Some((name, without)) = missing(&why).and_then(|name| Some((name, as_text(&text, name)?))) else {
            return (found, Some(why));
        };
        found.insert(name.to_owned());
        text = without;
    }
}

/// The column that a message says to be missing. Newer ones go on to ask whether a string was meant.
fn missing(why: &str) -> Option<&str> {
    let (_, name) = why.split_once("no such column: ")?;
    let name = name.split(" - should this be").next().unwrap_or(name);
    Some(name.strip_prefix('"').and_then(|name| name.strip_suffix('"')).unwrap_or(name))
}

/// `sql` with `"name"` in single quotes; `None` where there is none.
fn as_text(sql: &str, name: &str) -> Option<String> {
    let is_it = |token: &&lex::Token<'_>| {
        token.kind == Kind::Quoted && token.text.starts_with('"') && token.name().is_some_and(|n| n == name)
    };
    let tokens = lex::tokens(sql);
    let places: Vec<_> = tokens.iter().filter(is_it).map(|token| token.start..token.end()).collect();
    let mut text = sql.to_owned();
    for place in places.iter().rev() {
        text.replace_range(place.clone(), &literal(name));
    }
    (!places.is_empty()).then_some(text)
}

/// Refuses what takes a text for what was a name before.
pub(crate) fn refuse(what: &str, before: &BTreeSet<String>, now: &BTreeSet<String>) -> Result<()> {
    let Some(name) = now.difference(before).next() else { return Ok(()) };
    Err(Error::check_failed(format!(
        "{what} would take \"{name}\" for the text '{name}': there is no such column any more"
    ))
    .object(what)
    .hint(format!("Declare it for the columns that there are to be; if the text is meant, write {}", literal(name))))
}

/// A warning for what is new and takes a name in double quotes for a text: a slip of the pen, often.
pub(crate) fn warning(what: &str, strings: &BTreeSet<String>) -> Option<String> {
    let name = strings.first()?;
    Some(format!("{what} takes \"{name}\" for the text '{name}': there is no such column"))
}

/// The statements of tables and indexes, by kind and name in lower case.
#[derive(Debug, Clone, Default)]
pub(crate) struct Statements(BTreeMap<(bool, String), Statement>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Statement {
    name: String,
    /// The statement of an index's table, before its own.
    table: Option<String>,
    sql: String,
    /// Something in double quotes, where it may be a string, names no column. Few have that, and SQLite is asked of those.
    doubtful: bool,
}

impl Statements {
    /// Those of a schema.
    pub(crate) fn of(schema: &Schema) -> Self {
        let tables = schema.tables.iter().map(|table| {
            let checks = table.checks.iter().map(|check| &check.expr);
            let generated = table.columns.iter().filter_map(|column| column.generated.as_ref()).map(|g| &g.expr);
            let doubtful = table.opaque || checks.chain(generated).any(|expr| doubts(expr, table, None));
            let statement = Statement { name: table.name.clone(), table: None, sql: table.sql.clone(), doubtful };
            ((true, table.name.to_ascii_lowercase()), statement)
        });
        let indexes = schema.indexes.iter().map(|index| {
            let table = schema.table(&index.table);
            let doubtful = table.is_none_or(|table| doubts(&index.sql, table, Some(&index.name)));
            let table = table.map(|table| table.sql.clone());
            let statement = Statement { name: index.name.clone(), table, sql: index.sql.clone(), doubtful };
            ((false, index.name.to_ascii_lowercase()), statement)
        });
        Self(tables.chain(indexes).collect())
    }

    /// Refuses tables and indexes of `declared` that take a text for what was a name; gives warnings of those that are new and
    /// have a string. `renamed` has the declared names of tables by those before, in lower case.
    pub(crate) fn still_name(&self, declared: &Self, renamed: &BTreeMap<String, String>) -> Result<Vec<String>> {
        let mut warnings = Vec::new();
        let before = |is_table: bool, name: &String| {
            let old = renamed.iter().find(|(_, to)| is_table && to.eq_ignore_ascii_case(name)).map(|(from, _)| from);
            self.0.get(&(is_table, old.unwrap_or(name).clone()))
        };
        for ((is_table, name), statement) in &declared.0 {
            let before = before(*is_table, name);
            // The same text for the same table means the same.
            if before == Some(statement) || !statement.doubtful {
                continue;
            }
            let strings = statement.strings()?;
            if strings.is_empty() {
                continue;
            }
            let what = format!("the {} {}", if *is_table { "table" } else { "index" }, statement.name);
            match before {
                Some(before) => refuse(&what, &before.strings()?, &strings)?,
                None => warnings.extend(warning(&what, &strings)),
            }
        }
        Ok(warnings)
    }
}

/// Whether something in double quotes is no name of a table, its columns or this index.
fn doubts(sql: &str, table: &Table, index: Option<&str>) -> bool {
    let known = |name: &str| {
        table.column(name).is_some()
            || [Some(table.name.as_str()), index].iter().flatten().any(|n| n.eq_ignore_ascii_case(name))
    };
    let is_doubtful = |token: &lex::Token<'_>| {
        token.kind == Kind::Quoted && token.text.starts_with('"') && token.name().is_some_and(|name| !known(&name))
    };
    lex::tokens(sql).iter().any(is_doubtful)
}

impl Statement {
    /// What it has for strings, asked of an empty database: SQLite resolves the names of a table's constraints and of an index when
    /// they are made, and only then asks whether strings in double quotes are to be had.
    fn strings(&self) -> Result<BTreeSet<String>> {
        let doing = || format!("reading the names of {}", self.name);
        let conn = Connection::open_in_memory().context(doing)?;
        let stand_ins = StandIns::to_stay(&conn);
        let run = |sql: &str| loop {
            let Err(e) = conn.execute_batch(sql) else { return Ok(()) };
            let why = crate::error::sqlite_message(&e);
            if !stand_ins.take_place(&why) {
                return Err(why);
            }
        };
        let setting = DbConfig::SQLITE_DBCONFIG_DQS_DDL;
        conn.set_db_config(setting, true).context(doing)?;
        if let Some(table) = &self.table {
            // What cannot be made here says nothing; the clone will.
            let _ = run(table);
        }
        conn.set_db_config(setting, false).context(doing)?;
        Ok(strings(&self.sql, run).0)
    }
}
