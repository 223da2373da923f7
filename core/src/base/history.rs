//! What callers are told of the past: releases, and the lines of their logs.

use crate::base::{
    ids::ReleaseId,
    options::StepOutcome,
    remedy::{self, Remedy},
    words::words,
};
use serde::Serialize;

words! {
    /// How far a release has come.
    pub enum Status, "status" {
        /// Its verb is at work, or ended before it was done.
        Building = "building",
        /// It was rehearsed, and waits to be promoted.
        Compiled = "compiled",
        /// It waits to be promoted, and has a database of its own to be tried on.
        Preview = "preview",
        /// It is live.
        Live = "live",
        /// It was live, or a preview, and another took its place.
        Superseded = "superseded",
        /// It cannot go live.
        Failed = "failed",
    }
}

words! {
    /// Whether a dev session is still there.
    pub enum DevStatus, "status" {
        /// It has its database.
        Dev = "dev",
        /// It was stopped.
        Superseded = "superseded",
    }
}

words! {
    /// A part of a verb, as its log tells it.
    pub enum Step, "step" {
        /// Live is taken up as it stands.
        Adopt = "adopt",
        /// What is to be published is made, or read.
        Build = "build",
        /// Live is copied.
        Clone = "clone",
        /// The change is made on the clone.
        Rehearse = "rehearse",
        /// What came of it is checked.
        Check = "check",
        /// The clone takes up what others have committed.
        CatchUp = "catch_up",
        /// Live is switched.
        Switch = "switch",
        /// The store follows.
        Settle = "settle",
        /// Old snapshots go.
        Prune = "prune",
        /// What a process that died has left is mended.
        Recover = "recover",
        /// Everything is read again.
        Verify = "verify",
    }
}

/// A release, as `remy_releases` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Release {
    /// Its number.
    pub release: ReleaseId,
    /// Its name.
    pub label: Option<String>,
    /// The commit that it was made from.
    pub commit: Option<String>,
    /// How far it has come.
    pub status: Status,
    /// When its publish began.
    pub created_at: i64,
    /// When it went live.
    pub live_at: Option<i64>,
    /// When another went live after it.
    pub superseded_at: Option<i64>,
    /// The release whose database and artifacts it brought back.
    pub restored_from: Option<ReleaseId>,
    /// Its snapshot, relative to the store.
    pub database: Option<String>,
    /// How large that is.
    pub database_bytes: Option<i64>,
    /// When its database was dropped.
    pub pruned_at: Option<i64>,
    /// The name of the preview that it is, or was.
    pub preview: Option<String>,
}

/// A line of a build log.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Line {
    /// The release that it is about; 0 where the verb makes none.
    pub release: ReleaseId,
    /// From 1.
    pub seq: i64,
    /// When the step began.
    pub at: i64,
    /// Which part of the verb it is of.
    pub step: Step,
    /// How it ended.
    pub outcome: StepOutcome,
    /// What was done.
    pub message: String,
    /// To what.
    pub object: Option<String>,
    /// By which statement.
    pub sql: Option<String>,
    /// What to do about what failed. The message ends with it.
    #[serde(flatten, serialize_with = "remedy::as_members")]
    pub remedy: Option<Remedy>,
    /// How long it took.
    pub duration_ms: f64,
}
