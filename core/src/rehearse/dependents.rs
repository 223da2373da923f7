//! Whether what depends on tables can be used: SQLite takes a view of a column that is gone, a
//! trigger on it, a full-text table over it, and says so only when somebody reads or writes. By
//! then it would be live.

use crate::{
    base::error::{Context, Error, Result, State},
    schema::{
        Schema,
        absent::AbsentTables,
        full_text,
        quoted::{self, Strings},
    },
    sqlite::{
        lex,
        quote::ident,
        strangers::{self, StandIns, Stranger},
    },
};
use rusqlite::{Connection, config::DbConfig};
use std::collections::{BTreeMap, BTreeSet};

/// What depends on tables, by kind and name in lower case, and how it compiles; and what stood in
/// for virtual tables that are not here.
#[derive(Debug, Clone, Default)]
pub(crate) struct Judged(BTreeMap<(Kind, String), Verdict>, AbsentTables);

#[derive(Debug, Clone)]
struct Verdict {
    /// `the view named`, `an INSERT into users`.
    what: String,
    /// Why it cannot be used.
    why: Option<String>,
    sql: String,
    /// What in double quotes it takes for a text.
    strings: Strings,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    View,
    Trigger,
    /// A virtual table that reads another.
    Virtual,
}

/// A view, trigger or virtual table, and what uses it.
struct Use {
    kind: Kind,
    name: String,
    sql: String,
    what: String,
    /// The verb and what comes behind the name of `target`.
    statement: (String, String),
    /// What is read or written.
    target: String,
}

impl Use {
    fn on_main(&self) -> String {
        format!(
            "{} main.{}{}",
            self.statement.0,
            ident(&self.target),
            self.statement.1
        )
    }

    /// On what stands for it in temp, if something does.
    fn on_any(&self) -> String {
        format!(
            "{} {}{}",
            self.statement.0,
            ident(&self.target),
            self.statement.1
        )
    }
}

/// A SELECT from each view, for each trigger the statement that fires it, and what a virtual table
/// reads elsewhere.
fn uses(conn: &Connection) -> Result<Vec<Use>> {
    let doing = || "looking for views and triggers".to_owned();
    let mut query = conn
        .prepare(
            "SELECT type, name, tbl_name, sql FROM main.sqlite_schema
             WHERE type IN ('view', 'trigger') OR (type = 'table' AND ifnull(rootpage, 0) = 0) ORDER BY rowid",
        )
        .context(doing)?;
    let mut rows = query.query([]).context(doing)?;
    let mut uses = Vec::new();
    while let Some(row) = rows.next().context(doing)? {
        let text = |i| {
            row.get::<_, Option<String>>(i)
                .map(Option::unwrap_or_default)
                .context(doing)
        };
        let (kind, name, table, sql) = (text(0)?, text(1)?, text(2)?, text(3)?);
        let (kind, what, statement, target) = match kind.as_str() {
            "view" => (
                Kind::View,
                format!("the view {name}"),
                ("SELECT * FROM".to_owned(), String::new()),
                name.clone(),
            ),
            "trigger" => {
                let (what, statement) = firing(conn, &table, &sql)?;
                (
                    Kind::Trigger,
                    format!("{what} (trigger {name})"),
                    statement,
                    table,
                )
            }
            _ => continue,
        };
        uses.push(Use {
            kind,
            name,
            sql,
            what,
            statement,
            target,
        });
    }
    Ok(uses)
}

/// Compiles what uses each view, trigger and virtual table. Nothing is run. An application's
/// functions and collations have stand-ins, and so have virtual tables whose module is not here:
/// what they would hide shows.
pub(crate) fn judge(conn: &Connection) -> Result<Judged> {
    judge_after(conn, None)
}

/// As [`judge`], `before` a change of which something was judged as well.
fn judge_after(conn: &Connection, before: Option<&Judged>) -> Result<Judged> {
    let absent = before.map_or_else(|| AbsentTables::of(conn), |before| before.1.still_in(conn))?;
    let uses = uses(conn)?;
    let virtual_tables = elsewhere(conn)?;
    strangers::standing_in(conn, |stand_ins| {
        with(conn, DbConfig::SQLITE_DBCONFIG_DQS_DML, false, || {
            absent.stand_in(conn)?;
            let mut bench = Bench {
                conn,
                stand_ins,
                absent,
                views: Vec::new(),
                compiled: BTreeMap::new(),
            };
            let mut judged = Judged::default();
            for used in uses {
                let was = before.is_some_and(|before| {
                    before
                        .0
                        .contains_key(&(used.kind, used.name.to_ascii_lowercase()))
                });
                let (strings, why) = bench.judge(&used, was)?;
                let verdict = Verdict {
                    what: used.what,
                    why,
                    sql: used.sql,
                    strings,
                };
                judged
                    .0
                    .insert((used.kind, used.name.to_ascii_lowercase()), verdict);
            }
            bench.clear()?;
            judged.1 = bench.absent;
            for (name, sql) in virtual_tables {
                let why = stand_ins.compile(&sql).err();
                let what = format!("the virtual table {name}");
                let verdict = Verdict {
                    what,
                    why,
                    sql: String::new(),
                    strings: Strings::default(),
                };
                judged
                    .0
                    .insert((Kind::Virtual, name.to_ascii_lowercase()), verdict);
            }
            Ok(judged)
        })
    })
}

