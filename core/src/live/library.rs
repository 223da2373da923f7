//! The SQLite library that works on a database, as far as two in one process must not meet on it.

use crate::{
    base::error::Result,
    os::descriptors::{FileId, no_proc},
    sqlite::foreign::stranger_has_descriptor,
};
use std::{fmt, fs, os::unix::fs::MetadataExt, path::Path};

/// The SQLite library that every connection to a database is of.
pub(crate) trait Library: fmt::Debug + Sync {
    /// Whether it is the embedded engine, which reads and writes page by page.
    fn is_embedded(&self) -> bool;

    /// Whether another SQLite library of this process has the database at `path` open, the file
    /// `identity`: closing a file there drops the locks here.
    fn has_stranger(&self, path: &Path, identity: FileId) -> Result<bool>;
}

/// remy's own.
#[derive(Debug)]
#[cfg_attr(
    not(feature = "engine"),
    expect(dead_code, reason = "a library alone that is loaded into a host")
)]
pub(crate) struct Embedded;

impl Library for Embedded {
    fn is_embedded(&self) -> bool {
        true
    }

    fn has_stranger(&self, _: &Path, identity: FileId) -> Result<bool> {
        stranger_has_descriptor(identity)
    }
}

/// The one that has loaded remy.
#[derive(Debug)]
pub(crate) struct Host;

impl Library for Host {
    fn is_embedded(&self) -> bool {
        false
    }

    /// Whether two libraries have mapped the wal-index: each maps its first part once.
    fn has_stranger(&self, path: &Path, _: FileId) -> Result<bool> {
        let mut shm = path.as_os_str().to_owned();
        shm.push("-shm");
        let Ok(shm) = fs::metadata(shm) else {
            return Ok(false);
        };
        let maps = fs::read("/proc/self/maps").map_err(no_proc)?;
        let inode = shm.ino().to_string();
        let first_parts = maps
            .split(|&byte| byte == b'\n')
            .filter(|line| {
                // address perms offset device inode path
                let mut fields = line
                    .split(|&byte| byte == b' ')
                    .filter(|field| !field.is_empty());
                let (offset, found) = (fields.nth(2), fields.nth(1));
                offset.is_some_and(|offset| offset.iter().all(|&digit| digit == b'0'))
                    && found == Some(inode.as_bytes())
            })
            .count();
        Ok(first_parts > 1)
    }
}
