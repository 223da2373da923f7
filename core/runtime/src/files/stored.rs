//! What there is of files: found, listed, removed.
//!
//! The database of a preview, of a dev session and of an earlier release is a copy of live's, with rows
//! that name files of live's. So who asks there finds those as well, behind its own; it writes and
//! removes only its own.

use super::{
    Access, Files, Place,
    draft::loosen,
    place::{check_store, is_plain},
};
use crate::{failure::Failure, state::Kept, target::Target};
use remy_db_app::private;
use rusqlite::{OptionalExtension as _, Row, named_params, params};
use std::{fs::File, io};

/// The most files of a list.
const LISTED: u32 = 1000;

/// When a file was written, as ISO 8601 has it.
const MADE: &str = "strftime('%Y-%m-%dT%H:%M:%fZ', made / 1000.0, 'unixepoch')";

/// A file that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Where it is.
    pub place: Place,
    /// Its type.
    pub kind: String,
    /// How large it is.
    pub bytes: u64,
    /// By which what it holds is told from anything else.
    pub tag: String,
    /// When it was written: ISO 8601.
    pub made: String,
    name: String,
}

/// Which files of a store are asked for.
#[derive(Debug, Default)]
pub struct Listed<'a> {
    /// What their keys begin with.
    pub prefix: &'a str,
    /// The key that they come after.
    pub after: &'a str,
    /// How many, at most 1,000.
    pub most: Option<u32>,
}

impl Files {
    /// The file of a place.
    pub fn find(&self, place: &Place) -> Result<Option<Found>, Failure> {
        let find = format!(
            "SELECT key, name, kind, bytes, hash, {MADE} FROM files
             WHERE target IN (?1, ?2) AND access = ?3 AND store = ?4 AND key = ?5
             ORDER BY target = ?1 DESC LIMIT 1"
        );
        self.state()?.read("looking for a file", |conn| {
            let (target, live) = (&place.target, Target::Live.to_string());
            let key = params![target, live, place.access.name(), place.store, place.key];
            let mut find = conn.prepare(&find)?;
            find.query_row(key, |row| found(row, place)).optional()
        })
    }

    /// The same, opened. Fails with `io` where its bytes are not there.
    pub fn open(&self, place: &Place) -> Result<Option<(Found, File)>, Failure> {
        let mut missing = None;
        loop {
            let Some(found) = self.find(place)? else {
                return Ok(None);
            };
            if let Some(bytes) = self.bytes_of(&found.name)? {
                return Ok(Some((found, bytes)));
            }
            // Another one may have come into its place before it was opened.
            if missing.as_ref() == Some(&found.name) {
                let message = format!("the bytes of {} are not in the store", place.url());
                return Err(Failure::new("io", 500, message));
            }
            missing = Some(found.name);
        }
    }

    fn bytes_of(&self, name: &str) -> Result<Option<File>, Failure> {
        let at = self.path(name)?;
        match private::opened(&at) {
            Ok(file) => Ok(Some(file)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => {
                let message = format!("reading {}: {e}", at.display());
                Err(Failure::new("io", 500, message))
            }
        }
    }

    /// Files of a store, by their keys, and where there are more the key that they come after.
    pub fn list(
        &self,
        target: &Target,
        (access, store): (Access, &str),
        listed: &Listed<'_>,
    ) -> Result<(Vec<Found>, Option<String>), Failure> {
        check_store(store)?;
        if !is_plain(listed.prefix) || !is_plain(listed.after) {
            let message = "No key has what these begin with, or come after. Nothing was listed";
            return Err(Failure::new("invalid_key", 400, message));
        }
        let most = listed.most.unwrap_or(LISTED).clamp(1, LISTED);
        let find = format!(
            "SELECT key, name, kind, bytes, hash, {MADE} FROM files AS it
             WHERE access = :access AND store = :store AND key > :after AND key >= :prefix
               AND substr(key, 1, length(:prefix)) = :prefix
               AND (target = :target OR target = :live AND NOT EXISTS (
                 SELECT 1 FROM files WHERE target = :target AND access = :access
                   AND store = :store AND key = it.key))
             ORDER BY key LIMIT :most"
        );
        let place = Place {
            target: target.to_string(),
            access,
            store: store.to_owned(),
            key: String::new(),
        };
        let mut all = self.state()?.read("listing files", |conn| {
            let mut find = conn.prepare(&find)?;
            let params = named_params! {
                ":access": access.name(), ":store": store, ":after": listed.after,
                ":prefix": listed.prefix, ":target": place.target,
                ":live": Target::Live.to_string(), ":most": most + 1,
            };
            let rows = find.query_map(params, |row| found(row, &place))?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        })?;
        let has_more = all.len() > most as usize;
        all.truncate(most as usize);
        let last = all.last().filter(|_| has_more);
        let cursor = last.map(|last| last.place.key.clone());
        Ok((all, cursor))
    }

    /// Removes a file, where it is there.
    pub fn remove(&self, place: &Place) -> Result<(), Failure> {
        let gone = self.state()?.write(Kept::Now, "removing a file", |tx| {
            let remove = "DELETE FROM files
                          WHERE target = ?1 AND access = ?2 AND store = ?3 AND key = ?4
                          RETURNING name";
            let key = params![place.target, place.access.name(), place.store, place.key];
            let gone: Option<String> = tx.query_row(remove, key, |row| row.get(0)).optional()?;
            if let Some(name) = &gone {
                loosen(tx, name)?;
            }
            Ok(gone)
        })?;
        if let Some(name) = gone {
            self.drop_bytes(&name);
        }
        Ok(())
    }
}

fn found(row: &Row<'_>, of: &Place) -> rusqlite::Result<Found> {
    let bytes: i64 = row.get(3)?;
    let hash: Vec<u8> = row.get(4)?;
    Ok(Found {
        place: Place {
            key: row.get(0)?,
            ..of.clone()
        },
        name: row.get(1)?,
        kind: row.get(2)?,
        bytes: bytes.cast_unsigned(),
        tag: hash
            .iter()
            .take(16)
            .map(|byte| format!("{byte:02x}"))
            .collect(),
        made: row.get(5)?,
    })
}
