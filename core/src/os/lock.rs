//! The store's lock: one verb at a time, in every process.

use crate::base::{
    clock::Moment,
    error::{Context, Error, Result},
    progress::Progress,
};
use std::{fs::File, os::fd::AsRawFd, path::Path, time::Duration};

/// Held until dropped; the kernel lets it go when the process dies.
pub(crate) struct Lock {
    file: File,
    /// Whose it is: a child of a fork has it open, too, and the lock with it.
    pid: u32,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing it would not do: a child that was forked meanwhile would keep the lock for as
        // long as it lives.
        if self.pid == std::process::id() {
            // SAFETY: the descriptor is open.
            unsafe { libc::flock(self.file.as_raw_fd(), libc::LOCK_UN) };
        }
    }
}

impl Lock {
    /// Waits up to `timeout` for the lock on `file`, which is opened close-on-exec (as every file
    /// of Rust's is), or until the caller calls it off: another verb may be long at work.
    pub(crate) fn take(
        file: File,
        path: &Path,
        timeout: Duration,
        progress: Progress<'_>,
    ) -> Result<Self> {
        let start = Moment::now();
        loop {
            // SAFETY: the descriptor is open as long as `file` is.
            if unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } == 0 {
                return Ok(Self {
                    file,
                    pid: std::process::id(),
                });
            }
            let e = std::io::Error::last_os_error();
            if e.kind() != std::io::ErrorKind::WouldBlock {
                return Err(e).context(|| format!("locking {}", path.display()));
            }
            if start.elapsed() >= timeout {
                return Err(Error::busy(format!(
                    "another remy is at work on this database (it holds {})",
                    path.display()
                ))
                .state("Live is unchanged")
                .hint(
                    "Wait for it to end, and start again; lock_timeout_ms says how long to wait",
                ));
            }
            progress.check()?;
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}
