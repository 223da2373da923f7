//! What depends on a table: that a change of it is refused where something else would break, and
//! made where nothing would.
use remy_db::{Options, Progress, Step};
use remy_tests::{built, cases, compiled, live::App, shell, stdout};
use std::{path::PathBuf, process::Command};

/// The embedded engine, or Debian's shell with the extension.
#[derive(Debug, Clone, Copy)]
enum Engine {
    Embedded,
    Host,
}

const ENGINES: [Engine; 2] = [Engine::Embedded, Engine::Host];

impl Engine {
    /// Publishes; what was done, or its code and message.
    fn publish(self, app: &App, schema: &str, options: &str) -> Result<String, String> {
        match self {
            Self::Embedded => match app.publish(schema, options) {
                Ok(outcome) => Ok(serde_json::to_string(&outcome).unwrap()),
                Err(e) => Err(format!("{}: {e}", e.code())),
            },
            Self::Host => {
                let file = app.file("declared.sql", schema);
                let call = format!("SELECT remy_publish('{}', '{options}')", file.display());
                host(app, &[&call])
            }
        }
    }

    fn refuses(self, app: &App, schema: &str, options: &str, code: &str, words: &str) {
        let before = app.ask("PRAGMA integrity_check; SELECT * FROM sqlite_schema");
        let message = self.publish(app, schema, options).expect_err(schema);
        assert!(
            message.contains(&format!("{code}: ")) && message.contains(words),
            "{self:?} {schema}: {message}"
        );
        assert_eq!(
            app.ask("PRAGMA integrity_check; SELECT * FROM sqlite_schema"),
            before,
            "{self:?} {schema}"
        );
    }

    fn takes(self, app: &App, schema: &str, options: &str) -> String {
        self.publish(app, schema, options)
            .unwrap_or_else(|e| panic!("{self:?} {schema}: {e}"))
    }
}

/// Runs statements in Debian's shell with the extension, verbs through its own SQLite.
fn host(app: &App, statements: &[&str]) -> Result<String, String> {
    let library = built("libremy0.so");
    let load = format!(".load {}", library.with_extension("").display());
    let out = remy_tests::output(
        Command::new("sqlite3")
            .args(["-batch", "-bail"])
            .env("REMY_HELPER", "none")
            .arg(&app.live)
            .arg(load)
            .args(statements),
    );
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if out.status.success() {
        Ok(text(&out.stdout))
    } else {
        Err(text(&out.stderr))
    }
}

const TABLE: &str = r#"CREATE TABLE "t"("id" INTEGER PRIMARY KEY, "a", "b");"#;
const WITHOUT_B: &str = r#"CREATE TABLE "t"("id" INTEGER PRIMARY KEY, "a");"#;
const WITH_C: &str = r#"CREATE TABLE "t"("id" INTEGER PRIMARY KEY, "a", "c");"#;
const ROWS: &str = "INSERT INTO t (id, a, b) VALUES (1, 'x', 'y'), (2, 'z', 'y2');";

/// What is named stands beside the table in its old form and stays as it is.
fn a_name_in_double_quotes_does_not_become_a_text(engine: Engine, naming: &str) {
    let app = App::on(&format!("{TABLE}{ROWS}{naming}"));
    engine.refuses(
        &app,
        &format!("{WITHOUT_B}{naming}"),
        "{}",
        "check_failed",
        "no such column",
    );
    let renames = r#"{"renames":["t.b=c"]}"#;
    engine.refuses(
        &app,
        &format!("{WITH_C}{naming}"),
        renames,
        "check_failed",
        "no such column",
    );
    // As it is to be, it is published.
    let renamed = naming.replace("\"b\"", "\"c\"");
    engine.takes(&app, &format!("{WITH_C}{renamed}"), renames);
    assert_eq!(app.ask("SELECT c FROM t ORDER BY id"), "y\ny2");
}

