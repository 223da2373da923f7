//! Whether a text is spelled as SQL, and not as a path that has a `;` or a bracket in it.

use crate::sqlite::lex::{self, Kind};

/// What begins a statement of SQLite's.
const VERBS: &[&str] = &[
    "ALTER",
    "ANALYZE",
    "ATTACH",
    "BEGIN",
    "COMMIT",
    "CREATE",
    "DELETE",
    "DETACH",
    "DROP",
    "END",
    "EXPLAIN",
    "INSERT",
    "PRAGMA",
    "REINDEX",
    "RELEASE",
    "REPLACE",
    "ROLLBACK",
    "SAVEPOINT",
    "SELECT",
    "UPDATE",
    "VACUUM",
    "VALUES",
    "WITH",
];

/// It has several lines, ends with a `;`, or begins as a statement does.
pub(crate) fn is_sql(text: &str) -> bool {
    let text = text.trim();
    let tokens = lex::tokens(text);
    let verb = tokens
        .first()
        .is_some_and(|first| VERBS.iter().any(|verb| first.is(verb)));
    let word = tokens
        .get(1)
        .is_some_and(|second| matches!(second.kind, Kind::Word | Kind::Quoted));
    text.contains('\n') || text.ends_with(';') || (verb && word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_no_sql() {
        for sql in [
            "CREATE TABLE t(a)",
            "create table \"a\" (b);",
            ";",
            "-- what for\nCREATE",
            "TABEL t (a);",
            "PRAGMA user_version",
        ] {
            assert!(is_sql(sql), "{sql}");
        }
        for path in [
            "nothere (1)",
            "/srv/app (copy)/schema",
            "a;b",
            "update (1)",
            "create;x",
            "/srv/* (2)",
        ] {
            assert!(!is_sql(path), "{path}");
        }
    }
}
