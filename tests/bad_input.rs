//! What users get wrong, and what goes wrong for them. Each time: the code, a message that helps, live unchanged as a fresh
//! reader sees it, nothing left locked, and the next publish working.
use remy_core::{Error, Line, Options, Outcome, Progress, Remy, Result};
use remy_tests::{built_program, output, shell};
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

struct App {
    _dir: tempfile::TempDir,
    live: PathBuf,
}

impl App {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let live = dir.path().join("app.db");
        shell(
            &live,
            &format!(
                "PRAGMA journal_mode = wal; {SCHEMA} INSERT INTO teams VALUES (1, 'a');
                 INSERT INTO users VALUES (1, 'x', 30, 1), (2, 'x', NULL, 7), (3, 'z', 31, NULL);"
            ),
        );
        Self { _dir: dir, live }
    }

    fn remy(&self) -> Remy {
        Remy::open(&self.live).unwrap()
    }

    fn publish(&self, schema: &str, options: &str) -> Result<Outcome> {
        self.remy().publish(schema, &Options::from_json(options)?, Progress::none())
    }

    /// What a fresh reader sees.
    fn seen(&self) -> String {
        shell(
            &self.live,
            "PRAGMA integrity_check; SELECT * FROM sqlite_schema; SELECT * FROM users; SELECT * FROM teams;",
        )
    }

    /// `verb` is refused with `code`, and its message holds every one of `words`.
    fn refuses(&self, code: &str, words: &[&str], verb: impl FnOnce(&Self) -> Result<Outcome>) -> Error {
        let before = self.seen();
        let e = verb(self).map(|outcome| panic!("it was done: {outcome:?}")).unwrap_err();
        assert_eq!(e.code(), code, "{e}");
        let message = e.to_string();
        for word in words {
            assert!(message.contains(word), "{word:?} is not in: {message}");
        }
        assert!(e.detail().state.is_some(), "no word of the state that things are in: {message}");
        assert_eq!(self.seen(), before, "{message}");
        self.goes_on();
        e
    }

    /// Nothing is locked, nothing is left over, and the next publish works.
    fn goes_on(&self) {
        shell(&self.live, "BEGIN IMMEDIATE; ROLLBACK;");
        let outcome = self.publish(&format!("{SCHEMA} CREATE TABLE next (a);"), r#"{"allow": ["drop"]}"#).unwrap();
        assert_eq!(outcome.status, "live");
        let work: Vec<_> = fs::read_dir(format!("{}-remy/work", self.live.display())).unwrap().collect();
        assert!(work.is_empty(), "{work:?}");
        let verified = self.remy().verify().unwrap();
        assert!(verified.ok, "{verified:#?}");
    }
}

fn changed(from: &str, to: &str) -> String {
    assert!(SCHEMA.contains(from));
    SCHEMA.replace(from, to)
}

#[test]
fn a_schema_that_does_not_parse() {
    let schema = changed("name TEXT, age", "name TEXT,, age");
    App::new().refuses("schema_invalid", &["line 2", "column"], |app| app.publish(&schema, ""));
}

#[test]
fn a_schema_file_that_is_not_there() {
    App::new().refuses("not_found", &["nowhere.sql"], |app| app.publish("nowhere.sql", ""));
}

