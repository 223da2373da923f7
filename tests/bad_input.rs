//! What users get wrong, and what goes wrong for them. Each time: the code, a message that helps,
//! live unchanged as a fresh reader sees it, nothing left locked, and the next publish working.
use remy_db::{
    Error, Line, Options, Outcome, Progress, Reached, ReleaseId, Remy, Result, StatementKind,
    Status, Step,
};
use remy_tests::{built_program, cases, live::App, output, shell};
use std::{
    fs,
    io::Write,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

const SCHEMA: &str = "CREATE TABLE teams (id INTEGER PRIMARY KEY, title TEXT);
CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, age INTEGER, team INTEGER);
CREATE INDEX by_name ON users (name);";

/// An application with two tables and rows in them, that remy has not seen yet.
fn app() -> App {
    App::on(&format!(
        "{SCHEMA} INSERT INTO teams VALUES (1, 'a');
         INSERT INTO users VALUES (1, 'x', 30, 1), (2, 'x', NULL, 7), (3, 'z', 31, NULL);"
    ))
}

/// `verb` is refused as `App::refuses` has it, its message says what state things are in, and the
/// application goes on.
fn refuses(
    app: &App,
    code: &str,
    words: &[&str],
    verb: impl FnOnce(&App) -> Result<Outcome>,
) -> Error {
    let e = app.refuses(code, words, verb);
    assert!(
        e.detail().state.is_some(),
        "no word of the state that things are in: {e}"
    );
    goes_on(app);
    e
}

/// Nothing is locked, nothing is left over, and the next publish works.
fn goes_on(app: &App) {
    shell(&app.live, "BEGIN IMMEDIATE; ROLLBACK;");
    let outcome = app
        .publish(
            &format!("{SCHEMA} CREATE TABLE next (a);"),
            r#"{"allow": ["drop"]}"#,
        )
        .unwrap();
    assert_eq!(outcome.status, Reached::Live);
    let work: Vec<_> = fs::read_dir(app.store("work")).unwrap().collect();
    assert!(work.is_empty(), "{work:?}");
    let verified = app.remy().verify().unwrap();
    assert!(verified.ok, "{verified:#?}");
}

fn changed(from: &str, to: &str) -> String {
    assert!(SCHEMA.contains(from));
    SCHEMA.replace(from, to)
}

#[test]
fn a_schema_that_does_not_parse() {
    let schema = changed("name TEXT, age", "name TEXT,, age");
    refuses(&app(), "schema_invalid", &["line 2", "column"], |app| {
        app.publish(&schema, "")
    });
}

#[test]
fn a_schema_file_that_is_not_there() {
    refuses(&app(), "not_found", &["nowhere.sql"], |app| {
        app.publish("nowhere.sql", "")
    });
}

