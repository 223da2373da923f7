//! Reads what an app's SQL is, as far as SQLite does not tell: its verb, and the columns that an
//! INSERT names, which SQLite's authorizer is not shown.
//!
//! It is read by SQLite's own lexical rules, so that nothing that SQLite takes for a string or a
//! comment is a statement here, or the other way round. What cannot be read is refused.

use crate::failure::Failure;
use remy_db::internals::sqlite::{Kind, Token, close, tokens};

/// What an app's SQL is.
#[derive(Debug, PartialEq)]
pub(super) struct Statement {
    /// What it does.
    pub(super) verb: Verb,
    /// Whether its RETURNING lists nothing but columns by their names, or `*`.
    pub(super) returns_columns: bool,
}

/// What a statement does.
#[derive(Debug, PartialEq)]
pub(super) enum Verb {
    Select,
    Insert {
        /// Into which table.
        table: String,
        /// The columns that it names; `None` where it writes all of them.
        columns: Option<Vec<String>>,
    },
    Update {
        /// Of which table.
        table: String,
    },
    Delete,
}

/// Refuses SQL, and says what may stand there.
pub(super) fn refused(what: &str) -> Failure {
    Failure::new(
        "sql_refused",
        400,
        format!(
            "SQL of an app is one SELECT, INSERT, UPDATE or DELETE on the app's own tables: {what}. Nothing was run"
        ),
    )
}

impl Statement {
    /// Reads one statement. `sql_refused` where it is none that an app may send, or not readable.
    pub(super) fn read(sql: &str) -> Result<Self, Failure> {
        if sql.contains('\0') {
            return Err(refused("this text holds a NUL"));
        }
        let mut all = tokens(sql);
        if let Some(end) = all.iter().position(|token| token.is(";")) {
            if all.len() > end + 1 {
                return Err(refused("this text holds more than one"));
            }
            all.truncate(end);
        }
        if let Some(odd) = all.iter().find(|token| is_odd(token)) {
            let what = format!("values are written ?, and not {}", odd.text);
            return Err(refused(&what));
        }
        let rest = after_with(&all).ok_or_else(|| refused("this WITH is not readable"))?;
        let verb = read_verb(rest)?;
        Ok(Self {
            verb,
            returns_columns: returns_columns(rest),
        })
    }
}

/// What SQLite reads otherwise than here, or may: names of variables, which may hold parentheses
/// and quotes, and a mark of byte order, which is white space to it.
fn is_odd(token: &Token<'_>) -> bool {
    match token.kind {
        Kind::Value => token.text.starts_with([':', '@', '#']),
        Kind::Word => token.text.starts_with('$') || token.text.contains('\u{feff}'),
        Kind::Quoted | Kind::Text | Kind::Sign => false,
    }
}

/// What follows the WITH of a statement, if it has one.
fn after_with<'t, 's>(all: &'t [Token<'s>]) -> Option<&'t [Token<'s>]> {
    if !all.first().is_some_and(|token| token.is("WITH")) {
        return Some(all);
    }
    let is = |at: usize, what: &str| all.get(at).is_some_and(|token| token.is(what));
    let mut at = if is(1, "RECURSIVE") { 2 } else { 1 };
    loop {
        all.get(at)?.name()?;
        at += 1;
        if is(at, "(") {
            at = close(all, at)? + 1;
        }
        if !is(at, "AS") {
            return None;
        }
        at += 1;
        if is(at, "NOT") {
            at += 1;
        }
        if is(at, "MATERIALIZED") {
            at += 1;
        }
        if !is(at, "(") {
            return None;
        }
        at = close(all, at)? + 1;
        if !is(at, ",") {
            return all.get(at..);
        }
        at += 1;
    }
}

