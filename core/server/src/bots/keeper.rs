//! Keeps services outside told of what is live, as long as a server goes on, whoever switches live.

use super::outbox::{Told, tell_those};
use crate::{context::Context, state::now};
use remy_db_app::{
    outbox::{Lag, stamps},
    stamp::Stamp,
};
use std::{
    thread,
    time::{Duration, Instant},
};

/// How often it is looked whether anything has changed.
const LOOK: Duration = Duration::from_secs(2);

/// How long it is believed that nothing has, where nothing says so: who puts a backup in the place of
/// live writes to no catalog.
const BELIEVED: Duration = Duration::from_secs(60);

/// How often it is looked whether it is over.
const NAP: Duration = Duration::from_millis(50);

/// Tells services, until it is over.
pub(crate) fn keep_told(at: &Context, is_over: impl Fn() -> bool) {
    let mut keeper = Keeper {
        at,
        seen: None,
        failed: None,
    };
    while !is_over() {
        keeper.look();
        let again = Instant::now() + LOOK;
        while Instant::now() < again && !is_over() {
            thread::sleep(NAP);
        }
    }
}

struct Keeper<'a> {
    at: &'a Context,
    /// What there was when it was looked last, and when that was.
    seen: Option<([Stamp; 3], Instant)>,
    /// Why nothing could be told; it is said once.
    failed: Option<String>,
}

impl Keeper<'_> {
    /// Tells what there is to be told, where there may be something.
    fn look(&mut self) {
        let is_due = |lag: &Lag| lag.is_due(now());
        // Before it is read: a change in between is seen the next time.
        let stamps = stamps(self.at.store());
        let is_known = |(seen, when): &([Stamp; 3], Instant)| {
            *seen == stamps && when.elapsed() < BELIEVED && self.failed.is_none()
        };
        let is_known = self.seen.as_ref().is_some_and(is_known);
        if is_known && !self.at.untold.borrow().iter().any(is_due) {
            return;
        }
        self.seen = Some((stamps, Instant::now()));
        let log = &self.at.settings.log;
        match tell_those(self.at.live(), self.at.runtime.client(), &is_due) {
            Ok(Told { said, left }) => {
                said.iter().for_each(|it| log.note("outbox", &it.message));
                self.at.untold.send_replace(left);
                self.failed = None;
            }
            Err(e) => {
                if self.failed.as_ref() != Some(&e.message) {
                    log.note("outbox", &format!("nothing can be told: {}", e.message));
                }
                self.failed = Some(e.message);
            }
        }
    }
}
