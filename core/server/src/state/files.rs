//! Files that people and methods have put here: in a folder of the store, outside of releases, each
//! under a name that nobody has given. Which is whose, `server.db` knows.
//!
//! What is being written stands in `new/`. It is gone where it does not come to its end: at once, or,
//! where the server was killed meanwhile, once one is started an hour later.

use super::{Kept, State, now};
use crate::{
    answer::Refusal,
    token::{self, Hash},
};
use remy_db_runtime::failure::Failure;
use rusqlite::{OptionalExtension as _, Row, Transaction, named_params, params};
use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

pub(super) const SCHEMA: &str = "
CREATE TABLE files (
  target TEXT NOT NULL,
  access TEXT NOT NULL,
  store TEXT NOT NULL,
  key TEXT NOT NULL,
  name TEXT NOT NULL,
  kind TEXT NOT NULL,
  bytes INTEGER NOT NULL,
  hash BLOB NOT NULL,
  made INTEGER NOT NULL,
  PRIMARY KEY (target, access, store, key)
) WITHOUT ROWID;
CREATE TABLE uploads (
  hash BLOB PRIMARY KEY,
  target TEXT NOT NULL,
  access TEXT NOT NULL,
  store TEXT NOT NULL,
  key TEXT NOT NULL,
  kind TEXT NOT NULL,
  ends INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX uploads_ends ON uploads (ends);";

const FOLDER: &str = "files";

/// What is being written.
const NEW: &str = "new";

/// How long after it was written to last nobody writes a file any more. Another server may, for a dev
/// session.
const OVER: Duration = Duration::from_secs(3600);

/// How long a leave to upload is good.
const LASTS: i64 = 15 * 60_000;

/// The most of them at once; the oldest ones go.
const UPLOADS: u32 = 10_000;

/// The most files, and the most bytes of all of them: whoever opens a page may upload.
const FILES: u64 = 100_000;
const BYTES: u64 = 50 << 30;

/// Where a file is, for those who ask for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub target: String,
    pub access: Access,
    pub store: String,
    pub key: String,
}

/// Who may read a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Public,
    Private,
}

/// A file that is kept.
#[derive(Debug)]
pub(crate) struct Found {
    pub at: PathBuf,
    pub kind: String,
    pub bytes: u64,
    pub hash: String,
}

/// All files.
pub(crate) struct Files {
    state: Arc<State>,
    folder: PathBuf,
}

/// A file that is being written. Dropped before its end, nothing is left of it.
pub(crate) struct Draft {
    at: PathBuf,
    name: String,
    file: Option<File>,
}

impl Access {
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "public" => Some(Self::Public),
            "private" => Some(Self::Private),
            _ => None,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Private => "private",
        }
    }
}

impl Files {
    /// Those of a store. What an upload has left that was cut off by the server's end goes.
    pub fn of(store: &Path, state: Arc<State>) -> Result<Self, Failure> {
        let folder = store.join(FOLDER);
        let new = folder.join(NEW);
        let made = make(&folder).and_then(|()| make(&new)).and_then(|()| {
            for left in fs::read_dir(&new)? {
                let left = left?;
                let written = left.metadata()?.modified()?.elapsed();
                if written.is_ok_and(|age| age > OVER) {
                    fs::remove_file(left.path())?;
                }
            }
            Ok(())
        });
        made.map_err(|e| {
            let message = format!("making {}: {e}. Nothing is served", new.display());
            Failure::new("io", 500, message)
        })?;
        Ok(Self { state, folder })
    }

