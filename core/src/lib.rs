//! remy makes an SQLite database part of the release.
//!
//! [`Remy::publish`] clones the live database, changes the clone, checks it there, and switches the
//! live database to it in one transaction, while every application connection stays open.
//! [`Remy::rollback`] switches back to an earlier release: schema, data and declared effects return
//! together.
//!
//! ```
//! # fn main() -> remy_db::Result<()> {
//! # let dir = tempfile::tempdir().unwrap();
//! # let path = dir.path().join("app.db");
//! # rusqlite::Connection::open(&path).unwrap().execute_batch("CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT)").unwrap();
//! use remy_db::{Options, Progress, Remy};
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
//! Data flows one way: the declared schema is read, live is cloned, the change is rehearsed on the
//! clone, live is switched, the store settles. The engine's contract is `docs/contract.md`.
#![warn(missing_docs)]

/// What stands, unseen, before the examples of this crate: the database of an application.
macro_rules! a_database {
    () => {
        r#"# use remy_db::{Options, Progress, Remy};
# let dir = tempfile::tempdir()?;
# let path = dir.path().join("app.db");
# rusqlite::Connection::open(&path)?.execute_batch("CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO users (name) VALUES ('Ann')")?;"#
    };
}

/// The same, opened.
macro_rules! an_app {
    () => {
        concat!(a_database!(), "\n# let app = Remy::open(&path)?;")
    };
}

mod base;
mod declare;
mod effects;
mod live;
mod os;
mod rehearse;
mod release;
mod schema;
mod sqlite;
mod store;
mod switch;
#[cfg(feature = "typescript")]
mod typescript;
mod verbs;

use crate::{
    live::database,
    release::{context::Until, seen},
    verbs::{
        clone, copy_release::copy_release, debug, detach, dev, diff, promote, prune, publish,
        rollback, verify,
    },
};
pub use base::{
    VERSION,
    allow::Allow,
    error::{CODES, Context, Detail, Error, Result, State},
    history::{DevStatus, Line, Release, Status, Step},
    ids::ReleaseId,
    object::Object,
    options::{BuildFailure, BuildStep, JournalMode, Options, StepOutcome},
    owner::become_owner_of,
    progress::Progress,
    remedy::{OptionName, Part, Remedy, VerbName},
    version::SqliteVersion,
};
pub use effects::{ChangeKind, EffectKind, diff::Change as EffectChange};
pub use live::database::Place;
pub use os::copy::CopyMethod;
pub use release::{
    outcome::{Outcome, Reached},
    retention::{Pruned, PrunedSnapshot},
    rows_lost::{ComesBack, SetAside},
};
pub use schema::plan::{Statement, StatementKind, Strategy};
#[cfg(feature = "engine")]
pub use sqlite::engine;
pub use sqlite::{client, since::Clients};
use std::path::Path;
pub use switch::contract::{SwitchMethod, Switched};
pub use verbs::{
    clone::Cloned,
    debug::Debug,
    detach::Detached,
    dev::{Dev, sync::Synced},
    diff::Target,
    schema::Dumped,
    sql::{Database, OnReturned, Returned, SqlValue},
    verify::{Checked, Verified},
};

/// What this repository's own faces and tests take besides: an extension binds itself to its host,
/// the Node.js package reads what an app declares, the command has threads of its own, the runtime keeps connections to live, and the steps of a publish are tested one by
/// one. No part of the crate's contract: any release may change it.
#[doc(hidden)]
pub mod internals {
    pub use crate::{os::stops::NoStops, sqlite::routines::bind};

