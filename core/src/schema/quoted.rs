//! Strings in double quotes: what SQLite takes for a name where there is one of that name, and for
//! a text where there is none.
//!
//! Dropping a column silently turns its name into a string: `CHECK ("b" <> '')` always holds, a
//! view returns `b`, an index on `"b"` admits one row. Adding a column turns the string into a
//! name: `WHERE s = "open"` compares with the column `open`. So SQLite is asked before a change and
//! after it which words of a statement are strings, and a change that turns one into the other is
//! refused.

use crate::{
    base::error::{Context, Error, Result},
    schema::{Schema, Table},
    sqlite::{
        lex::{self, Kind},
        quote::literal,
        strangers::{self, StandIns},
    },
};
use rusqlite::{Connection, config::DbConfig};
use std::collections::{BTreeMap, BTreeSet};

/// The words in double quotes that a statement uses as strings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Strings {
    /// Where they stand, among its tokens, and what they say. One word may be a name in one part of
    /// a statement and a text in another.
    places: BTreeMap<usize, String>,
}

impl Strings {
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }
}

/// Finds the words in double quotes that a statement uses as strings, and what else keeps it from
/// compiling. `compile` compiles a text on a connection that allows no such strings, and returns
/// SQLite's message.
pub(crate) fn strings(
    text: &str,
    mut compile: impl FnMut(&str) -> std::result::Result<(), String>,
) -> (Strings, Option<String>) {
    let mut places = BTreeMap::new();
    loop {
        let without = as_texts(text, &places, None);
        let Err(why) = compile(&without) else { break };
        let found = missing(&why)
            .map(|name| places_of(text, name))
            .unwrap_or_default();
        let before = places.len();
        places.extend(found);
        if places.len() == before {
            return (Strings { places }, Some(why));
        }
    }
    // SQLite is asked about each occurrence of a word by itself.
    let again = |name: &String| places.values().filter(|other| *other == name).count() > 1;
    let doubtful: Vec<usize> = places
        .iter()
        .filter(|(_, name)| again(name))
        .map(|(at, _)| *at)
        .collect();
    let names: Vec<usize> = doubtful
        .iter()
        .copied()
        .filter(|at| compile(&as_texts(text, &places, Some(*at))).is_ok())
        .collect();
    if !doubtful.is_empty() {
        // What was compiled last stays on the caller's connection.
        let _ = compile(&as_texts(text, &places, None));
    }
    names.iter().for_each(|at| drop(places.remove(at)));
    (Strings { places }, None)
}

/// The column that a message says to be missing.
fn missing(why: &str) -> Option<&str> {
    let name = strangers::missing_column(why)?;
    Some(
        name.strip_prefix('"')
            .and_then(|name| name.strip_suffix('"'))
            .unwrap_or(name),
    )
}

/// Where `"name"` stands in `sql`, among its tokens.
fn places_of(sql: &str, name: &str) -> Vec<(usize, String)> {
    let is_it =
        |token: &lex::Token<'_>| in_double_quotes(token) && token.name().is_some_and(|n| n == name);
    let places = lex::tokens(sql)
        .iter()
        .enumerate()
        .filter(|(_, token)| is_it(token))
        .map(|(at, _)| at)
        .collect::<Vec<_>>();
    places.into_iter().map(|at| (at, name.to_owned())).collect()
}

fn in_double_quotes(token: &lex::Token<'_>) -> bool {
    token.kind == Kind::Quoted && token.text.starts_with('"')
}

/// `sql` with what stands at `places`, `but` for one of them, in single quotes.
fn as_texts(sql: &str, places: &BTreeMap<usize, String>, but: Option<usize>) -> String {
    let tokens = lex::tokens(sql);
    let mut text = sql.to_owned();
    for (at, name) in places.iter().rev().filter(|(at, _)| Some(**at) != but) {
        text.replace_range(tokens[*at].start..tokens[*at].end(), &literal(name));
    }
    text
}

/// A statement, and what it has for strings.
pub(crate) type WithStrings<'a> = (&'a str, &'a Strings);

/// Refuses a statement in which a name has become a string, or a string a name.
pub(crate) fn refuse(
    what: &str,
    (old, before): WithStrings<'_>,
    (new, now): WithStrings<'_>,
) -> Result<()> {
    if before.is_empty() && now.is_empty() {
        return Ok(());
    }
    let was: BTreeSet<&String> = before.places.values().collect();
    let stays: BTreeMap<usize, usize> = lex::in_both(old, new)
        .into_iter()
        .map(|(old, new)| (new, old))
        .collect();
    let was_name = |(at, name): &(&usize, &String)| match stays.get(at) {
        Some(old) => !before.places.contains_key(old),
        None => !was.contains(name),
    };
    if let Some((_, name)) = now.places.iter().find(was_name) {
        return Err(Error::check_failed(format!(
            "{what} would take \"{name}\" for the text '{name}': there is no such column any more"
        ))
        .object(what)
        .hint(format!(
            "Declare it for the columns that there are to be; if the text is meant, write {}",
            literal(name)
        )));
    }
    let tokens = lex::tokens(new);
    let text_was_here = |(at, old): (&usize, &usize)| {
        // A word behind a `.` is never a string.
        let told = at.checked_sub(1).is_some_and(|point| tokens[point].is("."));
        let name = before
            .places
            .get(old)
            .filter(|_| !told && !now.places.contains_key(at))?;
        in_double_quotes(&tokens[*at]).then_some(name)
    };
    let Some(name) = stays.iter().find_map(text_was_here) else {
        return Ok(());
    };
    Err(Error::check_failed(format!(
        "{what} would take \"{name}\" for a column of that name, and has taken it for the text '{name}' until now"
    ))
    .object(what)
    .hint(format!(
        "Write {} there for the text; if the column is meant, write it with the name of its table before it",
        literal(name)
    )))
}

