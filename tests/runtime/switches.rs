//! A switch under calls: held, let end, and never old code on new data.
use super::{call, publish_with};
use remy_db::{Options, Outcome, Progress, ReleaseId, Status};
use remy_db_runtime::{
    failure::Failure,
    pool,
    records::{self, Asked},
    runtime::{Invoke, Returned, Runtime},
    served::Settings,
    target::Target,
};
use remy_tests::{built_program, live::App, not_covered, shell};
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    os::unix::{
        fs::PermissionsExt as _,
        net::{UnixListener, UnixStream},
    },
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

const MANIFEST: &str = r#"{ "name": "n", "tables": [{ "path": "t.ts", "export": "T" }],
  "methods": [{ "id": "m", "path": "m.ts", "export": "m" }, { "id": "long", "path": "m.ts", "export": "long" }] }"#;

fn options(json: &str) -> Options {
    Options::from_json(json).unwrap()
}

/// Publishes a version of an app whose code writes its number into each row, and into a column that
/// the versions before and after it do not have.
fn publish(app: &App, version: u64, with: &str) -> Outcome {
    let own = if version.is_multiple_of(2) {
        "even"
    } else {
        "odd"
    };
    app.file("n/mindstudio.json", MANIFEST);
    app.file("n/t.ts", &format!("import {{ db }} from '@mindstudio-ai/agent';\nexport const T = db.defineTable<{{ key: string; code: number; {own}?: number }}>('t');\n"));
    app.file(
        "n/m.ts",
        &format!(
            "import {{ T }} from './t';
             const loaded = Date.now();
             const sleep = (ms: number) => new Promise((then) => setTimeout(then, ms));
             export async function m(input: any) {{
               const {{ id }} = await T.push({{ key: input.key, code: {version}, {own}: {version} }});
               if (input.pause) await sleep(input.pause);
               const mine = await T.get(id);
               if (mine?.code !== {version} || mine.{own} !== {version}) throw new Error('another row: ' + JSON.stringify(mine));
               return {{ code: {version}, loaded }};
             }}
             export async function long(input: any) {{
               await T.count();
               await sleep(input.pause);
               return await T.count();
             }}\n"
        ),
    );
    publish_with(app, &app.dir.path().join("n"), options(with))
}

fn runtime(app: &App) -> Runtime {
    Runtime::open(&app.live, Settings::default()).unwrap()
}

fn m(runtime: &Runtime, key: &str, pause: u64) -> Result<Returned, Failure> {
    let input = json!({ "key": key, "pause": pause });
    call(runtime, Invoke::new("m", input))
}

/// The sockets that switches are announced on.
fn sockets(app: &App) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(app.store("run")) else {
        return Vec::new();
    };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .filter(|path| path.extension().is_some_and(|end| end == "sock"))
        .collect()
}

/// A socket of somebody's that nobody speaks at, though they listen, as where a process is stopped.
fn silent(app: &App, name: &str) -> UnixListener {
    fs::create_dir_all(app.store("run")).unwrap();
    fs::set_permissions(app.store("run"), fs::Permissions::from_mode(0o700)).unwrap();
    UnixListener::bind(app.store("run").join(name)).unwrap()
}

fn told(outcome: &Outcome) -> Vec<String> {
    outcome
        .log
        .iter()
        .map(|line| line.message.clone())
        .collect()
}

/// How a call ended that was made while live was switched.
enum Ended {
    /// With the release that it ran on, its key and its code's version.
    Acknowledged(ReleaseId, String, u64),
    Failed(Failure),
}

/// What went live: the version of its code, and the release whose data it began with.
type Lives = BTreeMap<i64, (u64, Option<i64>)>;

