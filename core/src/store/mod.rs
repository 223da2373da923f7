//! The store: the directory `<live>-remy/`.
//!
//! ```text
//! app.db-remy/            0700
//!   catalog.db            history: releases, build logs, snapshots, dev sessions
//!   lock                  held by the verb that is at work
//!   work/<switch>.db      the clone that a publish works on, with its WAL
//!   snapshots/<release>-<switch>.db   plain SQLite files, read-only
//!   releases/<release>/   artifacts: hard links to objects
//!   objects/<2>/<62>      their files, by content, each once
//!   dev/<name>.db         databases of dev sessions
//!   previews/<name>.db    databases of previews
//!   run/<name>.sock       where those listen who run methods on live
//!   aside/<n>/            what the catalog did not know, set aside
//! ```
//!
//! Every path that is kept is relative to the store, so live and store can be moved together.

pub(crate) mod artifacts;
pub(crate) mod catalog;
pub(crate) mod content;
pub(crate) mod log;
pub(crate) mod names;
pub(crate) mod place;
pub(crate) mod removals;
pub(crate) mod schema_record;
pub(crate) mod snapshots;
pub(crate) mod unknown;

use crate::{
    base::{
        error::{Context, Error, Result, State},
        owner::{self, Acting, Owner},
        progress::Progress,
        remedy::OptionName,
        text::human,
    },
    live::{
        beside::{CATALOG, beside, has_catalog},
        database::Live,
    },
    os::{
        descriptors::{self, FileId},
        files::{COMPANIONS, create, gone, remove_if_there, set_mode, sync_folder, sync_name},
        folder::{self, Folder},
        lock::Lock,
    },
    remedy,
    sqlite::wal,
    store::catalog::Catalog,
};
use std::{
    fs::{self, DirBuilder, File},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    time::Duration,
};

/// The folders of a store.
const FOLDERS: &[&str] = &[
    "work",
    "snapshots",
    "releases",
    "objects",
    "dev",
    "previews",
    unknown::ASIDE,
];

const LOCK: &str = "lock";

/// What nobody but the owner may do with remy's own files and folders.
const OTHERS_WRITE: u32 = 0o022;

/// The files of a live database that remy keeps beside it.
pub(crate) struct Store {
    root: PathBuf,
    folder: Folder,
    live: PathBuf,
    owner: Owner,
    pub(crate) catalog: Catalog,
    /// Last: the catalog is closed by who opened it.
    _acting: Acting,
}

impl Store {
    /// Opens the store of `live`, or makes one: only for live's owner, and for root, who acts as
    /// that owner for as long as the store is open.
    pub(crate) fn open_or_create(live: &Live) -> Result<Self> {
        let acting = live.owner.act()?;
        live.may_be_changed()?;
        live.is_understood()?;
        let (root, owner) = (beside(&live.path), live.owner);
        let writable = |e: Error| {
            e.state(State::LiveUnchanged)
                .hint("Give this user write permission on the folder of the database")
        };
        let made = make(&root).map_err(writable)?;
        let filled = Self::fill(live, &root, make_folder, Catalog::open).inspect_err(|_| {
            if made {
                // Nothing of it is to be in the way of who comes next. A folder that is not empty
                // is another process's, too.
                FOLDERS
                    .iter()
                    .for_each(|folder| drop(fs::remove_dir(root.join(folder))));
                let _ = fs::remove_dir(&root);
            }
        });
        let (folder, catalog) = filled?;
        Ok(Self {
            root,
            folder,
            live: live.path.clone(),
            owner,
            catalog,
            _acting: acting,
        })
    }

    /// Opens a store that is there for a moment in which nobody else can, on a disk that may be
    /// full.
    pub(crate) fn open_alone(live: &Live) -> Result<Self> {
        let acting = live.owner.act()?;
        live.may_be_changed()?;
        live.is_understood()?;
        let (root, owner) = (beside(&live.path), live.owner);
        let (folder, catalog) = Self::fill(live, &root, |_| Ok(()), Catalog::open_alone)?;
        Ok(Self {
            root,
            folder,
            live: live.path.clone(),
            owner,
            catalog,
            _acting: acting,
        })
    }

