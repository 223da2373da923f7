//! Databases of every shape, foreign connections that stay open across a switch, a host's SQLite with writers, and what a
//! review doubted.
use remy_core::{Options, Outcome, Progress, Remy, Result};
use remy_tests::{built, output, shell, writer::Writer};
use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Duration,
};

const SCHEMA: &str = "CREATE TABLE users (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, body BLOB);
CREATE INDEX by_name ON users (name);
CREATE TABLE log (at INTEGER, what TEXT);
CREATE VIEW named AS SELECT id, name FROM users;
CREATE TRIGGER logged AFTER INSERT ON users BEGIN INSERT INTO log VALUES (new.id, new.name); END;";
const ROWS: &str = "WITH RECURSIVE c (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM c WHERE i < 300)
INSERT INTO users (name, body) SELECT 'näme ' || i, zeroblob(i * 7) FROM c;
DELETE FROM users WHERE id BETWEEN 50 AND 150;";
/// Everything that the first schema holds, as one line.
const CONTENT: &str = "SELECT count(*), sum(length(body)), group_concat(id || name) FROM users;
SELECT count(*), group_concat(at || what) FROM log; SELECT count(*) FROM named; SELECT * FROM sqlite_sequence ORDER BY 1;
SELECT type, name, sql FROM sqlite_schema WHERE name NOT GLOB '*_remy_*' ORDER BY name;";

struct App {
    _dir: tempfile::TempDir,
    live: PathBuf,
}

impl App {
    /// `first` comes before the first table.
    fn new(first: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let live = dir.path().join("app.db");
        shell(&live, &format!("{first} {SCHEMA} {ROWS}"));
        Self { _dir: dir, live }
    }

    fn remy(&self) -> Remy {
        Remy::open(&self.live).unwrap()
    }

    fn publish(&self, schema: &str, options: &str) -> Result<Outcome> {
        self.remy().publish(schema, &Options::from_json(options)?, Progress::none())
    }

    fn rollback(&self, release: Option<i64>) -> Result<Outcome> {
        self.remy().rollback(release, &Options::default(), Progress::none())
    }

    fn store(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("{}-remy/{path}", self.live.display()))
    }
}

/// A `sqlite3` shell that stays open.
struct Open {
    shell: Child,
    input: ChildStdin,
    lines: BufReader<ChildStdout>,
}

