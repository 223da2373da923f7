//! remy's own VFSes.

pub(crate) mod read_tracker;
pub(crate) mod shim;
pub(crate) mod wal_buffer;

use crate::sqlite::vfs::shim::{BASE, Base, Open, ShimFile};
use rusqlite::ffi;
use std::{ffi::c_int, mem::size_of, ptr};

/// Registers remy's VFSes, once.
pub(crate) fn register() {
    BASE.get_or_init(|| {
        // SAFETY: the engine is bound. A new VFS is a copy of the default one, so that every method
        // but xOpen is that one's and finds its own data; it is leaked, since SQLite keeps a
        // pointer to it.
        unsafe {
            let base = ffi::sqlite3_vfs_find(ptr::null());
            for (name, open) in [
                (wal_buffer::VFS, wal_buffer::x_open as Open),
                (read_tracker::VFS, read_tracker::x_open),
            ] {
                let mut vfs = *base;
                vfs.zName = name.as_ptr();
                vfs.pNext = ptr::null_mut();
                vfs.szOsFile += size_of::<ShimFile>() as c_int;
                vfs.xOpen = Some(open);
                ffi::sqlite3_vfs_register(Box::leak(Box::new(vfs)), 0);
            }
            Base(base)
        }
    });
}
