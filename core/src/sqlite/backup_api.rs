//! SQLite's backup API.

use crate::{
    base::error::{Context, Error, Result},
    sqlite::calls,
};
use rusqlite::{Connection, ffi};
use std::ptr::NonNull;

/// Pages copied between two looks at the clock.
pub(crate) const STEP: i32 = 256;

/// An open backup. Dropped before its last page is copied, it rolls back what it wrote.
pub(crate) struct Backup<'a> {
    handle: NonNull<ffi::sqlite3_backup>,
    pub(crate) from: &'a Connection,
    to: &'a Connection,
}

/// Called between steps: an error ends the copy.
pub(crate) type KeepGoing<'a> = &'a dyn Fn() -> Result<()>;

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Done,
    More,
    Busy,
}

impl<'a> Backup<'a> {
    pub(crate) fn new(from: &'a Connection, to: &'a Connection) -> Result<Self> {
        // SAFETY: both handles are open and borrowed for as long as the backup lives; it is
        // finished in Drop.
        let handle = unsafe {
            ffi::sqlite3_backup_init(
                to.handle(),
                c"main".as_ptr(),
                from.handle(),
                c"main".as_ptr(),
            )
        };
        match NonNull::new(handle) {
            Some(handle) => Ok(Self { handle, from, to }),
            // SAFETY: the handle is open.
            None => Err(calls::failure(to, unsafe {
                ffi::sqlite3_errcode(to.handle())
            }))
            .context(|| format!("starting a backup to {}", calls::name(to))),
        }
    }

    pub(crate) fn step(&self, pages: i32) -> Result<Step> {
        // SAFETY: the backup is open.
        match unsafe { ffi::sqlite3_backup_step(self.handle.as_ptr(), pages) } {
            ffi::SQLITE_OK => Ok(Step::More),
            ffi::SQLITE_DONE => Ok(Step::Done),
            code if matches!(code & 0xff, ffi::SQLITE_BUSY | ffi::SQLITE_LOCKED) => Ok(Step::Busy),
            // The destination's own message may be of something else, and there may be none.
            code => {
                Err(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None)).context(|| {
                    format!(
                        "copying pages to {} by the backup API",
                        calls::name(self.to)
                    )
                })
            }
        }
    }

    pub(crate) fn remaining(&self) -> i32 {
        // SAFETY: the backup is open.
        unsafe { ffi::sqlite3_backup_remaining(self.handle.as_ptr()) }
    }

    pub(crate) fn total(&self) -> i32 {
        // SAFETY: the backup is open.
        unsafe { ffi::sqlite3_backup_pagecount(self.handle.as_ptr()) }
    }

    /// Copies all of it, on a destination that nobody else uses, for as long as `keep_going` says
    /// so.
    pub(crate) fn run(&self, keep_going: KeepGoing<'_>) -> Result<()> {
        loop {
            match self.step(STEP)? {
                Step::Done => return Ok(()),
                Step::More => keep_going()?,
                Step::Busy => {
                    return Err(Error::busy("a backup found its source locked").hint("Try again"));
                }
            }
        }
    }
}

impl Drop for Backup<'_> {
    fn drop(&mut self) {
        // SAFETY: the backup is open, and not used after this.
        unsafe { ffi::sqlite3_backup_finish(self.handle.as_ptr()) };
    }
}
