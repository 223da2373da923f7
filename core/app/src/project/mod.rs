//! A folder that is published: where its database is, what it declares, and every verb on both.
//!
//! [`Project`] is what all faces call. It builds an app before it publishes it, and leaves the rest
//! to [`remy_db::Remy`], which it opens as its face does.

mod call;
mod change;
mod live;
mod status;

pub use call::{Call, Change};
pub use change::{Package, Publish, Source, Tools};
pub use status::{LiveFile, Status, StoreSize};

use crate::{
    AppError,
    build::{self, Cancel},
    files,
    place::{self, Named, Place},
};
use remy_db::{
    Cloned, Debug, Detached, Dev, Dumped, Error, Line, Options, Outcome, Progress, Pruned, Release,
    ReleaseId, Remy, State, Statement, Verified,
};
use serde::Serialize;
use std::{
    path::{Path, PathBuf},
    sync::atomic::AtomicBool,
};

/// What every verb returns.
pub type Result<T> = std::result::Result<T, AppError>;

/// Opens a live database, in the way of a face.
type Open = Box<dyn Fn(&Path) -> remy_db::Result<Remy> + Send + Sync>;

/// A folder, and its live database.
pub struct Project {
    place: Place,
    open: Open,
}

/// A line of what is being done: of a build, before its release has a number, or of a verb on the
/// database.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Told<'a> {
    /// Of a build.
    Build {
        /// None yet.
        release: Option<ReleaseId>,
        /// None yet.
        seq: Option<i64>,
        /// What was done.
        #[serde(flatten)]
        line: &'a build::log::Line,
    },
    /// Of the database.
    Release(&'a Line),
}

/// Who follows a verb, and may call it off.
#[derive(Clone, Copy)]
pub struct Follow<'a> {
    /// Is told each line, once.
    pub on_line: &'a (dyn Fn(&Told<'_>) + Send + Sync),
    /// The verb stops at its next step once this is true.
    pub cancel: &'a AtomicBool,
}

/// A file of a release, with what it holds.
#[derive(Debug, Serialize)]
pub struct CheckedOut {
    /// The release.
    pub release: ReleaseId,
    /// Where its files are now.
    pub dir: PathBuf,
    /// How many there are.
    pub files: usize,
}

impl<'a> Follow<'a> {
    /// For a verb on the database.
    fn with<T>(&self, work: impl FnOnce(Progress<'_>) -> T) -> T {
        let on_line = |line: &Line| (self.on_line)(&Told::Release(line));
        work(Progress::none().on_line(&on_line).cancel(self.cancel))
    }

    /// For a verb whose lines nobody follows.
    fn quietly(&self) -> Progress<'a> {
        Progress::none().cancel(self.cancel)
    }

    fn cancel(&self) -> Cancel<'a> {
        Cancel(self.cancel)
    }
}

impl Project {
    /// The folder `dir`, whose manifest may be there or above, as git finds its root. `open` opens a
    /// live database.
    ///
    /// Fails as [`place::find`] does.
    pub fn find(
        dir: &Path,
        named: &Named,
        open: impl Fn(&Path) -> remy_db::Result<Remy> + Send + Sync + 'static,
    ) -> Result<Self> {
        Ok(Self::at(place::find(dir, named)?, open))
    }

    /// The one at a place that was found before.
    pub fn at(
        place: Place,
        open: impl Fn(&Path) -> remy_db::Result<Remy> + Send + Sync + 'static,
    ) -> Self {
        Self {
            place,
            open: Box::new(open),
        }
    }

    /// Where it is.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// What a publish would do to live as it is now.
    pub fn diff(&self, schema: Option<&str>, options: &Options) -> Result<Vec<Statement>> {
        let source = self.source(schema)?;
        let (path, options) = self.declared(&source, options)?;
        self.on_live(live::May::Try { create: false }, |remy| {
            Ok(remy.diff(&path, &options)?)
        })
    }

    /// Makes a kept or staged release live; without a number the newest staged one.
    pub fn promote(
        &self,
        release: Option<ReleaseId>,
        options: &Options,
        follow: Follow<'_>,
    ) -> Result<Outcome> {
        let options = self.settled(options);
        self.on_it(|remy| follow.with(|progress| remy.promote(release, &options, progress)))
    }

    /// Makes an earlier release live again.
    pub fn rollback(
        &self,
        release: Option<ReleaseId>,
        options: &Options,
        follow: Follow<'_>,
    ) -> Result<Outcome> {
        let options = self.settled(options);
        self.on_it(|remy| follow.with(|progress| remy.rollback(release, &options, progress)))
    }

    /// The history, newest first.
    pub fn releases(&self) -> Result<Vec<Release>> {
        self.on_it(Remy::releases)
    }

