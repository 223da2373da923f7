//! Three writers of another SQLite, in processes of their own, through 100 publishes and rollbacks that grow and shrink
//! live: no write is lost, none is there twice, no writer sees an error.
use remy_core::{Options, Progress, Remy};
use remy_tests::{
    shell,
    writer::{self, Writer},
};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

const WRITES: &str = "CREATE TABLE app_writes (id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE);";

/// The schema of step `n`: tables and columns that come and go.
fn schema(n: usize) -> String {
    let column = ["", ", note TEXT", ", note TEXT, score REAL DEFAULT 1.5"][n % 3];
    let writes = WRITES.replace(");", &format!("{column});"));
    let tables: String = (0..n % 5)
        .map(|i| format!("CREATE TABLE t{i} (id INTEGER PRIMARY KEY, a TEXT); CREATE INDEX i{i} ON t{i} (a);"))
        .collect();
    let search = if n.is_multiple_of(2) { "CREATE VIRTUAL TABLE search USING fts5 (body);" } else { "" };
    // A rebuild each time that the CHECK comes or goes.
    let check = if n.is_multiple_of(4) { ", CHECK (a <> 'x')" } else { "" };
    format!("{writes} CREATE TABLE pad (id INTEGER PRIMARY KEY, a BLOB{check}); {tables} {search}")
}

fn start(dir: &Path) -> PathBuf {
    let live = dir.join("app.db");
    shell(&live, &format!("PRAGMA journal_mode = wal; {WRITES} CREATE TABLE pad (id INTEGER PRIMARY KEY, a BLOB);
        WITH RECURSIVE c (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM c WHERE i < 2000) INSERT INTO pad SELECT i, randomblob(300) FROM c;"));
    live
}

/// Every acknowledged key is in live or in a snapshot, and nowhere twice.
fn account(app: &Remy, live: &Path, writers: Vec<Writer>) {
    let snapshots = app.releases().unwrap().into_iter().filter_map(|release| release.database);
    let snapshots = snapshots.map(|place| PathBuf::from(format!("{}-remy/{place}", live.display())));
    let acknowledged = writer::account(snapshots.chain([live.to_owned()]), writers);
    assert!(acknowledged > 100, "the writers hardly wrote: {acknowledged}");
}

fn hammer(writers: fn(&Path) -> Vec<Writer>) {
    let dir = tempfile::tempdir().unwrap();
    let live = start(dir.path());
    let writers = writers(&live);
    std::thread::sleep(Duration::from_millis(200));
    let app = Remy::open(&live).unwrap();
    let options = Options::from_json(r#"{"allow": ["drop"]}"#).unwrap();
    for n in 0..100 {
        let go = Progress::none();
        let outcome = match n % 4 {
            0 | 1 => app.publish(&schema(n), &options, go),
            2 => app.rollback(None, &options, go),
            _ => app.rollback(Some(1), &options, go),
        };
        let outcome = outcome.unwrap_or_else(|e| {
            let log = app.build_log(None).unwrap();
            panic!("step {n}: {e}\n{log:#?}")
        });
        assert_eq!(outcome.status, "live");
        if n % 4 == 0 {
            // Grows live, so that a rollback shrinks it.
            shell(
                &live,
                "PRAGMA busy_timeout = 20000; WITH RECURSIVE c (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM c WHERE i < 3000) INSERT INTO pad (a) SELECT randomblob(400) FROM c;",
            );
        }
        assert!(writers.iter().all(Writer::is_writing), "a writer stopped at step {n}");
    }
    let verified = app.verify().unwrap();
    assert!(verified.ok, "{verified:#?}");
    account(&app, &live, writers);
}

#[test]
fn plain_and_mapped_writers() {
    hammer(|live| {
        vec![
            Writer::start(live, 1),
            Writer::start_with(live, 2, "PRAGMA mmap_size = 268435456;", |_| String::new()),
            Writer::start(live, 3),
        ]
    });
}

#[test]
fn writers_that_checkpoint_all_the_while() {
    hammer(|live| {
        let checkpoint = |kind: &'static str, every: u64| {
            move |n: u64| {
                if n.is_multiple_of(every) { format!("PRAGMA wal_checkpoint({kind});") } else { String::new() }
            }
        };
        vec![
            Writer::start_with(live, 1, "", checkpoint("RESTART", 20)),
            Writer::start_with(live, 2, "", checkpoint("TRUNCATE", 50)),
            Writer::start(live, 3),
        ]
    });
}
