//! The routines by which an SQLite is called: rusqlite has one table of them in a process.

use crate::base::error::{Error, Result};
use rusqlite::ffi;
use std::{
    ffi::{c_char, c_int},
    sync::{Mutex, OnceLock, PoisonError},
};

/// The engine's routines that no table of an extension's has. See `engine/engine.c`.
pub(crate) struct Routines {
    pub(crate) snapshot_get:
        unsafe extern "C" fn(*mut ffi::sqlite3, *const c_char, *mut *mut [u8; 48]) -> c_int,
    pub(crate) snapshot_free: unsafe extern "C" fn(*mut [u8; 48]),
    pub(crate) keep_free_pages: unsafe extern "C" fn(*mut ffi::sqlite3) -> c_int,
    pub(crate) descriptors: unsafe extern "C" fn(u64, u64) -> c_int,
}

pub(super) static ROUTINES: OnceLock<Routines> = OnceLock::new();

/// Whether the process runs on the embedded engine, which another SQLite library of the process may
/// stand beside.
pub(crate) fn is_embedded() -> bool {
    ROUTINES.get().is_some()
}

/// What the embedded engine has beside the table. An error where the process runs on a host's
/// SQLite.
pub(crate) fn routines() -> Result<&'static Routines> {
    ROUTINES.get().ok_or_else(|| {
        Error::internal("this process runs on a host's SQLite, not on the embedded engine")
    })
}

/// The table that rusqlite is bound to, as an address. `SOMEBODYS` where it was bound past
/// [`bind`].
static BOUND: Mutex<Option<usize>> = Mutex::new(None);
const SOMEBODYS: usize = 0;

/// Binds rusqlite to the SQLite whose routines are in `api`, for as long as the process lives: a
/// table that changed under open connections would hand the handles of one SQLite to another.
///
/// `live_in_use` where it is bound to another one, and stays so.
///
/// # Safety
/// `api` is the table of routines of an SQLite of 3.34.1 or newer, which stays in the process.
pub unsafe fn bind(api: *mut ffi::sqlite3_api_routines) -> Result<()> {
    // Also keeps two threads from binding at once.
    let mut bound = BOUND.lock().unwrap_or_else(PoisonError::into_inner);
    match *bound {
        Some(address) if address == api as usize => {}
        Some(_) => {
            return Err(Error::live_in_use(
                "another SQLite library of this process has loaded remy already",
            )
            .hint(
                "Two SQLite libraries in one process must not share a database: use one of them",
            ));
        }
        None => {
            // SAFETY: this function's contract.
            unsafe { ffi::rusqlite_extension_init2(api) }.map_err(rusqlite::Error::from)?;
            *bound = Some(api as usize);
        }
    }
    Ok(())
}

/// Notes that rusqlite is bound, by whomever: a connection of a host's is at hand.
pub(crate) fn note_host() {
    let mut bound = BOUND.lock().unwrap_or_else(PoisonError::into_inner);
    bound.get_or_insert(SOMEBODYS);
}
