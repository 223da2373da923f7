//! remy makes an SQLite database part of the release.
//!
//! [`Remy::publish`] clones the live database, changes the clone, checks it there, and switches the
//! live database to it in one transaction, while every application connection stays open.
//! [`Remy::rollback`] switches back to an earlier release: schema, data and declared effects return
//! together.
//!
//! ```
//! # fn main() -> remy_core::Result<()> {
//! # let dir = tempfile::tempdir().unwrap();
//! # let path = dir.path().join("app.db");
//! # remy_core::engine::init();
//! # rusqlite::Connection::open(&path).unwrap().execute_batch("CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT)").unwrap();
//! use remy_core::{Options, Progress, Remy};
//!
//! let app = Remy::open(&path)?;
//! let schema = "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, email TEXT);";
//! let release = app.publish(schema, &Options::default(), Progress::none())?;
//! println!("release {} is live, writers waited {} ms", release.release, release.switch.unwrap().pause_ms);
//! app.rollback(None, &Options::default(), Progress::none())?;
//! # Ok(())
//! # }
//! ```
//!
//! Data flows one way: [`schema`] is read, live is cloned, the change is rehearsed on the clone,
//! live is switched, the store settles. The engine's contract is `docs/contract.md`.
#![warn(missing_docs)]

mod absent;
mod access;
mod age;
mod artifacts;
mod aside;
mod authorizer;
mod backup;
mod btree;
mod catalog;
mod clock;
mod clone;
mod clone_to;
mod columns;
mod constrain;
mod copy;
mod debug;
mod detach;
mod dev;
mod differing_rows;
mod drift;
pub mod effects;
pub mod engine;
mod error;
mod folder;
mod gather;
mod integrity;
mod job;
mod live;
mod lock;
mod log;
mod marker;
mod migrate;
pub mod migration;
mod migration_marks;
mod migration_names;
mod options;
mod owner;
mod pair;
mod part;
mod place;
mod prepared;
mod preview;
mod progress;
mod publish;
mod quote;
mod quoted;
mod reads;
mod recover;
pub mod rehearse;
mod removals;
mod retention;
mod rollback;
mod rows;
pub mod schema;
mod settle;
mod sqlite;
mod standing;
mod stops;
mod store;
mod strangers;
mod switch;
mod touched;
#[cfg(feature = "typescript")]
pub mod typescript;
mod unknown;
pub mod usable;
mod verify;
#[cfg_attr(
    not(feature = "engine"),
    expect(dead_code, reason = "only the embedded engine registers them")
)]
mod vfs;
mod wal;

use serde::Serialize;
use std::path::Path;

pub use catalog::{Line, Release};
pub use error::{CODES, Context, Detail, Error, Result};
pub use options::{Allow, BuildFailure, BuildStep, JournalMode, Options, StepOutcome};
pub use progress::Progress;
pub use schema::plan::Statement;

/// The version of remy.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What a switch did, and how long writers could not write.
#[derive(Debug, Clone, Serialize)]
pub struct Switched {
    /// `pages`, or `backup` on a host's SQLite, which writes the whole database in the pause.
    pub by: &'static str,
    /// How long live's write lock was held.
    pub pause_ms: f64,
    /// How long it took to get.
    pub lock_wait_ms: f64,
    /// Pages of live that were written.
    pub pages_written: u64,
    /// Pages of live after it.
    pub pages_total: u64,
    /// How often it was tried: more than once where live's WAL was restarted, or written to, each
    /// time before the lock.
    pub attempts: u32,
    /// Whether the statements ran once more under the lock: somebody had written to what they have
    /// to do with, or, on a host's SQLite, to anything.
    pub ran_again: bool,
}

/// Rows of a table that a rollback would take out of live. They stay in the outgoing release's
/// snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SetAside {
    /// The table.
    pub table: String,
    /// How many of its rows the release that comes back has not, or has otherwise.
    pub rows: u64,
}

/// What a rollback brings back: rows that live has not, or has otherwise, or values of a column
/// that live has not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ComesBack {
    /// The table.
    pub table: String,
    /// The column whose values are counted; rows are, where there is none.
    pub column: Option<String>,
    /// How many.
    pub rows: u64,
}

