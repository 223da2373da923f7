//! As whom methods run, and their secrets and records are kept: live's owner's.

use crate::{failure::Result, name::called};
use remy_db::{
    Error, Remy, State, become_owner_of,
    internals::owner::{forget_environment, name, user},
};
use remy_db_app::project::Project;
use std::os::unix::fs::MetadataExt as _;

/// Makes root's process that of live's owner. Anybody else stays who they are.
pub(super) fn become_owner(project: &Project) -> Result<()> {
    if user() != 0 {
        return Ok(());
    }
    let live = &project.place().path;
    let file = Remy::open(live)?.place().file;
    // Reads the environment, once: the thread that waits for signals has no need to.
    called();
    Ok(become_owner_of(live, file, forget_environment)?)
}

/// The same, for code of the app's. That of somebody else's folder is never root's to run, also
/// where live is root's.
pub(super) fn become_who_runs(project: &Project) -> Result<()> {
    become_owner(project)?;
    let folder = project.place().root.as_deref();
    let whose = folder.and_then(|folder| Some((folder, folder.metadata().ok()?.uid())));
    let Some((folder, whose)) = whose.filter(|(_, whose)| user() == 0 && *whose != 0) else {
        return Ok(());
    };
    let live = project.place().path.display().to_string();
    let (folder, whose) = (folder.display(), name(whose));
    Err(Error::invalid_argument(format!(
        "{folder} is {whose}'s, and {live} is root's: root does not run the methods of somebody else's app"
    ))
    .object(live.clone())
    .state(State::NothingDone)
    .hint(format!("Give {live} and {live}-remy to {whose}"))
    .into())
}
