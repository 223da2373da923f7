//! The SQLite that the crate carries.
//!
//! All of remy speaks to SQLite through the table of routines that an extension is given, and so
//! does every other user of rusqlite in the process. A program that links the crate has that table
//! bound to the embedded engine before its `main`: it may open connections whenever it likes. A
//! library is told by its host which SQLite there is, so in one nothing happens by itself: there
//! [`Remy::open`](crate::Remy::open) binds it, or [`init`].

use crate::{
    base::error::Result,
    sqlite::routines::{self, ROUTINES, Routines},
};
use rusqlite::ffi;
use std::{
    ffi::{c_char, c_int, c_void},
    ptr,
};

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

/// Binds the process to the embedded engine, as a library (a `cdylib`, a `dylib`) has to do before
/// it opens a connection of its own by rusqlite. Any number of calls, from any thread.
///
/// Returns whether the process runs on the engine. It does not where a host's SQLite has loaded
/// remy: that one stays.
pub fn init() -> bool {
    bind().is_ok()
}

/// As [`init`], and says what there is against it.
pub(crate) fn bind() -> Result<()> {
    // SAFETY: remy_engine_api() takes nothing, and returns a table of the engine's own version that
    // lives as long as the process.
    unsafe { routines::bind(remy_engine_api()) }?;
    ROUTINES.get_or_init(|| {
        crate::sqlite::vfs::register();
        Routines {
            snapshot_get: remy_engine_snapshot_get,
            snapshot_free: remy_engine_snapshot_free,
            keep_free_pages: remy_engine_keep_free_pages,
            descriptors: remy_engine_descriptors,
        }
    });
    Ok(())
}

/// What the loader runs before `main`. `#[used]` keeps it where nothing of the crate but its name
/// is.
#[used]
#[unsafe(link_section = ".init_array")]
static BEFORE_MAIN: extern "C" fn() = before_main;

extern "C" fn before_main() {
    if is_of_the_program() {
        init();
    }
}

/// Whether this code was linked into the program itself, and not into a library that it loads. A
/// host that loads one has an SQLite of its own choice, and is to find nothing done by the loading.
fn is_of_the_program() -> bool {
    let object_at = |address: *const c_void| {
        let mut found = libc::Dl_info {
            dli_fname: ptr::null(),
            dli_fbase: ptr::null_mut(),
            dli_sname: ptr::null(),
            dli_saddr: ptr::null_mut(),
        };
        // SAFETY: dladdr() looks the address up without reading there, and fills `found` or leaves
        // it as it is.
        unsafe { libc::dladdr(address, &raw mut found) };
        found.dli_fbase
    };
    // SAFETY: it reads what the kernel told the process.
    let entry = unsafe { libc::getauxval(libc::AT_ENTRY) };
    // A static program has no loader that knows of objects: null both.
    object_at(before_main as *const c_void) == object_at(entry as *const c_void)
}
