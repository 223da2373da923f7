//! `cargo bench -p remy-tests --bench hosts [-- SIZE_IN_MB… [--rounds N]]`: what a verb costs that a
//! host calls, beside the engine's own: the pause of writers, the start, the memory of the process
//! that runs it. Hosts are the sqlite3 shell, Python, better-sqlite3, and a C program that has live
//! open through an SQLite of its own.
//!
//! All of them take turns in one run, on one database, under three writers. Prints a table of
//! Markdown. No test: nothing fails for being slow.
use remy_db::{Options, Progress, Remy};
use remy_tests::{
    better_sqlite3, built,
    busy::{MB, Writers, make, with_column_and_table},
    report::{Done, Folder, Row, Sample, Table, Value, load, machine, ms, progress},
    repository, stdout,
};
use serde_json::Value as Json;
use std::{
    fs,
    io::{BufRead, BufReader, Lines, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

fn main() -> Done {
    remy_db::engine::init();
    let (mut sizes, mut rounds) = (Vec::new(), 20);
    // cargo itself passes `--bench`.
    let mut arguments = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench");
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--rounds" => rounds = arguments.next().ok_or("--rounds takes a number")?.parse()?,
            "--turns" | "--publishes" | "--only" => drop(arguments.next()), // of the other benchmarks
            size => sizes.push(size.parse()?),
        }
    }
    if sizes.is_empty() {
        sizes = vec![10, 100, 1000];
    }
    let dir = Folder::new(&repository("target/bench-hosts"))?;
    let load = load()?;
    let mut table = Table::default();
    for &size in &sizes {
        at_size(&dir.0, size, rounds, &mut table)?;
    }
    let shell = stdout(Command::new("sqlite3").arg("--version"));
    let versions = format!(
        "remy {} (SQLite {}) and the sqlite3 shell {}",
        remy_db::VERSION,
        rusqlite::version(),
        shell.split(' ').next().unwrap_or("?"),
    );
    println!("{}\n\n{table}", machine(&dir.0, &versions, &load)?);
    println!("{NOTES}");
    Ok(())
}

const NOTES: &str = "\
- Sizes in MB (10^6 bytes). Medians of alternating rounds, unless it says slowest.
- A round: the engine, in this process, and each host publish ADD COLUMN and CREATE TABLE, and roll back. Writers: 3 sqlite3
  shells, synchronous=FULL, 2 ms of rest after each INSERT.
- The start is what a call takes beyond the verb's own time: to hand it over, and to wait until its process is gone.
- A host stays open. The C host has live open through the SQLite of the system, and calls libremy.so.";

/// A host, or none.
enum Caller {
    Engine(PathBuf),
    Host(Host),
}

/// Who takes turns, and what it took them.
struct Turns {
    name: &'static str,
    caller: Caller,
    pause: Sample,
    start: Sample,
}

impl Turns {
    fn new(name: &'static str, caller: Caller) -> Self {
        Self {
            name,
            caller,
            pause: Sample::default(),
            start: Sample::default(),
        }
    }

    /// Publishes and rolls back.
    fn take(&mut self, schema: &Path) -> Done {
        let start = Instant::now();
        let outcome = self.caller.publish(schema)?;
        let whole = ms(start.elapsed());
        let number = |value: &Json| value.as_f64().ok_or("no number");
        self.pause.push(number(&outcome["switch"]["pause_ms"])?);
        self.start.push(whole - number(&outcome["total_ms"])?);
        self.caller.rollback()
    }
}

/// A snapshot of each release would fill the disk.
const OPTIONS: &str = r#"{"keep_releases": 2}"#;

impl Caller {
    fn publish(&mut self, schema: &Path) -> Done<Json> {
        let schema = schema.display().to_string();
        match self {
            Self::Engine(live) => {
                let options = Options::from_json(OPTIONS)?;
                let outcome = Remy::open(live)?.publish(&schema, &options, Progress::none())?;
                Ok(serde_json::to_value(outcome)?)
            }
            Self::Host(host) => host.call("publish", &[&schema, OPTIONS]),
        }
    }

    fn rollback(&mut self) -> Done {
        match self {
            Self::Engine(live) => {
                let options = Options::from_json(OPTIONS)?;
                Remy::open(live)?.rollback(None, &options, Progress::none())?;
            }
            Self::Host(host) => drop(host.call("rollback", &[OPTIONS])?),
        }
        Ok(())
    }
}

fn at_size(dir: &Path, size: u64, rounds: usize, table: &mut Table) -> Done {
    progress(&format!("{size} MB: making the database"));
    let (live, schema) = (dir.join("live.db"), dir.join("schema.sql"));
    make(&live, size * MB)?;
    fs::write(&schema, with_column_and_table())?;
    let mut all = vec![Turns::new("engine", Caller::Engine(live.clone()))];
    for (name, host) in hosts(dir, &live)? {
        all.push(Turns::new(name, Caller::Host(host)));
    }
    // What is done once: adoption, and the page cache.
    for turns in &mut all {
        turns.caller.publish(&schema)?;
        turns.caller.rollback()?;
    }
    let writers = Writers::start(&live)?;
    for round in 1..=rounds {
        progress(&format!("{size} MB: round {round} of {rounds}"));
        for turns in &mut all {
            turns.take(&schema)?;
        }
    }
    writers.stop()?;
    let memory = memory(&mut all[1].caller, &schema)?;
    let [engine, hosts @ ..] = &all[..] else {
        return Err("nobody took turns".into());
    };
    for host in hosts {
        let row =
            |what: &str, value| Row::new(format!("{}: {what}", host.name), value).of_size(size);
        table.add(
            row("pause", host.pause.median())
                .against("engine", engine.pause.median())
                .over_at_most(2.0),
        );
        table.add(row("pause, slowest", host.pause.p99()).against("engine", engine.pause.p99()));
        table.add(
            row("start of a verb", host.start.median())
                .against("engine", engine.start.median())
                .over_at_most(15.0),
        );
    }
    table.add(
        Row::new("peak memory of the process of a verb: publish", memory)
            .of_size(size)
            .at_most(32.0),
    );
    drop(all);
    fs::remove_file(&live)?;
    Ok(fs::remove_dir_all(format!("{}-remy", live.display()))?)
}

