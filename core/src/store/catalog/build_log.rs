//! The build log in the catalog.

use crate::{
    base::{
        error::{Context, Result},
        history::Line,
        ids::ReleaseId,
        remedy::Remedy,
    },
    store::catalog::{Catalog, word},
};
use rusqlite::params;

impl Catalog {
    /// Adds a line to a release's log, and returns its number.
    pub(crate) fn add_line(&self, line: &Line) -> Result<i64> {
        let remedy = line.remedy.as_ref();
        let remedy = remedy.and_then(|remedy| serde_json::to_string(remedy).ok());
        self.conn
            .execute(
                "INSERT INTO build_log (release, seq, at, step, outcome, message, object, sql, duration_ms, remedy)
                 VALUES (?1, (SELECT coalesce(max(seq), 0) + 1 FROM build_log WHERE release = ?1), ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                params![line.release, line.at, line.step, line.outcome, line.message, line.object, line.sql, line.duration_ms, remedy],
            )
            .and_then(|_| {
                self.conn.query_row("SELECT max(seq) FROM build_log WHERE release = ?1", [line.release], |row| row.get(0))
            })
            .context(|| self.doing("writing the build log"))
    }

    /// The log of a release, or of the newest one.
    pub(crate) fn build_log(&self, release: Option<ReleaseId>) -> Result<Vec<Line>> {
        self.rows(
            "SELECT release, seq, at, step, outcome, message, object, sql, duration_ms, remedy FROM build_log
             WHERE release = coalesce(?1, (SELECT max(release) FROM releases)) ORDER BY seq",
            [release],
            |row| {
                let (release, seq): (ReleaseId, i64) = (row.get(0)?, row.get(1)?);
                let line = format_args!("line {seq} of the log of release {release}");
                Ok(Line {
                    release,
                    seq,
                    at: row.get(2)?,
                    step: word(row, 3, line)?,
                    outcome: word(row, 4, line)?,
                    message: row.get(5)?,
                    object: row.get(6)?,
                    sql: row.get(7)?,
                    duration_ms: row.get(8)?,
                    remedy: row.get::<_, Option<String>>(9)?.and_then(remedy),
                })
            },
        )
    }
}

/// What to do, as a line has it. What is not understood is of a newer remy, and is in the message too.
fn remedy(json: String) -> Option<Remedy> {
    serde_json::from_str(&json).ok()
}