/// What virtual tables read of others.
fn elsewhere(conn: &Connection) -> Result<Vec<(String, String)>> {
    let doing = || "looking for virtual tables".to_owned();
    let sql = "SELECT sql FROM main.sqlite_schema WHERE type = 'table' AND ifnull(rootpage, 0) = 0";
    let mut query = conn.prepare(sql).context(doing)?;
    let all: Vec<String> = query
        .query_map([], |row| {
            row.get::<_, Option<String>>(0)
                .map(Option::unwrap_or_default)
        })
        .and_then(Iterator::collect)
        .context(doing)?;
    Ok(all
        .iter()
        .filter_map(|sql| full_text::elsewhere(sql))
        .collect())
}

/// Does `work` with a setting of the connection, and puts it back.
fn with<T>(
    conn: &Connection,
    setting: DbConfig,
    on: bool,
    work: impl FnOnce() -> Result<T>,
) -> Result<T> {
    let doing = || "setting a connection up to compile statements".to_owned();
    let before = conn.db_config(setting).context(doing)?;
    conn.set_db_config(setting, on).context(doing)?;
    let done = work();
    conn.set_db_config(setting, before).context(doing)?;
    done
}

/// Before this, triggers of main cannot be turned off without those of temp.
const TEMP_TRIGGERS_APART: i32 = 3_035_000;

/// Where views and triggers are judged, on a connection that takes no strings in double quotes.
struct Bench<'c, 's> {
    conn: &'c Connection,
    stand_ins: &'s StandIns<'c>,
    absent: AbsentTables,
    /// The views that a temporary one stands for, in the order in which they were made.
    views: Vec<String>,
    /// What was compiled, and whether it could be: triggers share statements.
    compiled: BTreeMap<String, bool>,
}

impl Bench<'_, '_> {
    /// What of it is a string in double quotes, and why it cannot be used. It may have been judged
    /// `before`.
    fn judge(&mut self, used: &Use, before: bool) -> Result<(Strings, Option<String>)> {
        if let Some(column) = self.never_updated(used)? {
            return Ok((
                Strings::default(),
                Some(format!("it fires on no such column: {column}")),
            ));
        }
        let (sql, stand_ins) = (used.on_main(), self.stand_ins);
        if *self
            .compiled
            .entry(sql)
            .or_insert_with_key(|sql| stand_ins.compile(sql).is_ok())
        {
            return Ok((Strings::default(), None));
        }
        // Something is wrong, but maybe with another trigger or with a view that this one reads: a
        // temporary copy is judged alone, or over the temporary copies of such views, which come
        // before those of main.
        match used.kind {
            Kind::Trigger if rusqlite::version_number() < TEMP_TRIGGERS_APART => {
                self.as_it_is(used)
            }
            Kind::Trigger => with(
                self.conn,
                DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER,
                false,
                || self.copy(used, before),
            ),
            _ => self.copy(used, before),
        }
    }

    /// A column after UPDATE OF that is not there: SQLite takes it, and the trigger does not fire
    /// any more.
    fn never_updated(&self, used: &Use) -> Result<Option<String>> {
        let of = if used.kind == Kind::Trigger {
            update_of(&used.sql)
        } else {
            Vec::new()
        };
        if of.is_empty() {
            return Ok(None);
        }
        let doing = || format!("reading the columns of {}", used.target);
        let mut query = self
            .conn
            .prepare("SELECT name FROM pragma_table_xinfo(?1, 'main')")
            .context(doing)?;
        let columns: rusqlite::Result<Vec<String>> = query
            .query_map([&used.target], |row| row.get(0))
            .and_then(Iterator::collect);
        // Those of a view that cannot be read are not known: it is judged as a view.
        let Ok(columns) = columns else {
            return Ok(None);
        };
        let known = |name: &String| {
            columns
                .iter()
                .any(|column| column.eq_ignore_ascii_case(name))
        };
        Ok(of.into_iter().find(|name| !known(name)))
    }

