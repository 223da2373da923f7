//! Eight writers and two readers of other SQLites, each in a process of its own, through publishes
//! and rollbacks that grow and shrink live: no write is lost, none is there twice or unasked for,
//! nobody sees an error, and a transaction that reads keeps its view. And a disk that takes its
//! time, beside an application that checkpoints: no writer waits for the disk.
use remy_db::{
    Error, Line, Options, Outcome, Progress, Reached, Release, ReleaseId, Remy, StatementKind,
    SwitchMethod,
};
use remy_tests::{
    Shell, better_sqlite3, built_program, faults, moments, repository,
    rounds::{Random, rounds},
    shell, stdout,
    writer::Writer,
};
use rusqlite::Connection;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// One after the other: what they find is about time, too.
static ALONE: Mutex<()> = Mutex::new(());

const SEARCH: &str = "CREATE VIRTUAL TABLE search USING fts5 (body); CREATE VIRTUAL TABLE places USING rtree (id, x0, x1, y0, y1);";

/// The schema of step `n`: tables and columns that come and go around what the writers write to.
fn schema(n: u64) -> String {
    let column = ["", ", note TEXT", ", note TEXT, score REAL DEFAULT 1.5"][(n % 3) as usize];
    let tables: String = (0..n % 5)
        .map(|i| {
            format!(
                "CREATE TABLE t{i} (id INTEGER PRIMARY KEY, a TEXT); CREATE INDEX i{i} ON t{i} (a);"
            )
        })
        .collect();
    let more = if n.is_multiple_of(2) {
        "CREATE VIRTUAL TABLE more USING fts5 (body);"
    } else {
        ""
    };
    // A rebuild each time that the CHECK comes or goes.
    let check = if n.is_multiple_of(4) {
        ", CHECK (a <> 'x')"
    } else {
        ""
    };
    format!(
        "CREATE TABLE app_writes (id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, release INTEGER NOT NULL{column});
         CREATE TABLE pad (id INTEGER PRIMARY KEY, a BLOB{check}); {SEARCH} {tables} {more}"
    )
}

/// What a client wrote: the release that it saw, by key.
type Ledger = BTreeMap<String, i64>;

/// A client at work, until its stdin is closed.
enum Client {
    /// Any program that prints what was acknowledged.
    Program {
        name: String,
        program: Child,
        printed: PathBuf,
        errors: PathBuf,
    },
    /// A `sqlite3` shell that a thread of this process talks to.
    Shell {
        stop: Arc<AtomicBool>,
        thread: JoinHandle<Result<Ledger, String>>,
    },
}

impl Client {
    fn start(dir: &Path, name: &str, runtime: &str, script: &str, arguments: &[&str]) -> Self {
        let (printed, errors) = (
            dir.join(format!("{name}.out")),
            dir.join(format!("{name}.err")),
        );
        let program = Command::new(runtime)
            .arg(repository("tests/clients").join(script))
            .arg(dir.join("app.db"))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(File::create(&printed).unwrap())
            .stderr(File::create(&errors).unwrap())
            .spawn()
            .unwrap();
        Self::Program {
            name: name.into(),
            program,
            printed,
            errors,
        }
    }

    fn python(dir: &Path, name: &str, arguments: &[&str]) -> Self {
        Self::start(
            dir,
            name,
            "python3",
            "hammer.py",
            &[&[name], arguments].concat(),
        )
    }

    fn node(dir: &Path, name: &str, arguments: &[&str]) -> Self {
        Self::start(
            dir,
            name,
            "node",
            "hammer.mjs",
            &[&[name], arguments].concat(),
        )
    }

