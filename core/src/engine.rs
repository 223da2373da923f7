//! Which SQLite the process runs: the embedded engine, or the host's when remy is loaded as an
//! extension.
//!
//! All of remy speaks to SQLite through the table of routines that an extension is given. Without a
//! host the table is the embedded engine's, and [`init`] has to come before the first call. What
//! the table lacks is reached through [`routines`], which only [`init`] fills: so code that never
//! calls it links no engine.
use crate::error::{Error, Result};
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

static ROUTINES: OnceLock<Routines> = OnceLock::new();

/// Binds the process to the embedded engine. Any number of calls, from any thread.
#[cfg(feature = "engine")]
pub fn init() {
    unsafe extern "C" {
        fn remy_engine_api() -> *mut ffi::sqlite3_api_routines;
        fn remy_engine_snapshot_get(
            db: *mut ffi::sqlite3,
            schema: *const c_char,
            out: *mut *mut [u8; 48],
        ) -> c_int;
        fn remy_engine_snapshot_free(snapshot: *mut [u8; 48]);
        fn remy_engine_keep_free_pages(db: *mut ffi::sqlite3) -> c_int;
        fn remy_engine_descriptors(device: u64, inode: u64) -> c_int;
    }
    ROUTINES.get_or_init(|| {
        // SAFETY: remy_engine_api() takes nothing and returns a table that lives as long as the
        // process.
        unsafe { ffi::rusqlite_extension_init2(remy_engine_api()) }
            .expect("the embedded SQLite is the one that the bindings were made for");
        crate::vfs::register();
        Routines {
            snapshot_get: remy_engine_snapshot_get,
            snapshot_free: remy_engine_snapshot_free,
            keep_free_pages: remy_engine_keep_free_pages,
            descriptors: remy_engine_descriptors,
        }
    });
}

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
