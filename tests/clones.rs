//! Clones taken while others write and checkpoint: each is one committed state, whole, no older
//! than the last commit that was acknowledged when it was begun, and without a commit that never
//! was.
use remy_db::{Options, Progress, Remy};
use remy_tests::{
    Shell, built, faults, repository,
    rounds::{Random, rounds},
    shell,
};
use rusqlite::{Connection, OpenFlags};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// Clones taken in a round.
const CLONES: u64 = 100;
/// Rows that the writers change in turn, one a commit.
const CELLS: i64 = 1200;

/// A database that one number tells: how often it was committed to.
///
/// Commit `n` sets every row of `marks`, far apart, to `n`, the cell `n % CELLS` to `n`, and lets
/// `bulk` grow and shrink.
fn make(live: &Path, random: &mut Random) {
    let page_size = random.one_of(&["512", "1024", "4096", "4096", "16384"]);
    let vacuum = random.one_of(&["none", "none", "full"]);
    let conn = Connection::open(live).unwrap();
    conn.execute_batch(&format!(
        "PRAGMA page_size = {page_size}; PRAGMA auto_vacuum = {vacuum}; PRAGMA synchronous = off; BEGIN;
         CREATE TABLE head (n INTEGER NOT NULL); INSERT INTO head VALUES (0);
         CREATE TABLE cells (key INTEGER PRIMARY KEY, value INTEGER NOT NULL, pad BLOB NOT NULL);
         CREATE TABLE marks (id INTEGER PRIMARY KEY, n INTEGER NOT NULL, pad BLOB NOT NULL);
         CREATE TABLE bulk (id INTEGER PRIMARY KEY, body BLOB NOT NULL); CREATE INDEX by_value ON cells (value);"
    ))
    .unwrap();
    for key in 0..CELLS {
        conn.execute("INSERT INTO cells VALUES (?1, 0, randomblob(1500))", [key])
            .unwrap();
        if key % (CELLS / 20) == 0 {
            conn.execute(
                "INSERT INTO marks (n, pad) VALUES (0, randomblob(3000))",
                [],
            )
            .unwrap();
        }
    }
    conn.execute_batch("COMMIT").unwrap();
}

/// Which commit a clone holds. Fails where it holds a part of one.
fn commit_of(clone: &Path) -> Result<i64, String> {
    let uri = format!("file:{}?immutable=1", clone.display());
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    let conn = Connection::open_with_flags(uri, flags).unwrap();
    let ask = |sql: &str| {
        conn.query_row(sql, [], |row| row.get::<_, i64>(0))
            .map_err(|e| format!("{sql}: {e}"))
    };
    let n = ask("SELECT n FROM head")?;
    for (what, sql, expected) in [
        ("rows of marks at its number", format!("SELECT count(*) FROM marks WHERE n = {n}"), 20),
        (
            "cells with their value",
            format!(
                "SELECT count(*) FROM cells
                 WHERE value = max(0, {n} - (({n} - key) % {CELLS} + {CELLS}) % {CELLS}) AND length(pad) = 1500"
            ),
            CELLS,
        ),
        ("rows of bulk", "SELECT count(*) FROM bulk".into(), if n >= 40 && n % 40 < 20 { 100 } else { 0 }),
    ] {
        let found = ask(&sql)?;
        if found != expected {
            return Err(format!("a mixture: commit {n} has {expected} {what}, and {found} are there"));
        }
    }
    let check: String = conn
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .map_err(|e| e.to_string())?;
    if check == "ok" {
        Ok(n)
    } else {
        Err(format!("commit {n}: {check}"))
    }
}

/// Ends a writer that has no end of its own.
struct Writer(Child, PathBuf);

impl Writer {
    fn start(live: &Path, number: u64, seed: u64) -> Self {
        let acknowledged = live.with_file_name(format!("acknowledged-{number}"));
        let mut python = Command::new("python3");
        python
            .arg(repository("tests/clients/counter.py"))
            .arg(live)
            .arg(&acknowledged)
            .arg(seed.to_string());
        Self(python.stderr(Stdio::piped()).spawn().unwrap(), acknowledged)
    }

    fn acknowledged(&self) -> i64 {
        fs::read_to_string(&self.1)
            .ok()
            .and_then(|text| text.trim().parse().ok())
            .unwrap_or(0)
    }

