//! Who has signed in, in which browser: the cookie `__ms_auth`. It outlives all pages, all releases
//! and rollbacks; a rollback that takes the user leaves nobody signed in.

use super::{Kept, State, now};
use crate::token::{self, Hash};
use remy_db_runtime::{failure::Failure, target::Target};
use rusqlite::{OptionalExtension as _, Transaction, params};
use std::sync::Arc;

pub(super) const SCHEMA: &str = "
CREATE TABLE logins (
  hash BLOB PRIMARY KEY,
  target TEXT NOT NULL,
  user TEXT NOT NULL,
  ends INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX logins_ends ON logins (ends);
ALTER TABLE sessions ADD COLUMN login BLOB;";

/// What the tokens begin with.
const KIND: &str = "ms_auth_";

/// How long somebody stays signed in who does not come back, in milliseconds: 30 days.
pub(crate) const LASTS: i64 = 30 * 86_400_000;

/// Removes those that are over.
pub(super) fn sweep(tx: &Transaction<'_>) -> rusqlite::Result<()> {
    tx.execute("DELETE FROM logins WHERE ends < ?1", [now()])?;
    Ok(())
}

/// Somebody who has signed in.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Login {
    /// Of its token.
    pub hash: Hash,
    /// Who.
    pub user: String,
}

/// The logins of browsers.
pub(crate) struct Logins {
    state: Arc<State>,
}

impl Logins {
    pub fn new(state: Arc<State>) -> Self {
        Self { state }
    }

    /// Begins one, and returns its token.
    pub fn begin(&self, target: &Target, user: &str) -> Result<(String, Login), Failure> {
        let token = token::new(KIND)?;
        let login = Login {
            hash: token::hash(&token),
            user: user.to_owned(),
        };
        self.state.write(Kept::Now, "signing in", |tx| {
            sweep(tx)?;
            let add = "INSERT INTO logins (hash, target, user, ends) VALUES (?1, ?2, ?3, ?4)";
            tx.execute(
                add,
                params![login.hash, target.to_string(), user, now() + LASTS],
            )
        })?;
        Ok((token, login))
    }

    /// Makes logins and pages of a user those of another, who has the address now.
    pub fn are_of(&self, target: &Target, user: &str, now: &str) -> Result<(), Failure> {
        let of = params![target.to_string(), user, now];
        self.state.write(Kept::Now, "signing in again", |tx| {
            for table in ["logins", "sessions"] {
                let set = format!("UPDATE {table} SET user = ?3 WHERE target = ?1 AND user = ?2");
                tx.execute(&set, of)?;
            }
            Ok(())
        })
    }

    /// The login of a cookie that was sent to `target`.
    pub fn find(&self, token: Option<&str>, target: &Target) -> Result<Option<Login>, Failure> {
        let Some(token) = token else {
            return Ok(None);
        };
        let hash = token::hash(token);
        let found = self.state.read("looking for a login", |conn| {
            let find =
                "SELECT user, ends FROM logins WHERE hash = ?1 AND target = ?2 AND ends > ?3";
            let mut find = conn.prepare(find)?;
            let row = find.query_row(params![hash, target.to_string(), now()], |row| {
                Ok((row.get(0)?, row.get::<_, i64>(1)?))
            });
            row.optional()
        })?;
        let Some((user, ends)) = found else {
            return Ok(None);
        };
        // Not each time: then every page would be a write.
        if ends - now() < LASTS / 2 {
            self.state
                .write(Kept::Soon, "going on with a login", |tx| {
                    let later = "UPDATE logins SET ends = ?2 WHERE hash = ?1";
                    tx.execute(later, params![hash, now() + LASTS])
                })?;
        }
        Ok(Some(Login { hash, user }))
    }

    /// Ends one, and with it what its pages are signed in as.
    pub fn end(&self, hash: &Hash) -> Result<(), Failure> {
        self.state.write(Kept::Now, "signing out", |tx| {
            tx.execute("DELETE FROM logins WHERE hash = ?1", [hash])
        })?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_of_one_place_and_ends() {
        let store = tempfile::tempdir().unwrap();
        let state = Arc::new(State::open(store.path()).unwrap());
        let logins = Logins::new(state.clone());
        let (token, login) = logins.begin(&Target::Live, "u1").unwrap();
        let at = |token: &str, target: &Target| logins.find(Some(token), target).unwrap();
        assert_eq!(at(&token, &Target::Live), Some(login.clone()));
        assert_eq!(at(&token, &Target::Preview("live".to_owned())), None);
        assert_eq!(at("ms_auth_x", &Target::Live), None);
        assert_eq!(logins.find(None, &Target::Live).unwrap(), None);
        // It goes on where it is used, and not for ever where it is not.
        let ends = |at: i64| {
            let set = |tx: &Transaction<'_>| tx.execute("UPDATE logins SET ends = ?1", [at]);
            state.write(Kept::Soon, "testing", set).unwrap();
        };
        ends(now() + 1000);
        at(&token, &Target::Live).unwrap();
        let until = state.read("testing", |conn| {
            conn.query_row("SELECT ends FROM logins", [], |row| row.get::<_, i64>(0))
        });
        assert!(until.unwrap() > now() + LASTS / 2);
        ends(now() - 1);
        assert_eq!(at(&token, &Target::Live), None);
        ends(now() + 1000);
        logins.end(&login.hash).unwrap();
        assert_eq!(at(&token, &Target::Live), None);
    }
}
