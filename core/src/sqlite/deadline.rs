//! A deadline for what SQLite is doing.

use crate::{
    base::{clock::Moment, error::Result},
    os::threads,
};
use rusqlite::Connection;
use std::{
    sync::mpsc::{self, RecvTimeoutError, Sender},
    thread::JoinHandle,
    time::Duration,
};

/// Ends every statement of a connection once a moment has passed, as long as this lives. A thread
/// interrupts them: a progress handler would do without one, but a host may be built without
/// (better-sqlite3's is), and calling what is not there would end it.
pub(crate) struct Deadline {
    since: Moment,
    limit: Duration,
    thread: Option<(Sender<()>, JoinHandle<()>)>,
}

/// How long the thread sleeps at most: its sleep does not count while the machine sleeps, the
/// deadline does.
const NAP: Duration = Duration::from_millis(50);

impl Deadline {
    /// Fails where the system gives no thread: nothing would hold what runs to the deadline.
    pub(crate) fn new(conn: &Connection, since: Moment, limit: Duration) -> Result<Self> {
        let (alive, ended) = mpsc::channel();
        let interrupt = conn.get_interrupt_handle();
        let watch = move || {
            loop {
                let left = limit.saturating_sub(since.elapsed());
                if left.is_zero() {
                    interrupt.interrupt();
                }
                // An interrupt ends the statements that run; the next one needs another.
                if ended.recv_timeout(left.clamp(Duration::from_millis(1), NAP))
                    != Err(RecvTimeoutError::Timeout)
                {
                    return;
                }
            }
        };
        let thread = threads::start("ending what takes too long", watch)?;
        Ok(Self {
            since,
            limit,
            thread: Some((alive, thread)),
        })
    }

    pub(crate) fn has_passed(&self) -> bool {
        self.since.elapsed() > self.limit
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        if let Some((alive, thread)) = self.thread.take() {
            drop(alive);
            // What it would interrupt after this is not its own any more.
            let _ = thread.join();
        }
    }
}
