//! Jobs that run by the clock.
use super::{Serving, dev::Dev, programs::programs};
use remy_db_runtime::{
    child::{Listener, Silent},
    pool::Cancel,
    runtime::Runtime,
};
use remy_db_server::{Log, Server, Settings, cron::Jobs};
use remy_tests::{built_program, live::App, output, shell};
use serde_json::{Value, json};
use std::{
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

const LONG: Duration = Duration::from_secs(120);

fn until(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < LONG, "{what} never came");
        thread::sleep(Duration::from_millis(50));
    }
}

/// What the catalog's book says.
fn book(app: &App, sql: &str) -> String {
    shell(&app.store("catalog.db"), sql).trim().to_owned()
}

/// Lets a server see the jobs, as one that ran before.
fn seen(app: &App) {
    let _server = Serving::of(&app.live, Settings::default());
    until("the first look", || {
        book(app, "SELECT count(*) FROM cron_jobs") == "2"
    });
}

/// Makes it so many minutes that nobody was there.
fn away(app: &App, minutes: i64) {
    let since = format!("UPDATE cron_jobs SET since = since - {}", minutes * 60_000);
    book(app, &since);
}

/// A server whose log is kept.
fn telling(app: &App) -> (Serving, Arc<Mutex<Vec<String>>>) {
    let told = Arc::new(Mutex::new(Vec::new()));
    let lines = Arc::clone(&told);
    let settings = Settings {
        log: Log::new(move |line: &Value| lines.lock().unwrap().push(line.to_string())),
        ..Settings::default()
    };
    (Serving::of(&app.live, settings), told)
}

fn has(told: &Mutex<Vec<String>>, words: &str) -> bool {
    told.lock().unwrap().iter().any(|line| line.contains(words))
}

#[test]
fn what_passed_while_nobody_was_there_is_made_up_for_once() {
    let app = programs("s3cret");
    seen(&app);
    away(&app, 10);
    let (server, told) = telling(&app);
    until("the run", || {
        book(
            &app,
            "SELECT count(*) FROM cron_runs WHERE status = 'returned'",
        ) != "0"
    });
    assert!(
        has(&told, "times before passed while nobody was there"),
        "{told:?}"
    );
    let first = book(
        &app,
        "SELECT missed >= 8, due % 60000, call IS NOT NULL FROM cron_runs ORDER BY run LIMIT 1",
    );
    assert_eq!(first, "1|0|1");
    drop(server);
    // The next server finds nothing to make up for.
    let server = Serving::of(&app.live, Settings::default());
    thread::sleep(Duration::from_secs(2));
    drop(server);
    let runs = book(
        &app,
        "SELECT count(*), count(DISTINCT due), sum(missed) <= max(missed) FROM cron_runs",
    );
    let ticks = app.ask("SELECT count(*), min(roles), max(roles) FROM ticks");
    let count = runs.split('|').next().unwrap();
    assert_eq!(runs, format!("{count}|{count}|1"));
    assert_eq!(ticks, format!("{count}|system|system"));
    assert!(
        count.parse::<u32>().unwrap() <= 3,
        "{count} in less than two minutes"
    );
}

#[test]
fn a_job_runs_when_its_minute_comes() {
    let app = programs("s3cret");
    let _server = Serving::of(&app.live, Settings::default());
    until("the minute", || {
        app.ask("SELECT count(*) FROM ticks") == "1"
    });
    let late = book(&app, "SELECT at - due BETWEEN 0 AND 20000 FROM cron_runs");
    assert_eq!(late, "1", "it is begun soon");
}

