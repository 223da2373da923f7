//! A call that waits for a process.

use crate::{child::Process, failure::Failure};
use std::{
    sync::{Arc, Condvar, Mutex},
    time::Duration,
};

/// What a call gets: a process, by its number; or nothing, where it is given back.
pub(super) type Turn = Result<Option<(u64, Arc<Process>)>, Failure>;

/// A call's place in the queue.
#[derive(Default)]
pub(super) struct Ticket {
    turn: Mutex<Option<Turn>>,
    there: Condvar,
}

impl Ticket {
    pub fn give(&self, turn: Turn) {
        *self.turn.lock().expect("no panic while it is held") = Some(turn);
        self.there.notify_all();
    }

    /// Waits for so long at most.
    pub fn wait_for(&self, most: Duration) -> Option<Turn> {
        let turn = self.turn.lock().expect("no panic while it is held");
        let waited = self
            .there
            .wait_timeout_while(turn, most, |turn| turn.is_none());
        waited.expect("no panic while it is held").0.take()
    }

    pub fn wait(&self) -> Turn {
        let mut turn = self.turn.lock().expect("no panic while it is held");
        loop {
            if let Some(turn) = turn.take() {
                return turn;
            }
            turn = self.there.wait(turn).expect("no panic while it is held");
        }
    }
}
