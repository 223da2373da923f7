//! What an SQLite has, and which schemas it can read: a client's may be older than the engine, and
//! may have what the engine lacks.

use crate::{
    base::{
        error::{Context, Error, Result, State, sqlite_message},
        object::Object,
    },
    sqlite::{
        lex::{self, Token},
        quote,
        strangers::{Kind, StandIns, Stranger},
    },
};
use rusqlite::{Connection, config::DbConfig};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What an SQLite has for every connection, by name, in lower case: built in, or by an extension
/// that it loads into each.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Features {
    functions: BTreeSet<String>,
    collations: BTreeSet<String>,
    modules: BTreeSet<String>,
}

impl Features {
    /// Those of the SQLite that this process is bound to.
    pub fn here() -> Result<Self> {
        let conn =
            Connection::open_in_memory().context(|| "opening a database in memory".into())?;
        let names = |pragma: &str| {
            let doing = || format!("asking SQLite for its {pragma}");
            let sql = format!("SELECT DISTINCT lower(name) FROM pragma_{pragma}");
            // Some are built without the pragma.
            let Ok(mut query) = conn.prepare(&sql) else {
                return Ok(BTreeSet::new());
            };
            let all = query.query_map([], |row| row.get::<_, String>(0));
            let all: rusqlite::Result<BTreeSet<_>> = all.context(doing)?.collect();
            all.context(doing)
        };
        let mut found = Self {
            functions: names("function_list")?,
            collations: names("collation_list")?,
            modules: names("module_list")?,
        };
        for names in [&mut found.functions, &mut found.modules] {
            // A host may load remy itself into every connection.
            names.retain(|name| !name.starts_with("remy_"));
        }
        // Both are there only while somebody uses them.
        found.modules.retain(|name| !name.starts_with("pragma_"));
        Ok(found)
    }

    /// What this has and `other` lacks.
    pub fn beyond(&self, other: &Self) -> BTreeSet<String> {
        let pairs = [
            (&self.functions, &other.functions),
            (&self.collations, &other.collations),
            (&self.modules, &other.modules),
        ];
        pairs
            .into_iter()
            .flat_map(|(mine, others)| mine.difference(others).cloned())
            .collect()
    }

    fn has(&self, stranger: &Stranger) -> bool {
        let names = match stranger.kind {
            Kind::Function | Kind::Aggregate | Kind::Overload => &self.functions,
            Kind::Collation => &self.collations,
            Kind::Module => &self.modules,
            Kind::Tokenizer => return false,
        };
        names.contains(&stranger.name.to_ascii_lowercase())
    }
}

/// The first of `names` that SQL may use.
pub fn uses(sql: &str, names: &BTreeSet<String>) -> Option<String> {
    if names.is_empty() {
        return None;
    }
    let mut found = lex::tokens(sql)
        .into_iter()
        .filter_map(|token| token.name());
    found.find(|name| names.contains(&name.to_ascii_lowercase()))
}

/// Clients before this can lose commits when a WAL is reset (fixed in 3.51.3).
const WAL_RESET_FIXED: i32 = 3_051_003;

/// What a client that runs the SQLite of this process should know of it.
pub fn warning() -> Option<String> {
    (rusqlite::version_number() < WAL_RESET_FIXED).then(|| {
        format!(
            "this host's SQLite is {}; before 3.51.3 a WAL that is reset at the wrong moment can lose commits",
            rusqlite::version()
        )
    })
}

/// The schema of a database, in the order in which it was made.
pub(crate) fn objects(conn: &Connection) -> Result<Vec<Object>> {
    let doing = || "reading the schema that is to go live".to_owned();
    let sql = "SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY rowid";
    let mut query = conn.prepare(sql).context(doing)?;
    let rows = query.query_map([], |row| {
        Ok(Object {
            kind: row.get(0)?,
            name: row.get(1)?,
            sql: row.get(2)?,
        })
    });
    let all: rusqlite::Result<_> = rows.context(doing)?.collect();
    all.context(doing)
}

/// Refuses a schema that the SQLite of this process cannot read or use, which `engine` can: with it
/// live, every statement of this process would fail with "malformed database schema".
///
/// What neither has is the application's own, and no matter of its version.
pub fn reads(schema: &[Object], engine: &Features) -> Result<()> {
    let conn = Connection::open_in_memory().context(|| "opening a database in memory".into())?;
    // As SQLite reads a schema that is there, whatever it was built to take of a new one.
    for (setting, on) in [
        (DbConfig::SQLITE_DBCONFIG_DQS_DDL, true),
        (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, true),
    ] {
        let _ = conn.set_db_config(setting, on);
    }
    let stand_ins = StandIns::to_stay(&conn);
    let own = |object: &&Object| !object.name.to_ascii_lowercase().starts_with("sqlite_");
    for kind in ["table", "index", "view", "trigger"] {
        let of_kind = schema.iter().filter(|object| object.kind == kind);
        for object in of_kind.filter(own) {
            makes(&conn, &stand_ins, object, engine)?;
        }
    }
    for view in schema.iter().filter(|object| object.kind == "view") {
        let sql = format!("SELECT * FROM {}", quote::ident(&view.name));
        let compile = || conn.prepare(&sql).map(|_| ());
        // What else is wrong with a view is wrong in every SQLite.
        if let Some(why) = fails(&stand_ins, engine, compile)
            && Stranger::of(&why).is_some()
        {
            return Err(unread(view, &why));
        }
    }
    Ok(())
}

