//! The build log in the catalog.

use crate::{
    base::{
        error::{Context, Result},
        history::{Line, Step},
        ids::ReleaseId,
        options::StepOutcome,
        remedy::Remedy,
        words::Words,
    },
    store::catalog::Catalog,
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

    /// The log of a release, or of the newest one. A newer remy may have written words that this one
    /// does not know: they stand before the line's message, and the line has the step of the one
    /// before it, as a warning.
    pub(crate) fn build_log(&self, release: Option<ReleaseId>) -> Result<Vec<Line>> {
        let mut before = Step::Build;
        self.rows(
            "SELECT release, seq, at, step, outcome, message, object, sql, duration_ms, remedy FROM build_log
             WHERE release = coalesce(?1, (SELECT max(release) FROM releases)) ORDER BY seq",
            [release],
            |row| {
                let (step, outcome): (String, String) = (row.get(3)?, row.get(4)?);
                let mut message: String = row.get(5)?;
                let known = (Step::of_word(&step), StepOutcome::of_word(&outcome));
                if known.0.is_none() || known.1.is_none() {
                    message = format!("[{step}, {outcome}] {message}");
                }
                before = known.0.unwrap_or(before);
                Ok(Line {
                    release: row.get(0)?,
                    seq: row.get(1)?,
                    at: row.get(2)?,
                    step: before,
                    outcome: known.1.filter(|_| known.0.is_some()).unwrap_or(StepOutcome::Warning),
                    message,
                    object: row.get(6)?,
                    sql: row.get(7)?,
                    duration_ms: row.get(8)?,
                    remedy: row.get::<_, Option<String>>(9)?.and_then(remedy),
                })
            },
        )
    }

    /// What the last line of this step and outcome says in the log of a release.
    pub(crate) fn last_message(
        &self,
        release: ReleaseId,
        step: Step,
        outcome: StepOutcome,
    ) -> Result<Option<String>> {
        let mut all = self.rows(
            "SELECT message FROM build_log WHERE release = ?1 AND step = ?2 AND outcome = ?3 AND typeof(message) = 'text' ORDER BY seq DESC LIMIT 1",
            params![release, step, outcome],
            |row| row.get(0),
        )?;
        Ok(all.pop())
    }
}

/// What to do, as a line has it. What is not understood is of a newer remy, and is in the message too.
fn remedy(json: String) -> Option<Remedy> {
    serde_json::from_str(&json).ok()
}