    fn copy(&mut self, used: &Use, before: bool) -> Result<(Strings, Option<String>)> {
        let word = if used.kind == Kind::Trigger {
            "TRIGGER"
        } else {
            "VIEW"
        };
        // As SQLite keeps it: CREATE, TRIGGER or VIEW, the name, and the rest.
        let rest = |sql: &str| {
            lex::tokens(sql)
                .get(3)
                .map(|token| sql[token.start..].to_owned())
        };
        let drop = format!("DROP {word} IF EXISTS temp.{}", ident(&used.name));
        let mut made = true;
        let (strings, why) = quoted::strings(&used.sql, |text| {
            let create = format!(
                "CREATE TEMP {word} {} {}",
                ident(&used.name),
                rest(text).unwrap_or_default()
            );
            made = self
                .conn
                .execute_batch(&format!("{drop}; {create}"))
                .is_ok();
            loop {
                let compiled = if made {
                    self.stand_ins.compile(&used.on_any())
                } else {
                    Err(String::new())
                };
                match compiled {
                    Err(why) if self.absent.learn(self.conn, &why, before) => {}
                    compiled => return compiled,
                }
            }
        });
        if made && used.kind == Kind::View {
            self.views.push(used.name.clone());
            return Ok((strings, why));
        }
        self.conn
            .execute_batch(&drop)
            .context(|| format!("judging {}", used.what))?;
        if made {
            Ok((strings, why))
        } else {
            self.as_it_is(used)
        }
    }

    /// Judges something with what there is beside it, and strings as they are.
    fn as_it_is(&self, used: &Use) -> Result<(Strings, Option<String>)> {
        let why = with(self.conn, DbConfig::SQLITE_DBCONFIG_DQS_DML, true, || {
            Ok(self.stand_ins.compile(&used.on_main()).err())
        })?;
        Ok((Strings::default(), why))
    }

    fn clear(&mut self) -> Result<()> {
        for view in self.views.drain(..) {
            let drop = format!("DROP VIEW IF EXISTS temp.{}", ident(&view));
            self.conn
                .execute_batch(&drop)
                .context(|| format!("judging the view {view}"))?;
        }
        self.absent.leave(self.conn)
    }
}

/// Notes in `schema`, which was read from `conn`, which views and triggers are sound: all that they
/// name is there, and what they have in double quotes are names, not strings. A
/// [`plan`](crate::schema::plan::plan) takes all others out of the way of statements by which
/// SQLite edits the schema.
pub fn note(conn: &Connection, schema: &mut Schema) -> Result<()> {
    let compiled = with(conn, DbConfig::SQLITE_DBCONFIG_DQS_DML, false, || {
        let (sound, others): (Vec<_>, Vec<_>) = uses(conn)?
            .into_iter()
            .partition(|used| conn.prepare(&used.on_main()).is_ok());
        let names = |of: Vec<Use>| {
            of.into_iter()
                .map(|used| used.name.to_ascii_lowercase())
                .collect::<BTreeSet<_>>()
        };
        // A view and a trigger may have one name.
        Ok(&names(sound) - &names(others))
    });
    schema.sound = compiled?;
    Ok(())
}

/// The columns after UPDATE OF.
fn update_of(sql: &str) -> Vec<String> {
    let tokens = lex::tokens(sql);
    // CREATE TRIGGER name, and what comes before the table's name.
    let head = tokens.iter().skip(3).take_while(|token| !token.is("ON"));
    // INSTEAD OF stands before it.
    let of = head
        .skip_while(|token| !token.is("UPDATE"))
        .skip_while(|token| !token.is("OF"))
        .skip(1);
    of.filter_map(lex::Token::name).collect()
}

/// What a statement that fires a trigger does, and the statement around the table's name.
fn firing(conn: &Connection, table: &str, sql: &str) -> Result<(String, (String, String))> {
    let tokens = lex::tokens(sql);
    // CREATE TRIGGER name [BEFORE|AFTER|INSTEAD OF] event: the name may be any word, so it is
    // passed over.
    let name = tokens
        .iter()
        .position(|token| token.is("TRIGGER"))
        .map_or(0, |at| at + 1);
    let event = tokens
        .iter()
        .skip(name + 1)
        .find(|token| ["INSERT", "UPDATE", "DELETE"].iter().any(|e| token.is(e)));
    let around = |verb: &str, behind: &str| (verb.to_owned(), behind.to_owned());
    Ok(match event {
        Some(token) if token.is("INSERT") => (
            format!("an INSERT into {table}"),
            around("INSERT INTO", " DEFAULT VALUES"),
        ),
        Some(token) if token.is("DELETE") => {
            (format!("a DELETE from {table}"), around("DELETE FROM", ""))
        }
        _ => {
            let doing = || format!("reading the columns of {table}");
            let mut query = conn
                .prepare("SELECT name FROM pragma_table_xinfo(?1, 'main') WHERE hidden = 0")
                .context(doing)?;
            let columns: rusqlite::Result<Vec<String>> = query
                .query_map([table], |row| row.get(0))
                .and_then(Iterator::collect);
            // The columns of a view that cannot be read are not known: it is judged as a view.
            let columns = columns.unwrap_or_default();
            let set: Vec<String> = columns
                .iter()
                .map(|column| format!("{0} = {0}", ident(column)))
                .collect();
            (
                format!("an UPDATE of {table}"),
                around("UPDATE", &format!(" SET {}", set.join(", "))),
            )
        }
    })
}

