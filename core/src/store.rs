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
//! ```
//!
//! Every path that is kept is relative to the store, so live and store can be moved together.
use crate::{
    catalog::Catalog,
    error::{Context, Error, Result},
    folder::Folder,
    live::{Access, Live},
    lock::Lock,
    pair,
    progress::Progress,
};
use std::{
    ffi::OsString,
    fs::{self, DirBuilder, File, OpenOptions},
    os::unix::{
        ffi::OsStrExt,
        fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    },
    path::{Path, PathBuf},
    time::Duration,
};

/// The folders of a store.
const FOLDERS: &[&str] = &["work", "snapshots", "releases", "objects", "dev", "previews"];

/// The files of a live database that remy keeps beside it.
pub(crate) struct Store {
    root: PathBuf,
    folder: Folder,
    live: PathBuf,
    owner: Owner,
    pub(crate) catalog: Catalog,
}

/// Whose files these are, and what others may do with them: as it is for live.
#[derive(Debug, Clone, Copy)]
struct Owner {
    mode: u32,
    uid: u32,
    gid: u32,
}

impl Owner {
    fn of(live: &Path) -> Result<Self> {
        let m = fs::metadata(live).context(|| format!("looking at {}", live.display()))?;
        Ok(Self { mode: m.mode() & 0o777, uid: m.uid(), gid: m.gid() })
    }

    fn give(self, path: &Path) -> Result<()> {
        let m = fs::metadata(path).context(|| format!("looking at {}", path.display()))?;
        if (m.uid(), m.gid()) != (self.uid, self.gid) {
            std::os::unix::fs::chown(path, Some(self.uid), Some(self.gid))
                .context(|| format!("giving {} to live's owner", path.display()))?;
        }
        Ok(())
    }
}

/// Where the store of a database is.
pub(crate) fn beside(database: &Path) -> PathBuf {
    let mut root: OsString = database.as_os_str().to_owned();
    root.push("-remy");
    root.into()
}

/// Whether a database has a store.
pub(crate) fn is_beside(database: &Path) -> bool {
    beside(database).join("catalog.db").exists()
}

impl Store {
    /// Opens the store of `live`, or makes one.
    pub(crate) fn open_or_create(live: &Live) -> Result<Self> {
        let (root, owner) = (beside(&live.path), Owner::of(&live.path)?);
        let make = |path: &Path| {
            match DirBuilder::new().mode(0o700).create(path) {
                Ok(()) => owner.give(path),
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {
                    return Err(Error::io(format!(
                        "{} is not a folder, and the store has to be there",
                        path.display()
                    ))
                    .state("Live is unchanged")
                    .hint("Move it away"));
                }
                Err(e) => Err(e).context(|| format!("making {}", path.display())),
            }
            .map_err(|e| {
                e.state("Live is unchanged").hint("Give this user write permission on the folder of the database")
            })
        };
        make(&root)?;
        for folder in FOLDERS {
            make(&root.join(folder))?;
        }
        let path = root.join("catalog.db");
        if !path.exists() {
            // Made by us and not by SQLite, so that it has live's mode and owner before its first byte.
            match create(&path, owner) {
                Ok(_) => {
                    sync_folder(&root)?;
                    sync_name(&root)?;
                }
                Err(_) if path.exists() => {} // another process was faster
                Err(e) => return Err(e),
            }
        }
        let catalog = Catalog::open(&path, live)?;
        let folder = Folder::open(&root)?.ok_or_else(|| gone(&root))?;
        Ok(Self { root, folder, live: live.path.clone(), owner, catalog })
    }

    /// Opens the store of `live`, where there is one.
    pub(crate) fn open(live: &Live) -> Result<Option<Self>> {
        if !is_beside(&live.path) {
            return Ok(None);
        }
        Self::open_or_create(live).map(Some)
    }

