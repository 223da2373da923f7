//! Databases of every shape, connections of others that stay open across a switch, and a host's
//! SQLite with writers: what is in live, in the snapshots and in dev databases is what has to be
//! there.
use remy_db::{Line, Options, Progress, Reached, ReleaseId, Remy, Status};
use remy_tests::{
    Shell, built, cases,
    live::App,
    moments, output, shell,
    writer::{self, Writer},
};
use std::{fs, path::Path, process::Command, time::Duration};

const SCHEMA: &str =
    "CREATE TABLE users (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, body BLOB);
CREATE INDEX by_name ON users (name);
CREATE TABLE log (at INTEGER, what TEXT);
CREATE VIEW named AS SELECT id, name FROM users;
CREATE TRIGGER logged AFTER INSERT ON users BEGIN INSERT INTO log VALUES (new.id, new.name); END;";
const ROWS: &str =
    "WITH RECURSIVE c (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM c WHERE i < 300)
INSERT INTO users (name, body) SELECT 'näme ' || i, zeroblob(i * 7) FROM c;
DELETE FROM users WHERE id BETWEEN 50 AND 150;";
/// Everything that the first schema holds, as one line.
const CONTENT: &str = "SELECT count(*), sum(length(body)), group_concat(id || name) FROM users;
SELECT count(*), group_concat(at || what) FROM log; SELECT count(*) FROM named; SELECT * FROM sqlite_sequence ORDER BY 1;
SELECT type, name, sql FROM sqlite_schema WHERE name NOT GLOB '*_remy_*' ORDER BY name;";

/// An application's database; `first` comes before the first table.
fn app(first: &str) -> App {
    App::made_by(&format!("{first} {SCHEMA} {ROWS}"))
}

/// The options under which live stays in `mode`.
fn keeping(mode: &str) -> &'static str {
    match mode {
        "wal" => "{}",
        _ => r#"{"journal_mode": "keep"}"#,
    }
}

/// Publish, roll back and dev reset under connections that stay open.
fn every_shape(page_size: u32, auto_vacuum: u8, mode: &str, encoding: &str) {
    let app = app(&format!(
                    "PRAGMA page_size = {page_size}; PRAGMA auto_vacuum = {auto_vacuum}; PRAGMA encoding = '{encoding}';
                     PRAGMA journal_mode = {mode};"
                ));
    let mut foreign = Shell::open(&app.live);
    let before = foreign.ask(CONTENT);
    assert!(before.contains("näme 300"), "{before}");
    // A rebuild, a new table, a table that goes.
    let schema = SCHEMA
        .replace("body BLOB", "body BLOB NOT NULL, age INTEGER DEFAULT 7")
        .replace(
            "CREATE TABLE log (at INTEGER",
            "CREATE TABLE log (extra TEXT, at INTEGER",
        )
        .replace("INTO log VALUES", "INTO log (at, what) VALUES");
    app.publish(&schema, keeping(mode)).unwrap();
    assert_eq!(foreign.ask("PRAGMA integrity_check; SELECT sum(age), count(*) FROM users; SELECT count(extra), count(at) FROM log;"), "ok\n1393|199\n0|300\n");
    foreign.ask("INSERT INTO users (name, body) VALUES ('later', zeroblob(100000)); DELETE FROM users WHERE id < 40;");
    assert_eq!(
        foreign.ask("SELECT what FROM log ORDER BY rowid DESC LIMIT 1;"),
        "later\n"
    );

    // Back to release 1, which was adopted and never had remy's tables.
    let outcome = app.rollback(Some(1)).unwrap();
    assert_eq!(outcome.restored_from, Some(ReleaseId(1)));
    let after = foreign.ask(CONTENT);
    // Only the sequence is another: ids are not used again.
    assert_eq!(after.replace("users|301", "users|300"), before);
    assert_eq!(foreign.ask("PRAGMA integrity_check;"), "ok\n");
    assert_eq!(
        foreign.ask("PRAGMA auto_vacuum; PRAGMA encoding; PRAGMA journal_mode; PRAGMA page_size;"),
        format!("{auto_vacuum}\n{encoding}\n{mode}\n{page_size}\n")
    );
    // The outgoing release kept what was written since.
    let outgoing = app
        .remy()
        .releases()
        .unwrap()
        .into_iter()
        .find(|r| r.release == 2)
        .unwrap();
    assert_eq!(
        shell(
            &app.store(&outgoing.database.unwrap()),
            "PRAGMA integrity_check; SELECT count(*) FROM users WHERE name = 'later'; SELECT count(*) FROM users;"
        ),
        "ok\n1\n161\n"
    );

    // Forward again.
    app.rollback(Some(2)).unwrap();
    assert_eq!(
        foreign.ask("PRAGMA integrity_check; SELECT count(*) FROM users WHERE name = 'later';"),
        "ok\n1\n"
    );

    let dev = app.remy().dev_start("d").unwrap();
    let mut developer = Shell::open(Path::new(&dev.path));
    developer.ask("DROP TABLE log; DELETE FROM users; CREATE TABLE mine (a); INSERT INTO mine VALUES (zeroblob(200000));");
    foreign.ask("INSERT INTO users (name, body) VALUES ('newest', x'00');");
    app.remy().dev_reset("d").unwrap();
    assert_eq!(developer.ask("PRAGMA integrity_check;"), "ok\n");
    assert_eq!(developer.ask(CONTENT), foreign.ask(CONTENT));
    app.remy().dev_truncate("d").unwrap();
    assert_eq!(
        developer
            .ask("PRAGMA integrity_check; SELECT count(*) FROM users; SELECT count(*) FROM log;"),
        "ok\n0\n0\n"
    );
    let verified = app.remy().verify().unwrap();
    assert!(verified.ok, "{verified:#?}");
}

