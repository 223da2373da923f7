//! `cargo bench -p remy-tests --bench runtime [-- --turns N --only PART…]`: what it takes to run methods,
//! beside better-sqlite3 in one process. The parts are warm, get, filter, push, first,
//! isolation and memory.
//!
//! Everything is measured in one run, in turns. Prints a table of Markdown. No test: nothing fails
//! for being slow.
use remy_db_runtime::{
    child::{Listener, Silent},
    pool::Cancel,
    runtime::{Invoke, Runtime},
    sandbox::Isolation,
    served::Settings,
};
use remy_tests::{
    better_sqlite3, built_program, publish_in,
    report::{
        Done, Folder, Row, Sample, Table, Value, load, machine, ms, only, progress, pss, turns,
    },
    repository, stdout,
};
use serde_json::{Value as Json, json};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Instant,
};

/// Rows of the table.
const ROWS: u64 = 100_000;

/// Rows that a filter finds: one group of a thousand.
const GROUP: &str = "g7";

/// Calls that push at once.
const PUSHERS: u64 = 8;

const MANIFEST: &str = r#"{ "name": "bench",
  "tables": [{ "path": "tables.ts", "export": "Rows" }],
  "methods": [
    { "id": "nothing", "path": "runtime.ts", "export": "nothing" },
    { "id": "get", "path": "runtime.ts", "export": "get" },
    { "id": "filter-by-sql", "path": "runtime.ts", "export": "filterBySql" },
    { "id": "filter-in-javascript", "path": "runtime.ts", "export": "filterInJavaScript" },
    { "id": "push", "path": "runtime.ts", "export": "push" },
    { "id": "seed", "path": "runtime.ts", "export": "seed" }
  ] }"#;

const TABLES: &str = "import { db } from '@mindstudio-ai/agent';
export const Rows = db.defineTable<{ group: string; n: number }>('rows');
";

const NOTES: &str = "\
- Medians of {turns} turns; each turn's own figure is a mean over many. A target is judged by the median.
- Warm call: a method that returns its input, from Rust, and back. What is inside of methods is measured by them.
- A filter finds 100 of 100,000 rows, without an index. Pushes are durable (`synchronous=FULL`), 8 calls at once; better-sqlite3 has one
  process, which waits for the disk each time.
- First call after a publish: of the runtime that was there before, from the call to its answer.
- Isolation is set up once for each process; what it takes is the difference of that row.
- Memory: PSS of eight processes that wait to be called, by the kernel's count, and its mean.";

fn main() -> Done {
    let turns = turns(7)?;
    let load = load()?;
    let dir = Folder::new(&repository("target/bench-runtime"))?;
    let bench = Bench::new(&dir.0, only())?;
    let mut times = Times::default();
    for turn in 1..=turns {
        progress(&format!("methods: turn {turn} of {turns}"));
        bench.turn(&mut times)?;
    }
    let memory = match bench.has("memory") {
        true => Some(bench.memory()?),
        false => None,
    };
    let versions = format!(
        "remy {}, Node.js {}",
        remy_db::VERSION,
        stdout(Command::new("node").arg("-v")).trim()
    );
    println!(
        "{}\n\n{}",
        machine(&dir.0, &versions, &load)?,
        times.table(memory)
    );
    println!("{}", NOTES.replace("{turns}", &turns.to_string()));
    Ok(())
}

#[derive(Default)]
struct Times {
    warm: Sample,
    get: Sample,
    get_alone: Sample,
    by_sql: Sample,
    in_javascript: Sample,
    filter_alone: Sample,
    push: Sample,
    push_alone: Sample,
    first: Sample,
    cold: Sample,
    shut_in: Sample,
    not_shut_in: Sample,
}

