//! The same way through every host, calling every function of the extension, while a process
//! besides writes.
use crate::{WRITES, database_with_writers, python, shell};
use remy_tests::{built, stdout, writer, writer::Writer};
use std::{path::Path, process::Command};

/// Where verbs run: in a process of their own, or, where none is to be had, through the host's
/// SQLite.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Runs {
    Elsewhere,
    InTheHost,
}

/// What is asked, and what each host answers: the first column of the first row.
type Asked = (String, &'static str);

/// All of it, in this order.
fn way(folder: &Path, runs: Runs) -> Vec<Asked> {
    [releases(runs), history(), copies(folder, runs), ends()].concat()
}

/// Publishes, promotes and rolls back.
fn releases(runs: Runs) -> Vec<Asked> {
    let switch = match runs {
        Runs::Elsewhere => "own pages",
        Runs::InTheHost => "host backup",
    };
    let users = "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT";
    let schema = |more: &str| format!("'{users}{more}); {WRITES}'");
    vec![
        ("SELECT remy_version()".to_owned(), remy_db::VERSION),
        (
            "SELECT remy_debug() ->> 'process' || ' ' || (remy_debug() ->> 'switch')".to_owned(),
            switch,
        ),
        (
            format!(
                "SELECT kind || ' ' || object FROM remy_diff({})",
                schema(", email TEXT")
            ),
            "add_column users.email",
        ),
        (
            format!("SELECT remy_stage({}) ->> 'status'", schema(", email TEXT")),
            "compiled",
        ),
        ("SELECT remy_promote() ->> 'status'".to_owned(), "live"),
        (
            format!(
                "SELECT remy_publish({}, '{{\"label\": \"v3\"}}') ->> 'label'",
                schema(", email TEXT, fax TEXT")
            ),
            "v3",
        ),
        (
            "SELECT count(*) FROM pragma_table_info('users')".to_owned(),
            "4",
        ),
        (
            "SELECT remy_rollback(2, '{}') ->> 'restored_from'".to_owned(),
            "2",
        ),
        ("SELECT remy_promote(3) ->> 'restored_from'".to_owned(), "3"),
        ("SELECT remy_rollback() ->> 'restored_from'".to_owned(), "2"),
        (
            "SELECT count(*) FROM pragma_table_info('users')".to_owned(),
            "3",
        ),
    ]
}

/// What the tables tell of it.
fn history() -> Vec<Asked> {
    vec![
        (
            "SELECT group_concat(release || ' ' || status, ', ') FROM remy_releases".to_owned(),
            "6 live, 5 superseded, 4 superseded, 3 superseded, 2 superseded, 1 superseded",
        ),
        (
            "SELECT count(*) > 5 AND min(release) = 6 AND max(release) = 6 FROM remy_build_log"
                .to_owned(),
            "1",
        ),
        (
            "SELECT count(*) > 5 AND min(release) = 2 AND max(release) = 2 FROM remy_build_log(2)"
                .to_owned(),
            "1",
        ),
    ]
}

/// A clone, and a dev session from its start to its end.
fn copies(folder: &Path, runs: Runs) -> Vec<Asked> {
    let cloned = match runs {
        Runs::Elsewhere => "1",
        Runs::InTheHost => "0",
    };
    let clone = folder.join("clone.db");
    vec![
        (
            format!(
                "SELECT (remy_clone('{}') ->> 'method') <> 'backup'",
                clone.display()
            ),
            cloned,
        ),
        (
            "SELECT remy_dev_start('ann') ->> 'status'".to_owned(),
            "dev",
        ),
        (
            "SELECT remy_dev_truncate('ann') ->> 'name'".to_owned(),
            "ann",
        ),
        ("SELECT remy_dev_reset('ann') ->> 'release'".to_owned(), "6"),
        (
            "SELECT group_concat(name || ' ' || status) FROM remy_dev_list".to_owned(),
            "ann dev",
        ),
        (
            "SELECT remy_dev_stop('ann') ->> 'status'".to_owned(),
            "superseded",
        ),
    ]
}

/// What tidies up, and lets go of the database.
fn ends() -> Vec<Asked> {
    vec![
        (
            "SELECT remy_prune(30, '{\"keep_releases\": 50}') ->> 'kept'".to_owned(),
            "5",
        ),
        ("SELECT remy_verify() ->> 'ok'".to_owned(), "1"),
        // Under an error nothing happens, and the host goes on.
        (
            "SELECT remy_detach() ->> '$.dropped[0]'".to_owned(),
            "_remy_bot_commands",
        ),
        (
            "SELECT count(*) FROM sqlite_schema WHERE name GLOB '_remy_*'".to_owned(),
            "0",
        ),
    ]
}

/// Goes it, with a command that is given statements and prints a line for each.
fn walk(runs: Runs, host: impl FnOnce(&Path, &[String]) -> Option<Command>) {
    let (folder, path) = database_with_writers();
    let way = way(folder.path(), runs);
    let statements: Vec<_> = way.iter().map(|(sql, _)| sql.clone()).collect();
    let Some(mut host) = host(&path, &statements) else {
        return;
    };
    let writers = vec![Writer::start(&path, 1), Writer::start(&path, 2)];
    if runs == Runs::InTheHost {
        host.env("REMY_HELPER", "none");
    }
    let out = stdout(&mut host);
    let answers: Vec<_> = out.lines().collect();
    for ((sql, expected), answer) in way.iter().zip(&answers) {
        assert_eq!(answer, expected, "{sql}");
    }
    assert_eq!(answers.len(), way.len());
    assert!(writers.iter().all(Writer::is_writing));
    // Live, and what each release took with it.
    let snapshots = std::fs::read_dir(folder.path().join("app.db-remy/snapshots")).unwrap();
    let files = snapshots
        .map(|entry| entry.unwrap().path())
        .chain([path.clone()]);
    assert!(writer::account(files, writers) > 20);
}

fn shell(runs: Runs) {
    walk(runs, |path, statements| {
        let statements: Vec<_> = statements.iter().map(String::as_str).collect();
        Some(shell::shell(path, &statements))
    });
}

fn python(runs: Runs) {
    walk(runs, |path, statements| {
        let script = format!(
            "{}
db = connect(sys.argv[2])
for sql in sys.argv[3:]:
    print(db.execute(sql).fetchone()[0])",
            python::LOAD
        );
        let mut python = python::python(&script)?;
        python.arg(path).args(statements);
        Some(python)
    });
}

fn better_sqlite3(runs: Runs) {
    walk(runs, |path, statements| {
        if !remy_tests::better_sqlite3::is_there() {
            return None;
        }
        let script = "
            const Database = require('better-sqlite3');
            const [extension, path, ...statements] = process.argv.slice(1);
            const db = new Database(path).loadExtension(extension);
            for (const sql of statements) console.log(String(db.prepare(sql).pluck().get()));";
        let mut node = Command::new("node");
        node.current_dir(remy_tests::repository("tests"))
            .args(["-e", script])
            .arg(built("libremy0.so"))
            .arg(path)
            .args(statements);
        Some(node)
    });
}

#[test]
fn by_the_shell() {
    shell(Runs::Elsewhere);
}

#[test]
fn by_python() {
    python(Runs::Elsewhere);
}

#[test]
fn by_better_sqlite3() {
    better_sqlite3(Runs::Elsewhere);
}

#[test]
fn by_the_shell_without_a_process_of_its_own() {
    shell(Runs::InTheHost);
}

#[test]
fn by_python_without_a_process_of_its_own() {
    python(Runs::InTheHost);
}

#[test]
fn by_better_sqlite3_without_a_process_of_its_own() {
    better_sqlite3(Runs::InTheHost);
}
