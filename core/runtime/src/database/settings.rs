//! What a service is told, and on whose behalf it works.

use crate::protocol::AuthTable;
use remy_db::ReleaseId;
use std::time::Duration;

/// What a database has to be for a request to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// This release is live in it; else a request is `release_changed`.
    Release(ReleaseId),
    /// It is that of a dev session or a preview, which is what it is.
    Session,
}

/// What a request may take.
#[derive(Debug, Clone)]
pub struct Limits {
    /// How long one that only reads may run: 30 s.
    pub query: Duration,
    /// How long one that writes may run, and so hold the database's lock: 2 s. Less than the
    /// `lock_timeout_ms` of a publish, so that no method makes one `busy`.
    pub write: Duration,
    /// How long one waits for the lock of others: 30 s. A switch holds it for seconds at most.
    pub lock: Duration,
    /// How many bytes of JSON the replies to one may have: 64 MiB.
    pub reply_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            query: Duration::from_secs(30),
            write: Duration::from_secs(2),
            lock: Duration::from_secs(30),
            reply_bytes: 64 << 20,
        }
    }
}

pub use remy_db_app::place::Durability;

/// What a service is told.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What the database has to be.
    pub bound: Bound,
    /// Where users are: what they sign in with is written by no method.
    pub auth: Option<AuthTable>,
    /// What a request may take.
    pub limits: Limits,
    /// When a write is answered.
    pub durability: Durability,
}

impl Settings {
    /// The usual ones, for an app without users.
    pub fn new(bound: Bound) -> Self {
        Self {
            bound,
            auth: None,
            limits: Limits::default(),
            durability: Durability::default(),
        }
    }
}

/// On whose behalf a request is made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Caller {
    /// The id of the caller's row in the auth table: `last_updated_by` of what is written.
    pub user: Option<String>,
    /// It is the runtime itself, and no method: it signs users in, and may write what they sign in
    /// with.
    pub is_runtime: bool,
}

impl Caller {
    /// A method that is called by a user, or by nobody.
    pub fn user(id: Option<&str>) -> Self {
        Self {
            user: id.map(str::to_owned),
            is_runtime: false,
        }
    }
}
