//! What a schema names and this SQLite does not have: an application's functions, collations,
//! modules and tokenizers.
//!
//! Where statements are only compiled, a stand-in takes the place of a function or collation: what
//! else is wrong with a statement shows then. A stand-in returns no true value, so no statement
//! that reads a row to change it may run with one.

use crate::base::error::{Context, Error, Result, sqlite_message};
pub(crate) use crate::base::stranger::{Kind, Stranger};
use rusqlite::{Connection, ffi};
use std::{
    cell::RefCell,
    collections::BTreeSet,
    ffi::{CString, c_char, c_int, c_void},
    ptr,
};

impl Stranger {
    /// What an error of SQLite's says to be missing, if that is what it says.
    pub fn behind(e: &rusqlite::Error) -> Option<Self> {
        Self::of(&sqlite_message(e))
    }
}

/// Stand-ins on a connection.
pub(crate) struct StandIns<'c> {
    conn: &'c Connection,
    made: RefCell<BTreeSet<Stranger>>,
    /// Whether a built-in function may be given another number of arguments: taken away again, it
    /// would leave the built-in one hidden.
    overloads: bool,
}

impl<'c> StandIns<'c> {
    /// On a connection that ends with them.
    pub fn to_stay(conn: &'c Connection) -> Self {
        Self {
            conn,
            made: RefCell::default(),
            overloads: true,
        }
    }

    /// Compiles a statement, with a stand-in for what is not there. `Err` holds SQLite's words for
    /// what else is wrong.
    pub fn compile(&self, sql: &str) -> std::result::Result<(), String> {
        loop {
            let Err(e) = self.conn.prepare(sql) else {
                return Ok(());
            };
            let why = sqlite_message(&e);
            if !self.take_place(&why) {
                return Err(why);
            }
        }
    }

    /// Puts a stand-in into the place of what a message reports missing. Returns `false` where it
    /// reports nothing of the kind, or the stand-in is there already.
    pub fn take_place(&self, message: &str) -> bool {
        let Some(stranger) = Stranger::of(message) else {
            return false;
        };
        if self.made.borrow().contains(&stranger) {
            return false;
        }
        let Ok(name) = CString::new(stranger.name.as_str()) else {
            return false;
        };
        let code = match stranger.kind {
            Kind::Overload if !self.overloads => return false,
            Kind::Function | Kind::Overload => self.function(&name, Some(nothing), None),
            Kind::Aggregate => self.function(&name, None, Some(nothing)),
            Kind::Collation => self.collation(&name, Some(all_equal)),
            Kind::Module | Kind::Tokenizer => return false,
        };
        code == ffi::SQLITE_OK && self.made.borrow_mut().insert(stranger)
    }

    /// Takes all of them away.
    fn leave(&self) -> Result<()> {
        for stranger in self.made.take() {
            let Ok(name) = CString::new(stranger.name) else {
                continue;
            };
            let code = match stranger.kind {
                Kind::Collation => self.collation(&name, None),
                _ => self.function(&name, None, None),
            };
            if code != ffi::SQLITE_OK {
                return Err(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None))
                    .context(|| format!("taking away what stood for {}", name.to_string_lossy()));
            }
        }
        Ok(())
    }

    /// Registers a function of any number of arguments, as a scalar or as an aggregate; of neither,
    /// removes it.
    fn function(
        &self,
        name: &CString,
        scalar: Option<Function>,
        aggregate: Option<Function>,
    ) -> c_int {
        // INNOCUOUS: a connection that does not trust its schema would take no other in a view.
        let flags = ffi::SQLITE_UTF8 | ffi::SQLITE_DETERMINISTIC | ffi::SQLITE_INNOCUOUS;
        let name = name.as_ptr().cast::<c_char>();
        // SAFETY: the handle is open, the name NUL-terminated and copied, and the functions touch
        // none of their arguments.
        unsafe {
            let db = self.conn.handle();
            if aggregate.is_some() {
                let end = Some(no_result as unsafe extern "C" fn(*mut ffi::sqlite3_context));
                return ffi::sqlite3_create_window_function(
                    db,
                    name,
                    -1,
                    flags,
                    ptr::null_mut(),
                    aggregate,
                    end,
                    end,
                    aggregate,
                    None,
                );
            }
            ffi::sqlite3_create_function_v2(
                db,
                name,
                -1,
                flags,
                ptr::null_mut(),
                scalar,
                None,
                None,
                None,
            )
        }
    }

    /// Registers a collation; of no function, removes it, with what SQLite derived from it for
    /// other encodings.
    fn collation(&self, name: &CString, compare: Option<Compare>) -> c_int {
        let null = ptr::null_mut();
        // SAFETY: as above; the collation reads nothing.
        unsafe {
            ffi::sqlite3_create_collation_v2(
                self.conn.handle(),
                name.as_ptr(),
                ffi::SQLITE_UTF8,
                null,
                compare,
                None,
            )
        }
    }
}