/// Has `callers` threads call methods while live is switched `switches` times.
fn under_calls(app: &App, callers: usize, switches: u64, is_told: bool) -> (Lives, Vec<Ended>) {
    let with = r#"{"drain_ms": 20000, "lock_timeout_ms": 30000, "max_pause_ms": 20000}"#;
    let first = publish(app, 1, with).release.0;
    let mut lives: Lives = BTreeMap::from([(first, (1, None))]);
    let runtime = runtime(app);
    if !is_told {
        sockets(app)
            .iter()
            .for_each(|socket| fs::remove_file(socket).unwrap());
    }
    let (ended, is_over) = (Mutex::new(Vec::new()), AtomicBool::new(false));
    thread::scope(|scope| {
        for caller in 0..callers {
            let (runtime, ended, is_over) = (&runtime, &ended, &is_over);
            scope.spawn(move || {
                for n in 0.. {
                    if is_over.load(Ordering::Relaxed) {
                        return;
                    }
                    let key = format!("{caller}-{n}");
                    let pause = if n % 5 == 0 { 30 } else { 0 };
                    let end = match m(runtime, &key, pause) {
                        Ok(returned) => Ended::Acknowledged(
                            returned.release.unwrap(),
                            key,
                            returned.output["code"].as_u64().unwrap(),
                        ),
                        Err(failure) => Ended::Failed(failure),
                    };
                    ended.lock().unwrap().push(end);
                    thread::sleep(Duration::from_millis(100 + (caller as u64 * 37) % 200));
                }
            });
        }
        let mut version = 1;
        for n in 0..switches {
            thread::sleep(Duration::from_millis(150));
            let before = *lives.keys().last().unwrap();
            let outcome = if n % 3 == 2 {
                app.remy()
                    .rollback(None, &options(with), Progress::none())
                    .unwrap()
            } else {
                version += 1;
                publish(app, version, with)
            };
            let live = match outcome.restored_from {
                Some(ReleaseId(from)) => (lives[&from].0, Some(from)),
                None => (version, Some(before)),
            };
            lives.insert(outcome.release.0, live);
        }
        thread::sleep(Duration::from_millis(300));
        is_over.store(true, Ordering::Relaxed);
    });
    (lives, ended.into_inner().unwrap())
}

/// The rows of each release as it was in the end, by key and version of the code that wrote them.
fn rows(app: &App, lives: &Lives) -> BTreeMap<i64, BTreeSet<(String, u64)>> {
    let last = *lives.keys().last().unwrap();
    let of = |release: i64| {
        let copy = app.dir.path().join(format!("copy-{release}.db"));
        let database = if release == last {
            &app.live
        } else {
            let release = ReleaseId(release);
            app.remy()
                .copy_release(release, &copy, Progress::none())
                .unwrap();
            &copy
        };
        let rows = shell(database, "SELECT key, CAST(code AS INTEGER) FROM t");
        let row = |line: &str| {
            let (key, code) = line.split_once('|').unwrap();
            (key.to_owned(), code.parse().unwrap())
        };
        rows.lines().map(row).collect()
    };
    lives
        .keys()
        .map(|release| (*release, of(*release)))
        .collect()
}

/// No old code has written to new data, and no write is lost that was acknowledged. Returns why
/// calls have failed.
fn hold_together(app: &App, lives: &Lives, ended: &[Ended]) -> Vec<Failure> {
    let rows = rows(app, lives);
    let none = BTreeSet::new();
    for (release, (code, from)) in lives {
        let before = from.map_or(&none, |from| &rows[&from]);
        for (key, by) in rows[release].difference(before) {
            assert_eq!(by, code, "{key} in release {release}");
        }
    }
    let mut failed = Vec::new();
    for end in ended {
        match end {
            Ended::Acknowledged(release, key, code) => {
                assert_eq!(lives[&release.0].0, *code, "the code of release {release}");
                assert!(
                    rows[&release.0].contains(&(key.clone(), *code)),
                    "{key} of release {release} is lost"
                );
            }
            Ended::Failed(failure) => failed.push(failure.clone()),
        }
    }
    failed
}

/// How many callers and switches: 200 and 50 where there is time for them.
fn size() -> (usize, u64) {
    match std::env::var_os("REMY_MINUTES") {
        Some(_) => (200, 50),
        None => (60, 9),
    }
}

#[test]
fn no_call_fails_while_live_is_switched() {
    let (callers, switches) = size();
    let app = App::empty();
    let (lives, ended) = under_calls(&app, callers, switches, true);
    let failed = hold_together(&app, &lives, &ended);
    eprintln!(
        "{} calls of {callers} callers, {switches} switches",
        ended.len()
    );
    assert_eq!(failed, [], "of {}", ended.len());
    assert_eq!(
        sockets(&app),
        Vec::<PathBuf>::new(),
        "its socket goes with the runtime"
    );
}

#[test]
fn where_nobody_is_told_of_a_switch_old_code_never_works_on_new_data() {
    let (callers, switches) = size();
    let app = App::empty();
    let (lives, ended) = under_calls(&app, callers, switches, false);
    let failed = hold_together(&app, &lives, &ended);
    eprintln!(
        "{} calls of {callers} callers, {switches} switches, {} release_changed",
        ended.len(),
        failed.len()
    );
    for failure in failed {
        assert_eq!(
            (&*failure.code, failure.status),
            ("release_changed", 409),
            "{failure:?}"
        );
    }
}

