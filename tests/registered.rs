//! What an application registers for a connection of its own, functions and collations, reaches
//! remy on no way: where remy needs it, it is refused by name, with what to do, and never as a
//! mistake of remy's own.
use remy_db::{CODES, Error, Options, Progress, Remy, Result};
use remy_tests::{built, live::App, output, shell};
use std::process::Command;

/// Who runs the verbs.
#[derive(Debug, Clone, Copy)]
enum Way {
    /// The engine in this process, as the command and Node.js have it.
    Engine,
    /// A process of the extension's own.
    Helper,
    /// The SQLite that loaded the extension.
    Host,
}

const WAYS: [Way; 3] = [Way::Engine, Way::Helper, Way::Host];

/// What a verb came to, or its code and message.
type Done = Result<String, (String, String)>;

fn told(done: Result<impl std::fmt::Debug>) -> Done {
    done.map(|done| format!("{done:?}"))
        .map_err(|e: Error| (e.code().to_owned(), e.to_string()))
}

impl Way {
    fn verb(self, app: &App, verb: &str, schema: &str, options: &str) -> Done {
        match self {
            Self::Engine => {
                let parsed = Options::from_json(options).unwrap();
                let remy = || Remy::open(&app.live);
                let nobody = Progress::none();
                match verb {
                    "diff" => told(remy().and_then(|remy| remy.diff(schema, &parsed))),
                    "publish" => told(app.publish(schema, options)),
                    "stage" => told(remy().and_then(|remy| remy.stage(schema, &parsed, nobody))),
                    "promote" => told(app.promote(None)),
                    "rollback" => told(app.rollback(None)),
                    "verify" => told(remy().and_then(|remy| remy.verify())),
                    "dev_start" => told(remy().and_then(|remy| remy.dev_start("ann"))),
                    "dev_truncate" => told(remy().and_then(|remy| remy.dev_truncate("ann"))),
                    "detach" => told(remy().and_then(|remy| remy.detach())),
                    other => panic!("{other}"),
                }
            }
            Self::Helper | Self::Host => {
                let declared = app.file("declared.sql", schema);
                let call = match verb {
                    "diff" => format!(
                        "SELECT json_group_array(sql) FROM remy_diff('{}', '{options}')",
                        declared.display()
                    ),
                    "publish" | "stage" => {
                        format!("SELECT remy_{verb}('{}', '{options}')", declared.display())
                    }
                    "dev_start" | "dev_truncate" => format!("SELECT remy_{verb}('ann')"),
                    _ => format!("SELECT remy_{verb}()"),
                };
                let mut host = Command::new("sqlite3");
                if matches!(self, Self::Host) {
                    host.env("REMY_HELPER", "none");
                }
                let load = format!(
                    ".load {}",
                    built("libremy0.so").with_extension("").display()
                );
                host.args(["-batch", "-bail"])
                    .arg(&app.live)
                    .args([&load, &call]);
                let out = output(&mut host);
                if out.status.success() {
                    return Ok(String::from_utf8_lossy(&out.stdout).into_owned());
                }
                let said = String::from_utf8_lossy(&out.stderr).into_owned();
                let raised = |code: &&&str| said.contains(&format!("{code}: "));
                let code = CODES
                    .iter()
                    .find(raised)
                    .unwrap_or_else(|| panic!("{said}"));
                Err(((*code).to_owned(), said))
            }
        }
    }
}

