//! A verb and its arguments, as they go from one process to another, and what runs it in either.

use remy_db::{
    BuildFailure, Error, Options, Place, Progress, ReleaseId, Remy, Result, State, VerbName,
    internals::{
        declare::{self, Source},
        json::of_result as json,
        verbs::number_of_days,
    },
    remedy,
};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// A verb with its arguments. `options` is a JSON object, or nothing.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "camelCase", deny_unknown_fields)]
#[allow(missing_docs, reason = "docs/contract.md says what each verb takes")]
pub enum Verb {
    /// Looks whether the database can be worked on, and returns its device and inode.
    Open,
    Debug,
    Diff {
        schema: String,
        options: String,
    },
    Clone {
        path: String,
    },
    Stage {
        schema: String,
        options: String,
    },
    Publish {
        schema: String,
        options: String,
    },
    /// Records a release that could not be built: `failure` is a `BuildFailure` as JSON.
    Fail {
        failure: String,
        options: String,
    },
    Promote {
        release: Option<ReleaseId>,
        options: String,
    },
    Rollback {
        release: Option<ReleaseId>,
        options: String,
    },
    Releases,
    BuildLog {
        release: Option<ReleaseId>,
    },
    DevStart {
        name: String,
    },
    DevReset {
        name: String,
    },
    DevTruncate {
        name: String,
        options: String,
    },
    DevStop {
        name: String,
    },
    DevList,
    Prune {
        /// From 0.
        days: Option<i64>,
        options: String,
    },
    Verify {
        options: String,
    },
    Detach,
}

impl Verb {
    /// Runs it, and returns its result as JSON.
    pub fn run(&self, remy: &Remy, progress: Progress<'_>) -> Result<String> {
        if let Some(root) = self.app()? {
            return Err(not_here(&root));
        }
        let options = || self.options();
        match self {
            Self::Open => json(&remy.place().file),
            Self::Debug => json(&remy.debug()?),
            Self::Diff { schema, .. } => json(&remy.diff(schema, &options()?)?),
            Self::Clone { path } => json(&remy.clone_to_with(path, progress)?),
            Self::Stage { schema, .. } => json(&remy.stage(schema, &options()?, progress)?),
            Self::Publish { schema, .. } => json(&remy.publish(schema, &options()?, progress)?),
            Self::Fail { failure, .. } => {
                let failure = BuildFailure::from_json(failure)?;
                json(&remy.fail(&failure, &options()?, progress)?)
            }
            Self::Promote { release, .. } => {
                json(&remy.promote(*release, &options()?, progress)?)
            }
            Self::Rollback { release, .. } => {
                json(&remy.rollback(*release, &options()?, progress)?)
            }
            Self::Releases => json(&remy.releases()?),
            Self::BuildLog { release } => json(&remy.build_log(*release)?),
            Self::DevStart { name } => json(&remy.dev_start_with(name, progress)?),
            Self::DevReset { name } => json(&remy.dev_reset_with(name, progress)?),
            Self::DevTruncate { name, .. } => {
                json(&remy.dev_truncate_with(name, &options()?, progress)?)
            }
            Self::DevStop { name } => json(&remy.dev_stop(name)?),
            Self::DevList => json(&remy.dev_list()?),
            Self::Prune { .. } => json(&remy.prune_with(self.days()?, &options()?, progress)?),
            Self::Verify { .. } => json(&remy.verify_with(&options()?, progress)?),
            Self::Detach => json(&remy.detach()?),
        }
    }

    /// Its options; those by default where it takes none.
    pub fn options(&self) -> Result<Options> {
        match self {
            Self::Diff { options, .. }
            | Self::Stage { options, .. }
            | Self::Publish { options, .. }
            | Self::Fail { options, .. }
            | Self::Promote { options, .. }
            | Self::Rollback { options, .. }
            | Self::DevTruncate { options, .. }
            | Self::Prune { options, .. }
            | Self::Verify { options } => Options::from_json(options),
            _ => Ok(Options::default()),
        }
    }

    /// Refuses arguments that are none, before the database is looked at.
    pub fn check(&self) -> Result<()> {
        self.options()?;
        self.days()?;
        match self {
            Self::Fail { failure, .. } => BuildFailure::from_json(failure).map(|_| ()),
            _ => Ok(()),
        }
    }

    /// Its number of days, where it has one, which may be none.
    fn days(&self) -> Result<Option<u32>> {
        match self {
            Self::Prune { days, .. } => days.map(number_of_days).transpose(),
            _ => Ok(None),
        }
    }

    /// The folder of the app that it publishes whole: one whose code and effects are not given
    /// beside its manifest.
    pub(crate) fn app(&self) -> Result<Option<PathBuf>> {
        let (Self::Publish { schema, .. } | Self::Stage { schema, .. }) = self else {
            return Ok(None);
        };
        let Source::App(manifest) = Source::of(schema) else {
            return Ok(None);
        };
        let options = self.options()?;
        if options.artifacts.is_some() || options.effects.is_some() {
            return Ok(None);
        }
        let manifest = std::path::absolute(&manifest).unwrap_or(manifest);
        Ok(Some(manifest.parent().unwrap_or(Path::new("/")).to_owned()))
    }

    /// The declared schema that it is given.
    pub(crate) fn schema(&self) -> Option<&str> {
        match self {
            Self::Diff { schema, .. }
            | Self::Stage { schema, .. }
            | Self::Publish { schema, .. } => Some(schema),
            _ => None,
        }
    }

    /// Refuses a declared schema that the SQLite of this process does not read. Of another database
    /// and of an app it reads nothing: what they come to is looked at before it goes live.
    pub fn is_read_here(&self, place: &Place) -> Result<()> {
        let options = self.options()?;
        let Some(schema) = self.schema() else {
            return Ok(());
        };
        // Who may not load libraries is refused for that, and has none loaded here.
        if !options.extensions.is_empty() && !place.may_load {
            return Ok(());
        }
        match Source::of(schema) {
            Source::Database(_) | Source::App(_) => Ok(()),
            _ => declare::declared(schema, &options).map(|_| ()),
        }
    }

    /// Whether it changes nothing.
    pub fn only_reads(&self) -> bool {
        matches!(
            self,
            Self::Diff { .. } | Self::Releases | Self::BuildLog { .. } | Self::DevList
        )
    }

    /// Whether it reads or writes files as who calls: what is declared, and a clone, are the
    /// caller's, and not live's owner's.
    pub(crate) fn has_files_of_the_caller(&self) -> Result<bool> {
        let declared = self
            .schema()
            .is_some_and(|schema| !matches!(Source::of(schema), Source::Sql(_)));
        // An app's own files are, and what its build runs is not to be root's.
        let declared = declared && self.app()?.is_none();
        Ok(declared || matches!(self, Self::Clone { .. }) || self.options()?.migrations.is_some())
    }
}

/// Refuses an app where it cannot be built: in the process of a host, whose children, signals and
/// descriptors are its own.
fn not_here(root: &Path) -> Error {
    Error::invalid_argument(format!(
        "the app in {} is built in a process of its own, and verbs run in this one",
        root.display()
    ))
    .object(root.display().to_string())
    .state(State::NothingDone)
    .hint(remedy![
        "Publish it with the command; ",
        VerbName::Debug,
        " says why no process was started"
    ])
}
