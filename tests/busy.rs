//! A database of a size, and the writers that keep it busy: what benchmarks measure on.
use crate::{
    report::{Done, ms},
    writer::Writer,
};
use rusqlite::Connection;
use std::{fs::File, path::Path, time::Duration};

/// A megabyte.
pub const MB: u64 = 1_000_000;
/// SQLite's default.
pub const PAGE: u64 = 4096;
/// What each of the three writers rests after a write.
const REST: Duration = Duration::from_millis(2);

/// What the database has.
pub const SCHEMA: &str = "
    CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT NOT NULL, body BLOB);
    CREATE TABLE orders (id INTEGER PRIMARY KEY, item INTEGER NOT NULL, quantity INTEGER NOT NULL, at TEXT);
    CREATE TABLE app_writes (id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL);";

/// ADD COLUMN and CREATE TABLE, as remy is told.
pub fn with_column_and_table() -> String {
    SCHEMA.replace("body BLOB", "body BLOB, note TEXT")
        + "CREATE TABLE invoices (id INTEGER PRIMARY KEY, total REAL);"
}

/// A database of so many bytes: small orders, and items of about 340 bytes.
pub fn make(path: &Path, bytes: u64) -> Done {
    let conn = Connection::open(path)?;
    conn.execute_batch("PRAGMA journal_mode = off; PRAGMA synchronous = off; BEGIN")?;
    conn.execute_batch(SCHEMA)?;
    conn.execute_batch(
        "WITH RECURSIVE c (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM c WHERE i < 50000)
           INSERT INTO orders SELECT i, i * 7919 % 20000, i % 5 + 1, date('2024-01-01', '+' || (i / 80) || ' days') FROM c",
    )?;
    let pages = || conn.query_row("PRAGMA page_count", [], |row| row.get::<_, u32>(0));
    while u64::from(pages()?) * PAGE < bytes {
        conn.execute_batch(
            "WITH RECURSIVE c (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM c WHERE i < 1000)
               INSERT INTO items (name, body) SELECT 'item ' || i, randomblob(310) FROM c",
        )?;
    }
    conn.execute_batch("COMMIT; PRAGMA journal_mode = wal")?;
    drop(conn);
    File::open(path)?.sync_all()?;
    Ok(())
}

/// Three writers, of another SQLite, in processes of their own.
pub struct Writers(Vec<Writer>);

impl Writers {
    /// Starts them on a database, and waits until they are at work.
    pub fn start(live: &Path) -> Done<Self> {
        let writers = Self(
            (1..=3)
                .map(|number| Writer::start_paced(live, number, REST))
                .collect(),
        );
        std::thread::sleep(Duration::from_millis(200));
        Ok(writers)
    }

    /// Runs something, and returns the longest that an INSERT took meanwhile, in ms.
    pub fn slowest<T>(&self, work: impl FnOnce() -> Done<T>) -> Done<(T, f64)> {
        self.0.iter().for_each(Writer::reset_longest);
        let result = work()?;
        // Until the INSERTs that waited are through.
        std::thread::sleep(Duration::from_millis(50));
        Ok((
            result,
            self.0
                .iter()
                .map(|writer| ms(writer.longest()))
                .fold(0.0, f64::max),
        ))
    }

    /// Ends them. Fails where one of them could not write.
    pub fn stop(self) -> Done {
        let errors: Vec<String> = self
            .0
            .into_iter()
            .flat_map(|writer| writer.stop().errors)
            .collect();
        if errors.is_empty() {
            Ok(())
        } else {
            Err(format!("writers failed: {errors:?}").into())
        }
    }
}
