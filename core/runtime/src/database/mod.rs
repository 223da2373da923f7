//! The database of the methods.
//!
//! A process has one service for a database: one thread that writes, and connections for whoever
//! reads, on core's engine. A request is one transaction, which first looks whether the release that
//! it is for is still live.
//!
//! ```text
//! request → reads alone?  → here, by a reader: BEGIN, look, read, ROLLBACK
//!         → writes?       → the writer's thread: BEGIN IMMEDIATE, look, [SAVEPOINT, request]…, COMMIT
//! ```

mod app_sql;
mod failures;
mod filter;
mod guard;
mod operations;
mod queue;
mod reader;
pub mod request;
mod session;
mod settings;
mod tables;
mod values;
mod writer;

use crate::{
    database::{
        failures::closed,
        queue::{Job, Queue},
        reader::Readers,
        request::{Operation, Reply},
        session::{Session, opened},
    },
    failure::Failure,
    protocol::Table,
};
use remy_db::{Place, internals::live::Live};
use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread::{self, JoinHandle},
    time::Duration,
};

pub use crate::database::settings::{Bound, Caller, Durability, Limits, Settings};

/// The service of a database. May be used from any number of threads at once.
pub struct Database {
    readers: Readers,
    writes: Arc<Queue>,
    closing: Arc<AtomicBool>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").finish_non_exhaustive()
    }
}

impl Database {
    /// Opens the database at a place, for one thread that writes, and as many that read at once as
    /// there are cores, four at least: a long query is not to keep others waiting.
    ///
    /// Fails as `Remy::at` does. Which release is live is looked at by each request.
    pub fn open(place: &Place, settings: Settings) -> remy_db::Result<Self> {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let (settings, closing) = (Arc::new(settings), Arc::default());
        let writes: Arc<Queue> = Arc::default();
        // First: it makes the files beside the database.
        let writer = start_writer(place, &settings, &closing, &writes)?;
        let readers = Readers::open(place, &settings, &closing, cores.max(4));
        let readers = readers.inspect_err(|_| writes.close())?;
        Ok(Self {
            readers,
            writes,
            closing,
            writer: Mutex::new(Some(writer)),
        })
    }

    /// Does what a method asks for, all of it in one transaction or nothing, and waits for it. One
    /// reply an operation.
    ///
    /// Fails with `release_changed` where another release is live, and as each operation does. What
    /// was answered is on the disk, unless the service is told otherwise.
    pub fn run(&self, caller: &Caller, operations: &[Operation]) -> Result<Vec<Reply>, Failure> {
        if operations::only_reads(operations) {
            return self.readers.run(caller, operations);
        }
        let (answer, answered) = mpsc::sync_channel(1);
        self.writes.push(Job {
            caller: caller.clone(),
            operations: operations.to_owned(),
            answer,
        })?;
        answered.recv().unwrap_or_else(|_| Err(closed()))
    }

    /// As [`Self::run`], where it only reads, takes less than `time` and need not wait. Else nothing
    /// is done.
    pub fn run_within(
        &self,
        caller: &Caller,
        operations: &[Operation],
        time: Duration,
    ) -> Option<Result<Vec<Reply>, Failure>> {
        operations::only_reads(operations)
            .then(|| self.readers.run_within(caller, operations, time))
            .flatten()
    }

    /// The tables of the release, as a method's process is told of them.
    pub fn tables(&self) -> Result<BTreeMap<String, Table>, Failure> {
        self.readers.tables()
    }

    /// Ends the service: interrupts what runs, answers `database_closed` to what waits, and returns
    /// when every connection is closed. What was answered stays.
    pub fn close(&self) {
        self.closing.store(true, Ordering::Relaxed);
        self.writes.close();
        let writer = self.writer.lock();
        if let Some(writer) = writer.unwrap_or_else(PoisonError::into_inner).take() {
            let _ = writer.join();
        }
        self.readers.close();
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.close();
    }
}

/// Starts the thread that writes, and waits until its connection is open.
fn start_writer(
    place: &Place,
    settings: &Arc<Settings>,
    closing: &Arc<AtomicBool>,
    writes: &Arc<Queue>,
) -> remy_db::Result<JoinHandle<()>> {
    let (place, settings, closing, writes) = (
        place.clone(),
        Arc::clone(settings),
        Arc::clone(closing),
        Arc::clone(writes),
    );
    let (told, is_open) = mpsc::sync_channel(1);
    let thread = thread::Builder::new().name("remy-writer".to_owned());
    let thread = thread.spawn(move || {
        let served = (|| {
            let live = Live::at(&place)?;
            let _acting = live.act()?;
            let conn = opened(&live, &settings)?;
            let session = Session::new(&conn, &live, Arc::clone(&settings), closing)?;
            let _ = told.send(Ok(()));
            writer::serve(session, &writes);
            Ok(())
        })();
        if let Err(e) = served {
            let _ = told.send(Err(e));
        }
    });
    let thread = thread.map_err(|e| remy_db::Error::io(format!("starting a thread: {e}")))?;
    match is_open.recv() {
        Ok(Ok(())) => Ok(thread),
        Ok(Err(e)) => Err(e),
        Err(_) => Err(remy_db::Error::internal("the thread that writes ended")),
    }
}
