//! The extension, registered in this process with the embedded engine as its host.
use crate::{SCHEMA, database};
use remy_db::{Options, Progress, Remy};
use remy_tests::{built, stdout};
use rusqlite::{Connection, ffi};
use serde_json::{Value, json};
use std::{
    ffi::{CStr, c_char, c_int},
    path::Path,
    process::Command,
    ptr,
    sync::atomic::{AtomicUsize, Ordering},
};

unsafe extern "C" {
    fn remy_engine_api() -> *mut ffi::sqlite3_api_routines;
}

/// Loads remy as a host would that has the routines of `api`.
fn load(db: &Connection, api: *mut ffi::sqlite3_api_routines) -> Result<(), String> {
    let mut message: *mut c_char = ptr::null_mut();
    // SAFETY: `db` is open and of the engine; `api` is the engine's table, or a copy of it.
    let rc = unsafe { remy0::sqlite3_remy_init(db.handle(), &raw mut message, api) };
    if rc == ffi::SQLITE_OK_LOAD_PERMANENTLY {
        assert!(message.is_null());
        return Ok(());
    }
    assert_eq!(rc, ffi::SQLITE_ERROR);
    // SAFETY: a message is a C string from SQLite's allocator.
    unsafe {
        let text = CStr::from_ptr(message).to_str().expect("UTF-8").to_owned();
        ffi::sqlite3_free(message.cast());
        Err(text)
    }
}

fn loaded(db: Connection) -> Connection {
    // SAFETY: it takes nothing.
    load(&db, unsafe { remy_engine_api() }).expect("the engine is new enough");
    db
}

fn memory() -> Connection {
    remy_db::engine::init();
    loaded(Connection::open_in_memory().expect("memory"))
}

fn ask(db: &Connection, sql: &str) -> rusqlite::Result<String> {
    db.query_row(sql, [], |row| row.get(0))
}

/// The message that `sql` fails with.
fn error(db: &Connection, sql: &str) -> String {
    let run = || db.prepare(sql)?.query([])?.next().map(|_| ());
    run().expect_err(sql).to_string()
}

#[test]
fn the_version_may_be_used_anywhere() {
    let db = memory();
    assert_eq!(ask(&db, "SELECT remy_version()").unwrap(), remy_db::VERSION);
    db.execute_batch("CREATE VIEW v AS SELECT remy_version() AS version")
        .unwrap();
    assert_eq!(ask(&db, "SELECT version FROM v").unwrap(), remy_db::VERSION);
}

#[test]
fn everything_else_is_direct_only() {
    let db = memory();
    for (i, call) in [
        "remy_debug()",
        "remy_clone('x')",
        "remy_stage('x;')",
        "remy_stage('x;', '{}')",
        "remy_publish('x;')",
        "remy_publish('x;', '{}')",
        "remy_promote()",
        "remy_promote(1)",
        "remy_promote(1, '{}')",
        "remy_rollback()",
        "remy_rollback(1)",
        "remy_rollback(1, '{}')",
        "remy_dev_start('x')",
        "remy_dev_reset('x')",
        "remy_dev_truncate('x')",
        "remy_dev_stop('x')",
        "remy_prune()",
        "remy_prune(1)",
        "remy_prune(1, '{}')",
        "remy_verify()",
        "remy_verify('{}')",
        "remy_detach()",
    ]
    .iter()
    .enumerate()
    {
        db.execute_batch(&format!("CREATE VIEW v{i} AS SELECT {call}"))
            .unwrap();
        assert!(
            error(&db, &format!("SELECT * FROM v{i}")).contains("unsafe use"),
            "{call}"
        );
    }
    for table in [
        "remy_diff('x;')",
        "remy_releases",
        "remy_build_log",
        "remy_build_log(1)",
        "remy_dev_list",
    ] {
        db.execute_batch(&format!(
            "DROP VIEW IF EXISTS v; CREATE VIEW v AS SELECT * FROM {table}"
        ))
        .unwrap();
        assert!(
            error(&db, "SELECT * FROM v").contains("unsafe use"),
            "{table}"
        );
    }
}