    pub mod cron {
        pub use crate::{
            store::catalog::cron::{CronClaim, CronClaimed, CronRun, CronSeen, CronStatus},
            verbs::cron::CronBook,
        };
    }
    pub mod declare {
        pub use crate::declare::*;
    }
    pub mod outbox {
        pub use crate::{store::catalog::outbox::Delivered, verbs::outbox::OutboxBook};
    }
    pub mod effects {
        pub use crate::effects::{
            BotCommand, CronJob, Effects, EmailRoute, Webhook, check_schedule, is_kebab_case,
            is_sender, spelled_out,
        };
    }
    pub mod json {
        pub use crate::base::json::*;
    }
    pub mod live {
        pub use crate::live::{
            columns::{DeclaredColumn, declared},
            database::{Live, LiveConnection},
            marker::release,
        };
    }
    pub mod runtimes {
        pub use crate::{
            os::sockets::peer,
            switch::runtimes::{Announced, Answered, SUFFIX, TablesTold},
        };
    }
    pub mod rehearse {
        pub use crate::rehearse::*;
    }
    pub mod schema {
        pub use crate::schema::*;
    }
    pub mod owner {
        pub use crate::base::environment::forget as forget_environment;
        pub use crate::base::owner::{
            Account, Acting, account, act_as_owner_of, as_the_caller, becoming, is_harmless, name,
            others_who_write, user,
        };
    }
    pub mod sqlite {
        pub use crate::sqlite::{
            authorizer::reaches_out,
            calls::{commit, wait_for_locks},
            lex::{Kind, Token, close, tokens},
            quote::{ident, is_remys},
        };
    }
    pub mod store {
        pub use crate::{live::beside::CATALOG, store::names::place_of_preview};
    }
    pub mod text {
        pub use crate::base::text::{human, things};
    }
    pub mod verbs {
        pub use crate::verbs::prune::number_of_days;
    }
    #[cfg(feature = "typescript")]
    pub mod typescript {
        pub use crate::typescript::*;
    }
}

/// An application's live database and its store.
///
/// Cheap to make and to drop: every verb opens what it needs and closes it again. May be used from
/// any thread, one verb at a time; a second one, in this or another process, waits for the store's
/// lock or fails with `busy`.
pub struct Remy {
    live: database::Live,
}

