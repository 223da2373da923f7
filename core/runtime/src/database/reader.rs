//! Connections that read: each request in a transaction of its own, on one view of the database.
//!
//! Whoever asks reads on its own thread, by a connection that nobody else has meanwhile. A thread of
//! the service's own would be woken for each request, and wake who asked: measured, that is 60 µs
//! each, where a row by its id takes 10.

use crate::{
    database::{
        failures::{self, closed},
        operations,
        request::{Operation, Reply},
        session::{Session, opened},
        settings::{Caller, Settings},
    },
    failure::Failure,
    protocol::Table,
};
use remy_db::{
    Place,
    internals::live::{Live, LiveConnection},
};
use std::{
    collections::BTreeMap,
    mem::ManuallyDrop,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// The connections of a database that read, opened as there is work for them.
pub(super) struct Readers {
    place: Place,
    settings: Arc<Settings>,
    closing: Arc<AtomicBool>,
    most: usize,
    inner: Mutex<Inner>,
    returned: Condvar,
}

#[derive(Default)]
struct Inner {
    free: Vec<Reader>,
    /// With those that are at work.
    opened: usize,
}

impl Readers {
    /// Opens the first one. `most` read at once.
    pub(super) fn open(
        place: &Place,
        settings: &Arc<Settings>,
        closing: &Arc<AtomicBool>,
        most: usize,
    ) -> remy_db::Result<Self> {
        let first = Reader::open(place, settings, closing)?;
        let inner = Inner {
            free: vec![first],
            opened: 1,
        };
        Ok(Self {
            place: place.clone(),
            settings: Arc::clone(settings),
            closing: Arc::clone(closing),
            most,
            inner: Mutex::new(inner),
            returned: Condvar::new(),
        })
    }

    /// Reads, and waits for a connection where all are at work.
    pub(super) fn run(
        &self,
        caller: &Caller,
        operations: &[Operation],
    ) -> Result<Vec<Reply>, Failure> {
        let time = self.settings.limits.query;
        self.with(|session| read(session, caller, operations, time))
    }

    /// Reads where that takes less than `time`, and a connection is free. Else nothing is done.
    pub(super) fn run_within(
        &self,
        caller: &Caller,
        operations: &[Operation],
        time: Duration,
    ) -> Option<Result<Vec<Reply>, Failure>> {
        let reader = self.lock().free.pop()?;
        let mut lent = Lent::new(self, reader);
        let done = lent.with(|session| read(session, caller, operations, time));
        match done {
            Err(late) if late.code == failures::LATE => None,
            done => Some(done),
        }
    }

    /// The tables of the release.
    pub(super) fn tables(&self) -> Result<BTreeMap<String, Table>, Failure> {
        self.with(|session| transaction(session, |session| Ok(session.tables().told())))
    }

    /// Closes all of them, once nobody reads.
    pub(super) fn close(&self) {
        let mut inner = self.lock();
        loop {
            inner.opened -= inner.free.len();
            inner.free.clear();
            if inner.opened == 0 {
                return;
            }
            inner = self.wait(inner);
        }
    }

    fn with<T>(
        &self,
        work: impl FnOnce(&mut Session<'static>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let reader = self.take()?;
        Lent::new(self, reader).with(work)
    }

    fn take(&self) -> Result<Reader, Failure> {
        let mut inner = self.lock();
        loop {
            if self.closing.load(Ordering::Relaxed) {
                return Err(closed());
            }
            if let Some(reader) = inner.free.pop() {
                return Ok(reader);
            }
            if inner.opened < self.most {
                break;
            }
            inner = self.wait(inner);
        }
        inner.opened += 1;
        drop(inner);
        let opened = Reader::open(&self.place, &self.settings, &self.closing);
        opened.map_err(|e| {
            self.lock().opened -= 1;
            self.returned.notify_all();
            failures::of_remy(&e)
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, inner: MutexGuard<'a, Inner>) -> MutexGuard<'a, Inner> {
        let waited = self.returned.wait(inner);
        waited.unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that somebody has, and gives back whatever becomes of the work.
struct Lent<'r> {
    to: &'r Readers,
    reader: Option<Reader>,
}

impl<'r> Lent<'r> {
    fn new(to: &'r Readers, reader: Reader) -> Self {
        Self {
            to,
            reader: Some(reader),
        }
    }

    fn with<T>(
        &mut self,
        work: impl FnOnce(&mut Session<'static>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.reader
            .as_mut()
            .map_or_else(|| Err(closed()), |reader| reader.with(work))
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let mut inner = self.to.lock();
        match self.reader.take() {
            // What has panicked in the middle is in no state to go on.
            Some(reader) if !std::thread::panicking() => inner.free.push(reader),
            _ => inner.opened -= 1,
        }
        drop(inner);
        self.to.returned.notify_one();
    }
}

/// A connection with its statements, for one thread after the other.
struct Reader {
    session: ManuallyDrop<Session<'static>>,
    /// What the session refers to, and what that refers to: this one's alone, freed in `drop`.
    conn: *mut LiveConnection<'static>,
    live: *mut Live,
}

// SAFETY: nothing in it is of a thread: the engine serializes nothing by thread, and all that the
// session refers to is this reader's own. One thread has it at a time.
unsafe impl Send for Reader {}

impl Reader {
    fn open(
        place: &Place,
        settings: &Arc<Settings>,
        closing: &Arc<AtomicBool>,
    ) -> remy_db::Result<Self> {
        let live = Box::into_raw(Box::new(Live::at(place)?));
        // SAFETY: made just now, and freed only when what refers to it is gone.
        let at: &'static Live = unsafe { &*live };
        let opened = (|| {
            let _acting = at.act()?;
            let conn = opened(at, settings)?;
            conn.execute_batch("PRAGMA query_only = ON")?;
            Ok::<_, remy_db::Error>(Box::into_raw(Box::new(conn)))
        })();
        let conn = match opened {
            Ok(conn) => conn,
            Err(e) => {
                // SAFETY: nobody refers to it: the connection was not made, or is gone.
                drop(unsafe { Box::from_raw(live) });
                return Err(e);
            }
        };
        // SAFETY: as above.
        let to: &'static LiveConnection<'static> = unsafe { &*conn };
        match Session::new(to, at, Arc::clone(settings), Arc::clone(closing)) {
            Ok(session) => Ok(Self {
                session: ManuallyDrop::new(session),
                conn,
                live,
            }),
            Err(e) => {
                // SAFETY: nobody refers to them any more; the connection refers to live.
                unsafe {
                    drop(Box::from_raw(conn));
                    drop(Box::from_raw(live));
                }
                Err(e.into())
            }
        }
    }

    fn with<T>(
        &mut self,
        work: impl FnOnce(&mut Session<'static>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        // SAFETY: live is there as long as this is.
        let _acting = unsafe { &*self.live }
            .act()
            .map_err(|e| failures::of_remy(&e))?;
        work(&mut self.session)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // SAFETY: live is there until the end of this; the session, which refers to the connection,
        // goes first, then the connection, which refers to live. Each is freed once, here.
        unsafe {
            let _acting = (*self.live).act();
            ManuallyDrop::drop(&mut self.session);
            drop(Box::from_raw(self.conn));
        }
        // SAFETY: as above; who acts knows whose live is by itself.
        drop(unsafe { Box::from_raw(self.live) });
    }
}

fn read(
    session: &mut Session<'static>,
    caller: &Caller,
    operations: &[Operation],
    time: Duration,
) -> Result<Vec<Reply>, Failure> {
    transaction(session, |session| {
        session.begin_request(time);
        let replies = operations::run(session, caller, operations);
        session.end_request();
        replies
    })
}

/// Has something read in a transaction, which ends whatever becomes of it.
fn transaction<T>(
    session: &mut Session<'static>,
    read: impl FnOnce(&mut Session<'static>) -> Result<T, Failure>,
) -> Result<T, Failure> {
    session
        .service("BEGIN", &[])
        .map_err(|e| failures::of_statement(e, "beginning to read"))?;
    let done = session.look().and_then(|()| read(session));
    if session.service("ROLLBACK", &[]).is_err() {
        session.forget();
        let _ = session.conn.execute_batch("ROLLBACK");
    }
    done
}