#[test]
fn a_call_that_outlasts_the_drain_is_refused_at_its_next_database_call() {
    let app = App::empty();
    two(&app);
    let runtime = runtime(&app);
    m(&runtime, "warm", 0).unwrap();
    let count = || {
        let asked = Asked {
            limit: 50,
            ..Asked::default()
        };
        records::list(&app.store(""), &asked).unwrap().len()
    };
    thread::scope(|scope| {
        let long = scope.spawn(|| call(&runtime, Invoke::new("long", json!({ "pause": 8000 }))));
        thread::sleep(Duration::from_secs(1));
        let begun = Instant::now();
        let outcome = again(&app, r#"{"drain_ms": 400}"#);
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(6), "{took:?}");
        let log = told(&outcome);
        assert!(
            log.iter()
                .any(|line| line.contains("1 did not say within 400 ms")),
            "{log:?}"
        );
        assert!(!long.is_finished());
        let failure = long.join().unwrap().unwrap_err();
        assert_eq!(
            (&*failure.code, failure.status),
            ("release_changed", 409),
            "{failure:?}"
        );
    });
    thread::sleep(Duration::from_millis(500));
    assert_eq!(count(), 2, "it is not run again");
    m(&runtime, "after", 0).unwrap();
}

/// Waits until so many calls have written their rows: they have begun.
fn until_rows(app: &App, count: usize) {
    let until = Instant::now() + Duration::from_secs(30);
    while shell(&app.live, "SELECT count(*) FROM t").trim() != count.to_string() {
        assert!(Instant::now() < until, "they never began");
        thread::sleep(Duration::from_millis(20));
    }
}

/// A runtime of one process: all calls but one wait.
fn of_one_process(app: &App) -> Runtime {
    let pool = pool::Settings {
        max_processes: 1,
        ..pool::Settings::default()
    };
    let settings = Settings {
        pool,
        ..Settings::default()
    };
    Runtime::open(&app.live, settings).unwrap()
}