    /// A shell that writes one row a statement, or `rows` in a transaction, and runs `then` now and
    /// then.
    fn shell(dir: &Path, name: &str, first: &str, rows: u64, then: &'static str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut shell = Shell::open(&dir.join("app.db"));
        shell.run(first);
        let name = name.to_owned();
        let thread = std::thread::spawn({
            let stop = stop.clone();
            move || {
                let mut ledger = Ledger::new();
                for n in 1.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let keys: Vec<_> = (0..rows).map(|row| format!("{name}-{n}-{row}")).collect();
                    let inserts: String = keys
                        .iter()
                        .map(|key| {
                            format!("INSERT INTO app_writes (key, release) SELECT '{key}', release FROM _remy_release RETURNING release;")
                        })
                        .collect();
                    let said = match rows {
                        1 => shell.run(&inserts),
                        _ => shell.run(&format!("BEGIN IMMEDIATE; {inserts} COMMIT;")),
                    };
                    let releases: Vec<i64> =
                        said.lines().map_while(|line| line.parse().ok()).collect();
                    if releases.len() != keys.len() || releases.len() != said.lines().count() {
                        return Err(format!("{name}: {said}"));
                    }
                    ledger.extend(keys.into_iter().zip(releases));
                    if n % 20 == 0 && !then.is_empty() {
                        shell.run(then);
                    }
                    std::thread::sleep(Duration::from_millis(5));
                }
                Ok(ledger)
            }
        });
        Self::Shell { stop, thread }
    }

    /// Whether it is still at work: one that met an error has stopped.
    fn is_at_work(&mut self) -> bool {
        match self {
            Self::Program { program, .. } => program.try_wait().unwrap().is_none(),
            Self::Shell { thread, .. } => !thread.is_finished(),
        }
    }

    /// Ends it, and returns the lines that it printed.
    fn stop(self) -> Result<Vec<(String, String)>, String> {
        match self {
            Self::Program {
                name,
                mut program,
                printed,
                errors,
            } => {
                drop(program.stdin.take());
                let status = program.wait().unwrap();
                let said = fs::read_to_string(errors).unwrap();
                if !status.success() || !said.is_empty() {
                    return Err(format!("{name}: {status}: {said}"));
                }
                let text = fs::read_to_string(printed).unwrap();
                let pair = |line: &str| {
                    line.split_once(' ')
                        .map(|(a, b)| (a.to_owned(), b.to_owned()))
                };
                text.lines()
                    .map(|line| pair(line).ok_or_else(|| format!("{name}: {line}")))
                    .collect()
            }
            Self::Shell { stop, thread } => {
                stop.store(true, Ordering::Relaxed);
                let ledger = thread.join().expect("a client does not panic")?;
                Ok(ledger
                    .into_iter()
                    .map(|(key, release)| (key, release.to_string()))
                    .collect())
            }
        }
    }
}

/// Eight writers. `checkpoint`: some run RESTART and TRUNCATE checkpoints all the while.
fn writers(dir: &Path, checkpoint: bool) -> Vec<Client> {
    let kind = |kind: &'static str| if checkpoint { kind } else { "PASSIVE" };
    // What drivers wait by default. A checkpoint that waits for readers is a long writer, and takes
    // more patience.
    let short = if checkpoint { "20" } else { "5" };
    let mut clients = vec![
        Client::shell(dir, "shell", "", 1, ""),
        Client::shell(
            dir,
            "shell-mapped",
            "PRAGMA mmap_size = 268435456;",
            3,
            if checkpoint {
                "PRAGMA wal_checkpoint(TRUNCATE);"
            } else {
                ""
            },
        ),
        Client::python(dir, "python", &["plain", short, kind("RESTART")]),
        Client::python(dir, "python-mapped", &["mapped", "20", kind("TRUNCATE")]),
        Client::python(dir, "python-shared", &["shared", "20"]),
        Client::python(dir, "python-search", &["search", short]),
    ];
    if better_sqlite3::is_there() {
        clients.push(Client::node(dir, "node", &["plain", short]));
        clients.push(Client::node(dir, "node-mapped", &["mapped", "20"]));
    } else {
        clients.push(Client::python(dir, "python-2", &["plain", short]));
        clients.push(Client::python(dir, "python-mapped-2", &["mapped", "20"]));
    }
    clients
}

/// The database of a release: live, or a snapshot.
struct Database {
    release: i64,
    restored_from: Option<i64>,
    rows: Ledger,
    /// As readers print it.
    schema: String,
}