/// Makes one object.
fn makes(
    conn: &Connection,
    stand_ins: &StandIns<'_>,
    object: &Object,
    engine: &Features,
) -> Result<()> {
    let tokens = lex::tokens(&object.sql);
    let is = |at: usize, word: &str| tokens.get(at).is_some_and(|token| token.is(word));
    // Of a virtual table SQLite reads no more than the names until somebody uses it. What stands
    // in a schema is somebody's who may write the file, and is run here as the caller: nothing that
    // does more than to declare.
    if !is(0, "CREATE") || is(1, "VIRTUAL") || runs_a_query(&tokens) {
        return Ok(());
    }
    // One statement: `prepare` refuses more, and nothing of them has run.
    let make = || conn.prepare(&object.sql)?.execute([]).map(|_| ());
    let why = fails(stand_ins, engine, make);
    why.map_or(Ok(()), |why| Err(unread(object, &why)))
}

/// Whether it is a CREATE TABLE ... AS SELECT, which no schema holds: it would run here.
fn runs_a_query(tokens: &[Token<'_>]) -> bool {
    let mut depth = 0_usize;
    let is_table = !tokens
        .get(1)
        .is_some_and(|token| token.is("VIEW") || token.is("TRIGGER"));
    is_table
        && tokens.windows(2).any(|two| {
            if two[0].is("(") {
                depth += 1;
            } else if two[0].is(")") {
                depth = depth.saturating_sub(1);
            }
            let query = ["SELECT", "WITH", "VALUES"];
            depth == 0 && two[0].is("AS") && query.iter().any(|word| two[1].is(word))
        })
}

/// Why SQLite does not do something, with stand-ins for what is the application's own: of what is
/// missing, only what `engine` has counts.
fn fails(
    stand_ins: &StandIns<'_>,
    engine: &Features,
    work: impl Fn() -> rusqlite::Result<()>,
) -> Option<String> {
    loop {
        let why = sqlite_message(&work().err()?);
        let Some(stranger) = Stranger::of(&why) else {
            return Some(why);
        };
        if engine.has(&stranger) {
            return Some(why);
        }
        // Where no stand-in can be, nothing more is to be known.
        if !stand_ins.take_place(&why) {
            return None;
        }
    }
}

fn unread(object: &Object, why: &str) -> Error {
    Error::unsupported_change(format!(
        "this application runs SQLite {}, which cannot read the {} {}: {why}",
        rusqlite::version(),
        object.kind,
        object.name
    ))
    .object(object.name.clone())
    .sql(object.sql.clone())
    .state(State::LiveUnchanged)
    .hint("Write it as that version reads it; or give the application a newer SQLite first")
}

#[cfg(all(test, feature = "engine"))]
mod tests {
    use super::*;

    fn object(kind: &str, name: &str, sql: &str) -> Object {
        Object {
            kind: kind.into(),
            name: name.into(),
            sql: sql.into(),
        }
    }

    /// A schema is whatever somebody has written into the file, and it is made here as the caller.
    #[test]
    fn nothing_but_the_declaration_runs() {
        crate::sqlite::engine::init();
        let folder = tempfile::tempdir().unwrap();
        let planted = folder.path().join("planted.db");
        let attach = format!("ATTACH '{}' AS z", planted.display());
        let features = Features::here().unwrap();
        let more = format!("CREATE TABLE t (a); {attach}; CREATE TABLE z.y (b)");
        reads(&[object("table", "t", &more)], &features).unwrap_err();
        let schema = [
            object("table", "a", &attach),
            object("table", "q", "CREATE TABLE q AS SELECT no_such_function()"),
        ];
        reads(&schema, &features).unwrap();
        assert!(!planted.exists());
    }

    #[test]
    fn what_an_sqlite_does_not_read_is_refused_by_name() {
        crate::sqlite::engine::init();
        let schema = [
            object("table", "t", "CREATE TABLE t (a, b CHECK (my_own(b)))"),
            object("table", "f", "CREATE VIRTUAL TABLE f USING no_such(a)"),
            object("index", "i", "CREATE INDEX i ON t (newer(a))"),
            object("view", "v", "CREATE VIEW v AS SELECT * FROM nowhere"),
            object(
                "trigger",
                "g",
                "CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT 1; END",
            ),
            object(
                "table",
                "sqlite_sequence",
                "CREATE TABLE sqlite_sequence(name,seq)",
            ),
        ];
        reads(&schema, &Features::default()).unwrap();
        let mut engine = Features::here().unwrap();
        reads(&schema, &engine).unwrap();
        engine.functions.insert("newer".into());
        let e = reads(&schema, &engine).unwrap_err();
        assert_eq!(e.code(), "unsupported_change");
        assert_eq!(e.detail().object.as_deref(), Some("i"));
        let broken = [object(
            "view",
            "v",
            "CREATE VIEW v AS SELECT FROM t NEWER SYNTAX",
        )];
        let e = reads(&broken, &engine).unwrap_err().to_string();
        assert!(e.contains("cannot read the view v: near"), "{e}");
    }

    #[test]
    fn what_one_has_and_another_lacks_is_found_where_it_is_used() {
        crate::sqlite::engine::init();
        let engine = Features::here().unwrap();
        assert!(engine.functions.contains("abs") && engine.modules.contains("fts5"));
        let mut host = engine.clone();
        host.functions.insert("icu_load".into());
        let beyond = host.beyond(&engine);
        assert_eq!(
            uses("CREATE VIEW v AS SELECT icu_load (1)", &beyond).as_deref(),
            Some("icu_load")
        );
        assert_eq!(uses("CREATE TABLE t (a) -- icu_load", &beyond), None);
        assert!(engine.beyond(&host).is_empty());
    }
}
