//! `cargo bench -p remy-tests [-- SIZE_IN_MB… [--publishes N] [--only PART…]]`: what remy takes,
//! beside what one would do without it. The parts are clones, publishes, rebuilds, constraints,
//! changes, rollbacks, memory, reflinks and diff.
//!
//! Everything in a row is measured in one run, in turns, on one disk, with the database in the page
//! cache. Prints a table of Markdown. No test: nothing fails for being slow.
use remy_db::{Options, Outcome, Progress, Remy};
use remy_tests::{
    built_program,
    busy::{MB, PAGE, SCHEMA, Writers, make, with_column_and_table},
    report::{
        Done, Folder, Row, Sample, Table, Value, load, machine, ms, progress, run, write_out,
    },
    shell, stdout,
};
use rusqlite::Connection;
use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Lines, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

/// How often remy and the alternative take turns where writers are busy.
const TURNS: usize = 5;
/// What the publish of a migration changes: 8 MiB, as far as the database has it.
const CHANGED_PAGES: u64 = 2048;

/// Another DEFAULT: SQLite has no ALTER for that.
fn with_default() -> String {
    SCHEMA.replace(
        "quantity INTEGER NOT NULL",
        "quantity INTEGER NOT NULL DEFAULT 1",
    )
}

/// What SQLite says without a rebuild: the constraint, how remy is told, and SQLite's own
/// statement.
const CONSTRAINTS: [(&str, &str, &str, &str); 2] = [
    (
        "ADD CHECK",
        "name TEXT NOT NULL, body BLOB",
        "name TEXT NOT NULL, body BLOB, CONSTRAINT named CHECK (name <> '')",
        "ALTER TABLE items ADD CONSTRAINT named CHECK (name <> '')",
    ),
    (
        "SET NOT NULL",
        "body BLOB",
        "body BLOB NOT NULL",
        "ALTER TABLE items ALTER COLUMN body SET NOT NULL",
    ),
];

fn main() -> Done {
    remy_db::engine::init();
    let (mut sizes, mut publishes, mut only) = (Vec::new(), 50, Vec::new());
    // cargo itself passes `--bench`.
    let mut arguments = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench");
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--turns" | "--rounds" => drop(arguments.next()), // of the other benchmarks
            "--publishes" => {
                publishes = arguments
                    .next()
                    .ok_or("--publishes takes a number")?
                    .parse()?
            }
            "--only" => only.push(arguments.next().ok_or("--only takes a part")?),
            size => sizes.push(size.parse()?),
        }
    }
    if sizes.is_empty() {
        sizes = vec![10, 100, 1000];
    }
    let publishes = publishes.max(TURNS); // one in each turn
    let dir = Folder::new(&remy_tests::repository("target/bench"))?;
    let load = load()?;
    let mut table = Table::default();
    let wanted = |part: &str| only.is_empty() || only.iter().any(|only| only == part);
    for &size in &sizes {
        at_size(
            &dir.0.join(size.to_string()),
            size,
            publishes,
            &wanted,
            &mut table,
        )?;
    }
    let reflinks = !wanted("reflinks") || reflinks(&dir.0, &sizes, &mut table)?;
    if wanted("diff") {
        diff(&dir.0, &mut table)?;
    }

    let shell = stdout(Command::new("sqlite3").arg("--version"));
    let versions = format!(
        "remy {} (SQLite {}) and the sqlite3 shell {}",
        remy_db::VERSION,
        rusqlite::version(),
        shell.split(' ').next().unwrap_or("?"),
    );
    println!("{}\n\n{}", machine(&dir.0, &versions, &load)?, table);
    println!("{}", NOTES.replace("{spawn}", &format!("{:.1}", spawn()?)));
    if !reflinks {
        println!("- Clones by reflink were not measured: that takes root and mkfs.xfs.");
    }
    Ok(())
}

const NOTES: &str = "\
- Sizes in MB (10^6 bytes). Medians, unless it says p99; the p99 of 50 is the slowest of them. Ratio: remy by the alternative.
- The page cache is warm: each clone or copy is made twice, and the second one measured; in between everything dirty is
  written out.
- Copies are durable when the clock stops, as remy's clone is: after each alternative come fdatasync of the copy and fsync of
  its folder, which cost nothing where the alternative did it itself. \"cp, not synced\" is the exception; remy has no such clone.
