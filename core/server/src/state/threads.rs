//! Threads of people with the app's agent: in `server.db`, each its owner's alone. No rollback takes
//! them.

use super::{Kept, State, now};
use crate::{answer::Refusal, token};
use chrono::{DateTime, SecondsFormat};
use remy_db_runtime::failure::Failure;
use rusqlite::{OptionalExtension as _, Row, Transaction, params};
use serde_json::{Value, json};
use std::sync::Arc;

pub(super) const SCHEMA: &str = "
CREATE TABLE threads (
  id TEXT PRIMARY KEY,
  target TEXT NOT NULL,
  owner TEXT NOT NULL,
  title TEXT,
  made INTEGER NOT NULL,
  changed INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX threads_owner ON threads (target, owner, changed DESC, id);
CREATE INDEX threads_changed ON threads (changed);
CREATE TABLE messages (
  thread TEXT NOT NULL,
  seq INTEGER NOT NULL,
  message TEXT NOT NULL,
  PRIMARY KEY (thread, seq)
) WITHOUT ROWID;";

/// How many threads there are on a page of them.
const PAGE: usize = 50;

/// The most threads of one owner, and of all: the oldest go.
const OWNED: u32 = 1000;
const ALL: u32 = 100_000;

/// The most messages of a thread.
const MESSAGES: i64 = 1000;

/// Whose a thread is: a user's, or a browser's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Owner {
    pub target: String,
    pub who: String,
}

/// All threads.
pub(crate) struct Threads {
    state: Arc<State>,
}

impl Threads {
    pub fn new(state: Arc<State>) -> Self {
        Self { state }
    }

    /// Begins one.
    pub fn begin(&self, owner: &Owner) -> Result<Value, Failure> {
        let (id, at) = (token::random::<16>()?, now());
        self.state.write(Kept::Soon, "beginning a thread", |tx| {
            let above = "SELECT id FROM threads WHERE target = ?1 AND owner = ?2 ORDER BY changed DESC LIMIT -1 OFFSET ?3";
            let above = ids(tx, above, params![owner.target, owner.who, OWNED - 1])?;
            let oldest = "SELECT id FROM threads ORDER BY changed DESC LIMIT -1 OFFSET ?1";
            let oldest = ids(tx, oldest, [ALL - 1])?;
            for id in above.iter().chain(&oldest) {
                remove(tx, id)?;
            }
            let add = "INSERT INTO threads (id, target, owner, made, changed) VALUES (?1, ?2, ?3, ?4, ?4)";
            tx.execute(add, params![id, owner.target, owner.who, at])
        })?;
        Ok(shown(&id, None, at, at))
    }

    /// A page of an owner's, the one that changed last first, and where the next page begins.
    pub fn list(&self, owner: &Owner, cursor: Option<&str>) -> Result<Value, Refusal> {
        let wrong = || Refusal::new(400, "invalid_cursor", "The cursor is none of this list");
        let (before, id) = match cursor {
            None => (i64::MAX, String::new()),
            Some(cursor) => {
                let (before, id) = cursor.split_once('-').ok_or_else(wrong)?;
                (before.parse().map_err(|_| wrong())?, id.to_owned())
            }
        };
        let find = "SELECT id, title, made, changed FROM threads
                    WHERE target = ?1 AND owner = ?2 AND (changed < ?3 OR changed = ?3 AND id > ?4)
                    ORDER BY changed DESC, id LIMIT ?5";
        let mut all = self.state.read("listing threads", |conn| {
            let of = params![owner.target, owner.who, before, id, PAGE as i64 + 1];
            let mut find = conn.prepare(find)?;
            let rows = find.query_map(of, |row| {
                let (id, changed): (String, i64) = (row.get(0)?, row.get(3)?);
                let one = shown(&id, row.get(1)?, row.get(2)?, changed);
                Ok((one, format!("{changed}-{id}")))
            })?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        })?;
        let is_more = all.len() > PAGE;
        all.truncate(PAGE);
        let next = all
            .last()
            .filter(|_| is_more)
            .map(|(_, cursor)| cursor.clone());
        let threads: Vec<Value> = all.into_iter().map(|(one, _)| one).collect();
        Ok(json!({ "threads": threads, "nextCursor": next }))
    }

    /// A thread with its messages. Fails with `not_found` where it is not the owner's.
    pub fn get(&self, owner: &Owner, id: &str) -> Result<Value, Refusal> {
        let mut thread = self.find(owner, id)?;
        thread["messages"] = self.messages(id)?.into();
        Ok(thread)
    }

    /// Fails with `not_found` where it is not the owner's.
    pub fn find(&self, owner: &Owner, id: &str) -> Result<Value, Refusal> {
        let find =
            "SELECT title, made, changed FROM threads WHERE id = ?1 AND target = ?2 AND owner = ?3";
        let found = self.state.read("looking for a thread", |conn| {
            let of_row = |row: &Row<'_>| Ok(shown(id, row.get(0)?, row.get(1)?, row.get(2)?));
            let of = params![id, owner.target, owner.who];
            conn.query_row(find, of, of_row).optional()
        })?;
        found.ok_or_else(|| Refusal::new(404, "not_found", "There is no such thread of yours"))
    }

    /// What was said in a thread, in its order.
    pub fn messages(&self, id: &str) -> Result<Vec<Value>, Failure> {
        let find = "SELECT message FROM messages WHERE thread = ?1 ORDER BY seq";
        self.state.read("reading a thread", |conn| {
            let mut find = conn.prepare(find)?;
            let rows = find.query_map([id], |row| row.get::<_, String>(0))?;
            rows.map(|text| Ok(serde_json::from_str(&text?).unwrap_or_default()))
                .collect()
        })
    }