impl Database {
    fn read(live: &Path, release: &Release) -> Self {
        let path = match &release.database {
            Some(place) => PathBuf::from(format!("{}-remy/{place}", live.display())),
            None => live.to_owned(),
        };
        let what = format!("release {} ({})", release.release, path.display());
        let conn = Connection::open(path).unwrap();
        // The embedded engine's looks into FTS5 and R-Tree, too. UNIQUE says that no key is there
        // twice.
        let ask = |sql: &str| {
            conn.query_row(sql, [], |row| row.get::<_, String>(0))
                .unwrap()
        };
        assert_eq!(ask("PRAGMA integrity_check"), "ok", "{what}");
        let out_of_step = "SELECT count(*) || '' FROM (
             SELECT id, 'the text of ' || key AS body FROM app_writes WHERE key GLOB 'python-search-*'
             EXCEPT SELECT s.rowid, s.body FROM search s JOIN places p ON p.id = s.rowid)";
        assert_eq!(
            ask(out_of_step),
            "0",
            "{what}: rows without their text or place"
        );
        let searched =
            "SELECT (SELECT count(*) FROM search) || ' ' || (SELECT count(*) FROM places)";
        let written =
            "SELECT count(*) || ' ' || count(*) FROM app_writes WHERE key GLOB 'python-search-*'";
        assert_eq!(
            ask(searched),
            ask(written),
            "{what}: texts or places without their row"
        );
        let mut query = conn.prepare("SELECT key, release FROM app_writes").unwrap();
        let rows = query
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap();
        Self {
            release: release.release.0,
            restored_from: release.restored_from.map(|from| from.0),
            rows: rows.collect::<Result<_, _>>().unwrap(),
            schema: ask(
                "SELECT hex(group_concat(sql, char(10))) FROM (SELECT sql FROM sqlite_schema ORDER BY name)",
            ),
        }
    }
}

/// Every acknowledged row is in the database of the release that took it, and every row of every
/// database was acknowledged or was in what that release was made of.
fn account(databases: &BTreeMap<i64, Database>, ledger: &Ledger) {
    let missing: Vec<_> = ledger
        .iter()
        .filter(|(key, release)| databases[*release].rows.get(*key) != Some(*release))
        .collect();
    assert!(
        missing.is_empty(),
        "{} of {} writes lost: {missing:?}",
        missing.len(),
        ledger.len()
    );
    for database in databases.values() {
        let unknown: Vec<_> = database
            .rows
            .iter()
            .filter(|(key, release)| ledger.get(*key) != Some(release))
            .collect();
        assert!(
            unknown.is_empty(),
            "release {} has what nobody was told: {unknown:?}",
            database.release
        );
        let of = database.restored_from.unwrap_or(database.release - 1);
        let Some(of) = databases.get(&of) else {
            continue;
        };
        let taken_over: BTreeSet<_> = database
            .rows
            .iter()
            .filter(|(_, at)| **at < database.release)
            .collect();
        let should: BTreeSet<_> = of.rows.iter().collect();
        let wrong: Vec<_> = taken_over.symmetric_difference(&should).collect();
        assert!(
            wrong.is_empty(),
            "release {} is not what {} was: {wrong:?}",
            database.release,
            of.release
        );
    }
}

#[test]
fn eight_writers_and_two_readers() {
    remy_db::engine::init();
    let _alone = ALONE.lock().unwrap_or_else(|e| e.into_inner());
    // By pages; with an application that checkpoints; on a host, by the backup API.
    for seed in rounds(3) {
        println!("{}", Round::new(seed).run());
    }
}

/// A database that eight write to and two read, while it is switched.
struct Round {
    seed: u64,
    /// Whether a writer checkpoints.
    checkpoint: bool,
    on_host: bool,
    dir: tempfile::TempDir,
    live: PathBuf,
    host: Connection,
}

/// How long each switch took, in milliseconds.
#[derive(Default)]
struct Times {
    pauses: Vec<f64>,
    waits: Vec<f64>,
}