    /// The statements that make the schema of live anew, or that of a release.
    pub fn schema(&self, release: Option<ReleaseId>) -> Result<Dumped> {
        self.on_it(|remy| remy.schema(release))
    }

    /// The log of a release, or of the newest one.
    pub fn build_log(&self, release: Option<ReleaseId>) -> Result<Vec<Line>> {
        self.on_it(|remy| remy.build_log(release))
    }

    /// Copies live to `path`, which must not be there.
    pub fn clone_to(&self, path: &Path, follow: Follow<'_>) -> Result<Cloned> {
        self.on_it(|remy| remy.clone_to_with(path, follow.quietly()))
    }

    /// Drops old snapshots.
    pub fn prune(
        &self,
        days: Option<u32>,
        options: &Options,
        follow: Follow<'_>,
    ) -> Result<Pruned> {
        self.on_it(|remy| remy.prune_with(days, options, follow.quietly()))
    }

    /// Reads everything again.
    pub fn verify(&self, options: &Options, follow: Follow<'_>) -> Result<Verified> {
        let options = self.settled(options);
        self.on_it(|remy| follow.with(|progress| remy.verify_with(&options, progress)))
    }

    /// Drops remy's tables from live.
    pub fn detach(&self) -> Result<Detached> {
        self.on_it(Remy::detach)
    }

    /// What remy runs on.
    pub fn debug(&self) -> Result<Debug> {
        self.on_it(Remy::debug)
    }

    /// Takes a copy of live for a dev session.
    pub fn dev_start(&self, name: &str, follow: Follow<'_>) -> Result<Dev> {
        self.on_it(|remy| remy.dev_start_with(name, follow.quietly()))
    }

    /// Makes the database of a dev session as live is now.
    pub fn dev_reset(&self, name: &str, follow: Follow<'_>) -> Result<Dev> {
        self.on_it(|remy| remy.dev_reset_with(name, follow.quietly()))
    }

    /// Empties the tables of a dev session.
    pub fn dev_truncate(&self, name: &str, options: &Options, follow: Follow<'_>) -> Result<Dev> {
        let options = self.settled(options);
        self.on_it(|remy| remy.dev_truncate_with(name, &options, follow.quietly()))
    }

    /// Ends a dev session.
    pub fn dev_stop(&self, name: &str) -> Result<Dev> {
        self.on_it(|remy| remy.dev_stop(name))
    }

    /// The dev sessions, newest first.
    pub fn dev_list(&self) -> Result<Vec<Dev>> {
        self.on_it(Remy::dev_list)
    }

    /// The files of a release, or only those at or below a path.
    ///
    /// Fails with `not_found` where there is no such release, none of its files, or no such path.
    pub fn files(&self, release: ReleaseId, path: Option<&str>) -> Result<Vec<files::Listed>> {
        let folder = self.folder(release)?;
        let found = files::list_all(&folder, path)?;
        match path {
            Some(path) if found.is_empty() => Err(no_file(release, path)),
            _ => Ok(found),
        }
    }

    /// What a file of a release holds.
    pub fn read_file(&self, release: ReleaseId, path: &str) -> Result<Vec<u8>> {
        files::read(&self.folder(release)?, path)?.ok_or_else(|| no_file(release, path))
    }

    /// Copies the files of a release into a folder that is absent or empty.
    pub fn checkout(
        &self,
        release: ReleaseId,
        dir: &Path,
        follow: Follow<'_>,
    ) -> Result<CheckedOut> {
        let files = files::checkout(&self.folder(release)?, dir, follow.cancel())?;
        Ok(CheckedOut {
            release,
            dir: dir.to_owned(),
            files,
        })
    }

    /// The folder of a release's files.
    fn folder(&self, release: ReleaseId) -> Result<PathBuf> {
        self.on_live(live::May::Not, |remy| {
            let store = PathBuf::from(remy.debug()?.store);
            let all: Vec<_> = remy.releases()?.iter().map(files::Release::from).collect();
            files::folder_of(&store, &all, release.0)
        })
    }

    /// Runs `verb` on live, which has to be there.
    fn on_it<T>(&self, verb: impl FnOnce(&Remy) -> remy_db::Result<T>) -> Result<T> {
        self.on_live(live::May::Not, |remy| Ok(verb(remy)?))
    }

    /// Options, with what remy.json says where they say nothing.
    fn settled(&self, options: &Options) -> Options {
        let mut options = options.clone();
        if options.extensions.is_empty() {
            options.extensions.clone_from(&self.place.extensions);
        }
        options
    }
}

fn no_file(release: ReleaseId, path: &str) -> AppError {
    Error::not_found(format!("release {release} has no file {path}"))
        .state(State::NothingDone)
        .hint(remy_db::remedy![
            remy_db::VerbName::Files.of(release),
            " lists them"
        ])
        .object(path)
        .into()
}
