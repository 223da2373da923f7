//! What remy opens and closes in the process of an application: nothing of it may drop the application's locks, or keep
//! its pipes open.
use crate::{SCHEMA, WRITES, database_with_writers};
use remy_core::{Options, Progress, Remy};
use remy_tests::shell;
use rusqlite::Connection;
use std::{
    fs::{self, File},
    os::fd::AsRawFd,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

/// The application has live open through the engine that remy uses, all the while. Were a descriptor of live closed in this
/// process, its locks would be gone: a process that comes and goes would take itself for the last, and remove the WAL that
/// the application goes on to write to.
#[test]
fn no_verb_drops_the_locks_of_the_application() {
    let (folder, path) = database_with_writers();
    let app = Connection::open(&path).unwrap();
    let mut written = Vec::new();
    let mut go_on = |after: &str| {
        for n in 0..3 {
            shell(&path, "SELECT count(*) FROM app_writes");
            let key = format!("{after}-{n}");
            app.execute("INSERT INTO app_writes (key) VALUES (?1)", [&key]).unwrap();
            let found = shell(&path, "SELECT key FROM app_writes");
            assert!(found.lines().any(|found| found == key), "{key} was acknowledged, and is not there");
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
    remy.publish(&schema, &Options::default(), Progress::none()).unwrap();
    go_on("publish");
    remy.dev_start("ann").unwrap();
    remy.dev_reset("ann").unwrap();
    go_on("dev");
    remy.verify().unwrap();
    go_on("verify");
    remy.rollback(None, &Options::default(), Progress::none()).unwrap();
    go_on("rollback");
    remy.detach().unwrap();
    go_on("detach");
}

/// Live's main file is copied by a thread with a table of descriptors of its own, which holds none of the application's: a pipe
/// that the application closes is closed at once.
#[test]
fn a_copying_thread_holds_nothing_of_the_application() {
    let (folder, path) = database_with_writers();
    shell(&path, "CREATE TABLE pad (a); INSERT INTO pad VALUES (zeroblob(100000000)); PRAGMA wal_checkpoint(TRUNCATE)");
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
                    assert!(!open.contains(&pipe), "a copying thread holds a pipe of the application: {open:?}");
                    seen += 1;
                }
            }
            drop(mark);
        }
        seen
    });
    assert!(seen > 0, "no thread was seen that copies with a table of its own");
}

/// What a thread has open; nothing, where it has ended.
fn descriptors(thread: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(thread.join("fd")).into_iter().flatten().flatten();
    entries.filter_map(|entry| fs::read_link(entry.path()).ok()).collect()
}
