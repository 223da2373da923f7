//! Leaves to upload a file: whoever has the token of one may put one file in its place, once.

use super::{Files, Place, kind, place::Access};
use crate::{
    failure::Failure,
    state::{Kept, now},
    target::Target,
    token::{self, Hash},
};
use rusqlite::{OptionalExtension as _, Row, Transaction, named_params, params};
use std::time::Duration;

/// How long a leave is good, where nothing is said, and otherwise.
const USUAL: u64 = 15 * 60;
const SHORTEST: u64 = 60;
const LONGEST: u64 = 24 * 60 * 60;

/// The most of them at once; the oldest ones go.
const MOST: u32 = 10_000;

/// What may be uploaded, and for how long.
#[derive(Debug, Clone, Default)]
pub struct Terms {
    /// The types that are taken; any, where none is named.
    pub kinds: Vec<String>,
    /// The most bytes.
    pub most: Option<u64>,
    /// How long it is good. It is taken for a minute to a day.
    pub lasts: Option<Duration>,
}

/// A leave to upload a file.
#[derive(Debug)]
pub struct Leave {
    /// Where the file goes.
    pub place: Place,
    /// The most bytes, where whoever gave the leave has said that.
    pub most: Option<u64>,
    kinds: Vec<String>,
    upload: Hash,
}

impl Leave {
    /// What the file is kept as, of which whoever sends it says that it is `said`. Fails with
    /// `content_type_not_allowed`.
    pub fn kind(&self, said: &str) -> Result<String, Failure> {
        // Where there is no choice it is what a method has seen fit.
        if let [only] = &self.kinds[..] {
            return Ok(only.clone());
        }
        let said = kind(said)?;
        match self.kinds.is_empty() || self.kinds.contains(&said) {
            true => Ok(said),
            false => {
                let all = self.kinds.join(", ");
                Err(kind::not_allowed(&format!(
                    "A file that is {said} is none of {all}"
                )))
            }
        }
    }

    /// By which [`Files::keep`] knows it.
    pub fn upload(&self) -> Hash {
        self.upload
    }
}

impl Files {
    /// A leave to upload one file: its token. Fails with `content_type_not_allowed`.
    pub fn let_upload(&self, place: &Place, terms: &Terms) -> Result<String, Failure> {
        let kinds = terms.kinds.iter().map(|said| kind(said));
        let kinds = serde_json::json!(kinds.collect::<Result<Vec<_>, _>>()?).to_string();
        let lasts = terms.lasts.map_or(USUAL, |lasts| lasts.as_secs());
        let lasts = lasts.clamp(SHORTEST, LONGEST).cast_signed() * 1000;
        let token = token::new("up_")?;
        self.state()?
            .write(Kept::Soon, "allowing an upload", |tx| {
                sweep(tx)?;
                let above = "DELETE FROM uploads WHERE hash IN (
                SELECT hash FROM uploads ORDER BY ends DESC LIMIT -1 OFFSET ?1)";
                tx.execute(above, [MOST - 1])?;
                let add =
                    "INSERT INTO uploads (hash, target, access, store, key, kinds, most, ends)
                       VALUES (:hash, :target, :access, :store, :key, :kinds, :most, :ends)";
                tx.prepare(add)?.execute(named_params! {
                ":hash": token::hash(&token), ":target": place.target,
                ":access": place.access.name(), ":store": place.store, ":key": place.key,
                ":kinds": kinds, ":most": terms.most.map(u64::cast_signed), ":ends": now() + lasts,
            })
            })?;
        Ok(token)
    }

    /// The leave that a token is of, at this target. Fails with `invalid_token` where it is none, is
    /// over, or was used.
    pub fn leave(&self, token: &str, target: &Target) -> Result<Leave, Failure> {
        let (upload, target) = (token::hash(token), target.to_string());
        let found = self.state()?.read("looking for an upload", |conn| {
            let find = "SELECT access, store, key, kinds, most FROM uploads
                        WHERE hash = ?1 AND target = ?2 AND ends > ?3";
            let of_row = |row: &Row<'_>| {
                let access: String = row.get(0)?;
                let kinds: String = row.get(3)?;
                let place = Place {
                    target: target.clone(),
                    access: Access::named(&access).unwrap_or(Access::Private),
                    store: row.get(1)?,
                    key: row.get(2)?,
                };
                Ok(Leave {
                    place,
                    most: row.get::<_, Option<i64>>(4)?.map(i64::cast_unsigned),
                    kinds: serde_json::from_str(&kinds).unwrap_or_default(),
                    upload,
                })
            };
            let mut find = conn.prepare(find)?;
            find.query_row(params![upload, target, now()], of_row)
                .optional()
        })?;
        found.ok_or_else(no_leave)
    }
}

/// Removes those that are over.
pub(super) fn sweep(tx: &Transaction<'_>) -> rusqlite::Result<usize> {
    tx.execute("DELETE FROM uploads WHERE ends < ?1", [now()])
}

pub(super) fn no_leave() -> Failure {
    let message = "The leave to upload is none, is over, or was used. Ask for another";
    Failure::new("invalid_token", 403, message)
}