/// What a publish, stage, promote or rollback did.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// The release that it made, or made live.
    pub release: i64,
    /// `live`, `compiled`, `preview` or `dry_run`.
    pub status: String,
    /// The release whose database and artifacts came back.
    pub restored_from: Option<i64>,
    /// The release that was live before.
    pub previous: Option<i64>,
    /// Its name.
    pub label: Option<String>,
    /// The commit that it was made from.
    pub commit: Option<String>,
    /// Nothing was switched, and nothing recorded.
    pub dry_run: bool,
    /// Absent where nothing was switched.
    pub switch: Option<Switched>,
    /// The plan. Of a rollback, what would turn live's schema into the one that comes back, with
    /// what that takes away.
    pub statements: Vec<Statement>,
    /// What changed of the declared effects.
    pub effects: Vec<effects::Change>,
    /// The rows that a rollback takes out of live, as they were when its clone was taken.
    pub set_aside: Vec<SetAside>,
    /// What a rollback brings back.
    pub comes_back: Vec<ComesBack>,
    /// What the caller should know.
    pub warnings: Vec<String>,
    /// The build log.
    pub log: Vec<Line>,
    /// From the call to its end.
    pub total_ms: f64,
}

/// A copy of live.
#[derive(Debug, Clone, Serialize)]
pub struct Cloned {
    /// Where it is.
    pub path: String,
    /// How large it is.
    pub bytes: u64,
    /// The release that was live.
    pub release: Option<i64>,
    /// `reflink`, `copy` or `backup`.
    pub method: &'static str,
    /// How long it took.
    pub duration_ms: f64,
}

/// A dev session's database.
#[derive(Debug, Clone, Serialize)]
pub struct Dev {
    /// The session.
    pub name: String,
    /// Its database.
    pub path: String,
    /// How large that is.
    pub bytes: u64,
    /// The release that was live when it was taken.
    pub release: Option<i64>,
    /// `dev`, or `superseded` when stopped.
    pub status: String,
    /// When it was started.
    pub created_at: i64,
    /// When it was last reset.
    pub reset_at: Option<i64>,
    /// When it was stopped.
    pub stopped_at: Option<i64>,
}

/// A snapshot that was dropped.
#[derive(Debug, Clone, Serialize)]
pub struct PrunedSnapshot {
    /// Its release.
    pub release: i64,
    /// Its path in the store.
    pub database: String,
    /// What it took.
    pub bytes: u64,
}

/// What a prune did.
#[derive(Debug, Clone, Serialize)]
pub struct Pruned {
    /// The snapshots that went.
    pub pruned: Vec<PrunedSnapshot>,
    /// How many stay.
    pub kept: u64,
    /// What they take.
    pub kept_bytes: u64,
    /// What was freed.
    pub freed_bytes: u64,
    /// What the caller should know.
    pub warnings: Vec<String>,
}

/// One thing that was verified.
#[derive(Debug, Clone, Serialize)]
pub struct Checked {
    /// Live, a snapshot, an artifact, the catalog.
    pub object: String,
    /// What was checked of it.
    pub what: String,
    /// Whether it holds.
    pub ok: bool,
    /// What was found.
    pub message: Option<String>,
}

/// What a verify found.
#[derive(Debug, Clone, Serialize)]
pub struct Verified {
    /// Whether all holds.
    pub ok: bool,
    /// Everything that was checked.
    pub checked: Vec<Checked>,
    /// What the caller should know.
    pub warnings: Vec<String>,
}

/// What a detach dropped and left.
#[derive(Debug, Clone, Serialize)]
pub struct Detached {
    /// Tables that are gone from live.
    pub dropped: Vec<String>,
    /// What is still there.
    pub left: Vec<String>,
}

/// What remy runs on, and what it runs.
#[derive(Debug, Clone, Serialize)]
pub struct Debug {
    /// remy's version.
    pub version: &'static str,
    /// SQLite's.
    pub sqlite: String,
    /// `embedded` or `host`.
    pub engine: &'static str,
    /// `pages` or `backup`.
    pub switch: &'static str,
    /// The live database.
    pub live: String,
    /// Its store.
    pub store: String,
    /// Live's journal mode.
    pub journal_mode: String,
    /// Live's page size.
    pub page_size: u32,
    /// Live's text encoding.
    pub encoding: String,
    /// Live's pages.
    pub pages: u64,
    /// The live release, by live's marker.
    pub release: Option<i64>,
    /// What was changed of live's schema outside of remy since that release went live.
    pub drift: Option<String>,
    /// What the caller should know.
    pub notes: Vec<String>,
    /// Where live is not what its store has published last, or the store is not whole: what is
    /// known of it.
    pub warnings: Vec<String>,
}