- An alternative is a process, remy is called in this one; starting a process takes {spawn} ms here.
- Writers: 3 sqlite3 shells, synchronous=FULL, 2 ms of rest after each INSERT. The pause is the time that the write lock is
  held, for remy and in place alike; an INSERT waits longer than that, because SQLite's busy handler sleeps in between.
- In place: BEGIN IMMEDIATE, the statements, COMMIT, in a sqlite3 shell that stays open, on a copy with 3 writers of its own.
- All of this is the embedded engine. On a host's SQLite (the loadable extension) a switch writes the whole database; that is
  not measured here.";

/// Everything about one size.
fn at_size(
    dir: &Path,
    size: u64,
    publishes: usize,
    wanted: &dyn Fn(&str) -> bool,
    table: &mut Table,
) -> Done {
    fs::create_dir(dir)?;
    let bench = Bench {
        live: dir.join("live.db"),
        place: dir.join("place.db"),
        dir: dir.to_owned(),
        size,
    };
    progress(&format!("{size} MB: making the database"));
    make(&bench.live, size * MB)?;
    Remy::open(&bench.live)?.clone_to(&bench.place)?;
    type Part = fn(&Bench, usize, &mut Table) -> Done;
    let few = publishes.min(10);
    let parts: [(&str, usize, Part); 7] = [
        ("clones", if size < 500 { 15 } else { 5 }, Bench::clones),
        ("publishes", publishes, Bench::publishes),
        ("rebuilds", few, Bench::rebuilds),
        ("constraints", few, Bench::constraints),
        ("changes", few, Bench::changes),
        ("rollbacks", few, Bench::rollbacks),
        ("memory", 1, Bench::memory),
    ];
    for (_, n, part) in parts.into_iter().filter(|(name, ..)| wanted(name)) {
        part(&bench, n, table)?;
    }
    fs::remove_dir_all(dir)?;
    Ok(())
}

struct Bench {
    dir: PathBuf,
    live: PathBuf,
    /// A copy of it, that is changed in place.
    place: PathBuf,
    size: u64,
}

impl Bench {
    fn clones(&self, n: usize, table: &mut Table) -> Done {
        progress(&format!("{} MB: clones", self.size));
        let times = clones(&self.live, &self.dir, n)?;
        let row = |what| Row::new(what, times.remy.median()).of_size(self.size);
        table.add(
            row("clone")
                .against("cp", times.cp.median())
                .ratio_at_most(0.8),
        );
        table.add(row("clone").against("cp, not synced", times.cp_only.median()));
        table.add(
            row("clone")
                .against(".backup", times.backup.median())
                .ratio_at_most(0.2),
        );
        table.add(row("clone").against("VACUUM INTO", times.vacuum.median()));
        Ok(())
    }

    fn publishes(&self, n: usize, table: &mut Table) -> Done {
        progress(&format!("{} MB: {n} publishes", self.size));
        let (app, mut place) = (Remy::open(&self.live)?, Shell::open(&self.place)?);
        let schema = with_column_and_table();
        let (mut remy, mut there, mut quiet) =
            (Times::default(), Times::default(), Sample::default());
        for turn in 0..TURNS {
            let turns = turn * n / TURNS..(turn + 1) * n / TURNS;
            let writers = Writers::start(&self.live)?;
            for _ in turns.clone() {
                let (outcome, slowest) = writers.slowest(|| publish(&app, &schema, ""))?;
                remy.add(&outcome, slowest);
                rollback(&app)?;
            }
            let window = Duration::from_secs_f64(remy.whole.median().amount / 1e3);
            let ((), slowest) = writers.slowest(|| {
                std::thread::sleep(window);
                Ok(())
            })?;
            quiet.push(slowest);
            writers.stop()?;

            let writers = Writers::start(&self.place)?;
            for i in turns {
                let sql = format!(
                    "ALTER TABLE items ADD COLUMN note{i} TEXT; CREATE TABLE invoices{i} (id INTEGER PRIMARY KEY, total REAL);"
                );
                let ((pause, whole), slowest) = writers.slowest(|| place.transaction(&sql))?;
                there.pause.push(pause);
                there.whole.push(whole);
                there.slowest.push(slowest);
            }
            writers.stop()?;
        }
        let what = "ADD COLUMN, CREATE TABLE";
        let row = |part: &str, value| Row::new(format!("{what}: {part}"), value).of_size(self.size);
        table.add(row("pause", remy.pause.median()).against("in place", there.pause.median()));
        table.add(
            row("pause, p99", remy.pause.p99())
                .against("in place", there.pause.p99())
                .at_most(5.0),
        );
        table.add(row("publish", remy.whole.median()).against("in place", there.whole.median()));
        table.add(row("publish, p99", remy.whole.p99()).against("in place", there.whole.p99()));
        table.add(
            row("slowest INSERT", remy.slowest.median())
                .against("in place", there.slowest.median()),
        );
        table.add(
            row("slowest INSERT, p99", remy.slowest.p99()).against("in place", there.slowest.p99()),
        );
        table.add(
            row("slowest INSERT", remy.slowest.median())
                .against("as long without remy", quiet.median()),
        );
        Ok(())
    }

