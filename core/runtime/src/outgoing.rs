//! What was served, and is not any more.

use crate::served::Served;
use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// How often is looked whether something has nothing left to do.
const LOOK: Duration = Duration::from_millis(20);

/// What was served, each until what its calls have begun has ended.
#[derive(Default)]
pub(crate) struct Outgoing {
    is_over: Arc<AtomicBool>,
    waiting: Mutex<Vec<JoinHandle<()>>>,
}

impl Outgoing {
    /// Has `served` begin nothing more, and ends it once nothing is left to do there: does not wait
    /// for that.
    pub fn add(&self, served: Arc<Served>) {
        served.pool.retire();
        let is_over = Arc::clone(&self.is_over);
        let wait = move || {
            while served.pool.status().processes > 0 && !is_over.load(Ordering::Relaxed) {
                thread::sleep(LOOK);
            }
        };
        let thread = thread::Builder::new().name("remy-outgoing".to_owned());
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|thread| !thread.is_finished());
        // Without a thread it goes at once, or with its last call.
        waiting.extend(thread.spawn(wait));
    }

    /// Whether something is left to do.
    pub fn is_busy(&self) -> bool {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.iter().any(|thread| !thread.is_finished())
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        let waiting = self
            .waiting
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        for thread in waiting.drain(..) {
            let _ = thread.join();
        }
    }
}
