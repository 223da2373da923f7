//! Databases that are only read: live, and what its store keeps of releases.

use crate::{
    base::{
        error::{Context, Error, Result, State},
        history::Status,
        ids::ReleaseId,
        owner::Acting,
        remedy::VerbName,
    },
    live::database::{Live, LiveConnection},
    release::seen,
    remedy,
    sqlite::calls,
    store::{
        Store,
        names::{check_name, place_of_preview},
    },
};
use rusqlite::{Connection, OpenFlags};
use std::{
    ops::Deref,
    path::{Path, PathBuf},
    time::Duration,
};

/// How long a lock of another connection is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// A connection that only reads.
pub(crate) struct Reading<'l> {
    path: PathBuf,
    opened: Opened<'l>,
    /// Last: closing the connection is the owner's, too.
    _acting: Acting,
}

enum Opened<'l> {
    Live(LiveConnection<'l>),
    Kept(Connection),
}

impl<'l> Reading<'l> {
    /// Live.
    pub(crate) fn live(live: &'l Live) -> Result<Self> {
        let acting = live.owner.act()?;
        let conn = live.connect()?;
        Self {
            path: live.path.clone(),
            opened: Opened::Live(conn),
            _acting: acting,
        }
        .query_only()
    }

    /// What a release was, or is.
    ///
    /// Fails with `not_found` where there is no such release, or it has no database, and with
    /// `pruned`.
    pub(crate) fn release(live: &'l Live, number: ReleaseId) -> Result<Self> {
        let none = |what: String| {
            Error::not_found(what)
                .state(State::NothingDone)
                .object(format!("release {number}"))
                .hint(remedy![VerbName::Releases, " lists them"])
        };
        let store = seen::look(live)?.map(|seen| seen.store);
        let store = store.ok_or_else(|| none(format!("there is no release {number}")))?;
        let entry = store.catalog.release(number)?;
        let entry = entry.ok_or_else(|| none(format!("there is no release {number}")))?;
        match (entry.status, &entry.preview) {
            (Status::Live, _) => return Self::live(live),
            (Status::Preview, Some(name)) => return Self::preview_of(live, &store, name),
            _ => {}
        }
        let snapshot = store.catalog.snapshot(number)?;
        let snapshot = snapshot.ok_or_else(|| none(format!("release {number} has no database")))?;
        if snapshot.pruned_at.is_some() {
            return Err(
                Error::pruned(format!("the database of release {number} was pruned"))
                    .state(State::NothingDone)
                    .object(format!("release {number}"))
                    .hint(remedy![
                        "Name a release that still has its database; ",
                        VerbName::Releases,
                        " lists them"
                    ]),
            );
        }
        Self::kept(live, store.path(&snapshot.path))
    }

    /// A preview. Fails with `not_found` where there is none of that name.
    pub(crate) fn preview(live: &'l Live, name: &str) -> Result<Self> {
        check_name("preview", name)?;
        let none = || {
            Error::not_found(format!("there is no preview {name:?}"))
                .object(name)
                .state(State::NothingDone)
                .hint(remedy![
                    "Stage it first; ",
                    VerbName::Status,
                    " lists the previews"
                ])
        };
        let store = Store::open(live)?.ok_or_else(none)?;
        let is_there = store
            .catalog
            .previews()?
            .iter()
            .any(|(_, its, _)| its == name);
        match is_there {
            true => Self::preview_of(live, &store, name),
            false => Err(none()),
        }
    }

    fn preview_of(live: &'l Live, store: &Store, name: &str) -> Result<Self> {
        Self::kept(live, store.path(&place_of_preview(name)?))
    }

    /// A file of the store.
    fn kept(live: &'l Live, path: PathBuf) -> Result<Self> {
        let acting = live.owner.act()?;
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
            | OpenFlags::from_bits_retain(rusqlite::ffi::SQLITE_OPEN_PRIVATECACHE)
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_NOFOLLOW;
        let conn = match live.vfs() {
            Some(vfs) => Connection::open_with_flags_and_vfs(&path, flags, vfs),
            None => Connection::open_with_flags(&path, flags),
        };
        let conn = conn.context(|| format!("opening {}", path.display()))?;
        calls::wait_for_locks(&conn, PATIENCE)?;
        Self {
            path,
            opened: Opened::Kept(conn),
            _acting: acting,
        }
        .query_only()
    }

    fn query_only(self) -> Result<Self> {
        self.execute_batch("PRAGMA query_only = ON")
            .context(|| format!("opening {}", self.path.display()))?;
        Ok(self)
    }

    /// Its file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Deref for Reading<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        match &self.opened {
            Opened::Live(conn) => conn,
            Opened::Kept(conn) => conn,
        }
    }
}
