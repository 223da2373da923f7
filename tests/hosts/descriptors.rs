//! What remy opens and closes in the process of an application: nothing of it may drop the
//! application's locks, or keep its pipes open.
use crate::{SCHEMA, WRITES, database, database_with_writers};
use remy_db::{Line, Options, Progress, Reached, Remy};
use remy_tests::shell;
use rusqlite::Connection;
use std::{
    fs::{self, File},
    os::fd::AsRawFd,
    path::Path,
    process::Command,
    sync::atomic::{AtomicBool, AtomicI32, Ordering},
};

/// The application has live open through the engine that remy uses, all the while. Were a
/// descriptor of live closed in this process, its locks would be gone: a process that comes and
/// goes would take itself for the last, and remove the WAL that the application goes on to write
/// to.
#[test]
fn no_verb_drops_the_locks_of_the_application() {
    let (folder, path) = database_with_writers();
    let app = Connection::open(&path).unwrap();
    let mut written = Vec::new();
    let mut go_on = |after: &str| {
        for n in 0..3 {
            shell(&path, "SELECT count(*) FROM app_writes");
            let key = format!("{after}-{n}");
            app.execute("INSERT INTO app_writes (key) VALUES (?1)", [&key])
                .unwrap();
            let found = shell(&path, "SELECT key FROM app_writes");
            assert!(
                found.lines().any(|found| found == key),
                "{key} was acknowledged, and is not there"
            );
            written.push(key);
        }
    };
    go_on("opened");
    let remy = Remy::open(&path).unwrap();
    go_on("remy opened");
    let schema = format!("{SCHEMA} {WRITES}");
    remy.diff(&schema, &Options::default()).unwrap();
    go_on("diff");
    remy.clone_to(folder.path().join("clone.db")).unwrap();
    go_on("clone");
    remy.publish(&schema, &Options::default(), Progress::none())
        .unwrap();
    go_on("publish");
    remy.dev_start("ann").unwrap();
    remy.dev_reset("ann").unwrap();
    go_on("dev");
    remy.verify().unwrap();
    go_on("verify");
    remy.rollback(None, &Options::default(), Progress::none())
        .unwrap();
    go_on("rollback");
    remy.detach().unwrap();
    go_on("detach");
}

