//! What a server keeps that no rollback changes: `server.db` in the store, live's owner's alone.

pub(crate) mod codes;
pub(crate) mod keys;
pub(crate) mod logins;
pub(crate) mod sessions;
pub(crate) mod threads;
mod tries;

pub(crate) use remy_db_runtime::state::{Kept, now};

use remy_db_runtime::{failure::Failure, state};
use std::{ops::Deref, path::Path};

const FILE: &str = "server.db";

/// Each brings the file from one format to the next.
const STEPS: &[&str] = &[
    sessions::SCHEMA,
    logins::SCHEMA,
    codes::SCHEMA,
    tries::SCHEMA,
    keys::SCHEMA,
    threads::SCHEMA,
];

/// What a server keeps.
pub(crate) struct State(state::State);

impl State {
    /// Opens the file in `store`, or makes it.
    pub fn open(store: &Path) -> Result<Self, Failure> {
        state::State::open(store.join(FILE), STEPS).map(Self)
    }

    /// Removes what is over, or kept too long.
    pub fn sweep(&self) -> Result<(), Failure> {
        self.write(Kept::Soon, "removing what is over", |tx| {
            sessions::sweep(tx)?;
            logins::sweep(tx)?;
            codes::sweep(tx)?;
            tries::sweep(tx)
        })
    }
}

impl Deref for State {
    type Target = state::State;

    fn deref(&self) -> &state::State {
        &self.0
    }
}