#[test]
fn arguments_are_checked_before_the_database_is_looked_at() {
    let db = memory();
    for (sql, why) in [
        ("SELECT remy_publish(NULL)", "the schema is missing"),
        (
            "SELECT remy_publish(x'00')",
            "the schema must be text, not a blob",
        ),
        (
            "SELECT remy_publish('x;', 7)",
            "the options must be text, not an integer",
        ),
        ("SELECT remy_publish('x;', '{\"lable\": 1}')", "lable"),
        (
            "SELECT remy_publish('x;', '[')",
            "the options are not understood",
        ),
        (
            "SELECT remy_publish(CAST(x'ff3b' AS TEXT))",
            "not valid UTF-8",
        ),
        (
            "SELECT remy_clone(1.5)",
            "the path must be text, not a real number",
        ),
        (
            "SELECT remy_promote('newest')",
            "the release must be a whole number, not text",
        ),
        (
            "SELECT remy_rollback(1.0)",
            "the release must be a whole number, not a real number",
        ),
        ("SELECT remy_prune(-1)", "-1 is no number of days"),
        (
            "SELECT remy_prune(4294967296)",
            "4294967296 is no number of days",
        ),
        ("SELECT remy_dev_start(NULL)", "the name is missing"),
        (
            "SELECT * FROM remy_diff",
            "remy_diff is called with a schema",
        ),
        ("SELECT * FROM remy_diff(NULL)", "the schema is missing"),
        ("SELECT * FROM remy_diff('x;', '{\"lable\": 1}')", "lable"),
        (
            "SELECT * FROM remy_build_log('newest')",
            "the release must be a whole number, not text",
        ),
        (
            "SELECT * FROM remy_build_log WHERE release = 'newest'",
            "the release must be a whole number, not text",
        ),
    ] {
        let message = error(&db, sql);
        assert!(
            message.contains("invalid_argument: ") && message.contains(why),
            "{sql}: {message}"
        );
    }
    for sql in [
        "SELECT remy_publish()",
        "SELECT remy_publish('a', 'b', 'c')",
        "SELECT remy_verify(1, 2)",
    ] {
        assert!(
            error(&db, sql).contains("wrong number of arguments"),
            "{sql}"
        );
    }
    assert!(error(&db, "SELECT * FROM remy_releases(1)").contains("too many arguments"));
}

/// The keys in their order: core's results hold the list, and what contract and types say is held
/// to them in core.
#[test]
fn tables_have_the_keys_of_the_results_as_columns() {
    let (_folder, path) = database();
    let db = loaded(Connection::open(&path).unwrap());
    let app = Remy::open(&path).unwrap();
    let options = Options {
        warnings: true,
        ..Options::default()
    };
    app.publish(SCHEMA, &options, Progress::none()).unwrap();
    app.dev_start("ann").unwrap();
    // What a diff then warns of is a row with all keys.
    db.execute_batch("CREATE TABLE made_by_hand (a)").unwrap();
    for (table, rows) in [
        (
            "remy_diff('x;')",
            json!(app.diff(SCHEMA, &options).unwrap()),
        ),
        ("remy_releases", json!(app.releases().unwrap())),
        ("remy_build_log", json!(app.build_log(None).unwrap())),
        ("remy_dev_list", json!(app.dev_list().unwrap())),
    ] {
        let rows = rows.as_array().unwrap().iter();
        let fullest = rows
            .filter_map(Value::as_object)
            .max_by_key(|row| row.len());
        let keys: Vec<_> = fullest.expect(table).keys().collect();
        let statement = db.prepare(&format!("SELECT * FROM {table}")).unwrap();
        assert_eq!(statement.column_names(), keys, "{table}");
    }
}

#[test]
fn an_old_host_is_refused_and_so_is_a_second_one() {
    unsafe extern "C" fn number() -> c_int {
        3_033_000
    }
    unsafe extern "C" fn text() -> *const c_char {
        c"3.33.0".as_ptr()
    }
    let db = memory();
    // SAFETY: the engine's table lives as long as the process, and is plain data.
    let mut other = unsafe { ptr::read(remy_engine_api()) };
    let message = load(&db, &raw mut other).unwrap_err();
    assert!(
        message.starts_with("live_in_use: another SQLite library"),
        "{message}"
    );

    other.libversion_number = Some(number);
    other.libversion = Some(text);
    let message = load(&db, &raw mut other).unwrap_err();
    assert!(
        message.contains("needs a host SQLite of 3.34.1 or newer, and this host runs 3.33.0"),
        "both versions: {message}"
    );
    // Loading it again where it is loaded is nothing special.
    assert_eq!(
        ask(&loaded(db), "SELECT remy_version()").unwrap(),
        remy_db::VERSION
    );
    // SAFETY: a null table is the one thing that an entry point can be given instead of a table.
    let rc = unsafe { remy0::sqlite3_remy_init(ptr::null_mut(), ptr::null_mut(), ptr::null_mut()) };
    assert_eq!(rc, ffi::SQLITE_ERROR);
}