    /// What it died of.
    fn error(&mut self) -> Option<String> {
        self.0.try_wait().unwrap()?;
        Some(std::io::read_to_string(self.0.stderr.take()?).unwrap())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The ways to a clone.
enum Face {
    /// The embedded engine, by pages; the same handle for all, or one for each.
    Pages(Option<Remy>),
    /// The embedded engine as a host: by the backup API.
    Host(Connection),
    /// The extension in the shell: by the backup API of another SQLite.
    Shell(Shell),
}

impl Face {
    fn of(number: u64, live: &Path) -> Self {
        match number % 4 {
            0 => Self::Pages(Some(Remy::open(live).unwrap())),
            1 => Self::Host(Connection::open(live).unwrap()),
            2 => Self::Pages(None),
            _ => {
                let mut shell = Shell::open(live);
                assert_eq!(
                    shell.run(&format!(
                        ".load {}",
                        built("libremy0.so").with_extension("").display()
                    )),
                    ""
                );
                Self::Shell(shell)
            }
        }
    }

    fn clone(&mut self, live: &Path, to: &Path) -> Result<(), String> {
        let cloned = match self {
            Self::Pages(Some(app)) => app.clone_to(to),
            Self::Pages(None) => Remy::open(live).and_then(|app| app.clone_to(to)),
            Self::Host(conn) => {
                // SAFETY: the connection is open, and of the SQLite that rusqlite is bound to.
                unsafe { Remy::on_host(conn.handle()) }.and_then(|app| app.clone_to(to))
            }
            Self::Shell(shell) => {
                let said = shell.run(&format!(
                    "SELECT remy_clone('{}') ->> 'method';",
                    to.display()
                ));
                return if said == "backup" { Ok(()) } else { Err(said) };
            }
        };
        cloned.map(|_| ()).map_err(|e| e.to_string())
    }
}

#[test]
fn under_writers_that_checkpoint() {
    remy_db::engine::init();
    for seed in rounds(20) {
        let random = &mut Random::new(seed);
        let dir = tempfile::tempdir().unwrap();
        let live = dir.path().join("app.db");
        make(&live, random);
        let journal = if seed % 5 == 4 {
            random.one_of(&["delete", "truncate", "persist"])
        } else {
            "wal"
        };
        shell(&live, &format!("PRAGMA journal_mode = {journal};"));
        let mut writers: Vec<_> = (0..3)
            .map(|number| Writer::start(&live, number, seed * 3 + number))
            .collect();
        let acknowledged =
            |writers: &[Writer]| writers.iter().map(Writer::acknowledged).max().unwrap_or(0);
        let waiting = Instant::now();
        while acknowledged(&writers) == 0 {
            assert!(
                waiting.elapsed() < Duration::from_secs(60),
                "round {seed}: no writer has begun"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
        let mut face = Face::of(seed, &live);
        let to = dir.path().join("clone.db");
        for n in 0..CLONES {
            let what = || format!("round {seed}, clone {n} ({journal})");
            let before = acknowledged(&writers);
            face.clone(&live, &to)
                .unwrap_or_else(|e| panic!("{}: {e}", what()));
            let live = Connection::open(&live).unwrap();
            live.busy_timeout(Duration::from_secs(20)).unwrap();
            let after: i64 = live
                .query_row("SELECT n FROM head", [], |row| row.get(0))
                .unwrap();
            // Whose fault it is: the writers' SQLite may be one before 3.51.3, which can lose
            // commits of its own where the WAL is reset.
            let held = commit_of(&to).unwrap_or_else(|e| {
                let check =
                    "SELECT group_concat(integrity_check, '; ') FROM pragma_integrity_check";
                let live: String = live.query_row(check, [], |row| row.get(0)).unwrap();
                panic!("{}: {e}\nlive itself: {live}", what())
            });
            assert!(
                (before..=after).contains(&held),
                "{}: it holds commit {held}; {before} was acknowledged before, {after} was the last one after",
                what()
            );
            fs::remove_file(&to).unwrap();
            // A clone is of another moment each time.
            std::thread::sleep(Duration::from_micros(random.below(3000)));
        }
        for writer in &mut writers {
            assert_eq!(writer.error(), None, "round {seed}");
        }
        assert!(
            acknowledged(&writers) > 20,
            "round {seed}: the writers hardly wrote"
        );
        drop(writers);
        assert_eq!(
            shell(&live, "PRAGMA integrity_check;"),
            "ok\n",
            "round {seed}"
        );
    }
}

/// Frames in the WAL of `live`, of its present run, up to the last that says that it commits.
fn frames_written(live: &Path) -> usize {
    let wal = fs::read(format!("{}-wal", live.display())).unwrap_or_default();
    if wal.len() < 32 {
        return 0;
    }
    let page_size = u32::from_be_bytes(wal[8..12].try_into().unwrap()) as usize;
    let frames = wal[32..]
        .chunks_exact(24 + page_size)
        .take_while(|frame| frame[8..16] == wal[16..24]);
    frames
        .enumerate()
        .filter(|(_, frame)| frame[4..8] != [0; 4])
        .last()
        .map_or(0, |(n, _)| n + 1)
}

#[test]
fn after_a_writer_that_died_in_the_sync_of_its_commit() {
    remy_db::engine::init();
    let (library, mut ghosts) = (faults("die_in_sync"), 0);
    for seed in rounds(16) {
        let random = &mut Random::new(seed);
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().canonicalize().unwrap();
        let live = dir.join("app.db");
        make(&live, random);
        // Somebody has it open all the while: else the next one to open it would take the dead
        // writer's commit for a commit.
        let mut other = Shell::open(&live);
        assert_eq!(
            other.run("PRAGMA journal_mode = wal; SELECT n FROM head;"),
            "wal\n0"
        );
        for death in 0..3 {
            let (acknowledged, flag) = (dir.join("acknowledged"), dir.join("die"));
            let status = Command::new("python3")
                .arg(repository("tests/clients/counter.py"))
                .args([&live, &acknowledged])
                .arg(seed.to_string())
                .arg(&flag)
                .env("LD_PRELOAD", &library)
                .env("DIE_FILE", format!("{}-wal", live.display()))
                .env("DIE_WHEN", &flag)
                .status()
                .unwrap();
            assert_eq!(
                status.code(),
                None,
                "round {seed}: the writer was to be killed"
            );
            fs::remove_file(&flag).unwrap();
            let acknowledged: i64 = fs::read_to_string(&acknowledged)
                .unwrap()
                .trim()
                .parse()
                .unwrap();
            // In the WAL alone; then in both files; then in the main file.
            if death > 0 {
                let kind = random.one_of(&["passive", "full", "restart"]);
                other.run(&format!("PRAGMA wal_checkpoint({kind});"));
            }
            let to = dir.join("clone.db");
            Face::of(seed + death, &live)
                .clone(&live, &to)
                .unwrap_or_else(|e| panic!("round {seed}: {e}"));
            let held =
                commit_of(&to).unwrap_or_else(|e| panic!("round {seed}, death {death}: {e}"));
            assert_eq!(
                held, acknowledged,
                "round {seed}, death {death}: the last one was never acknowledged"
            );
            fs::remove_file(&to).unwrap();
            assert_eq!(other.run("SELECT n FROM head;"), acknowledged.to_string());
            let read = other.run("PRAGMA wal_checkpoint(passive);"); // busy|frames that count|frames in the main file
            let counted: usize = read.split('|').nth(1).and_then(|n| n.parse().ok()).unwrap();
            ghosts += usize::from(frames_written(&live) > counted);
        }
    }
    assert!(
        ghosts > 0,
        "no writer left a commit behind the last one that counts"
    );
}

/// Puts a database into one of the states that a WAL can be in, and returns whoever has it open.
type State = fn(&Path) -> Option<Shell>;

const STATES: &[(&str, State)] = &[
    ("nobody has it open, and there is no WAL", |_| None),
    ("the WAL is empty", |live| {
        write_wal(live, &[]);
        None
    }),
    ("the WAL is empty, and somebody has it open", |live| {
        write_wal(live, &[]);
        Some(reader(live))
    }),
    (
        "the header of the WAL is zeroed, and nobody has it open",
        |live| {
            write_wal(live, &damaged_wal(live, 0..32));
            None
        },
    ),
    (
        "the header of the WAL is zeroed, and somebody has it open",
        |live| {
            write_wal(live, &damaged_wal(live, 0..32));
            Some(reader(live))
        },
    ),
    ("the WAL is a header", |live| {
        write_wal(live, &damaged_wal(live, 0..0)[..32]);
        Some(reader(live))
    }),
    ("the WAL is part of a header", |live| {
        write_wal(live, &damaged_wal(live, 0..0)[..17]);
        Some(reader(live))
    }),
    ("the checksum of the header is wrong", |live| {
        write_wal(live, &damaged_wal(live, 24..32));
        Some(reader(live))
    }),
    ("the first frame of the WAL is torn", |live| {
        write_wal(live, &damaged_wal(live, 60..90));
        Some(reader(live))
    }),
    ("frames that are in the WAL alone", |live| {
        Some(changed(live, ""))
    }),
    ("all frames are in the main file", |live| {
        Some(changed(live, "PRAGMA wal_checkpoint(passive);"))
    }),
    ("the WAL is about to be restarted", |live| {
        Some(changed(live, "PRAGMA wal_checkpoint(restart);"))
    }),
    ("the WAL was truncated", |live| {
        Some(changed(live, "PRAGMA wal_checkpoint(truncate);"))
    }),
    ("the WAL was restarted", |live| {
        Some(changed(
            live,
            "PRAGMA wal_checkpoint(restart); INSERT INTO t VALUES (randomblob(99));",
        ))
    }),
    ("a rollback journal", |live| {
        shell(live, "PRAGMA journal_mode = delete;");
        None
    }),
    ("a journal that is kept, and somebody has it open", |live| {
        shell(live, "PRAGMA journal_mode = delete;");
        Some(changed(
            live,
            "PRAGMA journal_mode = persist; INSERT INTO t VALUES (3);",
        ))
    }),
    ("a file of 0 bytes", |live| {
        fs::write(live, []).unwrap();
        None
    }),
];

fn write_wal(live: &Path, bytes: &[u8]) {
    fs::write(format!("{}-wal", live.display()), bytes).unwrap();
}

fn reader(live: &Path) -> Shell {
    let mut shell = Shell::open(live);
    assert_eq!(shell.run("SELECT count(*) FROM t;"), "40");
    shell
}

/// Somebody who has changed it, and then something more.
fn changed(live: &Path, then: &str) -> Shell {
    let mut shell = Shell::open(live);
    shell.run(&format!(
        "INSERT INTO t SELECT randomblob(2000) FROM t; UPDATE t SET a = 7 WHERE rowid = 1; {then}"
    ));
    shell
}

/// The WAL of a commit that this database never had, with some of its bytes zeroed.
fn damaged_wal(live: &Path, zeroed: std::ops::Range<usize>) -> Vec<u8> {
    let copy = live.with_extension("copy");
    fs::copy(live, &copy).unwrap();
    let mut shell = Shell::open(&copy);
    shell.run("UPDATE t SET a = 'never'; CREATE TABLE never (a);");
    let mut wal = fs::read(format!("{}-wal", copy.display())).unwrap();
    wal[zeroed].fill(0);
    wal
}

const TRUNCATE: &str = "PRAGMA wal_checkpoint(truncate);";

#[test]
fn in_every_state_of_the_wal() {
    remy_db::engine::init();
    for (number, (state, put)) in (0..).zip(STATES.iter().flat_map(|state| [state; 4])) {
        let what = format!("{state}, face {}", number % 4);
        let dir = tempfile::tempdir().unwrap();
        let live = dir.path().join("app.db");
        shell(
            &live,
            "PRAGMA journal_mode = wal; CREATE TABLE t (a);
             WITH RECURSIVE c (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM c WHERE i < 40) INSERT INTO t SELECT randomblob(3000) FROM c;",
        );
        let other = put(&live);
        let mut face = Face::of(number, &live);
        for change in ["", "INSERT INTO t VALUES (zeroblob(9000));", TRUNCATE] {
            // Beside `other`, who has not noticed yet.
            if fs::metadata(&live).unwrap().len() > 0 && !change.is_empty() {
                shell(&live, &format!("PRAGMA busy_timeout = 20000; {change}"));
            }
            let to = dir.path().join("clone.db");
            face.clone(&live, &to)
                .unwrap_or_else(|e| panic!("{what}, {change:?}: {e}"));
            if change == TRUNCATE && matches!(face, Face::Pages(_)) {
                // All of live is in its main file now.
                let same = Command::new("cmp").args([&live, &to]).output().unwrap();
                assert_eq!(String::from_utf8_lossy(&same.stdout), "", "{what}");
            }
            assert_eq!(contents(&to), contents(&live), "{what}, {change:?}");
            assert!(contents(&to).starts_with("ok\n"), "{what}, {change:?}");
            fs::remove_file(&to).unwrap();
        }
        drop(face);
        drop(other);
    }
}

/// Everything in a database.
fn contents(db: &Path) -> String {
    shell(db, "PRAGMA integrity_check; SELECT * FROM sqlite_schema;") + &shell(db, ".dump")
}

/// A plan that takes longer than a reader may be held, on a database where no mark says whether
/// somebody has written: it is looked at page by page, and the statements need not run again.
#[test]
fn a_slow_publish_where_nobody_writes() {
    remy_db::engine::init();
    let dir = tempfile::tempdir().unwrap();
    let live = dir.path().join("app.db");
    let schema = "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT";
    shell(
        &live,
        &format!(
            "PRAGMA journal_mode = wal; {schema});
             WITH RECURSIVE c (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM c WHERE i < 60000) INSERT INTO t (a) SELECT hex(randomblob(20)) FROM c;"
        ),
    );
    let app = Remy::open(&live).unwrap();
    for check in [", CHECK (a <> 'x'));", ", CHECK (a <> 'y'));"] {
        let published = app
            .publish(
                &format!("{schema}{check}"),
                &Options::default(),
                Progress::none(),
            )
            .expect("nobody is in the way");
        assert_eq!(published.switch.expect("it went live").attempts, 1);
    }
}
