//! Dev sessions in the catalog.

use crate::{
    base::{clock, error::Result, history::DevStatus, ids::ReleaseId},
    store::{
        catalog::{Catalog, word},
        place,
    },
};
use rusqlite::params;

/// A dev session.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) name: String,
    pub(crate) release: Option<ReleaseId>,
    pub(crate) status: DevStatus,
    pub(crate) created_at: i64,
    pub(crate) reset_at: Option<i64>,
    pub(crate) stopped_at: Option<i64>,
}

impl Catalog {
    pub(crate) fn dev_open(&self, name: &str) -> Result<Option<Session>> {
        Ok(self
            .sessions_where("WHERE name = ?1 AND status = 'dev'", [name])?
            .pop())
    }

    /// Every dev session, newest first.
    pub(crate) fn dev_sessions(&self) -> Result<Vec<Session>> {
        self.sessions_where("ORDER BY id DESC", [])
    }

    fn sessions_where(&self, which: &str, params: impl rusqlite::Params) -> Result<Vec<Session>> {
        let mut sessions = self.rows(
            &format!(
                "SELECT name, release, status, created_at, reset_at, stopped_at FROM dev {which}"
            ),
            params,
            |row| {
                let name: String = row.get(0)?;
                Ok(Session {
                    release: row.get(1)?,
                    status: word(row, 2, format_args!("the dev session {name:?}"))?,
                    name,
                    created_at: row.get(3)?,
                    reset_at: row.get(4)?,
                    stopped_at: row.get(5)?,
                })
            },
        )?;
        sessions.retain(|session| place::is_name(&session.name));
        Ok(sessions)
    }

    pub(crate) fn dev_started(&self, name: &str, release: Option<ReleaseId>) -> Result<()> {
        self.durably("recording a dev session", |conn| {
            conn.execute(
                "INSERT INTO dev (name, path, release, status, created_at) VALUES (?1, ?2, ?3, 'dev', ?4)",
                params![name, place::dev(name), release, clock::now()],
            )?;
            conn.execute("DELETE FROM removals WHERE folder = 'dev' AND name = ?1", [name])
        })?;
        Ok(())
    }

    pub(crate) fn dev_was_reset(&self, name: &str, release: Option<ReleaseId>) -> Result<()> {
        self.write(
            "recording the reset of a dev session",
            "UPDATE dev SET reset_at = ?2, release = ?3 WHERE name = ?1 AND status = 'dev'",
            params![name, clock::now(), release],
        )
    }

    /// Before its database goes: a session without one could not be reset.
    pub(crate) fn dev_stopped(&self, name: &str) -> Result<()> {
        self.durably("recording the end of a dev session", |conn| {
            conn.execute("INSERT OR IGNORE INTO removals (folder, name) VALUES ('dev', ?1)", [name])?;
            conn.execute(
                "UPDATE dev SET status = 'superseded', stopped_at = ?2 WHERE name = ?1 AND status = 'dev'",
                params![name, clock::now()],
            )
        })?;
        Ok(())
    }
}
