//! What a publish, a rollback and their like return.

use crate::{
    base::{history::Line, ids::ReleaseId, words::words},
    effects::diff,
    release::rows_lost::{ComesBack, SetAside},
    schema::plan::model::Statement,
    sqlite::since::Clients,
    switch::contract::Switched,
};
use serde::Serialize;

words! {
    /// How far a publish, stage, promote or rollback went.
    pub enum Reached, "status" {
        /// The release is live.
        Live = "live",
        /// It waits to be promoted.
        Compiled = "compiled",
        /// It waits to be promoted, and has a database of its own to be tried on.
        Preview = "preview",
        /// Nothing was switched, and nothing recorded.
        DryRun = "dry_run",
        /// Nothing would have changed, and nothing was recorded: the option `if_changed`.
        Unchanged = "unchanged",
    }
}

/// What a publish, stage, promote or rollback did.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// The release that it made, or made live; the live one where nothing would have changed.
    pub release: ReleaseId,
    /// How far it went.
    pub status: Reached,
    /// The release whose database and artifacts came back.
    pub restored_from: Option<ReleaseId>,
    /// The release that was live before.
    pub previous: Option<ReleaseId>,
    /// Its name.
    pub label: Option<String>,
    /// The commit that it was made from.
    pub commit: Option<String>,
    /// Nothing was switched, and nothing recorded.
    pub dry_run: bool,
    /// Absent where nothing was switched.
    pub switch: Option<Switched>,
    /// The plan. Of a rollback, what would turn live's schema into the one that comes back, with
    /// what that takes away.
    pub statements: Vec<Statement>,
    /// What changed of the declared effects.
    pub effects: Vec<diff::Change>,
    /// The rows that a rollback takes out of live, as they were when its clone was taken.
    pub set_aside: Vec<SetAside>,
    /// What a rollback brings back.
    pub comes_back: Vec<ComesBack>,
    /// The oldest SQLite that reads the schema, where that is newer than 3.34.
    pub clients: Option<Clients>,
    /// What the caller should know.
    pub warnings: Vec<String>,
    /// The build log.
    pub log: Vec<Line>,
    /// From the call to its end.
    pub total_ms: f64,
}