#[test]
fn an_option_that_is_not_known() {
    refuses(&app(), "invalid_argument", &["lable", "label"], |app| {
        app.publish(SCHEMA, r#"{"lable": "x"}"#)
    });
}

#[test]
fn a_type_change_that_nobody_asked_for() {
    let schema = changed("age INTEGER", "age TEXT");
    refuses(
        &app(),
        "lossy_change",
        &["users", "age", "INTEGER", "TEXT", "type_change"],
        |app| app.publish(&schema, ""),
    );
    let app = app();
    app.publish(&schema, r#"{"allow": ["type_change"]}"#)
        .unwrap();
    assert_eq!(
        shell(&app.live, "SELECT DISTINCT typeof(age) FROM users"),
        "text\nnull\n"
    );
}

#[test]
fn a_column_that_may_be_renamed_or_dropped() {
    let schema =
        changed("name TEXT", "full_name TEXT").replace("users (name)", "users (full_name)");
    refuses(
        &app(),
        "ambiguous_rename",
        &["name", "full_name", "renamed"],
        |app| app.publish(&schema, ""),
    );
    let app = app();
    app.publish(&schema, r#"{"renames": ["users.name=full_name"]}"#)
        .unwrap();
    assert_eq!(
        shell(&app.live, "SELECT full_name FROM users WHERE id = 3"),
        "z\n"
    );
}

#[test]
fn not_null_without_default_on_a_table_with_rows() {
    let schema = changed("team INTEGER", "team INTEGER, email TEXT NOT NULL");
    let app = app();
    let before = app.seen();
    let e = app.publish(&schema, "").unwrap_err();
    assert!(
        ["check_failed", "unsupported_change", "lossy_change"].contains(&e.code()),
        "{e}"
    );
    assert!(
        e.to_string().contains("email") && e.to_string().contains('3'),
        "{e}"
    );
    assert_eq!(app.seen(), before);
    goes_on(&app);
}

#[test]
fn not_null_over_values_that_are_null() {
    let schema = changed("age INTEGER", "age INTEGER NOT NULL");
    let app = app();
    let e = app.publish(&schema, "").unwrap_err();
    assert!(
        e.to_string().contains("age") && e.to_string().contains('1'),
        "{e}"
    );
    goes_on(&app);
}

#[test]
fn duplicate_rows_under_a_new_unique() {
    let schema = changed("CREATE INDEX by_name", "CREATE UNIQUE INDEX by_name");
    let app = app();
    let before = app.seen();
    let e = app.publish(&schema, "").unwrap_err();
    assert!(["check_failed", "ddl_failed"].contains(&e.code()), "{e}");
    assert!(
        e.to_string().contains("by_name") || e.to_string().contains("name"),
        "{e}"
    );
    assert_eq!(app.seen(), before);
    goes_on(&app);
}

#[test]
fn a_foreign_key_that_rows_violate() {
    let schema = changed("team INTEGER", "team INTEGER REFERENCES teams (id)");
    refuses(&app(), "check_failed", &["users", "teams"], |app| {
        app.publish(&schema, "")
    });
}

fn a_migration_that_fails_at_any_position(good: &str) {
    let app = app();
    let folder = app.live.with_file_name("migrations");
    fs::create_dir(&folder).unwrap();
    fs::write(
        folder.join("0001_first.sql"),
        format!("{good}\nINSERT INTO nothing VALUES (1);"),
    )
    .unwrap();
    let options = format!(r#"{{"migrations": {:?}}}"#, folder.display().to_string());
    let e = refuses(&app, "ddl_failed", &["0001_first.sql", "nothing"], |app| {
        app.publish(SCHEMA, &options)
    });
    assert!(e.detail().sql.is_some(), "{e:?}");
}

cases! { a_migration_that_fails_at_any_position:
    {
        the_first_statement(""),
        the_second("CREATE TABLE m (a);"),
        the_third("CREATE TABLE m (a);\nINSERT INTO m VALUES (1);"),
    }
}

/// A release, and a migration that is not to leave it.
struct Leaving {
    app: App,
    host: rusqlite::Connection,
    folder: PathBuf,
    elsewhere: PathBuf,
    declared: String,
}

impl Leaving {
    fn new() -> Self {
        let app = app();
        let declared = format!("{SCHEMA} CREATE VIRTUAL TABLE search USING fts5 (words);");
        app.publish(&declared, "").unwrap();
        let folder = app.live.with_file_name("migrations");
        fs::create_dir(&folder).unwrap();
        Self {
            host: rusqlite::Connection::open(&app.live).unwrap(),
            elsewhere: app.live.with_file_name("elsewhere.db"),
            folder,
            declared,
            app,
        }
    }

    /// Why `sql` is refused. The clone is thrown away, and live is what it was.
    fn refused(&self, by_host: bool, sql: &str) -> String {
        let sql = sql
            .replace("ELSEWHERE", &self.elsewhere.display().to_string())
            .replace("LIVE", &self.app.live.display().to_string());
        fs::write(
            self.folder.join("0001_leave.sql"),
            format!("CREATE TABLE planted (a);\n{sql}\n"),
        )
        .unwrap();
        let options =
            Options::from_json(&format!(r#"{{"migrations": {:?}}}"#, self.folder)).unwrap();
        let before = self.app.seen();
        let published = if by_host {
            // SAFETY: the connection is of the engine that rusqlite is bound to, and stays open
            // during the call.
            let remy = unsafe { Remy::on_host(self.host.handle()) }.unwrap();
            remy.publish(&self.declared, &options, Progress::none())
        } else {
            self.app
                .remy()
                .publish(&self.declared, &options, Progress::none())
        };
        let e = published.map(|_| panic!("it was done: {sql}")).unwrap_err();
        // A function that is not here at all is asked for by name.
        assert!(
            matches!(e.code(), "ddl_failed" | "unsupported_change"),
            "{sql}: {e}"
        );
        assert!(
            e.to_string().contains("0001_leave.sql") && e.detail().state.is_some(),
            "{sql}: {e}"
        );
        assert_eq!(self.app.seen(), before, "{sql}");
        assert!(!self.elsewhere.exists(), "{sql}");
        let work: Vec<_> = fs::read_dir(format!("{}-remy/work", self.app.live.display()))
            .unwrap()
            .collect();
        assert!(work.is_empty(), "{sql}: {work:?}");
        e.to_string()
    }

    /// Why each is refused, on a host's SQLite now and then.
    fn all_refused<'a>(self, statements: &[&'a str]) -> Vec<(&'a str, String)> {
        let refused = |(n, sql): (usize, &&'a str)| (*sql, self.refused(n % 3 == 1, sql));
        let why = statements.iter().enumerate().map(refused).collect();
        drop(self.host);
        goes_on(&self.app);
        why
    }
}

/// What a migration may not do is said by name not to be allowed, in whatever it is wrapped.
fn a_migration_that_tries_to_leave(statements: &[&str]) {
    for (sql, why) in Leaving::new().all_refused(statements) {
        let said =
            why.contains("is not allowed in a migration") || why.contains("begins with _remy_");
        assert!(said, "{sql}: {why}");
    }
}

cases! { a_migration_that_tries_to_leave:
    {
        transactions(&[
            "COMMIT;",
            "END;",
            "end transaction;",
            "ROLLBACK;",
            "BEGIN;",
            "BEGIN IMMEDIATE;",
            "SAVEPOINT a;",
            "RELEASE a;",
            "ROLLBACK TO a;",
            "/* nothing */ ; -- COMMIT\n; COMMIT;",
            "SELECT 1; COMMIT; ATTACH 'LIVE' AS l; CREATE TABLE l.planted (a);",
            "EXPLAIN COMMIT;",
        ]),
        databases(&[
            "ATTACH 'LIVE' AS l;",
            "ATTACH 'ELSEWHERE' AS e;",
            "ATTACH 'file:ELSEWHERE?mode=rwc' AS e;",
            "DETACH main;",
        ]),
        pragmas(&[
            "PRAGMA journal_mode = delete;",
            "PRAGMA main.journal_mode = off;",
            "PRAGMA writable_schema = on;",
            "PRAGMA writable_schema(1);",
            "PRAGMA schema_version = 1;",
            "PRAGMA wal_checkpoint(TRUNCATE);",
            "PRAGMA wal_autocheckpoint = 1;",
            "PRAGMA locking_mode = normal;",
            "PRAGMA synchronous = full;",
            "PRAGMA temp_store_directory = '/tmp';",
            "PRAGMA data_store_directory = '/tmp';",
            "PRAGMA temp_store = 2;",
            "PRAGMA page_size = 512;",
            "PRAGMA auto_vacuum = 1;",
            "PRAGMA incremental_vacuum;",
            "PRAGMA encoding = 'UTF-16le';",
            "PRAGMA recursive_triggers = on;",
            "PRAGMA ignore_check_constraints = on;",
            "PRAGMA trusted_schema = on;",
            "PRAGMA query_only = on;",
            "PRAGMA mmap_size = 1000;",
            "PRAGMA hard_heap_limit = 1;",
        ]),
        libraries(&[
            "SELECT load_extension('x');",
            "WITH a AS (SELECT load_extension('x') AS b) SELECT * FROM a;",
            "CREATE TABLE copied AS SELECT load_extension('x');",
            "INSERT INTO planted VALUES (1) RETURNING load_extension('x');",
        ]),
        remys_tables(&[
            "DELETE FROM _remy_release;",
            "UPDATE _remy_release SET release = 99;",
            "INSERT INTO _remy_migrations VALUES ('a', 'b', 1);",
            "DROP TABLE _remy_release;",
            "ALTER TABLE planted RENAME TO _remy_planted;",
            "CREATE TEMP TABLE _remy_release (a);",
            "CREATE TRIGGER r AFTER INSERT ON planted BEGIN DELETE FROM _remy_release; END; INSERT INTO planted VALUES (1);",
            "WITH a AS (SELECT 1) DELETE FROM _remy_release;",
        ]),
    }
}

/// What it cannot do is refused by SQLite, as connections of remy's are set up.
fn a_migration_that_cannot_leave(statements: &[&str]) {
    assert_eq!(
        Leaving::new().all_refused(statements).len(),
        statements.len()
    );
}

cases! { a_migration_that_cannot_leave:
    {
        libraries(&[
            "CREATE VIEW w AS SELECT load_extension('x'); SELECT * FROM w;",
            "CREATE TRIGGER r AFTER INSERT ON planted BEGIN SELECT load_extension('x'); END; INSERT INTO planted VALUES (1);",
            "CREATE TEMP TRIGGER r AFTER INSERT ON planted BEGIN SELECT load_extension('x'); END; INSERT INTO planted VALUES (1);",
            "CREATE TABLE k (a CHECK (load_extension(a) IS NULL)); INSERT INTO k VALUES (1);",
            "CREATE TABLE g (a, b AS (load_extension(a)));",
        ]),
        vacuum(&["VACUUM;", "VACUUM INTO 'ELSEWHERE';"]),
        pages(&[
            "UPDATE sqlite_dbpage SET data = zeroblob(4096) WHERE pgno = 2;",
            "INSERT INTO sqlite_dbpage (pgno, data) VALUES (2, zeroblob(4096));",
            "DELETE FROM sqlite_dbpage;",
            "CREATE VIRTUAL TABLE pages USING sqlite_dbpage; UPDATE pages SET data = zeroblob(4096) WHERE pgno = 2;",
        ]),
        sqlites_tables(&[
            "DELETE FROM sqlite_schema;",
            "UPDATE sqlite_schema SET sql = 'x';",
            "DELETE FROM search_data;",
            "DROP TABLE search_config;",
            "SELECT * FROM sqlite_dbdata('main');",
        ]),
        files(&[
            "SELECT writefile('ELSEWHERE', 'x');",
            "SELECT edit('x', 'touch ELSEWHERE');",
            "SELECT readfile('ELSEWHERE');",
            "SELECT * FROM fsdir('/');",
            "CREATE VIRTUAL TABLE z USING zipfile('ELSEWHERE');",
            "CREATE VIRTUAL TABLE z USING csv(filename = 'ELSEWHERE');",
            ".shell touch ELSEWHERE",
        ]),
        functions(&[
            "SELECT fts3_tokenizer('simple', x'0000000000000000');",
            "SELECT * FROM pragma_journal_mode('delete');",
            "SELECT * FROM pragma_wal_checkpoint;",
        ]),
        rollbacks(&[
            "INSERT OR ROLLBACK INTO teams VALUES (1, 'again');",
            "CREATE TRIGGER r AFTER INSERT ON planted BEGIN SELECT RAISE(ROLLBACK, 'out'); END; INSERT INTO planted VALUES (1);",
        ]),
    }
}

/// The same in a declared schema: it holds nothing but a schema, and that of one database.
#[test]
fn a_schema_that_tries_to_leave() {
    let app = app();
    app.publish(SCHEMA, "").unwrap();
    let elsewhere = app.live.with_file_name("elsewhere.db");
    for sql in [
        "ATTACH 'ELSEWHERE' AS e; CREATE TABLE e.planted (a);",
        "DETACH main;",
        "VACUUM;",
        "VACUUM INTO 'ELSEWHERE';",
        "SAVEPOINT a;",
        "RELEASE a;",
        "ROLLBACK;",
        "SELECT load_extension('x');",
        "WITH a AS (SELECT 1) SELECT load_extension('x') FROM a;",
        "EXPLAIN SELECT 1;",
        "REINDEX;",
        "WITH a AS (SELECT 1) INSERT INTO users (name) SELECT * FROM a;",
        "UPDATE users SET name = 'x';",
        "DELETE FROM users;",
        "CREATE TEMP TABLE planted (a);",
        "/* */ CREATE /* */ TEMPORARY TRIGGER r AFTER INSERT ON users BEGIN SELECT 1; END;",
        "CREATE TABLE temp.planted (a);",
        "CREATE VIEW temp.planted AS SELECT 1;",
        "CREATE TABLE planted AS SELECT load_extension('x') AS a;",
        "CREATE TABLE _remy_planted (a);",
        "CREATE TABLE planted (a, b AS (load_extension(a)));",
        "ALTER TABLE users RENAME TO _remy_users;",
    ] {
        let sql = sql.replace("ELSEWHERE", &elsewhere.display().to_string());
        let before = app.seen();
        let e = app
            .publish(&format!("{SCHEMA} {sql}"), "")
            .map(|_| panic!("it was done: {sql}"))
            .unwrap_err();
        assert_eq!(e.code(), "schema_invalid", "{sql}: {e}");
        assert_eq!(app.seen(), before, "{sql}");
        assert!(!elsewhere.exists(), "{sql}");
    }
    // Pragmas, transactions and rows of a dump are passed over: they do nothing.
    let mode = shell(&app.live, "PRAGMA journal_mode; PRAGMA user_version");
    let dump = format!(
        "PRAGMA journal_mode = delete; PRAGMA user_version = 7; BEGIN TRANSACTION; {SCHEMA} INSERT INTO users (name) VALUES ('planted'); COMMIT;"
    );
    assert!(app.publish(&dump, "").unwrap().statements.is_empty());
    assert_eq!(
        shell(&app.live, "PRAGMA journal_mode; PRAGMA user_version"),
        mode
    );
    goes_on(&app);
}

#[test]
fn a_path_that_leads_nowhere_or_to_something_else() {
    let dir = tempfile::tempdir().unwrap();
    let open = |path: &Path| Remy::open(path).map(|_| ()).unwrap_err();
    assert_eq!(open(&dir.path().join("nowhere.db")).code(), "not_found");
    assert_eq!(open(dir.path()).code(), "invalid_argument");
    assert_eq!(open(Path::new(":memory:")).code(), "invalid_argument");
    let text = dir.path().join("text.db");
    fs::write(
        &text,
        "this is no database, however long one reads it\n".repeat(100),
    )
    .unwrap();
    let e = open(&text);
    assert_eq!(e.code(), "corrupt");
    assert!(e.to_string().contains("text.db"), "{e}");
}

#[test]
fn a_second_name_of_the_file() {
    let app = app();
    let other = app.live.with_file_name("other.db");
    fs::hard_link(&app.live, &other).unwrap();
    let e = Remy::open(&app.live).map(|_| ()).unwrap_err();
    assert_eq!(e.code(), "invalid_argument");
    assert!(e.to_string().contains("hard link"), "{e}");
    fs::remove_file(other).unwrap();
    goes_on(&app);
}

#[test]
fn a_file_that_this_user_may_not_write() {
    let app = app();
    let folder = app.live.parent().unwrap();
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(&app.live, fs::Permissions::from_mode(0o444)).unwrap();
    let mut driver = Command::new(built_program("remy-driver"));
    driver.arg(&app.live).args(["publish", SCHEMA]);
    // SAFETY: geteuid takes nothing and cannot fail.
    if unsafe { libc::geteuid() } == 0 {
        driver.uid(65534).gid(65534); // permissions do not bind root
    }
    let out = output(&mut driver);
    let text = String::from_utf8_lossy(&out.stdout);
    assert_eq!(out.status.code(), Some(1), "{text}");
    assert!(
        text.contains(r#""code":"io""#) && text.contains("app.db"),
        "{text}"
    );
    fs::set_permissions(&app.live, fs::Permissions::from_mode(0o644)).unwrap();
    goes_on(&app);
}

#[test]
fn a_damaged_page() {
    let app = app();
    shell(
        &app.live,
        "PRAGMA wal_checkpoint(TRUNCATE); PRAGMA journal_mode = delete;",
    );
    let root: u64 = shell(
        &app.live,
        "SELECT rootpage FROM sqlite_schema WHERE name = 'users'",
    )
    .trim()
    .parse()
    .unwrap();
    let mut bytes = fs::read(&app.live).unwrap();
    let at = (usize::try_from(root).unwrap() - 1) * 4096;
    bytes[at..at + 64].fill(0xff);
    fs::write(&app.live, &bytes).unwrap();
    let e = app
        .publish(&changed("age INTEGER", "age INTEGER DEFAULT 1"), "")
        .unwrap_err();
    assert_eq!(e.code(), "corrupt", "{e}");
    let verified = app.remy().verify().unwrap();
    assert!(!verified.ok);
}

#[test]
fn a_writer_that_holds_the_lock() {
    let app = app();
    app.publish(SCHEMA, "").unwrap(); // adopted, in WAL mode
    let (mut holder, _input) = holding(&app.live, "BEGIN IMMEDIATE;");
    let e = app
        .publish(
            &changed("age", "age INTEGER, b"),
            r#"{"lock_timeout_ms": 200}"#,
        )
        .unwrap_err();
    assert_eq!(e.code(), "busy", "{e}");
    assert!(
        e.to_string().contains("200 ms") && e.to_string().contains("app.db"),
        "{e}"
    );
    drop(_input);
    holder.wait().unwrap();
    goes_on(&app);
}

#[test]
fn somebody_with_locking_mode_exclusive() {
    let app = app();
    let (mut holder, input) = holding(
        &app.live,
        "PRAGMA locking_mode = EXCLUSIVE; UPDATE users SET name = name;",
    );
    let e = Remy::open(&app.live).map(|_| ()).unwrap_err();
    assert_eq!(e.code(), "busy", "{e}");
    assert!(e.to_string().contains("EXCLUSIVE"), "{e}");
    drop(input);
    holder.wait().unwrap();
    goes_on(&app);
}

/// A shell that has run `sql`, and holds what that took until its input is dropped.
fn holding(live: &Path, sql: &str) -> (std::process::Child, std::process::ChildStdin) {
    let mut shell = Command::new("sqlite3")
        .arg("-batch")
        .arg(live)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = shell.stdin.take().unwrap();
    writeln!(input, "{sql} SELECT 'holding';").unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(shell.stdout.take().unwrap()));
    while lines.next().unwrap().unwrap() != "holding" {}
    (shell, input)
}

#[test]
fn live_open_in_this_process_by_other_means() {
    let app = app();
    let remy = app.remy();
    let stranger = fs::File::open(&app.live).unwrap();
    let e = remy
        .publish(SCHEMA, &Options::default(), Progress::none())
        .unwrap_err();
    assert_eq!(e.code(), "live_in_use", "{e}");
    assert_eq!(
        Remy::open(&app.live).map(|_| ()).unwrap_err().code(),
        "live_in_use"
    );
    drop(stranger);
    goes_on(&app);
}

/// Publishes a change, and does something when the clone has been taken.
fn meanwhile(app: &App, act: impl Fn() + Send + Sync) -> Result<Outcome> {
    let on_line = |line: &Line| {
        if line.step == Step::Clone {
            act();
        }
    };
    let options = Options::from_json(r#"{"lock_timeout_ms": 1000}"#).unwrap();
    app.remy().publish(
        &changed("age", "age INTEGER, b"),
        &options,
        Progress::none().on_line(&on_line),
    )
}

#[test]
fn live_opened_by_other_means_in_the_middle() {
    let app = app();
    app.publish(SCHEMA, "").unwrap();
    let stranger = std::sync::Mutex::new(None);
    refuses(&app, "live_in_use", &["app.db"], |app| {
        let result = meanwhile(app, || {
            *stranger.lock().unwrap() = Some(fs::File::open(&app.live).unwrap())
        });
        // Closed before anybody of this process opens live again.
        stranger.lock().unwrap().take();
        result
    });
}

#[test]
fn live_replaced_in_the_middle() {
    let app = app();
    app.publish(SCHEMA, "").unwrap();
    let (aside, other) = (
        app.live.with_file_name("aside.db"),
        app.live.with_file_name("other.db"),
    );
    shell(
        &other,
        "CREATE TABLE precious (a); INSERT INTO precious VALUES (1);",
    );
    let e = meanwhile(&app, || {
        fs::rename(&app.live, &aside).unwrap();
        fs::rename(&other, &app.live).unwrap();
    })
    .unwrap_err();
    assert_eq!(e.code(), "busy", "{e}");
    assert!(e.to_string().contains("replaced"), "{e}");
    assert_eq!(shell(&app.live, "SELECT a FROM precious"), "1\n");
    fs::rename(&app.live, &other).unwrap();
    fs::rename(&aside, &app.live).unwrap();
    goes_on(&app);
}

#[test]
fn somebody_else_changes_the_schema_in_the_middle() {
    let app = app();
    app.publish(SCHEMA, "").unwrap();
    // Once: remy starts over from the diff. The new table is not declared, so it goes.
    let outcome = meanwhile(&app, || {
        drop(shell(&app.live, "CREATE TABLE IF NOT EXISTS theirs (a);"))
    })
    .unwrap();
    assert_eq!(outcome.status, Reached::Live);
    assert!(
        outcome
            .statements
            .iter()
            .any(|s| s.kind == StatementKind::DropTable && s.object == "theirs"),
        "{:#?}",
        outcome.statements
    );
}

#[test]
fn two_publishes_at_once() {
    let app = app();
    let publish = |options: &str| {
        let out = output(
            Command::new(built_program("remy-driver"))
                .arg(&app.live)
                .args(["publish", SCHEMA, options]),
        );
        String::from_utf8_lossy(&out.stdout).into_owned()
    };
    let seen = std::sync::Mutex::new(String::new());
    meanwhile(&app, || {
        *seen.lock().unwrap() = publish(r#"{"lock_timeout_ms": 100}"#)
    })
    .unwrap();
    let seen = seen.into_inner().unwrap();
    assert!(
        seen.contains(r#""code":"busy""#) && seen.contains("another remy"),
        "{seen}"
    );
    // The second waits where it may.
    let second = std::thread::scope(|scope| {
        let waiting = std::sync::Mutex::new(None);
        meanwhile(&app, || {
            *waiting.lock().unwrap() =
                Some(scope.spawn(|| publish(r#"{"lock_timeout_ms": 10000, "allow": ["drop"]}"#)));
        })
        .unwrap();
        waiting.into_inner().unwrap().unwrap().join().unwrap()
    });
    assert!(second.contains(r#""status":"live""#), "{second}");
}

#[test]
fn releases_that_cannot_go_live() {
    let app = app();
    let promote = |release: i64| move |app: &App| app.promote(Some(release));
    refuses(&app, "not_found", &["release 99"], promote(99));
    assert!(app.publish("CREATE TABLE broken (;", "").is_err());
    let e = app
        .publish(
            &changed("team INTEGER", "team INTEGER REFERENCES teams (id)"),
            "",
        )
        .unwrap_err();
    assert_eq!(e.code(), "check_failed");
    let failed = app
        .remy()
        .releases()
        .unwrap()
        .into_iter()
        .find(|r| r.status == Status::Failed)
        .unwrap()
        .release;
    refuses(
        &app,
        "not_promotable",
        &["failed", "build log"],
        promote(failed.0),
    );
    let live = app
        .remy()
        .releases()
        .unwrap()
        .into_iter()
        .find(|r| r.status == Status::Live)
        .unwrap()
        .release;
    refuses(&app, "not_promotable", &["live already"], promote(live.0));
    // Every snapshot but the one that a rollback would go to.
    app.remy().prune(Some(0), &Options::default()).unwrap();
    refuses(&app, "pruned", &["release 1"], promote(1));
}

#[test]
fn nothing_to_roll_back_to() {
    let app = app();
    shell(&app.live, "PRAGMA journal_mode = delete");
    let roll_back = |app: &App| app.rollback(None);
    assert_eq!(roll_back(&app).unwrap_err().code(), "no_previous_release");
    assert_eq!(
        shell(&app.live, "PRAGMA journal_mode"),
        "delete\n",
        "a refusal adopts nothing"
    );
    refuses(&app, "no_previous_release", &["no release yet"], roll_back);
    // Three back: to what was adopted. Before that there is nothing.
    app.rollback(Some(1)).unwrap();
    assert!(
        roll_back(&app)
            .unwrap_err()
            .to_string()
            .contains("none was before")
    );
}

#[test]
fn a_schema_that_declares_nothing() {
    for schema in [";", "-- nothing to see here;"] {
        refuses(
            &app(),
            "schema_invalid",
            &["declares nothing", "drop"],
            |app| app.publish(schema, ""),
        );
    }
}

#[test]
fn a_view_or_a_trigger_that_the_change_breaks() {
    let with = |more: &str| format!("{SCHEMA} {more}");
    for (object, what) in [
        (
            "CREATE VIEW v AS SELECT name, age FROM users;",
            "the view v",
        ),
        (
            "CREATE TRIGGER t AFTER UPDATE OF name ON users BEGIN UPDATE teams SET title = new.age; END;",
            "an UPDATE of users",
        ),
    ] {
        let app = app();
        app.publish(&with(object), "").unwrap();
        let broken = with(object).replace("age INTEGER", "years INTEGER");
        let before = app.seen();
        let e = app
            .publish(&broken, r#"{"renames": ["users.age=years"]}"#)
            .unwrap_err();
        assert_eq!(e.code(), "check_failed", "{e}");
        assert!(
            e.to_string().contains(what) && e.to_string().contains("age"),
            "{e}"
        );
        assert_eq!(app.seen(), before);
    }
}

#[test]
fn rows_that_a_new_check_does_not_allow() {
    let app = app();
    let schema = changed("age INTEGER", "age INTEGER CHECK (age > 30)");
    refuses(
        &app,
        "ddl_failed",
        &[
            "CHECK constraint failed: age > 30",
            "1 of 3 rows does not pass",
        ],
        |app| app.publish(&schema, "{}"),
    );
    let schema = changed("age INTEGER", "age INTEGER CHECK (age > 100)");
    refuses(&app, "ddl_failed", &["2 of 3 rows do not pass"], |app| {
        app.publish(&schema, r#"{"allow": ["drop"]}"#)
    });
}

#[test]
fn a_drop_in_a_declared_schema() {
    let app = app();
    for change in ["DROP TABLE orders;", "ALTER TABLE orders ADD COLUMN a;"] {
        refuses(
            &app,
            "schema_invalid",
            &["no such table: orders", "leave out what is to go"],
            |app| app.publish(&format!("{SCHEMA} {change}"), "{}"),
        );
    }
}

#[test]
fn several_things_that_go() {
    let app = app();
    refuses(
        &app,
        "ambiguous_rename",
        &["the schema loses teams, users, which have rows, and gains people"],
        |app| app.publish("CREATE TABLE people (id INTEGER PRIMARY KEY);", "{}"),
    );
    let schema = changed("name TEXT, age INTEGER", "nick TEXT").replace("(name)", "(nick)");
    refuses(
        &app,
        "ambiguous_rename",
        &["users loses name, age, which have values, and gains nick"],
        |app| app.publish(&schema, r#"{"allow": []}"#),
    );
}

#[test]
fn folders_that_are_not_there_and_names_that_are_empty() {
    let app = app();
    refuses(
        &app,
        "not_found",
        &[
            "reading the folder of migrations no/such",
            "Check the option migrations",
        ],
        |app| app.publish(SCHEMA, r#"{"migrations": "no/such"}"#),
    );
    refuses(
        &app,
        "schema_invalid",
        &["the declared effects are wrong: the whole: has to be an object"],
        |app| app.publish(SCHEMA, r#"{"effects": []}"#),
    );
    for verb in [Remy::dev_start, Remy::dev_stop] {
        let e = verb(&app.remy(), "").unwrap_err();
        assert!(e.to_string().contains("dev session is empty"), "{e}");
    }
}

#[test]
fn a_snapshot_taken_for_a_live_database() {
    let app = app();
    app.publish(&format!("{SCHEMA} CREATE TABLE t (a);"), "")
        .unwrap();
    let snapshot = app
        .remy()
        .releases()
        .unwrap()
        .into_iter()
        .find_map(|r| r.database)
        .unwrap();
    let e = Remy::open(format!("{}-remy/{snapshot}", app.live.display()))
        .map(|_| ())
        .unwrap_err();
    assert_eq!(e.code(), "invalid_argument");
    assert!(e.to_string().contains("belongs to a store"), "{e}");
    app.rollback(None).unwrap();
}

#[test]
fn a_snapshot_whose_bytes_were_changed() {
    let app = app();
    app.publish(&format!("{SCHEMA} CREATE TABLE t (a);"), "")
        .unwrap();
    app.publish(SCHEMA, "").unwrap();
    let snapshots: Vec<_> = app
        .remy()
        .releases()
        .unwrap()
        .into_iter()
        .filter_map(|r| Some((r.release, r.database?)))
        .collect();
    assert_eq!(snapshots.len(), 2);
    for (release, snapshot) in snapshots {
        let path = PathBuf::from(format!("{}-remy/{snapshot}", app.live.display()));
        let bytes = fs::read(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let before = app.seen();
        let refused = |damaged: Option<&[u8]>, word: &str| {
            match damaged {
                Some(damaged) => fs::write(&path, damaged).unwrap(),
                None => fs::remove_file(&path).unwrap(),
            }
            let e = app.promote(Some(release.0)).unwrap_err();
            assert_eq!(e.code(), "not_promotable", "{e}");
            assert!(
                e.to_string().contains(word) && e.to_string().contains("Live is unchanged"),
                "{e}"
            );
            assert_eq!(app.seen(), before);
            assert!(!app.remy().verify().unwrap().ok);
            fs::write(&path, &bytes).unwrap();
        };
        for at in [30, 5000, bytes.len() - 1] {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            refused(Some(&damaged), "changed since");
        }
        refused(Some(&bytes[..bytes.len() - 4096]), "changed since");
        refused(Some(&[&bytes[..], &[0; 4096]].concat()), "changed since");
        refused(None, "gone");
        assert!(app.remy().verify().unwrap().ok);
    }
    app.rollback(None).unwrap();
}

#[test]
fn a_page_size_or_an_encoding_that_differs() {
    let app = app();
    app.publish(&format!("{SCHEMA} CREATE TABLE t (a);"), "")
        .unwrap();
    shell(
        &app.live,
        "PRAGMA journal_mode = delete; PRAGMA page_size = 8192; VACUUM; PRAGMA journal_mode = wal;",
    );
    refuses(
        &app,
        "not_promotable",
        &["page size", "4096", "8192"],
        |app| app.rollback(None),
    );
}

/// They belong to a checksum or an encryption, which would not be there in a page that is written
/// by hand.
#[test]
fn pages_with_reserved_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let live = dir.path().join("app.db");
    let mut shell = remy_tests::Shell::open(&live);
    shell.ask(".filectrl reserve_bytes 8\nVACUUM;");
    assert_eq!(
        shell.ask(&format!("{SCHEMA} PRAGMA integrity_check;")),
        "ok\n"
    );
    drop(shell);
    assert_eq!(fs::read(&live).unwrap()[20], 8);
    let e = Remy::open(&live).map(|_| ()).unwrap_err();
    assert_eq!(e.code(), "invalid_argument");
    assert!(e.to_string().contains("keeps 8 bytes"), "{e}");
}

#[test]
fn a_store_of_a_newer_version() {
    let app = app();
    app.publish(SCHEMA, "").unwrap();
    let catalog = PathBuf::from(format!("{}-remy/catalog.db", app.live.display()));
    let version = shell(&catalog, "PRAGMA user_version");
    shell(&catalog, "PRAGMA user_version = 99;");
    let e = app.publish(SCHEMA, "").unwrap_err();
    assert_eq!(e.code(), "invalid_argument", "{e}");
    assert!(e.to_string().contains("newer remy"), "{e}");
    shell(&catalog, &format!("PRAGMA user_version = {version};"));
    goes_on(&app);
}

#[test]
fn a_pause_that_would_be_too_long() {
    let app = app();
    app.publish(SCHEMA, "").unwrap();
    shell(
        &app.live,
        "CREATE TABLE big (a); WITH RECURSIVE c (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM c WHERE i < 20000) INSERT INTO big SELECT randomblob(200) FROM c;",
    );
    let schema = format!("{SCHEMA} CREATE TABLE big (a DEFAULT 1 NOT NULL);"); // a rebuild
    refuses(&app, "pause_exceeded", &["max_pause_ms", "app.db"], |app| {
        app.publish(&schema, r#"{"max_pause_ms": 5}"#)
    });
}

#[test]
fn a_disk_too_small_for_a_clone() {
    let options = format!(r#"{{"margin_bytes": {}}}"#, u64::MAX / 2);
    refuses(&app(), "io", &["free", "margin_bytes"], |app| {
        app.publish(SCHEMA, &options)
    });
}

#[test]
fn a_name_that_two_others_say_they_had() {
    let app = app();
    let schema = |columns: &str| {
        SCHEMA
            .replace("name TEXT, age", &format!("{columns}, age"))
            .replace("(name);", "(age);")
    };
    let drop = r#"{"allow": ["drop"]}"#;
    let both = schema("\n-- @renamed from=name\na TEXT,\n-- @renamed from=name\nb TEXT");
    refuses(
        &app,
        "invalid_argument",
        &["users.name", "both a and b"],
        |app| app.publish(&both, drop),
    );
    let told = r#"{"allow": ["drop"], "renames": ["users.name=a", "users.name=b"]}"#;
    refuses(
        &app,
        "invalid_argument",
        &["users.name", "both a and b"],
        |app| app.publish(&schema("a TEXT, b TEXT"), told),
    );
    // The old name is declared, too: were it taken at its word, it would be empty, and nobody
    // asked.
    let beside = schema("\n-- @renamed from=name\na TEXT,\nname TEXT");
    refuses(
        &app,
        "ambiguous_rename",
        &["users.a", "users.name", "Take out the comment"],
        |app| app.publish(&beside, drop),
    );
    let tables = format!(
        "{SCHEMA}\n-- @renamed from=teams\nCREATE TABLE groups (id INTEGER PRIMARY KEY, title TEXT);"
    );
    refuses(&app, "ambiguous_rename", &["groups", "teams"], |app| {
        app.publish(&tables, drop)
    });
    // Said by an option it is meant; and names that change places are each other's.
    app.publish(
        &schema("a TEXT, name TEXT"),
        r#"{"renames": ["users.name=a"]}"#,
    )
    .unwrap();
    assert_eq!(
        shell(&app.live, "SELECT a, name IS NULL FROM users WHERE id = 1"),
        "x|1\n"
    );
    let swapped = schema("\n-- @renamed from=name\na TEXT,\n-- @renamed from=a\nname TEXT");
    app.publish(&swapped, drop).unwrap();
}

#[test]
fn a_pipe_and_an_empty_text_for_a_schema() {
    let app = app();
    let pipe = app.live.with_file_name("schema.sql");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    refuses(&app, "not_found", &["schema.sql", "not a file"], |app| {
        app.publish(pipe.to_str().unwrap(), "{}")
    });
    refuses(&app, "invalid_argument", &["empty text"], |app| {
        app.publish("", "{}")
    });
}

/// A dry run tells the number that the release would have: after those that failed, and after
/// live's own, which is adopted.
#[test]
fn the_number_of_a_dry_run() {
    let app = app();
    let next = format!("{SCHEMA} CREATE TABLE next (a);");
    let dry = |options: &str| app.publish(&next, options).unwrap().release;
    assert_eq!(dry(r#"{"dry_run": true}"#), 2);
    app.remy()
        .stage(&next, &Options::default(), Progress::none())
        .unwrap();
    assert_eq!(
        app.remy().debug().unwrap().release,
        Some(ReleaseId(1)),
        "adopted, and not switched yet"
    );
    assert_eq!(dry(r#"{"dry_run": true}"#), 3);
    assert_eq!(dry("{}"), 3);
    app.publish(
        "CREATE TABLE users (id INTEGER PRIMARY KEY, team TEXT);",
        "{}",
    )
    .unwrap_err();
    assert_eq!(dry(r#"{"dry_run": true}"#), 5);
    let options = Options::from_json(r#"{"dry_run": true}"#).unwrap();
    assert_eq!(
        app.remy()
            .rollback(None, &options, Progress::none())
            .unwrap()
            .release,
        5
    );
    assert_eq!(app.rollback(None).unwrap().release, 5);
}

#[test]
fn a_marker_that_is_gone_or_is_not_remys() {
    let app = app();
    goes_on(&app);
    shell(&app.live, "DELETE FROM _remy_release");
    let verified = app.remy().verify().unwrap();
    let wrong: Vec<_> = verified
        .checked
        .iter()
        .filter(|c| !c.ok)
        .filter_map(|c| c.message.as_deref())
        .collect();
    assert_eq!(wrong.len(), 1, "{verified:#?}");
    assert!(
        wrong[0].contains("Release 2 was live here, and live does not carry its marker"),
        "{wrong:?}"
    );
    shell(
        &app.live,
        "DROP TABLE _remy_release; CREATE TABLE _remy_release (theirs);",
    );
    let e = app.publish(SCHEMA, "{}").unwrap_err();
    assert_eq!(e.code(), "invalid_argument", "{e}");
    assert!(
        e.to_string().contains("_remy_release") && e.to_string().contains("Rename it"),
        "{e}"
    );
}

#[test]
fn a_store_that_is_a_file_and_one_that_is_not_there() {
    let app = app();
    let store = PathBuf::from(format!("{}-remy", app.live.display()));
    let pruned = app.remy().prune(Some(0), &Options::default()).unwrap();
    assert!(
        pruned.pruned.is_empty() && !store.exists(),
        "a prune made a store"
    );
    fs::write(&store, "").unwrap();
    let e = app.publish(SCHEMA, "{}").unwrap_err();
    assert!(
        e.code() == "io"
            && e.to_string().contains("is not a folder")
            && e.to_string().contains("Move it away"),
        "{e}"
    );
    fs::remove_file(&store).unwrap();
    goes_on(&app);
}

#[test]
fn a_library_that_is_none() {
    let app = app();
    let library = app.live.with_file_name("none.so");
    fs::write(&library, "none").unwrap();
    let options = format!(r#"{{"extensions": [{library:?}]}}"#);
    let e = refuses(
        &app,
        "invalid_argument",
        &["none.so", "file too short"],
        |app| app.publish(SCHEMA, &options),
    );
    assert!(!e.to_string().contains("none.so.so"), "{e}");
}

/// What the hint of a rename says is what the option takes, whatever the names are.
#[test]
fn a_rename_of_names_that_have_to_be_quoted() {
    let app = app();
    let schema = |columns: &str| format!("{SCHEMA} CREATE TABLE \"a b\" ({columns});");
    app.publish(&schema("\"it's \"\"so\"\"\" TEXT"), "{}")
        .unwrap();
    shell(&app.live, "INSERT INTO \"a b\" VALUES ('x')");
    let other = schema("\"now-so\" TEXT");
    let e = app.publish(&other, "{}").unwrap_err();
    let hint = e.detail().hint.as_ref().unwrap().to_string();
    let start = hint.find("\"renames\":").unwrap();
    let end = start + hint[start..].find(']').unwrap() + 1;
    app.publish(&other, &format!("{{{}}}", &hint[start..end]))
        .unwrap();
    assert_eq!(shell(&app.live, "SELECT \"now-so\" FROM \"a b\""), "x\n");
    assert!(
        hint.contains("@renamed from=\"it's \"\"so\"\"\" beside"),
        "{hint}"
    );
}
