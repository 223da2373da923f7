//! What SQL that is not remy's own may not do on a clone.

use crate::{
    base::error::{self, Context},
    sqlite::script::PreparedStatement,
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

/// Pragmas that may carry a value: it says what to read, or is one that a clone is to keep.
const TAKES_A_VALUE: &[&str] = &[
    "application_id",
    "defer_foreign_keys",
    "foreign_key_check",
    "foreign_key_list",
    "index_info",
    "index_list",
    "index_xinfo",
    "integrity_check",
    // How the migration's own RENAMEs go; `rehearse::migrations` sets it back.
    "legacy_alter_table",
    "quick_check",
    "table_info",
    "table_list",
    "table_xinfo",
    "user_version",
];

/// Pragmas that the files of other tools have, and that change nothing here: `foreign_keys` does
/// nothing inside a transaction, and `optimize` is for a connection that has run queries.
const PASSED_OVER: &[&str] = &["foreign_keys", "optimize"];

/// Functions that reach into the process, beyond any database: one runs a library, the other calls
/// an address.
const FUNCTIONS: &[&str] = &["load_extension", "fts3_tokenizer"];

/// Whether it is one of those functions.
pub(crate) fn reaches_out(function: &str) -> bool {
    FUNCTIONS
        .iter()
        .any(|name| name.eq_ignore_ascii_case(function))
}

/// While it lives, its connection refuses what a migration may not do. Raw pages (`sqlite_dbpage`,
/// under whatever name) and the tables behind virtual ones are what SQLite's own defensive mode
/// keeps from it.
pub(crate) struct Authorizer<'c> {
    conn: &'c Connection,
    state: Box<CallbackState>,
}

/// What the callback reads and writes.
#[derive(Default)]
struct CallbackState {
    /// What was refused last.
    denied: RefCell<Option<String>>,
    /// A statement runs, and did compile: what is asked for now are statements of modules, or the
    /// same one compiled again.
    running: Cell<bool>,
}

impl<'c> Authorizer<'c> {
    /// Guards `conn`.
    pub fn new(conn: &'c Connection) -> error::Result<Self> {
        let state = Box::<CallbackState>::default();
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
        self.denied();
        self.state.running.set(true);
        let outcome = statement.run();
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
    if action == ffi::SQLITE_PRAGMA
        && PASSED_OVER
            .iter()
            .any(|name| name.eq_ignore_ascii_case(&first))
    {
        // It compiles to nothing.
        return ffi::SQLITE_IGNORE;
    }
    // SAFETY: `data` is what `Authorizer` keeps for as long as this is registered; this runs on its
    // thread.
    let state = unsafe { &*data.cast::<CallbackState>() };
    let Some(why) = refusal(action, &first, second.as_deref(), state.running.get()) else {
        return ffi::SQLITE_OK;
    };
    if let Ok(mut denied) = state.denied.try_borrow_mut() {
        *denied = Some(why);
    }
    ffi::SQLITE_DENY
}

fn refusal(action: c_int, first: &str, second: Option<&str>, running: bool) -> Option<String> {
    let own = |name: &str| {
        name.get(..6)
            .is_some_and(|start| start.eq_ignore_ascii_case("_remy_"))
    };
    let is_in = |names: &[&str]| names.iter().any(|name| name.eq_ignore_ascii_case(first));
    let pragma = || {
        if second.is_some() {
            is_in(TAKES_A_VALUE)
        } else {
            !is_in(ACTS)
        }
    };
    let second = second.unwrap_or_default();
    match action {
        ffi::SQLITE_ATTACH => Some("ATTACH, or VACUUM, which does it,".to_owned()),
        ffi::SQLITE_DETACH => Some("DETACH".to_owned()),
        ffi::SQLITE_TRANSACTION => Some(first.to_owned()),
        // FTS3 and FTS4 optimize inside one of their own. Whoever wrote a migration cannot: theirs
        // does not compile.
        ffi::SQLITE_SAVEPOINT if !running => Some("SAVEPOINT".to_owned()),
        ffi::SQLITE_PRAGMA if !pragma() => Some(format!("PRAGMA {first}")),
        ffi::SQLITE_FUNCTION if reaches_out(second) => Some(format!("{second}()")),
        ffi::SQLITE_READ
        | ffi::SQLITE_SELECT
        | ffi::SQLITE_FUNCTION
        | ffi::SQLITE_RECURSIVE
        | ffi::SQLITE_PRAGMA => None,
        // Without a name it counts the rows of every table, and changes none.
        ffi::SQLITE_ANALYZE => None,
        // Whatever else names one of remy's tables would change it; ALTER TABLE and those on
        // indexes name it second.
        _ if own(first) || own(second) => Some(format!(
            "writing to {}, which is remy's own,",
            if own(first) { first } else { second }
        )),
        _ => None,
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
        let guard = Authorizer::new(&conn).unwrap();
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
}