/// What the clients say at the end.
#[derive(Default)]
struct Told {
    ledger: Ledger,
    /// The slowest write, in milliseconds.
    longest: i64,
    /// What the readers saw: a release and its schema, or `kept` and how many switches a view
    /// outlived.
    views: Vec<(String, String)>,
}

impl Round {
    fn new(seed: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let live = dir.path().join("app.db");
        shell(
            &live,
            &format!(
                "PRAGMA auto_vacuum = full; PRAGMA journal_mode = wal; {}
                 WITH RECURSIVE c (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM c WHERE i < 2000) INSERT INTO pad SELECT i, randomblob(300) FROM c;",
                schema(1)
            ),
        );
        Self {
            seed,
            checkpoint: seed % 3 == 1,
            on_host: seed % 3 == 2,
            host: Connection::open(&live).unwrap(),
            dir,
            live,
        }
    }

    /// Returns what is worth a line.
    fn run(self) -> String {
        let app = if self.on_host {
            // SAFETY: the connection is open for as long as the round goes on, and of the SQLite
            // that rusqlite is bound to.
            unsafe { Remy::on_host(self.host.handle()) }
        } else {
            Remy::open(&self.live)
        }
        .unwrap();
        // So that there is a release to write to.
        app.publish(&schema(0), &patient(), Progress::none())
            .unwrap();
        let mut writers = writers(self.dir.path(), self.checkpoint);
        assert_eq!(writers.len(), 8);
        let mut readers = self.readers();
        std::thread::sleep(Duration::from_millis(500));
        let start = Instant::now();
        let mut times = self.switch(&app, &mut writers, &mut readers);
        let took = start.elapsed();
        let told = self.told(writers, readers);
        let verified = app.verify().unwrap();
        assert!(verified.ok, "round {}: {verified:#?}", self.seed);
        let kept = self.judge(&app, &told);
        times.pauses.sort_by(f64::total_cmp);
        times.waits.sort_by(f64::total_cmp);
        // It tries often: one that sleeps as SQLite's busy handler does stands behind everybody. (A
        // checkpoint holds the lock for as long as its readers stay.)
        let Times { pauses, waits } = times;
        let most = waits[waits.len() * 3 / 4];
        assert!(
            self.checkpoint || most < 20.0,
            "round {}: the lock was waited for: {waits:?}",
            self.seed
        );
        format!(
            "round {}: {} switches in {:.0} s, {} writes, the slowest {} ms, pauses {:.1} ms, at most {:.1} ms, three of four waits for the lock within {most:.1} ms, at most {:.1} ms; {kept} views kept, {} seen",
            self.seed,
            pauses.len(),
            took.as_secs_f64(),
            told.ledger.len(),
            told.longest,
            pauses[pauses.len() / 2],
            pauses[pauses.len() - 1],
            waits[waits.len() - 1],
            told.views.len()
        )
    }

    /// Where clients checkpoint, readers leave at times: in turns, two of them would keep a
    /// checkpoint waiting for good.
    fn readers(&self) -> Vec<Client> {
        let (wait, rest) = if self.checkpoint {
            ("0.2", "0.3")
        } else {
            ("5", "0")
        };
        ["0", "268435456"]
            .map(|mapped| {
                Client::start(
                    self.dir.path(),
                    &format!("reader-{mapped}"),
                    "python3",
                    "reader.py",
                    &[mapped, wait, rest],
                )
            })
            .into()
    }

