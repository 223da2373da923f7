//! What a server keeps that no rollback changes: `server.db` in the store, live's owner's alone.

pub(crate) mod codes;
pub(crate) mod files;
pub(crate) mod keys;
pub(crate) mod logins;
pub(crate) mod sessions;
pub(crate) mod threads;
mod tries;

use remy_db_app::private;
use remy_db_runtime::failure::Failure;
use rusqlite::{Connection, Transaction, TransactionBehavior};
use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

const FILE: &str = "server.db";

/// Each brings the file from one format to the next; its `user_version` counts them.
const STEPS: &[&str] = &[
    sessions::SCHEMA,
    logins::SCHEMA,
    codes::SCHEMA,
    tries::SCHEMA,
    keys::SCHEMA,
    files::SCHEMA,
    threads::SCHEMA,
];

/// When a write is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    /// Whatever happens to this process; a power cut may take it.
    Soon,
    /// Whatever happens.
    Now,
}

/// What a server keeps.
pub(crate) struct State {
    path: PathBuf,
    reads: Mutex<Connection>,
    writes: Mutex<Connection>,
}

impl State {
    /// Opens the file in `store`, or makes it.
    pub fn open(store: &Path) -> Result<Self, Failure> {
        let path = store.join(FILE);
        let io = |e: std::io::Error| {
            let message = format!("making {}: {e}. Nothing is served", path.display());
            Failure::new("io", 500, message)
        };
        // Before SQLite makes it.
        private::file(&path, false).map_err(io)?;
        let doing = |e: rusqlite::Error| failed(&path, "opening it", &e);
        let mut writes = connect(&path).map_err(doing)?;
        migrate(&mut writes, &path)?;
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

    /// Removes what is over, or kept too long.
    pub fn sweep(&self) -> Result<(), Failure> {
        self.write(Kept::Soon, "removing what is over", |tx| {
            sessions::sweep(tx)?;
            logins::sweep(tx)?;
            codes::sweep(tx)?;
            tries::sweep(tx)
        })
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

fn migrate(conn: &mut Connection, path: &Path) -> Result<(), Failure> {
    let doing = |e: rusqlite::Error| failed(path, "bringing it up to date", &e);
    let tx = conn
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(doing)?;
    let format: u32 = tx
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(doing)?;
    let Some(missing) = STEPS.get(format as usize..) else {
        let message = format!(
            "{} is of a newer remy (format {format}, and this one knows {}). Nothing is served. Serve with that one",
            path.display(),
            STEPS.len()
        );
        return Err(Failure::new("corrupt", 500, message));
    };
    for step in missing {
        tx.execute_batch(step).map_err(doing)?;
    }
    let newest = u32::try_from(STEPS.len()).unwrap_or(u32::MAX);
    tx.pragma_update(None, "user_version", newest)
        .map_err(doing)?;
    tx.commit().map_err(doing)
}

fn failed(path: &Path, doing: &str, e: &rusqlite::Error) -> Failure {
    Failure::new("io", 500, format!("{}: {doing}: {e}", path.display()))
}

/// Unix milliseconds.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn it_is_its_owners_alone_and_a_newer_one_is_left_alone() {
        let store = tempfile::tempdir().unwrap();
        drop(State::open(store.path()).unwrap());
        let path = store.path().join(FILE);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        drop(State::open(store.path()).unwrap());
        let conn = Connection::open(&path).unwrap();
        conn.pragma_update(None, "user_version", 99).unwrap();
        assert!(State::open(store.path()).is_err_and(|e| e.message.contains("newer remy")));
    }

    #[test]
    fn what_fails_writes_nothing() {
        let store = tempfile::tempdir().unwrap();
        let state = State::open(store.path()).unwrap();
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