/// `remy serve`, as a process.
fn serve(app: &App) -> Child {
    Command::new(built_program("remy-command"))
        .args(["serve", "--port", "0", "--quiet", "--db"])
        .arg(&app.live)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Makes the job `slow` due now, and no other.
fn slow_is_due(app: &App) {
    seen(app);
    book(
        app,
        "UPDATE cron_jobs SET since = since - 400 * 86400000 WHERE method = 'slow'; UPDATE cron_jobs SET since = since + 3600000 WHERE method = 'tick'",
    );
}

#[test]
fn a_run_that_was_cut_off_is_lost_and_told_and_not_made_again() {
    let app = programs("s3cret");
    slow_is_due(&app);
    let mut killed = serve(&app);
    until("the run", || {
        app.ask("SELECT count(*) FROM ticks WHERE by = 'slow'") == "1"
    });
    assert_eq!(
        book(&app, "SELECT status FROM cron_runs WHERE method = 'slow'"),
        "running"
    );
    killed.kill().unwrap();
    killed.wait().unwrap();
    let (server, told) = telling(&app);
    until("the loss", || {
        has(&told, "was cut off, and is not made again")
    });
    thread::sleep(Duration::from_secs(2));
    drop(server);
    let runs = book(
        &app,
        "SELECT status, message FROM cron_runs WHERE method = 'slow'",
    );
    assert_eq!(runs, "lost|the process that ran it was gone");
    assert_eq!(app.ask("SELECT count(*) FROM ticks WHERE by = 'slow'"), "1");
}

#[test]
fn a_job_is_skipped_while_a_run_of_it_is_not_over_and_that_is_told() {
    let app = programs("s3cret");
    slow_is_due(&app);
    let jobs = Jobs::of(&app.live, None).unwrap();
    let (runtime, cancel) = (
        Runtime::open(&app.live, Default::default()).unwrap(),
        Cancel::default(),
    );
    let silent: Arc<dyn Listener> = Arc::new(Silent);
    thread::scope(|scope| {
        let by_hand = scope.spawn(|| jobs.run(&runtime, "slow", &silent, &cancel));
        until("the run", || {
            app.ask("SELECT count(*) FROM ticks WHERE by = 'slow'") == "1"
        });
        let twice = jobs.run(&runtime, "slow", &silent, &Cancel::default());
        assert_eq!(twice.unwrap_err().code, "busy");
        let (server, told) = telling(&app);
        until("the skip", || has(&told, "slow is skipped this time: run "));
        drop(server);
        cancel.cancel();
        assert_eq!(by_hand.join().unwrap().unwrap_err().code, "cancelled");
    });
    let runs = book(
        &app,
        "SELECT status, schedule IS NULL, message FROM cron_runs WHERE method = 'slow' ORDER BY run",
    );
    let [by_hand, skipped] = runs.lines().collect::<Vec<_>>()[..] else {
        panic!("{runs}")
    };
    assert!(by_hand.starts_with("failed|1|cancelled: "), "{runs}");
    assert!(
        skipped.starts_with("skipped|0|run ") && skipped.ends_with(" was not over"),
        "{runs}"
    );
}

fn remy(app: &App, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(built_program("remy-command"));
    let out = output(
        command
            .args(arguments)
            .arg("--db")
            .arg(&app.live)
            .current_dir(app.dir.path()),
    );
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (out.status.code(), text(&out.stdout), text(&out.stderr))
}

#[test]
fn the_command_lists_jobs_and_runs_one_now() {
    let app = programs("s3cret");
    let (status, stdout, stderr) = remy(&app, &["cron", "run", "tick"]);
    assert_eq!((status, &*stdout), (Some(0), "1\n"), "{stderr}");
    let (status, stdout, stderr) = remy(&app, &["cron", "run", "tock"]);
    assert_eq!((status.is_some_and(|code| code > 0), &*stdout), (true, ""));
    assert!(
        stderr.contains("there is no cron job tock; there is slow, tick"),
        "{stderr}"
    );
    let (_, stdout, _) = remy(&app, &["cron", "--json"]);
    let jobs: Value = serde_json::from_str(&stdout).unwrap_or_else(|e| panic!("{e}: {stdout}"));
    let tick = jobs
        .as_array()
        .unwrap()
        .iter()
        .find(|job| job["method"] == "tick")
        .unwrap();
    assert_eq!(
        (
            &tick["schedule"],
            &tick["description"],
            &tick["last"]["status"]
        ),
        (&json!("* * * * *"), &json!("counts"), &json!("returned"))
    );
    assert!(tick["next"].as_i64().unwrap() % 60_000 == 0);
    let (_, stdout, _) = remy(&app, &["cron"]);
    assert!(
        stdout.contains("tick") && stdout.contains("Schedules are in UTC"),
        "{stdout}"
    );
    // The time zone of remy.json.
    app.file("remy.json", r#"{ "timezone": "Europe/Berlin" }"#);
    let (_, stdout, _) = remy(&app, &["cron"]);
    assert!(
        stdout.contains("Schedules are in Europe/Berlin"),
        "{stdout}"
    );
    app.file("remy.json", r#"{ "timezone": "Middle/Earth" }"#);
    let (status, _, stderr) = remy(&app, &["cron"]);
    assert!(
        status != Some(0) && stderr.contains("no time zone"),
        "{stderr}"
    );
    let settings = Settings {
        timezone: Some("Middle/Earth".to_owned()),
        ..Settings::default()
    };
    let refused = Server::open(&app.live, settings).err().unwrap();
    assert_eq!(refused.code, "invalid_argument");
}

/// Where a server would run one at once.
#[test]
fn no_job_runs_in_a_dev_session() {
    let app = programs("s3cret");
    seen(&app);
    away(&app, 10);
    let dev = Dev::of(app, "programs", Settings::default());
    dev.told("built");
    assert_eq!(dev.get("/_/health").status, 200);
    let runs = || book(&dev.app, "SELECT count(*) FROM cron_runs");
    // As long as a server takes to look three times.
    thread::sleep(Duration::from_secs(3));
    assert_eq!(runs(), "0");
    let _server = Serving::of(&dev.app.live, Settings::default());
    until("the run of a server", || runs() != "0");
}
