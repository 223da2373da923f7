//! How a verb's release ends in the catalog.

use crate::{
    base::{error::Result, history::Status, ids::ReleaseId, options::Options},
    release::{outcome::Outcome, session::Session},
    store::{artifacts, log::Log},
};

/// Runs a verb's work, and leaves the release with `status` and its reason where it fails.
pub(crate) fn finish(
    session: &Session,
    release: ReleaseId,
    log: &Log<'_>,
    status: Status,
    work: impl FnOnce() -> Result<Outcome>,
) -> Result<Outcome> {
    work().map_err(|e| {
        let e = e.state(format!("Live is unchanged; release {release} is {status}"));
        log.end(&e);
        // A switch that is not decided may have made it live: recovery settles that, with its
        // files.
        if session
            .store
            .catalog
            .open_intents()
            .is_ok_and(|intents| intents.iter().any(|intent| intent.release == release))
        {
            return e;
        }
        let _ = session.store.catalog.set_failed(release, status);
        if session
            .store
            .catalog
            .release(release)
            .is_ok_and(|entry| entry.is_some_and(|entry| entry.status == Status::Failed))
        {
            let _ = artifacts::forget(&session.store, release);
        }
        e
    })
}

/// A commit may end in `-dirty`, as `git describe --dirty` has it.
pub(crate) fn created(release: ReleaseId, options: &Options) -> String {
    let from = options.commit.as_ref().map_or(String::new(), |commit| {
        match commit.strip_suffix("-dirty") {
            Some(commit) => format!(" from commit {commit} (working tree dirty)"),
            None => format!(" from commit {commit}"),
        }
    });
    format!("Release {release} created{from}")
}