    /// Looks at the folders of a store, which `ready` makes where they are to be made, and opens
    /// its catalog. Who acts does so until all of that is over, and what is left of it removed.
    fn fill(
        live: &Live,
        root: &Path,
        ready: impl Fn(&Path) -> Result<()>,
        open: impl FnOnce(&Path, &Live) -> Result<Catalog>,
    ) -> Result<(Folder, Catalog)> {
        let owner = live.owner;
        let folder = Folder::open(root)?.ok_or_else(|| gone(root))?;
        trusted(&folder, owner)?;
        for name in FOLDERS {
            ready(&root.join(name))?;
            // What is not there is missed by who needs it.
            folder
                .folder(name)?
                .map_or(Ok(()), |folder| trusted(&folder, owner))?;
        }
        let path = root.join(CATALOG);
        if folder.look(CATALOG)?.is_none() {
            // Made by us and not by SQLite, so that it has live's owner before its first byte.
            match create(&path, owner, owner.mode & !OTHERS_WRITE) {
                Ok(_) => {
                    sync_folder(root)?;
                    sync_name(root)?;
                }
                Err(_) if path.exists() => {} // another process was faster
                Err(e) => return Err(e),
            }
        }
        for end in [""].into_iter().chain(COMPANIONS) {
            file_of(&folder, &format!("{CATALOG}{end}"), owner)?;
        }
        let catalog = open(&path, live)?;
        // SQLite opens by path. Who may write to the folder that live is in could have put another
        // store there meanwhile.
        let found = folder.look(CATALOG)?.ok_or_else(|| gone(&path))?;
        if !descriptors::is_open_here(FileId::of_stat(&found))? {
            return Err(gone(root));
        }
        Ok((folder, catalog))
    }

    /// What the catalog of `live` says, or `or` where there is no store.
    pub(crate) fn in_catalog<T>(
        live: &Live,
        or: T,
        ask: impl FnOnce(&Catalog) -> Result<T>,
    ) -> Result<T> {
        match Self::open(live)? {
            Some(store) => ask(&store.catalog),
            None => Ok(or),
        }
    }

    /// Opens the store of `live`, where there is one.
    pub(crate) fn open(live: &Live) -> Result<Option<Self>> {
        let acting = live.owner.act()?;
        let root = beside(&live.path);
        if !has_catalog(&live.path) {
            return Ok(None);
        }
        if !live.owner.acts() {
            let (its, me) = (owner::name(live.owner.uid), owner::name(owner::user()));
            return Err(Error::io(format!(
                "{} may not be read by {me}: it belongs to {its}, and only they and root look into it",
                root.display()
            ))
            .object(root.display().to_string())
            .state(State::NothingDone)
            .hint(format!("Run it as {its}")));
        }
        let opened = Self::open_or_create(live);
        drop(acting);
        opened.map(Some)
    }

    /// Waits for the store's lock.
    pub(crate) fn lock(&self, timeout: Duration, progress: Progress<'_>) -> Result<Lock> {
        let (path, mode) = (self.root.join(LOCK), self.owner.mode & !OTHERS_WRITE);
        let there = file_of(&self.folder, LOCK, self.owner)?;
        let file = self.folder.open_or_make(LOCK, mode)?;
        if !there {
            self.owner.give(&file, &path, mode)?;
        }
        Lock::take(file, &path, timeout, progress)
    }

    /// One of the store's folders.
    pub(crate) fn folder(&self, name: &str) -> Result<Folder> {
        self.folder
            .folder(name)?
            .ok_or_else(|| gone(&self.path(name)))
    }

    /// The folder of those who run methods on live, where there is one.
    ///
    /// Fails where it is not live's owner's alone.
    pub(crate) fn runtimes(&self) -> Result<Option<Folder>> {
        let folder = self.folder.folder(place::RUN)?;
        folder
            .as_ref()
            .map_or(Ok(()), |folder| trusted(folder, self.owner))?;
        Ok(folder)
    }

    /// Whether a user is trusted with what is live's: its owner, or root.
    pub(crate) fn trusts(&self, uid: u32) -> bool {
        uid == self.owner.uid || uid == 0
    }

