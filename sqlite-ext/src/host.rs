//! The one guard between remy and the SQLite that loaded it.
//!
//! Nothing else in this crate is called by SQLite directly, and nothing else looks at a raw value.
//! Here is seen to it that
//!
//! - no panic reaches SQLite: sqlite-loadable's and rusqlite's callbacks would abort the host's
//!   process;
//! - no argument is read that is not there: sqlite-loadable's `value_blob` is undefined on NULL,
//!   and its `value_text` asks for the length before the text, so values are fetched through
//!   rusqlite's bindings, in SQLite's order;
//! - an error is text, never a format: table functions are rusqlite's, since sqlite-loadable's hand
//!   their message to printf;
//! - a host that is too old is told so before anything newer than it is touched.

use crate::{
    call::{Call, utf8},
    guard::{guard, raised},
    tables::{Row, Table},
};
use remy_db::{Error, Result, State};
use rusqlite::{Connection, ffi, types::Value};
use sqlite_loadable::{FunctionFlags, define_scalar_function};
use std::{
    ffi::{CStr, CString, c_char, c_int},
    ops::RangeInclusive,
    sync::Once,
};

/// The oldest SQLite whose routines the bindings name.
const OLDEST: c_int = 3_034_001;

/// Binds sqlite-loadable, which has a table of routines beside rusqlite's.
static OTHERS: Once = Once::new();

/// The connection that remy is being loaded into.
pub struct Host {
    conn: Connection,
}

/// Binds remy to the host and lets `register` add its functions.
///
/// # Safety
/// `db` is an open connection of the SQLite whose routines are in `api`; `message` is null or may
/// be written to.
pub unsafe fn load(
    db: *mut ffi::sqlite3,
    message: *mut *mut c_char,
    api: *mut ffi::sqlite3_api_routines,
    register: impl FnOnce(&Host) -> Result<()>,
) -> c_int {
    // SAFETY: `api` is null or, by the contract of an entry point, the table of routines of the
    // host.
    let Some(api_ref) = (unsafe { api.as_ref() }) else {
        return ffi::SQLITE_ERROR;
    };
    let loaded = guard(|| {
        // SAFETY: this function's contract.
        let host = unsafe { bind(db, api, api_ref) }?;
        register(&host)
    });
    let Err(e) = loaded else {
        // Code that SQLite could unload would take threads, hooks and destructors of the process
        // down with it.
        return ffi::SQLITE_OK_LOAD_PERMANENTLY;
    };
    if let (false, Some(mprintf)) = (message.is_null(), api_ref.mprintf) {
        // SAFETY: `message` may be written to, and takes a string of the host's allocator. The
        // format takes one C string.
        unsafe { *message = mprintf(c"%s".as_ptr(), c_text(&raised(&e)).as_ptr()) };
    }
    ffi::SQLITE_ERROR
}

/// Checks the host and binds rusqlite and sqlite-loadable to it.
///
/// # Safety
/// As [`load`]; `table` is what `api` points to.
unsafe fn bind(
    db: *mut ffi::sqlite3,
    api: *mut ffi::sqlite3_api_routines,
    table: &ffi::sqlite3_api_routines,
) -> Result<Host> {
    // Both routines are among the first hundred of the table, which every SQLite has that can load
    // an extension.
    let (Some(number), Some(text)) = (table.libversion_number, table.libversion) else {
        return Err(Error::invalid_argument(
            "the host's SQLite does not tell its version",
        ));
    };
    // SAFETY: they take nothing; the text is a constant of the host.
    let (number, text) = unsafe { (number(), CStr::from_ptr(text())) };
    if number < OLDEST {
        return Err(Error::invalid_argument(format!(
            "remy {} needs a host SQLite of 3.34.1 or newer, and this host runs {}",
            remy_db::VERSION,
            text.to_string_lossy()
        ))
        .state("Nothing was loaded")
        .hint(
            "Load it into a newer SQLite, or use remy from C or Node.js, which bring their own",
        ));
    }
    // SAFETY: `api` is the host's table, new enough to have every routine that the bindings name.
    unsafe { remy_db::internals::bind(api) }.map_err(|e| e.state("Nothing was loaded"))?;
    // SAFETY: the same.
    OTHERS.call_once(|| unsafe { sqlite_loadable::ext::faux_sqlite_extension_init2(api.cast()) });
    // SAFETY: `db` is open, and a connection made from a handle does not close it.
    let conn = unsafe { Connection::from_handle(db) }?;
    Ok(Host { conn })
}

