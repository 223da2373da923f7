//! Events that were published to pages, for who looks what an app says to them: the newest of a day.

use super::{Begins, read};
use remy_db::Result;
use rusqlite::{Transaction, named_params};
use serde::Serialize;
use serde_json::Value;
use std::path::Path;

pub(super) const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS events (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL,
  at INTEGER NOT NULL,
  world TEXT NOT NULL,
  channel TEXT NOT NULL,
  data TEXT NOT NULL,
  delivered INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS events_at ON events (at);";

/// How long an event is kept, in milliseconds.
const KEPT: i64 = 86_400_000;

/// How many are.
const MOST: u32 = 10_000;

/// An event, as it was published to one channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Event {
    /// Of all that were published at once.
    pub id: String,
    /// When, Unix milliseconds.
    pub at: i64,
    /// `live`, `preview x`, `dev x`.
    #[serde(rename = "target")]
    pub world: String,
    /// To whom.
    pub channel: String,
    /// What.
    pub data: Value,
    /// How many pages heard it.
    pub delivered: u32,
}

/// Which events are asked for.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Those of this channel.
    pub channel: Option<String>,
    /// Where they begin.
    pub begins: Begins,
    /// How many at most.
    pub limit: u32,
}

/// Reads the record of events, each with its number, which counts up. None, where there is no file.
pub fn list(store: &Path, wanted: &Wanted) -> Result<Vec<(i64, Event)>> {
    let (after, order) = wanted.begins.sql();
    let sql = format!(
        "SELECT seq, id, at, world, channel, data, delivered FROM events
         WHERE seq > :after AND (:channel IS NULL OR channel = :channel)
         ORDER BY seq {order} LIMIT :limit"
    );
    let wanted =
        named_params! { ":after": after, ":channel": wanted.channel, ":limit": wanted.limit };
    read(store, ("events", &sql), wanted, |row| {
        let event = Event {
            id: row.get(1)?,
            at: row.get(2)?,
            world: row.get(3)?,
            channel: row.get(4)?,
            data: serde_json::from_str(&row.get::<_, String>(5)?).unwrap_or_default(),
            delivered: row.get(6)?,
        };
        Ok((row.get(0)?, event))
    })
}

pub(super) fn add(tx: &Transaction<'_>, event: &Event) -> rusqlite::Result<()> {
    let add = "INSERT INTO events (id, at, world, channel, data, delivered)
               VALUES (:id, :at, :world, :channel, :data, :delivered)";
    tx.prepare(add)?.execute(named_params! {
        ":id": event.id, ":at": event.at, ":world": event.world, ":channel": event.channel,
        ":data": event.data.to_string(), ":delivered": event.delivered,
    })?;
    Ok(())
}

/// Removes those that are kept too long, and the oldest of too many.
pub(super) fn sweep(conn: &rusqlite::Connection, now: i64) -> rusqlite::Result<()> {
    conn.execute("DELETE FROM events WHERE at < ?1", [now - KEPT])?;
    let above = "DELETE FROM events WHERE seq <= (SELECT seq FROM events ORDER BY seq DESC LIMIT 1 OFFSET ?1)";
    conn.execute(above, [MOST])?;
    Ok(())
}