/// A table `t` and what stands beside it, with `lower()` or `NOCASE` in the place of what the
/// application registers.
const PLACES: &[(&str, &str, &str)] = &[
    (
        "an index on a function",
        "",
        "CREATE INDEX i ON t (lower(a));",
    ),
    (
        "a partial index",
        "",
        "CREATE INDEX i ON t (b) WHERE lower(a) > 'a';",
    ),
    ("a CHECK", ", CHECK (lower(a) <> 'q')", ""),
    ("a stored column", ", g TEXT AS (lower(a)) STORED", ""),
    ("a computed column", ", g TEXT AS (lower(a))", ""),
    (
        "a computed column in an index",
        ", g TEXT AS (lower(a))",
        "CREATE INDEX i ON t (g);",
    ),
    ("a DEFAULT", ", d DEFAULT (lower('A'))", ""),
    (
        "a view",
        "",
        "CREATE VIEW v AS SELECT lower(a) AS x FROM t;",
    ),
    (
        "a trigger",
        "",
        "CREATE TRIGGER g AFTER UPDATE ON t BEGIN UPDATE t SET b = lower(new.a) WHERE id = new.id; END;",
    ),
    (
        "an index with a collation",
        "",
        "CREATE INDEX i ON t (a COLLATE NOCASE);",
    ),
    (
        "a column's collation",
        ", c TEXT COLLATE NOCASE DEFAULT 'c'",
        "",
    ),
    (
        "a UNIQUE with a collation",
        ", UNIQUE (a COLLATE NOCASE)",
        "",
    ),
    (
        "a CHECK with a collation",
        ", CHECK (a <> 'q' COLLATE NOCASE)",
        "",
    ),
    (
        "a stored column with a collation",
        ", g INTEGER AS (a = 'X' COLLATE NOCASE) STORED",
        "",
    ),
    (
        "a computed column with a collation",
        ", g INTEGER AS (a = 'X' COLLATE NOCASE)",
        "",
    ),
    (
        "a view with a collation",
        "",
        "CREATE VIEW v AS SELECT a FROM t ORDER BY a COLLATE NOCASE;",
    ),
    (
        "a trigger with a collation",
        "",
        "CREATE TRIGGER g AFTER UPDATE ON t WHEN new.a = 'q' COLLATE NOCASE BEGIN UPDATE t SET b = 1 WHERE id = new.id; END;",
    ),
    (
        "a partial index with a collation",
        "",
        "CREATE INDEX i ON t (b) WHERE a > 'a' COLLATE NOCASE;",
    ),
    (
        "a key with a collation",
        "",
        "CREATE TABLE k (k TEXT COLLATE NOCASE PRIMARY KEY, v) WITHOUT ROWID; CREATE TABLE l (k TEXT REFERENCES k (k));",
    ),
];

const ROWS: &str = "INSERT INTO t (id, a, b) VALUES (1, 'x', 'y'), (2, 'z', 'w');";

/// What a client that has nothing of it can read.
const ROWS_OF_T: &str = "SELECT count(*), group_concat(a) FROM t NOT INDEXED";

fn schema(columns: &str, more: &str) -> String {
    format!("CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b TEXT{columns}); {more}")
}

/// As the application's own connection has it.
fn theirs(sql: &str) -> String {
    sql.replace("lower(", "app_fn(")
        .replace("NOCASE", "app_order")
}

/// A live that its application has made on such a connection.
fn made(schema: &str) -> App {
    let rows = if schema.contains("TABLE k ") {
        "INSERT INTO k VALUES ('k', 1); INSERT INTO l VALUES ('k');"
    } else {
        ""
    };
    let app = App::on(&format!("{schema} {ROWS} {rows}"));
    shell(
        &app.live,
        "PRAGMA writable_schema = ON;
         UPDATE sqlite_schema SET sql = replace(replace(sql, 'lower(', 'app_fn('), 'NOCASE', 'app_order')",
    );
    app
}

