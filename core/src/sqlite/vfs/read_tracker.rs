//! A VFS that notes which pages of an overlay's main file are read, so that a switch can tell
//! whether what others have committed since has anything to do with the change.
//!
//! The result of a change does not depend on pages that it has not read. So a change that was made
//! on an older state of live still holds where it has read none of the pages that were committed
//! since: live is as if the others had come first, and the statements need not run again while
//! writers wait. Counting whole pages covers what SQLite looks at besides rows: the schema, inner
//! pages of trees (a row more in a table that was scanned stands in a page that was read, or
//! changes one that was), the free list, the number of pages. Pages that are new, or come from the
//! free list, may be written unread: nobody else can have taken such a page without a commit that
//! changed page 1, which every change reads.
//!
//! SQLite reads a page from the file once and then keeps it, so a note stays for as long as the
//! connection lives. Memory mapping would read without a call: the methods here have none.

use crate::sqlite::{
    calls,
    vfs::{
        shim::{self, Open, ShimFile, base},
        wal_buffer,
    },
};
use rusqlite::{Connection, ffi};
use std::ffi::{CStr, c_char, c_int, c_void};

/// The name to open an overlay by. WALs are as [`wal_buffer`](super::wal_buffer) has them.
pub(crate) const VFS: &CStr = c"remy-pair";

/// SQLite's smallest page.
const BLOCK: u64 = 512;

/// Which blocks of a file were read: a bit for each.
#[derive(Debug, Default)]
pub(crate) struct Reads {
    blocks: Vec<u64>,
}

impl Reads {
    fn note(&mut self, at: u64, amount: u64) {
        for block in at / BLOCK..(at + amount).div_ceil(BLOCK) {
            // A file of 2^63 bytes has more blocks than there is memory, and SQLite none of that
            // size.
            let Ok(word) = usize::try_from(block / 64) else {
                return;
            };
            if word >= self.blocks.len() {
                self.blocks.resize(word + 1, 0);
            }
            self.blocks[word] |= 1 << (block % 64);
        }
    }

    /// Whether anything of a page was read.
    pub(crate) fn has(&self, page: u32, page_size: u32) -> bool {
        let (begin, size) = (
            u64::from(page - 1) * u64::from(page_size),
            u64::from(page_size),
        );
        (begin / BLOCK..(begin + size) / BLOCK).any(|block| {
            let word = usize::try_from(block / 64)
                .ok()
                .and_then(|word| self.blocks.get(word));
            word.is_some_and(|word| word & (1 << (block % 64)) != 0)
        })
    }
}

/// What a connection has read of its main file. `None` where it was not opened by [`VFS`].
pub(crate) fn of(conn: &Connection) -> Option<&Reads> {
    // SAFETY: SQLite keeps the file open as long as the connection; it writes to the state in calls
    // of the connection only, which is one thread's and is not called while this is looked at.
    unsafe { shim::state_of::<Reads>(calls::main_file(conn), &METHODS) }.map(|reads| &*reads)
}

pub(crate) unsafe extern "C" fn x_open(
    vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    const OTHERS: Open = wal_buffer::x_open;
    // SAFETY: as SQLite gave them to this VFS, which was made by vfs::register, as that of OTHERS
    // was.
    unsafe {
        if flags & ffi::SQLITE_OPEN_MAIN_DB == 0 {
            return OTHERS(vfs, name, file, flags, out_flags);
        }
        shim::open_with_methods(name, file, flags, out_flags, &METHODS, |_| Reads::default())
    }
}

static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    xClose: Some(x_close),
    xRead: Some(x_read),
    ..shim::METHODS
};

unsafe extern "C" fn x_read(
    file: *mut ffi::sqlite3_file,
    into: *mut c_void,
    amount: c_int,
    at: i64,
) -> c_int {
    // SAFETY: the file is one of ours, and SQLite calls one method of it at a time.
    let reads = unsafe { &mut *(*file.cast::<ShimFile>()).state.cast::<Reads>() };
    match (u64::try_from(at), u64::try_from(amount)) {
        (Ok(at), Ok(amount)) => reads.note(at, amount),
        _ => return ffi::SQLITE_IOERR_READ,
    }
    base!(file.xRead(into, amount, at))
}

unsafe extern "C" fn x_close(file: *mut ffi::sqlite3_file) -> c_int {
    let closed = base!(file.xClose());
    // SAFETY: made by open_with_methods, and SQLite calls nothing of this file after xClose.
    drop(unsafe { Box::from_raw((*file.cast::<ShimFile>()).state.cast::<Reads>()) });
    closed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read_by_any_part_of_it() {
        let mut reads = Reads::default();
        reads.note(24, 16); // of the header
        reads.note(3 * 4096, 4096);
        reads.note(100 * 4096 + 1024, 1);
        let read = |page_size| {
            (1..=200)
                .filter(|&page| reads.has(page, page_size))
                .collect::<Vec<_>>()
        };
        assert_eq!(read(4096), [1, 4, 101]);
        assert_eq!(read(65536), [1, 7]);
    }
}