fn read_verb(all: &[Token<'_>]) -> Result<Verb, Failure> {
    let Some(first) = all.first() else {
        return Err(refused("this text holds none"));
    };
    match () {
        () if first.is("SELECT") => Ok(Verb::Select),
        () if first.is("DELETE") => Ok(Verb::Delete),
        () if first.is("UPDATE") => {
            let at = if all.get(1).is_some_and(|token| token.is("OR")) {
                3
            } else {
                1
            };
            let (table, _) =
                table(all, at).ok_or_else(|| refused("this UPDATE is not readable"))?;
            Ok(Verb::Update { table })
        }
        () if first.is("INSERT") || first.is("REPLACE") => {
            insert(all).ok_or_else(|| refused("this INSERT is not readable"))
        }
        () => {
            let what: String = first.text.chars().take(30).collect();
            Err(refused(&format!("this one begins with {what}")))
        }
    }
}

/// `INSERT [OR word] INTO table [AS alias] [(columns)] …`
fn insert(all: &[Token<'_>]) -> Option<Verb> {
    let is = |at: usize, what: &str| all.get(at).is_some_and(|token| token.is(what));
    let mut at = if is(1, "OR") { 3 } else { 1 };
    if !is(at, "INTO") {
        return None;
    }
    at += 1;
    let (table, after) = table(all, at)?;
    at = after;
    if is(at, "AS") {
        all.get(at + 1)?.name()?;
        at += 2;
    }
    if is(at, "DEFAULT") {
        let columns = Some(Vec::new());
        return Some(Verb::Insert { table, columns });
    }
    if !is(at, "(") {
        let columns = None;
        return Some(Verb::Insert { table, columns });
    }
    let inner = all.get(at + 1..close(all, at)?)?;
    let columns = inner
        .split(|token| token.is(","))
        .map(|column| match column {
            [name] => name.name(),
            _ => None,
        })
        .collect::<Option<Vec<_>>>()?;
    let columns = Some(columns);
    Some(Verb::Insert { table, columns })
}

/// The name of a table, after that of its database where one stands there, and what follows it.
fn table(all: &[Token<'_>], at: usize) -> Option<(String, usize)> {
    let name = all.get(at)?.name()?;
    if all.get(at + 1).is_some_and(|token| token.is(".")) {
        return Some((all.get(at + 2)?.name()?, at + 3));
    }
    Some((name, at + 1))
}

fn returns_columns(all: &[Token<'_>]) -> bool {
    let Some(at) = all.iter().rposition(|token| token.is("RETURNING")) else {
        return false;
    };
    all[at + 1..]
        .split(|token| token.is(","))
        .all(|column| match column {
            [one] => one.is("*") || matches!(one.kind, Kind::Word | Kind::Quoted),
            _ => false,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(sql: &str) -> Option<Vec<String>> {
        match Statement::read(sql).unwrap().verb {
            Verb::Insert { table, columns } => {
                assert_eq!(table, "t", "{sql}");
                columns
            }
            other => panic!("{sql}: {other:?}"),
        }
    }

    #[test]
    fn the_columns_of_an_insert_are_read_as_sqlite_reads_them() {
        for sql in [
            "INSERT INTO t (a, b) VALUES (1, 2)",
            "insert or replace into main . t(\"a\",[b])values(1,2);",
            "REPLACE INTO 't' AS x ('a', `b`) SELECT 1, 2 -- INSERT INTO t (id)",
            "/* INSERT INTO t (id) */ INSERT INTO t(a,b) SELECT ')', 'INSERT INTO t (id)'",
            "WITH RECURSIVE c(x) AS NOT MATERIALIZED (SELECT ')' UNION SELECT (1)), d AS (SELECT 2) INSERT INTO t(a,b) SELECT * FROM c, d",
        ] {
            assert_eq!(columns(sql).unwrap(), ["a", "b"], "{sql}");
        }
        assert_eq!(columns("INSERT INTO t VALUES (1)"), None);
        assert_eq!(columns("INSERT INTO t SELECT (id) FROM t"), None);
        assert_eq!(columns("INSERT INTO t DEFAULT VALUES").unwrap(), [""; 0]);
    }

    #[test]
    fn what_may_be_read_in_two_ways_is_refused() {
        for sql in [
            "",
            "-- nothing",
            "SELECT 1; SELECT 2",
            "WITH c(x) AS (SELECT $a(')) INSERT INTO t(id) SELECT ' INSERT INTO t(a) VALUES (1) --') SELECT 1",
            "INSERT INTO t (a) VALUES (:id)",
            "INSERT INTO t (a) VALUES (@id)",
            "\u{feff}INSERT INTO t (a) VALUES (1)",
            "SELECT 1 \0; DROP TABLE t",
            "INSERT INTO t (a.b) VALUES (1)",
            "WITH c AS SELECT 1",
            "EXPLAIN SELECT 1",
            "VALUES (1)",
            "COMMIT",
        ] {
            let e = Statement::read(sql).unwrap_err();
            assert_eq!(e.code, "sql_refused", "{sql}");
        }
    }

    #[test]
    fn a_returning_of_columns_is_told_from_one_of_expressions() {
        let plain = |sql: &str| Statement::read(sql).unwrap().returns_columns;
        assert!(plain("UPDATE t SET a = 1 RETURNING *"));
        assert!(plain("UPDATE t SET a = 1 RETURNING id, \"a\""));
        assert!(!plain("UPDATE t SET a = 1 RETURNING id, a + 1"));
        assert!(!plain("UPDATE t SET a = 1 RETURNING id, 1 AS updated_at"));
        assert!(!plain("UPDATE t SET a = 1"));
    }
}
