//! Keys of users (`sk_…`), by which programs act as them. One a user; the user's row shows a part of
//! it. One that was revoked stays so, whatever is rolled back.

use super::{Kept, State, now};
use crate::token;
use remy_db_runtime::{failure::Failure, target::Target};
use rusqlite::{OptionalExtension as _, params};
use std::sync::Arc;

pub(super) const SCHEMA: &str = "
CREATE TABLE keys (
  hash BLOB PRIMARY KEY,
  target TEXT NOT NULL,
  user TEXT NOT NULL,
  made INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX keys_user ON keys (target, user);";

/// What the keys begin with.
pub(crate) const KIND: &str = "sk_";

/// How many of a key's last signs are shown.
const SHOWN: usize = 4;

/// The keys of users.
pub(crate) struct Keys {
    state: Arc<State>,
}

impl Keys {
    pub fn new(state: Arc<State>) -> Self {
        Self { state }
    }

    /// Makes a key, in the place of the user's earlier one.
    pub fn make(&self, target: &Target, user: &str) -> Result<String, Failure> {
        let key = token::new(KIND)?;
        self.state.write(Kept::Now, "making a key", |tx| {
            let earlier = "DELETE FROM keys WHERE target = ?1 AND user = ?2";
            tx.execute(earlier, params![target.to_string(), user])?;
            let add = "INSERT INTO keys (hash, target, user, made) VALUES (?1, ?2, ?3, ?4)";
            tx.execute(
                add,
                params![token::hash(&key), target.to_string(), user, now()],
            )
        })?;
        Ok(key)
    }

    /// Revokes the user's key, if there is one.
    pub fn revoke(&self, target: &Target, user: &str) -> Result<(), Failure> {
        self.state.write(Kept::Now, "revoking a key", |tx| {
            let revoke = "DELETE FROM keys WHERE target = ?1 AND user = ?2";
            tx.execute(revoke, params![target.to_string(), user])
        })?;
        Ok(())
    }

    /// The id of the user whose key it is.
    pub fn user(&self, key: &str, target: &Target) -> Result<Option<String>, Failure> {
        let hash = token::hash(key);
        self.state.read("looking for a key", |conn| {
            let find = "SELECT user FROM keys WHERE hash = ?1 AND target = ?2";
            let mut find = conn.prepare(find)?;
            let row = find.query_row(params![hash, target.to_string()], |row| row.get(0));
            row.optional()
        })
    }
}

/// What is shown of a key.
pub(crate) fn masked(key: &str) -> String {
    let end = key.len().saturating_sub(SHOWN);
    format!("{KIND}…{}", &key[end..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_one_key_of_one_place_and_none_that_was_revoked() {
        let store = tempfile::tempdir().unwrap();
        let keys = Keys::new(Arc::new(State::open(store.path()).unwrap()));
        let preview = Target::Preview("live".to_owned());
        let first = keys.make(&Target::Live, "u1").unwrap();
        let of = |key: &str, target: &Target| keys.user(key, target).unwrap();
        assert_eq!(of(&first, &Target::Live).as_deref(), Some("u1"));
        assert_eq!(of(&first, &preview), None);
        let other = keys.make(&Target::Live, "u2").unwrap();
        let second = keys.make(&Target::Live, "u1").unwrap();
        assert_eq!(of(&first, &Target::Live), None);
        keys.revoke(&preview, "u1").unwrap();
        assert_eq!(of(&second, &Target::Live).as_deref(), Some("u1"));
        keys.revoke(&Target::Live, "u1").unwrap();
        assert_eq!(of(&second, &Target::Live), None);
        assert_eq!(of(&other, &Target::Live).as_deref(), Some("u2"));
        let shown = masked(&first);
        assert!(
            shown.starts_with("sk_…") && first.ends_with(&shown["sk_…".len()..]),
            "{shown}"
        );
    }
}