    /// Waits for the store's lock.
    pub(crate) fn lock(&self, timeout: Duration, progress: Progress<'_>) -> Result<Lock> {
        let path = self.root.join("lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(self.owner.mode)
            .open(&path)
            .context(|| format!("opening {}", path.display()))?;
        self.owner.give(&path)?;
        Lock::take(file, &path, timeout, progress)
    }

    /// One of the store's folders.
    pub(crate) fn folder(&self, name: &str) -> Result<Folder> {
        self.folder.folder(name)?.ok_or_else(|| gone(&self.path(name)))
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

    /// Removes something of the store's, a folder with all that is in it. What is not there is removed already.
    pub(crate) fn remove(&self, relative: &str) -> Result<()> {
        let (folder, name) = self.split(relative)?;
        folder.remove(name)
    }

    /// Removes all that is in one of the store's folders.
    pub(crate) fn empty(&self, folder: &str) -> Result<()> {
        self.remove_all_but(folder, &[])
    }

    /// Removes from a folder of databases all but those of these names, each with what SQLite and a store of its own keep beside it.
    pub(crate) fn remove_all_but(&self, folder: &str, names: &[String]) -> Result<()> {
        let folder = self.folder(folder)?;
        for file in folder.names()? {
            let is_of = |name: &String| {
                let rest = file.as_bytes().strip_prefix(name.as_bytes());
                rest.is_some_and(|rest| rest == b".db" || rest.starts_with(b".db-"))
            };
            if !names.iter().any(is_of) {
                folder.remove(&file)?;
            }
        }
        Ok(())
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
        create(path, self.owner)
    }

    /// Makes a folder with live's owner.
    pub(crate) fn create_folder(&self, path: &Path) -> Result<()> {
        DirBuilder::new().mode(0o700).create(path).context(|| format!("making {}", path.display()))?;
        self.owner.give(path)
    }

    /// Takes write permission from an object, which several releases share; it may be one that can be run.
    pub(crate) fn protect_object(&self, path: &Path, runs: bool) -> Result<()> {
        let readable = self.owner.mode & !0o222;
        let mode = if runs { readable | (readable & 0o444) >> 2 } else { readable };
        fs::set_permissions(path, fs::Permissions::from_mode(mode))
            .context(|| format!("setting the mode of {}", path.display()))
    }

    /// Gives a file live's mode, whatever it has.
    pub(crate) fn allow_writing(&self, path: &Path) -> Result<()> {
        fs::set_permissions(path, fs::Permissions::from_mode(self.owner.mode))
            .context(|| format!("setting the mode of {}", path.display()))
    }

    /// Takes write permission from a file.
    pub(crate) fn write_protect(&self, path: &Path) -> Result<()> {
        fs::set_permissions(path, fs::Permissions::from_mode(self.owner.mode & !0o222))
            .context(|| format!("taking write permission from {}", path.display()))
    }

    /// Removes a database and what SQLite may have left beside it. What is not there is removed already.
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
        let path = std::ffi::CString::new(std::os::unix::ffi::OsStrExt::as_bytes(self.root.as_os_str()))
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

fn create(path: &Path, owner: Owner) -> Result<File> {
    let file = OpenOptions::new()
        .create_new(true)
        .read(true)
        .write(true)
        .mode(owner.mode)
        .open(path)
        .context(|| format!("making {}", path.display()))?;
    // The umask may have taken bits that live has.
    file.set_permissions(fs::Permissions::from_mode(owner.mode))
        .context(|| format!("setting the mode of {}", path.display()))?;
    owner.give(path)?;
    Ok(file)
}

/// Makes a file that must not be there, with the mode and owner of live before its first byte.
pub(crate) fn create_like(live: &Path, path: &Path) -> Result<File> {
    create(path, Owner::of(live)?)
}

/// Removes a file, if it is there.
pub(crate) fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e).context(|| format!("removing {}", path.display())),
        _ => Ok(()),
    }
}

/// A folder of the store's that was there when the verb began.
fn gone(path: &Path) -> Error {
    Error::busy(format!("{} is gone: somebody moves or removes the store", path.display()))
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
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    File::open(path).and_then(|folder| folder.sync_all()).context(|| format!("syncing {}", path.display()))
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
        libc::renameat2(libc::AT_FDCWD, c_from.as_ptr(), libc::AT_FDCWD, c_to.as_ptr(), libc::RENAME_NOREPLACE)
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
    if unit == 0 || size >= 9.95 { format!("{size:.0} {}", UNITS[unit]) } else { format!("{size:.1} {}", UNITS[unit]) }
}

/// The catalog is opened with the SQLite that the verb runs on.
pub(crate) fn open_catalog(path: &Path, live: &Live) -> rusqlite::Result<rusqlite::Connection> {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE
        | rusqlite::OpenFlags::from_bits_retain(rusqlite::ffi::SQLITE_OPEN_PRIVATECACHE)
        | rusqlite::OpenFlags::SQLITE_OPEN_NO_MUTEX;
    match (live.access, live.vfs()) {
        (Access::Backup, Some(vfs)) => rusqlite::Connection::open_with_flags_and_vfs(path, flags, vfs),
        _ => rusqlite::Connection::open_with_flags(path, flags),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn sizes() {
        for (bytes, text) in
            [(0, "0 B"), (999, "999 B"), (1_500, "1.5 KB"), (118_000_000, "118 MB"), (999_999, "1.0 MB")]
        {
            assert_eq!(super::human(bytes), text);
        }
    }
}
