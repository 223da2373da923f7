//! A call that waits for a process.

use crate::{child::Process, failure::Failure};
use std::sync::{Arc, Condvar, Mutex};

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
