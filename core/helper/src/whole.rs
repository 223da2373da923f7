//! A whole app, where a verb is given its manifest: it is built here, and published with all that it
//! declares, as the command does.

use crate::verb::Verb;
use remy_db::{Error, Place, Remy, Result, State, internals::json::of_result as json};
use remy_db_app::{
    place::{self, From},
    project::{Follow, Project, Publish},
};
use std::path::{Path, PathBuf};

impl Verb {
    /// Publishes the app in the folder `root`.
    ///
    /// Fails with `invalid_argument` where the caller may not load libraries: what npm runs, and the
    /// app's own build, are code, and whoever can slip a statement in could run anything.
    pub(crate) fn run_whole(
        &self,
        root: &Path,
        place: &Place,
        follow: Follow<'_>,
    ) -> Result<String> {
        if !place.may_load {
            return Err(Error::invalid_argument(format!(
                "this connection may not load libraries, and the app in {} is built by code of its own",
                root.display()
            ))
            .object(root.display().to_string())
            .state(State::NothingDone)
            .hint("Turn loading on for this connection, as `SELECT load_extension()` needs it; or use the command, Node.js or C"));
        }
        let at = place::Place {
            root: Some(root.to_owned()),
            base: root.to_owned(),
            path: PathBuf::from(&place.path),
            from: From::Caller,
            schema: None,
            extensions: Vec::new(),
            timezone: None,
            durability: place::Durability::default(),
        };
        let place = place.clone();
        let project = Project::at(at, move |_| Remy::at(&place));
        let publish = Publish {
            options: self.options()?,
            ..Publish::default()
        };
        let outcome = match self {
            Self::Stage { .. } => project.stage(&publish, follow),
            _ => project.publish(&publish, follow),
        };
        json(&outcome.map_err(remy_db_app::AppError::into_error)?)
    }
}
