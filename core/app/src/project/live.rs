//! The live database of a folder: there, still to be made, or lost.

use super::folder::{Project, Result};
use crate::{
    build::disk::At,
    place::{self, From},
    work,
};
use remy_db::{Error, OptionName, Remedy, Remy, State, VerbName, remedy};
use std::{env, fs, path::Path};

/// What may be done where live is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum May {
    /// Nothing.
    Not,
    /// It may be tried on an empty database that is not kept, where live could be made.
    Try {
        /// As of [`May::Make`].
        create: bool,
    },
    /// It may be made. `create`: also where somebody named it, and may have named it wrongly.
    Make {
        /// The caller says that it is to be made.
        create: bool,
    },
}

impl Project {
    /// Does `run` on live.
    ///
    /// Fails with `not_found` where live is not there and may not be made, and where it was there and
    /// is lost.
    pub(super) fn on_live<T>(&self, may: May, run: impl FnOnce(&Remy) -> Result<T>) -> Result<T> {
        let path = &self.place.path;
        if place::is_there(path) {
            return run(&(self.open)(path)?);
        }
        self.is_to_be(may)?;
        if matches!(may, May::Try { .. }) {
            let folder = work::folder(&env::temp_dir(), "remy-trial-")?;
            let empty = folder.path().join("live.db");
            fs::write(&empty, "").at("writing", &empty)?;
            return run(&(self.open)(&empty)?);
        }
        self.place.make()?;
        let remy = (self.open)(path)?;
        run(&remy).inspect_err(|_| {
            // What is refused before there is a store leaves nothing. Where somebody else has begun on
            // the database meanwhile, it is theirs.
            let _ = remy.remove_if_empty();
        })
    }

    /// Live is there, or is still to be made, where that may be. With a store beside it, it is
    /// neither: it was there, and is lost.
    pub(super) fn is_to_be(&self, may: May) -> Result<()> {
        let (path, from) = (&self.place.path, self.place.from);
        if place::is_there(path) {
            return Ok(());
        }
        let shown = path.display();
        if let Some(store) = place::store_beside(path) {
            let snapshots = store.join("snapshots");
            let store = store.display();
            let hint = format!(
                "Copy the newest database of {} to {shown} and make it writable to have it back, or move {store} away to begin anew",
                snapshots.display()
            );
            let what = format!("{shown} is gone, and {store} keeps its releases");
            return Err(missing(what, hint.into(), path).into());
        }
        let is_ours = from == From::Default;
        let may = match may {
            May::Not => false,
            May::Try { create } | May::Make { create } => create || is_ours,
        };
        if may {
            return Ok(());
        }
        let hint = match is_ours {
            true => remedy![
                VerbName::Publish,
                " makes it; ",
                OptionName::Db,
                " names another"
            ],
            false => remedy![
                "Check the path; ",
                VerbName::Publish.with(OptionName::Create),
                " makes a new one"
            ],
        };
        Err(missing(format!("there is no database at {shown}"), hint, path).into())
    }
}

fn missing(what: String, hint: Remedy, path: &Path) -> Error {
    Error::not_found(what)
        .state(State::NothingDone)
        .hint(hint)
        .object(path.display().to_string())
}