/// The engine is in the library, for the process that it starts, and not to be seen: a host has an
/// SQLite of its own.
#[test]
fn the_library_shows_its_host_no_engine() {
    let mut nm = Command::new("nm");
    let symbols = stdout(
        nm.args(["-D", "--defined-only", "--format=just-symbols"])
            .arg(built("libremy0.so")),
    );
    assert_eq!(symbols.trim(), "sqlite3_remy_init");
}

#[test]
fn publish_and_roll_back() {
    let (_folder, path) = database();
    let db = loaded(Connection::open(&path).unwrap());
    let schema = SCHEMA.replace('\'', "''");
    let changes: Vec<(String, String)> = db
        .prepare(&format!("SELECT kind, object FROM remy_diff('{schema}')"))
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .collect::<rusqlite::Result<_>>()
        .unwrap();
    assert_eq!(
        changes,
        [("add_column".to_owned(), "users.email".to_owned())]
    );

    let outcome = ask(
        &db,
        &format!("SELECT remy_publish('{schema}', '{{\"label\": \"v2\"}}')"),
    )
    .unwrap();
    let outcome: Value = serde_json::from_str(&outcome).unwrap();
    assert_eq!(
        (
            &outcome["status"],
            &outcome["release"],
            &outcome["previous"]
        ),
        (&"live".into(), &2.into(), &1.into())
    );
    // The prepared statements and the connection itself see the new schema.
    assert_eq!(
        db.query_row("SELECT email FROM users", [], |row| row
            .get::<_, Option<String>>(0))
            .unwrap(),
        None
    );
    assert_eq!(
        ask(&db, "SELECT label FROM remy_releases WHERE status = 'live'").unwrap(),
        "v2"
    );
    assert_ne!(
        ask(&db, "SELECT count(*) || '' FROM remy_build_log(2)").unwrap(),
        "0"
    );
    // NULL is no argument.
    assert_eq!(
        ask(&db, "SELECT count(*) || '' FROM remy_build_log(NULL)").unwrap(),
        ask(&db, "SELECT count(*) || '' FROM remy_build_log").unwrap()
    );
    assert_eq!(
        ask(
            &db,
            "SELECT count(*) || '' FROM remy_build_log WHERE release = 2"
        )
        .unwrap(),
        ask(&db, "SELECT count(*) || '' FROM remy_build_log(2)").unwrap()
    );

    let outcome: Value =
        serde_json::from_str(&ask(&db, "SELECT remy_rollback()").unwrap()).expect("an outcome");
    assert_eq!(
        (&outcome["release"], &outcome["restored_from"]),
        (&3.into(), &1.into())
    );
    assert!(error(&db, "SELECT email FROM users").contains("no such column"));
}

/// `sql` fails with `why`, and nothing is done: live is as it was, and has no store.
fn refused(path: &Path, db: &Connection, sql: &str, why: &str) {
    let before = std::fs::read(path).unwrap();
    let message = error(db, sql);
    assert!(message.contains(why), "{sql}: {message}");
    assert!(std::fs::read(path).unwrap() == before, "{sql} changed live");
    assert!(!path.with_file_name("app.db-remy").exists(), "{sql}");
}

const IN_TRANSACTION: &str = "invalid_argument: this connection is in a transaction, which was begun. Nothing was done. Commit or roll back first";
const BESIDES: &str = "invalid_argument: this connection is in a transaction, that of this statement, which reads or writes a table besides. \
                       Nothing was done. Call remy in a SELECT of its own";
const NOT_ENDED: &str = "invalid_argument: this connection is in a transaction, that of another statement, which has not been read to its end: one \
                         of \"SELECT remy_publish(";

