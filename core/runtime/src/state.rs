//! A database of remy's own in a store: its owner's alone, and none that a rollback changes.

use crate::failure::Failure;
use remy_db_app::private;
use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior};
use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// When a write is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// Whatever happens to this process; a power cut may take it.
    Soon,
    /// Whatever happens.
    Now,
}

/// What is kept in a file.
#[derive(Debug)]
pub struct State {
    path: PathBuf,
    reads: Mutex<Connection>,
    writes: Mutex<Connection>,
}

impl State {
    /// Opens the file, or makes it. Each of `steps` brings it from one format to the next; its
    /// `user_version` counts them.
    pub fn open(path: PathBuf, steps: &[&str]) -> Result<Self, Failure> {
        let io = |e: std::io::Error| {
            let message = format!("making {}: {e}. Nothing was done", path.display());
            Failure::new("io", 500, message)
        };
        // Before SQLite makes it.
        private::database(&path).map_err(io)?;
        let doing = |e: rusqlite::Error| failed(&path, "opening it", &e);
        let mut writes = connect(&path).map_err(doing)?;
        migrate(&mut writes, &path, steps)?;
        let reads = connect(&path).map_err(doing)?;
        Ok(Self {
            path,
            reads: Mutex::new(reads),
            writes: Mutex::new(writes),
        })
    }

    /// Reads, while `doing` this: "looking for a session".
    pub fn read<T>(
        &self,
        doing: &str,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, Failure> {
        let conn = self.reads.lock().unwrap_or_else(PoisonError::into_inner);
        work(&conn).map_err(|e| failed(&self.path, doing, &e))
    }

    /// Writes, all of it or nothing.
    pub fn write<T>(
        &self,
        kept: Kept,
        doing: &str,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, Failure> {
        let mut conn = self.writes.lock().unwrap_or_else(PoisonError::into_inner);
        let synchronous = if kept == Kept::Now { "FULL" } else { "NORMAL" };
        let write = || {
            conn.pragma_update(None, "synchronous", synchronous)?;
            let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let done = work(&tx)?;
            tx.commit()?;
            Ok(done)
        };
        write().map_err(|e| failed(&self.path, doing, &e))
    }
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    remy_db::engine::init();
    let conn = Connection::open(path)?;
    conn.busy_timeout(Duration::from_secs(5))?;
    conn.pragma_update(None, "journal_mode", "WAL")?;
    Ok(conn)
}

fn migrate(conn: &mut Connection, path: &Path, steps: &[&str]) -> Result<(), Failure> {
    let doing = |e: rusqlite::Error| failed(path, "bringing it up to date", &e);
    let tx = conn
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(doing)?;
    let format: u32 = tx
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(doing)?;
    let Some(missing) = steps.get(format as usize..) else {
        let message = format!(
            "{} is of a newer remy (format {format}, and this one knows {}). Nothing was done. Use that one",
            path.display(),
            steps.len()
        );
        return Err(Failure::new("corrupt", 500, message));
    };
    for step in missing {
        tx.execute_batch(step).map_err(doing)?;
    }
    let newest = u32::try_from(steps.len()).unwrap_or(u32::MAX);
    tx.pragma_update(None, "user_version", newest)
        .map_err(doing)?;
    tx.commit().map_err(doing)
}

fn failed(path: &Path, doing: &str, e: &rusqlite::Error) -> Failure {
    match e.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => disk_full(),
        _ => Failure::new("io", 500, format!("{}: {doing}: {e}", path.display())),
    }
}

/// There is no room for what was to be kept.
pub(crate) fn disk_full() -> Failure {
    let message = "There is no room left on the disk of the server. Nothing was kept";
    Failure::new("disk_full", 507, message)
}

/// Unix milliseconds.
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    const STEPS: &[&str] = &["CREATE TABLE t (x)", "CREATE TABLE u (x)"];

    #[test]
    fn it_is_its_owners_alone_and_a_newer_one_is_left_alone() {
        let store = tempfile::tempdir().unwrap();
        let path = store.path().join("own.db");
        let open = |steps| State::open(path.clone(), steps);
        drop(open(&STEPS[..1]).unwrap());
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let brought = open(STEPS).unwrap();
        let count = "SELECT count(*) FROM sqlite_schema WHERE name IN ('t', 'u')";
        let tables = brought.read("counting", |conn| {
            conn.query_row(count, [], |row| row.get(0))
        });
        assert_eq!(tables, Ok(2));
        drop(brought);
        assert!(open(&STEPS[..1]).is_err_and(|e| e.message.contains("newer remy")));
    }

    /// A file that was opened and closed beside SQLite took its locks with it: whoever looked at the
    /// database then removed the WAL, and what was written went nowhere.
    #[test]
    fn it_may_be_open_twice_while_others_come_and_go() {
        let store = tempfile::tempdir().unwrap();
        let open = || State::open(store.path().join("own.db"), STEPS).unwrap();
        let (first, _second) = (open(), open());
        let add = |n: i64| {
            let add = |tx: &Transaction<'_>| tx.execute("INSERT INTO t VALUES (?1)", [n]);
            first.write(Kept::Now, "adding", add).unwrap();
        };
        let seen = || {
            let count = "SELECT count(*) FROM t";
            let out = std::process::Command::new("sqlite3")
                .arg(store.path().join("own.db"))
                .arg(count)
                .output();
            String::from_utf8(out.unwrap().stdout).unwrap()
        };
        add(1);
        assert_eq!(seen(), "1\n");
        add(2);
        assert_eq!(seen(), "2\n");
    }

    #[test]
    fn what_fails_writes_nothing() {
        let store = tempfile::tempdir().unwrap();
        let state = State::open(store.path().join("own.db"), &[]).unwrap();
        let failed = state.write(Kept::Now, "trying", |tx| {
            tx.execute_batch("CREATE TABLE t (x)")?;
            tx.execute_batch("no SQL")
        });
        assert_eq!(failed.unwrap_err().code, "io");
        let count = "SELECT count(*) FROM sqlite_schema WHERE name = 't'";
        let count = state.read("counting", |conn| {
            conn.query_row(count, [], |row| row.get(0))
        });
        assert_eq!(count, Ok(0));
    }
}