/// Refuses a change after which something cannot be used that could be before, or that is new, or
/// takes a text for what was a name. `renamed` has the names that tables have now by those before,
/// in lower case. Returns warnings of what is new.
pub(crate) fn still_usable(
    conn: &Connection,
    before: &Judged,
    renamed: &BTreeMap<String, String>,
) -> Result<Vec<String>> {
    let mut warnings = Vec::new();
    for ((kind, name), now) in judge_after(conn, Some(before))?.0 {
        let old = renamed
            .iter()
            .find(|(_, to)| kind == Kind::Virtual && to.eq_ignore_ascii_case(&name));
        let before = before
            .0
            .get(&(kind, old.map_or(name, |(from, _)| from.clone())));
        match (&now.why, before) {
            (Some(_), Some(before)) if before.why.is_some() => {}
            (Some(why), _) => return Err(unusable(&now.what, why)),
            (None, Some(before)) if before.why.is_none() => {
                quoted::refuse(
                    &now.what,
                    (&before.sql, &before.strings),
                    (&now.sql, &now.strings),
                )
                .map_err(|e| e.state(State::OnlyCloneChanged))?;
            }
            (None, _) => warnings.extend(quoted::warning(&now.what, &now.strings)),
        }
    }
    Ok(warnings)
}

fn unusable(what: &str, why: &str) -> Error {
    let message = format!("{what} would fail: {why}");
    let error = match Stranger::of(why) {
        Some(stranger) => Error::unsupported_change(message).hint(stranger.hint()),
        None => Error::check_failed(message)
            .hint("Declare it, or the trigger that it fires, for the tables and columns that there are to be"),
    };
    error.object(what).state(State::OnlyCloneChanged)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_whole_is_sound() {
        crate::sqlite::engine::init();
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
        assert!(
            conn.prepare("SELECT \"string\"").is_ok(),
            "the connection is as it was"
        );
    }

    #[test]
    fn each_is_judged_by_itself() {
        crate::sqlite::engine::init();
        let conn = Connection::open_in_memory().unwrap();
        conn.execute_batch(
            "CREATE TABLE t (a, b); CREATE TABLE u (x);
             CREATE VIEW v AS SELECT a FROM t; CREATE VIEW w AS SELECT a, b, \"a text\" AS k FROM t; CREATE VIEW x AS SELECT * FROM w;
             CREATE TRIGGER \"insert\" AFTER UPDATE OF a ON t BEGIN INSERT INTO u VALUES (new.b); END;
             CREATE TRIGGER beside AFTER UPDATE ON t BEGIN INSERT INTO u VALUES (\"a text\"); END;
             CREATE TRIGGER i INSTEAD OF INSERT ON w BEGIN INSERT INTO t (a) VALUES (new.a); END;
             CREATE TRIGGER broken AFTER DELETE ON u BEGIN INSERT INTO gone VALUES (1); END;",
        )
        .unwrap();
        let failing = |judged: &Judged| -> Vec<String> {
            judged
                .0
                .iter()
                .filter(|(_, verdict)| verdict.why.is_some())
                .map(|((_, name), _)| name.clone())
                .collect()
        };
        let before = judge(&conn).unwrap();
        assert_eq!(failing(&before), ["broken"]);
        let with_strings: Vec<_> = before
            .0
            .iter()
            .filter(|(_, v)| !v.strings.is_empty())
            .map(|((_, name), _)| name)
            .collect();
        assert_eq!(with_strings, ["w", "beside"]);
        let none = BTreeMap::new();
        assert!(still_usable(&conn, &before, &none).unwrap().is_empty());
        let left: i64 = conn
            .query_row("SELECT count(*) FROM temp.sqlite_schema", [], |row| {
                row.get(0)
            })
            .unwrap();
        assert_eq!(left, 0);
        conn.execute_batch("PRAGMA writable_schema = on; UPDATE sqlite_schema SET sql = 'CREATE TABLE t (a, c)' WHERE name = 't'; PRAGMA writable_schema = reset")
            .unwrap();
        let after = judge(&conn).unwrap();
        assert_eq!(failing(&after), ["w", "x", "broken", "i", "insert"]);
        assert_eq!(
            still_usable(&conn, &before, &none).unwrap_err().code(),
            "check_failed"
        );
        assert!(still_usable(&conn, &after, &none).is_ok());
    }
}
