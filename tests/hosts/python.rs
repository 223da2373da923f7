//! The extension in Python's sqlite3.
use crate::{SCHEMA, database};
use remy_tests::{built, stdout};
use std::process::Command;

/// A Python that can load extensions: some are built so that they cannot.
fn python(script: &str) -> Option<Command> {
    let can = "import sqlite3; sqlite3.connect(':memory:').enable_load_extension(True)";
    let python = ["python3", "/usr/bin/python3"]
        .into_iter()
        .find(|python| Command::new(python).args(["-c", can]).output().is_ok_and(|out| out.status.success()));
    if python.is_none() {
        eprintln!("skipped: no Python here can load extensions");
    }
    let mut python = Command::new(python?);
    python.args(["-c", script]).arg(built("libremy0.so"));
    Some(python)
}

const LOAD: &str = "
import sqlite3, sys, json
def connect(path):
    db = sqlite3.connect(path, isolation_level=None)
    db.enable_load_extension(True)
    db.load_extension(sys.argv[1])
    return db
def fails(db, sql, *args):
    try:
        db.execute(sql, args).fetchall()
    except sqlite3.Error as e:
        return str(e)
    raise SystemExit('no error: ' + sql)
";

#[test]
fn it_loads_into_any_number_of_connections() {
    let script = format!(
        "{LOAD}
for _ in range(3):
    db = connect(':memory:')
    print(db.execute('SELECT remy_version()').fetchone()[0])
    db.close()
db = connect(':memory:')
print(fails(db, 'SELECT remy_dev_start(?)', None))
print(fails(db, 'SELECT * FROM remy_diff(?, ?)', 'x;', 5))
"
    );
    let Some(mut python) = python(&script) else { return };
    let out = stdout(&mut python);
    let lines: Vec<_> = out.lines().collect();
    assert_eq!(lines[..3], [remy_core::VERSION; 3]);
    assert_eq!(lines[3], "invalid_argument: the name is missing. Nothing was done");
    assert_eq!(lines[4], "invalid_argument: the options must be text, not an integer. Nothing was done");
}

#[test]
fn other_connections_survive_a_switch() {
    let (_folder, path) = database();
    let script = format!(
        "{LOAD}
db, other = connect(sys.argv[2]), sqlite3.connect(sys.argv[2], isolation_level=None)
print(other.execute('SELECT count(*) FROM users').fetchone()[0])
db.execute('BEGIN')
print(fails(db, 'SELECT remy_publish(?)', sys.argv[3]).split(':')[0])
db.execute('ROLLBACK')
print(json.loads(db.execute('SELECT remy_publish(?, ?)', (sys.argv[3], '{{\"label\": \"v2\"}}')).fetchone()[0])['status'])
other.execute('INSERT INTO users (name, email) VALUES (?, ?)', ('Bob', 'bob@example.com'))
print(db.execute('SELECT count(*) FROM users').fetchone()[0])
db.execute('SELECT remy_rollback()')
print(other.execute('SELECT count(*) FROM users').fetchone()[0])
print(db.execute('SELECT group_concat(release) FROM remy_releases').fetchone()[0])
"
    );
    let Some(mut python) = python(&script) else { return };
    let out = stdout(python.arg(path).arg(SCHEMA));
    let lines: Vec<_> = out.lines().collect();
    assert_eq!(lines, ["1", "invalid_argument", "live", "2", "1", "3,2,1"]);
}
