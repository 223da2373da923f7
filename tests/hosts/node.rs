//! The Node.js package, by Node's own test runner.
use crate::{SCHEMA, database};
use remy_tests::{built, output, repository, stdout};
use std::{io::Write, process::Command};

fn node(file: &str) -> Command {
    let mut node = Command::new("node");
    node.arg("--test").arg(repository("tests/hosts").join(file)).env("REMY_ADDON", built("libremy_node.so"));
    node
}

#[test]
fn the_package() {
    stdout(&mut node("package.mjs"));
}

#[test]
fn publish_and_roll_back() {
    let (_folder, path) = database();
    stdout(node("release.mjs").env("REMY_DATABASE", path).env("REMY_SCHEMA", SCHEMA));
}

/// Builds better-sqlite3 from source, once, into `tests/node_modules`. Gives why it could not.
fn install_better_sqlite3() -> Result<(), String> {
    let tests = repository("tests");
    let works = || {
        let mut node = Command::new("node");
        output(
            node.current_dir(&tests)
                .args(["-e", "new (require('better-sqlite3'))(':memory:').prepare('SELECT 1').get()"]),
        )
        .status
        .success()
    };
    if works() {
        return Ok(());
    }
    // The headers of the Node.js that runs, which node-gyp would else download.
    let headers = stdout(Command::new("node").args(["-p", "require('path').resolve(process.execPath, '../..')"]));
    let out = output(
        Command::new("npm")
            .current_dir(&tests)
            .args(["ci", "--no-audit", "--no-fund", "--build-from-source"])
            .arg(format!("--nodedir={}", headers.trim())),
    );
    if works() {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(&out.stderr).lines().rev().take(5).collect::<Vec<_>>().join("; "))
    }
}

#[test]
fn better_sqlite3() {
    if let Err(why) = install_better_sqlite3() {
        assert!(std::env::var_os("CI").is_none(), "better-sqlite3 could not be built: {why}");
        // Past the test runner, which swallows what a passing test prints.
        let _ = writeln!(std::io::stderr(), "\nNOT COVERED: the host better-sqlite3, which could not be built: {why}");
        return;
    }
    let (_folder, path) = database();
    let mut node = node("better-sqlite3.mjs");
    node.env("REMY_DATABASE", path).env("REMY_SCHEMA", SCHEMA).env("REMY_EXTENSION", built("libremy0.so"));
    stdout(&mut node);
}
