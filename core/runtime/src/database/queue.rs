//! What waits to be done, by whichever thread takes it first.

use crate::{
    database::{
        failures::closed,
        request::{Operation, Reply},
        settings::Caller,
    },
    failure::Failure,
    protocol::Table,
};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Condvar, Mutex, MutexGuard, PoisonError, mpsc::SyncSender},
};

/// One thing to do.
pub(super) enum Job {
    /// A request, all of it in one transaction.
    Request {
        caller: Caller,
        operations: Vec<Operation>,
        answer: SyncSender<Result<Vec<Reply>, Failure>>,
    },
    /// To say which tables there are.
    Tables {
        answer: SyncSender<Result<BTreeMap<String, Table>, Failure>>,
    },
}

impl Job {
    /// Answers that it cannot be done.
    pub(super) fn fail(self, failure: Failure) {
        // Who no longer waits is not told.
        match self {
            Self::Request { answer, .. } => drop(answer.send(Err(failure))),
            Self::Tables { answer } => drop(answer.send(Err(failure))),
        }
    }
}

/// Jobs in the order in which they came.
#[derive(Default)]
pub(super) struct Queue {
    inner: Mutex<Inner>,
    arrived: Condvar,
}

#[derive(Default)]
struct Inner {
    waiting: VecDeque<Job>,
    closed: bool,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a job. `database_closed` where nobody will take it.
    pub(super) fn push(&self, job: Job) -> Result<(), Failure> {
        let mut inner = self.lock();
        if inner.closed {
            return Err(closed());
        }
        inner.waiting.push_back(job);
        drop(inner);
        self.arrived.notify_one();
        Ok(())
    }

    /// Waits for jobs, and takes `most` of them. None once the queue is closed.
    pub(super) fn take(&self, most: usize) -> VecDeque<Job> {
        let mut inner = self.lock();
        while inner.waiting.is_empty() && !inner.closed {
            inner = self
                .arrived
                .wait(inner)
                .unwrap_or_else(PoisonError::into_inner);
        }
        let taken = inner.waiting.len().min(most);
        inner.waiting.drain(..taken).collect()
    }

    /// Whether something waits.
    pub(super) fn has_more(&self) -> bool {
        !self.lock().waiting.is_empty()
    }

    /// Fails what waits, and takes nothing any more.
    pub(super) fn close(&self) {
        let mut inner = self.lock();
        inner.closed = true;
        let waiting = std::mem::take(&mut inner.waiting);
        drop(inner);
        self.arrived.notify_all();
        for job in waiting {
            job.fail(closed());
        }
    }
}