#[test]
fn a_verb_is_a_statement_of_its_own() {
    let (_folder, path) = database();
    let db = loaded(Connection::open(&path).unwrap());
    db.execute_batch("CREATE TABLE log (a); CREATE TEMP TABLE temp_log (a)")
        .unwrap();
    let publish = format!("remy_publish('{SCHEMA}')");
    for sql in [
        "INSERT INTO log SELECT remy_publish",
        "INSERT INTO log VALUES (remy_publish)",
        "INSERT INTO temp_log SELECT remy_publish",
        "CREATE TABLE made AS SELECT remy_publish",
        "CREATE TEMP TABLE made AS SELECT remy_publish",
        "REPLACE INTO users (id, name) VALUES (1, remy_publish)",
        "UPDATE users SET name = remy_publish",
        "DELETE FROM users WHERE remy_publish IS NULL",
        "SELECT remy_publish FROM users",
        "SELECT remy_publish, (SELECT count(*) FROM users)",
        "SELECT remy_publish UNION ALL SELECT name FROM users",
        "INSERT INTO log SELECT remy_rollback()",
        "INSERT INTO log SELECT remy_dev_start('x')",
        "INSERT INTO log SELECT release FROM remy_releases",
    ] {
        refused(&path, &db, &sql.replace("remy_publish", &publish), BESIDES);
    }
    for begin in [
        "BEGIN",
        "BEGIN IMMEDIATE",
        "BEGIN; SELECT count(*) FROM users",
        "SAVEPOINT s",
    ] {
        db.execute_batch(begin).unwrap();
        refused(&path, &db, &format!("SELECT {publish}"), IN_TRANSACTION);
        db.execute_batch("ROLLBACK").unwrap();
    }
    // In autocommit, but a SELECT is not at its end: its read transaction is this connection's.
    db.execute_batch("INSERT INTO users (name) VALUES ('Bob')")
        .unwrap();
    let mut select = db.prepare("SELECT name FROM users").unwrap();
    let mut rows = select.query([]).unwrap();
    rows.next().unwrap();
    assert!(db.is_autocommit());
    refused(&path, &db, &format!("SELECT {publish}"), NOT_ENDED);
    drop(rows);
    ask(&db, &format!("SELECT {publish}")).expect("outside of one it is done");
}

#[test]
fn no_schema_can_call_a_verb() {
    let (_folder, path) = database();
    let db = loaded(Connection::open(&path).unwrap());
    let publish = format!("remy_publish('{SCHEMA}')");
    for (made, used) in [
        (
            "CREATE VIEW v AS SELECT remy_publish AS a",
            "SELECT a FROM v",
        ),
        (
            "CREATE TRIGGER t AFTER INSERT ON users BEGIN SELECT remy_publish; END",
            "INSERT INTO users (name) VALUES ('x')",
        ),
        (
            "CREATE TABLE c (a CHECK (remy_publish <> a))",
            "INSERT INTO c VALUES (1)",
        ),
        (
            "CREATE TABLE c (a DEFAULT (remy_publish))",
            "INSERT INTO c DEFAULT VALUES",
        ),
        ("CREATE TABLE c (a, b AS (remy_publish))", "SELECT b FROM c"),
        ("CREATE INDEX i ON users (remy_publish)", "SELECT 1"),
    ] {
        let made = made.replace("remy_publish", &publish);
        // What SQLite does not refuse to make, it refuses to use.
        match db.execute_batch(&made) {
            Ok(()) => refused(&path, &db, used, "unsafe use of remy_publish()"),
            Err(e) => assert!(
                [
                    "unsafe use of remy_publish()",
                    "non-deterministic functions prohibited"
                ]
                .iter()
                .any(|why| e.to_string().contains(why)),
                "{made}: {e}"
            ),
        }
        db.execute_batch("DROP VIEW IF EXISTS v; DROP TRIGGER IF EXISTS t; DROP TABLE IF EXISTS c")
            .unwrap();
    }
    // What is temporary is this connection's own SQL, which SQLite lets call anything; but it is
    // not a statement of its own.
    for (made, used) in [
        (
            "CREATE TEMP VIEW v AS SELECT remy_publish AS a",
            "SELECT a FROM v",
        ),
        (
            "CREATE TEMP TRIGGER t AFTER INSERT ON users BEGIN SELECT remy_publish; END",
            "INSERT INTO users (name) VALUES ('x')",
        ),
    ] {
        db.execute_batch(&made.replace("remy_publish", &publish))
            .unwrap();
        refused(&path, &db, used, BESIDES);
    }
}