impl Host {
    /// Registers the one function that anything may call: it takes nothing and returns a constant.
    pub fn public<F>(&self, name: &str, function: F) -> Result<()>
    where
        F: Fn() -> &'static str + 'static,
    {
        let flags = FunctionFlags::INNOCUOUS | FunctionFlags::DETERMINISTIC;
        self.define(name, 0, flags, move |_| Ok(function().to_owned()))
    }

    /// Registers a verb for each number of arguments that it takes.
    pub fn function<F>(&self, name: &str, arity: RangeInclusive<c_int>, verb: F) -> Result<()>
    where
        F: Fn(&Call) -> Result<String> + Copy + 'static,
    {
        arity
            .into_iter()
            .try_for_each(|count| self.define(name, count, FunctionFlags::DIRECTONLY, verb))
    }

    /// Registers a table function.
    pub fn table(&self, table: &'static Table) -> Result<()> {
        Ok(self
            .conn
            .create_module(table.name, &Row::MODULE, Some(table))?)
    }

    fn define<F>(&self, name: &str, arity: c_int, flags: FunctionFlags, call: F) -> Result<()>
    where
        F: Fn(&Call) -> Result<String> + 'static,
    {
        // sqlite-loadable never frees what a function captures, so it may capture nothing.
        const { assert!(size_of::<F>() == 0) };
        let callback =
            move |context: *mut sqlite_loadable::ext::sqlite3_context,
                  values: &[*mut sqlite_loadable::ext::sqlite3_value]| {
                let context: *mut ffi::sqlite3_context = context.cast();
                let result = guard(|| {
                    // SAFETY: SQLite gives a callback valid values, for as long as it runs.
                    let args = values
                        .iter()
                        .map(|value| unsafe { fetch(value.cast()) })
                        .collect::<Result<_>>()?;
                    // SAFETY: and a valid context, of the connection that is calling.
                    call(&unsafe { Call::new(ffi::sqlite3_context_db_handle(context), args) })
                });
                // SAFETY: it is still running; SQLite copies the text before `answer` returns.
                unsafe { answer(context, &result) };
                Ok(())
            };
        // SAFETY: `handle` is used to register a function, not kept.
        let db = unsafe { self.conn.handle() };
        define_scalar_function(
            db.cast(),
            name,
            arity,
            callback,
            FunctionFlags::UTF8 | flags,
        )
        .map_err(|_| Error::internal(format!("the host's SQLite did not register {name}")))
    }
}

/// Gives SQLite a result: text, or an error with its code.
///
/// # Safety
/// `context` is that of a running callback.
unsafe fn answer(context: *mut ffi::sqlite3_context, result: &Result<String>) {
    let (text, failed) = match result {
        Ok(json) => (json.clone(), false),
        Err(e) => (raised(e), true),
    };
    // SAFETY: the pointer and the length are those of `text`, which SQLite copies (TRANSIENT; an
    // error always is).
    unsafe {
        match c_int::try_from(text.len()) {
            Err(_) => ffi::sqlite3_result_error_toobig(context),
            Ok(length) if failed => {
                ffi::sqlite3_result_error(context, text.as_ptr().cast(), length)
            }
            Ok(length) => ffi::sqlite3_result_text(
                context,
                text.as_ptr().cast(),
                length,
                ffi::SQLITE_TRANSIENT(),
            ),
        }
    }
}

/// Copies a value of SQLite's.
///
/// # Safety
/// `value` is an argument of a running callback.
unsafe fn fetch(value: *mut ffi::sqlite3_value) -> Result<Value> {
    // SAFETY: the type says which of the accessors is defined; the text is asked for before its
    // length, since that is the length of what the accessor before it made. A null text is what
    // SQLite gives when out of memory.
    unsafe {
        Ok(match ffi::sqlite3_value_type(value) {
            ffi::SQLITE_INTEGER => Value::Integer(ffi::sqlite3_value_int64(value)),
            ffi::SQLITE_FLOAT => Value::Real(ffi::sqlite3_value_double(value)),
            ffi::SQLITE_TEXT => {
                let text = ffi::sqlite3_value_text(value);
                let length = ffi::sqlite3_value_bytes(value);
                if text.is_null() {
                    return Err(
                        Error::internal("SQLite is out of memory").state(State::NothingDone)
                    );
                }
                let bytes = std::slice::from_raw_parts(text, usize::try_from(length).unwrap_or(0));
                Value::Text(utf8(bytes)?)
            }
            // No verb takes bytes: that they are bytes is all there is to know.
            ffi::SQLITE_BLOB => Value::Blob(Vec::new()),
            _ => Value::Null,
        })
    }
}

/// `text` up to its first NUL.
fn c_text(text: &str) -> CString {
    CString::new(text.split('\0').next().unwrap_or_default()).unwrap_or_default()
}
