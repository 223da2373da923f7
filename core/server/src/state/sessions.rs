//! Sessions of pages: each page that is opened gets a token (`ms_iface_…`), by which its calls are
//! known. It names what the page is of, and who looks at it.

use super::{Kept, State, now};
use crate::{
    answer::Refusal,
    token::{self, Hash},
};
use remy_db::ReleaseId;
use remy_db_runtime::{failure::Failure, target::Target};
use rusqlite::{OptionalExtension as _, Row, Transaction, named_params, params};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

pub(super) const SCHEMA: &str = "
CREATE TABLE sessions (
  hash BLOB PRIMARY KEY,
  target TEXT NOT NULL,
  release INTEGER,
  user TEXT,
  visitor TEXT NOT NULL,
  ends INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX sessions_ends ON sessions (ends);";

/// What the tokens begin with.
const KIND: &str = "ms_iface_";

/// How long a session lasts after it was used: a page that is open calls methods.
const LASTS: i64 = 3_600_000;

/// The most sessions. Whoever opens pages without end makes the ones that were used the longest ago
/// go sooner.
const MOST: u32 = 200_000;

/// After how many new ones it is looked for what is over.
const SWEEP: u64 = 64;

/// Removes those that are over, and of too many those that were used the longest ago.
pub(super) fn sweep(tx: &Transaction<'_>) -> rusqlite::Result<()> {
    tx.execute("DELETE FROM sessions WHERE ends < ?1", [now()])?;
    let above = "DELETE FROM sessions WHERE hash IN (
        SELECT hash FROM sessions ORDER BY ends DESC LIMIT -1 OFFSET ?1)";
    tx.execute(above, [MOST])?;
    Ok(())
}

/// A page that is open.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Session {
    /// What the page is of. Its token is nobody's anywhere else.
    pub target: Target,
    /// The release that it was served of.
    pub release: Option<ReleaseId>,
    /// Who has signed in.
    pub user: Option<String>,
    /// The login that this is by. Once that has ended, nobody is signed in.
    pub login: Option<Hash>,
    /// The browser.
    pub visitor: String,
}

/// The sessions of pages.
pub(crate) struct Sessions {
    state: Arc<State>,
    begun: AtomicU64,
}

impl Sessions {
    pub fn new(state: Arc<State>) -> Self {
        Self {
            state,
            begun: AtomicU64::new(0),
        }
    }

    /// Begins a session, and returns its token.
    pub fn begin(&self, session: &Session) -> Result<String, Failure> {
        let token = token::new(KIND)?;
        let is_time = self
            .begun
            .fetch_add(1, Ordering::Relaxed)
            .is_multiple_of(SWEEP);
        self.state.write(Kept::Soon, "beginning a session", |tx| {
            if is_time {
                sweep(tx)?;
            }
            let add = "INSERT INTO sessions (hash, target, release, user, visitor, ends, login)
                       VALUES (:hash, :target, :release, :user, :visitor, :ends, :login)";
            tx.prepare(add)?.execute(named_params! {
                ":hash": token::hash(&token), ":target": session.target.to_string(),
                ":release": session.release, ":user": session.user,
                ":visitor": session.visitor, ":ends": now() + LASTS, ":login": session.login,
            })
        })?;
        Ok(token)
    }

    /// The session of a token that is used for `target`.
    ///
    /// Fails with `auth_required` where there is no token, and with `invalid_session` where it is
    /// none, is over, or is of elsewhere.
    pub fn find(&self, token: Option<&str>, target: &Target) -> Result<Session, Refusal> {
        let token = token.ok_or_else(|| {
            let message = "This needs the token of a page, as Authorization: Bearer";
            Refusal::new(401, "auth_required", message)
        })?;
        let hash = token::hash(token);
        let found = self.state.read("looking for a session", |conn| {
            let find = "SELECT release, user, visitor, ends, login,
                          login IS NULL OR EXISTS (SELECT 1 FROM logins WHERE logins.hash = login AND logins.ends > ?3)
                        FROM sessions WHERE hash = ?1 AND target = ?2 AND ends > ?3";
            let mut find = conn.prepare_cached(find)?;
            let of_row = |row: &Row<'_>| {
                let is_signed_in: bool = row.get(5)?;
                let user: Option<String> = row.get(1)?;
                let session = Session {
                    target: target.clone(),
                    release: row.get(0)?,
                    user: user.filter(|_| is_signed_in),
                    login: row.get(4)?,
                    visitor: row.get(2)?,
                };
                Ok((session, row.get::<_, i64>(3)?))
            };
            find.query_row(params![hash, target.to_string(), now()], of_row)
                .optional()
        })?;
        let Some((session, ends)) = found else {
            let message = "The session of this page is over. Load the page again";
            return Err(Refusal::new(401, "invalid_session", message));
        };
        // Not each time: then every call would be a write.
        if ends - now() < LASTS / 2 {
            self.state
                .write(Kept::Soon, "going on with a session", |tx| {
                    let later = "UPDATE sessions SET ends = ?2 WHERE hash = ?1";
                    tx.prepare(later)?.execute(params![hash, now() + LASTS])
                })?;
        }
        Ok(session)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(target: Target) -> Session {
        Session {
            target,
            release: Some(ReleaseId(7)),
            user: Some("u".to_owned()),
            login: None,
            visitor: "v".to_owned(),
        }
    }

