//! Codes that were sent to an address, by which its owner signs in, or has it for their own.

use super::{
    Kept, State, now,
    tries::{SENDS, WRONG, Who, are_too_many, count},
};
use crate::{
    answer::Refusal,
    token::{self, Hash},
};
use remy_db_runtime::{failure::Failure, target::Target, users::By};
use rusqlite::{OptionalExtension as _, Transaction, named_params, params};
use std::{net::IpAddr, sync::Arc};

pub(super) const SCHEMA: &str = "
CREATE TABLE codes (
  hash BLOB PRIMARY KEY,
  target TEXT NOT NULL,
  by TEXT NOT NULL,
  address TEXT NOT NULL,
  user TEXT NOT NULL,
  code BLOB NOT NULL,
  tries INTEGER NOT NULL DEFAULT 0,
  ends INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX codes_address ON codes (target, by, address, user);
CREATE INDEX codes_ends ON codes (ends);";

/// How long a code is good for.
const LASTS: i64 = 10 * 60_000;

/// How often a code may be tried.
const TRIES: u32 = 3;

/// Removes those that are over.
pub(super) fn sweep(tx: &Transaction<'_>) -> rusqlite::Result<()> {
    tx.execute("DELETE FROM codes WHERE ends < ?1", [now()])?;
    Ok(())
}

/// What a code is for.
#[derive(Debug, Clone)]
pub(crate) struct For<'a> {
    /// Where.
    pub target: &'a Target,
    /// How the address is reached.
    pub by: By,
    /// The address, the same however it was written.
    pub address: &'a str,
    /// Whose it is to be; nobody's, who signs in.
    pub user: &'a str,
    /// Who asks.
    pub client: IpAddr,
}

/// A code that is to be sent.
#[derive(Debug)]
pub(crate) struct Begun {
    /// What it is known by. Whoever asked for it has it, and it alone is no code.
    pub id: String,
    /// Six digits.
    pub code: String,
}

/// The codes that were sent.
pub(crate) struct Codes {
    state: Arc<State>,
}

struct Found {
    hash: Hash,
    address: String,
    code: Hash,
    tries: u32,
    ends: i64,
}

impl Codes {
    pub fn new(state: Arc<State>) -> Self {
        Self { state }
    }

    /// Makes a code, and ends the one before for the same. `fixed` is one that is known.
    ///
    /// Fails with `rate_limited` (429).
    pub fn begin(&self, of: &For<'_>, fixed: Option<&str>) -> Result<Begun, Refusal> {
        let begun = Begun {
            id: token::new("")?,
            code: fixed.map_or_else(six_digits, |code| Ok(code.to_owned()))?,
        };
        let who = Who::new(of.address, of.client);
        // Who takes an address does not say by which id.
        let salt = if of.user.is_empty() { &*begun.id } else { "" };
        let is_taken = self.state.write(Kept::Soon, "making a code", |tx| {
            if are_too_many(tx, &SENDS, &who)? {
                return Ok(false);
            }
            count(tx, &SENDS, &who)?;
            sweep(tx)?;
            let earlier =
                "DELETE FROM codes WHERE target = ?1 AND by = ?2 AND address = ?3 AND user = ?4";
            let by = of.by.column();
            tx.execute(
                earlier,
                params![of.target.to_string(), by, of.address, of.user],
            )?;
            let add = "INSERT INTO codes (hash, target, by, address, user, code, ends)
                       VALUES (:hash, :target, :by, :address, :user, :code, :ends)";
            tx.execute(
                add,
                named_params! {
                    ":hash": token::hash(&begun.id), ":target": of.target.to_string(), ":by": by,
                    ":address": of.address, ":user": of.user, ":code": kept(salt, &begun.code),
                    ":ends": now() + LASTS,
                },
            )?;
            Ok(true)
        })?;
        match is_taken {
            true => Ok(begun),
            false => Err(too_often()),
        }
    }

    /// The address of a code that was sent for signing in. It is good once.
    ///
    /// Fails with `verification_expired`, `invalid_code`, `max_attempts_exceeded` (400) and
    /// `rate_limited` (429).
    pub fn check(
        &self,
        target: &Target,
        by: By,
        (id, code): (&str, &str),
        client: IpAddr,
    ) -> Result<String, Refusal> {
        let hash = token::hash(id);
        self.tried(kept(id, code), client, |tx| {
            let find = "SELECT hash, address, code, tries, ends FROM codes
                        WHERE hash = ?1 AND target = ?2 AND by = ?3 AND user = ''";
            let found = params![hash, target.to_string(), by.column()];
            tx.query_row(find, found, found_in).optional()
        })
    }

    /// The same of one by which a user takes an address for their own.
    pub fn check_own(&self, of: &For<'_>, code: &str) -> Result<String, Refusal> {
        self.tried(kept("", code), of.client, |tx| {
            let find = "SELECT hash, address, code, tries, ends FROM codes
                        WHERE target = ?1 AND by = ?2 AND address = ?3 AND user = ?4 ORDER BY ends DESC LIMIT 1";
            let found = params![of.target.to_string(), of.by.column(), of.address, of.user];
            tx.query_row(find, found, found_in).optional()
        })
    }

