//! What waits for the thread that writes.

use crate::{
    database::{
        failures::closed,
        request::{Operation, Reply},
        settings::Caller,
    },
    failure::Failure,
};
use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError, mpsc::SyncSender},
};

/// A request, all of it in one transaction.
pub(super) struct Job {
    pub(super) caller: Caller,
    pub(super) operations: Vec<Operation>,
    pub(super) answer: SyncSender<Result<Vec<Reply>, Failure>>,
}

impl Job {
    /// Answers that it cannot be done.
    pub(super) fn fail(self, failure: Failure) {
        // Who no longer waits is not told.
        let _ = self.answer.send(Err(failure));
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
        drop(inner);
        self.take_now(most)
    }

    /// Takes as many as there are now, `most` of them.
    pub(super) fn take_now(&self, most: usize) -> VecDeque<Job> {
        let mut inner = self.lock();
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
