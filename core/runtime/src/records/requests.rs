//! Requests that a server has answered. The id of one is that of the record of the call that it made.

use super::{Begins, Ended, read};
use remy_db::Result;
use rusqlite::{Row, Statement, named_params};
use serde::Serialize;
use std::path::Path;

pub(super) const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS requests (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL,
  at INTEGER NOT NULL,
  client TEXT,
  method TEXT NOT NULL,
  path TEXT NOT NULL,
  status INTEGER NOT NULL,
  ms REAL NOT NULL,
  cause TEXT
);
CREATE INDEX IF NOT EXISTS requests_at ON requests (at);";

/// A request that was answered. It holds no secret.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Request {
    /// The answer's `X-Request-Id`.
    pub id: String,
    /// When it came, Unix milliseconds.
    pub at: i64,
    /// The address that it came from, as far as is known.
    pub client: Option<String>,
    /// `GET`.
    pub method: String,
    /// Without its query.
    pub path: String,
    /// Of the answer.
    pub status: u16,
    /// How long it took until the answer began, in milliseconds.
    pub ms: f64,
    /// What went wrong in the server, where something did.
    pub cause: Option<String>,
}

/// A request, as it is on record.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Answered {
    /// Counts up.
    pub seq: i64,
    /// The request.
    #[serde(flatten)]
    pub request: Request,
    /// The call that it made, where it made one.
    pub call: Option<Called>,
}

/// The call that a request made.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Called {
    /// The method's id.
    pub method: String,
    /// How it ended.
    pub status: Ended,
    /// Why it failed: a stable code.
    pub code: Option<String>,
    /// Why it failed, for people.
    pub message: Option<String>,
}

/// Which requests are asked for.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Those that were refused or failed: a status of 400 and above.
    pub failed: bool,
    /// Where they begin.
    pub begins: Begins,
    /// How many at most.
    pub limit: u32,
}

/// Reads the record of requests. None, where there is no file.
pub fn list(store: &Path, wanted: &Wanted) -> Result<Vec<Answered>> {
    let (after, order) = wanted.begins.sql();
    let sql = format!(
        "SELECT requests.seq, requests.id, requests.at, client, requests.method, path, requests.status,
                requests.ms, cause, calls.method, calls.status, calls.code, calls.message
         FROM requests LEFT JOIN calls USING (id)
         WHERE requests.seq > :after AND (NOT :failed OR requests.status >= 400)
         ORDER BY requests.seq {order} LIMIT :limit"
    );
    let wanted =
        named_params! { ":after": after, ":failed": wanted.failed, ":limit": wanted.limit };
    read(store, ("requests", &sql), wanted, of_row)
}

fn of_row(row: &Row<'_>) -> rusqlite::Result<Answered> {
    let method: Option<String> = row.get(9)?;
    Ok(Answered {
        seq: row.get(0)?,
        request: Request {
            id: row.get(1)?,
            at: row.get(2)?,
            client: row.get(3)?,
            method: row.get(4)?,
            path: row.get(5)?,
            status: row.get(6)?,
            ms: row.get(7)?,
            cause: row.get(8)?,
        },
        call: match method {
            None => None,
            Some(method) => Some(Called {
                method,
                status: Ended::of(&row.get::<_, String>(10)?),
                code: row.get(11)?,
                message: row.get(12)?,
            }),
        },
    })
}

pub(super) const ADD: &str = "
INSERT INTO requests (id, at, client, method, path, status, ms, cause)
VALUES (:id, :at, :client, :method, :path, :status, :ms, :cause)";

/// Adds one, by [`ADD`].
pub(super) fn add(adds: &mut Statement<'_>, request: &Request) -> rusqlite::Result<()> {
    adds.execute(named_params! {
        ":id": request.id, ":at": request.at, ":client": request.client,
        ":method": request.method, ":path": request.path, ":status": request.status,
        ":ms": request.ms, ":cause": request.cause,
    })?;
    Ok(())
}