#[test]
fn only_a_file_that_this_connection_locks_and_writes() {
    let (_folder, path) = database();
    let shown = path.display();
    let call = format!("SELECT remy_publish('{SCHEMA}')");
    let open = |uri: String| loaded(Connection::open(uri).expect("a connection"));
    for (uri, why) in [
        (
            ":memory:".to_owned(),
            "the main database of this connection is in memory",
        ),
        (
            String::new(),
            "the main database of this connection is in memory",
        ),
        (
            format!("file:{shown}?mode=memory"),
            "the main database of this connection is in memory",
        ),
        (
            format!("file:{shown}?nolock=1"),
            "is open with nolock=1, so that SQLite takes no locks on it",
        ),
        (
            format!("file:{shown}?immutable=1"),
            "is open with immutable=1, so that SQLite takes no locks on it",
        ),
        (
            format!("file:{shown}?vfs=unix-none"),
            "is open with vfs=unix-none, so that SQLite takes no locks on it",
        ),
        (
            format!("file:{shown}?mode=ro"),
            "this connection may only read",
        ),
    ] {
        let db = open(uri);
        // Live by another name does not count: remy acts on the main database.
        let attached = db.execute("ATTACH ?1 AS other", [path.to_str()]);
        refused(&path, &db, &call, why);
        drop(attached);
    }
    let db = open(shown.to_string());
    db.execute_batch("PRAGMA query_only = ON").unwrap();
    refused(&path, &db, &call, "this connection may only read");
    db.execute_batch("PRAGMA query_only = OFF").unwrap();

    std::fs::hard_link(&path, path.with_file_name("again.db")).unwrap();
    refused(
        &path,
        &db,
        &call,
        "has 2 hard links, and each name would have a WAL of its own",
    );
    std::fs::remove_file(path.with_file_name("again.db")).unwrap();
    ask(&db, &call).expect("what was refused was refused for that reason alone");
}

/// Live is another connection's ATTACHed database: a connection as any other.
#[test]
fn an_attached_name_survives_a_switch() {
    let (folder, path) = database();
    let db = loaded(Connection::open(&path).unwrap());
    let other = loaded(Connection::open(folder.path().join("other.db")).unwrap());
    other.execute("ATTACH ?1 AS app", [path.to_str()]).unwrap();
    assert_eq!(ask(&other, "SELECT name FROM app.users").unwrap(), "Ann");
    ask(&db, &format!("SELECT remy_publish('{SCHEMA}')")).unwrap();
    other
        .execute_batch("INSERT INTO app.users (name, email) VALUES ('Bob', 'bob@example.com')")
        .unwrap();
    assert_eq!(
        ask(&db, "SELECT email FROM users WHERE name = 'Bob'").unwrap(),
        "bob@example.com"
    );
    // remy is on main, which has no release.
    assert_eq!(
        ask(&other, "SELECT count(*) || '' FROM remy_releases").unwrap(),
        "0"
    );
}

static OPENED_BY_SHIM: AtomicUsize = AtomicUsize::new(0);

/// Every connection to live goes by the VFS that the host opened it with.
#[test]
fn live_is_opened_with_the_vfs_of_the_host() {
    unsafe extern "C" fn open(
        vfs: *mut ffi::sqlite3_vfs,
        name: *const c_char,
        file: *mut ffi::sqlite3_file,
        flags: c_int,
        out: *mut c_int,
    ) -> c_int {
        if flags & ffi::SQLITE_OPEN_MAIN_DB != 0 {
            OPENED_BY_SHIM.fetch_add(1, Ordering::Relaxed);
        }
        // SAFETY: the shim's data is the VFS below it, which is what its own xOpen has to be called
        // with.
        unsafe {
            let below: *mut ffi::sqlite3_vfs = (*vfs).pAppData.cast();
            (*below).xOpen.expect("a VFS opens files")(below, name, file, flags, out)
        }
    }
    let (_folder, path) = database();
    // SAFETY: the shim is a copy of the default VFS, with a name of its own, and lives as long as
    // the process; the methods that it shares with the default one do not look at their VFS.
    unsafe {
        let below = ffi::sqlite3_vfs_find(ptr::null());
        let mut shim = ptr::read(below);
        (shim.zName, shim.pNext, shim.pAppData) = (c"shim".as_ptr(), ptr::null_mut(), below.cast());
        shim.xOpen = Some(open);
        assert_eq!(
            ffi::sqlite3_vfs_register(Box::leak(Box::new(shim)), 0),
            ffi::SQLITE_OK
        );
    }
    let db = loaded(Connection::open(format!("file:{}?vfs=shim", path.display())).unwrap());
    let before = OPENED_BY_SHIM.load(Ordering::Relaxed);
    assert_eq!(before, 1);
    ask(&db, "SELECT remy_debug()").unwrap();
    assert!(OPENED_BY_SHIM.load(Ordering::Relaxed) > before);
    ask(&db, &format!("SELECT remy_publish('{SCHEMA}')")).expect("a publish by the shim");
}
