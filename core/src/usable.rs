//! Whether views and triggers can be used: SQLite takes a view of a column that is gone, and a trigger on it, and says so
//! only when somebody reads or writes. By then it would be live.
use crate::{
    error::{Context, Error, Result, sqlite_message},
    quote::ident,
    schema::{Schema, lex},
};
use rusqlite::{Connection, config::DbConfig};
use std::collections::{BTreeMap, BTreeSet};

/// What cannot be used, and why: `the view named`, `an INSERT into users`.
pub(crate) type Unusable = BTreeMap<String, String>;

/// A view or trigger, and what uses it.
struct Use {
    name: String,
    what: String,
    statement: String,
}

/// A SELECT from each view, and for each trigger the statement that fires it.
fn uses(conn: &Connection) -> Result<Vec<Use>> {
    let doing = || "looking for views and triggers".to_owned();
    let mut query = conn
        .prepare("SELECT type, name, tbl_name, sql FROM main.sqlite_schema WHERE type IN ('view', 'trigger')")
        .context(doing)?;
    let mut rows = query.query([]).context(doing)?;
    let mut uses = Vec::new();
    while let Some(row) = rows.next().context(doing)? {
        let text = |i| row.get::<_, Option<String>>(i).map(Option::unwrap_or_default).context(doing);
        let (kind, name, table, sql) = (text(0)?, text(1)?, text(2)?, text(3)?);
        let (what, statement) = match kind.as_str() {
            "view" => (format!("the view {name}"), format!("SELECT * FROM main.{}", ident(&name))),
            _ => firing(conn, &table, &sql)?,
        };
        uses.push(Use { name, what, statement });
    }
    Ok(uses)
}

/// Compiles what uses each view and trigger. Nothing is run.
pub(crate) fn unusable(conn: &Connection) -> Result<Unusable> {
    let statements: BTreeMap<String, String> =
        uses(conn)?.into_iter().map(|used| (used.what, used.statement)).collect();
    let failing =
        statements.into_iter().filter_map(|(what, sql)| Some((what, sqlite_message(&conn.prepare(&sql).err()?))));
    Ok(failing.collect())
}

/// Notes in `schema`, which was read from `conn`, which views and triggers are sound: all that they name is there, and what
/// they have in double quotes are names, not strings. A [`plan`](crate::schema::plan::plan) takes all others out of the way of
/// statements by which SQLite edits the schema.
pub fn note(conn: &Connection, schema: &mut Schema) -> Result<()> {
    let doing = || "looking for views and triggers that can stay".to_owned();
    let setting = DbConfig::SQLITE_DBCONFIG_DQS_DML;
    let strings = conn.db_config(setting).context(doing)?;
    conn.set_db_config(setting, false).context(doing)?;
    let compiled = uses(conn).map(|uses| {
        let (sound, others): (Vec<_>, Vec<_>) =
            uses.into_iter().partition(|used| conn.prepare(&used.statement).is_ok());
        let names = |of: Vec<Use>| of.into_iter().map(|used| used.name.to_ascii_lowercase()).collect::<BTreeSet<_>>();
        // A view and a trigger may have one name.
        &names(sound) - &names(others)
    });
    conn.set_db_config(setting, strings).context(doing)?;
    schema.sound = compiled?;
    Ok(())
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
    fn what_is_whole_is_sound() {
        crate::engine::init();
        let conn = Connection::open_in_memory().unwrap();
        conn.execute_batch(
            "CREATE TABLE t (a, b); CREATE TABLE u (x);
             CREATE VIEW \"Good\" AS SELECT \"a\" FROM \"t\"; CREATE VIEW stranger AS SELECT app_fn(a) FROM t;
             CREATE VIEW string AS SELECT \"no column\" FROM t;
             CREATE TRIGGER \"on t\" AFTER INSERT ON \"t\" BEGIN UPDATE \"u\" SET \"x\" = new.\"a\"; END;
             CREATE TRIGGER quoted AFTER UPDATE ON t BEGIN INSERT INTO u VALUES (\"str\"); END;
             CREATE TRIGGER broken AFTER DELETE ON u BEGIN INSERT INTO gone VALUES (1); END;
             CREATE VIEW broken AS SELECT a FROM t;",
        )
        .unwrap();
        let mut schema = crate::schema::introspect::read(&conn, &[]).unwrap();
        note(&conn, &mut schema).unwrap();
        assert_eq!(schema.sound.iter().collect::<Vec<_>>(), ["good", "on t"]);
        assert!(conn.prepare("SELECT \"string\"").is_ok(), "the connection is as it was");
    }

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