    /// The folder that something of the store's is in, and its name there.
    fn split<'a>(&self, relative: &'a str) -> Result<(Folder, &'a str)> {
        let (folder, name) = relative
            .split_once('/')
            .ok_or_else(|| Error::internal(format!("{relative} is in no folder of the store")))?;
        Ok((self.folder(folder)?, name))
    }

    /// Whether something of the store's is there: a link is, wherever it points.
    pub(crate) fn has(&self, relative: &str) -> Result<bool> {
        let (folder, name) = self.split(relative)?;
        Ok(folder.look(name)?.is_some())
    }

    /// Removes something of the store's, a folder with all that is in it. What is not there is
    /// removed already.
    pub(crate) fn remove(&self, relative: &str) -> Result<()> {
        let (folder, name) = self.split(relative)?;
        folder.remove(name)
    }

    /// Removes all that is in a folder of the store's, and leaves the folder.
    pub(crate) fn clear(&self, relative: &str) -> Result<()> {
        let (folder, name) = self.split(relative)?;
        folder.folder(name)?.map_or(Ok(()), |folder| folder.empty())
    }

    /// Removes all that is in one of the store's folders.
    pub(crate) fn empty(&self, folder: &str) -> Result<()> {
        self.folder(folder)?.empty()
    }

    /// A path of the store's, in full.
    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn live_path(&self) -> &Path {
        &self.live
    }

    /// Makes a file that must not be there, with live's mode and owner before its first byte.
    pub(crate) fn create(&self, path: &Path) -> Result<File> {
        create(path, self.owner, self.owner.mode)
    }

    /// Makes a folder for live's owner alone.
    pub(crate) fn create_folder(&self, path: &Path) -> Result<()> {
        DirBuilder::new()
            .mode(0o700)
            .create(path)
            .context(|| format!("making {}", path.display()))
    }

    /// Takes write permission from an object, which several releases share; it may be one that can
    /// be run.
    pub(crate) fn protect_object(&self, path: &Path, runs: bool) -> Result<()> {
        let readable = self.owner.mode & !0o222;
        let mode = if runs {
            readable | (readable & 0o444) >> 2
        } else {
            readable
        };
        set_mode(path, mode)
    }

    /// Gives a file live's mode, whatever it has.
    pub(crate) fn allow_writing(&self, path: &Path) -> Result<()> {
        set_mode(path, self.owner.mode)
    }

    /// Takes write permission from a file.
    pub(crate) fn write_protect(&self, path: &Path) -> Result<()> {
        set_mode(path, self.owner.mode & !0o222)
    }

    /// Removes a database and what SQLite may have left beside it. What is not there is removed
    /// already.
    pub(crate) fn remove_database(&self, path: &Path) -> Result<()> {
        for suffix in COMPANIONS.into_iter().chain([""]) {
            let mut name = path.as_os_str().to_owned();
            name.push(suffix);
            remove_if_there(Path::new(&name))?;
        }
        remove_if_there(&wal::hidden_wal_path(path))
    }

    /// Bytes that are free for this user on the store's file system.
    pub(crate) fn free_bytes(&self) -> Result<u64> {
        let path = std::ffi::CString::new(std::os::unix::ffi::OsStrExt::as_bytes(
            self.root.as_os_str(),
        ))
        .map_err(|_| Error::internal("a path with a NUL byte"))?;
        // SAFETY: statvfs fills the struct given to it; all-zero is a valid value of it.
        let (code, found) = unsafe {
            let mut found: libc::statvfs = std::mem::zeroed();
            (libc::statvfs(path.as_ptr(), &raw mut found), found)
        };
        if code != 0 {
            return Err(std::io::Error::last_os_error())
                .context(|| format!("asking for the space under {}", self.root.display()));
        }
        Ok(found.f_bavail.saturating_mul(found.f_frsize))
    }

    /// Refuses, with both numbers, where `bytes` more would leave less than `margin` free.
    pub(crate) fn room_for(&self, what: &str, bytes: u64, margin: u64) -> Result<()> {
        let free = self.free_bytes()?;
        if free >= bytes.saturating_add(margin) {
            return Ok(());
        }
        Err(Error::io(format!(
            "{what} needs {} and {} have to stay free, but {} has {} free",
            human(bytes),
            human(margin),
            self.root.display(),
            human(free)
        ))
        .hint(remedy![
            "Free some space, prune old releases, or set ",
            OptionName::MarginBytes,
            " lower"
        ]))
    }
}