    /// Publishes and rolls back until it was often enough, or a client has stopped: what that says
    /// is heard at the end.
    fn switch(&self, app: &Remy, writers: &mut [Client], readers: &mut [Client]) -> Times {
        let random = &mut Random::new(self.seed);
        // In the long run each round goes on for longer as well.
        let switches = if std::env::var_os("REMY_MINUTES").is_some() {
            200
        } else {
            40
        };
        let mut times = Times::default();
        for n in 0..switches {
            let outcome = any_verb(app, n, random).unwrap_or_else(|e| {
                let log = app.build_log(None).unwrap();
                panic!("round {}, switch {n}: {e}\n{log:#?}", self.seed)
            });
            assert_eq!(outcome.status, Reached::Live);
            let switch = outcome.switch.expect("it went live");
            let by = if self.on_host {
                SwitchMethod::Backup
            } else {
                SwitchMethod::Pages
            };
            assert_eq!(switch.by, by);
            times.pauses.push(switch.pause_ms);
            times.waits.push(switch.lock_wait_ms);
            if random.once_in(4) {
                // Grows live, so that a rollback shrinks it; and shrinks it by itself where it has
                // grown enough.
                shell(
                    &self.live,
                    "PRAGMA busy_timeout = 20000; DELETE FROM pad WHERE id > 2000 AND (SELECT count(*) FROM pad) > 7000;
                     WITH RECURSIVE c (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM c WHERE i < 3000) INSERT INTO pad (a) SELECT randomblob(400) FROM c;",
                );
            }
            let mut clients = writers.iter_mut().chain(&mut *readers);
            if !clients.all(Client::is_at_work) {
                break;
            }
        }
        times
    }

    /// Stops the clients, none of which has seen an error.
    fn told(&self, writers: Vec<Client>, readers: Vec<Client>) -> Told {
        let (mut told, mut errors) = (Told::default(), Vec::new());
        for client in writers {
            match client.stop() {
                Ok(lines) => {
                    assert!(
                        lines.len() > 20,
                        "round {}: a client hardly wrote: {lines:?}",
                        self.seed
                    );
                    for (key, number) in lines {
                        let number = number.parse().unwrap();
                        if key == "longest" {
                            told.longest = told.longest.max(number)
                        } else {
                            assert_eq!(told.ledger.insert(key, number), None)
                        }
                    }
                }
                Err(e) => errors.push(e),
            }
        }
        for reader in readers {
            reader
                .stop()
                .map_or_else(|e| errors.push(e), |lines| told.views.extend(lines));
        }
        assert!(errors.is_empty(), "round {}: {errors:#?}", self.seed);
        told
    }

    /// Every write is where it has to be, and each view was of a release. Returns how many switches
    /// views outlived.
    fn judge(&self, app: &Remy, told: &Told) -> u64 {
        let databases: BTreeMap<i64, Database> = app
            .releases()
            .unwrap()
            .iter()
            .map(|release| (release.release.0, Database::read(&self.live, release)))
            .collect();
        account(&databases, &told.ledger);
        let mut kept = 0;
        for (release, schema) in &told.views {
            match release.as_str() {
                "kept" => kept += schema.parse::<u64>().unwrap(),
                release => assert_eq!(
                    databases[&release.parse::<i64>().unwrap()].schema,
                    *schema,
                    "release {release}"
                ),
            }
        }
        assert!(
            kept > 3,
            "round {}: readers kept a view across {kept} switches only",
            self.seed
        );
        kept
    }
}

