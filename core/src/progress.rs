//! How a caller follows a verb and calls it off: core prints nothing.
use crate::{
    catalog::Line,
    error::{Error, Result},
};
use rusqlite::Connection;
use std::{
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::Duration,
};

/// Follows a verb. [`Progress::none`] does not.
#[derive(Clone, Copy, Default)]
pub struct Progress<'a> {
    on_line: Option<&'a (dyn Fn(&Line) + Send + Sync)>,
    cancel: Option<&'a AtomicBool>,
}

impl<'a> Progress<'a> {
    /// Nobody looks on.
    pub fn none() -> Self {
        Self::default()
    }

    /// `on_line` is given each line of the build log as it is written, on the thread that runs the verb.
    #[must_use]
    pub fn on_line(mut self, on_line: &'a (dyn Fn(&Line) + Send + Sync)) -> Self {
        self.on_line = Some(on_line);
        self
    }

    /// The verb stops at the next step once `cancel` is true, up to the switch's COMMIT; from there on it ends as it would.
    #[must_use]
    pub fn cancel(mut self, cancel: &'a AtomicBool) -> Self {
        self.cancel = Some(cancel);
        self
    }

    pub(crate) fn line(&self, line: &Line) {
        if let Some(on_line) = self.on_line {
            on_line(line);
        }
    }

    /// `busy` where the caller has called the verb off.
    pub(crate) fn check(&self) -> Result<()> {
        match self.cancel {
            Some(cancel) if cancel.load(Ordering::Relaxed) => Err(Error::busy("the caller called it off")
                .state("Live is unchanged")
                .hint("Start it again when it suits")),
            _ => Ok(()),
        }
    }

    /// Does `work`, which runs statements on `conn`: what is running ends where the caller calls the verb off.
    pub(crate) fn interrupting<T>(&self, conn: &Connection, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let Some(cancel) = self.cancel else { return work() };
        let interrupt = conn.get_interrupt_handle();
        let done = thread::scope(|scope| {
            let (alive, ended) = mpsc::channel::<()>();
            scope.spawn(move || {
                // An interrupt ends the statements that run; the next one needs another.
                while ended.recv_timeout(NAP) == Err(RecvTimeoutError::Timeout) {
                    if cancel.load(Ordering::Relaxed) {
                        interrupt.interrupt();
                    }
                }
            });
            let done = work();
            drop(alive);
            done
        });
        self.check()?;
        done
    }
}

/// How long a caller waits at most to be heard.
const NAP: Duration = Duration::from_millis(20);
