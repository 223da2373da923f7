//! A file that is being written, and how it comes to be somebody's.

use super::{Files, Place};
use crate::{
    failure::Failure,
    state::{Kept, disk_full, now},
    token::{self, Hash},
};
use rusqlite::{OptionalExtension as _, Transaction, named_params, params};
use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

/// The most files, and the most bytes of all of them: whoever opens a page may upload.
const FILES: u64 = 100_000;
const BYTES: u64 = 50 << 30;

/// A file that is being written. Dropped before it is kept, nothing is left of it.
#[derive(Debug)]
pub struct Draft {
    name: String,
    at: PathBuf,
    /// Locked for as long as it is open.
    file: File,
    bytes: u64,
    most: u64,
    hasher: blake3::Hasher,
    /// Whether it is a row's now, or nobody knows whether it is: [`Files::sweep`] does.
    is_left: bool,
}

impl Files {
    /// Begins a file of at most so many bytes.
    pub fn begin(&self, most: u64) -> Result<Draft, Failure> {
        let name = token::random::<16>()?;
        let at = self.path(&name)?;
        self.state()?.write(Kept::Now, "beginning a file", |tx| {
            let add = "INSERT INTO loose (name, since) VALUES (?1, ?2)";
            tx.execute(add, params![name, now()])
        })?;
        let made = make(&self.folder())
            .and_then(|()| make(at.parent().unwrap_or(&at)))
            .and_then(|()| create(&at));
        Ok(Draft {
            file: made.map_err(|e| unwritten(&e))?,
            name,
            at,
            bytes: 0,
            most,
            hasher: blake3::Hasher::new(),
            is_left: false,
        })
    }

    /// Keeps a file that was written to its end, in the place of one that was there. `upload` is the
    /// token of the leave to do so, which is used up.
    ///
    /// Fails with `invalid_token` where that is none any more, and with `files_exceeded`.
    pub fn keep(
        &self,
        mut draft: Draft,
        place: &Place,
        kind: &str,
        upload: Option<Hash>,
    ) -> Result<(), Failure> {
        let durable = draft.file.sync_all();
        let durable = durable.and_then(|()| sync(draft.at.parent().unwrap_or(&draft.at)));
        durable.map_err(|e| unwritten(&e))?;
        let written = self.state()?.write(Kept::Now, "keeping a file", |tx| {
            if let Some(upload) = upload
                && tx.execute("DELETE FROM uploads WHERE hash = ?1", [upload])? == 0
            {
                return Ok(Err(super::uploads::no_leave()));
            }
            let earlier = earlier(tx, place)?;
            if is_full(tx, earlier.as_ref().map(|(_, bytes)| *bytes), draft.bytes)? {
                return Ok(Err(full()));
            }
            add(tx, &draft, place, kind)?;
            tx.execute("DELETE FROM loose WHERE name = ?1", [&draft.name])?;
            let earlier = earlier.map(|(name, _)| name);
            if let Some(name) = &earlier {
                loosen(tx, name)?;
            }
            Ok(Ok(earlier))
        });
        // What could not be written for want of room was not; of other faults that shows later.
        let is_known = written.as_ref().is_ok_and(Result::is_err)
            || written.as_ref().is_err_and(|e| e.code == "disk_full");
        draft.is_left = !is_known;
        if let Some(earlier) = written?? {
            self.drop_bytes(&earlier);
        }
        Ok(())
    }

    /// Removes the bytes of a name that is loose, as far as that goes now.
    pub(super) fn drop_bytes(&self, name: &str) {
        if let Ok(at) = self.path(name) {
            let _ = fs::remove_file(at);
        }
    }
}

impl Draft {
    /// Writes more of it. Fails with `file_too_large`.
    pub fn write(&mut self, part: &[u8]) -> Result<(), Failure> {
        self.bytes += part.len() as u64;
        if self.bytes > self.most {
            return Err(too_large(self.most));
        }
        self.hasher.update(part);
        self.file.write_all(part).map_err(|e| unwritten(&e))
    }

    /// How much of it there is.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.is_left {
            let _ = fs::remove_file(&self.at);
        }
    }
}

/// The bytes of a name are nobody's from now on.
pub(super) fn loosen(tx: &Transaction<'_>, name: &str) -> rusqlite::Result<usize> {
    let add = "INSERT OR REPLACE INTO loose (name, since) VALUES (?1, ?2)";
    tx.execute(add, params![name, now()])
}

fn add(tx: &Transaction<'_>, draft: &Draft, place: &Place, kind: &str) -> rusqlite::Result<usize> {
    let add =
        "INSERT OR REPLACE INTO files (target, access, store, key, name, kind, bytes, hash, made)
               VALUES (:target, :access, :store, :key, :name, :kind, :bytes, :hash, :made)";
    tx.prepare(add)?.execute(named_params! {
        ":target": place.target, ":access": place.access.name(), ":store": place.store,
        ":key": place.key, ":name": draft.name, ":kind": kind,
        ":bytes": i64::try_from(draft.bytes).unwrap_or(i64::MAX),
        ":hash": draft.hasher.finalize().as_bytes(), ":made": now(),
    })
}

/// What is in a place: its name, and how large it is.
fn earlier(tx: &Transaction<'_>, place: &Place) -> rusqlite::Result<Option<(String, u64)>> {
    let find = "SELECT name, bytes FROM files WHERE target = ?1 AND access = ?2 AND store = ?3 AND key = ?4";
    let key = params![place.target, place.access.name(), place.store, place.key];
    tx.query_row(find, key, |row| {
        Ok((row.get(0)?, row.get::<_, i64>(1)?.cast_unsigned()))
    })
    .optional()
}

/// Whether there is no room for a file, in the place of one that is so large.
fn is_full(tx: &Transaction<'_>, earlier: Option<u64>, more: u64) -> rusqlite::Result<bool> {
    let count = "SELECT count(*), coalesce(sum(bytes), 0) FROM files";
    let (files, bytes): (i64, i64) =
        tx.query_row(count, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let [files, bytes] = [files, bytes].map(i64::cast_unsigned);
    let files = files + u64::from(earlier.is_none());
    let bytes = bytes
        .saturating_sub(earlier.unwrap_or_default())
        .saturating_add(more);
    Ok(files > FILES || bytes > BYTES)
}

fn full() -> Failure {
    let message = format!(
        "There are {FILES} files already, or more than {} GiB of them. Nothing was kept",
        BYTES >> 30
    );
    Failure::new("files_exceeded", 507, message)
}

pub(super) fn too_large(most: u64) -> Failure {
    let most = match most >> 20 {
        0 => format!("{most} bytes"),
        mib => format!("{mib} MiB"),
    };
    let message = format!("The file is larger than {most}. Nothing was kept");
    Failure::new("file_too_large", 413, message)
}

/// What hindered a file from being written.
fn unwritten(e: &io::Error) -> Failure {
    match e.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => disk_full(),
        _ => Failure::new("io", 500, format!("writing a file: {e}. Nothing was kept")),
    }
}

/// Makes a file that is its owner's alone, and locks it.
fn create(at: &Path) -> io::Result<File> {
    let options = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(at);
    let file = options?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(e) => {
            let _ = fs::remove_file(at);
            Err(e.into())
        }
    }
}

/// Makes a folder, whose name is durable then.
fn make(folder: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(folder) {
        Ok(()) => sync(folder.parent().unwrap_or(folder)),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(e) => Err(e),
    }
}

/// Makes the names in a folder durable.
fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
