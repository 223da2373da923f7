//! The live database: which file it is, and every connection to it.
//!
//! Nothing but SQLite opens the file in this process. Closing any other descriptor of it would drop
//! every POSIX lock that the process holds on it, its connections' included; that lost commits
//! within seconds.

use crate::{
    base::{
        error::{Context, Error, Result, State},
        options::Options,
        owner::Owner,
    },
    live::{
        beside::{self, CATALOG},
        library::{Host, Library},
        tables,
    },
    os::{
        descriptors::{FileId, in_use},
        disk::{network_file_system, not_a_mount},
    },
    sqlite::{calls, vfs::wal_buffer},
};
use rusqlite::{Connection, OpenFlags};
use serde::{Deserialize, Serialize};
use std::{
    ffi::{CStr, CString},
    fs,
    mem::ManuallyDrop,
    ops::Deref,
    os::unix::fs::MetadataExt,
    path::{self, Path, PathBuf},
    time::Duration,
};

/// The live database of an application.
#[derive(Debug)]
pub struct Live {
    pub(crate) path: PathBuf,
    pub(crate) library: &'static dyn Library,
    pub(crate) owner: Owner,
    /// Why live cannot be read now: a full disk has no room for the shared memory of its WAL.
    /// Pruning goes without.
    full: Option<Error>,
    /// Why no verb may begin: a newer remy, or somebody else, wrote what has the names of remy's
    /// tables.
    foreign: Option<Error>,
    identity: FileId,
    vfs: Option<CString>,
    pid: u32,
    /// Whether whoever calls may name libraries to load.
    may_load: bool,
}

/// Where a live database is, as one process tells another that is to work on it in its place.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// The path.
    pub path: String,
    /// The device and the inode of the file that has to be there, where that is known.
    pub file: Option<(u64, u64)>,
    /// Whether who calls may name libraries to load.
    pub may_load: bool,
}

/// What has to be equal between live and an image, and what is good to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) page_size: u32,
    pub(crate) encoding: String,
    pub(crate) journal_mode: String,
}

impl Live {
    /// Finds the file at `path` and checks that remy can work with it.
    #[cfg(feature = "engine")]
    pub fn open(path: &Path) -> Result<Self> {
        crate::sqlite::engine::bind().map_err(|e| e.state(State::NothingDone))?;
        if path.as_os_str().is_empty() || path == Path::new(":memory:") {
            return Err(
                Error::invalid_argument("a database in memory has no file to publish")
                    .state(State::NothingDone)
                    .hint("Give the path of a database file"),
            );
        }
        not_a_snapshot(path)?;
        Self::find(path, &crate::live::library::Embedded, None)
    }

    /// Finds the file at a place, on the embedded engine.
    #[cfg(feature = "engine")]
    pub fn at(place: &Place) -> Result<Self> {
        let live = Self::open(Path::new(&place.path))?;
        if let Some((device, inode)) = place.file
            && live.identity != (FileId { device, inode })
        {
            return Err(live.replaced());
        }
        Ok(Self {
            may_load: place.may_load,
            ..live
        })
    }

    /// The main database of a host's connection. `only_read`: no switch is to come, so a read
    /// transaction of the caller's does no harm (a SELECT from a table-valued function is one).
    pub(crate) fn of_host(host: &Connection, only_read: bool) -> Result<Self> {
        let Place { path, may_load, .. } = Self::place_of_host(host, only_read)?;
        let (vfs, _) = calls::host_file(host);
        Ok(Self {
            may_load,
            ..Self::find(Path::new(&path), &Host, vfs)?
        })
    }