/// An application's live database and its store.
///
/// Cheap to make and to drop: every verb opens what it needs and closes it again. May be used from
/// any thread, one verb at a time; a second one, in this or another process, waits for the store's
/// lock or fails with `busy`.
pub struct Remy {
    live: live::Live,
}

impl Remy {
    /// Opens the database at `path`, on the embedded engine.
    ///
    /// Fails with `not_found`, `corrupt`, `io`, and `invalid_argument` where remy cannot work (a
    /// network file system, a database with reserved bytes, more than one hard link).
    #[cfg(feature = "engine")]
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Ok(Self {
            live: live::Live::open(path.as_ref())?,
        })
    }

    /// Works on the main database of `host`, a connection of the SQLite that loaded remy, through
    /// that SQLite.
    ///
    /// Fails as [`Remy::open`] does, and with `invalid_argument` inside a transaction and for a
    /// database in memory.
    ///
    /// # Safety
    /// `host` is an open connection of the SQLite that rusqlite is bound to, and stays open during
    /// the call.
    pub unsafe fn on_host(host: *mut rusqlite::ffi::sqlite3) -> Result<Self> {
        // SAFETY: as the caller promises; a connection from a handle does not close it.
        let conn = unsafe { rusqlite::Connection::from_handle(host) }?;
        Ok(Self {
            live: live::Live::of_host(&conn, false)?,
        })
    }

    /// As [`Remy::on_host`], for verbs that change nothing: also in a statement of the host's that
    /// reads.
    ///
    /// # Safety
    /// As for [`Remy::on_host`].
    pub unsafe fn on_host_to_read(host: *mut rusqlite::ffi::sqlite3) -> Result<Self> {
        // SAFETY: as the caller promises.
        let conn = unsafe { rusqlite::Connection::from_handle(host) }?;
        Ok(Self {
            live: live::Live::of_host(&conn, true)?,
        })
    }

    /// What remy runs on.
    pub fn debug(&self) -> Result<Debug> {
        debug::debug(&self.live)
    }

    /// What a publish of `schema` would do to live as it is now, with what it would lose counted
    /// there. Keeps nothing.
    pub fn diff(&self, schema: &str, options: &Options) -> Result<Vec<Statement>> {
        publish::diff(&self.live, schema, options)
    }

    /// Copies live, as of one committed transaction, to `path`, which must not be there.
    pub fn clone_to(&self, path: impl AsRef<Path>) -> Result<Cloned> {
        self.clone_to_with(path, Progress::none())
    }

    /// As [`Remy::clone_to`]; `progress` calls it off.
    pub fn clone_to_with(&self, path: impl AsRef<Path>, progress: Progress<'_>) -> Result<Cloned> {
        unchanged(clone_to::clone_to(&self.live, path.as_ref(), progress))
    }

    /// Publishes up to the switch, and leaves the release `compiled`.
    pub fn stage(
        &self,
        schema: &str,
        options: &Options,
        progress: Progress<'_>,
    ) -> Result<Outcome> {
        unchanged(publish::publish(
            &self.live,
            schema,
            options,
            progress,
            publish::Until::Rehearsed,
        ))
    }

    /// Makes live what `schema` declares: a file, another database, or SQL text.
    ///
    /// A failure leaves live as it was, and the release `failed` with the reason in its log.
    pub fn publish(
        &self,
        schema: &str,
        options: &Options,
        progress: Progress<'_>,
    ) -> Result<Outcome> {
        unchanged(publish::publish(
            &self.live,
            schema,
            options,
            progress,
            publish::Until::Live,
        ))
    }

    /// Records a release that its caller could not build: `failed`, with `options.build` and the
    /// reason in its log.
    pub fn fail(
        &self,
        failure: &BuildFailure,
        options: &Options,
        progress: Progress<'_>,
    ) -> Result<Release> {
        publish::fail(&self.live, failure, options, progress)
    }

    /// Makes a kept or staged release live; without a number the newest staged one.
    pub fn promote(
        &self,
        release: Option<i64>,
        options: &Options,
        progress: Progress<'_>,
    ) -> Result<Outcome> {
        unchanged(rollback::promote(&self.live, release, options, progress))
    }

    /// Makes an earlier release live again; without a number the one that was live before the live
    /// one first was.
    pub fn rollback(
        &self,
        release: Option<i64>,
        options: &Options,
        progress: Progress<'_>,
    ) -> Result<Outcome> {
        unchanged(rollback::rollback(&self.live, release, options, progress))
    }

    /// The history, newest first.
    pub fn releases(&self) -> Result<Vec<Release>> {
        match recover::look(&self.live)? {
            Some(seen) => seen.releases(),
            None => Ok(Vec::new()),
        }
    }

    /// The build log of a release, or of the newest one. `not_found` where there is no such
    /// release.
    pub fn build_log(&self, release: Option<i64>) -> Result<Vec<Line>> {
        let Some(recover::Seen { store, .. }) = recover::look(&self.live)? else {
            return Ok(Vec::new());
        };
        if let Some(number) = release
            && store.catalog.release(number)?.is_none()
        {
            return Err(Error::not_found(format!("there is no release {number}"))
                .object(format!("release {number}"))
                .hint("The verb releases lists them"));
        }
        store.catalog.build_log(release)
    }

    /// Takes a copy of live for a dev session.
    pub fn dev_start(&self, name: &str) -> Result<Dev> {
        self.dev_start_with(name, Progress::none())
    }

    /// As [`Remy::dev_start`]; `progress` calls it off.
    pub fn dev_start_with(&self, name: &str, progress: Progress<'_>) -> Result<Dev> {
        unchanged(dev::start(&self.live, name, progress))
    }

    /// Makes a dev session's database equal to live, under open connections.
    pub fn dev_reset(&self, name: &str) -> Result<Dev> {
        self.dev_reset_with(name, Progress::none())
    }

    /// As [`Remy::dev_reset`]; `progress` calls it off.
    pub fn dev_reset_with(&self, name: &str, progress: Progress<'_>) -> Result<Dev> {
        unchanged(dev::reset(&self.live, name, progress))
    }

    /// Empties every table of a dev session's database, under open connections.
    pub fn dev_truncate(&self, name: &str) -> Result<Dev> {
        self.dev_truncate_with(name, &Options::default(), Progress::none())
    }

    /// As [`Remy::dev_truncate`], with the libraries of `options.extensions`; `progress` calls it
    /// off.
    pub fn dev_truncate_with(
        &self,
        name: &str,
        options: &Options,
        progress: Progress<'_>,
    ) -> Result<Dev> {
        unchanged(dev::truncate(&self.live, name, options, progress))
    }

    /// Ends a dev session and removes its database.
    pub fn dev_stop(&self, name: &str) -> Result<Dev> {
        unchanged(dev::stop(&self.live, name))
    }

    /// The dev sessions, newest first.
    pub fn dev_list(&self) -> Result<Vec<Dev>> {
        dev::list(&self.live)
    }

    /// Drops old snapshots. `days` goes before `options.retention_days`.
    pub fn prune(&self, days: Option<u32>, options: &Options) -> Result<Pruned> {
        self.prune_with(days, options, Progress::none())
    }

    /// As [`Remy::prune`]; `progress` calls it off between two of them.
    pub fn prune_with(
        &self,
        days: Option<u32>,
        options: &Options,
        progress: Progress<'_>,
    ) -> Result<Pruned> {
        unchanged(retention::prune(&self.live, days, options, progress))
    }

    /// Reads everything again, and says what is not as it should be.
    pub fn verify(&self) -> Result<Verified> {
        self.verify_with(&Options::default(), Progress::none())
    }

    /// As [`Remy::verify`], with the libraries of `options.extensions`; `progress` follows it and
    /// calls it off.
    pub fn verify_with(&self, options: &Options, progress: Progress<'_>) -> Result<Verified> {
        unchanged(verify::verify(&self.live, options, progress))
    }

    /// Drops remy's tables from live in one transaction; the store stays.
    pub fn detach(&self) -> Result<Detached> {
        unchanged(detach::detach(&self.live))
    }
}

/// What an error says of live where it says nothing else: all that comes after a COMMIT of live
/// says so itself.
fn unchanged<T>(done: Result<T>) -> Result<T> {
    done.map_err(|e| e.state("Live is unchanged"))
}