/// Waits as long as the clients do: a checkpoint of theirs holds the write lock until the readers
/// have left.
fn patient() -> Options {
    Options::from_json(r#"{"allow": ["drop"], "lock_timeout_ms": 20000}"#).unwrap()
}

/// A publish of step `n`, or a rollback.
fn any_verb(app: &Remy, n: u64, random: &mut Random) -> Result<Outcome, Error> {
    let (options, go) = (patient(), Progress::none());
    match random.below(8) {
        0..5 => app.publish(&schema(n), &options, go),
        // Where the first release is live again, there is none before it.
        5 | 6 => app.rollback(None, &options, go).or_else(|e| match e {
            Error::NoPreviousRelease(_) => app.publish(&schema(n), &options, go),
            e => Err(e),
        }),
        _ => {
            let newest = app.releases().unwrap()[0].release.0;
            let any = 1 + i64::try_from(random.below(newest.unsigned_abs() - 1)).unwrap();
            app.rollback(Some(ReleaseId(any)), &options, go)
        }
    }
}

/// While a transaction reads live, another's RESTART or TRUNCATE checkpoint waits for it, and every
/// writer for the checkpoint.
#[test]
fn no_writer_waits_for_the_clones_disk() {
    let _alone = ALONE.lock().unwrap_or_else(|e| e.into_inner());
    const SLOW: Duration = Duration::from_secs(6);
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().canonicalize().unwrap();
    let live = dir.join("app.db");
    shell(
        &live,
        "PRAGMA journal_mode = wal; CREATE TABLE app_writes (id INTEGER PRIMARY KEY, key TEXT NOT NULL);
         CREATE TABLE pad (a); WITH RECURSIVE c (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM c WHERE i < 4000) INSERT INTO pad SELECT randomblob(900) FROM c;",
    );
    let driver = || {
        let mut driver = Command::new(built_program("remy-driver"));
        driver.arg(&live);
        driver
    };
    let schema = "CREATE TABLE app_writes (id INTEGER PRIMARY KEY, key TEXT NOT NULL, note TEXT); CREATE TABLE pad (a)";
    stdout(driver().args(["publish", &format!("{schema};"), "{}"]));
    let checkpoint = |kind: &'static str| {
        move |n: u64| {
            if n.is_multiple_of(10) {
                format!("PRAGMA wal_checkpoint({kind});")
            } else {
                String::new()
            }
        }
    };
    let writers = [
        Writer::start(&live, 1),
        Writer::start_with(&live, 2, "", checkpoint("RESTART")),
        Writer::start_with(&live, 3, "", checkpoint("TRUNCATE")),
    ];
    std::thread::sleep(Duration::from_millis(300));
    writers.iter().for_each(Writer::reset_longest);
    let start = Instant::now();
    let staged = stdout(
        driver()
            .args(["stage", &format!("{schema}; CREATE TABLE more (a);"), "{}"])
            .env("LD_PRELOAD", faults("slow_sync"))
            .env("SLOW_DIR", format!("{}-remy/work", live.display()))
            .env("SLOW_MS", SLOW.as_millis().to_string()),
    );
    let took = start.elapsed();
    assert!(
        staged.contains(r#""status":"compiled""#) && took > SLOW,
        "the disk was not slow: {took:?}, {staged}"
    );
    std::thread::sleep(Duration::from_millis(500));
    let longest = writers.iter().map(Writer::longest).max().unwrap();
    println!("the slowest write took {longest:?}, while a clone took {took:?}");
    assert!(
        longest < SLOW,
        "a writer waited for {longest:?}, while a clone took {took:?}"
    );
    for writer in writers {
        assert_eq!(writer.stop().errors, Vec::<String>::new());
    }
}

/// Between the last look without a lock and the lock: the plan was made for another schema.
#[test]
fn somebody_changes_the_schema_just_before_the_lock() {
    remy_db::engine::init();
    let dir = tempfile::tempdir().unwrap();
    let live = dir.path().join("app.db");
    let schema = "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT";
    shell(
        &live,
        &format!("PRAGMA journal_mode = wal; {schema}); INSERT INTO t (a) VALUES ('one');"),
    );
    let app = Remy::open(&live).unwrap();
    let theirs = AtomicBool::new(false);
    let act = |line: &Line| {
        if moments::is_rehearsed(line) {
            // So that there is something to catch up with.
            shell(&live, "INSERT INTO t (a) VALUES ('two');");
        }
        if moments::is_caught_up(line) && !theirs.swap(true, Ordering::Relaxed) {
            shell(&live, "CREATE TABLE theirs (a);");
        }
    };
    let published = app
        .publish(
            &format!("{schema}, b);"),
            &Options::default(),
            Progress::none().on_line(&act),
        )
        .unwrap();
    assert!(
        theirs.load(Ordering::Relaxed),
        "nothing was caught up with: {:#?}",
        published.log
    );
    // Started over from the diff: what is not declared goes.
    assert!(
        published
            .statements
            .iter()
            .any(|s| s.kind == StatementKind::DropTable && s.object == "theirs"),
        "{published:#?}"
    );
    assert_eq!(
        shell(
            &live,
            "SELECT count(*) FROM t WHERE b IS NULL; SELECT count(*) FROM sqlite_schema WHERE name = 'theirs';"
        ),
        "3\n0\n"
    );
}