    /// A leave to upload one file.
    pub fn let_upload(&self, place: &Place, kind: &str) -> Result<String, Failure> {
        let token = token::new("up_")?;
        self.state.write(Kept::Soon, "allowing an upload", |tx| {
            tx.execute("DELETE FROM uploads WHERE ends < ?1", [now()])?;
            let above = "DELETE FROM uploads WHERE hash IN (
                SELECT hash FROM uploads ORDER BY ends DESC LIMIT -1 OFFSET ?1)";
            tx.execute(above, [UPLOADS - 1])?;
            let add = "INSERT INTO uploads (hash, target, access, store, key, kind, ends)
                       VALUES (:hash, :target, :access, :store, :key, :kind, :ends)";
            tx.prepare(add)?.execute(named_params! {
                ":hash": token::hash(&token), ":target": place.target,
                ":access": place.access.name(), ":store": place.store, ":key": place.key,
                ":kind": kind, ":ends": now() + LASTS,
            })
        })?;
        Ok(token)
    }

    /// What a leave is for. Fails with `invalid_token` where it is none, is over, or was used.
    pub fn leave(&self, token: &str, target: &str) -> Result<(Place, String), Refusal> {
        let hash = token::hash(token);
        let found = self.state.read("looking for an upload", |conn| {
            let find = "SELECT access, store, key, kind FROM uploads
                        WHERE hash = ?1 AND target = ?2 AND ends > ?3";
            let of_row = |row: &Row<'_>| {
                let place = Place {
                    target: target.to_owned(),
                    access: access(row, 0)?,
                    store: row.get(1)?,
                    key: row.get(2)?,
                };
                Ok((place, row.get(3)?))
            };
            let mut find = conn.prepare(find)?;
            find.query_row(params![hash, target, now()], of_row)
                .optional()
        })?;
        found.ok_or_else(no_leave)
    }

    /// Begins a file.
    pub fn begin(&self) -> Result<Draft, Refusal> {
        let name = token::random::<16>()?;
        let at = self.folder.join(NEW).join(&name);
        let options = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&at);
        let file = options.map_err(|e| unwritten(&e))?;
        Ok(Draft {
            at,
            name,
            file: Some(file),
        })
    }

    /// Keeps a file that was written to its end, in the place of one that was there, and uses up the
    /// leave to do so.
    pub fn keep(
        &self,
        draft: Draft,
        leave: Option<Hash>,
        place: &Place,
        (kind, bytes, hash): (&str, u64, &[u8]),
    ) -> Result<(), Refusal> {
        let to = self.path(&draft.name);
        let moved = File::open(&draft.at)
            .and_then(|file| file.sync_all())
            .and_then(|()| make(to.parent().unwrap_or(&self.folder)));
        moved.map_err(|e| unwritten(&e))?;
        let written = self.state.write(Kept::Now, "keeping a file", |tx| {
            if let Some(leave) = leave
                && tx.execute("DELETE FROM uploads WHERE hash = ?1", [leave])? == 0
            {
                return Ok(Err(no_leave()));
            }
            let earlier = earlier(tx, place)?;
            if earlier.is_none() && is_full(tx, bytes)? {
                return Ok(Err(full()));
            }
            let add = "INSERT OR REPLACE INTO files (target, access, store, key, name, kind, bytes, hash, made)
                       VALUES (:target, :access, :store, :key, :name, :kind, :bytes, :hash, :made)";
            tx.prepare(add)?.execute(named_params! {
                ":target": place.target, ":access": place.access.name(), ":store": place.store,
                ":key": place.key, ":name": draft.name, ":kind": kind,
                ":bytes": i64::try_from(bytes).unwrap_or(i64::MAX), ":hash": hash, ":made": now(),
            })?;
            // The last that can fail before the commit: a row without its file is nobody's.
            Ok(match fs::rename(&draft.at, &to) {
                Ok(()) => Ok(earlier),
                Err(e) => {
                    return Err(rusqlite::Error::ToSqlConversionFailure(Box::new(e)));
                }
            })
        });
        match written {
            Ok(Ok(earlier)) => {
                if let Some(earlier) = earlier {
                    let _ = fs::remove_file(self.path(&earlier));
                }
                Ok(())
            }
            Ok(Err(refusal)) => Err(refusal),
            Err(failure) => {
                let _ = fs::remove_file(&to);
                Err(failure.into())
            }
        }
    }

    /// The file of a place.
    pub fn find(&self, place: &Place) -> Result<Option<Found>, Failure> {
        self.state.read("looking for a file", |conn| {
            let find = "SELECT name, kind, bytes, hash FROM files
                        WHERE target = ?1 AND access = ?2 AND store = ?3 AND key = ?4";
            let of_row = |row: &Row<'_>| {
                let hash: Vec<u8> = row.get(3)?;
                let bytes: i64 = row.get(2)?;
                Ok(Found {
                    at: self.path(&row.get::<_, String>(0)?),
                    kind: row.get(1)?,
                    bytes: u64::try_from(bytes).unwrap_or_default(),
                    hash: hash
                        .iter()
                        .take(16)
                        .map(|byte| format!("{byte:02x}"))
                        .collect(),
                })
            };
            let mut find = conn.prepare(find)?;
            let key = params![place.target, place.access.name(), place.store, place.key];
            find.query_row(key, of_row).optional()
        })
    }

    /// Many files of one folder are slow on some file systems.
    fn path(&self, name: &str) -> PathBuf {
        let folder = name.get(..2).unwrap_or("__");
        self.folder.join(folder).join(name)
    }
}

impl Draft {
    /// The file, to be written to.
    pub fn file(&mut self) -> Option<File> {
        self.file.take()
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // One that was kept is not there any more.
        let _ = fs::remove_file(&self.at);
    }
}

fn make(folder: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(e),
        _ => Ok(()),
    }
}

fn access(row: &Row<'_>, at: usize) -> rusqlite::Result<Access> {
    let name: String = row.get(at)?;
    Ok(Access::named(&name).unwrap_or(Access::Private))
}

fn earlier(tx: &Transaction<'_>, place: &Place) -> rusqlite::Result<Option<String>> {
    let find =
        "SELECT name FROM files WHERE target = ?1 AND access = ?2 AND store = ?3 AND key = ?4";
    let key = params![place.target, place.access.name(), place.store, place.key];
    tx.query_row(find, key, |row| row.get(0)).optional()
}

fn is_full(tx: &Transaction<'_>, more: u64) -> rusqlite::Result<bool> {
    let count = "SELECT count(*), coalesce(sum(bytes), 0) FROM files";
    let (files, bytes): (i64, i64) =
        tx.query_row(count, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let [files, bytes] = [files, bytes].map(|it| u64::try_from(it).unwrap_or_default());
    Ok(files >= FILES || bytes.saturating_add(more) > BYTES)
}

fn no_leave() -> Refusal {
    let message = "The leave to upload is none, is over, or was used. Ask for another";
    Refusal::new(403, "invalid_token", message)
}

fn full() -> Refusal {
    let message = format!(
        "There are {FILES} files already, or more than {} GiB of them. Nothing was kept",
        BYTES >> 30
    );
    Refusal::new(507, "files_exceeded", message)
}

/// What hindered a file from being written.
pub(crate) fn unwritten(e: &io::Error) -> Refusal {
    match e.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            let message = "There is no room left on the disk of the server. Nothing was kept";
            Refusal::new(507, "disk_full", message)
        }
        _ => Failure::new("io", 500, format!("writing a file: {e}")).into(),
    }
}
