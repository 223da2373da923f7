//! Files of the store that are their owner's alone.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

/// Opens a file to read and write, or makes it: of its owner's alone from its first byte on. `empty`
/// takes away what it holds. What stands in its place as a link is none of it.
pub fn file(path: &Path, empty: bool) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(empty)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW)
        .open(path)
}
