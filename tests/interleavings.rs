//! Random changes, and random commits of others between the rehearsal and the lock.
//!
//! Where others have written to what a change has read or written, it runs again; where not, it
//! stays as it was rehearsed. Either way live has to end as if others had come first and the change
//! after them, all of it; that is worked out by the `sqlite3` shell on a copy.
use remy_db::{Line, Options, Progress, Remy, Status};
use remy_tests::{
    Shell, moments,
    rounds::{Random, rounds},
    shell,
};
use std::{fmt::Write, fs, path::Path, sync::Mutex};

/// Rounds in `cargo test`.
const LEAST: u64 = 120;
const TABLES: u64 = 5;

struct Database {
    page_size: &'static str,
    auto_vacuum: u64,
    /// What stands behind the columns of each table.
    tables: Vec<(&'static str, &'static str)>,
}

impl Database {
    fn random(random: &mut Random) -> Self {
        let kind = |random: &mut Random| match random.below(4) {
            0 => ("INTEGER PRIMARY KEY AUTOINCREMENT", ""),
            1 => ("INTEGER PRIMARY KEY", " WITHOUT ROWID"),
            _ => ("INTEGER PRIMARY KEY", ""),
        };
        Self {
            page_size: random.one_of(&["512", "1024", "4096"]),
            auto_vacuum: random.below(3),
            tables: (0..TABLES).map(|_| kind(random)).collect(),
        }
    }

    /// Its schema; `more` stands at the end of one table's columns.
    fn schema(&self, more: Option<(usize, &str)>) -> String {
        let mut sql = String::new();
        for (n, (key, end)) in self.tables.iter().enumerate() {
            let more = more
                .filter(|(table, _)| *table == n)
                .map_or("", |(_, more)| more);
            writeln!(sql, "CREATE TABLE t{n} (id {key}, k TEXT, v INTEGER, body BLOB{more}){end}; CREATE INDEX k{n} ON t{n} (k, v);").unwrap();
        }
        sql
    }

    /// Few rows in small tables, so that others often meet the change, and many in others, so that
    /// they often do not.
    fn rows(&self, random: &mut Random) -> String {
        let mut sql = String::new();
        for n in 0..self.tables.len() {
            let (rows, size) = (
                random.one_of(&["3", "40", "400"]),
                random.one_of(&["10", "700", "6000"]),
            );
            writeln!(
                sql,
                "WITH RECURSIVE c (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM c WHERE i < {rows})
                 INSERT INTO t{n} SELECT i, 'k' || i % 17, i * 7 % 101, zeroblob(i * 37 % {size}) FROM c;"
            )
            .unwrap();
            if random.once_in(3) {
                writeln!(sql, "DELETE FROM t{n} WHERE id % 5 = 1;").unwrap();
            }
        }
        sql
    }

    /// Makes it at `live`, and a release of it.
    fn publish_first(&self, live: &Path, random: &mut Random) -> Remy {
        let (schema, rows) = (self.schema(None), self.rows(random));
        shell(
            live,
            &format!(
                "PRAGMA page_size = {}; PRAGMA auto_vacuum = {}; PRAGMA journal_mode = wal; {schema} {rows}",
                self.page_size, self.auto_vacuum
            ),
        );
        let remy = Remy::open(live).unwrap();
        remy.publish(&schema, &Options::default(), Progress::none())
            .unwrap();
        remy
    }

    fn dump(&self) -> String {
        let each = (0..self.tables.len()).map(|n| {
            format!(
                "SELECT {n}, id, k, v, length(body), hex(substr(body, -20)) FROM t{n} ORDER BY id;"
            )
        });
        each.collect()
    }
}

/// One statement that gives the same for the same rows.
fn statement(database: &Database, random: &mut Random, whole: bool) -> String {
    let (t, other) = (random.below(TABLES), random.below(TABLES));
    let (m, r, n) = (random.below(5) + 2, random.below(3), random.below(60));
    // Others write a few rows, a change often to all of a table.
    // Without a rowid nobody counts the keys.
    let counted = |t: u64| database.tables[usize::try_from(t).unwrap()].1.is_empty();
    let (id, next) = if counted(t) {
        ("", String::new())
    } else {
        (
            "id, ",
            format!("id + (SELECT ifnull(max(id), 0) FROM t{t}), "),
        )
    };
    let rows = if whole {
        format!("id % {m} = {r}")
    } else {
        format!("id = {n}")
    };
    match random.below(7) {
        0 => format!("UPDATE t{t} SET v = v + 1 WHERE {rows};"),
        1 => format!(
            "UPDATE t{t} SET body = zeroblob(length(body) + {n} * 20), k = k || 'x' WHERE {rows};"
        ),
        2 => format!("DELETE FROM t{t} WHERE {rows};"),
        3 => format!(
            "INSERT INTO t{t} ({id}k, v, body) SELECT {next}'new', {n}, zeroblob({n} * 100) FROM (SELECT 1 AS id);"
        ),
        4 => format!(
            "UPDATE t{t} SET v = (SELECT count(*) + ifnull(max(v), 0) FROM t{other} WHERE k <> 'k{n}') WHERE {rows};"
        ),
        5 => {
            format!(
                "INSERT INTO t{t} ({id}k, v, body) SELECT {next}k, v, body FROM t{other} WHERE {rows} ORDER BY id;"
            )
        }
        _ => format!("UPDATE t{t} SET v = 1 WHERE k = 'not there' OR v < 0 OR ({rows});"),
    }
}

