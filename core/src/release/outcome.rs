//! What a publish, a rollback and their like return.

use crate::{
    base::history::Line,
    effects::diff,
    release::rows_lost::{ComesBack, SetAside},
    schema::plan::model::Statement,
    switch::contract::Switched,
};
use serde::Serialize;

/// What a publish, stage, promote or rollback did.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// The release that it made, or made live.
    pub release: i64,
    /// `live`, `compiled`, `preview` or `dry_run`.
    pub status: String,
    /// The release whose database and artifacts came back.
    pub restored_from: Option<i64>,
    /// The release that was live before.
    pub previous: Option<i64>,
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
    /// What the caller should know.
    pub warnings: Vec<String>,
    /// The build log.
    pub log: Vec<Line>,
    /// From the call to its end.
    pub total_ms: f64,
}
