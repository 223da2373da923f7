//! Runs one verb on a database, and prints its JSON or its error: the process that tests kill, and
//! whose disk they fill.
//!
//! `remy-driver DATABASE VERB [ARGUMENT [OPTIONS]]`; with `REMY_HOST` set, as on a host's SQLite,
//! by the backup API; with `REMY_PEAK` set, the most memory that it had, in KiB, on stderr; with
//! `REMY_BESIDE` set to steps of the log, a shell inserts a user at the first line of each.
//!
//! `remy-driver DATABASE push RELEASE` adds rows through the runtime's service, from four threads,
//! until it is killed, and prints the title of each once it is answered. `remy-driver DATABASE
//! methods` is there to run methods, and says so; none is called.
use remy_db::{Line, Options, Progress, ReleaseId, Remy, Result};
use remy_db_runtime::database::{Bound, Caller, Database, Settings, request::Operation};
use serde_json::{Value, json};
use std::{
    path::Path,
    sync::{Mutex, PoisonError},
};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = run(&arguments);
    if std::env::var_os("REMY_PEAK").is_some() {
        eprintln!("{}", peak().unwrap_or_default());
    }
    match result {
        Ok(value) => println!("{value}"),
        Err(e) => {
            println!("{}", json!(e));
            std::process::exit(e.exit_code().into());
        }
    }
}

fn run(arguments: &[String]) -> Result<Value> {
    let argument = |i: usize| arguments.get(i).map(String::as_str);
    let path = argument(0).unwrap_or_default();
    let host; // stays open as long as the application works on it
    let app = if std::env::var_os("REMY_HOST").is_some() {
        remy_db::engine::init();
        host = rusqlite::Connection::open_with_flags(
            path,
            rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE,
        )?;
        // SAFETY: the connection is open, of the SQLite that rusqlite is bound to, and outlives the
        // application.
        unsafe { Remy::on_host(host.handle()) }?
    } else {
        Remy::open(path)?
    };
    let text = argument(2).unwrap_or_default();
    let release = text.parse().ok().map(ReleaseId);
    let options = Options::from_json(argument(3).unwrap_or_default())?;
    let beside = std::env::var("REMY_BESIDE").unwrap_or_default();
    let steps = Mutex::new(beside.split(',').collect::<Vec<_>>());
    let insert = |line: &Line| {
        let mut steps = steps.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = steps.iter().position(|step| *step == line.step.as_str()) {
            steps.remove(at);
            let sql = format!("INSERT INTO users (name) VALUES ('beside {}')", line.step);
            let done = std::process::Command::new("sqlite3")
                .arg(path)
                .arg(sql)
                .status();
            assert!(done.is_ok_and(|status| status.success()));
        }
    };
    let go = Progress::none().on_line(&insert);
    Ok(match argument(1).unwrap_or_default() {
        "methods" => {
            let settings = remy_db_runtime::served::Settings::default();
            let runtime = remy_db_runtime::runtime::Runtime::open(Path::new(path), settings);
            let runtime = runtime.map_err(|e| remy_db::Error::io(e.message))?;
            println!("it listens");
            let _ = std::io::stdin().read_line(&mut String::new());
            drop(runtime);
            json!({})
        }
        "push" => push(&app, release.unwrap_or_default())?,
        "publish" => json!(app.publish(text, &options, go)?),
        "stage" => json!(app.stage(text, &options, go)?),
        "promote" => json!(app.promote(release, &options, go)?),
        "rollback" => json!(app.rollback(release, &options, go)?),
        "releases" => json!(app.releases()?),
        "prune" => json!(app.prune(text.parse().ok(), &options)?),
        "clone" => json!(app.clone_to(text)?),
        "verify" => json!(app.verify()?),
        "dev_start" => json!(app.dev_start(text)?),
        "dev_reset" => json!(app.dev_reset(text)?),
        "dev_sync" => json!(app.dev_sync("d", text, &options, go)?),
        "dev_truncate" => json!(app.dev_truncate(text)?),
        "dev_list" => json!(app.dev_list()?),
        "detach" => json!(app.detach()?),
        "dev_stop" => json!(app.dev_stop(text)?),
        verb => {
            return Err(remy_db::Error::invalid_argument(format!(
                "no verb {verb:?}"
            )));
        }
    })
}

fn push(app: &Remy, release: ReleaseId) -> Result<Value> {
    let database = Database::open(&app.place(), Settings::new(Bound::Release(release)))?;
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let database = &database;
            scope.spawn(move || {
                for n in 0.. {
                    let title = format!("{thread}-{n}");
                    let row = Operation::Insert {
                        table: "things".into(),
                        row: [("title".to_owned(), json!(title))].into_iter().collect(),
                    };
                    if let Err(e) = database.run(&Caller::default(), &[row]) {
                        return eprintln!("{e}");
                    }
                    println!("{title}");
                }
            });
        }
    });
    Ok(Value::Null)
}

fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?
        .trim()
        .strip_suffix(" kB")?
        .parse()
        .ok()
}