/// Makes a folder of a store, if it is not there.
fn make_folder(path: &Path) -> Result<()> {
    make(path)
        .map(drop)
        .map_err(|e| e.state(State::LiveUnchanged))
}

/// Makes a folder for this user alone. Returns whether it was not there.
fn make(path: &Path) -> Result<bool> {
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        Err(e) => Err(e).context(|| format!("making {}", path.display())),
    }
}

/// Refuses a folder of the store's that is not live's owner's, or that somebody else may write to:
/// they could have written, or write now, what the catalog has to say and what goes live.
fn trusted(folder: &Folder, owner: Owner) -> Result<()> {
    let (found, path) = (folder.stat()?, folder.path().display());
    if found.st_uid != owner.uid {
        return Err(not_trusted(
            folder.path(),
            &format!("belongs to {}", owner::name(found.st_uid)),
        )
        .hint(format!(
            "Move it away, or give it to {} once you know what is in it",
            owner::name(owner.uid)
        )));
    }
    if found.st_mode & OTHERS_WRITE != 0 {
        let what = format!(
            "may be written by others than its owner (its mode is {:o})",
            found.st_mode & 0o7777
        );
        return Err(not_trusted(folder.path(), &what).hint(format!(
            "Make sure that nobody has changed what is in it, and then run chmod go-w on {path}"
        )));
    }
    Ok(())
}

/// Refuses what stands in the place of a file of remy's own and is something else, or that somebody
/// else may write to. Returns whether it is there.
fn file_of(root: &Folder, name: &str, owner: Owner) -> Result<bool> {
    let Some(found) = root.look(name)? else {
        return Ok(false);
    };
    let path = root.path().join(name);
    // What others may do with a file counts where they may go into its folder.
    let reached = (root.stat()?.st_mode & 0o011) << 1;
    let (what, hint) = if !folder::is_file(&found) {
        ("is no plain file".to_owned(), "Move it away".to_owned())
    } else if found.st_uid != owner.uid {
        (
            format!("belongs to {}", owner::name(found.st_uid)),
            "Move it away".to_owned(),
        )
    } else if found.st_nlink > 1 {
        (
            format!("has {} hard links", found.st_nlink),
            "Remove the other names".to_owned(),
        )
    } else if found.st_mode & reached != 0 {
        (
            format!(
                "may be written by others than its owner (its mode is {:o})",
                found.st_mode & 0o7777
            ),
            format!(
                "Make sure that nobody has changed it, and then run chmod go-w on {}",
                path.display()
            ),
        )
    } else {
        return Ok(true);
    };
    Err(not_trusted(&path, &what).hint(hint))
}

fn not_trusted(path: &Path, what: &str) -> Error {
    Error::io(format!(
        "{} {what}: a store is trusted where it is live's owner's alone",
        path.display()
    ))
    .object(path.display().to_string())
    .state(State::NothingDone)
}

#[cfg(test)]
mod tests {

    #[cfg(feature = "engine")]
    #[test]
    fn a_store_that_is_put_in_its_place_meanwhile_is_not_opened() {
        use super::*;
        crate::sqlite::engine::init();
        let dir = tempfile::tempdir().unwrap();
        let [path, theirs] = ["app.db", "theirs.db"].map(|name| dir.path().join(name));
        for database in [&path, &theirs] {
            rusqlite::Connection::open(database)
                .unwrap()
                .execute_batch("CREATE TABLE t (a)")
                .unwrap();
            drop(Store::open_or_create(&Live::open(database).unwrap()).unwrap());
        }
        let live = Live::open(&path).unwrap();
        let root = beside(&path);
        let swap = |at: &Path, live: &Live| {
            fs::rename(&root, dir.path().join("away")).unwrap();
            fs::rename(beside(&theirs), &root).unwrap();
            Catalog::open(at, live)
        };
        let opened = Store::fill(&live, &root, make_folder, swap);
        assert_eq!(opened.err().map(|e| e.code()), Some("busy"));
    }

    #[test]
    fn sizes() {
        for (bytes, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1_500, "1.5 KB"),
            (118_000_000, "118 MB"),
            (999_999, "1.0 MB"),
        ] {
            assert_eq!(crate::base::text::human(bytes), text);
        }
    }
}
