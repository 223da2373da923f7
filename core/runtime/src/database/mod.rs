//! The database of the methods.
//!
//! A process has one service for a database: one thread that writes, and some that read, each with
//! a connection of its own on core's engine. A request is one transaction, which first looks whether
//! the release that it is for is still live.
//!
//! ```text
//! request → reads alone?  → a reader: BEGIN, look, read, COMMIT
//!         → writes?       → the writer: BEGIN IMMEDIATE, look, [SAVEPOINT, request]…, COMMIT
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
        request::{Operation, Reply},
        session::Session,
    },
    failure::Failure,
    protocol::Table,
};
use remy_db::{
    Place,
    internals::{
        live::{Live, LiveConnection},
        sqlite::wait_for_locks,
    },
};
use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread::{self, JoinHandle},
};

pub use crate::database::settings::{Bound, Caller, Durability, Limits, Settings};

/// The service of a database. May be used from any number of threads at once.
pub struct Database {
    reads: Arc<Queue>,
    writes: Arc<Queue>,
    closing: Arc<AtomicBool>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").finish_non_exhaustive()
    }
}

impl Database {
    /// Opens the database at a place, with one thread that writes, and as many that read as there
    /// are cores, four at least: a long query is not to keep others waiting.
    ///
    /// Fails as `Remy::at` does. Which release is live is looked at by each request.
    pub fn open(place: &Place, settings: Settings) -> remy_db::Result<Self> {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let opened = Self {
            reads: Arc::default(),
            writes: Arc::default(),
            closing: Arc::default(),
            threads: Mutex::default(),
        };
        let settings = Arc::new(settings);
        // The writer first: it makes the files beside the database.
        opened.start("remy-writer", place, &settings, writer::serve)?;
        for _ in 0..cores.max(4) {
            opened.start("remy-reader", place, &settings, reader::serve)?;
        }
        Ok(opened)
    }

    /// Starts a thread, and waits until its connection is open.
    fn start(
        &self,
        name: &str,
        place: &Place,
        settings: &Arc<Settings>,
        serve: fn(Session<'_>, &Queue),
    ) -> remy_db::Result<()> {
        let writes = name == "remy-writer";
        let queue = Arc::clone(if writes { &self.writes } else { &self.reads });
        let (place, settings, closing) = (
            place.clone(),
            Arc::clone(settings),
            Arc::clone(&self.closing),
        );
        let (opened, is_open) = mpsc::sync_channel(1);
        let thread = thread::Builder::new().name(name.to_owned()).spawn(move || {
            let served = connected(&place, &settings, writes, &closing, |session| {
                let _ = opened.send(Ok(()));
                serve(session, &queue);
            });
            if let Err(e) = served {
                let _ = opened.send(Err(e));
            }
        });
        let thread = thread.map_err(|e| remy_db::Error::io(format!("starting a thread: {e}")))?;
        let threads = self.threads.lock();
        threads.unwrap_or_else(PoisonError::into_inner).push(thread);
        is_open
            .recv()
            .unwrap_or_else(|_| Err(remy_db::Error::internal("a thread of the database ended")))
    }

    /// Does what a method asks for, all of it in one transaction or nothing, and waits for it. One
    /// reply an operation.
    ///
    /// Fails with `release_changed` where another release is live, and as each operation does. What
    /// was answered is on the disk, unless the service is told otherwise.
    pub fn run(&self, caller: &Caller, operations: &[Operation]) -> Result<Vec<Reply>, Failure> {
        let queue = if operations::only_reads(operations) {
            &self.reads
        } else {
            &self.writes
        };
        let (answer, answered) = mpsc::sync_channel(1);
        queue.push(Job::Request {
            caller: caller.clone(),
            operations: operations.to_owned(),
            answer,
        })?;
        answered.recv().unwrap_or_else(|_| Err(closed()))
    }

    /// The tables of the release, as a method's process is told of them.
    pub fn tables(&self) -> Result<BTreeMap<String, Table>, Failure> {
        let (answer, answered) = mpsc::sync_channel(1);
        self.reads.push(Job::Tables { answer })?;
        answered.recv().unwrap_or_else(|_| Err(closed()))
    }

    /// Ends the service: interrupts what runs, answers `database_closed` to what waits, and returns
    /// when every connection is closed. What was answered stays.
    pub fn close(&self) {
        self.closing.store(true, Ordering::Relaxed);
        for queue in [&self.reads, &self.writes] {
            queue.close();
        }
        let threads = self.threads.lock();
        let threads = std::mem::take(&mut *threads.unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            let _ = thread.join();
        }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.close();
    }
}

/// Opens a connection for this thread, as live's owner, and has it used.
fn connected(
    place: &Place,
    settings: &Arc<Settings>,
    writes: bool,
    closing: &Arc<AtomicBool>,
    serve: impl FnOnce(Session<'_>),
) -> remy_db::Result<()> {
    let live = Live::at(place)?;
    let _acting = live.act()?;
    let conn: LiveConnection<'_> = live.connect()?;
    wait_for_locks(&conn, settings.limits.lock)?;
    let synchronous = match settings.durability {
        // Beyond FULL, where there is no WAL: the journal's removal is synced as well.
        Durability::Full => "EXTRA",
        Durability::Normal => "NORMAL",
    };
    conn.execute_batch(&format!("PRAGMA synchronous = {synchronous}"))?;
    if !writes {
        conn.execute_batch("PRAGMA query_only = ON")?;
    }
    let session = Session::new(&conn, &live, Arc::clone(settings), Arc::clone(closing))?;
    serve(session);
    Ok(())
}