impl Times {
    fn table(&self, memory: Option<(Value, Value)>) -> Table {
        let mut table = Table::default();
        let mut add = |sample: &Sample, row: &dyn Fn() -> Row| {
            if !sample.is_empty() {
                table.add(row());
            }
        };
        let alone = "better-sqlite3";
        add(&self.warm, &|| {
            Row::new("warm call", self.warm.median().micros()).at_most(100.0)
        });
        add(&self.get, &|| {
            Row::new("`db.get`, in the method", self.get.median().micros())
                .against(alone, self.get_alone.median().micros())
                .at_most(100.0)
        });
        add(&self.by_sql, &|| {
            Row::new("a filter by SQL", self.by_sql.median())
                .against(alone, self.filter_alone.median())
                .ratio_at_most(1.2)
        });
        add(&self.by_sql, &|| {
            Row::new("a filter by SQL", self.by_sql.median())
                .against("in JavaScript", self.in_javascript.median())
        });
        add(&self.push, &|| {
            Row::new("a durable push, 8 at once", self.push.median().micros())
                .against(alone, self.push_alone.median().micros())
                .ratio_at_most(0.333)
        });
        add(&self.first, &|| {
            Row::new("first call after a publish", self.first.median()).at_most(20.0)
        });
        add(&self.cold, &|| {
            Row::new("`remy invoke`, cold", self.cold.median()).at_most(150.0)
        });
        add(&self.shut_in, &|| {
            Row::new("a runtime, until its first answer", self.shut_in.median())
                .against("--no-isolation", self.not_shut_in.median())
        });
        if let Some((idle, grown)) = memory {
            table.add(Row::new("a process that waits", idle).at_most(12.0));
            table.add(Row::new("the same, after 10,000 calls", grown));
        }
        table
    }
}

struct Bench {
    only: Vec<String>,
    app: PathBuf,
    live: PathBuf,
    runtime: Runtime,
    ids: Json,
}

impl Bench {
    fn new(dir: &Path, only: Vec<String>) -> Done<Self> {
        if !better_sqlite3::is_there() {
            return Err("better-sqlite3 is not there, and could not be built".into());
        }
        let (app, live) = (dir.join("app"), dir.join("app.db"));
        fs::create_dir_all(&app)?;
        fs::write(app.join("mindstudio.json"), MANIFEST)?;
        fs::write(app.join("tables.ts"), TABLES)?;
        fs::copy(
            repository("tests/benches/runtime.ts"),
            app.join("runtime.ts"),
        )?;
        fs::write(&live, "")?;
        publish(&app, &live)?;
        let runtime = Runtime::open(&live, settings())?;
        progress("methods: 100,000 rows");
        let ids = call(&runtime, "seed", json!({ "count": ROWS }))?;
        Ok(Self {
            only,
            app,
            live,
            runtime,
            ids,
        })
    }

    fn turn(&self, times: &mut Times) -> Done {
        let inside = |method: &str, input: Json| -> Done<f64> {
            let micros = call(&self.runtime, method, input)?;
            Ok(micros.as_f64().ok_or("no number")? / 1e3)
        };
        if self.has("warm") {
            let began = Instant::now();
            let calls = 2_000;
            for _ in 0..calls {
                call(&self.runtime, "nothing", json!({ "a": 1 }))?;
            }
            times.warm.push(ms(began.elapsed()) / f64::from(calls));
        }
        if self.has("get") {
            let get = json!({ "ids": self.ids, "times": 2_000 });
            times.get.push(inside("get", get)?);
            times.get_alone.push(self.alone("get", 2_000)?);
        }
        if self.has("filter") {
            let filter = |times: u32| json!({ "group": GROUP, "times": times });
            times.by_sql.push(inside("filter-by-sql", filter(5))?);
            times.filter_alone.push(self.alone("filter", 5)?);
            let slow = inside("filter-in-javascript", filter(1))?;
            times.in_javascript.push(slow);
        }
        if self.has("push") {
            // A publish has come before: there is one process by now, and eight are to be measured.
            self.push(20)?;
            times.push.push(self.push(50)?);
            times.push_alone.push(self.alone("push", 100)?);
        }
        if self.has("first") {
            self.first(times)?;
        }
        if self.has("isolation") {
            times.shut_in.push(self.opened(Isolation::On)?);
            times.not_shut_in.push(self.opened(Isolation::Off)?);
        }
        Ok(())
    }

