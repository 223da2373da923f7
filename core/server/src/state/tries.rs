//! How often somebody has tried something: by address and by who asks, over all that was begun, so
//! that beginning again gives no further tries. Neither an address nor a client is kept, but a hash.

use super::now;
use rusqlite::{Transaction, params};
use std::net::IpAddr;

pub(super) const SCHEMA: &str = "
CREATE TABLE tries (
  what TEXT NOT NULL,
  who BLOB NOT NULL,
  at INTEGER NOT NULL
);
CREATE INDEX tries_who ON tries (what, who, at);
CREATE INDEX tries_at ON tries (at);";

const MINUTE: i64 = 60_000;
const DAY: i64 = 1440 * MINUTE;

/// What is counted, and how often it may be in how long.
#[derive(Clone, Copy)]
pub(super) struct Limit {
    what: &'static str,
    most: u32,
    within: i64,
}

/// Codes that are sent to an address, and that a client asks for. An office is one client.
pub(super) const SENDS: [Limit; 2] = [
    Limit {
        what: "send",
        most: 5,
        within: 15 * MINUTE,
    },
    Limit {
        what: "send-by",
        most: 30,
        within: 15 * MINUTE,
    },
];

/// Wrong codes for an address, and of a client: of a million codes a day's tries meet one in thirty
/// thousand, and in ten thousand.
pub(super) const WRONG: [Limit; 2] = [
    Limit {
        what: "wrong",
        most: 30,
        within: DAY,
    },
    Limit {
        what: "wrong-by",
        most: 100,
        within: DAY,
    },
];

/// Of whom they are counted.
pub(super) struct Who([[u8; 32]; 2]);

impl Who {
    pub fn new(address: &str, client: IpAddr) -> Self {
        let hash = |text: &str| *blake3::hash(text.as_bytes()).as_bytes();
        Self([hash(address), hash(&network(client))])
    }
}

/// Who has one address of version 6 has 2^64 of them.
fn network(client: IpAddr) -> String {
    match client {
        IpAddr::V4(client) => client.to_string(),
        IpAddr::V6(client) => format!("{:x?}", &client.segments()[..4]),
    }
}

/// Forgets what is too long ago to count.
pub(super) fn sweep(tx: &Transaction<'_>) -> rusqlite::Result<()> {
    tx.execute("DELETE FROM tries WHERE at < ?1", [now() - DAY])?;
    Ok(())
}

/// Whether it was too often.
pub(super) fn are_too_many(
    tx: &Transaction<'_>,
    limits: &[Limit; 2],
    Who(who): &Who,
) -> rusqlite::Result<bool> {
    for (limit, who) in limits.iter().zip(who) {
        let count = "SELECT count(*) FROM tries WHERE what = ?1 AND who = ?2 AND at > ?3";
        let since = now() - limit.within;
        let count: u32 = tx
            .prepare(count)?
            .query_row(params![limit.what, who, since], |row| row.get(0))?;
        if count >= limit.most {
            return Ok(true);
        }
    }
    Ok(false)
}

/// It was tried once more.
pub(super) fn count(
    tx: &Transaction<'_>,
    limits: &[Limit; 2],
    Who(who): &Who,
) -> rusqlite::Result<()> {
    sweep(tx)?;
    for (limit, who) in limits.iter().zip(who) {
        let add = "INSERT INTO tries (what, who, at) VALUES (?1, ?2, ?3)";
        tx.execute(add, params![limit.what, who, now()])?;
    }
    Ok(())
}
