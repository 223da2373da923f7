//! What services outside were told of what is live, in the catalog: no rollback takes that back.

use crate::{
    base::{error::Result, ids::ReleaseId},
    store::catalog::Catalog,
};
use rusqlite::params;
use serde::Serialize;

/// What a service was told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Delivered {
    /// The hash of what it was told last, and has.
    pub sent: Option<String>,
    /// The release of that.
    pub release: Option<ReleaseId>,
    /// When, Unix milliseconds.
    pub sent_at: Option<i64>,
    /// The hash of what it could not be told.
    pub tried: Option<String>,
    /// How often.
    pub attempts: u32,
    /// When that is tried again.
    pub next_at: Option<i64>,
    /// Why.
    pub error: Option<String>,
}

impl Catalog {
    /// What a service was told; nothing yet, where nobody has tried.
    pub(crate) fn delivered(&self, service: &str) -> Result<Delivered> {
        let mut all = self.rows(
            "SELECT sent, release, sent_at, tried, attempts, next_at, error FROM outbox WHERE service = ?1",
            [service],
            |row| {
                Ok(Delivered {
                    sent: row.get(0)?,
                    release: row.get(1)?,
                    sent_at: row.get(2)?,
                    tried: row.get(3)?,
                    attempts: row.get(4)?,
                    next_at: row.get(5)?,
                    error: row.get(6)?,
                })
            },
        )?;
        Ok(all.pop().unwrap_or_default())
    }

    /// Records what a service was told, or could not be.
    pub(crate) fn deliver(&self, service: &str, it: &Delivered) -> Result<()> {
        self.write_durably(
            "recording what a service was told",
            "INSERT OR REPLACE INTO outbox (service, sent, release, sent_at, tried, attempts, next_at, error)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            params![
                service, it.sent, it.release, it.sent_at, it.tried, it.attempts, it.next_at, it.error
            ],
        )
    }
}