/// The warning about a new statement that uses a word in double quotes as a string: often a typing
/// error.
pub(crate) fn warning(what: &str, strings: &Strings) -> Option<String> {
    let name = strings.places.values().min()?;
    Some(format!(
        "{what} takes \"{name}\" for the text '{name}': there is no such column"
    ))
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
    /// Whether a word in double quotes, where a string may stand, names no column. Few statements
    /// have one, and SQLite is asked about those alone.
    doubtful: bool,
}

impl Statements {
    /// Those of a schema.
    pub(crate) fn of(schema: &Schema) -> Self {
        let tables = schema.tables.iter().map(|table| {
            let checks = table.checks.iter().map(|check| &check.expr);
            let generated = table
                .columns
                .iter()
                .filter_map(|column| column.generated.as_ref())
                .map(|g| &g.expr);
            let doubtful = table.opaque
                || checks
                    .chain(generated)
                    .any(|expr| doubts(expr, table, None));
            let statement = Statement {
                name: table.name.clone(),
                table: None,
                sql: table.sql.clone(),
                doubtful,
            };
            ((true, table.name.to_ascii_lowercase()), statement)
        });
        let indexes = schema.indexes.iter().map(|index| {
            let table = schema.table(&index.table);
            let doubtful = table.is_none_or(|table| doubts(&index.sql, table, Some(&index.name)));
            let table = table.map(|table| table.sql.clone());
            let statement = Statement {
                name: index.name.clone(),
                table,
                sql: index.sql.clone(),
                doubtful,
            };
            ((false, index.name.to_ascii_lowercase()), statement)
        });
        Self(tables.chain(indexes).collect())
    }

    /// Refuses tables and indexes of `declared` in which a name has become a string; returns
    /// warnings about new ones that have a string. `renamed` maps the names of tables before the
    /// change to their declared names, in lower case.
    pub(crate) fn still_name(
        &self,
        declared: &Self,
        renamed: &BTreeMap<String, String>,
    ) -> Result<Vec<String>> {
        let mut warnings = Vec::new();
        let before = |is_table: bool, name: &String| {
            let old = renamed
                .iter()
                .find(|(_, to)| is_table && to.eq_ignore_ascii_case(name))
                .map(|(from, _)| from);
            self.0.get(&(is_table, old.unwrap_or(name).clone()))
        };
        for ((is_table, name), statement) in &declared.0 {
            let before = before(*is_table, name);
            // The same text for the same table means the same.
            if before == Some(statement) {
                continue;
            }
            let what = format!(
                "the {} {}",
                if *is_table { "table" } else { "index" },
                statement.name
            );
            let strings = statement.strings()?;
            match before {
                Some(before) => refuse(
                    &what,
                    (&before.sql, &before.strings()?),
                    (&statement.sql, &strings),
                )?,
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
            || [Some(table.name.as_str()), index]
                .iter()
                .flatten()
                .any(|n| n.eq_ignore_ascii_case(name))
    };
    let is_doubtful = |token: &lex::Token<'_>| {
        in_double_quotes(token) && token.name().is_some_and(|name| !known(&name))
    };
    lex::tokens(sql).iter().any(is_doubtful)
}

impl Statement {
    /// Asks an empty database for the statement's strings: SQLite resolves the names in a table's
    /// constraints and in an index when they are created, and only then checks whether strings in
    /// double quotes are allowed.
    fn strings(&self) -> Result<Strings> {
        if !self.doubtful {
            return Ok(Strings::default());
        }
        let doing = || format!("reading the names of {}", self.name);
        let conn = Connection::open_in_memory().context(doing)?;
        let stand_ins = StandIns::to_stay(&conn);
        let run = |sql: &str| loop {
            // Undone, to be made again.
            let made = conn
                .unchecked_transaction()
                .and_then(|made| made.execute_batch(sql));
            let Err(e) = made else { return Ok(()) };
            let why = crate::base::error::sqlite_message(&e);
            if !stand_ins.take_place(&why) {
                return Err(why);
            }
        };
        let setting = DbConfig::SQLITE_DBCONFIG_DQS_DDL;
        conn.set_db_config(setting, true).context(doing)?;
        if let Some(table) = &self.table {
            // A statement that does not run here tells nothing; the rehearsal on the clone will
            // tell.
            while let Err(e) = conn.execute_batch(table)
                && stand_ins.take_place(&crate::base::error::sqlite_message(&e))
            {}
        }
        conn.set_db_config(setting, false).context(doing)?;
        Ok(strings(&self.sql, run).0)
    }
}
