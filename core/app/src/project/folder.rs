//! A folder that is published, and who follows what is done with it.

use crate::{
    AppError,
    build::{self, Cancel, OnSaid},
    place::{self, Named, Place},
};
use remy_db::{Line, Object, Options, Progress, ReleaseId, Remy};
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
    pub(super) place: Place,
    pub(super) open: Open,
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
    /// Is asked whether who is to use a schema can read it.
    pub readers: Option<Readers<'a>>,
    /// Is told each line that a program of a build writes, as it is written.
    pub on_said: Option<OnSaid<'a>>,
}

/// Whether who is to use a schema can read it, as [`Progress::readers`] takes it.
pub type Readers<'a> = &'a (dyn Fn(&[Object]) -> remy_db::Result<()> + Send + Sync);

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
    /// Tells each line to `on_line`, and stops once `cancel` is true.
    pub fn new(on_line: &'a (dyn Fn(&Told<'_>) + Send + Sync), cancel: &'a AtomicBool) -> Self {
        Self {
            on_line,
            cancel,
            readers: None,
            on_said: None,
        }
    }

    /// Asks `readers` before a schema goes live.
    #[must_use]
    pub fn asking(mut self, readers: Option<Readers<'a>>) -> Self {
        self.readers = readers;
        self
    }

    /// Tells `on_said` what programs of a build write.
    #[must_use]
    pub fn hearing(mut self, on_said: Option<OnSaid<'a>>) -> Self {
        self.on_said = on_said;
        self
    }

    /// For a verb on the database.
    pub fn with<T>(&self, work: impl FnOnce(Progress<'_>) -> T) -> T {
        let on_line = |line: &Line| (self.on_line)(&Told::Release(line));
        work(self.quietly().on_line(&on_line))
    }

    /// For a verb whose lines nobody follows.
    pub(super) fn quietly(&self) -> Progress<'a> {
        let progress = Progress::none().cancel(self.cancel);
        match self.readers {
            Some(readers) => progress.readers(readers),
            None => progress,
        }
    }

    pub(super) fn cancel(&self) -> Cancel<'a> {
        Cancel::new(self.cancel).telling(self.on_said)
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

    /// Options, with what remy.json says where they say nothing.
    pub(super) fn settled(&self, options: &Options) -> Options {
        let mut options = options.clone();
        if options.extensions.is_empty() {
            options.extensions.clone_from(&self.place.extensions);
        }
        options
    }
}
