//! The routines by which an SQLite is called.

use crate::base::error::{Error, Result};
use rusqlite::ffi;
use std::{
    ffi::{c_char, c_int},
    sync::OnceLock,
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