    /// A table is rebuilt: 50,000 rows, at any size.
    fn rebuilds(&self, n: usize, table: &mut Table) -> Done {
        progress(&format!("{} MB: {n} rebuilds", self.size));
        let (app, mut place) = (Remy::open(&self.live)?, Shell::open(&self.place)?);
        let schema = with_default();
        let create = schema
            .lines()
            .find(|line| line.contains("orders"))
            .ok_or("no orders")?
            .replace("orders", "new");
        let by_hand = format!(
            "{create} INSERT INTO new SELECT * FROM orders; DROP TABLE orders; ALTER TABLE new RENAME TO orders;"
        );
        let (mut remy, mut there) = (Times::default(), Sample::default());
        for turn in 0..TURNS {
            let turns = turn * n / TURNS..(turn + 1) * n / TURNS;
            let writers = Writers::start(&self.live)?;
            for _ in turns.clone() {
                let (outcome, slowest) = writers.slowest(|| publish(&app, &schema, ""))?;
                remy.add(&outcome, slowest);
                rollback(&app)?;
            }
            writers.stop()?;
            let writers = Writers::start(&self.place)?;
            for _ in turns {
                there.push(place.transaction(&by_hand)?.0);
            }
            writers.stop()?;
        }
        let row = |part: &str, value| {
            Row::new(format!("rebuild of 50,000 rows: {part}"), value).of_size(self.size)
        };
        table.add(row("pause", remy.pause.median()).against("in place", there.median()));
        table.add(row("pause, slowest", remy.pause.p99()).against("in place", there.p99()));
        Ok(())
    }

    /// A constraint comes to the table that holds nearly all there is.
    fn constraints(&self, n: usize, table: &mut Table) -> Done {
        for (what, from, to, statement) in CONSTRAINTS {
            progress(&format!("{} MB: {n} times {what}", self.size));
            let app = Remy::open(&self.live)?;
            let schema = SCHEMA.replace(from, to);
            // Debian's shell has no such statement: the engine that remy embeds has.
            let place = Connection::open(&self.place)?;
            place.busy_timeout(Duration::from_secs(20))?;
            let (mut remy, mut there) = (Times::default(), Sample::default());
            for turn in 0..TURNS {
                let turns = turn * n / TURNS..(turn + 1) * n / TURNS;
                let writers = Writers::start(&self.live)?;
                for _ in turns.clone() {
                    let (outcome, slowest) = writers.slowest(|| publish(&app, &schema, ""))?;
                    remy.add(&outcome, slowest);
                    rollback(&app)?;
                }
                writers.stop()?;
                let writers = Writers::start(&self.place)?;
                for _ in turns {
                    place.execute_batch("BEGIN IMMEDIATE")?;
                    let start = Instant::now();
                    place.execute_batch(statement)?;
                    there.push(ms(start.elapsed()));
                    place.execute_batch("ROLLBACK")?;
                }
                writers.stop()?;
            }
            let row =
                |part: &str, value| Row::new(format!("{what}: {part}"), value).of_size(self.size);
            table.add(
                row("pause", remy.pause.median())
                    .against("in place", there.median())
                    .at_most(5.0),
            );
            table.add(row("pause, slowest", remy.pause.p99()).against("in place", there.p99()));
            table.add(row("slowest INSERT", remy.slowest.median()));
        }
        Ok(())
    }

