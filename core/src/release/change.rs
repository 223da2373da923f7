//! What a release changes: publish and rollback differ in this only.

use crate::{
    base::error::Result,
    effects::diff,
    rehearse::questions::Looked,
    release::{
        context::Run,
        rows_lost::{ComesBack, SetAside},
    },
    schema::plan::model::Statement,
    sqlite::since::Clients,
    switch::{
        contract::Terms,
        follower::{ClonedLive, Follower, Image},
    },
};
use rusqlite::Connection;
use std::collections::BTreeSet;

/// A change of live.
pub(crate) trait Change {
    /// What a rehearsal leaves, to make the same change again.
    type Script;

    /// What others have come in between of, where they keep changing live's schema.
    const WHILE: &'static str;

    /// Makes the change on the clone, or on a database beside it, and checks it there.
    fn rehearse<'l>(
        &self,
        run: &Run<'_>,
        clone: ClonedLive<'l>,
    ) -> Result<Rehearsed<'l, Self::Script>>;

    /// Makes it once more, in one transaction, committed: on an image that has caught up, maybe
    /// under live's lock. `pages` are those that others have committed since it was made last,
    /// where that is known. Returns what it has looked at.
    fn repeat(
        &self,
        run: &Run<'_>,
        script: &Self::Script,
        image: &Connection,
        live: &Connection,
        pages: Option<&BTreeSet<u32>>,
    ) -> Result<Looked>;
}

/// A change that was rehearsed: the image has it.
#[must_use = "live is switched to it, or it is kept as a preview"]
pub(crate) struct Rehearsed<'l, S> {
    pub(super) image: Image,
    pub(super) follower: Box<dyn Follower + 'l>,
    pub(super) terms: Terms,
    pub(super) script: S,
    pub(super) found: Found,
}

/// What a rehearsal has to tell.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// The plan; of a rollback, what it would be.
    pub(super) statements: Vec<Statement>,
    pub(super) effects: Vec<diff::Change>,
    pub(super) set_aside: Vec<SetAside>,
    pub(super) comes_back: Vec<ComesBack>,
    pub(super) clients: Option<Clients>,
    pub(super) warnings: Vec<String>,
}
