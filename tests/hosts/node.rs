//! The Node.js package, by Node's own test runner.
use crate::{SCHEMA, WRITES, database, database_with_writers};
use remy_tests::{
    Shell, better_sqlite3, built, built_program, repository, shell, stdout, writer, writer::Writer,
};
use std::{
    collections::HashSet,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    time::Duration,
};

fn node(file: &str) -> Command {
    let mut node = Command::new("node");
    node.arg("--test")
        .arg(repository("tests/hosts").join(file))
        .env("REMY_ADDON", built("libremy_node.so"));
    node
}

#[test]
fn the_package() {
    stdout(&mut node("package.mjs"));
}

/// The tests of the package's own parts: the command, the pipeline, what apps import.
#[test]
fn the_parts_of_the_package() {
    let package = repository("node-binding");
    if !package.join("node_modules/esbuild").exists() {
        stdout(Command::new("npm").current_dir(&package).args([
            "ci",
            "--no-audit",
            "--no-fund",
            "--silent",
        ]));
    }
    // The SDK of apps, as npm copies it before it packs.
    stdout(
        Command::new("npm")
            .current_dir(&package)
            .args(["run", "--silent", "prepare"]),
    );
    let files = std::fs::read_dir(package.join("test"))
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let tests = files.filter(|path| path.to_string_lossy().ends_with(".test.mjs"));
    let mut node = Command::new("node");
    node.current_dir(&package)
        // Else one file after the other on two processors.
        .args(["--test", "--test-concurrency=2"])
        .args(tests)
        .env("REMY_ADDON", built("libremy_node.so"))
        .env("REMY_PROGRAM", built_program("remy-command"))
        .env("REMY_STEPS", built_program("remy-steps"));
    stdout(&mut node);
}

#[test]
fn publish_and_roll_back() {
    let (_folder, path) = database();
    stdout(
        node("release.mjs")
            .env("REMY_DATABASE", path)
            .env("REMY_SCHEMA", SCHEMA),
    );
}

#[test]
fn the_extension_in_better_sqlite3() {
    if !better_sqlite3::is_there() {
        return;
    }
    let (_folder, path) = database();
    let mut node = node("better-sqlite3.mjs");
    node.env("REMY_DATABASE", path)
        .env("REMY_SCHEMA", SCHEMA)
        .env("REMY_EXTENSION", built("libremy0.so"));
    stdout(&mut node);
}

/// An application that writes through better-sqlite3 while its own verbs run, beside another
/// process that writes, too.
#[test]
fn an_application_that_writes_while_it_publishes() {
    if !better_sqlite3::is_there() {
        return;
    }
    let (folder, path) = database_with_writers();
    let writers = vec![Writer::start(&path, 1)];
    let mut node = Command::new("node");
    node.arg(repository("tests/hosts/application.mjs"))
        .env("REMY_ADDON", built("libremy_node.so"));
    node.env("REMY_DATABASE", &path)
        .env("REMY_SCHEMA", format!("{SCHEMA} {WRITES}"));
    let out = stdout(&mut node);
    let snapshots = std::fs::read_dir(folder.path().join("app.db-remy/snapshots")).unwrap();
    let files: Vec<_> = snapshots
        .map(|entry| entry.unwrap().path())
        .chain([path])
        .collect();
    writer::account(files.iter().cloned(), writers);
    let found: String = files
        .iter()
        .map(|file| shell(file, "SELECT key FROM app_writes"))
        .collect();
    let found: HashSet<_> = found.lines().collect();
    let lost: Vec<_> = out.lines().filter(|key| !found.contains(key)).collect();
    assert!(
        lost.is_empty(),
        "{} of {} writes lost: {lost:?}",
        lost.len(),
        out.lines().count()
    );
    assert!(out.lines().count() > 20, "{out}");
}

/// A worker does not outlive the application that waits for it, nor does what it has not committed.
#[test]
fn a_worker_ends_with_its_parent() {
    let (_folder, path) = database_with_writers();
    let mut blocker = Shell::open(&path);
    blocker.run("BEGIN IMMEDIATE;");
    let script = format!(
        "import {{ Remy }} from {:?};
        const remy = new Remy(process.argv[1]);
        const options = {{ lock_timeout_ms: 300000, onProgress: (line) => line.step === 'check' && console.log('waits') }};
        await remy.publish(process.argv[2], options);",
        repository("node-binding/js/index.js")
    );
    let mut node = Command::new("node");
    node.args(["--input-type=module", "-e", &script])
        .arg(&path)
        .arg(format!("{SCHEMA} {WRITES}"));
    node.env("REMY_ADDON", built("libremy_node.so"))
        .stdout(Stdio::piped());
    let mut parent = node.spawn().expect("node");
    let mut line = String::new();
    BufReader::new(parent.stdout.take().expect("piped"))
        .read_line(&mut line)
        .unwrap();
    assert_eq!(line, "waits\n");
    let children = format!("/proc/{0}/task/{0}/children", parent.id());
    let workers: Vec<String> = std::fs::read_to_string(children)
        .unwrap()
        .split_whitespace()
        .map(str::to_owned)
        .collect();
    assert_eq!(workers.len(), 1, "{workers:?}");

    std::thread::sleep(Duration::from_millis(300)); // so that it is in the middle of waiting
    parent.kill().unwrap();
    parent.wait().unwrap();
    // Generous: the lock stays taken for all that time, and it would wait for five minutes.
    let there = || {
        std::fs::read_to_string(format!("/proc/{}/cmdline", workers[0]))
            .is_ok_and(|it| it.contains("remy-helper"))
    };
    for _ in 0..600 {
        if !there() {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(!there(), "the worker goes on without its parent");
    blocker.run("COMMIT;");
    let app = remy_db::Remy::open(&path).unwrap();
    assert_eq!(app.releases().unwrap()[0].status, remy_db::Status::Failed);
}
