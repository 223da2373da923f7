//! What SQL that is not remy's own may not do.

use crate::{
    base::error::{self, Context},
    sqlite::{quote::is_remys, script::PreparedStatement},
};
use rusqlite::{Connection, config::DbConfig, ffi};
use std::{
    cell::{Cell, RefCell},
    ffi::{CStr, c_char, c_int, c_void},
    ptr,
};

/// Pragmas that do something though they carry no value. Any other reads then: modules ask for
/// `data_version` and `page_size`.
const ACTS: &[&str] = &["incremental_vacuum", "wal_checkpoint"];

/// Pragmas whose value says what to read.
const READS_BY_A_VALUE: &[&str] = &[
    "foreign_key_check",
    "foreign_key_list",
    "index_info",
    "index_list",
    "index_xinfo",
    "integrity_check",
    "quick_check",
    "table_info",
    "table_list",
    "table_xinfo",
];

/// Pragmas whose value is one that a clone is to keep.
const KEEPS_A_VALUE: &[&str] = &[
    "application_id",
    "defer_foreign_keys",
    // How the migration's own RENAMEs go; `rehearse::migrations` sets it back.
    "legacy_alter_table",
    "user_version",
];

/// Pragmas that the files of other tools have, and that change nothing here: `foreign_keys` does
/// nothing inside a transaction, and `optimize` is for a connection that has run queries.
const PASSED_OVER: &[&str] = &["foreign_keys", "optimize"];

/// Functions that reach into the process, beyond any database: one runs a library, the other calls
/// an address.
const FUNCTIONS: &[&str] = &["load_extension", "fts3_tokenizer"];

/// Whether it is one of those functions.
pub fn reaches_out(function: &str) -> bool {
    FUNCTIONS
        .iter()
        .any(|name| name.eq_ignore_ascii_case(function))
}

/// Whose SQL it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Policy {
    /// A migration's, in a transaction of remy's on a clone.
    #[default]
    Migration,
    /// Of somebody who may read.
    Reading,
    /// Of somebody whose own database it is.
    Own,
}

/// While it lives, its connection refuses what a policy does not let SQL do. Raw pages (`sqlite_dbpage`,
/// under whatever name) and the tables behind virtual ones are what SQLite's own defensive mode
/// keeps from it.
pub(crate) struct Authorizer<'c> {
    conn: &'c Connection,
    state: Box<CallbackState>,
}

/// What the callback reads and writes.
#[derive(Default)]
struct CallbackState {
    policy: Policy,
    /// What was refused last.
    denied: RefCell<Option<String>>,
    /// A statement runs, and did compile: what is asked for now are statements of modules, or the
    /// same one compiled again.
    running: Cell<bool>,
}

impl<'c> Authorizer<'c> {
    /// Guards `conn`.
    pub fn new(conn: &'c Connection, policy: Policy) -> error::Result<Self> {
        let state = Box::new(CallbackState {
            policy,
            ..CallbackState::default()
        });
        let data = ptr::from_ref(&*state).cast_mut().cast::<c_void>();
        // SAFETY: the handle is open; `state` has a place of its own that outlives the
        // registration, which drop ends.
        let code = unsafe { ffi::sqlite3_set_authorizer(conn.handle(), Some(authorize), data) };
        let guard = Self { conn, state };
        conn.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)
            .context(|| "setting the authorizer".to_owned())?;
        if code == ffi::SQLITE_OK {
            Ok(())
        } else {
            Err(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None))
        }
        .context(|| "setting the authorizer".to_owned())?;
        Ok(guard)
    }

    /// Runs a statement that has compiled. What a module was refused, and could do without, is no
    /// reason for a later failure.
    pub fn run(&self, statement: &mut PreparedStatement<'_>) -> Result<(), String> {
        self.running(|| statement.run())
    }

    /// As [`Authorizer::run`], for who steps the statement.
    pub fn running<T, E>(&self, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        self.denied();
        self.state.running.set(true);
        let outcome = work();
        self.state.running.set(false);
        if outcome.is_ok() {
            self.denied();
        }
        outcome
    }

    /// What was refused last.
    pub fn denied(&self) -> Option<String> {
        self.state.denied.borrow_mut().take()
    }
}

impl Drop for Authorizer<'_> {
    fn drop(&mut self) {
        // SAFETY: the handle is open for as long as the connection is borrowed.
        unsafe { ffi::sqlite3_set_authorizer(self.conn.handle(), None, ptr::null_mut()) };
        // As `rehearse::prepare` has it. It can fail only where setting it has.
        let _ = self
            .conn
            .set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, false);
    }
}

