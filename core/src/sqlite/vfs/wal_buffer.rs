//! A VFS that gathers what is appended to a WAL, and writes it in large pieces.
//!
//! SQLite appends a frame by two writes, one of 24 bytes and one of a page. For a change of many
//! pages that was half of the time for which a switch holds live's write lock. This VFS is the
//! default one but for WAL files: what is written to them one behind the other waits in memory
//! until there is [`PIECE`] of it, or until SQLite reads it back, syncs or measures the file.
//! Nobody misses it meanwhile: SQLite tells others of frames only after the sync of their commit
//! (`synchronous=FULL`; the overlays of the store, which nobody else opens, are read after
//! [`crate::sqlite::calls::write_wal`]).
//!
//! Each piece is handed to the disk at once, so that the sync at the end finds little left.

use crate::sqlite::{
    calls,
    vfs::shim::{self, ShimFile, base},
};
use rusqlite::{Connection, ffi};
use std::{
    ffi::{CStr, c_char, c_int, c_void},
    fs::File,
    os::fd::AsRawFd,
};

/// The name to open a database by.
pub(crate) const VFS: &CStr = c"remy-gather";

/// How much is written at once. SQLite's VFS for Unix takes less than 128 KiB a call.
const PIECE: usize = 124 << 10;

/// What has not been written yet.
struct PendingWrite {
    bytes: Vec<u8>,
    /// Where it goes in the file.
    at: i64,
    /// Why a write failed; `SQLITE_OK`: none has.
    failed: c_int,
    /// The same file, to start the disk with. No lock of SQLite's is on a WAL, so that a descriptor
    /// of ours may be closed.
    disk: Option<File>,
}

pub(crate) unsafe extern "C" fn x_open(
    _: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    // SAFETY: as SQLite gave them to a VFS that vfs::register made. Whatever is not a WAL is opened
    // as if this one were not there.
    unsafe {
        if flags & ffi::SQLITE_OPEN_WAL == 0 {
            return shim::open_plain(name, file, flags, out_flags);
        }
        shim::open_with_methods(name, file, flags, out_flags, &METHODS, |name| {
            let disk = name
                .and_then(|name| name.to_str().ok())
                .and_then(|path| File::open(path).ok());
            PendingWrite {
                bytes: Vec::with_capacity(PIECE),
                at: 0,
                failed: ffi::SQLITE_OK,
                disk,
            }
        })
    }
}

// SQLite locks the main file and its shared memory, never a WAL.
static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    xClose: Some(x_close),
    xRead: Some(x_read),
    xWrite: Some(x_write),
    xTruncate: Some(x_truncate),
    xSync: Some(x_sync),
    xFileSize: Some(x_file_size),
    xFileControl: Some(x_file_control),
    ..shim::METHODS
};

/// The bytes of a file that wait to be written.
///
/// # Safety
/// The file is one of ours, and SQLite calls one method of it at a time; the reference ends with
/// that call.
unsafe fn pending<'a>(file: *mut ffi::sqlite3_file) -> &'a mut PendingWrite {
    // SAFETY: as the caller promises; made by open_with_methods.
    unsafe { &mut *(*file.cast::<ShimFile>()).state.cast::<PendingWrite>() }
}

/// Writes what waits. Where that fails it is dropped, and every later call fails, too:
/// SQLite has been told, and may have let go of the lock under which those bytes had their place.
fn flush(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: only methods of ours call this.
    let pending = unsafe { pending(file) };
    if pending.failed != ffi::SQLITE_OK || pending.bytes.is_empty() {
        return pending.failed;
    }
    let Ok(amount) = c_int::try_from(pending.bytes.len()) else {
        return ffi::SQLITE_IOERR_WRITE;
    };
    let code = base!(file.xWrite(pending.bytes.as_ptr().cast(), amount, pending.at));
    if code == ffi::SQLITE_OK
        && let Some(disk) = &pending.disk
    {
        // SAFETY: the descriptor is open. It only starts what the sync would do; whether it works
        // does not matter.
        unsafe {
            libc::sync_file_range(
                disk.as_raw_fd(),
                pending.at,
                i64::from(amount),
                libc::SYNC_FILE_RANGE_WRITE,
            )
        };
    }
    pending.failed = code;
    pending.bytes.clear();
    code
}