    /// Counts a try before its end is known: many at once are no more than one after the other.
    fn tried(
        &self,
        given: Hash,
        client: IpAddr,
        find: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<Option<Found>>,
    ) -> Result<String, Refusal> {
        self.state.write(Kept::Soon, "trying a code", |tx| {
            let found = find(tx)?;
            // Of one that is not there, the client alone is counted.
            let address = found.as_ref().map(|found| found.address.clone());
            let who = Who::new(&address.unwrap_or_else(|| client.to_string()), client);
            if are_too_many(tx, &WRONG, &who)? {
                return Ok(Err(too_often()));
            }
            let Some(found) = found.filter(|found| found.ends > now()) else {
                count(tx, &WRONG, &who)?;
                return Ok(Err(no(
                    "verification_expired",
                    "This code is too old. Ask for another one",
                )));
            };
            if found.tries >= TRIES {
                let message = "This code was tried too often. Ask for another one";
                return Ok(Err(no("max_attempts_exceeded", message)));
            }
            if found.code == given {
                tx.execute("DELETE FROM codes WHERE hash = ?1", [found.hash])?;
                return Ok(Ok(found.address));
            }
            tx.execute(
                "UPDATE codes SET tries = tries + 1 WHERE hash = ?1",
                [found.hash],
            )?;
            count(tx, &WRONG, &who)?;
            Ok(Err(no(
                "invalid_code",
                "This is not the code that was sent",
            )))
        })?
    }
}

fn found_in(row: &rusqlite::Row<'_>) -> rusqlite::Result<Found> {
    Ok(Found {
        hash: row.get(0)?,
        address: row.get(1)?,
        code: row.get(2)?,
        tries: row.get(3)?,
        ends: row.get(4)?,
    })
}

/// What is kept of a code. Who reads it cannot try a million of them: the id is not kept.
fn kept(id: &str, code: &str) -> Hash {
    token::hash(&format!("{id} {}", code.trim()))
}

fn no(code: &str, message: &str) -> Refusal {
    Refusal::new(400, code, message)
}

fn too_often() -> Refusal {
    let message = "This was tried too often. Try it again in some minutes";
    Refusal::new(429, "rate_limited", message)
}