    /// A migration changes several MiB of pages.
    fn changes(&self, n: usize, table: &mut Table) -> Done {
        progress(&format!(
            "{} MB: {n} publishes that change pages",
            self.size
        ));
        let (app, mut place) = (Remy::open(&self.live)?, Shell::open(&self.place)?);
        let (rows, pages) = self.rows_and_pages()?;
        let changed = CHANGED_PAGES.min(pages / 2);
        let update = format!(
            "UPDATE items SET body = zeroblob(length(body)) WHERE id <= {};",
            rows * changed / pages
        );
        let folder = self.dir.join("migrations");
        fs::create_dir(&folder)?;
        fs::write(folder.join("0001_change.sql"), &update)?;
        let options = serde_json::json!({ "migrations": folder }).to_string();
        let (mut busy, mut alone, mut there) =
            (Sample::default(), Sample::default(), Sample::default());
        let per_mib = |outcome: &Outcome| -> Done<f64> {
            let switch = outcome.switch.as_ref().ok_or("no switch")?;
            Ok(switch.pause_ms / mib(switch.pages_written))
        };
        for _ in 0..n {
            let writers = Writers::start(&self.live)?;
            busy.push(per_mib(&publish(&app, SCHEMA, &options)?)?);
            rollback(&app)?;
            writers.stop()?;
            alone.push(per_mib(&publish(&app, SCHEMA, &options)?)?);
            rollback(&app)?;
            let writers = Writers::start(&self.place)?;
            there.push(place.transaction(&update)?.0 / mib(changed));
            writers.stop()?;
        }
        let row = |part: &str, value| {
            Row::new(
                format!("UPDATE of {:.0} MiB: pause a MiB{part}", mib(changed)),
                value,
            )
            .of_size(self.size)
        };
        table.add(
            row("", busy.median())
                .against("in place", there.median())
                .at_most(3.0),
        );
        table.add(row(", slowest", busy.p99()).against("in place", there.p99()));
        table.add(row(", no writers", alone.median()).at_most(3.0));
        Ok(())
    }

    /// Every hundredth page was changed since.
    fn rollbacks(&self, n: usize, table: &mut Table) -> Done {
        progress(&format!("{} MB: {n} rollbacks", self.size));
        let app = Remy::open(&self.live)?;
        let (rows, pages) = self.rows_and_pages()?;
        let update = format!(
            "PRAGMA busy_timeout = 20000; UPDATE items SET body = randomblob(length(body)) WHERE id % {} = 0",
            rows * 100 / pages
        );
        let mut remy = Times::default();
        for _ in 0..n {
            let writers = Writers::start(&self.live)?;
            publish(&app, &with_column_and_table(), "")?;
            shell(&self.live, &update);
            let (outcome, slowest) = writers.slowest(|| rollback(&app))?;
            remy.add(&outcome, slowest);
            writers.stop()?;
        }
        let row = |part: &str, value| {
            Row::new(format!("rollback of 1 % of the pages: {part}"), value).of_size(self.size)
        };
        table.add(row("pause", remy.pause.median()).at_most(40.0));
        table.add(row("pause, slowest", remy.pause.p99()));
        table.add(row("whole", remy.whole.median()));
        Ok(())
    }

    fn memory(&self, _: usize, table: &mut Table) -> Done {
        progress(&format!("{} MB: memory", self.size));
        let driver = |verb: &str, argument: &str| -> Done<Value> {
            let out = Command::new(built_program("remy-driver"))
                .arg(&self.live)
                .args([verb, argument])
                .env("REMY_PEAK", "1")
                .output()?;
            if !out.status.success() {
                return Err(String::from_utf8_lossy(&out.stdout).into());
            }
            let kib: f64 = String::from_utf8(out.stderr)?.trim().parse()?;
            Ok(Value {
                amount: kib / 1024.0,
                unit: "MiB",
            })
        };
        let row = |verb: &str, value| {
            Row::new(format!("peak memory: {verb}"), value)
                .of_size(self.size)
                .at_most(64.0)
        };
        table.add(row("publish", driver("publish", &with_default())?));
        table.add(row("rollback", driver("rollback", "")?));
        Ok(())
    }

    /// The rows of `items`, which is nearly all there is, and the pages of the database.
    fn rows_and_pages(&self) -> Done<(u64, u64)> {
        let conn = Connection::open(&self.live)?;
        let number = |sql| {
            conn.query_row(sql, [], |row| row.get::<_, u32>(0))
                .map(u64::from)
        };
        Ok((
            number("SELECT count(*) FROM items")?,
            number("PRAGMA page_count")?,
        ))
    }
}