/// Each of them is short, and all together take longer than a drain.
#[test]
fn calls_that_wait_for_a_process_are_held_and_run_on_the_release_that_comes() {
    let app = App::empty();
    two(&app);
    let runtime = of_one_process(&app);
    m(&runtime, "warm", 0).unwrap();
    thread::scope(|scope| {
        let call = |n: usize| m(&runtime, &n.to_string(), 400).map(|it| it.output["code"].clone());
        let calls: Vec<_> = (0..16).map(|n| scope.spawn(move || call(n))).collect();
        thread::sleep(Duration::from_millis(500));
        let (took, outcome) = timed(&app, r#"{"drain_ms": 3000}"#);
        let log = told(&outcome);
        assert!(
            !log.iter().any(|line| line.contains("did not say")),
            "{took:?}: {log:?}"
        );
        let codes: Vec<_> = calls
            .into_iter()
            .map(|call| call.join().unwrap().unwrap())
            .collect();
        let of = |code| codes.iter().filter(|it| **it == json!(code)).count();
        assert!(of(2) >= 1 && of(1) >= 4, "{codes:?}");
    });
    drop(runtime);
    let asked = Asked {
        limit: 50,
        ..Asked::default()
    };
    let all = records::list(&app.store(""), &asked).unwrap();
    assert_eq!(all.len(), 17, "each has one record");
    assert!(all.iter().all(|it| it.status == records::Ended::Returned));
    // That of the release that it ran on.
    let last = app.remy().releases().unwrap()[0].release;
    assert!(all.iter().filter(|it| it.release == Some(last)).count() >= 4);
}

#[test]
fn where_nobody_is_told_calls_that_wait_run_on_what_is_live_once_it_is_seen() {
    let app = App::empty();
    two(&app);
    let runtime = of_one_process(&app);
    m(&runtime, "warm", 0).unwrap();
    for socket in sockets(&app) {
        fs::remove_file(socket).unwrap();
    }
    thread::scope(|scope| {
        let first = scope.spawn(|| m(&runtime, "first", 5000));
        until_rows(&app, 2);
        let call = |n: usize| m(&runtime, &n.to_string(), 0);
        let waiting: Vec<_> = (0..4).map(|n| scope.spawn(move || call(n))).collect();
        again(&app, "{}");
        // Sees it, and does not wait for what has begun.
        assert_eq!(m(&runtime, "next", 0).unwrap().output["code"], 1);
        for call in waiting {
            assert_eq!(call.join().unwrap().unwrap().output["code"], 1);
        }
        let failure = first.join().unwrap().unwrap_err();
        assert_eq!(failure.code, "release_changed", "it had begun: {failure:?}");
    });
}

/// Makes a release live again that was: that takes no build.
fn again(app: &App, with: &str) -> Outcome {
    let releases = app.remy().releases().unwrap();
    let was = releases.iter().filter(|of| of.status == Status::Superseded);
    let last = was.map(|of| of.release).max();
    app.remy()
        .promote(last, &options(with), Progress::none())
        .unwrap()
}

/// Two releases of the app, one after the other.
fn two(app: &App) {
    publish(app, 1, "{}");
    publish(app, 2, "{}");
}

#[test]
fn calls_that_end_in_time_are_waited_for_and_told_of() {
    let app = App::empty();
    two(&app);
    let runtime = runtime(&app);
    m(&runtime, "warm", 0).unwrap();
    thread::scope(|scope| {
        let call = |n: usize| m(&runtime, &n.to_string(), 4000);
        let calls: Vec<_> = (0..3).map(|n| scope.spawn(move || call(n))).collect();
        until_rows(&app, 4);
        let outcome = again(&app, r#"{"drain_ms": 20000}"#);
        assert!(
            told(&outcome).contains(&"Waited for 3 calls to end".to_owned()),
            "{:?}",
            told(&outcome)
        );
        for call in calls {
            assert_eq!(call.join().unwrap().unwrap().release, Some(ReleaseId(2)));
        }
    });
    assert_eq!(m(&runtime, "after", 0).unwrap().release, Some(ReleaseId(3)));
}

#[test]
fn the_process_of_a_release_is_started_before_it_is_live() {
    let app = App::empty();
    publish(&app, 1, "{}");
    let runtime = runtime(&app);
    m(&runtime, "first", 0).unwrap();
    for version in 2..6 {
        let outcome = publish(&app, version, r#"{"drain_ms": 20000}"#);
        let live_at = app.remy().releases().unwrap();
        let live_at = live_at
            .iter()
            .find(|of| of.release == outcome.release)
            .unwrap()
            .live_at
            .unwrap();
        let begun = Instant::now();
        call(&runtime, Invoke::new("long", json!({ "pause": 0 }))).unwrap();
        let took = begun.elapsed();
        let begun = Instant::now();
        call(&runtime, Invoke::new("long", json!({ "pause": 0 }))).unwrap();
        let second = begun.elapsed();
        let returned = m(&runtime, "next", 0).unwrap();
        eprintln!("the first call after a publish took {took:?}, the second {second:?}");
        let loaded = returned.output["loaded"].as_i64().unwrap();
        assert!(loaded <= live_at, "loaded at {loaded}, live at {live_at}");
    }
}

/// What a verb says, said by hand: calls of live are held until its connection ends, and no others.
#[test]
fn only_calls_of_live_are_held_and_no_longer_than_the_verb_lives() {
    let app = App::empty();
    two(&app);
    let runtime = runtime(&app);
    m(&runtime, "warm", 0).unwrap();
    let mut verb = UnixStream::connect(&sockets(&app)[0]).unwrap();
    writeln!(
        verb,
        "{}",
        json!({ "t": "switching", "drain_ms": 60000, "switch_ms": 60000 })
    )
    .unwrap();
    let mut answer = String::new();
    BufReader::new(&verb).read_line(&mut answer).unwrap();
    assert_eq!(answer.trim(), r#"{"t":"drained","calls":0}"#);
    thread::scope(|scope| {
        let held = scope.spawn(|| m(&runtime, "held", 0));
        let earlier = Invoke {
            target: Target::Release(ReleaseId(1)),
            ..Invoke::new("m", json!({ "key": "x" }))
        };
        assert_eq!(call(&runtime, earlier).unwrap().output["code"], 1);
        assert!(!held.is_finished());
        drop(verb);
        held.join().unwrap().unwrap();
    });
    // What is not understood ends the connection.
    let mut verb = UnixStream::connect(&sockets(&app)[0]).unwrap();
    verb.write_all(b"GET / HTTP/1.1\n").unwrap();
    assert_eq!(verb.read(&mut [0; 10]).unwrap(), 0);
    m(&runtime, "after", 0).unwrap();
}

/// How long a switch takes, with what it tells.
fn timed(app: &App, with: &str) -> (Duration, Outcome) {
    let begun = Instant::now();
    let outcome = again(app, with);
    (begun.elapsed(), outcome)
}

/// A process that is there to run methods.
fn another(app: &App) -> Child {
    let mut child = Command::new(built_program("remy-driver"))
        .args([app.live.to_str().unwrap(), "methods"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let output = child.stdout.as_mut().unwrap();
    BufReader::new(output).read_line(&mut line).unwrap();
    assert_eq!(line, "it listens\n");
    child
}

fn signal(child: &Child, signal: i32) {
    // SAFETY: it is a child of this test's that was not waited for.
    unsafe { libc::kill(child.id().cast_signed(), signal) };
}

#[test]
fn a_runtime_that_is_stopped_is_waited_for_no_longer_than_the_drain_and_a_dead_ones_socket_goes() {
    let app = App::empty();
    two(&app);
    let mut child = another(&app);
    let (_, outcome) = timed(&app, r#"{"drain_ms": 20000}"#);
    assert!(
        !told(&outcome)
            .iter()
            .any(|line| line.contains("did not say")),
        "{:?}",
        told(&outcome)
    );
    signal(&child, libc::SIGSTOP);
    let (took, outcome) = timed(&app, r#"{"drain_ms": 3000}"#);
    assert!(
        took >= Duration::from_millis(3000) && took < Duration::from_millis(6000),
        "{took:?}"
    );
    assert!(
        told(&outcome)
            .iter()
            .any(|line| line.contains("1 did not say within 3000 ms")),
        "{:?}",
        told(&outcome)
    );
    let (took, _) = timed(&app, r#"{"drain_ms": 0}"#);
    assert!(
        took < Duration::from_millis(2500),
        "nobody is told: {took:?}"
    );
    signal(&child, libc::SIGKILL);
    child.wait().unwrap();
    assert_eq!(sockets(&app).len(), 1, "it was killed");
    let (took, _) = timed(&app, r#"{"drain_ms": 20000}"#);
    assert!(took < Duration::from_millis(5000), "{took:?}");
    assert_eq!(sockets(&app).len(), 0);
    // The next runtime removes what is left, too.
    let mut child = another(&app);
    signal(&child, libc::SIGKILL);
    child.wait().unwrap();
    let runtime = runtime(&app);
    assert_eq!(sockets(&app).len(), 1);
    drop(runtime);
    assert_eq!(fs::read_dir(app.store("run")).unwrap().count(), 0);
}

#[test]
fn nonsense_from_a_runtime_holds_up_no_switch() {
    let app = App::empty();
    two(&app);
    for said in [
        &b"hello\n"[..],
        b"{\"t\":\"no\"}\n",
        &[0; 5000],
        b"",
        b"{\"t\":\"drained\",\"calls\":-1}\n",
    ] {
        let listener = silent(&app, "nonsense.sock");
        let (took, _) = thread::scope(|scope| {
            scope.spawn(|| {
                let (mut verb, _) = listener.accept().unwrap();
                let _ = verb.write_all(said);
            });
            timed(&app, r#"{"drain_ms": 20000}"#)
        });
        assert!(took < Duration::from_millis(5000), "{took:?} for {said:?}");
        fs::remove_file(app.store("run/nonsense.sock")).unwrap();
    }
    // Nothing is said of what switches nothing.
    let listener = silent(&app, "silent.sock");
    listener.set_nonblocking(true).unwrap();
    app.remy()
        .promote(
            Some(ReleaseId(1)),
            &options(r#"{"dry_run": true, "drain_ms": 60000}"#),
            Progress::none(),
        )
        .unwrap();
    assert!(listener.accept().is_err());
    // A verb that is called off does not wait.
    let stop = AtomicBool::new(false);
    let begun = Instant::now();
    let called_off = thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(700));
            stop.store(true, Ordering::Relaxed);
        });
        let progress = Progress::none().cancel(&stop);
        app.remy().promote(
            Some(ReleaseId(1)),
            &options(r#"{"drain_ms": 60000}"#),
            progress,
        )
    });
    assert_eq!(called_off.unwrap_err().code(), "busy");
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_socket_of_another_user_is_not_spoken_to() {
    let app = App::empty();
    two(&app);
    let listener = silent(&app, "theirs.sock");
    if std::os::unix::fs::chown(app.store("run/theirs.sock"), Some(65534), None).is_err() {
        not_covered("sockets of other users", "only root can make them");
        return;
    }
    listener.set_nonblocking(true).unwrap();
    let (took, _) = timed(&app, r#"{"drain_ms": 60000}"#);
    assert!(took < Duration::from_secs(20), "{took:?}");
    assert!(listener.accept().is_err());
}
