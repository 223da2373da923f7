//! Copying and comparing database files, without touching the descriptors of the process.
//!
//! Closing a descriptor of a live database drops every POSIX lock that the process holds on it. So
//! live's main file is read on a thread with a descriptor table of its own. (`unshare(CLONE_FILES)`
//! would do that too, but keeps copies of the application's pipes and locks; `close_range(…,
//! CLOSE_RANGE_UNSHARE)` starts with none but 0, 1 and 2.)

use crate::{
    base::{
        error::{Context, Error, Result},
        progress::Progress,
        words::words,
    },
    os::{descriptors, threads},
};
use std::{
    fs::{File, OpenOptions},
    io::ErrorKind,
    ops::Range,
    os::{
        fd::AsRawFd,
        unix::fs::{FileExt, OpenOptionsExt},
    },
    path::Path,
};

/// The size of reads and writes; measured to be the fastest here.
pub(crate) const CHUNK: usize = 256 << 10;

/// How much of a copy is written before the disk is told to begin with it. Measured: half a sync's
/// time is saved.
const BEGIN: u64 = 1 << 20;

/// What the caller does with a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AfterCopy {
    /// Syncs it: the disk begins while the rest is still being copied.
    Sync,
    /// Reads and removes it: it need never reach the disk.
    Remove,
}

/// Runs `work` on a thread with a descriptor table of its own, in which no file is open: it opens
/// what it needs. `None` where the kernel has no way (before 5.9).
pub(crate) fn on_own_descriptor_table<T: Send>(
    work: impl FnOnce() -> Result<T> + Send,
) -> Option<Result<T>> {
    on_own_descriptor_table_with(None, work)
}

/// As [`on_own_descriptor_table`], with one file open: one of the caller's, which the thread may
/// not be allowed to open itself.
pub(crate) fn on_own_descriptor_table_with<T: Send>(
    file: Option<&File>,
    work: impl FnOnce() -> Result<T> + Send,
) -> Option<Result<T>> {
    let file = file
        .and_then(|file| u32::try_from(file.as_raw_fd()).ok())
        .filter(|&file| file > 2);
    std::thread::scope(|scope| {
        let run = move || {
            // SAFETY: the first of these gives this thread a table of its own, of which nothing
            // above 2 stays open but that file; the table of the process, and with it every
            // lock, stays as it is.
            let close = |first: u32, last: u32| unsafe {
                first > last
                    || libc::syscall(
                        libc::SYS_close_range,
                        first,
                        last,
                        libc::CLOSE_RANGE_UNSHARE,
                    ) == 0
            };
            let closed = match file {
                None => close(3, u32::MAX),
                Some(file) => close(3, file - 1) && close(file + 1, u32::MAX),
            };
            closed.then(work)
        };
        match threads::scoped(scope, "reading a file beside those that are open", run) {
            Err(e) => Some(Err(e)),
            Ok(thread) => thread
                .join()
                .unwrap_or_else(|_| Some(Err(Error::internal("a copying thread panicked")))),
        }
    })
}

/// Reads a file that is not remy's. It may be a database that this process has open, and closing it
/// would drop the locks on it: so the thread that reads has a descriptor table of its own.
pub(crate) fn read_foreign<T: Send>(
    path: &Path,
    read: impl Fn(File) -> std::io::Result<T> + Sync,
) -> Result<T> {
    let run = || {
        File::open(path)
            .and_then(&read)
            .context(|| format!("reading {}", path.display()))
    };
    on_own_descriptor_table(run)
        .unwrap_or_else(|| descriptors::not_open_here(path).and_then(|()| run()))
}

/// What this user may do with a database file, and which journal its header names.
pub(crate) struct Rights {
    pub(crate) readable: bool,
    pub(crate) writable: bool,
    /// Whether its file system is mounted read-only, so that nobody may write it.
    pub(crate) read_only: bool,
    pub(crate) wal: bool,
}

