//! The statements of a longer text, one by one, and where in it a failure points.

use crate::sqlite::lex::{Token, tokens};
use rusqlite::{Connection, ffi};
use std::{
    ffi::{CStr, CString},
    ptr,
};

/// Why a text or statement is not taken: SQLite's message, and where in the text it points.
pub(crate) type Failure = (String, usize);

/// A text of several statements, as C reads it: made once, since a copy for each statement of what
/// follows it is quadratic.
pub(crate) struct Script<'a> {
    sql: &'a str,
    terminated: CString,
}

impl<'a> Script<'a> {
    pub fn new(sql: &'a str) -> Result<Self, Failure> {
        let terminated =
            CString::new(sql).map_err(|e| ("a NUL character".to_owned(), e.nul_position()))?;
        Ok(Self { sql, terminated })
    }
}

/// A statement of a longer text.
pub(crate) struct PreparedStatement<'c> {
    conn: &'c Connection,
    statement: *mut ffi::sqlite3_stmt,
    /// Where the text after it begins.
    pub end: usize,
}

impl<'c> PreparedStatement<'c> {
    /// Prepares the statement that begins at `start`.
    pub fn new(conn: &'c Connection, script: &Script<'_>, start: usize) -> Result<Self, Failure> {
        let rest = &script.terminated.as_c_str()[start..];
        let (mut statement, mut tail) = (ptr::null_mut(), ptr::null());
        // SAFETY: `rest` is NUL-terminated and outlives the call; `tail` points into it afterwards.
        // The handle is open.
        let (code, end) = unsafe {
            let code = ffi::sqlite3_prepare_v2(
                conn.handle(),
                rest.as_ptr(),
                -1,
                &mut statement,
                &mut tail,
            );
            (
                code,
                start + usize::try_from(tail.offset_from(rest.as_ptr())).unwrap_or(0),
            )
        };
        if code == ffi::SQLITE_OK {
            return Ok(Self {
                conn,
                statement,
                end,
            });
        }
        let why = message(conn);
        let at = place(conn, &why, &script.sql[start..]).map_or(start, |offset| start + offset);
        Err((why, at))
    }

    /// Runs it to its end; rows are passed over.
    pub fn run(&mut self) -> Result<(), String> {
        loop {
            // SAFETY: the statement is live until drop. A statement of white space is NULL, which
            // step refuses.
            match unsafe { ffi::sqlite3_step(self.statement) } {
                ffi::SQLITE_ROW => {}
                ffi::SQLITE_DONE => return Ok(()),
                _ => return Err(message(self.conn)),
            }
        }
    }
}

impl Drop for PreparedStatement<'_> {
    fn drop(&mut self) {
        // SAFETY: it was prepared here and is finalized once.
        unsafe { ffi::sqlite3_finalize(self.statement) };
    }
}

fn message(conn: &Connection) -> String {
    // SAFETY: the handle is open; the text is copied before any other call.
    unsafe { CStr::from_ptr(ffi::sqlite3_errmsg(conn.handle())) }
        .to_string_lossy()
        .into_owned()
}

/// Where in `sql` an error points. `sqlite3_error_offset` would know; a host's SQLite need not have
/// it.
fn place(conn: &Connection, why: &str, sql: &str) -> Option<usize> {
    let tokens = tokens(sql);
    if let Some((named, _)) = why
        .strip_prefix("near \"")
        .and_then(|rest| rest.rsplit_once("\": "))
    {
        // The first of these tokens at which the statement fails as it did: before it, it is only
        // incomplete.
        let fails_at = |token: &&Token<'_>| {
            let Ok(part) = CString::new(&sql[..token.end()]) else {
                return false;
            };
            let mut statement = ptr::null_mut();
            // SAFETY: the handle is open, the text NUL-terminated; NULL is what finalize takes for
            // no statement.
            unsafe {
                ffi::sqlite3_prepare_v2(
                    conn.handle(),
                    part.as_ptr(),
                    -1,
                    &mut statement,
                    ptr::null_mut(),
                );
                ffi::sqlite3_finalize(statement);
            }
            message(conn) == why
        };
        return tokens
            .iter()
            .filter(|token| token.text == named)
            .find(fails_at)
            .map(|token| token.start);
    }
    let named = why.rsplit_once(": ")?.1.rsplit('.').next()?;
    tokens
        .iter()
        .skip(1)
        .find(|token| token.may_name(named))
        .map(|token| token.start)
}
