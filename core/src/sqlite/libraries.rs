//! Loadable extensions that a schema needs.

use crate::{
    base::{
        error::{Error, Result, State},
        remedy::OptionName,
    },
    remedy,
};
use rusqlite::{Connection, ffi};
use std::{
    ffi::{CStr, CString, c_int},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    ptr,
};

/// Loads libraries, which are those that
/// [`Live::libraries`](crate::live::database::Live::libraries) gave, wherever there is a live
/// database.
pub(crate) fn load_extensions(conn: &Connection, libraries: &[PathBuf]) -> Result<()> {
    for library in libraries {
        load_extension(conn, library).map_err(|why| {
            Error::invalid_argument(format!(
                "the extension {} cannot be loaded: {why}",
                library.display()
            ))
            .object(library.display().to_string())
            .state(State::LiveUnchanged)
            .hint(remedy![
                "Check ",
                OptionName::Extensions,
                ": a library of this machine's kind, with the entry point that SQLite looks for",
            ])
        })?;
    }
    Ok(())
}

/// Loads a library. Loading is on for no longer than that.
fn load_extension(conn: &Connection, library: &Path) -> std::result::Result<(), String> {
    let path = CString::new(library.as_os_str().as_bytes()).map_err(|e| e.to_string())?;
    let allow = |on: c_int| {
        // SAFETY: the handle is open; this verb takes an int and a pointer that may be NULL.
        unsafe {
            ffi::sqlite3_db_config(
                conn.handle(),
                ffi::SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION,
                on,
                ptr::null_mut::<c_int>(),
            )
        }
    };
    let mut why = ptr::null_mut();
    allow(1);
    // SAFETY: as above; a message that SQLite gives is freed below.
    let code =
        unsafe { ffi::sqlite3_load_extension(conn.handle(), path.as_ptr(), ptr::null(), &mut why) };
    allow(0);
    if code == ffi::SQLITE_OK {
        return Ok(());
    }
    if why.is_null() {
        return Err(format!("SQLite's error {code}"));
    }
    // SAFETY: SQLite gave a NUL-terminated text that is the caller's to free.
    let message = unsafe {
        let message = CStr::from_ptr(why).to_string_lossy().into_owned();
        ffi::sqlite3_free(why.cast());
        message
    };
    // SQLite tries the name with .so behind it as well, and tells of that only: the file's own
    // fault is the loader's to tell.
    Err(if library.is_file() {
        loader_says(&path).unwrap_or(message)
    } else {
        message
    })
}

/// Why a library cannot be loaded; `None` where it can.
fn loader_says(path: &CStr) -> Option<String> {
    // SAFETY: the path ends in NUL; dlerror gives a text that stays until the next call on this
    // thread, and is copied before.
    unsafe {
        if !libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL).is_null() {
            return None;
        }
        let why = libc::dlerror();
        (!why.is_null()).then(|| CStr::from_ptr(why).to_string_lossy().into_owned())
    }
}
