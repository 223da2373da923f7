//! What every switch takes, and how it ends.

use crate::{
    base::{
        clock::Moment,
        error::{Error, Result, State},
        options::Options,
        remedy::OptionName,
        words::words,
    },
    live::database::Live,
    rehearse::questions::Looked,
    remedy,
    store::log::Log,
    switch::overlay::OpenOverlay,
};
use rusqlite::Connection;
use serde::Serialize;
use std::{collections::BTreeSet, time::Duration};

/// Makes the change once more on an image that has caught up, in one transaction, committed. The
/// second connection reads live; the pages are those that others have committed since the change
/// was made last, where that is known. Returns what the change has looked at.
pub(crate) type Repeat<'a> =
    dyn Fn(&Connection, &Connection, Option<&BTreeSet<u32>>) -> Result<Looked> + 'a;

/// What a switch keeps to.
pub(crate) struct Conditions<'a> {
    pub(crate) options: &'a Options,
    pub(crate) log: &'a Log<'a>,
    /// Refuses to write so many bytes where they would leave too little free.
    pub(crate) room: &'a dyn Fn(u64) -> Result<()>,
    pub(crate) repeat: &'a Repeat<'a>,
}

/// What a rehearsal found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    /// Live's schema cookie, that the change was made for.
    pub(crate) cookie: i64,
    /// How long the change took.
    pub(crate) took: Duration,
}

words! {
    /// How a switch is made.
    pub enum SwitchMethod, "by" {
        /// By writing the pages that differ.
        Pages = "pages",
        /// By the backup API, on a host's SQLite: the whole database is written in the pause.
        Backup = "backup",
    }
}

/// What a switch did, and how long writers could not write.
#[derive(Debug, Clone, Serialize)]
pub struct Switched {
    /// How it was made.
    pub by: SwitchMethod,
    /// How long live's write lock was held.
    pub pause_ms: f64,
    /// How long it took to get.
    pub lock_wait_ms: f64,
    /// Pages of live that were written.
    pub pages_written: u64,
    /// Pages of live after it.
    pub pages_total: u64,
    /// How often it was tried: more than once where live's WAL was restarted, or written to, each
    /// time before the lock.
    pub attempts: u32,
    /// Whether the statements ran once more under the lock: somebody had written to what they have
    /// to do with, or, on a host's SQLite, to anything.
    pub ran_again: bool,
}

/// How a switch ended, where it did not fail.
#[must_use]
pub(crate) enum SwitchEnd {
    Done(Committed),
    /// Somebody else changed live's schema: start over from the diff. Nobody has the clone open.
    SchemaChanged,
}

/// A switch that live has committed.
#[must_use = "the store has to settle"]
pub(crate) struct Committed {
    pub(crate) switched: Switched,
    /// When live was committed, as its marker says.
    pub(crate) live_at: i64,
    /// The image, still open.
    pub(crate) image: OpenOverlay,
}

/// Why a switch failed, and whether live may be switched all the same.
#[derive(Debug)]
pub(crate) struct SwitchFailure {
    pub(crate) error: Error,
    /// COMMIT was called: only recovery can tell.
    pub(crate) undecided: bool,
}

impl From<Error> for SwitchFailure {
    fn from(error: Error) -> Self {
        Self {
            error,
            undecided: false,
        }
    }
}

impl From<rusqlite::Error> for SwitchFailure {
    fn from(e: rusqlite::Error) -> Self {
        Error::from(e).into()
    }
}

/// Live's write lock was not to be had.
pub(crate) fn lock_timeout(live: &Live, timeout: Duration) -> Error {
    Error::busy(format!(
        "the write lock of {} was not free for {} ms",
        live.shown(),
        timeout.as_millis()
    ))
    .state(State::LiveUnchanged)
    .hint(LET_GO)
}

/// What to do about somebody who holds live's write lock for long.
pub(crate) const LET_GO: &str = "End another connection's long write transaction, or the readers that its checkpoint waits for, and start again";

/// Refuses to hold up writers for longer.
pub(crate) fn within(pause: Moment, max_pause: Duration) -> Result<()> {
    if pause.elapsed() > max_pause {
        Err(exceeded(max_pause))
    } else {
        Ok(())
    }
}

pub(crate) fn exceeded(max_pause: Duration) -> Error {
    Error::pause_exceeded(format!(
        "the switch was not done within {} ms, the longest pause",
        max_pause.as_millis()
    ))
    .state("Live is unchanged: the transaction was rolled back, writers go on")
    .hint(remedy![
        "Publish when fewer writers are at work, or set ",
        OptionName::MaxPauseMs,
        " higher"
    ])
}