impl Open {
    fn new(db: &Path) -> Self {
        let mut shell = Command::new("sh")
            .args(["-c", r#"exec sqlite3 -batch -cmd ".timeout 20000" "$0" 2>&1"#])
            .arg(db)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (input, lines) = (shell.stdin.take().unwrap(), BufReader::new(shell.stdout.take().unwrap()));
        Self { shell, input, lines }
    }

    /// What it answers, errors as well.
    fn ask(&mut self, sql: &str) -> String {
        writeln!(self.input, "{sql}\nSELECT 'the end';").unwrap();
        let mut text = String::new();
        loop {
            let mut line = String::new();
            assert!(self.lines.read_line(&mut line).unwrap() > 0, "the shell ended: {text}");
            if line == "the end\n" {
                return text;
            }
            text.push_str(&line);
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}

/// Publish, roll back and dev reset under connections that stay open.
fn every_shape(page_size: u32) {
    for auto_vacuum in 0..3 {
        for (mode, options) in [("wal", "{}"), ("delete", r#"{"journal_mode": "keep"}"#)] {
            for encoding in ["UTF-8", "UTF-16le"] {
                let what = format!("{page_size} {auto_vacuum} {mode} {encoding}");
                let app = App::new(&format!(
                    "PRAGMA page_size = {page_size}; PRAGMA auto_vacuum = {auto_vacuum}; PRAGMA encoding = '{encoding}';
                     PRAGMA journal_mode = {mode};"
                ));
                let mut foreign = Open::new(&app.live);
                let before = foreign.ask(CONTENT);
                assert!(before.contains("näme 300"), "{what}: {before}");
                // A rebuild, a new table, a table that goes.
                let schema = SCHEMA
                    .replace("body BLOB", "body BLOB NOT NULL, age INTEGER DEFAULT 7")
                    .replace("CREATE TABLE log (at INTEGER", "CREATE TABLE log (extra TEXT, at INTEGER")
                    .replace("INTO log VALUES", "INTO log (at, what) VALUES");
                app.publish(&schema, options).unwrap_or_else(|e| panic!("{what}: {e}"));
                assert_eq!(foreign.ask("PRAGMA integrity_check; SELECT sum(age), count(*) FROM users; SELECT count(extra), count(at) FROM log;"), "ok\n1393|199\n0|300\n", "{what}");
                foreign.ask("INSERT INTO users (name, body) VALUES ('later', zeroblob(100000)); DELETE FROM users WHERE id < 40;");
                assert_eq!(foreign.ask("SELECT what FROM log ORDER BY rowid DESC LIMIT 1;"), "later\n", "{what}");

                // Back to release 1, which was adopted and never had remy's tables.
                let outcome = app.rollback(Some(1)).unwrap_or_else(|e| panic!("{what}: {e}"));
                assert_eq!(outcome.restored_from, Some(1), "{what}");
                let after = foreign.ask(CONTENT);
                // Only the sequence is another: ids are not used again.
                assert_eq!(after.replace("users|301", "users|300"), before, "{what}");
                assert_eq!(foreign.ask("PRAGMA integrity_check;"), "ok\n", "{what}");
                assert_eq!(
                    foreign.ask("PRAGMA auto_vacuum; PRAGMA encoding; PRAGMA journal_mode; PRAGMA page_size;"),
                    format!("{auto_vacuum}\n{encoding}\n{mode}\n{page_size}\n"),
                    "{what}"
                );
                // The outgoing release kept what was written since.
                let outgoing = app.remy().releases().unwrap().into_iter().find(|r| r.release == 2).unwrap();
                assert_eq!(
                    shell(
                        &app.store(&outgoing.database.unwrap()),
                        "PRAGMA integrity_check; SELECT count(*) FROM users WHERE name = 'later'; SELECT count(*) FROM users;"
                    ),
                    "ok\n1\n161\n",
                    "{what}"
                );

                // Forward again.
                app.rollback(Some(2)).unwrap_or_else(|e| panic!("{what}: {e}"));
                assert_eq!(
                    foreign.ask("PRAGMA integrity_check; SELECT count(*) FROM users WHERE name = 'later';"),
                    "ok\n1\n",
                    "{what}"
                );

                let dev = app.remy().dev_start("d").unwrap_or_else(|e| panic!("{what}: {e}"));
                let mut developer = Open::new(Path::new(&dev.path));
                developer.ask("DROP TABLE log; DELETE FROM users; CREATE TABLE mine (a); INSERT INTO mine VALUES (zeroblob(200000));");
                foreign.ask("INSERT INTO users (name, body) VALUES ('newest', x'00');");
                app.remy().dev_reset("d").unwrap_or_else(|e| panic!("{what}: {e}"));
                assert_eq!(developer.ask("PRAGMA integrity_check;"), "ok\n", "{what}");
                assert_eq!(developer.ask(CONTENT), foreign.ask(CONTENT), "{what}");
                app.remy().dev_truncate("d").unwrap_or_else(|e| panic!("{what}: {e}"));
                assert_eq!(
                    developer.ask("PRAGMA integrity_check; SELECT count(*) FROM users; SELECT count(*) FROM log;"),
                    "ok\n0\n0\n",
                    "{what}"
                );
                let verified = app.remy().verify().unwrap();
                assert!(verified.ok, "{what}: {verified:#?}");
            }
        }
    }
}

#[test]
fn pages_of_512_bytes() {
    every_shape(512);
}

#[test]
fn pages_of_4096_bytes() {
    every_shape(4096);
}

#[test]
fn pages_of_65536_bytes() {
    every_shape(65536);
}

const WRITES: &str = "CREATE TABLE app_writes (id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE);";

/// Runs SQL in a `sqlite3` shell that has loaded the extension.
fn host(live: &Path, sql: &str) -> String {
    let load = format!(".load {}", built("libremy0.so").display());
    let out = output(Command::new("sqlite3").args(["-batch", "-bail", "-cmd", &load]).arg(live).arg(sql));
    assert!(out.status.success(), "{sql}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

/// Every acknowledged key is in live or in a snapshot.
fn account(live: &Path, writers: Vec<Writer>) {
    let mut acknowledged = Vec::new();
    for writer in writers {
        let written = writer.stop();
        assert_eq!(written.errors, Vec::<String>::new());
        acknowledged.extend(written.acknowledged);
    }
    let mut found = BTreeSet::new();
    let snapshots = fs::read_dir(format!("{}-remy/snapshots", live.display())).unwrap().map(|e| e.unwrap().path());
    for file in snapshots.chain([live.to_owned()]) {
        let text = shell(&file, "PRAGMA integrity_check; SELECT key FROM app_writes;");
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some("ok"), "{}", file.display());
        found.extend(lines.map(str::to_owned));
    }
    let lost: Vec<_> = acknowledged.iter().filter(|key| !found.contains(*key)).collect();
    assert!(lost.is_empty(), "{} of {} writes lost: {lost:?}", lost.len(), acknowledged.len());
    assert!(acknowledged.len() > 20, "the writers hardly wrote: {}", acknowledged.len());
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
    let writers: Vec<_> = (1..=2).map(|n| Writer::start(&live, n)).collect();
    std::thread::sleep(Duration::from_millis(200));
    for n in 0..steps {
        let schema = format!("{WRITES} CREATE TABLE other (a{}); {SCHEMA}", ["", ", b", ", b, c"][n % 3]);
        let sql = match n % 3 {
            0 | 1 => format!("SELECT remy_publish('{schema}', '{options}') ->> '$.status'"),
            _ => "SELECT remy_rollback() ->> '$.status'".to_owned(),
        };
        assert_eq!(host(&live, &sql), "live\n", "step {n}");
        assert!(writers.iter().all(Writer::is_writing), "a writer stopped at step {n}");
    }
    assert_eq!(host(&live, "SELECT remy_rollback(1) ->> '$.status'"), "live\n");
    assert_eq!(Open::new(&live).ask("PRAGMA journal_mode;").trim(), mode);
    assert_eq!(host(&live, "SELECT remy_verify() ->> '$.ok'"), "1\n");
    account(&live, writers);
}

#[test]
fn a_host_with_writers() {
    a_host("wal", r#"{"allow": ["drop"]}"#, 8);
}

#[test]
fn a_host_with_writers_and_a_rollback_journal() {
    a_host("delete", r#"{"allow": ["drop"], "journal_mode": "keep"}"#, 3);
}

#[test]
fn a_host_with_nobody_else() {
    for (mode, options) in [("wal", "{}"), ("delete", r#"{"journal_mode": "keep"}"#)] {
        for page_size in [512, 4096, 65536] {
            let app = App::new(&format!(
                "PRAGMA page_size = {page_size}; PRAGMA auto_vacuum = 1; PRAGMA journal_mode = {mode};"
            ));
            let mut foreign = Open::new(&app.live);
            let before = foreign.ask(CONTENT);
            let schema = format!("{SCHEMA} CREATE TABLE more (a);");
            assert_eq!(
                host(&app.live, &format!("SELECT remy_publish('{schema}', '{options}') ->> '$.status'")),
                "live\n"
            );
            foreign.ask("INSERT INTO users (name, body) VALUES ('later', zeroblob(100000));");
            assert_eq!(foreign.ask("PRAGMA integrity_check; SELECT count(*) FROM more;"), "ok\n0\n");
            assert_eq!(host(&app.live, "SELECT remy_rollback() ->> '$.status'"), "live\n");
            assert_eq!(foreign.ask(CONTENT).replace("users|301", "users|300"), before);
            assert_eq!(foreign.ask("PRAGMA integrity_check; PRAGMA journal_mode;"), format!("ok\n{mode}\n"));
            let path = host(&app.live, "SELECT remy_dev_start('d') ->> '$.path'");
            let mut developer = Open::new(Path::new(path.trim()));
            developer.ask(
                "DROP TABLE log; DELETE FROM users; CREATE TABLE mine (a); INSERT INTO mine VALUES (zeroblob(200000));",
            );
            host(&app.live, "SELECT remy_dev_reset('d');");
            assert_eq!(developer.ask(CONTENT), foreign.ask(CONTENT));
            assert_eq!(developer.ask("PRAGMA integrity_check; PRAGMA journal_mode;"), format!("ok\n{mode}\n"));
            host(&app.live, "SELECT remy_dev_truncate('d');");
            assert_eq!(developer.ask("PRAGMA integrity_check; SELECT count(*) FROM users;"), "ok\n0\n");
        }
    }
}
