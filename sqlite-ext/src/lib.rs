//! remy as a loadable SQLite extension: `.load ./libremy0`, then `SELECT
//! remy_publish('schema.sql')`.
//!
//! This page is the registration table. The functions act on the main database of the connection
//! that calls them, outside a transaction: in a process of their own, or through the SQLite that
//! loaded the extension (`call.rs`). What they
//! take and give is `docs/contract.md`; an error is raised as `code: message`. All but
//! `remy_version` are direct-only: no trigger and no view of a database that somebody sent can call
//! them.
#![warn(missing_docs)]

mod call;
mod functions;
mod guard;
mod host;
mod tables;
mod terminal;

use rusqlite::ffi;
use std::ffi::{c_char, c_int};

/// The entry point that SQLite derives from the file names `libremy0.so` and `remy0.so`.
///
/// Returns `SQLITE_OK_LOAD_PERMANENTLY`, or `SQLITE_ERROR` with a message where the host's SQLite
/// is too old, or another SQLite of this process has loaded remy before.
///
/// # Safety
/// SQLite calls this: `db` is an open connection, `message` is null or may be written to, and `api`
/// is the table of routines of the SQLite that `db` belongs to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sqlite3_remy_init(
    db: *mut ffi::sqlite3,
    message: *mut *mut c_char,
    api: *mut ffi::sqlite3_api_routines,
) -> c_int {
    // SAFETY: what this function is promised is what `load` asks for.
    unsafe {
        host::load(db, message, api, |host| {
            host.public("remy_version", functions::version)?;
            host.function("remy_debug", 0..=0, functions::debug)?;
            host.function("remy_clone", 1..=1, functions::clone)?;
            host.function("remy_stage", 1..=2, functions::stage)?;
            host.function("remy_publish", 1..=2, functions::publish)?;
            host.function("remy_promote", 0..=2, functions::promote)?;
            host.function("remy_rollback", 0..=2, functions::rollback)?;
            host.function("remy_dev_start", 1..=1, functions::dev_start)?;
            host.function("remy_dev_reset", 1..=1, functions::dev_reset)?;
            host.function("remy_dev_truncate", 1..=2, functions::dev_truncate)?;
            host.function("remy_dev_stop", 1..=1, functions::dev_stop)?;
            host.function("remy_prune", 0..=2, functions::prune)?;
            host.function("remy_verify", 0..=1, functions::verify)?;
            host.function("remy_detach", 0..=0, functions::detach)?;
            host.table(&tables::DIFF)?;
            host.table(&tables::RELEASES)?;
            host.table(&tables::BUILD_LOG)?;
            host.table(&tables::DEV_LIST)
        })
    }
}
