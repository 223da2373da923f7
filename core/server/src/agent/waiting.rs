//! What clients are to do for a turn, and what has come of it.

use serde_json::Value;
use std::{
    collections::BTreeMap,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// How often is looked whether anybody still wants it.
const LOOK: Duration = Duration::from_millis(200);

/// A thread, and the id of a call.
type Key = (String, String);

/// What has come: nothing yet, or the output and whether that is an error.
type Come = Option<(Value, bool)>;

/// What is waited for.
#[derive(Clone, Default)]
pub(crate) struct Waits(Arc<(Mutex<BTreeMap<Key, Come>>, Condvar)>);

/// One of it. Dropped, it is not waited for any more.
pub(super) struct Waiting {
    waits: Waits,
    key: Key,
}

/// What became of it.
pub(super) enum Awaited {
    Said {
        output: Value,
        is_error: bool,
    },
    TooLate,
    /// Nobody wants it any more.
    Unwanted,
}

impl Waits {
    pub(super) fn begin(&self, thread: &str, id: &str) -> Waiting {
        let key = (thread.to_owned(), id.to_owned());
        self.table().insert(key.clone(), None);
        Waiting {
            waits: self.clone(),
            key,
        }
    }

    /// What a client says. Whether it was waited for.
    pub(super) fn say(&self, thread: &str, id: &str, output: Value, is_error: bool) -> bool {
        let key = (thread.to_owned(), id.to_owned());
        let is_awaited = match self.table().get_mut(&key) {
            Some(come @ None) => {
                *come = Some((output, is_error));
                true
            }
            _ => false,
        };
        self.0.1.notify_all();
        is_awaited
    }

    fn table(&self) -> MutexGuard<'_, BTreeMap<Key, Come>> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    pub fn wait(&self, patience: Duration, is_wanted: &dyn Fn() -> bool) -> Awaited {
        let until = Instant::now() + patience;
        let mut table = self.waits.table();
        loop {
            if let Some(Some((output, is_error))) = table.get_mut(&self.key).map(Option::take) {
                return Awaited::Said { output, is_error };
            }
            if Instant::now() >= until {
                return Awaited::TooLate;
            }
            if !is_wanted() {
                return Awaited::Unwanted;
            }
            let waited = self.waits.0.1.wait_timeout(table, LOOK);
            table = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.waits.table().remove(&self.key);
    }
}
