//! A copy of what a release was, for who runs its code again.

use crate::{
    base::{
        error::{Context, Result},
        ids::ReleaseId,
        progress::Progress,
    },
    live::database::Live,
    os::files,
    release::reading::Reading,
    sqlite::{backup_api::Backup, tx},
};
use rusqlite::Connection;
use std::path::Path;

/// Copies the database of a release to `to`, which must not be there. By SQLite, as a preview may be
/// written to meanwhile.
pub(crate) fn copy_release(
    live: &Live,
    release: ReleaseId,
    to: &Path,
    progress: Progress<'_>,
) -> Result<()> {
    let doing = || format!("copying the database of release {release}");
    let reading = Reading::release(live, release)?;
    files::create_with_owner_of(&live.path, to)?;
    let copy = Connection::open(to).context(doing)?;
    // One point in time: without it each commit of somebody else's would begin the copy again.
    let tx = tx::begin(&reading).context(doing)?;
    Backup::new(&tx, &copy)?.run(&|| progress.check())
}