    /// Adds messages, all of them or none. Fails with `thread_full`.
    pub fn add(&self, id: &str, messages: &[Value]) -> Result<(), Refusal> {
        let added = self.state.write(Kept::Now, "adding to a thread", |tx| {
            let last = "SELECT coalesce(max(seq), 0) FROM messages WHERE thread = ?1";
            let mut seq: i64 = tx.query_row(last, [id], |row| row.get(0))?;
            if seq + messages.len() as i64 > MESSAGES {
                return Ok(false);
            }
            // It may have been deleted meanwhile.
            if tx.execute(
                "UPDATE threads SET changed = ?2 WHERE id = ?1",
                params![id, now()],
            )? == 0
            {
                return Ok(true);
            }
            for message in messages {
                seq += 1;
                let add = "INSERT INTO messages (thread, seq, message) VALUES (?1, ?2, ?3)";
                tx.execute(add, params![id, seq, message.to_string()])?;
            }
            Ok(true)
        })?;
        match added {
            true => Ok(()),
            false => {
                let message = format!("A thread has at most {MESSAGES} messages. Begin another");
                Err(Refusal::new(409, "thread_full", message))
            }
        }
    }

    /// Gives it a title.
    pub fn rename(&self, owner: &Owner, id: &str, title: &str) -> Result<Value, Refusal> {
        self.find(owner, id)?;
        self.state.write(Kept::Soon, "naming a thread", |tx| {
            let set = "UPDATE threads SET title = ?2, changed = ?3 WHERE id = ?1";
            tx.execute(set, params![id, title, now()])
        })?;
        self.find(owner, id)
    }

    pub fn delete(&self, owner: &Owner, id: &str) -> Result<(), Refusal> {
        self.find(owner, id)?;
        Ok(self
            .state
            .write(Kept::Now, "deleting a thread", |tx| remove(tx, id))?)
    }

    /// Makes threads another's: one, or all of them.
    pub fn claim(&self, from: &Owner, to: &Owner, id: Option<&str>) -> Result<(), Refusal> {
        if let Some(id) = id {
            // Done already: nobody needs to know.
            if self.find(to, id).is_ok() {
                return Ok(());
            }
            self.find(from, id)?;
        }
        self.state.write(Kept::Now, "claiming a thread", |tx| {
            let set = "UPDATE threads SET owner = ?4 WHERE target = ?1 AND owner = ?2 AND (?3 IS NULL OR id = ?3)";
            tx.execute(set, params![from.target, from.who, id, to.who])
        })?;
        Ok(())
    }
}

fn ids(
    tx: &Transaction<'_>,
    find: &str,
    params: impl rusqlite::Params,
) -> rusqlite::Result<Vec<String>> {
    let mut find = tx.prepare(find)?;
    let rows = find.query_map(params, |row| row.get(0))?;
    rows.collect()
}

fn remove(tx: &Transaction<'_>, id: &str) -> rusqlite::Result<()> {
    tx.execute("DELETE FROM messages WHERE thread = ?1", [id])?;
    tx.execute("DELETE FROM threads WHERE id = ?1", [id])?;
    Ok(())
}

fn shown(id: &str, title: Option<String>, made: i64, changed: i64) -> Value {
    let time = |at: i64| {
        let time = DateTime::from_timestamp_millis(at).unwrap_or_default();
        time.to_rfc3339_opts(SecondsFormat::Millis, true)
    };
    json!({ "id": id, "title": title, "dateCreated": time(made), "dateUpdated": time(changed) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_is_its_owners_and_pages_have_each_once() {
        let store = tempfile::tempdir().unwrap();
        let threads = Threads::new(Arc::new(State::open(store.path()).unwrap()));
        let owner = |who: &str| Owner {
            target: "live".to_owned(),
            who: who.to_owned(),
        };
        let (ada, eve) = (owner("user:ada"), owner("visitor:ada"));
        let mut made: Vec<String> = (0..120)
            .map(|_| {
                threads.begin(&ada).unwrap()["id"]
                    .as_str()
                    .unwrap()
                    .to_owned()
            })
            .collect();
        let (mut found, mut cursor) = (Vec::new(), None);
        loop {
            let page = threads.list(&ada, cursor.as_deref()).unwrap();
            let ids = page["threads"].as_array().unwrap();
            found.extend(ids.iter().map(|it| it["id"].as_str().unwrap().to_owned()));
            cursor = page["nextCursor"].as_str().map(str::to_owned);
            if cursor.is_none() {
                break;
            }
        }
        found.sort();
        made.sort();
        assert_eq!(found, made);
        assert!(threads.get(&eve, &made[0]).is_err());
        assert!(threads.delete(&eve, &made[0]).is_err());
        assert!(
            threads.claim(&eve, &ada, Some(&made[0])).is_ok(),
            "it is hers already"
        );
        assert!(threads.claim(&ada, &eve, Some("none")).is_err());
        threads.claim(&ada, &eve, Some(&made[0])).unwrap();
        assert!(threads.get(&eve, &made[0]).is_ok() && threads.get(&ada, &made[0]).is_err());
        let full = vec![json!({ "role": "user" }); 1001];
        assert_eq!(
            threads.add(&made[1], &full).unwrap_err().code,
            "thread_full"
        );
        assert!(threads.list(&ada, Some("x")).is_err());
    }
}
