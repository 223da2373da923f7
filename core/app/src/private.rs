//! Files of the store that are their owner's alone.

use rustix::{
    fs::{CWD, FileType, Mode, mknodat},
    io::Errno,
};
use std::{
    fs::{File, OpenOptions, TryLockError},
    io,
    os::unix::fs::OpenOptionsExt,
    path::Path,
    thread,
    time::{Duration, Instant},
};

/// How often a lock is tried that another process has.
const NAP: Duration = Duration::from_millis(20);

/// Locks such a file ([`file`]), for as long as it is open. Where another process has it for longer
/// than `waits`, it comes back as the error, to be read.
pub fn locked(path: &Path, waits: Duration) -> io::Result<Result<File, File>> {
    let file = file(path, false)?;
    let until = Instant::now() + waits;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Ok(file)),
            Err(TryLockError::Error(e)) => return Err(e),
            Err(TryLockError::WouldBlock) if Instant::now() < until => thread::sleep(NAP),
            Err(TryLockError::WouldBlock) => return Ok(Err(file)),
        }
    }
}

/// Opens a file to read, which is no link. What is no file, is not there (`NotFound`).
pub fn opened(path: &Path) -> io::Result<File> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let options = OpenOptions::new().read(true).custom_flags(flags).open(path);
    let file = options?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::ErrorKind::NotFound.into()),
    }
}

/// Makes such a file for SQLite to open, where there is none, and opens none itself: to close it would
/// take away the locks that SQLite has on it in this process, and another one that looks at the
/// database would remove its WAL as the last to leave it. What stands in its place as a link is none.
pub fn database(path: &Path) -> io::Result<()> {
    let mode = Mode::RUSR | Mode::WUSR;
    match mknodat(CWD, path, FileType::RegularFile, mode, 0) {
        Err(Errno::EXIST) if path.symlink_metadata()?.is_file() => Ok(()),
        made => Ok(made?),
    }
}

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
