//! The extension in the `sqlite3` shell of the system.
use crate::{SCHEMA, database};
use remy_tests::{built, output, stdout};
use std::{ffi::OsStr, process::Command};

/// A shell with the extension, that is given commands.
pub fn shell(database: impl AsRef<OsStr>, commands: &[&str]) -> Command {
    let library = built("libremy0.so");
    let mut shell = Command::new("sqlite3");
    shell.args(["-batch", "-bail"]).arg(database);
    // `.load` derives the entry point from the name of the file, which is what this is to show.
    shell
        .arg(format!(".load {}", library.with_extension("").display()))
        .args(commands);
    shell
}

#[test]
fn it_loads() {
    assert_eq!(
        stdout(&mut shell(":memory:", &["SELECT remy_version()"])).trim(),
        remy_db::VERSION
    );
}

#[test]
fn an_error_is_its_code_and_its_message() {
    let out = output(&mut shell(
        ":memory:",
        &["SELECT remy_publish('x;', '{\"lable\": 1}')"],
    ));
    assert!(!out.status.success());
    let message = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(
        message.contains("invalid_argument: there is no option \"lable\""),
        "{message}"
    );
}

/// Whatever becomes of a call, the host lives on.
#[test]
fn no_call_ends_the_host() {
    for call in [
        "SELECT remy_debug()",
        "SELECT * FROM remy_releases",
        "SELECT * FROM remy_diff('%s%n;')",
    ] {
        let mut shell = shell(":memory:", &[]);
        // Not `-bail`: the shell goes on to the second statement.
        let out = output(shell.args([".bail off", call]));
        assert!(out.status.code().is_some(), "{call}: {out:?}");
    }
}

#[test]
fn publish_and_roll_back() {
    let (_folder, path) = database();
    let publish = format!("SELECT remy_publish('{SCHEMA}') ->> 'status'");
    let out = stdout(&mut shell(
        &path,
        &[
            "SELECT kind, object, strategy FROM remy_diff('CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, email TEXT);')",
            &publish,
            "SELECT release, status FROM remy_releases",
            "SELECT name FROM pragma_table_info('users')",
            "SELECT remy_rollback() ->> 'restored_from'",
            "SELECT name FROM pragma_table_info('users')",
            "SELECT release, status, restored_from FROM remy_releases",
            "SELECT remy_verify() ->> 'ok'",
        ],
    ));
    let lines: Vec<_> = out.lines().collect();
    assert_eq!(
        lines,
        [
            "add_column|users.email|direct",
            "live",
            "2|live",
            "1|superseded",
            "id",
            "name",
            "email",
            "1",
            "id",
            "name",
            "3|live|1",
            "2|superseded|",
            "1|superseded|",
            "1",
        ]
    );
}
