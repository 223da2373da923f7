//! Verbs in a process of their own, one trap a test: what a host must not notice, what becomes of
//! live where somebody is killed, and where a verb goes through the host all the same.
use remy_db::{Options, Progress};
use remy_tests::{
    built, built_program, compiled, live::App, not_covered, output, repository, shell, stdout,
};
use serde_json::Value;
use std::{
    fs::{self, File},
    io::{Read, Write},
    os::{
        fd::{FromRawFd, OwnedFd},
        unix::{
            fs::{MetadataExt, PermissionsExt, symlink},
            net::UnixStream,
        },
    },
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    ptr,
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

const USERS: &str = "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT);";
const SCHEMA: &str = "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, email TEXT);";

/// A database in a folder that another user may reach.
fn app() -> App {
    App::on(&format!("{USERS} INSERT INTO users VALUES (1, 'Ann')"))
}

/// The libraries under names of their own, so that their processes are told from those of other
/// tests; on the disk of the originals, and small, so that they can be copied.
struct Libraries(tempfile::TempDir);

impl Libraries {
    fn new() -> Self {
        let target = built("libremy0.so");
        let folder = tempfile::tempdir_in(target.parent().unwrap()).unwrap();
        for name in ["libremy0.so", "libremy.so"] {
            fs::hard_link(built(name), folder.path().join(name)).unwrap();
        }
        symlink("libremy.so", folder.path().join("libremy.so.0")).unwrap();
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Puts a copy without symbols into the place of the extension: a hard link shares its mode.
    fn of_its_own(self) -> Self {
        let (link, copy) = (self.path("libremy0.so"), self.path("copy.so"));
        let mut strip = Command::new("objcopy");
        stdout(strip.arg("--strip-debug").arg(&link).arg(&copy));
        fs::rename(copy, link).unwrap();
        self
    }

    /// The processes that these are the program of.
    fn running(&self) -> Vec<u32> {
        let all = fs::read_dir("/proc").unwrap().flatten();
        let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let is_ours = |pid: &u32| {
            fs::read_link(format!("/proc/{pid}/exe"))
                .is_ok_and(|exe| exe.starts_with(self.0.path()))
        };
        pids.filter(is_ours).collect()
    }

    /// Waits until none is running.
    fn end(&self) {
        let start = Instant::now();
        while !self.running().is_empty() {
            assert!(
                start.elapsed() < Duration::from_secs(20),
                "{:?}",
                self.running()
            );
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// A shell with the extension.
    fn shell(&self, live: &Path, statements: &[&str]) -> Command {
        let mut shell = Command::new("sqlite3");
        shell
            .args(["-batch", "-bail"])
            .arg(live)
            .arg(format!(".load {}", self.path("libremy0").display()));
        shell.args(statements);
        shell
    }

    /// What `remy_debug()` says of the process, and of why.
    fn debug(&self, change: impl FnOnce(&mut Command)) -> (String, String) {
        let app = app();
        let ask = "SELECT remy_debug() ->> 'process', remy_debug() ->> '$.notes[0]'";
        let mut shell = self.shell(&app.live, &[ask]);
        change(&mut shell);
        let said = stdout(&mut shell);
        let (process, why) = said.trim().split_once('|').unwrap();
        (process.to_owned(), why.to_owned())
    }

    /// A program of C's with libremy.so, which calls verbs on `live`.
    fn host(&self, live: &Path, case: &str) -> Command {
        self.host_of(live, SCHEMA, case)
    }

    /// The same, with another schema.
    fn host_of(&self, live: &Path, schema: &str, case: &str) -> Command {
        static PROGRAM: OnceLock<tempfile::TempDir> = OnceLock::new();
        let folder = PROGRAM.get_or_init(|| {
            let folder = tempfile::tempdir().unwrap();
            fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
            let of = format!("-L{}", self.0.path().display());
            compile_host(&folder.path().join("host"), &[&of, "-lremy"]);
            folder
        });
        let mut host = Command::new(folder.path().join("host"));
        host.arg(live)
            .args([schema, case])
            .arg(self.path("libremy.so").canonicalize().unwrap())
            .env("LD_LIBRARY_PATH", self.0.path());
        host
    }
}

/// Compiles the program of C's, with libremy as `libraries` have it.
fn compile_host(program: &Path, libraries: &[&str]) {
    let mut cc = Command::new("cc");
    cc.args([
        "-std=gnu99",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-Wno-unused-function",
        "-I",
    ])
    .arg(repository("include"))
    .arg(repository("tests/helper/host.c"))
    .args(libraries)
    .args(["-lpthread", "-lm", "-ldl", "-o"])
    .arg(program);
    stdout(&mut cc);
}

/// Waits until `done`.
fn until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(60), "{what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// The fields of a process's `stat` from its state on.
fn stat(pid: u32) -> Vec<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
    fields.split(' ').map(str::to_owned).collect()
}

/// Waits until a process of the libraries' runs, and has nothing to do for a while.
fn waits(libraries: &Libraries) -> u32 {
    until("a process runs", || !libraries.running().is_empty());
    let pid = libraries.running()[0];
    let (mut before, mut since) = (Vec::new(), Instant::now());
    until("it waits", || {
        // Its time in the processor so far.
        let now = stat(pid)
            .get(11..13)
            .map(<[String]>::to_vec)
            .unwrap_or_default();
        if now != before {
            (before, since) = (now, Instant::now());
        }
        since.elapsed() > Duration::from_millis(700)
    });
    pid
}

fn signal(pid: u32, signal: libc::c_int) {
    // SAFETY: a process that this test has started.
    assert_eq!(unsafe { libc::kill(pid.cast_signed(), signal) }, 0);
}

/// Live and its store are whole, and the next verb is fine.
fn is_whole(app: &App) {
    assert_eq!(app.ask("PRAGMA integrity_check"), "ok");
    app.publish(SCHEMA, r#"{"allow": ["drop"]}"#).unwrap();
    assert!(app.remy().verify().unwrap().ok);
    let work = fs::read_dir(app.store("work"));
    assert_eq!(work.map_or(0, Iterator::count), 0, "work/ is empty");
}

// What a host must not notice.

fn unnoticed(case: &str) {
    let (app, libraries) = (app(), Libraries::new());
    let out = stdout(&mut libraries.host(&app.live, case));
    let lines: Vec<Value> = out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    if let [debug, published @ ..] = &lines[..] {
        assert_eq!(
            (&debug["process"], &debug["engine"]),
            (&"own".into(), &"embedded".into())
        );
        assert!(
            published.iter().all(|outcome| outcome["status"] == "live"),
            "{out}"
        );
    } else {
        assert_eq!(case, "closed", "it has nowhere to print to");
    }
    let of_the_host = if case == "closed" { "0" } else { "3" };
    assert_eq!(
        app.ask("SELECT count(*) FROM users WHERE email NOT NULL"),
        of_the_host
    );
    libraries.end();
    is_whole(&app);
}

/// Three verbs, and no SIGCHLD, no child, no descriptor, no thread, and the same POSIX locks, which
/// an SQLite of the host's holds on live.
#[test]
fn a_host_sees_no_signal_no_child_no_descriptor_and_keeps_its_locks() {
    unnoticed("quiet");
}

#[test]
fn a_host_that_waits_for_every_child_gets_the_statuses_of_its_own_alone() {
    unnoticed("waited");
}

#[test]
fn a_host_may_ignore_its_children() {
    unnoticed("ignored");
}

#[test]
fn a_host_may_have_closed_what_it_reads_and_writes() {
    unnoticed("closed");
}

#[test]
fn a_host_may_block_and_ignore_every_signal() {
    unnoticed("blocked");
}

#[test]
fn a_host_may_have_as_many_descriptors_as_it_likes() {
    unnoticed("many");
}

// What is killed.

/// Kills what `victim` finds at moments all over a publish. Live is as it was or switched, and the
/// next verb is fine.
fn killed(victim: impl Fn(&Libraries, &Child) -> Option<u32>) {
    let libraries = Libraries::new();
    let app = App::on(&format!(
        "{USERS} WITH RECURSIVE c (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM c WHERE i < 50000)
         INSERT INTO users SELECT i, hex(randomblob(30)) FROM c"
    ));
    let sum = app.ask("SELECT count(*), sum(length(name)) FROM users");
    let mut hit = 0;
    for round in 0..20_u64 {
        let columns = if round % 2 == 0 {
            ", a, b"
        } else {
            ", a NOT NULL DEFAULT 1"
        };
        let schema = SCHEMA.replace(");", &format!("{columns});"));
        let publish = format!(
            "SELECT remy_publish('{schema}', '{{\"allow\": [\"drop\", \"lossy\", \"type_change\"]}}') IS NULL"
        );
        let mut host = libraries
            .shell(&app.live, &[&publish])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let start = Instant::now();
        while libraries.running().is_empty() && host.try_wait().unwrap().is_none() {
            assert!(start.elapsed() < Duration::from_secs(60));
        }
        thread::sleep(Duration::from_millis(round * round * 2));
        if let Some(pid) = victim(&libraries, &host) {
            // SAFETY: a process that this test has started.
            hit += u32::from(unsafe { libc::kill(pid.cast_signed(), libc::SIGKILL) } == 0);
        }
        host.wait().unwrap();
        libraries.end();
        assert_eq!(
            app.ask("SELECT count(*), sum(length(name)) FROM users"),
            sum,
            "round {round}"
        );
        assert_eq!(app.ask("PRAGMA integrity_check"), "ok", "round {round}");
    }
    assert!(hit > 3, "{hit} were killed");
    is_whole(&app);
}

#[test]
fn a_process_that_is_killed_leaves_live_as_it_was_or_switched() {
    killed(|libraries, _| libraries.running().first().copied());
}

#[test]
fn a_host_that_is_killed_takes_its_process_with_it() {
    killed(|_, host| Some(host.id()));
}

/// Its children hold what they have of its descriptors: the other process is told by its host's
/// process alone.
#[test]
fn a_host_that_forks_all_the_time_and_is_killed_leaves_nothing_behind() {
    let (app, libraries) = (app(), Libraries::new());
    let mut host = libraries
        .host(&app.live, "forks")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let start = Instant::now();
    while app
        .ask("SELECT count(*) FROM users")
        .parse::<u64>()
        .unwrap()
        < 3
    {
        assert!(start.elapsed() < Duration::from_secs(60), "it publishes");
        assert!(host.try_wait().unwrap().is_none(), "it goes on");
    }
    host.kill().unwrap();
    host.wait().unwrap();
    libraries.end();
    is_whole(&app);
}

/// A publish that waits for a writer, as another process has begun a transaction. `victim` is told
/// to end (SIGTERM); returns what the host came to.
fn told_to_end(libraries: &Libraries, app: &App, victim: impl Fn(u32, u32) -> u32) -> Output {
    app.publish(USERS, "{}").unwrap();
    let writer = rusqlite::Connection::open(&app.live).unwrap();
    writer.execute_batch("BEGIN IMMEDIATE").unwrap();
    let publish = format!("SELECT remy_publish('{SCHEMA}', '{{\"lock_timeout_ms\": 60000}}')");
    let host = libraries
        .shell(&app.live, &[&publish])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    until("it has its clone", || {
        fs::read_dir(app.store("work")).is_ok_and(|work| work.count() > 0)
    });
    thread::sleep(Duration::from_secs(1)); // and waits for the writer, as it looks every few ms
    let process = libraries.running()[0];
    let start = Instant::now();
    signal(victim(host.id(), process), libc::SIGTERM);
    let out = host.wait_with_output().unwrap();
    libraries.end();
    assert!(start.elapsed() < Duration::from_secs(10), "at once");
    assert_eq!(app.ask("SELECT * FROM users"), "1|Ann", "live is as it was");
    writer.execute_batch("ROLLBACK").unwrap();
    out
}

#[test]
fn a_process_that_is_told_to_end_calls_its_verb_off() {
    let (app, libraries) = (app(), Libraries::new());
    let out = told_to_end(&libraries, &app, |_, process| process);
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(
        said.contains("busy: the caller called it off. Live is unchanged"),
        "{said}"
    );
    is_whole(&app);
}

#[test]
fn a_host_that_is_told_to_end_calls_its_verb_off() {
    let (app, libraries) = (app(), Libraries::new());
    let out = told_to_end(&libraries, &app, |host, _| host);
    assert!(!out.status.success(), "{out:?}");
    is_whole(&app);
}

/// It reads nothing, and its socket is full of lines: its process waits for it before it takes any
/// lock, and leaves lines out.
#[test]
fn a_host_that_is_stopped_keeps_no_writer_waiting_and_goes_on() {
    let (app, libraries) = (app(), Libraries::new());
    let many: String = (0..1000)
        .map(|i| format!("CREATE TABLE t{i} (a);"))
        .collect();
    let schema = app.file("many.sql", &format!("{SCHEMA} {many}"));
    let host = libraries
        .host_of(&app.live, schema.to_str().unwrap(), "stops")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    until("it is stopped", || {
        stat(host.id()).first().is_some_and(|state| state == "T")
    });
    waits(&libraries);
    let start = Instant::now();
    shell(&app.live, "INSERT INTO users (name) VALUES ('Bob')");
    assert!(
        start.elapsed() < Duration::from_secs(2),
        "nobody waits for the host"
    );
    assert_eq!(
        app.ask("SELECT count(*) FROM sqlite_schema WHERE name = 't0'"),
        "0"
    );
    signal(host.id(), libc::SIGCONT);
    let out = host.wait_with_output().unwrap();
    assert!(out.status.success(), "{out:?}");
    let out = String::from_utf8(out.stdout).unwrap();
    let published: Value = serde_json::from_str(out.lines().nth(1).unwrap()).unwrap();
    assert_eq!(published["status"], "live");
    assert!(
        published["log"].as_array().unwrap().len() > 1000,
        "the log is whole"
    );
    assert_eq!(
        app.ask("SELECT count(*) FROM users WHERE name = 'Bob'"),
        "1"
    );
    libraries.end();
}

/// A terminal, and what is written to it.
fn terminal() -> (File, OwnedFd) {
    let (mut ours, mut theirs) = (-1, -1);
    let (name, modes, size) = (ptr::null_mut(), ptr::null(), ptr::null());
    // SAFETY: two numbers may be written to; no name is wanted, and modes and size are those by
    // default. Both descriptors are new.
    unsafe {
        assert_eq!(
            libc::openpty(&raw mut ours, &raw mut theirs, name, modes, size),
            0
        );
        (File::from_raw_fd(ours), OwnedFd::from_raw_fd(theirs))
    }
}

/// On the terminal of who calls, where it is asked for, in either process; nowhere else.
#[test]
fn progress_is_shown_on_a_terminal() {
    let libraries = Libraries::new();
    for helper in ["", "none"] {
        for (options, on_terminal, shown) in [
            (r#"{"progress": true}"#, true, true),
            (r#"{"progress": false}"#, true, false),
            (r#"{"progress": true}"#, false, false),
        ] {
            let app = app();
            let publish = format!("SELECT remy_publish('{SCHEMA}', '{options}') ->> 'status'");
            let mut shell = libraries.shell(&app.live, &[&publish]);
            shell.env("REMY_HELPER", helper).stdout(Stdio::piped());
            let (mut ours, theirs) = terminal();
            if on_terminal {
                shell.stderr(theirs);
            } else {
                shell.stderr(Stdio::piped());
                drop(theirs);
            }
            let host = shell.spawn().unwrap();
            drop(shell); // holds the terminal open
            let reads = thread::spawn(move || {
                let mut said = Vec::new();
                let _ = ours.read_to_end(&mut said); // ends with an error where nobody has it open
                String::from_utf8_lossy(&said).into_owned()
            });
            let out = host.wait_with_output().unwrap();
            assert_eq!(out.stdout, b"live\n", "{out:?}");
            let said = reads.join().unwrap() + &String::from_utf8_lossy(&out.stderr);
            assert_eq!(
                said.contains("clone: Cloned live database"),
                shown,
                "{helper} {options}: {said:?}"
            );
            assert_eq!(said.contains("settle: "), shown, "{said:?}");
            assert!(shown || said.is_empty(), "{said:?}");
        }
    }
}

// What goes through the host.

/// What the SQLite of the host has for every connection of its, the engine lacks: a schema that
/// uses it is the host's to publish, and any other one is not.
#[test]
fn what_every_connection_of_the_hosts_has_is_used_by_way_of_the_host() {
    let (app, libraries) = (app(), Libraries::new());
    let load = format!(
        ".load {}",
        compiled("tests/fixtures/auto_functions.c").display()
    );
    let by = |schema: &str| {
        let publish = format!("SELECT remy_publish('{schema}') ->> '$.switch.by'");
        let ask = "SELECT remy_debug() ->> 'process', remy_debug() ->> '$.notes[0]'";
        stdout(&mut libraries.shell(&app.live, &[&load, &publish, ask]))
    };
    let said = by(SCHEMA);
    assert!(said.starts_with("pages\nown|"), "{said}");
    let said = by(&format!(
        "{SCHEMA} CREATE INDEX doubled ON users (app_doubled(id));"
    ));
    assert!(said.starts_with("backup\nhost|"), "{said}");
    assert!(
        said.contains("the SQLite of this process has app_doubled, which the schema may use"),
        "{said}"
    );
    let ask = "SELECT name FROM users INDEXED BY doubled WHERE app_doubled(id) = 2";
    assert_eq!(
        stdout(&mut libraries.shell(&app.live, &[&load, ask])),
        "Ann\n"
    );
    let said = by(SCHEMA);
    assert!(
        said.starts_with("backup\nown|"),
        "live's own schema used it: {said}"
    );
    is_whole(&app);
}

/// Whoever starts a set-uid program must not say what it starts.
#[test]
fn a_set_uid_program_does_not_ask_who_starts_it_for_a_program() {
    let (app, libraries) = (app(), Libraries::new());
    // SAFETY: asks who this is.
    if unsafe { libc::geteuid() } != 0 || !reachable(libraries.0.path()) {
        return not_covered(
            "a set-uid host",
            "only root makes one, of libraries that others may reach",
        );
    }
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("host");
    let at = libraries.0.path().display();
    compile_host(
        &program,
        &[&format!("-L{at}"), &format!("-Wl,-rpath,{at}"), "-lremy"],
    );
    std::os::unix::fs::chown(&program, Some(54_321), Some(54_321)).unwrap();
    for path in [folder.path(), &program] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    belongs_to(&app, 54_321);
    let named = folder.path().join("named");
    fs::write(
        &named,
        format!("#!/bin/sh\ntouch {}/started\n", app.dir.path().display()),
    )
    .unwrap();
    fs::set_permissions(&named, fs::Permissions::from_mode(0o755)).unwrap();
    let run = |reuid: &str| {
        let mut host = Command::new("setpriv");
        host.args(["--reuid", reuid, "--regid", reuid, "--clear-groups"])
            .arg(&program)
            .arg(&app.live)
            .args([SCHEMA, "quiet"])
            .env("REMY_HELPER", &named);
        output(&mut host)
    };
    let started = app.dir.path().join("started");
    let out = run("54321");
    assert!(
        started.exists(),
        "who starts a program of their own may say so: {out:?}"
    );
    fs::remove_file(&started).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o4755)).unwrap();
    let out = run("54322");
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    if said.contains("unable to open") || said.contains("Permission denied") {
        return not_covered("a set-uid host", "this file system has no such thing");
    }
    assert!(out.status.success(), "{out:?}");
    assert!(!started.exists());
    assert!(
        String::from_utf8_lossy(&out.stdout).contains(r#""process":"own""#),
        "{out:?}"
    );
}

/// `libremy.a` has no file of its own: what lies beside the program is started.
#[test]
fn a_static_host_starts_the_library_beside_it() {
    let (app, libraries) = (app(), Libraries::new());
    let program = libraries.path("static-host");
    let library = built("libremy.a");
    compile_host(&program, &[library.to_str().unwrap(), "-lgcc_s"]);
    let run = || {
        output(
            Command::new(&program)
                .arg(&app.live)
                .args([SCHEMA, "quiet"]),
        )
    };
    let out = run();
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(out.status.success(), "{out:?}");
    assert!(
        said.contains(r#""process":"own""#) && said.contains("libremy.so is the program of"),
        "{said}"
    );
    assert_eq!(said.matches(r#""by":"pages""#).count(), 3, "{said}");
    libraries.end();
    fs::remove_file(libraries.path("libremy.so")).unwrap();
    let command = libraries.path("remy");
    fs::copy(built_program("remy-command"), &command).unwrap();
    let out = run();
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(
        said.contains(r#""process":"own""#) && said.contains("remy is the program of"),
        "{out:?}"
    );
    // Without either the verb runs here, where the host has live open through another SQLite.
    fs::remove_file(&command).unwrap();
    let out = run();
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(
        !out.status.success() && said.contains("another SQLite"),
        "{out:?}"
    );
    is_whole(&app);
}

/// Verbs run through the host, `remy_debug()` says why, and a publish is done.
fn through_the_host(libraries: &Libraries, why: &str, change: impl Fn(&mut Command)) {
    let (process, said) = libraries.debug(&change);
    assert_eq!(process, "host", "{said}");
    assert!(said.contains(why), "{why:?} is not in {said:?}");
    let app = app();
    let publish = format!("SELECT remy_publish('{SCHEMA}') ->> '$.switch.by'");
    let mut shell = libraries.shell(&app.live, &[&publish]);
    change(&mut shell);
    assert_eq!(stdout(&mut shell).trim(), "backup");
}

#[test]
fn a_file_that_may_not_be_executed_is_started_all_the_same() {
    let libraries = Libraries::new().of_its_own();
    let file = libraries.path("libremy0.so");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(libraries.debug(|_| ()).0, "own");
}

#[test]
fn a_file_that_is_gone_or_another_by_now_is_not_started() {
    for other in [false, true] {
        let libraries = Libraries::new();
        let file = libraries.path("libremy0.so");
        let change = if other {
            format!(
                ".shell cp /bin/true {0}.new && mv {0}.new {0}",
                file.display()
            )
        } else {
            format!(".shell rm {}", file.display())
        };
        let app = app();
        let ask = "SELECT remy_debug() ->> 'process', remy_debug() ->> '$.notes[0]'";
        let publish = format!("SELECT remy_publish('{SCHEMA}') ->> '$.switch.by'");
        let out = stdout(&mut libraries.shell(&app.live, &[&change, ask, &publish]));
        assert!(
            out.starts_with("host|") && out.contains("was removed or replaced"),
            "{out}"
        );
        assert!(out.ends_with("\nbackup\n"), "{out}");
    }
}

#[test]
fn a_host_that_may_start_nothing_runs_its_verbs_itself() {
    let (app, libraries) = (app(), Libraries::new());
    let out = stdout(&mut libraries.host(&app.live, "seccomp"));
    let debug: Value = serde_json::from_str(out.lines().next().unwrap()).unwrap();
    assert_eq!(debug["process"], "host");
    let why = debug["notes"][0].to_string();
    assert!(
        why.contains("could not be executed: Operation not permitted"),
        "{why}"
    );
    assert_eq!(out.matches("\"status\":\"live\"").count(), 3, "{out}");
}

#[test]
fn a_user_with_as_many_processes_as_may_be_runs_its_verbs_in_the_host() {
    // SAFETY: asks who this is.
    if unsafe { libc::geteuid() } != 0 {
        return not_covered(
            "RLIMIT_NPROC",
            "only root may start a process of another user's",
        );
    }
    let (app, libraries) = (app(), Libraries::new());
    if !reachable(libraries.0.path()) {
        return not_covered(
            "RLIMIT_NPROC",
            "another user may not reach the folder of the build",
        );
    }
    // One that no other test has: the limit counts all of a user's, threads too, one of which
    // every verb needs for a while.
    belongs_to(&app, 54_323);
    let ask = "SELECT remy_debug() ->> 'process', remy_debug() ->> '$.notes[0]'";
    let publish = format!("SELECT remy_publish('{SCHEMA}') ->> '$.switch.by'");
    let shell = libraries.shell(&app.live, &[ask, &publish]);
    let limited = |most: u32| {
        let mut limited = Command::new("setpriv");
        limited
            .args(["--reuid", "54323", "--regid", "54323", "--clear-groups"])
            .args(["prlimit", &format!("--nproc={most}")])
            .arg(shell.get_program())
            .args(shell.get_args());
        limited
    };
    let out = stdout(&mut limited(2));
    assert!(
        out.starts_with("host|") && out.contains("no process could be made: Resource temporarily"),
        "{out}"
    );
    assert!(out.ends_with("\nbackup\n"), "{out}");
    // With one more or less it is done, or refused for what is missing.
    for most in [1, 3, 4, 5] {
        let out = limited(most).output().unwrap();
        let said = String::from_utf8_lossy(&out.stderr);
        assert!(
            out.status.success() || said.contains("Resource temporarily unavailable"),
            "{most}: {said}"
        );
        assert!(!said.contains("internal"), "{most}: {said}");
    }
}

/// Whether everybody may go to a folder.
fn reachable(folder: &Path) -> bool {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    let mut all = folder.ancestors();
    all.all(|folder| fs::metadata(folder).is_ok_and(|found| found.mode() & 0o001 != 0))
}

/// Gives a database and its folder to a user.
fn belongs_to(app: &App, uid: u32) {
    for path in fs::read_dir(app.dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
    {
        std::os::unix::fs::chown(path, Some(uid), Some(uid)).unwrap();
    }
    std::os::unix::fs::chown(app.dir.path(), Some(uid), Some(uid)).unwrap();
}

#[test]
fn what_is_no_program_of_this_build_is_not_spoken_to() {
    let libraries = Libraries::new();
    let folder = tempfile::tempdir().unwrap();
    let script = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    };
    let hello = r#"{"remy":"0.0.1","build":"0123"}"#;
    let says = |name: &str, text: &str| {
        script(
            name,
            &format!("#!/bin/sh\nprintf '{text}'\nexec sleep 100 >/dev/null\n"),
        )
    };
    let length = format!("h\\{:03o}\\0\\0\\0", hello.len());
    for (program, why) in [
        (
            says("older", &format!("{length}{hello}")),
            "is of remy 0.0.1, build 0123, and this is another",
        ),
        (says("greets", "hello\\0\\0\\0\\0"), "is no program of remy"),
        (says("http", "HTTP/1.1 200 OK\\n"), "is no program of remy"),
        (
            says("endless", "l\\377\\377\\377\\377"),
            "is no program of remy",
        ),
        ("/bin/true".into(), "ended, or said nothing"),
        ("/bin/cat".into(), "ended, or said nothing"),
        (script("text", "no program"), "could not be executed"),
        ("/no/such/file".into(), "cannot be read"),
        ("none".into(), "REMY_HELPER is none"),
    ] {
        if program.ends_with("cat") {
            continue; // it says nothing for as long as it is let: 10 s each
        }
        through_the_host(&libraries, why, |host| {
            host.env("REMY_HELPER", &program);
        });
    }
}

/// A program that says it is of this build, and then something that it may not say.
#[test]
fn what_the_process_says_is_not_trusted() {
    let libraries = Libraries::new();
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let mut program = Command::new(libraries.path("libremy0.so"))
        .stdin(OwnedFd::from(theirs.try_clone().unwrap()))
        .stdout(OwnedFd::from(theirs))
        .spawn()
        .unwrap();
    let mut head = [0; 5];
    ours.read_exact(&mut head).unwrap();
    assert_eq!(head[0], b'h');
    let mut hello = vec![0; usize::from(head[1])];
    ours.read_exact(&mut hello).unwrap();
    let hello = String::from_utf8(hello).unwrap();
    assert!(hello.contains(remy_db::VERSION), "{hello}");
    // And what it is told is not trusted, either.
    ours.write_all(b"c\x02\0\0\0{}").unwrap();
    let mut said = String::new();
    ours.read_to_string(&mut said).unwrap();
    assert!(
        said.starts_with('e') && said.contains("a call that is not understood"),
        "{said}"
    );
    program.wait().unwrap();

    let folder = tempfile::tempdir().unwrap();
    for (says, why) in [
        (
            "z\\0\\0\\0\\0",
            "internal: the other process of remy's sent a frame of no kind (122)",
        ),
        (
            "l\\377\\377\\377\\377",
            "internal: the other process of remy's sent a frame of 4294967295 bytes, and 268435456 is the most",
        ),
        (
            "e\\002\\0\\0\\0{}",
            "internal: the other process of remy's sent an error that is not understood",
        ),
        (
            "a\\0\\0\\0\\0",
            "internal: the other process of remy's sent a frame that is not its to send",
        ),
        (
            "",
            "io: the process that ran the verb was ended before the verb was",
        ),
    ] {
        let path = folder.path().join("program");
        let script = format!(
            "#!/bin/sh\nprintf 'h\\{:03o}\\0\\0\\0%s' '{hello}'\nhead -c 5 >/dev/null\nprintf '{says}'\nsleep {}\n",
            hello.len(),
            u8::from(!says.is_empty())
        );
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        let app = app();
        let mut shell = libraries.shell(&app.live, &["SELECT remy_debug()"]);
        let out = output(shell.env("REMY_HELPER", &path));
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(said.contains(why), "{why:?} is not in {said:?}");
    }
}

#[test]
fn a_library_that_is_started_by_hand_says_what_it_is() {
    for name in ["libremy0.so", "libremy.so"] {
        let out = output(Command::new(built(name)).stdin(Stdio::null()));
        assert_eq!(out.status.code(), Some(2), "{out:?}");
        assert!(
            String::from_utf8_lossy(&out.stderr).contains("a library. Load it"),
            "{out:?}"
        );
        let headers = stdout(Command::new("readelf").arg("-lW").arg(built(name)));
        assert!(
            headers.contains("[Requesting program interpreter: /lib"),
            "{headers}"
        );
    }
    let dynamic = stdout(Command::new("readelf").arg("-SW").arg(built("libremy.a")));
    assert!(
        !dynamic.split_whitespace().any(|word| word == ".interp"),
        "a program of somebody else's has its own"
    );
}

#[test]
fn a_vfs_of_the_hosts_and_an_exclusive_lock_are_its_own() {
    let (app, libraries) = (app(), Libraries::new());
    let uri = format!("file:{}?vfs=unix-excl", app.live.display());
    let ask = "SELECT remy_debug() ->> 'process', remy_debug() ->> '$.notes[0]'";
    let said = stdout(&mut libraries.shell(Path::new(&uri), &[ask]));
    assert!(
        said.starts_with("host|") && said.contains("by the VFS unix-excl"),
        "{said}"
    );

    let start = Instant::now();
    let publish = format!("SELECT remy_publish('{SCHEMA}')");
    let exclusive = [
        "PRAGMA locking_mode = EXCLUSIVE",
        "UPDATE users SET name = name",
        &publish,
    ];
    let out = output(&mut libraries.shell(&app.live, &exclusive));
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(
        said.contains("invalid_argument: this connection has locking_mode=EXCLUSIVE"),
        "{said}"
    );
    assert!(start.elapsed() < Duration::from_secs(4), "at once");
}

// Clients that are older than the engine.

/// The shell of the system is 3.40: it cannot read what newer ones can.
#[test]
fn a_schema_that_the_host_cannot_read_does_not_go_live() {
    let version = stdout(Command::new("sqlite3").arg("--version"));
    if !version.starts_with("3.40") {
        return not_covered("a host older than the engine", &version);
    }
    let (app, libraries) = (app(), Libraries::new());
    let publish = |schema: &str| {
        let publish = format!("SELECT remy_publish('{}')", schema.replace('\'', "''"));
        let out = output(&mut libraries.shell(&app.live, &[&publish]));
        assert!(!out.status.success(), "{schema}");
        String::from_utf8_lossy(&out.stderr).into_owned()
    };
    let before = app.seen();
    for (more, why) in [
        ("CREATE TABLE t (a DEFAULT 1_000);", "schema_invalid: "),
        (
            "CREATE VIEW v AS SELECT group_concat(name ORDER BY id) FROM users;",
            "schema_invalid: ",
        ),
        (
            "CREATE INDEX i ON users (concat(name, email));",
            "unsupported_change: this application runs SQLite 3.40.1, which cannot read the index i",
        ),
        (
            "CREATE VIEW v AS SELECT concat(name, email) FROM users;",
            "unsupported_change: this application runs SQLite 3.40.1, which cannot read the view v",
        ),
    ] {
        let said = publish(&format!("{SCHEMA} {more}"));
        assert!(said.contains(why), "{more}: {said}");
        // It may have been adopted, and has nothing of the schema.
        assert_eq!(
            app.ask("SELECT count(*) FROM sqlite_schema WHERE name IN ('t', 'v', 'i')"),
            "0"
        );
    }
    assert_eq!(app.ask("SELECT * FROM users"), "1|Ann");
    assert!(before.contains("Ann"));

    // Another client published it, and went back.
    app.publish(
        &format!("{SCHEMA} CREATE VIEW v AS SELECT group_concat(name ORDER BY id) FROM users;"),
        "{}",
    )
    .unwrap();
    let release = app.remy().releases().unwrap()[0].release;
    app.publish(SCHEMA, "{}").unwrap();
    let columns = app.ask("SELECT sql FROM sqlite_schema");
    for verb in ["rollback", "promote"] {
        let call = format!("SELECT remy_{verb}({release})");
        let out = output(&mut libraries.shell(&app.live, &[&call]));
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(
            said.contains("unsupported_change: ")
                && said.contains("cannot read the view v: near \"ORDER\""),
            "{said}"
        );
        assert!(said.contains("Live is unchanged"), "{said}");
        assert_eq!(app.ask("SELECT sql FROM sqlite_schema"), columns);
    }
    is_whole(&app);
}

/// Where no host is at hand: the outcome says which SQLite reads the schema, and who says what is
/// in use is refused what that does not read, whatever brings it back.
#[test]
fn what_clients_are_to_read_is_said_and_held() {
    let app = app();
    let plain = app.publish(SCHEMA, "{}").unwrap();
    assert_eq!(plain.clients, None, "and so are the tables of remy's");
    let ordered = format!(
        "{SCHEMA} CREATE VIEW v AS SELECT a.id FROM users AS a FULL JOIN users AS b USING (id);"
    );
    let newer = app.publish(&ordered, r#"{"clients": "3.39.1"}"#).unwrap();
    let clients = newer.clients.unwrap();
    assert_eq!(
        (
            clients.oldest.to_string().as_str(),
            clients.object.as_str(),
            clients.feature.as_str()
        ),
        ("3.39", "v", "RIGHT JOIN or FULL JOIN")
    );
    let words = [
        "the view v has RIGHT JOIN or FULL JOIN, which SQLite reads from 3.39 on, and clients with 3.38 are to use it",
        "Live is unchanged",
        "Write it as 3.38 reads it",
    ];
    let options = || Options::from_json(r#"{"clients": "3.38", "label": "older"}"#).unwrap();
    let refuses = |verb: &dyn Fn(&remy_db::Remy) -> remy_db::Result<()>| {
        app.refuses("unsupported_change", &words, |app| verb(&app.remy()));
    };
    refuses(&|remy| {
        remy.publish(&ordered, &options(), Progress::none())
            .map(drop)
    });
    refuses(&|remy| remy.stage(&ordered, &options(), Progress::none()).map(drop));
    refuses(&|remy| remy.diff(&ordered, &options()).map(drop));
    // Back to it, by a client that reads it or not.
    app.publish(SCHEMA, r#"{"clients": "3.38"}"#).unwrap();
    let back = Some(newer.release);
    refuses(&|remy| remy.rollback(back, &options(), Progress::none()).map(drop));
    refuses(&|remy| remy.promote(back, &options(), Progress::none()).map(drop));
    let diff = app
        .remy()
        .diff(&format!("{SCHEMA} CREATE TABLE t (a);"), &options())
        .unwrap();
    assert_eq!(diff.len(), 1, "what it reads is told as ever");
    let came_back = app.rollback(Some(newer.release.0)).unwrap();
    assert_eq!(came_back.clients.unwrap().object, "v");
    // By SQL the same.
    let libraries = Libraries::new();
    let publish = format!(
        r#"SELECT remy_publish('{SCHEMA} CREATE TABLE t (a TEXT) STRICT;', '{{"clients": "3.36"}}')"#
    );
    let out = output(&mut libraries.shell(&app.live, &[&publish]));
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(
        said.contains(
            "unsupported_change: the table t has STRICT, which SQLite reads from 3.37 on"
        ),
        "{said}"
    );
}

// Whose the process is.

#[test]
fn the_process_of_root_is_lives_owners() {
    // SAFETY: asks who this is.
    if unsafe { libc::geteuid() } != 0 {
        return not_covered("whose the process of root is", "this is not root");
    }
    let (app, libraries) = (app(), Libraries::new());
    belongs_to(&app, 54_321);
    // The SQLite of the host would leave files of root's.
    shell(&app.live, "PRAGMA journal_mode = delete");
    belongs_to(&app, 54_321);
    let mut host = libraries.host(&app.live, "owner");
    let out = stdout(host.env("ROOTS_PASSWORD", "hunter2"));
    for id in ["Uid", "Gid"] {
        let whose = format!("{id}:\t54321\t54321\t54321\t54321");
        assert!(out.contains(&whose), "{out}");
    }
    // Whoever owns a process may read its environment.
    let environment = out.lines().find(|line| line.starts_with("environ "));
    assert_eq!(environment.map(str::trim), Some("environ"), "{out}");
    for entry in fs::read_dir(app.store("")).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(
            fs::metadata(&path).unwrap().uid(),
            54_321,
            "{}",
            path.display()
        );
    }
}