    /// Where the main database of a host's connection is, looked at no further. Refuses a
    /// connection that no verb may be called on: what is the connection's own, only its process
    /// knows.
    pub(crate) fn place_of_host(host: &Connection, only_read: bool) -> Result<Place> {
        crate::sqlite::routines::note_host();
        let refuse = |what: &str, hint: &str| {
            Err(Error::invalid_argument(what)
                .state(State::NothingDone)
                .hint(hint.to_owned()))
        };
        if calls::in_transaction(host, only_read) {
            if !host.is_autocommit() {
                return refuse(
                    "this connection is in a transaction, which was begun",
                    "Commit or roll back first",
                );
            }
            return match calls::running(host).as_slice() {
                [] | [_] => refuse(
                    "this connection is in a transaction, that of this statement, which reads or writes a table besides",
                    "Call remy in a SELECT of its own, without a table",
                ),
                all => refuse(
                    &format!(
                        "this connection is in a transaction, that of another statement, which has not been read to its end: one of {}",
                        all.join(" and ")
                    ),
                    "Read all rows of it, or close its cursor, and call remy again",
                ),
            };
        }
        let path = match host.path() {
            Some(path) if !path.is_empty() => path.to_owned(),
            _ => {
                return refuse(
                    "the main database of this connection is in memory",
                    "Open a database file",
                );
            }
        };
        let (_, unlocked) = calls::host_file(host);
        if let Some(parameter) = unlocked {
            return refuse(
                &format!("{path} is open with {parameter}, so that SQLite takes no locks on it"),
                "Open it without that parameter",
            );
        }
        if calls::pragma::<String>(host, "main.locking_mode").is_ok_and(|mode| mode == "exclusive")
        {
            return refuse(
                &format!(
                    "this connection has locking_mode=EXCLUSIVE, so that nobody else may have {path} open"
                ),
                "Set PRAGMA locking_mode = NORMAL, read a row so that the lock is given up, and call remy again",
            );
        }
        let query_only = || {
            host.query_row("PRAGMA query_only", [], |row| row.get::<_, bool>(0))
                .unwrap_or(false)
        };
        if !only_read && (host.is_readonly("main").unwrap_or(false) || query_only()) {
            return refuse(
                "this connection may only read (it was opened read-only, or has query_only on)",
                "Call remy on a connection that may write",
            );
        }
        not_a_snapshot(Path::new(&path))?;
        Ok(Place {
            path,
            file: None,
            may_load: calls::sql_may_load(host),
        })
    }