/// Drops what a connection has gathered. To be called before a ROLLBACK: that lets go of the write
/// lock, and what would be written after it would land on the frames of whoever committed next.
pub(crate) fn discard(conn: &Connection) {
    // SAFETY: SQLite keeps the file of its WAL open as long as the connection, and calls no method
    // of it meanwhile.
    let pending = unsafe { shim::state_of::<PendingWrite>(calls::wal_file(conn), &METHODS) };
    if let Some(pending) = pending {
        pending.bytes.clear();
    }
}

unsafe extern "C" fn x_write(
    file: *mut ffi::sqlite3_file,
    from: *const c_void,
    amount: c_int,
    at: i64,
) -> c_int {
    // SAFETY: SQLite calls a method of its file.
    let (len, begin, failed) = unsafe {
        let pending = pending(file);
        (pending.bytes.len(), pending.at, pending.failed)
    };
    let Ok(size) = usize::try_from(amount) else {
        return ffi::SQLITE_IOERR_WRITE;
    };
    if failed != ffi::SQLITE_OK {
        return failed;
    }
    let follows = i64::try_from(len).is_ok_and(|len| begin + len == at);
    if len > 0 && (!follows || len + size > PIECE) {
        let code = flush(file);
        if code != ffi::SQLITE_OK {
            return code;
        }
    }
    if size > PIECE {
        return base!(file.xWrite(from, amount, at));
    }
    // SAFETY: as above; SQLite gives `amount` bytes. They fit into what was allocated.
    unsafe {
        let pending = pending(file);
        if pending.bytes.is_empty() {
            pending.at = at;
        }
        pending
            .bytes
            .extend_from_slice(std::slice::from_raw_parts(from.cast(), size));
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn x_read(
    file: *mut ffi::sqlite3_file,
    into: *mut c_void,
    amount: c_int,
    at: i64,
) -> c_int {
    // SAFETY: SQLite calls a method of its file.
    let (len, begin) = unsafe {
        let pending = pending(file);
        (pending.bytes.len(), pending.at)
    };
    // Earlier frames are in the file, and read all the while: they are no reason to write.
    let end = begin + i64::try_from(len).unwrap_or(i64::MAX - begin);
    if len > 0 && at < end && begin < at + i64::from(amount) {
        let code = flush(file);
        if code != ffi::SQLITE_OK {
            return code;
        }
    }
    base!(file.xRead(into, amount, at))
}

unsafe extern "C" fn x_close(file: *mut ffi::sqlite3_file) -> c_int {
    // What waits is of no commit: a commit of live's is synced, and that of an overlay is written
    // before it is read. Nobody's lock covers it any more.
    let closed = base!(file.xClose());
    // SAFETY: made by open_with_methods, and SQLite calls nothing of this file after xClose.
    drop(unsafe { Box::from_raw((*file.cast::<ShimFile>()).state.cast::<PendingWrite>()) });
    closed
}

/// Declares a method that does first what waits, so that the file is as SQLite thinks it is.
macro_rules! after_flush {
    ($name:ident, $method:ident ($($argument:ident: $type:ty),*)) => {
        unsafe extern "C" fn $name(file: *mut ffi::sqlite3_file $(, $argument: $type)*) -> c_int {
            match flush(file) {
                ffi::SQLITE_OK => base!(file.$method($($argument),*)),
                code => code,
            }
        }
    };
}

after_flush!(x_truncate, xTruncate(size: i64));

after_flush!(x_sync, xSync(flags: c_int));

after_flush!(x_file_size, xFileSize(size: *mut i64));

after_flush!(x_file_control, xFileControl(op: c_int, argument: *mut c_void));