impl Remy {
    /// Opens the database at `path`, on the embedded engine.
    ///
    /// Fails with `not_found`, `corrupt`, `io`, and `invalid_argument` where remy cannot work (a
    /// network file system, a database with reserved bytes, more than one hard link).
    ///
    /// ```
    #[doc = a_database!()]
    /// let app = Remy::open(&path)?;
    /// let error = Remy::open(dir.path().join("other.db")).err().unwrap();
    /// assert_eq!(error.code(), "not_found");
    /// println!("{error}"); // what happened, what state things are in, what to do
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "engine")]
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Ok(Self {
            live: database::Live::open(path.as_ref())?,
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
            live: database::Live::of_host(&conn, false)?,
        })
    }

    /// Where the main database of `host` is, for a process of remy's own that is to work on it in
    /// this one's place, and what there is against that: an SQLite elsewhere has not all that this
    /// one has. `only_read`: for verbs that change nothing, also in a statement of the host's that
    /// reads.
    ///
    /// Fails as [`Remy::on_host`] does where the connection may not call a verb.
    ///
    /// # Safety
    /// As for [`Remy::on_host`].
    pub unsafe fn place_of_host(
        host: *mut rusqlite::ffi::sqlite3,
        only_read: bool,
    ) -> Result<(Place, Option<String>)> {
        // SAFETY: as the caller promises.
        let conn = unsafe { rusqlite::Connection::from_handle(host) }?;
        let place = database::Live::place_of_host(&conn, only_read)?;
        Ok((place, sqlite::calls::own_vfs(&conn)))
    }

    /// Works on the database at a place, on the embedded engine. Fails as [`Remy::open`] does, and
    /// with `busy` where another file is there now.
    #[cfg(feature = "engine")]
    pub fn at(place: &Place) -> Result<Self> {
        Ok(Self {
            live: database::Live::at(place)?,
        })
    }

    /// Removes the database again where it was made for a verb that has put nothing in it: it has 0
    /// bytes and no store, and nobody is at work on it. Returns whether it is gone.
    #[doc(hidden)]
    pub fn remove_if_empty(&self) -> Result<bool> {
        self.live.remove_if_empty()
    }

    /// The place of this database, as of the file that was opened.
    ///
    /// ```
    #[doc = an_app!()]
    /// assert!(app.place().path.ends_with("app.db"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn place(&self) -> Place {
        self.live.place()
    }

    /// The first of `names` that live's schema may use.
    pub fn uses(&self, names: &std::collections::BTreeSet<String>) -> Result<Option<String>> {
        let conn = self.live.connect()?;
        let schema = client::objects(&conn)?;
        Ok(schema
            .iter()
            .find_map(|object| client::uses(&object.sql, names)))
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
            live: database::Live::of_host(&conn, true)?,
        })
    }

    /// What remy runs on.
    ///
    /// ```
    #[doc = an_app!()]
    /// println!("{}", serde_json::to_string_pretty(&app.debug()?).unwrap());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn debug(&self) -> Result<Debug> {
        debug::debug(&self.live)
    }

    /// What a publish of `schema` would do to live as it is now, with what it would lose counted
    /// there. Keeps nothing.
    ///
    /// ```
    #[doc = an_app!()]
    /// let schema = "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, email TEXT);";
    /// let plan = app.diff(schema, &Options::default())?;
    /// assert_eq!(plan[0].object, "users.email");
    /// assert_eq!(plan[0].needs, None); // a drop needs `allow`, and says what it loses
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn diff(&self, schema: &str, options: &Options) -> Result<Vec<Statement>> {
        diff::diff(&self.live, schema, options)
    }

    /// What would turn what a release was, or live, into another, or into what is declared: as
    /// [`Remy::diff`], with what it would lose counted where it begins. No migration runs.
    ///
    /// Fails with `not_found` where there is no such release, or it has no database, and with
    /// `pruned`.
    ///
    /// ```
    #[doc = an_app!()]
    /// use remy_db::Target;
    ///
    /// let schema = "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, email TEXT);";
    /// let release = app.publish(schema, &Options::default(), Progress::none())?;
    /// let plan = app.diff_between(release.previous, &Target::Release(release.release), &Options::default())?;
    /// assert_eq!(plan[0].object, "users.email");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn diff_between(
        &self,
        from: Option<ReleaseId>,
        to: &Target<'_>,
        options: &Options,
    ) -> Result<Vec<Statement>> {
        diff::between(&self.live, from, to, options)
    }

    /// Runs every statement of `sql` on live, which is only read, or on another of its databases.
    /// Of `options` it takes the libraries, `extensions`; `progress` calls it off.
    ///
    /// Fails with `invalid_argument` where SQLite does not take a statement, or it would write what
    /// is only read, or reach another file; with `not_found` where there is no such database, and
    /// with `pruned`.
    ///
    /// ```
    #[doc = an_app!()]
    /// use remy_db::{Database, Returned, SqlValue};
    ///
    /// let mut names = Vec::new();
    /// app.sql(&Database::Live, "SELECT name FROM users", &Options::default(), Progress::none(), &mut |returned| {
    ///     if let Returned::Row(row) = returned {
    ///         names.extend(row);
    ///     }
    ///     Ok(())
    /// })?;
    /// assert_eq!(names, [SqlValue::Text("Ann".to_owned())]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn sql(
        &self,
        database: &Database,
        sql: &str,
        options: &Options,
        progress: Progress<'_>,
        on_returned: OnReturned<'_>,
    ) -> Result<()> {
        verbs::sql::sql(&self.live, (database, sql), options, progress, on_returned)
    }

    /// Copies live, as of one committed transaction, to `path`, which must not be there.
    ///
    /// ```
    #[doc = an_app!()]
    /// let copy = dir.path().join("copy.db");
    /// let cloned = app.clone_to(&copy)?;
    /// assert_eq!(cloned.bytes, std::fs::metadata(&copy)?.len());
    /// // What is there is not written over.
    /// assert_eq!(app.clone_to(&copy).unwrap_err().code(), "invalid_argument");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn clone_to(&self, path: impl AsRef<Path>) -> Result<Cloned> {
        self.clone_to_with(path, Progress::none())
    }

    /// As [`Remy::clone_to`]; `progress` calls it off.
    pub fn clone_to_with(&self, path: impl AsRef<Path>, progress: Progress<'_>) -> Result<Cloned> {
        unchanged(clone::clone_to(&self.live, path.as_ref(), progress))
    }

    /// Copies the database of a release, as it was or is, to `path`, which must not be there.
    ///
    /// Fails with `not_found` where there is no such release, or it has no database, and with
    /// `pruned`.
    ///
    /// ```
    #[doc = an_app!()]
    /// let schema = "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, email TEXT);";
    /// let before = app.publish(schema, &Options::default(), Progress::none())?.previous.unwrap();
    /// app.copy_release(before, dir.path().join("before.db"), Progress::none())?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn copy_release(
        &self,
        release: ReleaseId,
        path: impl AsRef<Path>,
        progress: Progress<'_>,
    ) -> Result<()> {
        copy_release(&self.live, release, path.as_ref(), progress)
    }

    /// Publishes up to the switch, and leaves the release `compiled`.
    ///
    /// ```
    #[doc = an_app!()]
    /// let schema = "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, email TEXT);";
    /// let staged = app.stage(schema, &Options::default(), Progress::none())?;
    /// assert!(staged.switch.is_none()); // live is as it was
    /// app.promote(Some(staged.release), &Options::default(), Progress::none())?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
            Until::Rehearsed,
        ))
    }

    /// Makes live what `schema` declares: a file, another database, or SQL text.
    ///
    /// A failure leaves live as it was, and the release `failed` with the reason in its log.
    ///
    /// ```
    #[doc = an_app!()]
    /// let schema = "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, email TEXT);";
    /// let release = app.publish(schema, &Options::default(), Progress::none())?;
    /// println!("release {}: writers waited {} ms", release.release, release.switch.unwrap().pause_ms);
    ///
    /// let options = Options::from_json(r#"{"allow": ["drop"], "label": "names are gone"}"#)?;
    /// app.publish("CREATE TABLE users (id INTEGER PRIMARY KEY, email TEXT);", &options, Progress::none())?;
    ///
    /// let error = app.publish("CREATE TABLE users (id INTEGER", &options, Progress::none()).unwrap_err();
    /// assert_eq!(error.code(), "schema_invalid"); // and live is as it was
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
            Until::Live,
        ))
    }

    /// Records a release that its caller could not build: `failed`, with `options.build` and the
    /// reason in its log.
    ///
    /// ```
    #[doc = an_app!()]
    /// use remy_db::{BuildFailure, Status};
    ///
    /// let why = BuildFailure::from_json(r#"{"code": "build_failed", "message": "tsc found 2 errors"}"#)?;
    /// let release = app.fail(&why, &Options::default(), Progress::none())?;
    /// assert_eq!(release.status, Status::Failed);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn fail(
        &self,
        failure: &BuildFailure,
        options: &Options,
        progress: Progress<'_>,
    ) -> Result<Release> {
        publish::fail(&self.live, failure, options, progress)
    }

    /// Makes a kept or staged release live; without a number the newest staged one.
    ///
    /// ```
    #[doc = an_app!()]
    /// let schema = "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, email TEXT);";
    /// app.stage(schema, &Options::default(), Progress::none())?;
    /// let live = app.promote(None, &Options::default(), Progress::none())?;
    /// println!("release {} is live", live.release);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn promote(
        &self,
        release: Option<ReleaseId>,
        options: &Options,
        progress: Progress<'_>,
    ) -> Result<Outcome> {
        unchanged(promote::promote(&self.live, release, options, progress))
    }

    /// Makes an earlier release live again; without a number the one that was live before the live
    /// one first was.
    ///
    /// ```
    #[doc = an_app!()]
    /// let schema = "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, email TEXT);";
    /// let release = app.publish(schema, &Options::default(), Progress::none())?;
    /// let back = app.rollback(None, &Options::default(), Progress::none())?;
    /// assert_eq!(back.restored_from, release.previous);
    /// println!("{} tables lose rows that were written since", back.set_aside.len());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn rollback(
        &self,
        release: Option<ReleaseId>,
        options: &Options,
        progress: Progress<'_>,
    ) -> Result<Outcome> {
        unchanged(rollback::rollback(&self.live, release, options, progress))
    }

    /// The history, newest first.
    ///
    /// ```
    #[doc = an_app!()]
    /// assert!(app.releases()?.is_empty()); // nothing was published
    /// app.publish(path.to_str().unwrap(), &Options::default(), Progress::none())?;
    /// for release in app.releases()? {
    ///     println!("{} {}", release.release, release.status);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn releases(&self) -> Result<Vec<Release>> {
        match seen::look(&self.live)? {
            Some(seen) => seen.releases(),
            None => Ok(Vec::new()),
        }
    }

    /// The statements that make the schema of live anew, or that of a release.
    ///
    /// Fails with `not_found` where there is no such release, or it has no database, and with
    /// `pruned`.
    ///
    /// ```
    #[doc = an_app!()]
    /// assert_eq!(app.schema(None)?.sql, "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT);\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn schema(&self, release: Option<ReleaseId>) -> Result<Dumped> {
        verbs::schema::schema(&self.live, release)
    }

    /// The statements that declare the schema of live as it is: as [`Remy::schema`], without the
    /// tables in which other tools keep their books.
    ///
    /// ```
    #[doc = an_app!()]
    /// std::fs::write(dir.path().join("schema.sql"), app.schema_to_declare()?)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn schema_to_declare(&self) -> Result<String> {
        verbs::schema::own(&self.live)
    }

    /// The build log of a release, or of the newest one. `not_found` where there is no such
    /// release.
    ///
    /// ```
    #[doc = an_app!()]
    /// let schema = "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, email TEXT);";
    /// let release = app.publish(schema, &Options::default(), Progress::none())?.release;
    /// for line in app.build_log(Some(release))? {
    ///     println!("{} {:.0} ms", line.message, line.duration_ms);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn build_log(&self, release: Option<ReleaseId>) -> Result<Vec<Line>> {
        let Some(seen::StoreView { store, .. }) = seen::look(&self.live)? else {
            return Ok(Vec::new());
        };
        if let Some(number) = release
            && store.catalog.release(number)?.is_none()
        {
            return Err(Error::not_found(format!("there is no release {number}"))
                .object(format!("release {number}"))
                .hint(remedy![VerbName::Releases, " lists them"]));
        }
        store.catalog.build_log(release)
    }

    /// What is live besides tables, for who serves it: roles, cron jobs, webhooks and the like, and
    /// the release that declares them.
    #[doc(hidden)]
    pub fn declared(&self) -> Result<(Option<ReleaseId>, internals::effects::Effects)> {
        verbs::cron::declared(&self.live)
    }

    /// The book of the runs of cron jobs, for who runs them.
    #[doc(hidden)]
    pub fn cron(&self) -> internals::cron::CronBook<'_> {
        internals::cron::CronBook::of(&self.live)
    }

    /// The book of what services outside were told of what is live, for who tells them.
    #[doc(hidden)]
    pub fn outbox(&self) -> internals::outbox::OutboxBook<'_> {
        internals::outbox::OutboxBook::of(&self.live)
    }

    /// Takes a copy of live for a dev session: an empty one before the first publish.
    ///
    /// ```
    #[doc = an_app!()]
    /// let session = app.dev_start("ann")?;
    /// let db = rusqlite::Connection::open(&session.path)?; // as live is now, and its own from here on
    /// db.execute("DELETE FROM users", [])?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn dev_start(&self, name: &str) -> Result<Dev> {
        self.dev_start_with(name, Progress::none())
    }

    /// As [`Remy::dev_start`]; `progress` calls it off.
    pub fn dev_start_with(&self, name: &str, progress: Progress<'_>) -> Result<Dev> {
        unchanged(dev::start(&self.live, name, progress))
    }

    /// Makes a dev session's database equal to live, under open connections.
    ///
    /// ```
    #[doc = an_app!()]
    /// let session = app.dev_start("ann")?;
    /// let db = rusqlite::Connection::open(&session.path)?;
    /// db.execute("DELETE FROM users", [])?;
    /// app.dev_reset("ann")?;
    /// let users: i64 = db.query_row("SELECT count(*) FROM users", [], |row| row.get(0))?;
    /// assert_eq!(users, 1); // the connection stayed open
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn dev_reset(&self, name: &str) -> Result<Dev> {
        self.dev_reset_with(name, Progress::none())
    }

    /// As [`Remy::dev_reset`]; `progress` calls it off.
    pub fn dev_reset_with(&self, name: &str, progress: Progress<'_>) -> Result<Dev> {
        unchanged(dev::reset(&self.live, name, progress))
    }

    /// Makes the schema of a dev session's database what `schema` declares, as [`Remy::publish`] takes
    /// it, under open connections and by the same rules: migrations run, and what would lose anything
    /// needs `options.allow`. There is no release of it.
    ///
    /// Fails as a publish does, and leaves the session as it was.
    ///
    /// ```
    #[doc = an_app!()]
    /// let schema = "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, email TEXT);";
    /// app.dev_start("ann")?;
    /// let synced = app.dev_sync("ann", schema, &Options::default(), Progress::none())?;
    /// assert_eq!(synced.statements[0].object, "users.email"); // live has none
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn dev_sync(
        &self,
        name: &str,
        schema: &str,
        options: &Options,
        progress: Progress<'_>,
    ) -> Result<Synced> {
        unchanged(dev::sync::sync(&self.live, name, schema, options, progress))
    }

    /// Copies a dev session's database to `path`, which must not be there.
    pub fn dev_keep(&self, name: &str, path: &Path, progress: Progress<'_>) -> Result<()> {
        unchanged(dev::kept::keep(&self.live, name, path, progress))
    }

    /// Makes a dev session's database equal to a copy that [`Remy::dev_keep`] made of it, under open
    /// connections.
    pub fn dev_put_back(&self, name: &str, path: &Path, progress: Progress<'_>) -> Result<()> {
        unchanged(dev::kept::put_back(&self.live, name, path, progress))
    }

    /// Empties every table of a dev session's database, under open connections.
    ///
    /// ```
    #[doc = an_app!()]
    /// let session = app.dev_start("ann")?;
    /// app.dev_truncate("ann")?;
    /// let db = rusqlite::Connection::open(&session.path)?;
    /// let users: i64 = db.query_row("SELECT count(*) FROM users", [], |row| row.get(0))?;
    /// assert_eq!(users, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
    ///
    /// ```
    #[doc = an_app!()]
    /// let session = app.dev_start("ann")?;
    /// app.dev_stop("ann")?;
    /// assert!(!std::path::Path::new(&session.path).exists());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn dev_stop(&self, name: &str) -> Result<Dev> {
        unchanged(dev::stop(&self.live, name))
    }

    /// A dev session that runs; `not_found` where there is none of that name.
    pub fn dev_session(&self, name: &str) -> Result<Dev> {
        dev::session(&self.live, name)
    }

    /// The dev sessions, newest first.
    ///
    /// ```
    #[doc = an_app!()]
    /// app.dev_start("ann")?;
    /// assert_eq!(app.dev_list()?[0].name, "ann");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn dev_list(&self) -> Result<Vec<Dev>> {
        dev::list(&self.live)
    }

    /// Drops old snapshots. `days` goes before `options.retention_days`.
    ///
    /// ```
    #[doc = an_app!()]
    /// let schema = "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, email TEXT);";
    /// app.publish(schema, &Options::default(), Progress::none())?;
    /// let pruned = app.prune(Some(90), &Options::default())?;
    /// println!("{} bytes are free again, {} snapshots stay", pruned.freed_bytes, pruned.kept);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
        unchanged(prune::prune(&self.live, days, options, progress))
    }

    /// Reads everything again, and says what is not as it should be.
    ///
    /// ```
    #[doc = an_app!()]
    /// for checked in app.verify()?.checked.iter().filter(|checked| !checked.ok) {
    ///     println!("{}: {:?}", checked.object, checked.message);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn verify(&self) -> Result<Verified> {
        self.verify_with(&Options::default(), Progress::none())
    }

    /// As [`Remy::verify`], with the libraries of `options.extensions`; `progress` follows it and
    /// calls it off.
    pub fn verify_with(&self, options: &Options, progress: Progress<'_>) -> Result<Verified> {
        unchanged(verify::verify(&self.live, options, progress))
    }

    /// Drops remy's tables from live in one transaction; the store stays.
    ///
    /// ```
    #[doc = an_app!()]
    /// app.publish(path.to_str().unwrap(), &Options::default(), Progress::none())?;
    /// app.detach()?;
    /// assert_eq!(app.schema(None)?.sql, "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT);\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn detach(&self) -> Result<Detached> {
        unchanged(detach::detach(&self.live))
    }
}

/// What an error says of live where it says nothing else: all that comes after a COMMIT of live
/// says so itself.
fn unchanged<T>(done: Result<T>) -> Result<T> {
    done.map_err(|e| e.state(State::LiveUnchanged))
}

/// The pages for who writes Rust: what they show compiles, and what they run does its work.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../README.md")]
    struct Crate;
    #[doc = include_str!("../../docs/rust.md")]
    struct Rust;
}