    /// The libraries that a verb is to load. They run as code of this process: SQL of a host's may
    /// name them where it may load libraries itself, or whoever can slip a statement in could run
    /// anything.
    pub(crate) fn libraries<'o>(&self, options: &'o Options) -> Result<&'o [PathBuf]> {
        let Some(first) = options.extensions.first().filter(|_| !self.may_load) else {
            return Ok(&options.extensions);
        };
        Err(Error::invalid_argument(format!(
            "this connection may not load libraries, and {} is one that it names",
            first.display()
        ))
        .object(first.display().to_string())
        .state(State::NothingDone)
        .hint("Turn loading on for this connection, as `SELECT load_extension()` needs it; or use the command, Node.js or C"))
    }

    /// Another database file, of live's store, worked on in the same way.
    pub(crate) fn sibling(&self, path: &Path) -> Result<Self> {
        if path.is_symlink() {
            return Err(Error::io(format!(
                "{} is a symbolic link, and the store keeps no others' databases",
                path.display()
            ))
            .state(State::NothingDone)
            .hint("Remove it"));
        }
        Self::find(path, self.library, self.vfs.clone())
    }

    /// Finds the same file again, once its disk may have room.
    pub(crate) fn again(&self) -> Result<Self> {
        Self::find(&self.path, self.library, self.vfs.clone())
    }

    fn find(path: &Path, library: &'static dyn Library, vfs: Option<CString>) -> Result<Self> {
        Self::check(path, library, vfs).map_err(|e| e.state(State::NothingDone))
    }

    fn check(path: &Path, library: &'static dyn Library, vfs: Option<CString>) -> Result<Self> {
        let shown = path.display();
        let path = real_path(path)?;
        // No link by now, or its owner would be taken for live's.
        let metadata = path
            .symlink_metadata()
            .context(|| format!("opening {shown}"))?;
        fits(&path, &metadata, &shown)?;
        let owner = Owner::of(&metadata);
        let _acting = owner.act()?;
        let live = Self {
            identity: FileId::of(&metadata),
            full: None,
            foreign: None,
            owner,
            path,
            library,
            vfs,
            pid: std::process::id(),
            may_load: true,
        };
        live.no_stranger()?;
        live.may_be_opened()?;
        live.read_once(&shown)
    }

    /// Reads the database once. Returns it with what that tells: whether its disk is full, and
    /// whether a newer remy or somebody else wrote what has the names of remy's tables.
    fn read_once(self, shown: &path::Display<'_>) -> Result<Self> {
        let conn = self.connect()?;
        if let Err(e) = self.read_schema(&conn) {
            drop(conn);
            return if e.is_disk_full() {
                Ok(Self {
                    full: Some(e),
                    ..self
                })
            } else {
                Err(e)
            };
        }
        let reserved = calls::reserved_bytes(&conn);
        if reserved != 0 {
            return Err(unfit(
                format!(
                    "each page of {shown} keeps {reserved} bytes for an extension (a checksum or encryption VFS)"
                ),
                "remy would write pages without what belongs there; it does not support this",
            ));
        }
        if conn
            .is_readonly("main")
            .context(|| format!("opening {shown}"))?
        {
            return Err(self.may_not_be_written(false));
        }
        let foreign = tables::understood(&conn)
            .err()
            .filter(|e| matches!(e, Error::InvalidArgument(_)));
        drop(conn);
        Ok(Self { foreign, ..self })
    }

    /// Refuses where a newer remy has published live, or what has the names of remy's tables is
    /// none of them. Before there is a store: a remy that does not know what it reads writes
    /// nothing.
    pub(crate) fn is_understood(&self) -> Result<()> {
        self.foreign.clone().map_or(Ok(()), Err)
    }

    /// Opens a connection. It checkpoints only when told to, and waits up to 5 s for others' locks.
    pub fn connect(&self) -> Result<LiveConnection<'_>> {
        self.connect_by(self.vfs())
    }

    /// As [`Live::connect`], for the embedded engine to write many pages by.
    pub(crate) fn connect_to_write(&self) -> Result<LiveConnection<'_>> {
        self.connect_by(Some(wal_buffer::VFS))
    }

    fn connect_by(&self, vfs: Option<&CStr>) -> Result<LiveConnection<'_>> {
        self.same_process()?;
        self.same_file()?;
        self.is_among_its_own()?;
        if let Some(e) = &self.full {
            return Err(e.clone());
        }
        // PRIVATECACHE: in a host with a shared cache our locks would be the application's.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::from_bits_retain(rusqlite::ffi::SQLITE_OPEN_PRIVATECACHE)
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_NOFOLLOW;
        let opened = match vfs {
            Some(vfs) => Connection::open_with_flags_and_vfs(&self.path, flags, vfs),
            None => Connection::open_with_flags(&self.path, flags),
        };
        let conn = opened.context(|| format!("opening {}", self.path.display()))?;
        let conn = LiveConnection {
            live: self,
            conn: ManuallyDrop::new(conn),
        };
        calls::wait_for_locks(&conn, Duration::from_secs(5))?;
        Ok(conn)
    }

    fn read_schema(&self, conn: &Connection) -> Result<()> {
        conn.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))
            .context(|| format!("reading {}", self.path.display()))
            .map_err(|e| e.object(self.path.display().to_string()))
            .map_err(|e| match e {
                Error::Busy(_) => e
                    .state(State::NothingDone)
                    .hint("Another connection holds the whole file: end it, or its locking_mode=EXCLUSIVE"),
                Error::Corrupt(_) => {
                    e.state(State::NothingDone).hint("Give the path of an SQLite database, or restore it from a copy")
                }
                e => e.state(State::NothingDone),
            })
    }

    /// Refuses where the file at live's path is not the one that was opened.
    pub fn same_file(&self) -> Result<()> {
        let now = self.path.symlink_metadata().ok().map(|m| FileId::of(&m));
        if now == Some(self.identity) {
            return Ok(());
        }
        Err(self.replaced())
    }

    fn replaced(&self) -> Error {
        Error::busy(format!(
            "{} was renamed or replaced meanwhile",
            self.path.display()
        ))
        .state("Neither file was changed")
        .hint("Find out who moves the file, and start again")
    }

    /// Refuses where somebody has given live another page size than a clone of it has: pages of the
    /// two cannot be compared.
    pub(crate) fn same_page_size(&self, conn: &Connection, clones: u32) -> Result<()> {
        let now: u32 = calls::pragma(conn, "page_size")?;
        if now == clones {
            return Ok(());
        }
        Err(Error::busy(format!(
            "the page size of {} was changed from {clones} to {now} meanwhile",
            self.shown()
        ))
        .state(State::LiveUnchanged)
        .hint("Start again"))
    }

    fn same_process(&self) -> Result<()> {
        if self.pid == std::process::id() {
            return Ok(());
        }
        Err(
            Error::invalid_argument(format!("{} was opened before a fork", self.path.display()))
                .state(State::NothingDone)
                .hint("SQLite's connections do not survive a fork: open it in this process"),
        )
    }

    /// Refuses where another SQLite library of this process has live open: closing a file there
    /// drops the locks here.
    pub(crate) fn no_stranger(&self) -> Result<()> {
        if !self.library.has_stranger(&self.path, self.identity)? {
            return Ok(());
        }
        Err(in_use(&self.path).state(State::LiveUnchanged))
    }

    /// What an image has to share with live.
    pub(crate) fn shape(&self, conn: &Connection) -> Result<Shape> {
        let doing = || format!("reading {}", calls::name(conn));
        let text = |pragma: &str| {
            conn.query_row(pragma, [], |row| row.get::<_, String>(0))
                .context(doing)
        };
        Ok(Shape {
            page_size: calls::pragma(conn, "page_size")?,
            encoding: text("PRAGMA encoding")?,
            journal_mode: text("PRAGMA journal_mode")?,
        })
    }

    /// Lets root act as live's owner, on this thread, for as long as the result lives.
    pub fn act(&self) -> Result<impl Sized + use<>> {
        self.owner.act()
    }

    /// The name that messages use.
    pub fn shown(&self) -> path::Display<'_> {
        self.path.display()
    }

    /// Where it is, for another thread or process.
    pub fn place(&self) -> Place {
        Place {
            path: self.path.to_string_lossy().into_owned(),
            file: Some((self.identity.device, self.identity.inode)),
            may_load: self.may_load,
        }
    }

    pub(crate) fn identity(&self) -> FileId {
        self.identity
    }

    pub(crate) fn vfs(&self) -> Option<&CStr> {
        self.vfs.as_deref()
    }
}