/// Does `work`, which compares no rows to write any, with stand-ins on `conn`, and takes them away
/// again: what is run after that must not meet one.
pub(crate) fn standing_in<T>(
    conn: &Connection,
    work: impl FnOnce(&StandIns<'_>) -> Result<T>,
) -> Result<T> {
    let stand_ins = StandIns {
        conn,
        made: RefCell::default(),
        overloads: false,
    };
    let done = work(&stand_ins);
    stand_ins
        .leave()
        .map_err(|e| Error::internal(e.to_string()))?;
    done
}

type Function =
    unsafe extern "C" fn(*mut ffi::sqlite3_context, c_int, *mut *mut ffi::sqlite3_value);

type Compare =
    unsafe extern "C" fn(*mut c_void, c_int, *const c_void, c_int, *const c_void) -> c_int;

unsafe extern "C" fn nothing(
    _: *mut ffi::sqlite3_context,
    _: c_int,
    _: *mut *mut ffi::sqlite3_value,
) {
}

unsafe extern "C" fn no_result(_: *mut ffi::sqlite3_context) {}

unsafe extern "C" fn all_equal(
    _: *mut c_void,
    _: c_int,
    _: *const c_void,
    _: c_int,
    _: *const c_void,
) -> c_int {
    0
}

/// The column that a message says to be missing, as it is written there. Newer messages go on to
/// ask whether a string was meant.
pub(crate) fn missing_column(why: &str) -> Option<&str> {
    let (_, name) = why.split_once("no such column: ")?;
    name.split(" - should this be").next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stand_in_compiles_and_is_gone_after() {
        crate::sqlite::engine::init();
        for encoding in ["UTF-8", "UTF-16"] {
            let conn = Connection::open_in_memory().unwrap();
            conn.execute_batch(&format!(
                "PRAGMA encoding = '{encoding}'; CREATE TABLE t (a)"
            ))
            .unwrap();
            let statements = [
                "SELECT my_fn(a) FROM t WHERE a REGEXP 'x' ORDER BY a COLLATE my_order",
                "SELECT my_sum(a) OVER (ORDER BY a COLLATE my_order), my_sum(a) FILTER (WHERE a) OVER () FROM t",
            ];
            standing_in(&conn, |stand_ins| {
                for sql in statements {
                    assert_eq!(stand_ins.compile(sql), Ok(()), "{sql}");
                }
                assert!(
                    stand_ins
                        .compile("SELECT my_fn(b) FROM t")
                        .unwrap_err()
                        .contains("no such column")
                );
                assert!(
                    stand_ins
                        .compile("SELECT lower(a, 1) FROM t")
                        .unwrap_err()
                        .contains("wrong number")
                );
                Ok(())
            })
            .unwrap();
            for sql in statements
                .iter()
                .chain(&["SELECT a FROM t ORDER BY a COLLATE my_order"])
            {
                assert!(conn.prepare(sql).is_err(), "{sql}");
            }
            assert_eq!(
                conn.query_row("SELECT lower('A')", [], |row| row.get::<_, String>(0))
                    .unwrap(),
                "a"
            );
        }
    }
}
