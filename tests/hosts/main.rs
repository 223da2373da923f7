//! The faces, each in the hosts that it is for.
mod c;
mod descriptors;
mod extension;
mod node;
mod python;
mod rust;
mod shell;
mod strangers;
mod walk;

/// A database with a table and a row, in a folder of its own.
fn database() -> (tempfile::TempDir, std::path::PathBuf) {
    remy_db::engine::init();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("app.db");
    let db = rusqlite::Connection::open(&path).expect("a database");
    db.execute_batch("CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO users VALUES (1, 'Ann')")
        .expect("a table");
    (folder, path)
}

/// The schema that the tests publish: the table of [`database`] with a column more.
const SCHEMA: &str = "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, email TEXT);";

/// The same, in WAL mode, with the table that writers write to.
fn database_with_writers() -> (tempfile::TempDir, std::path::PathBuf) {
    let (folder, path) = database();
    remy_tests::shell(&path, &format!("PRAGMA journal_mode = wal; {WRITES}"));
    (folder, path)
}

/// The table of [`remy_tests::writer`].
const WRITES: &str =
    "CREATE TABLE app_writes (id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE);";