unsafe extern "C" fn authorize(
    data: *mut c_void,
    action: c_int,
    first: *const c_char,
    second: *const c_char,
    _database: *const c_char,
    _trigger: *const c_char,
) -> c_int {
    // SAFETY: SQLite gives NULL or a text that lives during the call.
    let text = |at: *const c_char| unsafe {
        (!at.is_null()).then(|| CStr::from_ptr(at).to_string_lossy())
    };
    let (first, second) = (text(first).unwrap_or_default(), text(second));
    // SAFETY: `data` is what `Authorizer` keeps for as long as this is registered; this runs on its
    // thread.
    let state = unsafe { &*data.cast::<CallbackState>() };
    let asked = Asked {
        action,
        first: &first,
        second: second.as_deref(),
        running: state.running.get(),
    };
    if state.policy == Policy::Migration
        && action == ffi::SQLITE_PRAGMA
        && asked.is_one_of(PASSED_OVER)
    {
        // It compiles to nothing.
        return ffi::SQLITE_IGNORE;
    }
    let why = match state.policy {
        Policy::Migration => asked.in_a_migration(),
        Policy::Reading => asked.in_reading(),
        Policy::Own => asked.beyond_the_database(),
    };
    let Some(why) = why else {
        return ffi::SQLITE_OK;
    };
    if let Ok(mut denied) = state.denied.try_borrow_mut() {
        *denied = Some(why);
    }
    ffi::SQLITE_DENY
}

/// What a statement asks for.
struct Asked<'a> {
    action: c_int,
    first: &'a str,
    second: Option<&'a str>,
    running: bool,
}