/// Looks at live's main file before SQLite does. `None` where the kernel has no way to do that
/// apart (before 5.9).
pub(crate) fn rights(live: &Path) -> Result<Option<Rights>> {
    let denied = |e: &std::io::Error| {
        matches!(
            e.kind(),
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem
        )
    };
    let doing = || format!("opening {}", live.display());
    let find = || {
        let mut read_only = false;
        let (file, writable) = match open(live, true) {
            Err(e) if denied(&e) => {
                read_only = e.kind() == ErrorKind::ReadOnlyFilesystem;
                match open(live, false) {
                    Err(e) if denied(&e) => {
                        return Ok(Rights {
                            readable: false,
                            writable: false,
                            read_only,
                            wal: false,
                        });
                    }
                    opened => (opened.context(doing)?, false),
                }
            }
            opened => (opened.context(doing)?, true),
        };
        let mut bytes = [0; 2];
        read_full(&file, 18, &mut bytes).context(doing)?;
        Ok(Rights {
            readable: true,
            writable,
            read_only,
            wal: bytes == [2, 2],
        })
    };
    on_own_descriptor_table(find).transpose()
}

/// Opens a file that stands where its path says: no link is followed.
pub(crate) fn open(path: &Path, write: bool) -> std::io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(write)
        .custom_flags(libc::O_NOFOLLOW)
        .open(path)
}

/// Opens a file of ours to read and write it.
pub(crate) fn open_ours(path: &Path) -> Result<File> {
    open(path, true).context(|| format!("opening {}", path.display()))
}

words! {
    /// How a database is copied.
    pub enum CopyMethod, "method" {
        /// The file system shares the blocks of both until one of them changes.
        Reflink = "reflink",
        /// Byte by byte.
        Copy = "copy",
        /// By the backup API, on a host's SQLite.
        Backup = "backup",
    }
}

/// Copies the first `bytes` of a file (or all of it, where it is shorter) into an empty one: by
/// reflink where the file system has that, else in large pieces on two threads. Stops between two
/// of them where `progress` is called off by its flag: a question to the caller would be one on a
/// thread that is not the caller's.
pub(crate) fn file(
    from: &File,
    to: &File,
    bytes: u64,
    then: AfterCopy,
    progress: Progress<'_>,
) -> std::io::Result<CopyMethod> {
    // SAFETY: FICLONE takes a descriptor as its argument; both are open.
    if unsafe { libc::ioctl(to.as_raw_fd(), libc::FICLONE, from.as_raw_fd()) } == 0 {
        if to.metadata()?.len() > bytes {
            to.set_len(bytes)?;
        }
        return Ok(CopyMethod::Reflink);
    }
    let bytes = bytes.min(from.metadata()?.len());
    allocate(to, bytes)?;
    let half = (bytes / 2).next_multiple_of(CHUNK as u64).min(bytes);
    std::thread::scope(|scope| {
        let rest = move || range(from, to, half..bytes, then, progress);
        // A user may have as many threads and processes as may be: then one half follows the other.
        let second = std::thread::Builder::new().spawn_scoped(scope, rest);
        range(from, to, 0..half, then, progress)?;
        let Ok(second) = second else {
            return range(from, to, half..bytes, then, progress);
        };
        second
            .join()
            .unwrap_or_else(|_| Err(std::io::Error::other("a copying thread panicked")))
    })?;
    Ok(CopyMethod::Copy)
}

/// Takes the space before the first byte, so that a full disk says so at once. Not every file
/// system can.
fn allocate(file: &File, bytes: u64) -> std::io::Result<()> {
    let Ok(length) = libc::off_t::try_from(bytes) else {
        return Ok(());
    };
    if length == 0 {
        return Ok(());
    }
    // SAFETY: the descriptor is open.
    if unsafe { libc::fallocate(file.as_raw_fd(), 0, 0, length) } == 0 {
        return Ok(());
    }
    let e = std::io::Error::last_os_error();
    if matches!(e.raw_os_error(), Some(libc::EOPNOTSUPP | libc::ENOSYS)) {
        Ok(())
    } else {
        Err(e)
    }
}