cases! { every_shape:
    [pages_of_512_bytes: 512, pages_of_4096_bytes: 4096, pages_of_65536_bytes: 65536]
    [no_auto_vacuum: 0, full: 1, incremental: 2]
    [wal: "wal", delete: "delete"]
    [utf8: "UTF-8", utf16: "UTF-16le"]
}

const WRITES: &str =
    "CREATE TABLE app_writes (id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE);";

/// Runs SQL in a `sqlite3` shell that has loaded the extension, and runs verbs through its own
/// SQLite.
fn host(live: &Path, sql: &str) -> String {
    let load = format!(".load {}", built("libremy0.so").display());
    let out = output(
        Command::new("sqlite3")
            .args(["-batch", "-bail", "-cmd", &load])
            .env("REMY_HELPER", "none")
            .arg(live)
            .arg(sql),
    );
    assert!(
        out.status.success(),
        "{sql}: {}",
        String::from_utf8_lossy(&out.stderr)
    );
    String::from_utf8(out.stdout).unwrap()
}

/// Every acknowledged key is in live or in a snapshot.
fn account(live: &Path, writers: Vec<Writer>) {
    let snapshots = fs::read_dir(format!("{}-remy/snapshots", live.display()))
        .unwrap()
        .map(|e| e.unwrap().path());
    let acknowledged = writer::account(snapshots.chain([live.to_owned()]), writers);
    assert!(
        acknowledged > 20,
        "the writers hardly wrote: {acknowledged}"
    );
}

/// Publishes and rolls back through a host's SQLite while others write.
fn a_host(mode: &str, options: &str, steps: usize) {
    let dir = tempfile::tempdir().unwrap();
    let live = dir.path().join("app.db");
    shell(
        &live,
        &format!(
            "PRAGMA journal_mode = {mode}; {WRITES} CREATE TABLE other (a); CREATE TABLE third (a); {SCHEMA} {ROWS}"
        ),
    );
    // They rest: at a rollback journal on a slow disk, SQLite's own way to wait lets one of two
    // starve the other.
    let writers: Vec<_> = (1..=2)
        .map(|n| Writer::start_paced(&live, n, Duration::from_millis(10)))
        .collect();
    std::thread::sleep(Duration::from_millis(200));
    for n in 0..steps {
        let schema = format!(
            "{WRITES} CREATE TABLE other (a{}); {SCHEMA}",
            ["", ", b", ", b, c"][n % 3]
        );
        let sql = match n % 3 {
            0 | 1 => format!("SELECT remy_publish('{schema}', '{options}') ->> '$.status'"),
            _ => "SELECT remy_rollback() ->> '$.status'".to_owned(),
        };
        assert_eq!(host(&live, &sql), "live\n", "step {n}");
        assert!(
            writers.iter().all(Writer::is_writing),
            "a writer stopped at step {n}"
        );
    }
    assert_eq!(
        host(&live, "SELECT remy_rollback(1) ->> '$.status'"),
        "live\n"
    );
    assert_eq!(host(&live, "SELECT remy_verify() ->> '$.ok'"), "1\n");
    account(&live, writers);
    assert_eq!(Shell::open(&live).ask("PRAGMA journal_mode;").trim(), mode);
}