fn publish(app: &Remy, schema: &str, options: &str) -> Done<Outcome> {
    // A snapshot of each of 50 releases would fill the disk.
    let options = Options {
        keep_releases: Some(2),
        ..Options::from_json(options)?
    };
    Ok(app.publish(schema, &options, Progress::none())?)
}

fn rollback(app: &Remy) -> Done<Outcome> {
    let options = Options {
        keep_releases: Some(2),
        ..Options::default()
    };
    Ok(app.rollback(None, &options, Progress::none())?)
}

/// What copies of one database took.
#[derive(Default)]
struct Clones {
    remy: Sample,
    cp: Sample,
    cp_only: Sample,
    backup: Sample,
    vacuum: Sample,
}

fn clones(live: &Path, dir: &Path, repetitions: usize) -> Done<Clones> {
    let (app, to, mut times) = (Remy::open(live)?, dir.join("copy.db"), Clones::default());
    let shell = |command: String| run(Command::new("sqlite3").arg("-batch").arg(live).arg(command));
    let cp = || run(Command::new("cp").arg(live).arg(&to));
    for _ in 0..repetitions {
        let mut time = |sample: fn(&mut Clones) -> &mut Sample, copy: &dyn Fn() -> Done| -> Done {
            // Once for the page cache, and because memory that was free for long is slow to get in
            // a virtual machine: whoever comes after a long pause would pay for it.
            copy()?;
            fs::remove_file(&to)?;
            write_out(dir)?;
            let start = Instant::now();
            copy()?;
            sample(&mut times).push(ms(start.elapsed()));
            Ok(fs::remove_file(&to)?)
        };
        time(|times| &mut times.remy, &|| {
            Ok(app.clone_to(&to).map(drop)?)
        })?;
        time(|times| &mut times.cp, &|| {
            cp().and_then(|()| make_durable(&to))
        })?;
        time(|times| &mut times.cp_only, &cp)?;
        time(|times| &mut times.backup, &|| {
            shell(format!(".backup '{}'", to.display())).and_then(|()| make_durable(&to))
        })?;
        time(|times| &mut times.vacuum, &|| {
            shell(format!("VACUUM INTO '{}'", to.display())).and_then(|()| make_durable(&to))
        })?;
    }
    Ok(times)
}

/// Clones on a file system that shares blocks. `false` where there is none to be had.
fn reflinks(dir: &Path, sizes: &[u64], table: &mut Table) -> Done<bool> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mkfs = std::env::split_paths(&path)
        .chain(["/sbin".into(), "/usr/sbin".into()])
        .map(|dir| dir.join("mkfs.xfs"));
    // SAFETY: asks for a number.
    let root = unsafe { libc::geteuid() } == 0;
    let (Some(mkfs), true) = (mkfs.into_iter().find(|mkfs| mkfs.exists()), root) else {
        return Ok(false);
    };
    for &size in sizes {
        progress(&format!("{size} MB: clones by reflink"));
        let image = dir.join("xfs.img");
        File::create(&image)?.set_len(size * MB * 4 + 400 * MB)?;
        run(Command::new(&mkfs)
            .args(["-q", "-f", "-m", "reflink=1"])
            .arg(&image))?;
        let mounted = Mounted::new(&image, &dir.join("xfs"))?;
        let live = mounted.0.join("live.db");
        make(&live, size * MB)?;
        let times = clones(&live, &mounted.0, 5)?;
        let row = Row::new("clone by reflink (xfs)", times.remy.median()).of_size(size);
        table.add(row.against("cp", times.cp.median()).at_most(10.0));
        drop(mounted);
        fs::remove_file(&image)?;
    }
    Ok(true)
}

/// A mounted file system, until this is dropped.
struct Mounted(PathBuf);

impl Mounted {
    fn new(image: &Path, at: &Path) -> Done<Self> {
        fs::create_dir(at)?;
        run(Command::new("mount")
            .args(["-o", "loop"])
            .arg(image)
            .arg(at))?;
        Ok(Self(at.to_owned()))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if let Err(e) =
            run(Command::new("umount").arg(&self.0)).and_then(|()| Ok(fs::remove_dir(&self.0)?))
        {
            eprintln!("{} stays mounted: {e}", self.0.display());
        }
    }
}