fn statements(database: &Database, random: &mut Random, most: u64, whole: bool) -> String {
    (0..=random.below(most))
        .map(|_| statement(database, random, whole))
        .collect()
}

/// A folder in memory, where there is such: nothing here is about what reaches a disk.
fn in_memory() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() {
        tempfile::tempdir_in(memory)
    } else {
        tempfile::tempdir()
    }
    .unwrap()
}

/// One change beside the others' commits. Returns whether it ran again under the lock.
fn round(seed: u64) -> bool {
    let mut random = Random::new(seed);
    let folder = in_memory();
    let (live, copy) = (folder.path().join("app.db"), folder.path().join("copy.db"));
    let database = Database::random(&mut random);
    let remy = database.publish_first(&live, &mut random);

    let migration = statements(&database, &mut random, 3, true);
    let migrations = folder.path().join("migrations");
    fs::create_dir(&migrations).unwrap();
    fs::write(migrations.join("0001_change.sql"), &migration).unwrap();
    let table = usize::try_from(random.below(TABLES)).unwrap();
    let more = random.one_of(&["", ", note TEXT", ", CHECK (k <> '')"]);
    let declared = database.schema((!more.is_empty()).then_some((table, more)));

    // Twice: after the rehearsal, and after the last catching up, with nothing but the lock to
    // come.
    let acts = [
        (
            moments::is_rehearsed as fn(&Line) -> bool,
            statements(&database, &mut random, 2, false),
        ),
        (
            moments::is_caught_up,
            statements(&database, &mut random, 1, false),
        ),
    ];
    let left = Mutex::new(acts.iter().collect::<Vec<_>>());
    let application = Mutex::new(Shell::open(&live));
    let on_line = |line: &Line| {
        let mut left = left.lock().unwrap();
        if left.first().is_some_and(|(moment, _)| moment(line)) {
            let (_, sql) = left.remove(0);
            assert_eq!(application.lock().unwrap().ask(sql), "", "{sql}");
            if left.is_empty() {
                shell(&live, &format!(".backup {}", copy.display()));
            }
        }
    };
    let options = Options {
        migrations: Some(migrations),
        ..Options::from_json(r#"{"allow": ["drop"]}"#).unwrap()
    };
    let story = format!(
        "round {seed}: change {migration} {more} on t{table}; others {} then {}",
        acts[0].1, acts[1].1
    );
    let published = remy
        .publish(&declared, &options, Progress::none().on_line(&on_line))
        .unwrap_or_else(|e| panic!("{story}: {e}"));
    if !left.into_inner().unwrap().is_empty() {
        // What others did at first changed nothing, so that there was nothing to catch up with.
        shell(&live, &format!(".backup {}", copy.display()));
        return published.switch.unwrap().ran_again;
    }

    let before = shell(&copy, &database.dump());
    let expected = shell(&copy, &format!("{migration} {}", database.dump()));
    assert_eq!(
        shell(
            &live,
            &format!("PRAGMA integrity_check; {}", database.dump())
        ),
        format!("ok\n{expected}"),
        "{story}"
    );
    assert_eq!(
        snapshot(&remy, &live, &database),
        format!("ok\n{before}"),
        "{story}"
    );
    // Back and forth: nothing of a page is left behind.
    remy.rollback(None, &Options::default(), Progress::none())
        .unwrap();
    assert_eq!(
        application
            .lock()
            .unwrap()
            .ask(&format!("PRAGMA integrity_check; {}", database.dump())),
        format!("ok\n{before}"),
        "{story}"
    );
    published.switch.unwrap().ran_again
}

/// What the release holds that was live before.
fn snapshot(remy: &Remy, live: &Path, database: &Database) -> String {
    let release = remy
        .releases()
        .unwrap()
        .into_iter()
        .find(|release| release.status == Status::Superseded)
        .unwrap();
    let path = format!("{}-remy/{}", live.display(), release.database.unwrap());
    shell(
        Path::new(&path),
        &format!("PRAGMA integrity_check; {}", database.dump()),
    )
}

#[test]
fn random_changes_beside_random_commits() {
    let mut ran_again = [0, 0];
    for seed in rounds(LEAST) {
        ran_again[usize::from(round(seed))] += 1;
    }
    println!(
        "stayed: {}, ran again under the lock: {}",
        ran_again[0], ran_again[1]
    );
    if std::env::var_os("REMY_ROUND").is_none() {
        assert!(ran_again.iter().all(|&n| n > LEAST / 10), "{ran_again:?}");
    }
}