/// The most memory that the process of a publish has used.
fn memory(caller: &mut Caller, schema: &Path) -> Done<Value> {
    let (program, ended) = (built("libremy0.so").canonicalize()?, AtomicBool::new(false));
    let peak = thread::scope(|scope| {
        let looks = scope.spawn(|| {
            let mut peak = 0;
            while !ended.load(Ordering::Relaxed) {
                peak = peak.max(peak_of(&program));
                thread::sleep(Duration::from_millis(1));
            }
            peak
        });
        let published = caller.publish(schema);
        ended.store(true, Ordering::Relaxed);
        published.map(|_| looks.join().unwrap_or(0))
    })?;
    caller.rollback()?;
    if peak == 0 {
        return Err("no process of a verb's was seen".into());
    }
    Ok(Value {
        amount: f64::from(peak) / 1024.0,
        unit: "MiB",
    })
}

/// The most memory so far of the processes that run a program, in KiB.
fn peak_of(program: &Path) -> u32 {
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    let runs =
        all.filter(|entry| fs::read_link(entry.path().join("exe")).is_ok_and(|exe| exe == program));
    let peaks = runs.filter_map(|entry| {
        let status = fs::read_to_string(entry.path().join("status")).ok()?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))?;
        line.trim().trim_end_matches(" kB").parse().ok()
    });
    peaks.max().unwrap_or(0)
}

/// A process that calls verbs: one for each line of its input.
struct Host {
    process: Child,
    input: Option<ChildStdin>,
    output: Lines<BufReader<ChildStdout>>,
    /// How a call is written.
    line: fn(&str, &[&str]) -> String,
}

impl Host {
    fn start(mut command: Command, line: fn(&str, &[&str]) -> String) -> Done<Self> {
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = process.stdout.take().ok_or("no output")?;
        Ok(Self {
            input: process.stdin.take(),
            output: BufReader::new(output).lines(),
            process,
            line,
        })
    }

    fn call(&mut self, verb: &str, arguments: &[&str]) -> Done<Json> {
        let line = (self.line)(verb, arguments);
        writeln!(self.input.as_ref().ok_or("no input")?, "{line}")?;
        let said = self.output.next().ok_or("the host ended")??;
        Ok(serde_json::from_str(&said)?)
    }
}

impl Drop for Host {
    /// It ends with its input.
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.process.wait();
    }
}

/// A call in SQL, as the extension has it.
fn in_sql(verb: &str, arguments: &[&str]) -> String {
    match arguments {
        [schema, options] => format!("SELECT remy_{verb}('{schema}', '{options}');"),
        _ => format!("SELECT remy_{verb}(NULL, '{}');", arguments.concat()),
    }
}

fn in_c(verb: &str, arguments: &[&str]) -> String {
    format!("{verb}\t{}", arguments.join("\t"))
}

const PYTHON: &str = "
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.enable_load_extension(True)
db.load_extension(sys.argv[2])
for line in sys.stdin:
    print(db.execute(line).fetchone()[0], flush=True)
";

const NODE: &str = "
const [live, extension] = process.argv.slice(1);
const db = new (require('better-sqlite3'))(live).loadExtension(extension);
require('readline').createInterface(process.stdin).on('line', (line) => console.log(db.prepare(line).pluck().get()));
";

fn hosts(dir: &Path, live: &Path) -> Done<Vec<(&'static str, Host)>> {
    let extension = built("libremy0.so");
    let mut shell = Command::new("sqlite3");
    shell.args(["-batch", "-bail"]).arg(live);
    shell
        .arg("-cmd")
        .arg(format!(".load {}", extension.with_extension("").display()));
    let mut python = Command::new("/usr/bin/python3");
    python.args(["-c", PYTHON]).arg(live).arg(&extension);
    let mut all = vec![
        ("shell", Host::start(shell, in_sql)?),
        ("Python", Host::start(python, in_sql)?),
        ("C host", Host::start(c_host(dir, live)?, in_c)?),
    ];
    if better_sqlite3::is_there() {
        let mut node = Command::new("node");
        node.current_dir(repository("tests"))
            .args(["-e", NODE])
            .arg(live)
            .arg(&extension);
        all.push(("better-sqlite3", Host::start(node, in_sql)?));
    }
    Ok(all)
}

fn c_host(dir: &Path, live: &Path) -> Done<Command> {
    let (library, program) = (built("libremy.so"), dir.join("host"));
    // By the name that it was linked with.
    let soname = dir.join("libremy.so.0");
    if !soname.exists() {
        std::os::unix::fs::symlink(&library, &soname)?;
    }
    let mut cc = Command::new("cc");
    cc.args(["-O1", "-I"])
        .arg(repository("include"))
        .arg(repository("tests/benches/host.c"))
        .arg(library)
        .arg(format!("-Wl,-rpath,{}", dir.display()))
        .args(["-ldl", "-o"])
        .arg(&program);
    stdout(&mut cc);
    let mut host = Command::new(program);
    host.arg(live);
    Ok(host)
}