/// 500 tables, of which 10 differ.
fn diff(dir: &Path, table: &mut Table) -> Done {
    progress("500 tables: diff");
    let plain = |i: usize, note: &str| {
        format!(
            "CREATE TABLE t{i} (id INTEGER PRIMARY KEY, name TEXT NOT NULL, amount REAL DEFAULT 0, at TEXT{note});\n"
        )
    };
    let rich = |i: usize, note: &str| {
        let parent = i.saturating_sub(1);
        format!(
            "CREATE TABLE t{i} (id INTEGER PRIMARY KEY, name TEXT NOT NULL, email TEXT UNIQUE, amount REAL DEFAULT 0,
               state TEXT CHECK (state IN ('a', 'b')), at TEXT, parent INTEGER REFERENCES t{parent} (id){note});
             CREATE INDEX i{i} ON t{i} (name, at);\n"
        )
    };
    type Definition = dyn Fn(usize, &str) -> String;
    let kinds: [(&str, &Definition); 2] =
        [("", &plain), (", each UNIQUE and with an index", &rich)];
    for (what, one) in kinds {
        let schema = |note: &str| -> String {
            (0..500)
                .map(|i| one(i, if i.is_multiple_of(50) { note } else { "" }))
                .collect()
        };
        let path = dir.join("tables.db");
        Connection::open(&path)?.execute_batch(&format!(
            "BEGIN; {} COMMIT; PRAGMA journal_mode = wal",
            schema("")
        ))?;
        let (app, declared, mut times) =
            (Remy::open(&path)?, schema(", note TEXT"), Sample::default());
        for _ in 0..21 {
            let start = Instant::now();
            let statements = app.diff(&declared, &Options::default())?;
            times.push(ms(start.elapsed()));
            if statements.len() != 10 {
                return Err(format!("{} statements instead of 10", statements.len()).into());
            }
        }
        table.add(
            Row::new(format!("diff and plan of 500 tables{what}"), times.median()).at_most(20.0),
        );
        fs::remove_file(&path)?;
    }
    Ok(())
}

/// A `sqlite3` shell that stays open.
struct Shell {
    process: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Shell {
    fn open(path: &Path) -> Done<Self> {
        let mut process = Command::new("sqlite3")
            .args(["-batch", "-bail", "-cmd", ".timeout 20000"])
            .arg(path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = process.stdin.take().ok_or("no input")?;
        let output = BufReader::new(process.stdout.take().ok_or("no output")?).lines();
        Ok(Self {
            process,
            input,
            output,
        })
    }

    fn run(&mut self, sql: &str) -> Done {
        writeln!(self.input, "{} SELECT 'end';", sql.replace('\n', " "))?;
        match self.output.next() {
            Some(Ok(line)) if line == "end" => Ok(()),
            other => Err(format!("the shell failed at {sql}: {other:?}").into()),
        }
    }

    /// How long the write lock was held, and how long it took with the wait for it, in ms.
    fn transaction(&mut self, sql: &str) -> Done<(f64, f64)> {
        let start = Instant::now();
        self.run("BEGIN IMMEDIATE;")?;
        let locked = Instant::now();
        self.run(&format!("{sql} COMMIT;"))?;
        Ok((ms(locked.elapsed()), ms(start.elapsed())))
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = writeln!(self.input, ".quit");
        let _ = self.process.wait();
    }
}

/// What verbs took, one after the other.
#[derive(Default)]
struct Times {
    pause: Sample,
    whole: Sample,
    slowest: Sample,
}

impl Times {
    fn add(&mut self, outcome: &Outcome, slowest: f64) {
        self.pause.push(
            outcome
                .switch
                .as_ref()
                .map_or(f64::NAN, |switch| switch.pause_ms),
        );
        self.whole.push(outcome.total_ms);
        self.slowest.push(slowest);
    }
}

/// What it takes to start a process and to wait for it, in ms.
fn spawn() -> Done<f64> {
    let mut times = Sample::default();
    for _ in 0..20 {
        let start = Instant::now();
        run(&mut Command::new("true"))?;
        times.push(ms(start.elapsed()));
    }
    Ok(times.median().amount)
}

/// What remy's clone does: the file, and its name.
fn make_durable(path: &Path) -> Done {
    File::open(path)?.sync_data()?;
    Ok(File::open(path.parent().unwrap_or(path))?.sync_all()?)
}

fn mib(pages: u64) -> f64 {
    (pages * PAGE) as f64 / f64::from(1 << 20)
}