/// The path of a database without links in it.
fn real_path(path: &Path) -> Result<PathBuf> {
    let shown = path.display();
    path.canonicalize().map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound if beside::is_beside(path) => gone(path),
        std::io::ErrorKind::NotFound => {
            Error::not_found(format!("there is no database at {shown}"))
                .object(shown.to_string())
                .state(State::NothingDone)
                .hint("Check the path. The database of an app is made by its first publish")
        }
        std::io::ErrorKind::PermissionDenied => {
            Error::io(format!("{shown} may not be looked at: {e}"))
                .state(State::NothingDone)
                .hint("Give this user the right to go into every folder on its way")
        }
        _ => Error::io(format!("opening {shown}: {e}")).state(State::NothingDone),
    })
}

/// Refuses what is no file of one name on a disk of this machine.
fn fits(path: &Path, metadata: &fs::Metadata, shown: &path::Display<'_>) -> Result<()> {
    if !metadata.is_file() {
        return Err(unfit(
            format!("{shown} is not a file"),
            "Give the path of a database file",
        ));
    }
    if metadata.nlink() > 1 {
        return Err(unfit(
            format!(
                "{shown} has {} hard links, and each name would have a WAL of its own",
                metadata.nlink()
            ),
            "Remove the other names",
        ));
    }
    if let Some(name) = network_file_system(path)? {
        return Err(unfit(
            format!("{shown} is on {name}, where SQLite's locks and shared memory do not hold"),
            "Move the database to a disk of this machine",
        ));
    }
    not_a_mount(path)
}

fn unfit(what: String, hint: &str) -> Error {
    Error::invalid_argument(what)
        .state(State::NothingDone)
        .hint(hint)
}

/// The error where a store is there and its database is not.
fn gone(path: &Path) -> Error {
    let store = beside::beside(path);
    Error::not_found(format!("{} is gone, and {} keeps its releases", path.display(), store.display()))
        .object(path.display().to_string())
        .state(State::NothingDone)
        .hint(format!(
            "Put it back from a backup, or copy the newest database of {}/snapshots there, which was live before its last release, and make it \
             writable. Or move the store away, to begin anew",
            store.display()
        ))
}

/// Refuses a file that a store keeps: with WAL turned on it would not be the snapshot any more that
/// its catalog knows.
fn not_a_snapshot(path: &Path) -> Result<()> {
    let full = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let kept = full
        .parent()
        .filter(|folder| folder.ends_with("snapshots") || folder.ends_with("work"));
    if kept
        .and_then(Path::parent)
        .is_some_and(|store| store.join(CATALOG).exists())
    {
        return Err(
            Error::invalid_argument(format!("{} belongs to a store", path.display()))
                .state(State::NothingDone)
                .hint("Promote its release, or work on a copy of the file"),
        );
    }
    Ok(())
}

/// A connection to live.
///
/// Where another SQLite library of this process has live open when this is dropped, it is left
/// open: closing it would drop that library's locks.
pub struct LiveConnection<'a> {
    live: &'a Live,
    conn: ManuallyDrop<Connection>,
}

impl Deref for LiveConnection<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.conn
    }
}

impl Drop for LiveConnection<'_> {
    fn drop(&mut self) {
        // A child of a fork must not close what is the parent's: POSIX locks are not inherited, but
        // the WAL is shared.
        if self.live.same_process().is_ok() && self.live.no_stranger().is_ok() {
            // SAFETY: dropped here, and never used again.
            unsafe { ManuallyDrop::drop(&mut self.conn) };
        }
    }
}

/// The catalog is opened with the SQLite that the verb runs on.
pub(crate) fn open_catalog(path: &Path, live: &Live) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::from_bits_retain(rusqlite::ffi::SQLITE_OPEN_PRIVATECACHE)
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    match live.vfs() {
        Some(vfs) => Connection::open_with_flags_and_vfs(path, flags, vfs),
        None => Connection::open_with_flags(path, flags),
    }
}