#[test]
fn an_option_that_is_not_known() {
    App::new().refuses("invalid_argument", &["lable", "label"], |app| app.publish(SCHEMA, r#"{"lable": "x"}"#));
}

#[test]
fn a_type_change_that_nobody_asked_for() {
    let schema = changed("age INTEGER", "age TEXT");
    App::new()
        .refuses("lossy_change", &["users", "age", "INTEGER", "TEXT", "type_change"], |app| app.publish(&schema, ""));
    let app = App::new();
    app.publish(&schema, r#"{"allow": ["type_change"]}"#).unwrap();
    assert_eq!(shell(&app.live, "SELECT DISTINCT typeof(age) FROM users"), "text\nnull\n");
}

#[test]
fn a_column_that_may_be_renamed_or_dropped() {
    let schema = changed("name TEXT", "full_name TEXT").replace("users (name)", "users (full_name)");
    App::new().refuses("ambiguous_rename", &["name", "full_name", "renamed"], |app| app.publish(&schema, ""));
    let app = App::new();
    app.publish(&schema, r#"{"renames": ["users.name=full_name"]}"#).unwrap();
    assert_eq!(shell(&app.live, "SELECT full_name FROM users WHERE id = 3"), "z\n");
}

#[test]
fn not_null_without_default_on_a_table_with_rows() {
    let schema = changed("team INTEGER", "team INTEGER, email TEXT NOT NULL");
    let app = App::new();
    let before = app.seen();
    let e = app.publish(&schema, "").unwrap_err();
    assert!(["check_failed", "unsupported_change", "lossy_change"].contains(&e.code()), "{e}");
    assert!(e.to_string().contains("email") && e.to_string().contains('3'), "{e}");
    assert_eq!(app.seen(), before);
    app.goes_on();
}

#[test]
fn not_null_over_values_that_are_null() {
    let schema = changed("age INTEGER", "age INTEGER NOT NULL");
    let app = App::new();
    let e = app.publish(&schema, "").unwrap_err();
    assert!(e.to_string().contains("age") && e.to_string().contains('1'), "{e}");
    app.goes_on();
}

#[test]
fn duplicate_rows_under_a_new_unique() {
    let schema = changed("CREATE INDEX by_name", "CREATE UNIQUE INDEX by_name");
    let app = App::new();
    let before = app.seen();
    let e = app.publish(&schema, "").unwrap_err();
    assert!(["check_failed", "ddl_failed"].contains(&e.code()), "{e}");
    assert!(e.to_string().contains("by_name") || e.to_string().contains("name"), "{e}");
    assert_eq!(app.seen(), before);
    app.goes_on();
}

#[test]
fn a_foreign_key_that_rows_violate() {
    let schema = changed("team INTEGER", "team INTEGER REFERENCES teams (id)");
    App::new().refuses("check_failed", &["users", "teams"], |app| app.publish(&schema, ""));
}

#[test]
fn a_migration_that_fails_at_any_position() {
    for (position, good) in
        ["", "CREATE TABLE m (a);", "CREATE TABLE m (a);\nINSERT INTO m VALUES (1);"].iter().enumerate()
    {
        let app = App::new();
        let folder = app.live.with_file_name("migrations");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("0001_first.sql"), format!("{good}\nINSERT INTO nothing VALUES (1);")).unwrap();
        let options = format!(r#"{{"migrations": {:?}}}"#, folder.display().to_string());
        let e = app.refuses("ddl_failed", &["0001_first.sql", "nothing"], |app| app.publish(SCHEMA, &options));
        assert!(e.detail().sql.is_some(), "position {position}: {e:?}");
    }
}

#[test]
fn a_migration_that_tries_to_leave() {
    for sql in [
        "COMMIT;",
        "ROLLBACK;",
        "BEGIN;",
        "ATTACH 'elsewhere.db' AS e;",
        "DETACH main;",
        "VACUUM;",
        "VACUUM INTO 'elsewhere.db';",
        "PRAGMA journal_mode = delete;",
        "PRAGMA writable_schema = on;",
        "PRAGMA schema_version = 1;",
        "SELECT load_extension('x');",
        "DELETE FROM _remy_release;",
    ] {
        let app = App::new();
        app.publish(SCHEMA, "").unwrap();
        let folder = app.live.with_file_name("migrations");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("0001_leave.sql"), format!("CREATE TABLE planted (a);\n{sql}\n")).unwrap();
        let options = format!(r#"{{"migrations": {:?}}}"#, folder.display().to_string());
        app.refuses("ddl_failed", &["0001_leave.sql"], |app| app.publish(SCHEMA, &options));
        assert!(!Path::new("elsewhere.db").exists());
    }
}

#[test]
fn a_path_that_leads_nowhere_or_to_something_else() {
    let dir = tempfile::tempdir().unwrap();
    let open = |path: &Path| Remy::open(path).map(|_| ()).unwrap_err();
    assert_eq!(open(&dir.path().join("nowhere.db")).code(), "not_found");
    assert_eq!(open(dir.path()).code(), "invalid_argument");
    assert_eq!(open(Path::new(":memory:")).code(), "invalid_argument");
    let text = dir.path().join("text.db");
    fs::write(&text, "this is no database, however long one reads it\n".repeat(100)).unwrap();
    let e = open(&text);
    assert_eq!(e.code(), "corrupt");
    assert!(e.to_string().contains("text.db"), "{e}");
}

#[test]
fn a_second_name_of_the_file() {
    let app = App::new();
    let other = app.live.with_file_name("other.db");
    fs::hard_link(&app.live, &other).unwrap();
    let e = Remy::open(&app.live).map(|_| ()).unwrap_err();
    assert_eq!(e.code(), "invalid_argument");
    assert!(e.to_string().contains("hard link"), "{e}");
    fs::remove_file(other).unwrap();
    app.goes_on();
}

#[test]
fn a_file_that_this_user_may_not_write() {
    let app = App::new();
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
    assert!(text.contains(r#""code":"io""#) && text.contains("app.db"), "{text}");
    fs::set_permissions(&app.live, fs::Permissions::from_mode(0o644)).unwrap();
    app.goes_on();
}

#[test]
fn a_damaged_page() {
    let app = App::new();
    shell(&app.live, "PRAGMA wal_checkpoint(TRUNCATE); PRAGMA journal_mode = delete;");
    let root: u64 = shell(&app.live, "SELECT rootpage FROM sqlite_schema WHERE name = 'users'").trim().parse().unwrap();
    let mut bytes = fs::read(&app.live).unwrap();
    let at = (usize::try_from(root).unwrap() - 1) * 4096;
    bytes[at..at + 64].fill(0xff);
    fs::write(&app.live, &bytes).unwrap();
    let e = app.publish(&changed("age INTEGER", "age INTEGER DEFAULT 1"), "").unwrap_err();
    assert_eq!(e.code(), "corrupt", "{e}");
    let verified = app.remy().verify().unwrap();
    assert!(!verified.ok);
}

#[test]
fn a_writer_that_holds_the_lock() {
    let app = App::new();
    app.publish(SCHEMA, "").unwrap(); // adopted, in WAL mode
    let (mut holder, _input) = holding(&app.live, "BEGIN IMMEDIATE;");
    let e = app.publish(&changed("age", "age INTEGER, b"), r#"{"lock_timeout_ms": 200}"#).unwrap_err();
    assert_eq!(e.code(), "busy", "{e}");
    assert!(e.to_string().contains("200 ms") && e.to_string().contains("app.db"), "{e}");
    drop(_input);
    holder.wait().unwrap();
    app.goes_on();
}

#[test]
fn somebody_with_locking_mode_exclusive() {
    let app = App::new();
    let (mut holder, input) = holding(&app.live, "PRAGMA locking_mode = EXCLUSIVE; UPDATE users SET name = name;");
    let e = Remy::open(&app.live).map(|_| ()).unwrap_err();
    assert_eq!(e.code(), "busy", "{e}");
    assert!(e.to_string().contains("EXCLUSIVE"), "{e}");
    drop(input);
    holder.wait().unwrap();
    app.goes_on();
}

/// A shell that has run `sql`, and holds what that took until its input is dropped.
fn holding(live: &Path, sql: &str) -> (std::process::Child, std::process::ChildStdin) {
    let mut shell =
        Command::new("sqlite3").arg("-batch").arg(live).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = shell.stdin.take().unwrap();
    writeln!(input, "{sql} SELECT 'holding';").unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(shell.stdout.take().unwrap()));
    while lines.next().unwrap().unwrap() != "holding" {}
    (shell, input)
}

#[test]
fn live_open_in_this_process_by_other_means() {
    let app = App::new();
    let remy = app.remy();
    let stranger = fs::File::open(&app.live).unwrap();
    let e = remy.publish(SCHEMA, &Options::default(), Progress::none()).unwrap_err();
    assert_eq!(e.code(), "live_in_use", "{e}");
    assert_eq!(Remy::open(&app.live).map(|_| ()).unwrap_err().code(), "live_in_use");
    drop(stranger);
    app.goes_on();
}

/// Publishes a change, and does something when the clone has been taken.
fn meanwhile(app: &App, act: impl Fn() + Send + Sync) -> Result<Outcome> {
    let on_line = |line: &Line| {
        if line.step == "clone" {
            act();
        }
    };
    let options = Options::from_json(r#"{"lock_timeout_ms": 1000}"#).unwrap();
    app.remy().publish(&changed("age", "age INTEGER, b"), &options, Progress::none().on_line(&on_line))
}

#[test]
fn live_opened_by_other_means_in_the_middle() {
    let app = App::new();
    app.publish(SCHEMA, "").unwrap();
    let stranger = std::sync::Mutex::new(None);
    app.refuses("live_in_use", &["app.db"], |app| {
        let result = meanwhile(app, || *stranger.lock().unwrap() = Some(fs::File::open(&app.live).unwrap()));
        // Closed before anybody of this process opens live again.
        stranger.lock().unwrap().take();
        result
    });
}

#[test]
fn live_replaced_in_the_middle() {
    let app = App::new();
    app.publish(SCHEMA, "").unwrap();
    let (aside, other) = (app.live.with_file_name("aside.db"), app.live.with_file_name("other.db"));
    shell(&other, "CREATE TABLE precious (a); INSERT INTO precious VALUES (1);");
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
    app.goes_on();
}

#[test]
fn somebody_else_changes_the_schema_in_the_middle() {
    let app = App::new();
    app.publish(SCHEMA, "").unwrap();
    // Once: remy starts over from the diff. The new table is not declared, so it goes.
    let outcome = meanwhile(&app, || drop(shell(&app.live, "CREATE TABLE IF NOT EXISTS theirs (a);"))).unwrap();
    assert_eq!(outcome.status, "live");
    assert!(
        outcome.statements.iter().any(|s| s.kind == "drop_table" && s.object == "theirs"),
        "{:#?}",
        outcome.statements
    );
}

#[test]
fn two_publishes_at_once() {
    let app = App::new();
    let publish = |options: &str| {
        let out = output(Command::new(built_program("remy-driver")).arg(&app.live).args(["publish", SCHEMA, options]));
        String::from_utf8_lossy(&out.stdout).into_owned()
    };
    let seen = std::sync::Mutex::new(String::new());
    meanwhile(&app, || *seen.lock().unwrap() = publish(r#"{"lock_timeout_ms": 100}"#)).unwrap();
    let seen = seen.into_inner().unwrap();
    assert!(seen.contains(r#""code":"busy""#) && seen.contains("another remy"), "{seen}");
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
    let app = App::new();
    let promote =
        |release: i64| move |app: &App| app.remy().promote(Some(release), &Options::default(), Progress::none());
    app.refuses("not_found", &["release 99"], promote(99));
    assert!(app.publish("CREATE TABLE broken (;", "").is_err());
    let e = app.publish(&changed("team INTEGER", "team INTEGER REFERENCES teams (id)"), "").unwrap_err();
    assert_eq!(e.code(), "check_failed");
    let failed = app.remy().releases().unwrap().into_iter().find(|r| r.status == "failed").unwrap().release;
    app.refuses("not_promotable", &["failed", "build log"], promote(failed));
    let live = app.remy().releases().unwrap().into_iter().find(|r| r.status == "live").unwrap().release;
    app.refuses("not_promotable", &["live already"], promote(live));
    // Every snapshot but the one that a rollback would go to.
    app.remy().prune(Some(0), &Options::default()).unwrap();
    app.refuses("pruned", &["release 1"], promote(1));
}

#[test]
fn nothing_to_roll_back_to() {
    let app = App::new();
    shell(&app.live, "PRAGMA journal_mode = delete");
    let roll_back = |app: &App| app.remy().rollback(None, &Options::default(), Progress::none());
    assert_eq!(roll_back(&app).unwrap_err().code(), "no_previous_release");
    assert_eq!(shell(&app.live, "PRAGMA journal_mode"), "delete\n", "a refusal adopts nothing");
    app.refuses("no_previous_release", &["no release yet"], roll_back);
    // Three back: to what was adopted. Before that there is nothing.
    app.remy().rollback(Some(1), &Options::default(), Progress::none()).unwrap();
    assert!(roll_back(&app).unwrap_err().to_string().contains("none was before it"));
}

#[test]
fn a_schema_that_declares_nothing() {
    for schema in [";", "-- nothing to see here;"] {
        App::new().refuses("schema_invalid", &["declares nothing", "drop"], |app| app.publish(schema, ""));
    }
}

#[test]
fn a_view_or_a_trigger_that_the_change_breaks() {
    let with = |more: &str| format!("{SCHEMA} {more}");
    for (object, what) in [
        ("CREATE VIEW v AS SELECT name, age FROM users;", "the view v"),
        (
            "CREATE TRIGGER t AFTER UPDATE OF name ON users BEGIN UPDATE teams SET title = new.age; END;",
            "an UPDATE of users",
        ),
    ] {
        let app = App::new();
        app.publish(&with(object), "").unwrap();
        let broken = with(object).replace("age INTEGER", "years INTEGER");
        let before = app.seen();
        let e = app.publish(&broken, r#"{"renames": ["users.age=years"]}"#).unwrap_err();
        assert_eq!(e.code(), "check_failed", "{e}");
        assert!(e.to_string().contains(what) && e.to_string().contains("age"), "{e}");
        assert_eq!(app.seen(), before);
    }
}

#[test]
fn a_snapshot_taken_for_a_live_database() {
    let app = App::new();
    app.publish(&format!("{SCHEMA} CREATE TABLE t (a);"), "").unwrap();
    let snapshot = app.remy().releases().unwrap().into_iter().find_map(|r| r.database).unwrap();
    let e = Remy::open(format!("{}-remy/{snapshot}", app.live.display())).map(|_| ()).unwrap_err();
    assert_eq!(e.code(), "invalid_argument");
    assert!(e.to_string().contains("belongs to a store"), "{e}");
    app.remy().rollback(None, &Options::default(), Progress::none()).unwrap();
}

#[test]
fn a_snapshot_whose_bytes_were_changed() {
    let app = App::new();
    app.publish(&format!("{SCHEMA} CREATE TABLE t (a);"), "").unwrap();
    let snapshot = app.remy().releases().unwrap().into_iter().find_map(|r| r.database).unwrap();
    let path = PathBuf::from(format!("{}-remy/{snapshot}", app.live.display()));
    let mut bytes = fs::read(&path).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(&path, bytes).unwrap();
    let e = app.remy().rollback(None, &Options::default(), Progress::none()).unwrap_err();
    assert_eq!(e.code(), "not_promotable", "{e}");
    assert!(e.to_string().contains("changed since"), "{e}");
    assert!(!app.remy().verify().unwrap().ok);
}

#[test]
fn a_page_size_or_an_encoding_that_differs() {
    let app = App::new();
    app.publish(&format!("{SCHEMA} CREATE TABLE t (a);"), "").unwrap();
    shell(&app.live, "PRAGMA journal_mode = delete; PRAGMA page_size = 8192; VACUUM; PRAGMA journal_mode = wal;");
    app.refuses("not_promotable", &["page size", "4096", "8192"], |app| {
        app.remy().rollback(None, &Options::default(), Progress::none())
    });
}

#[test]
fn a_store_of_a_newer_version() {
    let app = App::new();
    app.publish(SCHEMA, "").unwrap();
    let catalog = PathBuf::from(format!("{}-remy/catalog.db", app.live.display()));
    shell(&catalog, "PRAGMA user_version = 99;");
    let e = app.publish(SCHEMA, "").unwrap_err();
    assert_eq!(e.code(), "invalid_argument", "{e}");
    assert!(e.to_string().contains("newer remy"), "{e}");
    shell(&catalog, "PRAGMA user_version = 1;");
    app.goes_on();
}

#[test]
fn a_pause_that_would_be_too_long() {
    let app = App::new();
    app.publish(SCHEMA, "").unwrap();
    shell(
        &app.live,
        "CREATE TABLE big (a); WITH RECURSIVE c (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM c WHERE i < 20000) INSERT INTO big SELECT randomblob(200) FROM c;",
    );
    let schema = format!("{SCHEMA} CREATE TABLE big (a NOT NULL);"); // a rebuild
    app.refuses("pause_exceeded", &["max_pause_ms", "app.db"], |app| app.publish(&schema, r#"{"max_pause_ms": 5}"#));
}

#[test]
fn a_disk_too_small_for_a_clone() {
    let options = format!(r#"{{"margin_bytes": {}}}"#, u64::MAX / 2);
    App::new().refuses("io", &["free", "margin_bytes"], |app| app.publish(SCHEMA, &options));
}
