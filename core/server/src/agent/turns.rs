//! Which threads have a turn under way: one at a time.

use crate::answer::Refusal;
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

/// The threads of which a turn is under way.
#[derive(Clone, Default)]
pub(crate) struct Turns(Arc<Mutex<BTreeSet<String>>>);

/// A turn under way. Dropped, it is over.
pub(super) struct Begun {
    turns: Turns,
    thread: String,
}

impl Turns {
    pub(super) fn begin(&self, thread: &str) -> Result<Begun, Refusal> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !all.insert(thread.to_owned()) {
            let message = "A turn of this thread is under way: wait for its end";
            return Err(Refusal::new(409, "busy", message));
        }
        Ok(Begun {
            turns: self.clone(),
            thread: thread.to_owned(),
        })
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        let mut all = self.turns.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(&self.thread);
    }
}