/// Each of a million as likely as any other.
fn six_digits() -> Result<String, Failure> {
    loop {
        let mut bytes = [0; 4];
        getrandom::fill(&mut bytes).map_err(|e| {
            let message = format!("asking the system for random bytes: {e}");
            Failure::new("io", 500, message)
        })?;
        let number = u32::from_le_bytes(bytes);
        // The rest would make the first ones likelier.
        if number < u32::MAX - u32::MAX % 1_000_000 {
            return Ok(format!("{:06}", number % 1_000_000));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Lab {
        codes: Codes,
        state: Arc<State>,
        _store: tempfile::TempDir,
    }

    fn lab() -> Lab {
        let store = tempfile::tempdir().unwrap();
        let state = Arc::new(State::open(store.path()).unwrap());
        Lab {
            codes: Codes::new(state.clone()),
            state,
            _store: store,
        }
    }

    fn ip(last: u8) -> IpAddr {
        [10, 0, 0, last].into()
    }

    impl Lab {
        fn begin(&self, address: &str, client: u8) -> Result<Begun, String> {
            let of = For {
                target: &Target::Live,
                by: By::Email,
                address,
                user: "",
                client: ip(client),
            };
            self.codes.begin(&of, None).map_err(|e| e.code)
        }

        fn check(&self, id: &str, code: &str, client: u8) -> Result<String, String> {
            let checked = self
                .codes
                .check(&Target::Live, By::Email, (id, code), ip(client));
            checked.map_err(|e| e.code)
        }

        fn do_sql(&self, sql: &str) {
            self.state
                .write(Kept::Soon, "testing", |tx| tx.execute_batch(sql))
                .unwrap();
        }
    }

    fn wrong(code: &str) -> String {
        let other = (code.parse::<u32>().unwrap() + 1) % 1_000_000;
        format!("{other:06}")
    }

    fn failed<T>(code: &str) -> Result<T, String> {
        Err(code.to_owned())
    }

    #[test]
    fn a_code_is_good_once_for_ten_minutes_and_three_tries() {
        let lab = lab();
        let begun = lab.begin("a@x.org", 1).unwrap();
        assert_eq!((begun.code.len(), begun.id.len()), (6, 43));
        assert_eq!(
            lab.check(&begun.id, &wrong(&begun.code), 1),
            failed("invalid_code")
        );
        assert_eq!(
            lab.check(&begun.id, &begun.code, 1).as_deref(),
            Ok("a@x.org")
        );
        assert_eq!(
            lab.check(&begun.id, &begun.code, 1),
            failed("verification_expired")
        );
        let begun = lab.begin("a@x.org", 1).unwrap();
        for _ in 0..3 {
            assert_eq!(
                lab.check(&begun.id, &wrong(&begun.code), 1),
                failed("invalid_code")
            );
        }
        assert_eq!(
            lab.check(&begun.id, &begun.code, 1),
            failed("max_attempts_exceeded")
        );
        let begun = lab.begin("a@x.org", 1).unwrap();
        lab.do_sql("UPDATE codes SET ends = ends - 600001");
        assert_eq!(
            lab.check(&begun.id, &begun.code, 1),
            failed("verification_expired")
        );
    }

    #[test]
    fn a_new_code_ends_the_old_one_and_none_is_good_elsewhere() {
        let lab = lab();
        let old = lab.begin("a@x.org", 1).unwrap();
        let other = lab.begin("b@x.org", 1).unwrap();
        let new = lab.begin("a@x.org", 2).unwrap();
        assert_eq!(
            lab.check(&old.id, &old.code, 1),
            failed("verification_expired")
        );
        let preview = Target::Preview("live".to_owned());
        for (target, by) in [(&preview, By::Email), (&Target::Live, By::Phone)] {
            let at = lab.codes.check(target, by, (&new.id, &new.code), ip(1));
            assert_eq!(at.map_err(|e| e.code), failed("verification_expired"));
        }
        let own = For {
            target: &Target::Live,
            by: By::Email,
            address: "a@x.org",
            user: "u1",
            client: ip(1),
        };
        assert!(
            lab.codes.check_own(&own, &new.code).is_err(),
            "it is for signing in"
        );
        assert_eq!(lab.check(&new.id, &new.code, 1).as_deref(), Ok("a@x.org"));
        assert_eq!(
            lab.check(&other.id, &other.code, 1).as_deref(),
            Ok("b@x.org")
        );
        let begun = lab.codes.begin(&own, None).unwrap();
        assert!(
            lab.check(&begun.id, &begun.code, 1).is_err(),
            "it is for taking an address"
        );
        assert!(
            lab.codes
                .check_own(
                    &For {
                        user: "u2",
                        ..own.clone()
                    },
                    &begun.code
                )
                .is_err()
        );
        assert_eq!(lab.codes.check_own(&own, &begun.code).unwrap(), "a@x.org");
    }

    #[test]
    fn sends_are_counted_by_address_and_by_client() {
        let lab = lab();
        for client in 1..=5 {
            lab.begin("a@x.org", client).unwrap();
        }
        assert_eq!(lab.begin("a@x.org", 6).unwrap_err(), "rate_limited");
        for n in 0..29 {
            lab.begin(&format!("{n}@x.org"), 1).unwrap();
        }
        assert_eq!(lab.begin("z@x.org", 1).unwrap_err(), "rate_limited");
        lab.do_sql("UPDATE tries SET at = at - 900001");
        lab.begin("a@x.org", 1).unwrap();
    }

    #[test]
    fn wrong_codes_are_counted_over_all_that_was_begun() {
        let lab = lab();
        let mut ends = Vec::new();
        // One address, by many clients.
        for n in 0..12 {
            lab.do_sql("DELETE FROM tries WHERE what LIKE 'send%'");
            let begun = lab.begin("a@x.org", n).unwrap();
            ends.extend((0..3).map(|_| lab.check(&begun.id, &wrong(&begun.code), n)));
        }
        assert_eq!(ends[29], failed("invalid_code"));
        assert_eq!(ends[30], failed("rate_limited"));
        // Many addresses, by one client.
        lab.do_sql("DELETE FROM tries");
        let mut ends = Vec::new();
        for n in 0..34 {
            lab.do_sql("DELETE FROM tries WHERE what LIKE 'send%'");
            let begun = lab.begin(&format!("{n}@x.org"), 1).unwrap();
            ends.extend((0..3).map(|_| lab.check(&begun.id, &wrong(&begun.code), 1)));
        }
        assert_eq!(ends[99], failed("invalid_code"));
        assert_eq!(ends[100], failed("rate_limited"));
    }

    #[test]
    fn tries_at_once_are_no_more_than_one_after_the_other() {
        let lab = lab();
        let begun = lab.begin("a@x.org", 1).unwrap();
        let tried: Vec<_> = std::thread::scope(|scope| {
            let all: Vec<_> = (0..16)
                .map(|_| scope.spawn(|| lab.check(&begun.id, &wrong(&begun.code), 1)))
                .collect();
            all.into_iter().map(|one| one.join().unwrap()).collect()
        });
        let wrong = tried
            .iter()
            .filter(|end| **end == failed("invalid_code"))
            .count();
        assert_eq!(wrong, 3);
    }

    #[test]
    fn no_code_and_no_address_of_a_try_is_kept() {
        let lab = lab();
        let begun = lab.begin("a@x.org", 1).unwrap();
        let _ = lab.check(&begun.id, "000000", 1);
        let kept: Vec<u8> = std::fs::read_dir(lab._store.path())
            .unwrap()
            .flat_map(|entry| std::fs::read(entry.unwrap().path()).unwrap())
            .collect();
        for secret in [begun.id.as_bytes(), begun.code.as_bytes(), b"10.0.0.1"] {
            assert!(!kept.windows(secret.len()).any(|part| part == secret));
        }
    }
}