/// Why it is refused.
impl Asked<'_> {
    fn is_one_of(&self, names: &[&str]) -> bool {
        names
            .iter()
            .any(|name| name.eq_ignore_ascii_case(self.first))
    }

    fn second(&self) -> &str {
        self.second.unwrap_or_default()
    }

    /// To anybody: another file, code, an address.
    fn beyond_the_database(&self) -> Option<String> {
        match self.action {
            ffi::SQLITE_ATTACH => Some("ATTACH, or VACUUM, which does it,".to_owned()),
            ffi::SQLITE_DETACH => Some("DETACH".to_owned()),
            ffi::SQLITE_FUNCTION if reaches_out(self.second()) => {
                Some(format!("{}()", self.second()))
            }
            _ => None,
        }
    }

    /// To who may not end the transaction that there is.
    fn of_the_transaction(&self) -> Option<String> {
        match self.action {
            ffi::SQLITE_TRANSACTION => Some(self.first.to_owned()),
            // FTS3 and FTS4 optimize inside one of their own. Whoever wrote the SQL cannot: theirs
            // does not compile.
            ffi::SQLITE_SAVEPOINT if !self.running => Some("SAVEPOINT".to_owned()),
            _ => None,
        }
    }

    fn in_reading(&self) -> Option<String> {
        let refused = self
            .beyond_the_database()
            .or_else(|| self.of_the_transaction());
        if refused.is_some() {
            return refused;
        }
        let reads = match self.second {
            Some(_) => self.is_one_of(READS_BY_A_VALUE),
            None => !self.is_one_of(ACTS) && !self.first.eq_ignore_ascii_case("optimize"),
        };
        match self.action {
            ffi::SQLITE_PRAGMA if !reads => Some(format!("PRAGMA {}", self.first)),
            ffi::SQLITE_READ
            | ffi::SQLITE_SELECT
            | ffi::SQLITE_FUNCTION
            | ffi::SQLITE_RECURSIVE
            | ffi::SQLITE_PRAGMA
            | ffi::SQLITE_SAVEPOINT => None,
            _ => Some("a statement that writes".to_owned()),
        }
    }

    fn in_a_migration(&self) -> Option<String> {
        let refused = self
            .beyond_the_database()
            .or_else(|| self.of_the_transaction());
        if refused.is_some() {
            return refused;
        }
        let may = match self.second {
            Some(_) => self.is_one_of(READS_BY_A_VALUE) || self.is_one_of(KEEPS_A_VALUE),
            None => !self.is_one_of(ACTS),
        };
        match self.action {
            ffi::SQLITE_PRAGMA if !may => Some(format!("PRAGMA {}", self.first)),
            ffi::SQLITE_READ
            | ffi::SQLITE_SELECT
            | ffi::SQLITE_FUNCTION
            | ffi::SQLITE_RECURSIVE
            | ffi::SQLITE_PRAGMA => None,
            // Without a name it counts the rows of every table, and changes none.
            ffi::SQLITE_ANALYZE => None,
            // Whatever else names one of remy's tables would change it; ALTER TABLE and those on
            // indexes name it second.
            _ => [self.first, self.second()]
                .into_iter()
                .find(|name| is_remys(name))
                .map(|name| format!("writing to {name}, which is remy's own,")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_reach_beyond_the_clone_is_refused() {
        crate::sqlite::engine::init();
        let conn = Connection::open_in_memory().unwrap();
        conn.execute_batch("CREATE TABLE _remy_x(a); CREATE TABLE t(a); CREATE VIRTUAL TABLE f USING fts5(a); BEGIN")
            .unwrap();
        let guard = Authorizer::new(&conn, Policy::Migration).unwrap();
        for sql in [
            "ATTACH ':memory:' AS x",
            "DETACH x",
            "COMMIT",
            "ROLLBACK",
            "SAVEPOINT a",
            "SELECT load_extension('x')",
            "SELECT FTS3_Tokenizer('simple', x'0000000000000000')",
            "SELECT fts3_tokenizer('simple')",
            "CREATE TABLE c AS SELECT fts3_tokenizer('simple', x'0000000000000000')",
            "PRAGMA writable_schema=ON",
            "PRAGMA journal_mode=DELETE",
            "INSERT INTO _remy_x VALUES(1)",
            "UPDATE _remy_x SET a=1",
            "DELETE FROM _remy_x",
            "DROP TABLE _remy_x",
            "ALTER TABLE _remy_x RENAME TO y",
            "ALTER TABLE _remy_x ADD COLUMN b",
            "CREATE TABLE _remy_y(a)",
            "CREATE INDEX i ON _remy_x(a)",
            "CREATE TRIGGER r AFTER INSERT ON _remy_x BEGIN SELECT 1; END",
        ] {
            assert!(conn.execute_batch(sql).is_err(), "{sql}");
            assert!(guard.denied().is_some(), "{sql}");
        }
        for sql in [
            "DELETE FROM sqlite_schema",
            "UPDATE sqlite_dbpage SET data = data",
            "DELETE FROM f_data",
        ] {
            assert!(conn.execute_batch(sql).is_err(), "{sql}");
        }
        conn.execute_batch(
            "INSERT INTO t VALUES(1); PRAGMA user_version=7; SELECT * FROM _remy_x; PRAGMA table_info(t)",
        )
        .unwrap();
        assert!(guard.denied().is_none());
        drop(guard);
        conn.execute_batch("COMMIT; DELETE FROM _remy_x").unwrap();
    }

    #[test]
    fn who_may_read_does_nothing_else() {
        crate::sqlite::engine::init();
        let conn = Connection::open_in_memory().unwrap();
        conn.execute_batch(
            "CREATE TABLE t (a); CREATE INDEX i ON t (a); CREATE VIRTUAL TABLE f USING fts5 (a);
             CREATE VIRTUAL TABLE g USING fts4 (a); CREATE VIRTUAL TABLE r USING rtree (id, x, y);
             INSERT INTO f VALUES ('word'); INSERT INTO g VALUES ('word'); CREATE VIEW v AS SELECT a FROM t; BEGIN",
        )
        .unwrap();
        let guard = Authorizer::new(&conn, Policy::Reading).unwrap();
        for sql in [
            "ATTACH ':memory:' AS x",
            "VACUUM INTO 'x.db'",
            "COMMIT",
            "ROLLBACK",
            "SAVEPOINT a",
            "SELECT load_extension('x')",
            "SELECT fts3_tokenizer('simple', x'0000000000000000')",
            "INSERT INTO t VALUES (1)",
            "UPDATE t SET a = 1",
            "DELETE FROM t",
            "INSERT INTO f (f) VALUES ('rebuild')",
            "CREATE TABLE u (a)",
            "CREATE TEMP TABLE u (a)",
            "CREATE TABLE u AS SELECT 1",
            "CREATE VIRTUAL TABLE u USING fts5 (a)",
            "DROP TABLE t",
            "ALTER TABLE t ADD COLUMN b",
            "REINDEX i",
            "ANALYZE",
            "PRAGMA user_version = 7",
            "PRAGMA query_only = 0",
            "PRAGMA journal_mode = delete",
            "PRAGMA writable_schema = 1",
            "PRAGMA wal_checkpoint",
            "PRAGMA incremental_vacuum",
            "PRAGMA optimize",
        ] {
            assert!(conn.execute_batch(sql).is_err(), "{sql}");
            assert!(
                guard.denied().is_some() || sql.starts_with("VACUUM"),
                "{sql}"
            );
        }
        for sql in [
            "SELECT * FROM v JOIN t USING (a)",
            "SELECT * FROM f WHERE f MATCH 'word'",
            "SELECT snippet(g) FROM g WHERE g MATCH 'word'",
            "SELECT * FROM r",
            "WITH RECURSIVE n (x) AS (VALUES (1) UNION ALL SELECT x + 1 FROM n WHERE x < 3) SELECT * FROM n",
            "SELECT * FROM pragma_table_info('t'), json_each('[1]')",
            "PRAGMA table_info(t)",
            "PRAGMA user_version",
            "PRAGMA journal_mode",
            "PRAGMA foreign_keys",
            "PRAGMA integrity_check",
            "EXPLAIN QUERY PLAN SELECT * FROM t",
            "VALUES (1)",
        ] {
            let rows = conn
                .prepare(sql)
                .and_then(|mut it| guard.running(|| it.query([])?.next().map(|_| ())));
            assert!(rows.is_ok(), "{sql}: {rows:?}");
        }
    }
}
