//! What dumps hold beside a schema: `.dump` of SQLite's shell, Rails' `structure.sql`, dbmate's
//! `schema.sql`, exports of D1.

use crate::{
    schema::{Schema, introspect, parse},
    sqlite::lex,
};
use std::{borrow::Cow, collections::BTreeMap};

/// What a statement of a declared schema is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    /// It creates an object.
    Create,
    /// It changes an object that an earlier statement has created.
    Change,
    /// It is skipped.
    Skip,
    /// It is skipped, and would put rows into this table.
    Rows(String),
    /// It is no part of a schema.
    Refuse,
}

/// What a statement is, by its first tokens; `tokens` may go on behind it.
pub(crate) fn part(tokens: &[lex::Token<'_>]) -> Part {
    let is = |at: usize, words: &[&str]| {
        tokens
            .get(at)
            .is_some_and(|token| words.iter().any(|word| token.is(word)))
    };
    match tokens
        .first()
        .map(|first| first.text.to_ascii_uppercase())
        .unwrap_or_default()
        .as_str()
    {
        "CREATE" if is(1, &["TEMP", "TEMPORARY"]) => Part::Refuse,
        "CREATE" => Part::Create,
        "DROP" | "ALTER" => Part::Change,
        "PRAGMA" | "BEGIN" | "COMMIT" | "END" | "ANALYZE" => Part::Skip,
        // INSERT INTO, INSERT OR REPLACE INTO, REPLACE INTO, DELETE FROM.
        verb @ ("INSERT" | "REPLACE" | "DELETE") => {
            let Some(at) = tokens
                .iter()
                .take(4)
                .position(|token| token.is("INTO") || token.is("FROM"))
            else {
                return Part::Refuse;
            };
            let at = if tokens.get(at + 2).is_some_and(|token| token.is(".")) {
                at + 3
            } else {
                at + 1
            };
            match tokens.get(at).and_then(lex::Token::name) {
                // Whoever wrote it wants another schema than the statements that are run.
                Some(table) if is_schema_table(&table) => Part::Refuse,
                // SQLite's own: sequences and statistics.
                Some(table) if introspect::is_internal(&table) => Part::Skip,
                Some(table) if verb != "DELETE" => Part::Rows(table),
                _ => Part::Refuse,
            }
        }
        _ => Part::Refuse,
    }
}

fn is_schema_table(name: &str) -> bool {
    ["sqlite_schema", "sqlite_master"]
        .iter()
        .any(|table| table.eq_ignore_ascii_case(name))
}

/// Replaces the row of `sqlite_schema` as which `.dump` writes a virtual table by its CREATE
/// VIRTUAL TABLE. Everything else keeps its line and column.
pub(crate) fn with_virtual_tables(sql: &str) -> Cow<'_, str> {
    if !sql.to_ascii_lowercase().contains("writable_schema") {
        return Cow::Borrowed(sql);
    }
    let tokens = lex::tokens(sql);
    let mut out = String::new();
    let mut copied = 0;
    for (at, first) in tokens.iter().enumerate() {
        let begins = at == 0 || tokens[at - 1].is(";");
        if !begins || !first.is("INSERT") {
            continue;
        }
        let statement = tokens[at..]
            .split(|token| token.is(";"))
            .next()
            .unwrap_or_default();
        let Some(create) = virtual_table(statement) else {
            continue;
        };
        let end = statement[statement.len() - 1].end();
        // The statement is shorter than the row that holds it.
        let room = end - first.start;
        out.push_str(&sql[copied..first.start]);
        out.push_str(&create);
        out.extend(std::iter::repeat_n(' ', room.saturating_sub(create.len())));
        copied = end;
    }
    out.push_str(&sql[copied..]);
    Cow::Owned(out)
}

