//! How a caller follows a verb and calls it off: core prints nothing.

use crate::base::{
    error::{Error, Result, State},
    history::Line,
    object::Object,
    owner,
};
use rusqlite::{Connection, ffi};
use std::{
    ffi::{c_int, c_void},
    ptr,
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
    asked: Option<Asked<'a>>,
    readers: Option<Readers<'a>>,
}

/// Whether who is to use a schema can read it.
type Readers<'a> = &'a (dyn Fn(&[Object]) -> Result<()> + Send + Sync);

/// Whether the caller calls the verb off.
type Asked<'a> = &'a (dyn Fn() -> bool + Send + Sync);

impl<'a> Progress<'a> {
    /// Nobody looks on.
    pub fn none() -> Self {
        Self::default()
    }

    /// `on_line` is given each line of the build log as it is written, on the thread that runs the
    /// verb.
    #[must_use]
    pub fn on_line(mut self, on_line: &'a (dyn Fn(&Line) + Send + Sync)) -> Self {
        self.on_line = Some(on_line);
        self
    }

    /// The verb stops at the next step once `cancel` is true, up to the switch's COMMIT; from there
    /// on it ends as it would.
    #[must_use]
    pub fn cancel(mut self, cancel: &'a AtomicBool) -> Self {
        self.cancel = Some(cancel);
        self
    }

    /// As [`Progress::cancel`], where nobody sets a flag: `asked` is called now and then, on the
    /// thread that runs the verb.
    #[must_use]
    pub fn ask(mut self, asked: &'a (dyn Fn() -> bool + Send + Sync)) -> Self {
        self.asked = Some(asked);
        self
    }

    /// `readers` is given the schema that is about to go live, once it is rehearsed, and refuses it
    /// for those who could not read it: clients may be older than the engine.
    #[must_use]
    pub fn readers(mut self, readers: &'a (dyn Fn(&[Object]) -> Result<()> + Send + Sync)) -> Self {
        self.readers = Some(readers);
        self
    }

    /// Refuses a schema that somebody who is to use it could not read.
    pub(crate) fn may_go_live(&self, schema: &[Object]) -> Result<()> {
        self.readers.map_or(Ok(()), |readers| readers(schema))
    }

    pub(crate) fn line(&self, line: &Line) {
        if let Some(on_line) = self.on_line {
            owner::as_the_caller(|| on_line(line));
        }
    }

    /// `busy` where the caller has called the verb off.
    pub(crate) fn check(&self) -> Result<()> {
        if !self.is_cancelled() && !self.asked.is_some_and(|asked| asked()) {
            return Ok(());
        }
        Err(Error::called_off().state(State::LiveUnchanged))
    }

    /// Whether the flag is set, on any thread.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancel
            .is_some_and(|cancel| cancel.load(Ordering::Relaxed))
    }

    /// Does `work`, which runs statements on `conn`: what is running ends where the caller calls
    /// the verb off.
    pub(crate) fn interrupting<T>(
        &self,
        conn: &Connection,
        work: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        let _watch = self.asked.as_ref().map(|asked| Watch::new(conn, asked));
        let Some(cancel) = self.cancel else {
            let done = work();
            self.check()?;
            return done;
        };
        let interrupt = conn.get_interrupt_handle();
        let done = thread::scope(|scope| {
            let (alive, ended) = mpsc::channel::<()>();
            let watch = move || {
                // An interrupt ends the statements that run; the next one needs another.
                while ended.recv_timeout(NAP) == Err(RecvTimeoutError::Timeout) {
                    if cancel.load(Ordering::Relaxed) {
                        interrupt.interrupt();
                    }
                }
            };
            // A user may have as many threads as may be: then the verb is called off between two
            // statements.
            let _ = thread::Builder::new().spawn_scoped(scope, watch);
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

/// How many steps of a statement go by between two questions: some 10 ms of a check of a whole
/// database.
const STEPS: c_int = 100_000;

/// Ends every statement of a connection, as long as this lives, once the caller says so: on the
/// thread that runs the statement, which is the one that may be asked on.
struct Watch<'c>(Option<&'c Connection>);

impl<'c> Watch<'c> {
    fn new(conn: &'c Connection, asked: &'c Asked<'_>) -> Self {
        unsafe extern "C" fn ask(asked: *mut c_void) -> c_int {
            // SAFETY: what `new` gave, which outlives the watch.
            let asked = unsafe { &*asked.cast::<Asked<'_>>() };
            c_int::from(asked())
        }
        // A host may be built without (better-sqlite3's is): what is not there must not be called.
        // SAFETY: the name ends in NUL.
        if unsafe { ffi::sqlite3_compileoption_used(c"OMIT_PROGRESS_CALLBACK".as_ptr()) } != 0 {
            return Self(None);
        }
        // SAFETY: the handle is open; `asked` is borrowed for as long as this lives, and the
        // handler goes with it.
        unsafe {
            ffi::sqlite3_progress_handler(
                conn.handle(),
                STEPS,
                Some(ask),
                ptr::from_ref(asked).cast_mut().cast(),
            )
        };
        Self(Some(conn))
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if let Some(conn) = self.0 {
            // SAFETY: the handle is open, as in `new`.
            unsafe { ffi::sqlite3_progress_handler(conn.handle(), 0, None, ptr::null_mut()) };
        }
    }
}
