//! Which SQLite the process runs: the embedded engine, or the host's when remy is loaded as an
//! extension.
//!
//! All of remy speaks to SQLite through the table of routines that an extension is given. Without a
//! host the table is the embedded engine's, and [`init`] has to come before the first call. What
//! the table lacks is reached through [`routines`](super::routines), which only [`init`] fills: so code that never
//! calls it links no engine.

#[cfg(feature = "engine")]
use crate::sqlite::routines::{ROUTINES, Routines};
#[cfg(feature = "engine")]
use rusqlite::ffi;
#[cfg(feature = "engine")]
use std::ffi::{c_char, c_int};

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
        crate::sqlite::vfs::register();
        Routines {
            snapshot_get: remy_engine_snapshot_get,
            snapshot_free: remy_engine_snapshot_free,
            keep_free_pages: remy_engine_keep_free_pages,
            descriptors: remy_engine_descriptors,
        }
    });
}
