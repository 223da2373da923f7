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
//!   aside/<n>/            what the catalog did not know, set aside
//! ```
//!
//! Every path that is kept is relative to the store, so live and store can be moved together.
use crate::{
    catalog::Catalog,
    error::{Context, Error, Result},
    folder::{self, Folder},
    live::{self, Access, Identity, Live},
    lock::Lock,
    owner::{self, Acting, Owner},
    pair,
    progress::Progress,
    unknown,
};
use std::{
    ffi::OsString,
    fs::{self, DirBuilder, File, OpenOptions},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
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

const CATALOG: &str = "catalog.db";
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

/// Where the store of a database is.
pub(crate) fn beside(database: &Path) -> PathBuf {
    let mut root: OsString = database.as_os_str().to_owned();
    root.push("-remy");
    root.into()
}

/// Whether there is a store where that of a database would be, one that has lost its catalog as
/// well. One that may not be looked into is there.
pub(crate) fn is_beside(database: &Path) -> bool {
    has_catalog(database)
        || fs::read_dir(beside(database).join("snapshots"))
            .is_ok_and(|mut all| all.next().is_some())
}

/// Whether there is a store with its catalog where that of a database would be. One that may not be
/// looked into is there.
pub(crate) fn has_catalog(database: &Path) -> bool {
    use std::io::ErrorKind::{NotADirectory, NotFound};
    let found = beside(database).join(CATALOG).symlink_metadata();
    !matches!(found, Err(e) if matches!(e.kind(), NotFound | NotADirectory))
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
            e.state("Live is unchanged")
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
        for end in ["", "-wal", "-shm", "-journal"] {
            file_of(&folder, &format!("{CATALOG}{end}"), owner)?;
        }
        let catalog = open(&path, live)?;
        // SQLite opens by path. Who may write to the folder that live is in could have put another
        // store there meanwhile.
        let found = folder.look(CATALOG)?.ok_or_else(|| gone(&path))?;
        if !live::is_open_here(Identity::of_stat(&found))? {
            return Err(gone(root));
        }
        Ok((folder, catalog))
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
            .state("Nothing was done")
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

    /// Removes all that is in one of the store's folders.
    pub(crate) fn empty(&self, folder: &str) -> Result<()> {
        let folder = self.folder(folder)?;
        folder
            .names()?
            .iter()
            .try_for_each(|name| folder.remove(name))
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
        for suffix in ["-wal", "-shm", "-journal", ""] {
            let mut name = path.as_os_str().to_owned();
            name.push(suffix);
            remove(Path::new(&name))?;
        }
        remove(&pair::hidden(path))
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
        .hint("Free some space, prune old releases, or set margin_bytes lower"))
    }
}

/// Makes a folder of a store, if it is not there.
fn make_folder(path: &Path) -> Result<()> {
    make(path)
        .map(drop)
        .map_err(|e| e.state("Live is unchanged"))
}

/// Makes a folder for this user alone. Gives whether it was not there.
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
/// else may write to. Gives whether it is there.
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
    .state("Nothing was done")
}

/// Makes a file that must not be there, with the owner of live and this mode before its first byte.
fn create(path: &Path, owner: Owner, mode: u32) -> Result<File> {
    let made = OpenOptions::new()
        .create_new(true)
        .read(true)
        .write(true)
        .mode(0o600)
        .open(path);
    let file = made.context(|| format!("making {}", path.display()))?;
    owner
        .give(&file, path, mode)
        .inspect_err(|_| drop(fs::remove_file(path)))?;
    Ok(file)
}

/// Sets the mode of a file of the store's, which is no link.
fn set_mode(path: &Path, mode: u32) -> Result<()> {
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW)
        .open(path);
    opened
        .and_then(|file| file.set_permissions(fs::Permissions::from_mode(mode)))
        .context(|| format!("setting the mode of {}", path.display()))
}