    fn code(found: Result<Session, Refusal>) -> String {
        found.unwrap_err().code
    }

    #[test]
    fn a_token_is_good_where_its_page_is_and_while_it_lasts() {
        let store = tempfile::tempdir().unwrap();
        let state = Arc::new(State::open(store.path()).unwrap());
        let sessions = Sessions::new(Arc::clone(&state));
        let token = sessions.begin(&session(Target::Live)).unwrap();
        let find = |token: &str, target| sessions.find(Some(token), &target);
        assert_eq!(find(&token, Target::Live).unwrap(), session(Target::Live));
        let preview = Target::Preview("x".to_owned());
        assert_eq!(code(find(&token, preview.clone())), "invalid_session");
        let other = sessions.begin(&session(preview.clone())).unwrap();
        assert_eq!(code(find(&other, Target::Live)), "invalid_session");
        assert_eq!(find(&other, preview.clone()).unwrap(), session(preview));
        for forged in ["", "ms_iface_", &token[..20], &format!("{token}x")] {
            assert_eq!(
                code(find(forged, Target::Live)),
                "invalid_session",
                "{forged}"
            );
        }
        assert_eq!(code(sessions.find(None, &Target::Live)), "auth_required");

        let ends = |at: i64| {
            let write = |tx: &Transaction<'_>| tx.execute("UPDATE sessions SET ends = ?1", [at]);
            state.write(Kept::Soon, "", write).unwrap();
        };
        // Used in its last half hour, it lasts for another hour.
        ends(now() + 1000);
        find(&token, Target::Live).unwrap();
        let hash = token::hash(&token);
        let left = "SELECT ends FROM sessions WHERE hash = ?1";
        let left: i64 = state
            .read("", |conn| conn.query_row(left, [hash], |row| row.get(0)))
            .unwrap();
        assert!(left > now() + LASTS - 60_000);
        ends(now() - 1);
        assert_eq!(code(find(&token, Target::Live)), "invalid_session");
    }

    #[test]
    fn a_token_outlives_the_server_and_no_file_has_it() {
        let store = tempfile::tempdir().unwrap();
        let begin = || Sessions::new(Arc::new(State::open(store.path()).unwrap()));
        let token = begin().begin(&session(Target::Live)).unwrap();
        assert!(begin().find(Some(&token), &Target::Live).is_ok());
        for file in std::fs::read_dir(store.path()).unwrap() {
            let bytes = std::fs::read(file.unwrap().path()).unwrap();
            let is_in = bytes.windows(43).any(|part| part == &token.as_bytes()[9..]);
            assert!(!is_in);
        }
    }

    #[test]
    fn what_is_over_goes() {
        let store = tempfile::tempdir().unwrap();
        let state = Arc::new(State::open(store.path()).unwrap());
        let sessions = Sessions::new(Arc::clone(&state));
        for _ in 0..SWEEP {
            sessions.begin(&session(Target::Live)).unwrap();
        }
        let write = |tx: &Transaction<'_>| tx.execute("UPDATE sessions SET ends = 0", []);
        state.write(Kept::Soon, "", write).unwrap();
        sessions.begin(&session(Target::Live)).unwrap();
        let count = |conn: &rusqlite::Connection| {
            conn.query_row("SELECT count(*) FROM sessions", [], |row| {
                row.get::<_, i64>(0)
            })
        };
        assert_eq!(state.read("", count), Ok(1));
    }
}