fn range(
    from: &File,
    to: &File,
    Range { start, end }: Range<u64>,
    then: AfterCopy,
    progress: Progress<'_>,
) -> std::io::Result<()> {
    let (mut buffer, mut at, mut begun) = (vec![0; CHUNK], start, start);
    while at < end {
        if progress.is_cancelled() {
            return Err(std::io::Error::other("called off"));
        }
        let want = usize::try_from(end - at).map_or(CHUNK, |left| left.min(CHUNK));
        let n = match from.read_at(&mut buffer[..want], at) {
            Ok(0) => break, // the file was truncated meanwhile: what is missing stands in the WAL
            Ok(n) => n,
            Err(e) if e.kind() == ErrorKind::Interrupted => continue,
            Err(e) => return Err(e),
        };
        to.write_all_at(&buffer[..n], at)?;
        at += n as u64;
        if then == AfterCopy::Sync && at - begun >= BEGIN {
            begin_writing(to, begun, at);
            begun = at;
        }
    }
    Ok(())
}

/// Has the kernel begin to write a range to the disk. A hint: the sync that follows is what counts.
fn begin_writing(file: &File, from: u64, to: u64) {
    if let (Ok(from), Ok(length)) = (
        libc::off64_t::try_from(from),
        libc::off64_t::try_from(to - from),
    ) {
        // SAFETY: the descriptor is open.
        unsafe {
            libc::sync_file_range(file.as_raw_fd(), from, length, libc::SYNC_FILE_RANGE_WRITE)
        };
    }
}

/// The pages in which two files differ, ascending; both closed files of the store. A page that only
/// one has differs.
pub(crate) fn differing_files(a: &Path, b: &Path, page_size: u32) -> Result<Vec<u32>> {
    let open_file =
        |path: &Path| open(path, false).context(|| format!("opening {}", path.display()));
    let (file_a, file_b) = (open_file(a)?, open_file(b)?);
    let page = page_size as usize;
    let chunk = CHUNK.max(page);
    let (mut left, mut right, mut different) = (vec![0; chunk], vec![0; chunk], Vec::new());
    let mut at = 0;
    loop {
        let n = read_full(&file_a, at, &mut left).context(|| format!("reading {}", a.display()))?;
        let m =
            read_full(&file_b, at, &mut right).context(|| format!("reading {}", b.display()))?;
        let longest = n.max(m);
        for start in (0..longest).step_by(page) {
            let end = (start + page).min(longest);
            if end > n || end > m || left[start..end] != right[start..end] {
                let number = (at + start as u64) / u64::from(page_size) + 1;
                different
                    .push(u32::try_from(number).map_err(|_| Error::internal("over 2^32 pages"))?);
            }
        }
        if longest < chunk {
            return Ok(different);
        }
        at += chunk as u64;
    }
}

/// Reads until the buffer is full or the file ends.
pub(crate) fn read_full(file: &File, at: u64, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut done = 0;
    while done < buffer.len() {
        match file.read_at(&mut buffer[done..], at + done as u64) {
            Ok(0) => break,
            Ok(n) => done += n,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;

    #[test]
    fn a_copy_that_is_called_off_ends_before_its_next_piece() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        let whole = vec![1; 3 * CHUNK];
        std::fs::write(&from, &whole).unwrap();
        let copied = |called_off: bool| {
            let (from, to) = (File::open(&from).unwrap(), File::create(&to).unwrap());
            let (bytes, called_off) = (whole.len() as u64, AtomicBool::new(called_off));
            let progress = Progress::none().cancel(&called_off);
            file(&from, &to, bytes, AfterCopy::Sync, progress)
        };
        let method = copied(false).unwrap();
        assert_eq!(std::fs::read(&to).unwrap(), whole);
        if method == CopyMethod::Reflink {
            return; // done at once
        }
        copied(true).unwrap_err();
        assert!(std::fs::read(&to).unwrap().iter().all(|byte| *byte == 0));
    }
}
