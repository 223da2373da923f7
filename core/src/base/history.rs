//! What callers are told of the past: releases, and the lines of their logs.

use serde::Serialize;

/// A release, as `remy_releases` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Release {
    /// Its number.
    pub release: i64,
    /// Its name.
    pub label: Option<String>,
    /// The commit that it was made from.
    pub commit: Option<String>,
    /// `building`, `compiled`, `preview`, `live`, `superseded` or `failed`.
    pub status: String,
    /// When its publish began.
    pub created_at: i64,
    /// When it went live.
    pub live_at: Option<i64>,
    /// When another went live after it.
    pub superseded_at: Option<i64>,
    /// The release whose database and artifacts it brought back.
    pub restored_from: Option<i64>,
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
    /// The release that it is about.
    pub release: i64,
    /// From 1.
    pub seq: i64,
    /// When the step began.
    pub at: i64,
    /// `adopt`, `build`, `clone`, `rehearse`, `check`, `catch_up`, `switch`, `settle`, `prune` or
    /// `recover`.
    pub step: String,
    /// `ok`, `warning` or `failed`.
    pub outcome: String,
    /// What was done.
    pub message: String,
    /// To what.
    pub object: Option<String>,
    /// By which statement.
    pub sql: Option<String>,
    /// How long it took.
    pub duration_ms: f64,
}
