//! A call that is called off: whoever made it does not wait any more.

use std::sync::{Arc, Mutex};

/// Calls a call off, from any thread, at any time. Clones are the same.
#[derive(Clone, Default)]
pub struct Cancel(Arc<Mutex<Wish>>);

#[derive(Default)]
struct Wish {
    is_there: bool,
    then: Option<Box<dyn FnOnce() + Send>>,
}

impl Cancel {
    /// Calls it off: a call that waits is taken out of the queue, the process of one that runs is
    /// ended. It fails with `cancelled`.
    pub fn cancel(&self) {
        let then = {
            let mut wish = self.0.lock().expect("no panic while it is held");
            wish.is_there = true;
            wish.then.take()
        };
        if let Some(then) = then {
            then();
        }
    }

    /// Whether it was called off.
    pub fn is_set(&self) -> bool {
        self.0.lock().expect("no panic while it is held").is_there
    }

    /// What calling it off does from here on; at once, where that was done already.
    pub(crate) fn then(&self, then: impl FnOnce() + Send + 'static) {
        let mut wish = self.0.lock().expect("no panic while it is held");
        if wish.is_there {
            drop(wish);
            then();
        } else {
            wish.then = Some(Box::new(then));
        }
    }

    /// From here on it does nothing.
    pub(crate) fn forget(&self) {
        self.0.lock().expect("no panic while it is held").then = None;
    }
}