/// The statement in `INSERT INTO
/// sqlite_schema(type,name,tbl_name,rootpage,sql)VALUES('table','f','f',0,'CREATE VIRTUAL TABLE
/// …')`.
fn virtual_table(statement: &[lex::Token<'_>]) -> Option<String> {
    let table = statement.get(2)?.name()?;
    let [.., before, row, close] = statement else {
        return None;
    };
    let is_row =
        statement[1].is("INTO") && is_schema_table(&table) && before.is(",") && close.is(")");
    let create = row
        .name()
        .filter(|_| is_row && row.kind == lex::Kind::Text)?;
    parse::virtual_table(&create).is_some().then_some(create)
}

/// The warnings about the INSERTs of a schema that were skipped, counted by table. Those into
/// SQLite's own tables and those of virtual tables are not mentioned.
pub(crate) fn warning(rows: &BTreeMap<String, u64>, schema: &Schema) -> Option<String> {
    let is_there = |name: &str| {
        let mut tables = schema
            .tables
            .iter()
            .map(|t| &t.name)
            .chain(schema.virtual_tables.iter().map(|t| &t.name));
        tables.any(|table| table.eq_ignore_ascii_case(name))
            || !schema.names.contains(&name.to_ascii_lowercase())
    };
    let told: Vec<_> = rows.iter().filter(|(table, _)| is_there(table)).collect();
    let all: u64 = told.iter().map(|(_, n)| **n).sum();
    let list: Vec<String> = told
        .iter()
        .map(|(table, n)| format!("{n} into {table}"))
        .collect();
    let (inserts, were) = if all == 1 {
        ("INSERT", "was")
    } else {
        ("INSERTs", "were")
    };
    (all > 0).then(|| {
        format!(
            "{all} {inserts} of the declared schema {were} passed over ({}): a schema has no rows, which a migration puts in",
            list.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_statements_of_a_dump_are() {
        let rows = |table: &str| Part::Rows(table.to_owned());
        for (sql, expected) in [
            ("INSERT INTO t VALUES (1)", rows("t")),
            (
                "insert or ignore into main.\"a b\" (x) values (1)",
                rows("a b"),
            ),
            ("REPLACE INTO 't' SELECT 1", rows("t")),
            ("INSERT INTO sqlite_sequence VALUES ('t', 1)", Part::Skip),
            ("DELETE FROM sqlite_sequence", Part::Skip),
            ("DELETE FROM t", Part::Refuse),
            ("INSERT INTO sqlite_schema VALUES (1)", Part::Refuse),
            ("DELETE FROM sqlite_master", Part::Refuse),
            ("UPDATE t SET a = 1", Part::Refuse),
            ("ROLLBACK", Part::Refuse),
            ("BEGIN TRANSACTION", Part::Skip),
            ("CREATE TEMP TABLE t (a)", Part::Refuse),
            ("CREATE TABLE t (a)", Part::Create),
        ] {
            assert_eq!(part(&lex::tokens(sql)), expected, "{sql}");
        }
    }

    #[test]
    fn a_virtual_table_of_a_dump_is_made_and_nothing_moves() {
        let row = "INSERT INTO sqlite_schema(type,name,tbl_name,rootpage,sql)VALUES('table','f','f',0,'CREATE VIRTUAL TABLE f USING fts5(a, tokenize=''ascii'')')";
        let dump = format!("PRAGMA writable_schema=ON;\n{row};\nCREATE TABLE t (a);");
        let read = with_virtual_tables(&dump);
        assert!(
            read.contains("\nCREATE VIRTUAL TABLE f USING fts5(a, tokenize='ascii')  "),
            "{read}"
        );
        assert_eq!(
            (read.len(), read.find("CREATE TABLE t")),
            (dump.len(), dump.find("CREATE TABLE t"))
        );
        let other = row.replace(
            "VIRTUAL TABLE f USING fts5(a, tokenize=''ascii'')",
            "TABLE f(a)",
        );
        let dump = format!("PRAGMA writable_schema=ON; {other};");
        assert_eq!(with_virtual_tables(&dump), dump);
    }
}