#[test]
fn a_host_with_writers() {
    a_host("wal", r#"{"allow": ["drop"]}"#, 8);
}

#[test]
fn a_host_with_writers_and_a_rollback_journal() {
    a_host(
        "delete",
        r#"{"allow": ["drop"], "journal_mode": "keep"}"#,
        6,
    );
}

fn a_host_with_nobody_else(mode: &str, page_size: u32) {
    let app = app(&format!(
        "PRAGMA page_size = {page_size}; PRAGMA auto_vacuum = 1; PRAGMA journal_mode = {mode};"
    ));
    let mut foreign = Shell::open(&app.live);
    let before = foreign.ask(CONTENT);
    let schema = format!("{SCHEMA} CREATE TABLE more (a);");
    assert_eq!(
        host(
            &app.live,
            &format!(
                "SELECT remy_publish('{schema}', '{}') ->> '$.status'",
                keeping(mode)
            )
        ),
        "live\n"
    );
    foreign.ask("INSERT INTO users (name, body) VALUES ('later', zeroblob(100000));");
    assert_eq!(
        foreign.ask("PRAGMA integrity_check; SELECT count(*) FROM more;"),
        "ok\n0\n"
    );
    assert_eq!(
        host(&app.live, "SELECT remy_rollback() ->> '$.status'"),
        "live\n"
    );
    assert_eq!(
        foreign.ask(CONTENT).replace("users|301", "users|300"),
        before
    );
    assert_eq!(
        foreign.ask("PRAGMA integrity_check; PRAGMA journal_mode;"),
        format!("ok\n{mode}\n")
    );
    let path = host(&app.live, "SELECT remy_dev_start('d') ->> '$.path'");
    let mut developer = Shell::open(Path::new(path.trim()));
    developer.ask(
                "DROP TABLE log; DELETE FROM users; CREATE TABLE mine (a); INSERT INTO mine VALUES (zeroblob(200000));",
            );
    host(&app.live, "SELECT remy_dev_reset('d');");
    assert_eq!(developer.ask(CONTENT), foreign.ask(CONTENT));
    assert_eq!(
        developer.ask("PRAGMA integrity_check; PRAGMA journal_mode;"),
        format!("ok\n{mode}\n")
    );
    host(&app.live, "SELECT remy_dev_truncate('d');");
    assert_eq!(
        developer.ask("PRAGMA integrity_check; SELECT count(*) FROM users;"),
        "ok\n0\n"
    );
}

cases! { a_host_with_nobody_else:
    [wal: "wal", delete: "delete"]
    [pages_of_512_bytes: 512, pages_of_4096_bytes: 4096, pages_of_65536_bytes: 65536]
}

#[test]
fn a_publish_that_fails_leaves_no_clone_behind() {
    let app = app("PRAGMA journal_mode = wal;");
    let schema = SCHEMA.replace("name TEXT", "name TEXT CHECK (name <> 'näme 7')");
    assert!(app.publish(&schema, "").is_err());
    let left: Vec<_> = fs::read_dir(app.store("work")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn artifacts_that_hold_live_or_its_store() {
    let app = app("PRAGMA journal_mode = wal;");
    let folder = app.live.parent().unwrap();
    for from in [folder, &app.live, &app.store(""), &app.store("releases")] {
        let e = app
            .publish(SCHEMA, &format!(r#"{{"artifacts": {from:?}}}"#))
            .unwrap_err();
        assert_eq!(e.code(), "invalid_argument", "{e}");
    }
    fs::create_dir(folder.join("dist")).unwrap();
    fs::write(folder.join("dist/main.js"), "1").unwrap();
    app.publish(
        SCHEMA,
        &format!(r#"{{"artifacts": {:?}}}"#, folder.join("dist")),
    )
    .unwrap();
    assert!(app.remy().verify().unwrap().ok);
}

#[test]
fn a_prune_that_is_a_dry_run() {
    let app = app("PRAGMA journal_mode = wal;");
    app.publish(&format!("{SCHEMA} CREATE TABLE a (a);"), "")
        .unwrap();
    app.publish(
        &format!("{SCHEMA} CREATE TABLE b (a);"),
        r#"{"allow": ["drop"]}"#,
    )
    .unwrap();
    let prune = |options: &str| {
        app.remy()
            .prune(Some(0), &Options::from_json(options).unwrap())
            .unwrap()
    };
    assert_eq!(prune(r#"{"dry_run": true}"#).pruned.len(), 1);
    assert_eq!(
        app.remy()
            .releases()
            .unwrap()
            .iter()
            .filter(|r| r.database.is_some())
            .count(),
        2
    );
    assert_eq!(prune("{}").pruned.len(), 1);
    assert_eq!(
        app.remy()
            .releases()
            .unwrap()
            .iter()
            .filter(|r| r.database.is_some())
            .count(),
        1
    );
}

#[test]
fn what_a_rollback_would_go_to_is_never_pruned() {
    let app = app("PRAGMA journal_mode = wal;");
    for table in ["a", "b", "c"] {
        app.publish(
            &format!("{SCHEMA} CREATE TABLE {table} (a);"),
            r#"{"allow": ["drop"]}"#,
        )
        .unwrap();
    }
    // Rolling back twice goes two back, however few are kept.
    for table in ["b", "a"] {
        let options = Options::from_json(r#"{"keep_releases": 1}"#).unwrap();
        app.remy()
            .rollback(None, &options, Progress::none())
            .unwrap();
        assert_eq!(
            shell(&app.live, &format!("SELECT count(*) FROM {table}")),
            "0\n"
        );
    }
}

#[test]
fn a_clone_to_a_name_in_this_folder() {
    let app = app("PRAGMA journal_mode = wal;");
    let name = format!("review-clone-{}.db", std::process::id());
    let cloned = app.remy().clone_to(&name);
    let _ = fs::remove_file(&name);
    cloned.unwrap();
}

#[test]
fn a_clone_beside_the_wal_of_another_database() {
    let app = app("PRAGMA journal_mode = wal;");
    let other = app.live.with_file_name("other.db");
    let mut open = Shell::open(&other);
    open.ask(
        "PRAGMA journal_mode = wal; CREATE TABLE precious (a); INSERT INTO precious VALUES (1);",
    );
    drop(open); // killed: the WAL stays
    fs::remove_file(&other).unwrap();
    let e = app.remy().clone_to(&other).unwrap_err();
    assert_eq!(e.code(), "invalid_argument", "{e}");
    assert!(!other.exists());
}

fn an_empty_database(options: &str, by_host: bool) {
    let App { dir: _dir, live } = App::empty();
    let run = |verb: &str, schema: &str, options: &str| {
        if by_host {
            let arguments = if schema.is_empty() {
                String::new()
            } else {
                format!("'{schema}', '{options}'")
            };
            return host(
                &live,
                &format!("SELECT remy_{verb}({arguments}) ->> '$.status'"),
            );
        }
        let (app, options) = (
            Remy::open(&live).unwrap(),
            Options::from_json(options).unwrap(),
        );
        match verb {
            "publish" => {
                app.publish(schema, &options, Progress::none())
                    .unwrap()
                    .status
                    .to_string()
                    + "\n"
            }
            _ => {
                app.rollback(None, &options, Progress::none())
                    .unwrap()
                    .status
                    .to_string()
                    + "\n"
            }
        }
    };
    assert_eq!(
        run("publish", "CREATE TABLE t (a);", r#"{"dry_run": true}"#),
        "dry_run\n"
    );
    assert_eq!(fs::metadata(&live).unwrap().len(), 0);
    assert_eq!(run("publish", "CREATE TABLE t (a);", options), "live\n");
    shell(&live, "INSERT INTO t VALUES (1)");
    assert_eq!(
        run("publish", "CREATE TABLE t (a); CREATE TABLE u (a);", "{}"),
        "live\n"
    );
    assert_eq!(run("rollback", "", ""), "live\n");
    assert_eq!(
        shell(
            &live,
            "PRAGMA integrity_check; SELECT a FROM t; SELECT count(*) FROM sqlite_schema WHERE name = 'u'"
        ),
        "ok\n1\n0\n"
    );
}

cases! { an_empty_database:
    [wal: "{}", keep: r#"{"journal_mode": "keep"}"#]
    [pages: false, host: true]
}

#[test]
fn live_by_a_symbolic_link() {
    let app = app("PRAGMA journal_mode = wal;");
    let folder = app.live.parent().unwrap().join("links");
    fs::create_dir(&folder).unwrap();
    let link = folder.join("link.db");
    std::os::unix::fs::symlink(&app.live, &link).unwrap();
    let mut foreign = Shell::open(&link);
    foreign.ask("INSERT INTO users (name) VALUES ('by the link');");
    let by_link = Remy::open(&link).unwrap();
    by_link
        .publish(
            &format!("{SCHEMA} CREATE TABLE more (a);"),
            &Options::default(),
            Progress::none(),
        )
        .unwrap();
    assert_eq!(
        foreign.ask(
            "INSERT INTO more VALUES (1); SELECT count(*) FROM users WHERE name = 'by the link';"
        ),
        "1\n"
    );
    // The same store by either name.
    assert_eq!(app.remy().releases().unwrap(), by_link.releases().unwrap());
    by_link
        .rollback(None, &Options::default(), Progress::none())
        .unwrap();
    assert_eq!(
        foreign
            .ask("PRAGMA integrity_check; SELECT count(*) FROM users WHERE name = 'by the link';"),
        "ok\n1\n"
    );
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
}

fn a_staged_release_after_live_has_changed(mode: &str) {
    let app = app(&format!("PRAGMA journal_mode = {mode};"));
    let options = Options::from_json(r#"{"journal_mode": "keep", "label": "staged"}"#).unwrap();
    let schema = SCHEMA.replace("body BLOB", "body BLOB NOT NULL"); // a rebuild
    let staged = app
        .remy()
        .stage(&schema, &options, Progress::none())
        .unwrap();
    assert_eq!(staged.status, Reached::Compiled);
    let mut foreign = Shell::open(&app.live);
    foreign.ask("INSERT INTO users (name, body) VALUES ('after', x'00'); CREATE TABLE theirs (a);");
    let promoted = app.promote(None).unwrap();
    assert_eq!(
        (promoted.release, promoted.label.as_deref()),
        (staged.release, Some("staged"))
    );
    assert_eq!(
        foreign.ask(
            "PRAGMA integrity_check; SELECT count(*), max(name) FROM users; PRAGMA journal_mode;"
        ),
        format!("ok\n200|näme 9\n{mode}\n")
    );
    assert_eq!(
        foreign.ask("SELECT count(*) FROM users WHERE name = 'after';"),
        "1\n"
    );
    // What a row forbids leaves it compiled.
    let staged = app
        .remy()
        .stage(
            &SCHEMA.replace("name TEXT", "name TEXT CHECK (name <> 'bad')"),
            &options,
            Progress::none(),
        )
        .unwrap();
    foreign.ask("INSERT INTO users (name, body) VALUES ('bad', x'00');");
    assert!(app.promote(None).is_err());
    assert_eq!(app.remy().releases().unwrap()[0].status, Status::Compiled);
    foreign.ask("DELETE FROM users WHERE name = 'bad';");
    assert_eq!(app.promote(None).unwrap().release, staged.release);
}

cases! { a_staged_release_after_live_has_changed:
    [wal: "wal", delete: "delete"]
}

#[test]
fn a_rollback_journal_with_readers() {
    let app = app("PRAGMA journal_mode = delete;");
    let keep = r#"{"journal_mode": "keep", "max_pause_ms": 300}"#;
    app.publish(&format!("{SCHEMA} CREATE TABLE more (a);"), keep)
        .unwrap();
    let mut reader = Shell::open(&app.live);
    let before = reader.ask(&format!("BEGIN; {CONTENT}"));
    // A reader that does not leave: refused, nothing is left locked, the reader goes on.
    let e = app
        .remy()
        .rollback(None, &Options::from_json(keep).unwrap(), Progress::none())
        .unwrap_err();
    assert_eq!(e.code(), "busy", "{e}");
    assert!(e.to_string().contains("readers"), "{e}");
    assert_eq!(reader.ask(CONTENT), before);
    let mut writer = Shell::open(&app.live);
    assert_eq!(writer.ask("BEGIN IMMEDIATE; ROLLBACK;"), "");
    // One that leaves while the switch waits.
    let outcome = std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(700));
            reader.ask("COMMIT;");
        });
        let options = Options::from_json(r#"{"journal_mode": "keep"}"#).unwrap();
        app.remy()
            .rollback(None, &options, Progress::none())
            .unwrap()
    });
    assert_eq!(outcome.restored_from, Some(ReleaseId(1)));
    assert_eq!(
        reader
            .ask("PRAGMA integrity_check; SELECT count(*) FROM sqlite_schema WHERE name = 'more';"),
        "ok\n0\n"
    );
}

/// With a counter that says nothing of a WAL, writes that came with the change of journal would be
/// overwritten.
#[test]
fn somebody_turns_on_wal_in_the_middle() {
    let app = app("PRAGMA journal_mode = delete;");
    app.publish(SCHEMA, r#"{"journal_mode": "keep"}"#).unwrap();
    let folder = app.live.with_file_name("migrations");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("0001_slow.sql"), "CREATE TABLE slow AS WITH RECURSIVE c (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM c WHERE i < 6000000) SELECT count(*) n FROM c; UPDATE users SET body = x'00';").unwrap();
    let mut open = Shell::open(&app.live);
    let options = format!(
        r#"{{"migrations": {:?}, "journal_mode": "keep", "max_pause_ms": 30000}}"#,
        folder
    );
    let published = std::thread::scope(|scope| {
        let turn = scope.spawn(|| {
            // A row after the clone was taken, so that the slow statement runs again; then WAL,
            // while it does.
            while !app.remy().build_log(None).unwrap().iter().any(|line| line.release == 3 && moments::is_rehearsed(line)) {
                open.ask("INSERT INTO users (name) VALUES ('early');");
                std::thread::sleep(Duration::from_millis(20));
            }
            std::thread::sleep(Duration::from_millis(400));
            open.ask("PRAGMA wal_autocheckpoint = 0; PRAGMA journal_mode = wal; INSERT INTO users (name) VALUES ('acknowledged');")
        });
        let published = app.publish(&format!("{SCHEMA} CREATE TABLE slow (n);"), &options);
        assert_eq!(turn.join().unwrap(), "0\nwal\n");
        published
    });
    let e = published.unwrap_err();
    assert!(e.code() == "busy" && e.to_string().contains("WAL"), "{e}");
    assert_eq!(
        open.ask("PRAGMA integrity_check; SELECT count(*) FROM users WHERE name = 'acknowledged';"),
        "ok\n1\n"
    );
}

#[test]
fn detached_and_published_again() {
    let app = app("PRAGMA journal_mode = wal;");
    app.publish(&format!("{SCHEMA} CREATE TABLE more (a);"), "")
        .unwrap();
    let detached = app.remy().detach().unwrap();
    assert!(detached.dropped.contains(&"_remy_release".to_owned()));
    shell(&app.live, "INSERT INTO more VALUES (1)");
    let outcome = app
        .publish(&format!("{SCHEMA} CREATE TABLE more (a, b);"), "")
        .unwrap();
    assert_eq!(
        (outcome.previous, outcome.release),
        (Some(ReleaseId(3)), ReleaseId(4))
    );
    assert_eq!(
        app.rollback(None).unwrap().restored_from,
        Some(ReleaseId(3))
    );
    assert_eq!(shell(&app.live, "SELECT * FROM more"), "1\n");
    assert_eq!(
        app.rollback(Some(1)).unwrap().restored_from,
        Some(ReleaseId(1))
    );
    assert!(app.remy().verify().unwrap().ok);
}

#[test]
fn copied_without_its_store_and_moved_with_it() {
    let app = app("PRAGMA journal_mode = wal;");
    app.publish(
        &format!("{SCHEMA} CREATE TABLE more (a);"),
        r#"{"label": "two"}"#,
    )
    .unwrap();
    let (copy, moved) = (
        app.live.with_file_name("copy.db"),
        app.live.with_file_name("moved.db"),
    );
    shell(&app.live, &format!("VACUUM INTO '{}'", copy.display()));
    let remy = Remy::open(&copy).unwrap();
    let outcome = remy
        .publish(
            SCHEMA,
            &Options::from_json(r#"{"allow": ["drop"]}"#).unwrap(),
            Progress::none(),
        )
        .unwrap();
    assert_eq!(
        (outcome.previous, outcome.release),
        (Some(ReleaseId(2)), ReleaseId(3))
    );
    assert_eq!(
        remy.rollback(None, &Options::default(), Progress::none())
            .unwrap()
            .restored_from,
        Some(ReleaseId(2))
    );
    assert!(remy.verify().unwrap().ok);
    shell(&app.live, "PRAGMA wal_checkpoint(TRUNCATE)");
    fs::rename(&app.live, &moved).unwrap();
    fs::rename(app.store(""), format!("{}-remy", moved.display())).unwrap();
    let remy = Remy::open(&moved).unwrap();
    assert_eq!(
        remy.rollback(None, &Options::default(), Progress::none())
            .unwrap()
            .restored_from,
        Some(ReleaseId(1))
    );
    assert!(remy.verify().unwrap().ok);
}

fn auto_vacuum_that_was_changed_since(then: u8, now: u8) {
    let app = app(&format!(
        "PRAGMA auto_vacuum = {then}; PRAGMA journal_mode = wal;"
    ));
    app.publish(&format!("{SCHEMA} CREATE TABLE more (a);"), "")
        .unwrap();
    let mut foreign = Shell::open(&app.live);
    let content = foreign.ask(CONTENT);
    shell(
        &app.live,
        &format!("PRAGMA auto_vacuum = {now}; VACUUM; DELETE FROM users WHERE id % 2;"),
    );
    foreign.ask(CONTENT);
    app.rollback(None).unwrap();
    foreign.ask("CREATE TABLE more (a);");
    assert_eq!(foreign.ask(CONTENT).lines().next(), content.lines().next());
    foreign.ask("DELETE FROM users WHERE id > 160; INSERT INTO users (name, body) VALUES ('x', zeroblob(50000));");
    assert_eq!(
        foreign.ask("PRAGMA integrity_check; PRAGMA auto_vacuum;"),
        format!("ok\n{then}\n")
    );
    app.rollback(Some(2)).unwrap();
    assert_eq!(
        foreign.ask("PRAGMA integrity_check; PRAGMA auto_vacuum;"),
        format!("ok\n{now}\n")
    );
}

cases! { auto_vacuum_that_was_changed_since:
    {
        full_since(0, 1),
        none_since_full(1, 0),
        none_since_incremental(2, 0),
        incremental_since(0, 2),
        incremental_since_full(1, 2),
    }
}

/// Much is written while a release is rehearsed, and nothing after that.
fn a_burst_of_writes_in_the_middle(mode: &str) {
    let app = app(&format!("PRAGMA journal_mode = {mode};"));
    let mut foreign = Shell::open(&app.live); // so that the WAL stays
    foreign.ask("INSERT INTO users (name) VALUES ('before');");
    let burst = |line: &Line| {
        if moments::is_rehearsed(line) {
            shell(
                &app.live,
                "INSERT INTO users (name, body) VALUES ('burst', zeroblob(1000000));",
            );
        }
    };
    let keep = Options::from_json(r#"{"journal_mode": "keep"}"#).unwrap();
    let go = Progress::none().on_line(&burst);
    let published = app
        .remy()
        .publish(&format!("{SCHEMA} CREATE TABLE more (a);"), &keep, go)
        .unwrap();
    assert_eq!(published.release, 2);
    assert_eq!(
        shell(
            &app.live,
            "SELECT release FROM _remy_release; SELECT count(*) FROM more; SELECT count(*) FROM users WHERE name = 'burst';"
        ),
        "2\n0\n1\n"
    );
    let back = app.remy().rollback(None, &keep, go).unwrap();
    assert_eq!(back.release, 3);
    assert_eq!(
        shell(
            &app.live,
            "PRAGMA integrity_check; SELECT release FROM _remy_release; SELECT count(*) FROM users WHERE name = 'burst';"
        ),
        "ok\n3\n1\n"
    );
    // The rows are where the history says.
    let snapshot = app
        .remy()
        .releases()
        .unwrap()
        .into_iter()
        .find(|r| r.release == 2)
        .unwrap()
        .database
        .unwrap();
    assert_eq!(
        shell(
            &app.store(&snapshot),
            "PRAGMA integrity_check; SELECT count(*) FROM users WHERE name = 'burst';"
        ),
        "ok\n2\n"
    );
}

cases! { a_burst_of_writes_in_the_middle:
    [wal: "wal", delete: "delete"]
}

/// The lock page, which holds the byte 2^30, holds no data, whatever a comparison says: live ends
/// just before it, right after it, and well beyond it, and grows and shrinks across it. Slow:
/// minutes, and 6 GB of disk, so it is for the long run: `cargo test --release -p remy-tests --test
/// shapes -- --ignored`.
#[test]
#[ignore = "writes 6 GB at a time"]
fn around_the_lock_page() {
    for (page_size, pages) in [
        (65536, 16383),
        (65536, 16384),
        (65536, 16386),
        (65536, 16390),
        (4096, 262_144),
        (4096, 262_400),
    ] {
        let what = format!("{page_size} {pages}");
        let app = app(&format!(
            "PRAGMA page_size = {page_size}; PRAGMA journal_mode = wal;"
        ));
        let mut foreign = Shell::open(&app.live);
        let count = |foreign: &mut Shell| foreign.run("PRAGMA page_count;").parse::<u64>().unwrap();
        foreign.ask("PRAGMA synchronous = off; PRAGMA wal_autocheckpoint = 100000;");
        // All but the last pages at once, then what is missing: a page more for each of a row's
        // overflow.
        while count(&mut foreign) < pages {
            let missing = pages - count(&mut foreign);
            let bytes = (missing.saturating_sub(8) * (page_size - 4))
                .min(600_000_000)
                .max(page_size);
            foreign.ask(&format!(
                "INSERT INTO users (name, body) VALUES ('large', zeroblob({bytes})); PRAGMA wal_checkpoint(TRUNCATE);"
            ));
        }
        let before = foreign.ask("SELECT count(*), sum(length(body)) FROM users;");
        let options = r#"{"max_pause_ms": 120000}"#;
        app.publish(&format!("{SCHEMA} CREATE TABLE more (a);"), options)
            .unwrap_or_else(|e| panic!("{what}: {e}"));
        foreign.ask("INSERT INTO more VALUES (zeroblob(5000000));");
        let back = Options::from_json(options).unwrap();
        app.remy()
            .rollback(None, &back, Progress::none())
            .unwrap_or_else(|e| panic!("{what}: {e}"));
        let after =
            foreign.ask("SELECT count(*), sum(length(body)) FROM users; PRAGMA integrity_check;");
        assert_eq!(after, format!("{before}ok\n"), "{what}");
        app.remy()
            .rollback(Some(ReleaseId(2)), &back, Progress::none())
            .unwrap_or_else(|e| panic!("{what}: {e}"));
        assert_eq!(
            foreign.ask("SELECT length(a) FROM more; PRAGMA integrity_check;"),
            "5000000\nok\n",
            "{what}"
        );
        assert!(app.remy().verify().unwrap().ok, "{what}");
    }
}
