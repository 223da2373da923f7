//! The store's lock: one verb at a time, in every process.

use crate::{
    base::{
        clock::Moment,
        error::{Context, Error, Result, State},
        progress::Progress,
        remedy::OptionName,
    },
    remedy,
};
use std::{
    fs::{File, TryLockError},
    path::Path,
    time::Duration,
};

/// Held until dropped; the kernel lets it go when the process dies.
pub(crate) struct Lock {
    file: File,
    /// The process that took it: a forked child inherits the descriptor, and the lock with it.
    pid: u32,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing it would not do: a child that was forked meanwhile would keep the lock for as
        // long as it lives.
        if self.pid == std::process::id() {
            let _ = self.file.unlock();
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
            match file.try_lock() {
                Ok(()) => {
                    return Ok(Self {
                        file,
                        pid: std::process::id(),
                    });
                }
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(e)) => {
                    return Err(e).context(|| format!("locking {}", path.display()));
                }
            }
            if start.elapsed() >= timeout {
                return Err(Error::busy(format!(
                    "another remy is at work on this database (it holds {})",
                    path.display()
                ))
                .state(State::LiveUnchanged)
                .hint(remedy![
                    "Wait for it to end, and start again; ",
                    OptionName::LockTimeoutMs,
                    " says how long to wait"
                ]));
            }
            progress.check()?;
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}
