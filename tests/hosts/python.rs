//! The extension in Python's sqlite3.
use crate::{SCHEMA, database, database_with_writers};
use remy_tests::{built, not_covered, stdout};
use std::process::Command;

/// A Python that can load extensions: some are built so that they cannot.
pub fn python(script: &str) -> Option<Command> {
    let can = "import sqlite3; sqlite3.connect(':memory:').enable_load_extension(True)";
    let python = ["python3", "/usr/bin/python3"].into_iter().find(|python| {
        Command::new(python)
            .args(["-c", can])
            .output()
            .is_ok_and(|out| out.status.success())
    });
    if python.is_none() {
        not_covered("the host Python", "no Python here can load extensions");
    }
    let mut python = Command::new(python?);
    python.args(["-c", script]).arg(built("libremy0.so"));
    Some(python)
}

pub const LOAD: &str = "
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
    let Some(mut python) = python(&script) else {
        return;
    };
    let out = stdout(&mut python);
    let lines: Vec<_> = out.lines().collect();
    assert_eq!(lines[..3], [remy_db::VERSION; 3]);
    assert_eq!(
        lines[3],
        "invalid_argument: the name is missing. Nothing was done"
    );
    assert_eq!(
        lines[4],
        "invalid_argument: the options must be text, not an integer. Nothing was done"
    );
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
    let Some(mut python) = python(&script) else {
        return;
    };
    let out = stdout(python.arg(path).arg(SCHEMA));
    let lines: Vec<_> = out.lines().collect();
    assert_eq!(lines, ["1", "invalid_argument", "live", "2", "1", "3,2,1"]);
}

/// In a process with a shared cache, a connection of remy's has one of its own: else the
/// application's locks would be remy's.
#[test]
fn a_shared_cache_is_left_to_the_application() {
    let (_folder, path) = database();
    let script = format!(
        "{LOAD}
import ctypes, _sqlite3
assert ctypes.CDLL(_sqlite3.__file__).sqlite3_enable_shared_cache(1) == 0
reader = sqlite3.connect(sys.argv[2], isolation_level=None)
reader.executescript('PRAGMA journal_mode = wal; INSERT INTO users (name) VALUES (1), (2), (3)')
rows = reader.execute('SELECT id FROM users')
rows.fetchone()
db = connect(sys.argv[2])
print(json.loads(db.execute('SELECT remy_publish(?)', (sys.argv[3],)).fetchone()[0])['status'])
print(len(rows.fetchall()))
"
    );
    let Some(mut python) = python(&script) else {
        return;
    };
    assert_eq!(
        stdout(python.arg(path).arg(SCHEMA))
            .lines()
            .collect::<Vec<_>>(),
        ["live", "3"]
    );
}

/// A second SQLite library in a host's process, a copy of the first: the extension sees that the
/// wal-index is mapped twice.
#[test]
fn another_library_that_has_live_open_is_refused() {
    let (folder, path) = database_with_writers();
    let script = format!(
        "{LOAD}
import ctypes, shutil
ctypes.CDLL('libsqlite3.so.0')
library = next(line.split()[-1] for line in open('/proc/self/maps') if 'libsqlite3.so' in line)
shutil.copy(library, sys.argv[4])
other, handle = ctypes.CDLL(sys.argv[4]), ctypes.c_void_p()
assert other.sqlite3_open(sys.argv[2].encode(), ctypes.byref(handle)) == 0
assert other.sqlite3_exec(handle, b'SELECT count(*) FROM users', None, None, None) == 0
db = connect(sys.argv[2])
print(db.execute('SELECT count(*) FROM users').fetchone()[0])
print(fails(db, 'SELECT remy_publish(?)', sys.argv[3]))
print(len(db.execute('PRAGMA table_info(users)').fetchall()))
"
    );
    let Some(mut python) = python(&script) else {
        return;
    };
    let out = stdout(
        python
            .env("REMY_HELPER", "none") // a process of its own would not mind
            .arg(&path)
            .arg(SCHEMA)
            .arg(folder.path().join("other.so")),
    );
    let lines: Vec<_> = out.lines().collect();
    assert!(
        lines[1].starts_with("live_in_use: this process has "),
        "{out}"
    );
    assert_eq!((lines[0], lines[2]), ("1", "2"));
}

/// A library is code: SQL names one to remy where it may load one itself, and nowhere else.
#[test]
fn libraries_are_loaded_where_the_connection_may() {
    let (folder, path) = database();
    let source = folder.path().join("mark.c");
    std::fs::write(
        &source,
        "#include <stdio.h>
int sqlite3_mark_init(void *db, char **message, const void *api) {
  FILE *file = fopen(MARK, \"w\");
  if (file) fclose(file);
  return 0;
}",
    )
    .unwrap();
    let (library, mark) = (
        folder.path().join("mark.so"),
        folder.path().join("was-here"),
    );
    let define = format!("-DMARK=\"{}\"", mark.display());
    stdout(
        Command::new("cc")
            .args(["-shared", "-fPIC", &define, "-o"])
            .arg(&library)
            .arg(source),
    );
    let script = format!(
        "{LOAD}
import os
mark, options = sys.argv[5], json.dumps({{'extensions': [sys.argv[4]]}})
db = connect(sys.argv[2])
def marked():
    there = os.path.exists(mark)
    if there: os.remove(mark)
    return there
db.execute('SELECT remy_publish(?)', (sys.argv[3],))
db.execute('SELECT remy_stage(?, ?)', (sys.argv[3] + 'CREATE TABLE more (a);', options))
assert marked()
db.enable_load_extension(False)
for sql, args in [
    ('SELECT remy_publish(?, ?)', (sys.argv[3], options)),
    ('SELECT remy_stage(?, ?)', (sys.argv[3], options)),
    ('SELECT * FROM remy_diff(?, ?)', (sys.argv[3], options)),
    ('SELECT remy_rollback(NULL, ?)', (options,)),
    ('SELECT remy_promote(1, ?)', (options,)),
    ('SELECT remy_promote()', ()),
]:
    said = fails(db, sql, *args)
    assert said.startswith('invalid_argument: this connection may not load libraries'), said
    assert 'mark.so' in said and not marked(), said
releases = db.execute('SELECT count(*) FROM remy_releases').fetchone()[0]
db.enable_load_extension(True)
assert json.loads(db.execute('SELECT remy_promote()').fetchone()[0])['status'] == 'live'
assert marked()
db.execute('SELECT * FROM remy_diff(?, ?)', (sys.argv[3], options)).fetchall()
assert marked()
print(releases)
"
    );
    let Some(mut python) = python(&script) else {
        return;
    };
    let out = stdout(python.arg(path).arg(SCHEMA).arg(&library).arg(&mark));
    assert_eq!(out.trim(), "3", "what was refused made no release");
}