    fn has(&self, part: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == part)
    }

    /// What a push takes of the time of all: they are at work together.
    fn push(&self, each: u64) -> Done<f64> {
        let began = Instant::now();
        std::thread::scope(|scope| {
            let pushers: Vec<_> = (0..PUSHERS)
                .map(|_| {
                    scope.spawn(|| {
                        call(&self.runtime, "push", json!({ "times": each }))
                            .map(drop)
                            .map_err(|e| e.to_string())
                    })
                })
                .collect();
            for pusher in pushers {
                pusher.join().map_err(|_| "a pusher panicked")??;
            }
            Ok::<(), Box<dyn std::error::Error>>(())
        })?;
        Ok(ms(began.elapsed()) / (PUSHERS * each) as f64)
    }

    /// The first call after a publish, and one by the command.
    fn first(&self, times: &mut Times) -> Done {
        publish(&self.app, &self.live)?;
        let began = Instant::now();
        call(&self.runtime, "nothing", json!({}))?;
        times.first.push(ms(began.elapsed()));
        let mut command = Command::new(built_program("remy-command"));
        command
            .args(["invoke", "nothing", "{}", "--db"])
            .arg(&self.live)
            .current_dir(&self.app);
        let began = Instant::now();
        stdout(&mut command);
        times.cold.push(ms(began.elapsed()));
        Ok(())
    }

    /// What it takes to open a runtime, and to call it once.
    fn opened(&self, isolation: Isolation) -> Done<f64> {
        let began = Instant::now();
        let settings = Settings {
            isolation,
            ..Settings::default()
        };
        let runtime = Runtime::open(&self.live, settings)?;
        call(&runtime, "nothing", json!({}))?;
        Ok(ms(began.elapsed()))
    }

    fn alone(&self, work: &str, times: u32) -> Done<f64> {
        let mut node = Command::new("node");
        node.current_dir(repository("tests"))
            .arg("benches/better_sqlite3.cjs")
            .arg(&self.live)
            .args([work, &times.to_string(), GROUP]);
        Ok(stdout(&mut node).trim().parse::<f64>()? / 1e3)
    }

    /// The mean PSS of processes that wait, in MiB, before and after 10,000 calls.
    fn memory(&self) -> Done<(Value, Value)> {
        let runtime = Runtime::open(&self.live, settings())?;
        std::thread::scope(|scope| {
            for _ in 0..PUSHERS {
                scope.spawn(|| {
                    call(&runtime, "get", json!({ "ids": self.ids, "times": 500 }))
                        .map(drop)
                        .ok()
                });
            }
        });
        let idle = mean_pss(&self.live)?;
        for _ in 0..10_000 {
            call(&runtime, "nothing", json!({ "a": 1 }))?;
        }
        Ok((idle, mean_pss(&self.live)?))
    }
}

fn settings() -> Settings {
    let mut settings = Settings::default();
    settings.pool.max_processes = PUSHERS as usize;
    settings.pool.keep = PUSHERS as usize;
    settings
}

fn call(runtime: &Runtime, method: &str, input: Json) -> Done<Json> {
    let listener: Arc<dyn Listener> = Arc::new(Silent);
    let returned = runtime.call(Invoke::new(method, input), &listener, &Cancel::default());
    Ok(returned?.output)
}

fn publish(app: &Path, live: &Path) -> Done {
    publish_in(app, Some(live), None)?;
    Ok(())
}

/// The mean of all processes that run methods of this process.
fn mean_pss(live: &Path) -> Done<Value> {
    let run = format!("{}-remy/run/", live.display());
    let mut all = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let process = entry?.path();
        let is_ours = fs::read_to_string(process.join("cmdline")).is_ok_and(|of| of.contains(&run));
        if let (true, Some(pss)) = (is_ours, pss(&process)) {
            all.push(pss.amount);
        }
    }
    Ok(Value {
        amount: all.iter().sum::<f64>() / all.len() as f64,
        unit: "MiB",
    })
}