/// What may be declared, by what it changes.
fn changes(columns: &str, more: &str) -> [(&'static str, String); 7] {
    let own = schema(columns, more);
    let without_b = own
        .replace(", b TEXT", "")
        .replace("t (b)", "t (id)")
        .replace("SET b", "SET a");
    [
        ("nothing", theirs(&own)),
        (
            "another table",
            theirs(&format!("{own} CREATE TABLE other (o);")),
        ),
        (
            "another column",
            theirs(&schema(&format!(", n INTEGER{columns}"), more)),
        ),
        (
            "a rebuild",
            theirs(&own.replace("b TEXT", "b TEXT DEFAULT 'b'")),
        ),
        (
            "another type",
            theirs(&own.replace("a TEXT", "a BLOB NOT NULL CHECK (a <> '')")),
        ),
        ("a column goes", theirs(&without_b)),
        ("all of it goes", schema("", "")),
    ]
}

/// Calls verbs one after the other, and returns how many were refused.
fn refused(way: Way, app: &App, place: &str, declared: &str, verbs: &[&str]) -> usize {
    let mut refused = 0;
    for verb in verbs {
        let options = r#"{"allow": ["drop", "type_change", "lossy"]}"#;
        // Without a release before there is nothing to be promoted or to go back to.
        if (*verb == "rollback" || *verb == "promote") && refused > 0 {
            continue;
        }
        let before = app.ask(ROWS_OF_T);
        let Err((code, message)) = way.verb(app, verb, declared, options) else {
            continue;
        };
        refused += 1;
        let what = format!("{place}, {way:?}, {verb} of {declared}: {code}: {message}");
        assert_eq!(code, "unsupported_change", "{what}");
        let name = if place.contains("collation") {
            "app_order"
        } else {
            "app_fn"
        };
        assert!(
            message.contains(&format!("Name the library that brings {name} in ")),
            "{what}"
        );
        assert!(
            message.contains("what one connection registers for itself does not reach remy"),
            "{what}"
        );
        assert_eq!(app.ask(ROWS_OF_T), before, "{what}");
    }
    refused
}

/// A live that has it already. Verbs that do without it are done.
#[test]
fn what_lives_schema_needs_of_one_connection_is_asked_for_by_name() {
    let mut found = 0;
    for (place, columns, more) in PLACES {
        for (change, declared) in changes(columns, more) {
            let app = made(&schema(columns, more));
            // Once is enough of those that run no plan.
            let all = [
                "diff",
                "publish",
                "rollback",
                "stage",
                "promote",
                "verify",
                "dev_start",
                "dev_truncate",
                "detach",
            ];
            let verbs = if change == "nothing" {
                &all[..]
            } else {
                &all[..3]
            };
            let refused = refused(Way::Engine, &app, place, &declared, verbs);
            assert!(
                refused == 0 || !["nothing", "another table"].contains(&change),
                "{place}, {change}"
            );
            found += refused;
        }
    }
    assert!(found > 20, "{found}");
}

/// The same where SQL calls the verb: the connection that calls it has registered it, or not.
#[test]
fn who_calls_by_sql_is_told_the_same() {
    for way in [Way::Helper, Way::Host] {
        let mut found = 0;
        for (place, columns, more) in PLACES {
            let [.., (_, rebuild), _, _, _] = changes(columns, more);
            let app = made(&schema(columns, more));
            found += refused(way, &app, place, &rebuild, &["diff", "publish", "rollback"]);
        }
        assert!(found > 10, "{found}");
    }
}

/// What is declared for a live that has nothing of the kind.
#[test]
fn what_a_declared_schema_needs_of_one_connection_is_asked_for_by_name() {
    for way in WAYS {
        let mut found = 0;
        for (place, columns, more) in PLACES {
            let app = App::on(&format!("{} {ROWS}", schema("", "")));
            let declared = theirs(&schema(columns, more));
            found += refused(
                way,
                &app,
                place,
                &declared,
                &["diff", "publish", "rollback"],
            );
        }
        assert!(found > 5, "{found}");
    }
}

/// A migration calls it, or compares by it.
#[test]
fn what_a_migration_needs_of_one_connection_is_asked_for_by_name() {
    for (place, statement) in [
        ("a function", "UPDATE t SET a = app_fn(a)"),
        (
            "a collation",
            "DELETE FROM t WHERE a = 'X' COLLATE app_order",
        ),
    ] {
        let app = App::on(&format!("{} {ROWS}", schema("", "")));
        app.file("migrations/0001_theirs.sql", statement);
        let options = serde_json::json!({"migrations": app.dir.path().join("migrations")});
        let e = app.publish(&schema("", ""), &options).unwrap_err();
        let name = if place == "a collation" {
            "app_order"
        } else {
            "app_fn"
        };
        assert_eq!(e.code(), "unsupported_change", "{e}");
        assert!(
            e.to_string()
                .contains(&format!("Name the library that brings {name} in ")),
            "{e}"
        );
        assert_eq!(app.ask("SELECT count(*) FROM t"), "2");
    }
}
