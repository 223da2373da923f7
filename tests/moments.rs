//! The moments of a publish or a rollback at which a test acts: from the callback that follows the
//! log, on the thread that runs the verb, which waits for it.
//!
//! Each is told by a line's `step`, which the contract holds, and which any caller may use as well;
//! never by its message. There is no other hook in the product for tests.
use crate::shell;
use remy_db::{Line, Step, StepOutcome};
use std::{
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

/// The change is made and checked on the clone, or the image of a rollback is compared with live:
/// next comes the switch.
pub fn is_rehearsed(line: &Line) -> bool {
    line.step == Step::Check && line.outcome == StepOutcome::Ok
}

/// What others wrote since the clone is caught up with, where there was anything: next comes the
/// lock.
pub fn is_caught_up(line: &Line) -> bool {
    line.step == Step::CatchUp
}

/// Live is switched: what follows comes after COMMIT.
pub fn is_switched(line: &Line) -> bool {
    line.step == Step::Switch && line.outcome == StepOutcome::Ok
}

/// How often a verb began again, because somebody else had changed live's schema: a publish warns
/// of nothing else at its switch.
pub fn fresh_starts(log: &[Line]) -> usize {
    log.iter()
        .filter(|line| line.step == Step::Switch && line.outcome == StepOutcome::Warning)
        .count()
}

/// Live is cloned: next comes the rehearsal.
pub fn is_cloned(line: &Line) -> bool {
    line.step == Step::Clone
}

/// Runs `act` at a moment when it comes for the first time.
pub fn at_first<'a>(
    moment: fn(&Line) -> bool,
    act: impl Fn() + Send + Sync + 'a,
) -> impl Fn(&Line) + Send + Sync + 'a {
    let done = AtomicBool::new(false);
    move |line| {
        if moment(line) && !done.swap(true, Ordering::Relaxed) {
            act();
        }
    }
}

/// Runs `act` once, when nothing but the lock is left to take: after `write`, which has to be
/// caught up with.
pub fn before_the_lock<'a>(
    live: &'a Path,
    write: &'a str,
    act: impl Fn() + Send + Sync + 'a,
) -> impl Fn(&Line) + Send + Sync + 'a {
    let write = at_first(is_rehearsed, move || drop(shell(live, write)));
    let act = at_first(is_caught_up, act);
    move |line| {
        write(line);
        act(line);
    }
}
