//! Whether views and triggers can be used: SQLite takes a view of a column that is gone, and a trigger on it, and says so
//! only when somebody reads or writes. By then it would be live.
use crate::{
    error::{Context, Error, Result, sqlite_message},
    quote::ident,
    schema::lex,
};
use rusqlite::Connection;
use std::collections::BTreeMap;

/// What cannot be used, and why: `the view named`, `an INSERT into users`.
pub(crate) type Unusable = BTreeMap<String, String>;

/// Compiles a SELECT from each view, and for each trigger the statement that fires it. Nothing is run.
pub(crate) fn unusable(conn: &Connection) -> Result<Unusable> {
    let doing = || "looking for views and triggers".to_owned();
    let mut query = conn
        .prepare("SELECT type, name, tbl_name, sql FROM main.sqlite_schema WHERE type IN ('view', 'trigger')")
        .context(doing)?;
    let mut rows = query.query([]).context(doing)?;
    let mut statements: BTreeMap<String, String> = BTreeMap::new();
    while let Some(row) = rows.next().context(doing)? {
        let text = |i| row.get::<_, Option<String>>(i).map(Option::unwrap_or_default).context(doing);
        let (kind, name, table, sql) = (text(0)?, text(1)?, text(2)?, text(3)?);
        if kind == "view" {
            statements.insert(format!("the view {name}"), format!("SELECT * FROM main.{}", ident(&name)));
        } else {
            let (what, statement) = firing(conn, &table, &sql)?;
            statements.insert(what, statement);
        }
    }
    drop(rows);
    let failing =
        statements.into_iter().filter_map(|(what, sql)| Some((what, sqlite_message(&conn.prepare(&sql).err()?))));
    Ok(failing.collect())
}

/// The statement that fires a trigger.
fn firing(conn: &Connection, table: &str, sql: &str) -> Result<(String, String)> {
    let tokens = lex::tokens(sql);
    // CREATE TRIGGER name [BEFORE|AFTER|INSTEAD OF] event: the name may be any word, so it is passed over.
    let name = tokens.iter().position(|token| token.is("TRIGGER")).map_or(0, |at| at + 1);
    let event = tokens.iter().skip(name + 1).find(|token| ["INSERT", "UPDATE", "DELETE"].iter().any(|e| token.is(e)));
    let target = format!("main.{}", ident(table));
    Ok(match event {
        Some(token) if token.is("INSERT") => {
            (format!("an INSERT into {table}"), format!("INSERT INTO {target} DEFAULT VALUES"))
        }
        Some(token) if token.is("DELETE") => (format!("a DELETE from {table}"), format!("DELETE FROM {target}")),
        _ => {
            let doing = || format!("reading the columns of {table}");
            let mut query =
                conn.prepare("SELECT name FROM pragma_table_xinfo(?1, 'main') WHERE hidden = 0").context(doing)?;
            let columns: Vec<String> =
                query.query_map([table], |row| row.get(0)).and_then(Iterator::collect).context(doing)?;
            let set: Vec<String> = columns.iter().map(|column| format!("{0} = {0}", ident(column))).collect();
            (format!("an UPDATE of {table}"), format!("UPDATE {target} SET {}", set.join(", ")))
        }
    })
}

/// Refuses a change after which something cannot be used that could be before, or that is new.
pub(crate) fn still_usable(conn: &Connection, before: &Unusable) -> Result<()> {
    for (what, why) in unusable(conn)? {
        if !before.contains_key(&what) {
            let error = match why.contains("no such function") || why.contains("no such module") {
                true => Error::unsupported_change(format!("{what} would fail: {why}"))
                    .hint("Name the library that brings it in `extensions`"),
                false => Error::check_failed(format!("{what} would fail: {why}"))
                    .hint("Declare the view, or the trigger that it fires, for the columns that there are to be"),
            };
            return Err(error.object(what).state("Only the clone was changed"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_rename_breaks_is_named() {
        crate::engine::init();
        let conn = Connection::open_in_memory().unwrap();
        conn.execute_batch(
            "CREATE TABLE t (a, b); CREATE TABLE u (x);
             CREATE VIEW v AS SELECT a FROM t; CREATE VIEW w AS SELECT a, b FROM t;
             CREATE TRIGGER \"insert\" AFTER UPDATE OF a ON t BEGIN INSERT INTO u VALUES (new.b); END;
             CREATE TRIGGER i INSTEAD OF INSERT ON v BEGIN INSERT INTO t (a) VALUES (new.a); END;
             CREATE TRIGGER broken AFTER DELETE ON u BEGIN INSERT INTO gone VALUES (1); END;",
        )
        .unwrap();
        let before = unusable(&conn).unwrap();
        assert_eq!(before.keys().collect::<Vec<_>>(), ["a DELETE from u"]);
        conn.execute_batch("PRAGMA writable_schema = on; UPDATE sqlite_schema SET sql = 'CREATE TABLE t (a, c)' WHERE name = 't'; PRAGMA writable_schema = reset")
            .unwrap();
        let after = unusable(&conn).unwrap();
        assert_eq!(after.keys().collect::<Vec<_>>(), ["a DELETE from u", "an UPDATE of t", "the view w"]);
        assert_eq!(still_usable(&conn, &before).unwrap_err().code(), "check_failed");
        assert!(still_usable(&conn, &after).is_ok());
    }
}