/// Makes a file that must not be there, with the mode and owner of live before its first byte.
pub(crate) fn create_like(live: &Path, path: &Path) -> Result<File> {
    let owner =
        Owner::of(&fs::metadata(live).context(|| format!("looking at {}", live.display()))?);
    create(path, owner, owner.mode)
}

/// Removes a file, if it is there.
pub(crate) fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(e).context(|| format!("removing {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// A folder of the store's that was there when the verb began.
fn gone(path: &Path) -> Error {
    Error::busy(format!(
        "{} is gone: somebody moves or removes the store",
        path.display()
    ))
    .state("Live is unchanged")
    .hint("Find out who does that, and start again")
}

/// Makes the name of a file or folder durable.
pub(crate) fn sync_name(path: &Path) -> Result<()> {
    sync_folder(path.parent().unwrap_or(path))
}

/// Makes the names in a folder durable.
pub(crate) fn sync_folder(path: &Path) -> Result<()> {
    // The folder of a bare name.
    let path = if path.as_os_str().is_empty() {
        Path::new(".")
    } else {
        path
    };
    File::open(path)
        .and_then(|folder| folder.sync_all())
        .context(|| format!("syncing {}", path.display()))
}

/// Renames a file to a name that must be free.
pub(crate) fn rename_new(from: &Path, to: &Path) -> Result<()> {
    let c_path = |path: &Path| {
        std::ffi::CString::new(std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()))
            .map_err(|_| Error::internal("a path with a NUL byte"))
    };
    let (c_from, c_to) = (c_path(from)?, c_path(to)?);
    // SAFETY: both are NUL-terminated paths that live through the call.
    let code = unsafe {
        libc::renameat2(
            libc::AT_FDCWD,
            c_from.as_ptr(),
            libc::AT_FDCWD,
            c_to.as_ptr(),
            libc::RENAME_NOREPLACE,
        )
    };
    if code == 0 {
        return Ok(());
    }
    let e = std::io::Error::last_os_error();
    // A file system without RENAME_NOREPLACE: a second link fails where the name is taken, too.
    if matches!(e.raw_os_error(), Some(libc::EINVAL | libc::ENOSYS)) {
        fs::hard_link(from, to).and_then(|()| fs::remove_file(from))
    } else {
        Err(e)
    }
    .context(|| format!("renaming {} to {}", from.display(), to.display()))
}

/// A size for people: `118 MB`.
pub(crate) fn human(bytes: u64) -> String {
    const UNITS: &[&str] = &["B", "KB", "MB", "GB", "TB"];
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let (mut size, mut unit) = (bytes as f64, 0);
    while size >= 999.5 && unit + 1 < UNITS.len() {
        size /= 1000.0;
        unit += 1;
    }
    if unit == 0 || size >= 9.95 {
        format!("{size:.0} {}", UNITS[unit])
    } else {
        format!("{size:.1} {}", UNITS[unit])
    }
}

/// The catalog is opened with the SQLite that the verb runs on.
pub(crate) fn open_catalog(path: &Path, live: &Live) -> rusqlite::Result<rusqlite::Connection> {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE
        | rusqlite::OpenFlags::from_bits_retain(rusqlite::ffi::SQLITE_OPEN_PRIVATECACHE)
        | rusqlite::OpenFlags::SQLITE_OPEN_NO_MUTEX
        | rusqlite::OpenFlags::SQLITE_OPEN_NOFOLLOW;
    match (live.access, live.vfs()) {
        (Access::Backup, Some(vfs)) => {
            rusqlite::Connection::open_with_flags_and_vfs(path, flags, vfs)
        }
        _ => rusqlite::Connection::open_with_flags(path, flags),
    }
}

#[cfg(test)]
mod tests {
    #[cfg(feature = "engine")]
    #[test]
    fn a_store_that_is_put_in_its_place_meanwhile_is_not_opened() {
        use super::*;
        crate::engine::init();
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
            assert_eq!(super::human(bytes), text);
        }
    }
}