/// The application has another database open through an SQLite of its own, in the middle of a
/// transaction. Nobody else gets in because remy has read it: as a declared schema, or as one of
/// the files that are kept with a release.
#[test]
fn a_database_that_is_read_stays_locked() {
    let (folder, path) = database();
    let files = folder.path().join("files");
    fs::create_dir(&files).unwrap();
    let other = files.join("other.db");
    shell(
        &other,
        "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, email TEXT)",
    );
    let held = File::options().read(true).write(true).open(&other).unwrap();
    // SAFETY: all-zero is a valid flock; the descriptor is open.
    let locked = unsafe {
        let mut reserved: libc::flock = std::mem::zeroed();
        reserved.l_type = libc::F_WRLCK as i16;
        reserved.l_start = 0x4000_0001; // SQLite's byte for who is about to write
        reserved.l_len = 1;
        libc::fcntl(held.as_raw_fd(), libc::F_SETLK, &raw const reserved)
    };
    assert_eq!(locked, 0);
    let is_locked = || {
        let tried = Command::new("sqlite3")
            .arg(&other)
            .arg("BEGIN IMMEDIATE")
            .output()
            .unwrap();
        String::from_utf8_lossy(&tried.stderr).contains("locked")
    };
    assert!(is_locked());
    let remy = Remy::open(&path).unwrap();
    let e = remy
        .diff(other.to_str().unwrap(), &Options::default())
        .unwrap_err();
    assert_eq!(e.code(), "live_in_use", "{e}");
    assert!(
        e.to_string().contains("other.db") && e.to_string().contains("Nothing was done"),
        "{e}"
    );
    assert!(is_locked(), "after a diff");
    let options = Options::from_json(&format!(r#"{{"artifacts": {files:?}}}"#)).unwrap();
    for _ in 0..2 {
        remy.publish(SCHEMA, &options, Progress::none()).unwrap();
        assert!(is_locked(), "after a publish");
    }
    drop(held);
    assert!(!is_locked());
    shell(&other, "CREATE TABLE more (a)");
    assert_eq!(
        remy.diff(other.to_str().unwrap(), &Options::default())
            .unwrap()
            .len(),
        1
    );
}

/// The application forks while a verb is at work, and the child stays: the store is not locked for
/// as long as it lives.
#[test]
fn a_child_that_was_forked_meanwhile() {
    let (_folder, path) = database();
    let remy = Remy::open(&path).unwrap();
    let child = AtomicI32::new(0);
    let fork = |_: &Line| {
        if child.load(Ordering::Relaxed) == 0 {
            // SAFETY: the child calls nothing but sleep and _exit, which may be called there.
            child.store(
                unsafe {
                    match libc::fork() {
                        0 => {
                            libc::sleep(30);
                            libc::_exit(0)
                        }
                        child => child,
                    }
                },
                Ordering::Relaxed,
            );
        }
    };
    remy.publish(SCHEMA, &Options::default(), Progress::none().on_line(&fork))
        .unwrap();
    let options = Options::from_json(r#"{"lock_timeout_ms": 300}"#).unwrap();
    let published = remy.publish(SCHEMA, &options, Progress::none());
    let child = child.into_inner();
    assert!(child > 0);
    // SAFETY: ends the child of this test, and takes note of it.
    unsafe {
        libc::kill(child, libc::SIGKILL);
        libc::waitpid(child, std::ptr::null_mut(), 0);
    }
    assert_eq!(published.unwrap().status, Reached::Live);
}

/// Live's main file is copied by a thread with a table of descriptors of its own, which holds none
/// of the application's: a pipe that the application closes is closed at once.
#[test]
fn a_copying_thread_holds_nothing_of_the_application() {
    let (folder, path) = database_with_writers();
    shell(
        &path,
        "CREATE TABLE pad (a); INSERT INTO pad VALUES (zeroblob(100000000)); PRAGMA wal_checkpoint(TRUNCATE)",
    );
    let live = path.canonicalize().unwrap();
    let sentinel = folder.path().join("sentinel");
    let (reader, _writer) = std::io::pipe().unwrap();
    let pipe = fs::read_link(format!("/proc/self/fd/{}", reader.as_raw_fd())).unwrap();
    let done = AtomicBool::new(false);
    let seen = std::thread::scope(|scope| {
        scope.spawn(|| {
            let remy = Remy::open(&path).unwrap();
            for n in 0..30 {
                let clone = folder.path().join(format!("clone-{n}.db"));
                remy.clone_to(&clone).unwrap();
                fs::remove_file(clone).unwrap();
            }
            done.store(true, Ordering::Relaxed);
        });
        let mut seen = 0;
        while !done.load(Ordering::Relaxed) {
            // Opened now: a thread that has live and not this has a table of its own.
            let mark = File::create(&sentinel).unwrap();
            for thread in fs::read_dir("/proc/self/task").unwrap().flatten() {
                let open = descriptors(&thread.path());
                if open.contains(&live) && !open.contains(&sentinel) {
                    assert!(
                        !open.contains(&pipe),
                        "a copying thread holds a pipe of the application: {open:?}"
                    );
                    seen += 1;
                }
            }
            drop(mark);
        }
        seen
    });
    assert!(
        seen > 0,
        "no thread was seen that copies with a table of its own"
    );
}

/// What a thread has open; nothing, where it has ended.
fn descriptors(thread: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(thread.join("fd"))
        .into_iter()
        .flatten()
        .flatten();
    entries
        .filter_map(|entry| fs::read_link(entry.path()).ok())
        .collect()
}