cases! { a_name_in_double_quotes_does_not_become_a_text:
    [embedded: Engine::Embedded, host: Engine::Host]
    {
        view(r#"CREATE VIEW "v" AS SELECT "a", "b" FROM "t";"#),
        view_with_a_condition(
            r#"CREATE VIEW "v" AS SELECT "id" FROM "t" WHERE "b" <> 'x' ORDER BY "b";"#,
        ),
        view_with_a_subquery(
            r#"CREATE VIEW "w" AS SELECT "a" FROM "t"; CREATE VIEW "v" AS SELECT "a", (SELECT max("b") FROM "t") AS "m" FROM "w";"#,
        ),
        trigger(r#"CREATE TRIGGER "r" AFTER INSERT ON "t" BEGIN UPDATE "t" SET "a" = "b"; END;"#),
        condition_of_a_trigger(
            r#"CREATE TRIGGER "r" AFTER UPDATE OF "a" ON "t" BEGIN DELETE FROM "t" WHERE "b" = 'gone'; END;"#,
        ),
        event_of_a_trigger(
            r#"CREATE TRIGGER "r" AFTER UPDATE OF "b" ON "t" BEGIN UPDATE "t" SET "a" = 'b' WHERE 0; END;"#,
        ),
        trigger_of_a_view(
            r#"CREATE VIEW "v" AS SELECT "a" FROM "t"; CREATE TRIGGER "r" INSTEAD OF DELETE ON "v" BEGIN DELETE FROM "t" WHERE "b" = old."a"; END;"#,
        ),
        view_with_a_common_table(
            r#"CREATE VIEW "v" AS WITH "q" AS (SELECT "b" AS "k", count(*) AS "n" FROM "t" GROUP BY "b") SELECT * FROM "q" ORDER BY "n";"#,
        ),
        unique_index(r#"CREATE UNIQUE INDEX "i" ON "t"("b");"#),
        index_of_two(r#"CREATE INDEX "i" ON "t"("a", "b");"#),
        index_of_an_expression(r#"CREATE INDEX "i" ON "t"(lower("b"));"#),
        partial_index(r#"CREATE UNIQUE INDEX "i" ON "t"("a") WHERE "b" IS NOT NULL;"#),
    }
}

fn nor_does_one_inside_the_table_itself(engine: Engine, within: &str) {
    let table = |columns: &str| {
        format!("CREATE TABLE \"t\"(\"id\" INTEGER PRIMARY KEY, {columns}{within});")
    };
    let app = App::on(&format!("{}{ROWS}", table(r#""a", "b""#)));
    let (without, renamed) = (table("\"a\""), table("\"a\", \"c\""));
    engine.refuses(&app, &without, "{}", "check_failed", "\"b\"");
    engine.refuses(
        &app,
        &renamed,
        r#"{"renames":["t.b=c"]}"#,
        "check_failed",
        "\"b\"",
    );
    engine.takes(
        &app,
        &renamed.replace("\"b\"", "\"c\""),
        r#"{"renames":["t.b=c"]}"#,
    );
}

cases! { nor_does_one_inside_the_table_itself:
    [embedded: Engine::Embedded, host: Engine::Host]
    {
        check(r#", CHECK ("b" <> '')"#),
        stored(r#", "g" AS ("b" || 'x') STORED"#),
        generated(r#", "g" AS ("b" || 'x')"#),
        named_check(
            r#", "d" TEXT DEFAULT 'b', CONSTRAINT "named" CHECK (length("b") > 0 OR "a" = 'b')"#,
        ),
    }
}

/// The table gets another name with it.
fn nor_does_one_inside_a_table_that_is_renamed(engine: Engine) {
    let named = |name: &str, columns: &str| {
        format!(
            "CREATE TABLE \"{name}\"(\"id\" INTEGER PRIMARY KEY, {columns}, CHECK (\"b\" <> ''));"
        )
    };
    let app = App::on(&format!("{}{ROWS}", named("t", r#""a", "b""#)));
    engine.refuses(
        &app,
        &named("u", "\"a\""),
        r#"{"renames":["t=u"]}"#,
        "check_failed",
        "the table u",
    );
}

cases! { nor_does_one_inside_a_table_that_is_renamed:
    [embedded: Engine::Embedded, host: Engine::Host]
}

/// What used a string in double quotes keeps it, and a column that goes beside it is still seen.
fn a_string_in_double_quotes_stays_one(engine: Engine) {
    let with = |table: &str, b: &str| {
        format!(
            r#"{table} CREATE VIEW v AS SELECT "a", "a text" AS k{b} FROM t;
               CREATE TRIGGER r AFTER INSERT ON t BEGIN UPDATE t SET a = "a text" WHERE a IS NULL; END;
               CREATE INDEX i ON t (a) WHERE a <> "a text";
               CREATE TABLE k (x CHECK (x <> "a text"));"#
        )
    };

    let app = App::on(&format!("{}{ROWS}", with(TABLE, "")));
    let out = engine.takes(&app, &with(WITHOUT_B, ""), "{}");
    assert!(!out.contains("for the text"), "{out}");
    assert_eq!(
        app.ask("INSERT INTO t (id) VALUES (3); SELECT a, k FROM v WHERE a = 'a text'"),
        "a text|a text"
    );

    let app = App::on(&format!("{}{ROWS}", with(TABLE, r#", "b""#)));
    engine.refuses(
        &app,
        &with(WITHOUT_B, r#", "b""#),
        "{}",
        "check_failed",
        "\"b\"",
    );
    // Beside a trigger that has a string, on the same event.
    let other =
        r#"CREATE TRIGGER s AFTER INSERT ON t BEGIN UPDATE t SET "b" = "a" WHERE "b" = 'q'; END;"#;
    let app = App::on(&format!("{}{ROWS}{other}", with(TABLE, "")));
    engine.refuses(
        &app,
        &format!("{}{other}", with(WITHOUT_B, "")),
        "{}",
        "check_failed",
        "an INSERT into t",
    );
    // A new one is told of.
    let app = App::on(&format!("{TABLE}{ROWS}"));
    let out = engine.takes(
        &app,
        &format!(r#"{TABLE} CREATE VIEW v AS SELECT "nope" FROM t;"#),
        "{}",
    );
    assert!(
        out.contains("the view v takes") && out.contains("for the text 'nope'"),
        "{out}"
    );
}

cases! { a_string_in_double_quotes_stays_one:
    [embedded: Engine::Embedded, host: Engine::Host]
}

const OPEN: &str = "CREATE TABLE t (id INTEGER PRIMARY KEY, s, a);";
const OPEN_ROWS: &str = "INSERT INTO t (s, a) VALUES ('open', 'x'), ('shut', 'open');";

/// `OPEN`, with a column of the name that was a text.
fn with_open() -> String {
    OPEN.replace(", a)", ", a, open)")
}

/// Names that come: what was a text is none of them. `mended` is what stands for it where it is
/// taken.
fn a_text_in_double_quotes_does_not_become_a_name(engine: Engine, object: &str, mended: &str) {
    let with_open = with_open();

    let app = App::on(&format!("{OPEN}{OPEN_ROWS}{object}"));
    for columns in [&with_open, &OPEN.replace(", a)", ", a, \"open\")")] {
        engine.refuses(
            &app,
            &format!("{columns}{object}"),
            "{}",
            "check_failed",
            "\"open\"",
        );
    }
    // A column is renamed to that name; another word comes beside it.
    let renamed = OPEN.replace(", a)", ", open)");
    let renames = r#"{"renames":["t.a=open"]}"#;
    if !object.contains(" a ") && !object.contains("(a") {
        engine.refuses(
            &app,
            &format!("{renamed}{object}"),
            renames,
            "check_failed",
            "Write 'open' there",
        );
    }
    engine.takes(
        &app,
        &format!("{with_open}{}", object.replace("\"open\"", mended)),
        "{}",
    );
}

cases! { a_text_in_double_quotes_does_not_become_a_name:
    [embedded: Engine::Embedded, host: Engine::Host]
    {
        view(
            r#"CREATE VIEW v AS SELECT * FROM t WHERE s="open";"#,
            "'open'",
        ),
        view_of_a_view(
            r#"CREATE VIEW w AS SELECT * FROM t; CREATE VIEW v AS SELECT id FROM w WHERE s IN ('x', "open");"#,
            "'open'",
        ),
        // One stays a text, the other becomes a name.
        one_of_two_views(
            r#"CREATE TABLE u (x); CREATE VIEW v AS SELECT x FROM u WHERE x = "open" UNION SELECT s FROM t WHERE s = "open";"#,
            "'open'",
        ),
        trigger(
            r#"CREATE TRIGGER r AFTER INSERT ON t BEGIN UPDATE t SET a = "open" WHERE a IS NULL; END;"#,
            "'open'",
        ),
        partial_index(r#"CREATE INDEX i ON t (a) WHERE s <> "open";"#, "'open'"),
        index_of_an_expression(r#"CREATE INDEX i ON t (ifnull(a, "open"));"#, "'open'"),
        // The column is meant.
        view_that_means_the_column(
            r#"CREATE VIEW v AS SELECT * FROM t WHERE s="open";"#,
            "t.\"open\"",
        ),
    }
}

/// The same within the table's own statement.
fn a_text_in_double_quotes_of_a_table_does_not_become_a_name(engine: Engine, within: &str) {
    let table = |columns: &str, within: &str| {
        format!("CREATE TABLE t (id INTEGER PRIMARY KEY, s{columns}{within});")
    };
    let app = App::on(&format!(
        "{} INSERT INTO t (s) VALUES ('x');",
        table("", within)
    ));
    for columns in [", open", ", \"open\""] {
        engine.refuses(
            &app,
            &table(columns, within),
            "{}",
            "check_failed",
            "the table t would take \"open\" for a column",
        );
    }
    // Only the text is mended: the column's own name stays in its quotes.
    engine.takes(
        &app,
        &table(", \"open\"", &within.replace("\"open\"", "'open'")),
        "{}",
    );
}

cases! { a_text_in_double_quotes_of_a_table_does_not_become_a_name:
    [embedded: Engine::Embedded, host: Engine::Host]
    {
        check(r#", CHECK (s <> "open")"#),
        generated(r#", g AS (s || "open")"#),
        stored(r#", g AS (s || "open") STORED"#),
    }
}

/// It is written anew, with both.
fn a_text_and_the_name_that_comes_are_both_taken(engine: Engine) {
    let with_open = with_open();
    let app = App::on(&format!(
        r#"{OPEN}{OPEN_ROWS}CREATE VIEW v AS SELECT * FROM t WHERE s = "open";"#
    ));
    engine.takes(
        &app,
        &format!(r#"{with_open}CREATE VIEW v AS SELECT "id", "open" FROM t WHERE s = 'open';"#),
        "{}",
    );
    assert_eq!(app.ask("SELECT count(*) FROM v"), "1");
}

cases! { a_text_and_the_name_that_comes_are_both_taken:
    [embedded: Engine::Embedded, host: Engine::Host]
}

/// Two triggers fire on one event: the one that would fail is named.
fn the_trigger_that_would_fail_is_named(engine: Engine) {
    let naming = "CREATE TRIGGER sound AFTER INSERT ON t BEGIN SELECT 1; END;
                  CREATE TRIGGER broken AFTER INSERT ON t BEGIN UPDATE t SET a = new.b; END;
                  CREATE TRIGGER also AFTER INSERT ON t BEGIN SELECT 2; END;";

    let app = App::on(&format!("{TABLE}{ROWS}{naming}"));
    let words = "an INSERT into t (trigger broken) would fail";
    engine.refuses(
        &app,
        &format!("{WITHOUT_B}{naming}"),
        "{}",
        "check_failed",
        words,
    );
}

cases! { the_trigger_that_would_fail_is_named:
    [embedded: Engine::Embedded, host: Engine::Host]
}

/// SQLite makes such a key, and fails over the first row.
#[test]
fn a_foreign_key_to_a_table_that_is_not_there_is_told_of() {
    let told = |app: &App, schema: &str, options: &str| -> Vec<String> {
        let done = app.publish(schema, options).unwrap();
        done.warnings
            .into_iter()
            .filter(|warning| warning.contains("foreign key of"))
            .collect()
    };
    let child =
        "CREATE TABLE child (id INTEGER PRIMARY KEY, a REFERENCES Parent, b REFERENCES child);";
    let parent = "CREATE TABLE parent (id INTEGER PRIMARY KEY);";
    let app = App::on("CREATE TABLE left (id INTEGER PRIMARY KEY)");
    let [warning] = &*told(&app, child, "{}") else {
        panic!("one")
    };
    assert!(
        warning.contains("a foreign key of child refers to Parent"),
        "{warning}"
    );
    assert_eq!(told(&app, &format!("{child}{parent}"), "{}"), [""; 0]);
    // The parent goes.
    assert_eq!(told(&app, child, "{}").len(), 1);
    // What is left alone is there.
    let app = App::on(parent);
    assert_eq!(told(&app, child, r#"{"ignore":["parent"]}"#), [""; 0]);
}

/// A migration that makes the table anew is a change as any other.
#[test]
fn a_migration_does_not_make_a_text_of_a_name() {
    let migration =
        "CREATE TABLE t2(id INTEGER PRIMARY KEY, a, CHECK (\"b\" <> '')); INSERT INTO t2 SELECT id, a FROM t;
                     DROP TABLE t; ALTER TABLE t2 RENAME TO t;";
    let app = App::on(&format!(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a, b, CHECK (\"b\" <> '')); {ROWS}"
    ));
    app.file("migrations/0001_init.sql", migration);
    let options = format!(
        r#"{{"migrations":"{}"}}"#,
        app.dir.path().join("migrations").display()
    );
    let declared = "CREATE TABLE t(id INTEGER PRIMARY KEY, a, CHECK (\"b\" <> ''));";
    Engine::Embedded.refuses(&app, declared, &options, "check_failed", "\"b\"");
}

fn an_application_s_function_hides_nothing(engine: Engine, naming: &str, words: &str) {
    let x = "CREATE TRIGGER x AFTER INSERT ON t BEGIN UPDATE t SET a = my_fn(new.a) WHERE id = new.id; END;";

    let app = App::on(&format!("{TABLE}{ROWS}{x}{naming}"));
    engine.refuses(
        &app,
        &format!("{WITHOUT_B}{x}{naming}"),
        "{}",
        "check_failed",
        words,
    );
    // What needs the function and not the column is no reason to refuse.
    engine.takes(
        &app,
        &format!("{WITH_C}{x}{}", naming.replace(".b", ".c")),
        r#"{"renames":["t.b=c"]}"#,
    );
}

cases! { an_application_s_function_hides_nothing:
    [embedded: Engine::Embedded, host: Engine::Host]
    {
        trigger(
            "CREATE TRIGGER z AFTER INSERT ON t BEGIN UPDATE t SET a = new.b WHERE id = new.id; END;",
            "an INSERT into t",
        ),
        view(
            "CREATE VIEW v AS SELECT my_fn(a) AS f, t.b FROM t;",
            "the view v",
        ),
        operator(
            "CREATE VIEW v AS SELECT a FROM t WHERE a REGEXP 'x' AND t.b;",
            "the view v",
        ),
        collation(
            "CREATE VIEW v AS SELECT a FROM t WHERE a MATCH 'x' ORDER BY a COLLATE my_order, t.b;",
            "the view v",
        ),
        window(
            "CREATE VIEW v AS SELECT my_sum(a) OVER (ORDER BY id), t.b FROM t;",
            "the view v",
        ),
    }
}

/// A trigger that could not be compiled before keeps nobody from renaming its table.
fn a_table_whose_trigger_needs_the_application_is_renamed(engine: Engine, body: &str) {
    let trigger = |table: &str| {
        format!(
            "CREATE TRIGGER x AFTER INSERT ON {table} BEGIN {}; END;",
            body.replace("UPDATE t ", &format!("UPDATE {table} "))
        )
    };
    let app = App::on(&format!("{TABLE}{ROWS}{}", trigger("t")));
    let declared = format!("{}{}", TABLE.replace("\"t\"", "u"), trigger("u"));
    engine.takes(&app, &declared, r#"{"renames":["t=u"]}"#);
    assert_eq!(
        app.ask("SELECT count(*) FROM u; SELECT tbl_name FROM sqlite_schema WHERE name = 'x'"),
        "2\nu"
    );
}

cases! { a_table_whose_trigger_needs_the_application_is_renamed:
    [embedded: Engine::Embedded, host: Engine::Host]
    {
        function("UPDATE t SET a = my_fn(new.a)"),
        missing_table("INSERT INTO gone VALUES (new.a)"),
        operator("SELECT 1 WHERE new.a REGEXP 'x'"),
    }
}

#[test]
fn full_text_over_another_table_is_not_left_without_it() {
    for engine in ENGINES {
        for full_text in [
            "CREATE VIRTUAL TABLE f USING fts5(body, content='doc');",
            "CREATE VIRTUAL TABLE f USING fts5(body, content=\"doc\", content_rowid='id');",
            "CREATE VIRTUAL TABLE f USING fts4(body, content=\"doc\");",
        ] {
            let doc = |name: &str, id: &str, body: &str| {
                format!("CREATE TABLE {name}({id} INTEGER PRIMARY KEY, {body} TEXT, n);")
            };
            let now = doc("doc", "id", "body");
            let app = App::on(&format!(
                "{now}{full_text} INSERT INTO doc VALUES (1, 'hello world', 2); INSERT INTO f(f) VALUES ('rebuild')"
            ));
            let refused = |schema: &str, options: &str| {
                let schema = format!("{schema}{full_text}");
                engine.refuses(&app, &schema, options, "check_failed", "f would fail");
            };
            refused(
                &doc("doc", "id", "text"),
                r#"{"renames":["doc.body=text"]}"#,
            );
            refused(
                &doc("documents", "id", "body"),
                r#"{"renames":["doc=documents"]}"#,
            );
            refused("CREATE TABLE doc(id INTEGER PRIMARY KEY, n);", "{}");
            refused(
                "CREATE TABLE other(id INTEGER PRIMARY KEY);",
                r#"{"allow":["drop"]}"#,
            );
            if full_text.contains("content_rowid") {
                refused(&doc("doc", "key", "body"), r#"{"renames":["doc.id=key"]}"#);
            }
            // What it does not read may change.
            engine.takes(
                &app,
                &format!("CREATE TABLE doc(id INTEGER PRIMARY KEY, body TEXT, m);{full_text}"),
                r#"{"renames":["doc.n=m"]}"#,
            );
            assert_eq!(
                app.ask("SELECT body FROM f WHERE f MATCH 'world'"),
                "hello world"
            );
        }
        // Content is not kept, and nothing is read.
        let contentless = "CREATE VIRTUAL TABLE f USING fts5(body, content='');";
        let app = App::on(&format!(
            "CREATE TABLE doc(id INTEGER PRIMARY KEY, body TEXT);{contentless}"
        ));
        engine.takes(
            &app,
            &format!("CREATE TABLE doc(id INTEGER PRIMARY KEY);{contentless}"),
            "{}",
        );
        // The words of an index that goes.
        let vocabulary = "CREATE VIRTUAL TABLE words USING fts5vocab('f', 'row');";
        let app = App::on(&format!(
            "{TABLE} CREATE VIRTUAL TABLE f USING fts5(body); {vocabulary}"
        ));
        engine.refuses(
            &app,
            &format!("{TABLE}{vocabulary}"),
            "{}",
            "check_failed",
            "words would fail",
        );
    }
}

/// Pages that were corrupt before, of a table that nothing is done to: what was checked is said,
/// and verify finds them.
#[test]
fn what_was_not_checked_is_said_and_verify_finds_it() {
    let app = App::on("PRAGMA page_size = 4096; VACUUM; CREATE TABLE t (id INTEGER PRIMARY KEY, a); CREATE TABLE u (id INTEGER PRIMARY KEY, a);
                       INSERT INTO u SELECT value, hex(randomblob(900)) FROM json_each(json_array(1,2,3,4,5,6,7,8,9,10)); PRAGMA wal_checkpoint(TRUNCATE);");
    let page: u64 = app
        .ask("SELECT max(pageno) FROM dbstat WHERE name = 'u' AND pagetype = 'leaf'")
        .parse()
        .unwrap_or(5);
    let mut bytes = std::fs::read(&app.live).unwrap();
    let at = usize::try_from((page - 1) * 4096).unwrap();
    bytes[at..at + 64].fill(0xff);
    std::fs::write(&app.live, bytes).unwrap();
    let outcome = app
        .publish("CREATE TABLE t (id INTEGER PRIMARY KEY, a, b); CREATE TABLE u (id INTEGER PRIMARY KEY, a);", "{}")
        .unwrap();
    let checked = outcome
        .log
        .iter()
        .find(|line| line.step == Step::Check)
        .unwrap();
    assert!(
        checked
            .message
            .contains("not the pages of other tables, which verify reads"),
        "{}",
        checked.message
    );
    let verified = app.remy().verify().unwrap();
    let wrong: Vec<_> = verified
        .checked
        .iter()
        .filter(|check| !check.ok)
        .map(|check| check.what.as_str())
        .collect();
    assert_eq!(
        wrong,
        ["integrity_check", "integrity_check"],
        "{verified:?}"
    );
}

/// A library for both engines, with a function, a collation and a tokenizer of its own.
fn library() -> PathBuf {
    static ONCE: std::sync::OnceLock<PathBuf> = std::sync::OnceLock::new();
    ONCE.get_or_init(|| compiled("tests/fixtures/app_functions.c"))
        .clone()
}

const NEEDING: &str = "CREATE TABLE p (id INTEGER PRIMARY KEY, title TEXT CHECK (slug(title) <> ''), x INT, y INT);
    CREATE INDEX by_slug ON p (slug(title)); CREATE INDEX by_order ON p (title COLLATE app_order);
    CREATE TABLE g (id INTEGER PRIMARY KEY, title TEXT, s TEXT AS (slug(title)) STORED, v TEXT AS (slug(title)) NOT NULL, x INT);
    CREATE VIRTUAL TABLE f USING fts5(body, tokenize = 'app_words');";

/// A database that needs an application's library.
fn needing() -> App {
    let app = App::on("CREATE TABLE other (a)");
    with_library(&app, NEEDING);
    with_library(
        &app,
        "INSERT INTO p VALUES (1, 'One Two', 3, 4), (2, 'Two', 5, 6); INSERT INTO g (id, title) VALUES (1, 'A b');
         INSERT INTO f VALUES ('some words')",
    );
    app
}

/// What an application does that has the library.
fn with_library(app: &App, sql: &str) {
    let load = format!(".load {}", library().display());
    stdout(
        Command::new("sqlite3")
            .args(["-batch", "-bail"])
            .arg(&app.live)
            .arg(load)
            .arg(sql),
    );
}

#[test]
fn verify_calls_nothing_broken_that_needs_the_application() {
    let app = needing();
    let extensions = format!(r#"{{"extensions":["{}"]}}"#, library().display());
    engine_checks(&app, &extensions);
    // What is broken is found beside it.
    shell(
        &app.live,
        "PRAGMA writable_schema = ON; CREATE TABLE n (a, b); INSERT INTO n VALUES (NULL, 1);
        UPDATE sqlite_schema SET sql = 'CREATE TABLE n (a NOT NULL, b)' WHERE name = 'n'",
    );
    let verified = app.remy().verify().unwrap();
    assert!(!verified.ok);
    assert!(
        verified.checked[0]
            .message
            .as_deref()
            .unwrap()
            .contains("NULL value in n.a"),
        "{verified:?}"
    );
}

fn engine_checks(app: &App, extensions: &str) {
    let verified = app.remy().verify().unwrap();
    assert!(verified.ok, "{verified:?}");
    let warned = verified.warnings.join("\n");
    for (table, name) in [("p", "slug"), ("g", "slug"), ("f", "app_words")] {
        assert!(
            warned.contains(&format!(
                "the pages of {table} were checked, for {name} is not here"
            )),
            "{warned}"
        );
    }
    let verified = app
        .remy()
        .verify_with(&Options::from_json(extensions).unwrap(), Progress::none())
        .unwrap();
    assert!(
        verified.ok && !verified.warnings.iter().any(|w| w.contains("not here")),
        "{verified:?}"
    );
    let out = host(app, &["SELECT remy_verify()"]).unwrap();
    assert!(
        out.contains("\"ok\":true")
            && out.contains("the pages of p were checked, for slug is not here"),
        "{out}"
    );
    let out = host(app, &[&format!("SELECT remy_verify('{extensions}')")]).unwrap();
    assert!(
        out.contains("\"ok\":true") && !out.contains("not here"),
        "{out}"
    );
}

#[test]
fn verify_says_what_it_does_and_can_be_called_off() {
    use std::sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    };
    let app = App::on(TABLE);
    app.publish(WITHOUT_B, "{}").unwrap();
    let lines = Mutex::new(Vec::new());
    let cancel = AtomicBool::new(false);
    let on_line = |line: &remy_db::Line| {
        lines.lock().unwrap().push(line.message.clone());
        // After the first line, while the database is about to be read.
        cancel.store(lines.lock().unwrap().len() > 100, Ordering::Relaxed);
    };
    let progress = Progress::none().on_line(&on_line);
    assert!(
        app.remy()
            .verify_with(&Options::default(), progress)
            .unwrap()
            .ok
    );
    let said = lines.lock().unwrap().join("\n");
    assert!(
        said.contains("integrity_check holds") && said.contains("size and hash holds"),
        "{said}"
    );
    cancel.store(true, Ordering::Relaxed);
    let e = app
        .remy()
        .verify_with(&Options::default(), Progress::none().cancel(&cancel))
        .unwrap_err();
    assert_eq!(e.code(), "busy", "{e}");
}

#[test]
fn what_needs_the_application_is_declared_and_changed_beside_it() {
    let extensions = format!(r#""extensions":["{}"]"#, library().display());
    for engine in ENGINES {
        // Another column comes, goes and is renamed, whether or not the library is there.
        for options in [String::new(), format!(",{extensions}")] {
            let app = needing();
            // SQLite itself moves nothing in a table whose index has a collation that is not there.
            let without = if options.is_empty() {
                "CREATE INDEX by_order ON p (title COLLATE app_order);"
            } else {
                ""
            };
            let needing = NEEDING.replace(without, "");
            app.ask(if options.is_empty() {
                "DROP INDEX by_order"
            } else {
                ""
            });
            let add =
                format!("{needing} CREATE TABLE other (a);").replace("y INT)", "y INT, z INT)");
            engine.takes(&app, &add, &format!("{{\"dry_run\":false{options}}}"));
            let rename = add.replace("x INT, y INT, z", "w INT, y INT, z");
            engine.takes(
                &app,
                &rename,
                &format!("{{\"renames\":[\"p.x=w\"]{options}}}"),
            );
            let drop = rename.replace("w INT, y INT, z INT", "w INT, z INT");
            engine.takes(&app, &drop, &format!("{{\"dry_run\":false{options}}}"));
            assert_eq!(app.ask("SELECT w FROM p NOT INDEXED ORDER BY id"), "3\n5");
        }
        // What is new needs it.
        let new = format!("{TABLE} {NEEDING}");
        let app = App::on(TABLE);
        engine.takes(&app, &new, &format!("{{{extensions}}}"));
        let app = App::on(TABLE);
        engine.refuses(
            &app,
            &new,
            "{}",
            "unsupported_change",
            "the option extensions",
        );
        let app = App::on(&format!("{TABLE}{ROWS}"));
        let generated = TABLE.replace("\"b\"", "\"b\", \"k\" TEXT DEFAULT (gen_id())");
        engine.refuses(
            &app,
            &generated,
            "{}",
            "unsupported_change",
            "Name the library that brings gen_id in the option extensions",
        );
        engine.takes(&app, &generated, &format!("{{{extensions}}}"));
        assert_eq!(app.ask("SELECT k FROM t ORDER BY id"), "id\nid");
    }
}

/// SQLite 3.40 finds NULLs in a table WITHOUT ROWID where there are none.
#[test]
fn a_false_alarm_of_the_host_s_is_none() {
    let app = App::on(
        "CREATE TABLE t (x TEXT, a TEXT, k INTEGER PRIMARY KEY) WITHOUT ROWID; INSERT INTO t VALUES (NULL, 'a', 1)",
    );
    let declared = "CREATE TABLE t (x TEXT, a TEXT NOT NULL, k INTEGER PRIMARY KEY) WITHOUT ROWID;";
    Engine::Host.takes(&app, declared, "{}");
    assert!(
        app.ask("PRAGMA quick_check").contains("NULL value in t.a"),
        "this host has no such alarm"
    );
    Engine::Host.takes(&app, &declared.replace("x TEXT", "x TEXT, y TEXT"), "{}");
    let out = host(&app, &["SELECT remy_verify()"]).unwrap();
    assert!(out.contains("\"ok\":true"), "{out}");
    Engine::Host.takes(
        &app,
        &declared.replace("x TEXT", "x TEXT, y TEXT, z TEXT"),
        "{}",
    );
    assert!(host(&app, &["SELECT remy_rollback()"]).is_ok());
}

/// What a check found before the change is not the change's fault.
#[test]
fn rows_that_did_not_pass_before_are_not_the_change_s() {
    for engine in ENGINES {
        let app = App::on(
            "CREATE TABLE t (a CHECK (a > 0), b); PRAGMA ignore_check_constraints = ON; INSERT INTO t VALUES (-1, 2)",
        );
        engine.takes(&app, "CREATE TABLE t (a CHECK (a > 0), b, c);", "{}");
        engine.takes(
            &app,
            "CREATE TABLE u (a CHECK (a > 0), b, c, d);",
            r#"{"renames":["t=u"]}"#,
        );
        assert_eq!(app.ask("SELECT a, b, c FROM u"), "-1|2|");
    }
}

/// An application's database goes through every verb without its library, where nothing of it is
/// changed.
#[test]
fn a_database_that_needs_the_application_goes_through_the_verbs_without_it() {
    let keys = "CREATE TABLE parents (k TEXT COLLATE app_order UNIQUE); CREATE TABLE children (k TEXT COLLATE app_order REFERENCES parents (k));
        CREATE TABLE computed (k TEXT, s AS (slug(k)) REFERENCES parents (k));";
    for engine in ENGINES {
        let app = needing();
        with_library(
            &app,
            &format!("{keys} INSERT INTO children VALUES ('x'); INSERT INTO parents VALUES ('x')"),
        );
        let declared = format!("{NEEDING}{keys} CREATE TABLE other (a, b);");
        engine.takes(&app, &declared, "{}");
        engine.takes(
            &app,
            &declared.replace("(a, b)", "(a TEXT NOT NULL, b)"),
            "{}",
        );
        let run = |call: &str| host(&app, &[call]).unwrap_or_else(|e| panic!("{call}: {e}"));
        run("SELECT remy_rollback(NULL, '{\"dry_run\":true}')");
        run("SELECT remy_dev_start('d')");
        run("SELECT remy_dev_reset('d')");
        match engine {
            Engine::Embedded => drop(app.rollback(None).unwrap()),
            Engine::Host => drop(run("SELECT remy_rollback()")),
        }
        assert_eq!(
            app.ask("SELECT count(*) FROM p; SELECT count(*) FROM children"),
            "2\n1"
        );
    }
}

#[test]
fn a_dev_database_that_needs_the_application_is_emptied_with_its_library() {
    let app = needing();
    let counts = "SELECT (SELECT count(*) FROM p) + (SELECT count(*) FROM g) + (SELECT count(*) FROM f_content)";
    let extensions = format!(r#"{{"extensions":["{}"]}}"#, library().display());
    app.remy().dev_start("me").unwrap();
    let e = app.remy().dev_truncate("me").unwrap_err();
    assert_eq!(e.code(), "unsupported_change", "{e}");
    assert!(
        e.to_string().contains("is not here") && e.to_string().contains("the option extensions"),
        "{e}"
    );
    let said = host(&app, &["SELECT remy_dev_truncate('me')"]).unwrap_err();
    assert!(
        said.contains("unsupported_change") && said.contains("the option extensions"),
        "{said}"
    );
    assert_ne!(shell(&app.store("dev/me.db"), counts), "0\n");
    app.remy()
        .dev_truncate_with(
            "me",
            &Options::from_json(&extensions).unwrap(),
            Progress::none(),
        )
        .unwrap();
    assert_eq!(shell(&app.store("dev/me.db"), counts), "0\n");
    app.remy().dev_reset("me").unwrap();
    host(
        &app,
        &[&format!("SELECT remy_dev_truncate('me', '{extensions}')")],
    )
    .unwrap();
    assert_eq!(shell(&app.store("dev/me.db"), counts), "0\n");
}
