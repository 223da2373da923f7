//! The faces, each in the hosts that it is for.
//!
//! Tests marked `needs the engine` are of the whole way from a host to a switched database.
mod c;
mod extension;
mod node;
mod python;
mod shell;

/// A database with a table and a row, in a folder of its own.
fn database() -> (tempfile::TempDir, std::path::PathBuf) {
    remy_core::engine::init();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("app.db");
    let db = rusqlite::Connection::open(&path).expect("a database");
    db.execute_batch("CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO users VALUES (1, 'Ann')")
        .expect("a table");
    (folder, path)
}

/// The schema that the tests publish: the table of [`database`] with a column more.
const SCHEMA: &str = "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, email TEXT);";
