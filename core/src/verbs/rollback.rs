//! Roll back and promote: an earlier release's snapshot becomes live, under a new switch, as a
//! release of its own.

use crate::{
    base::{
        error::{Error, Result, State},
        history::Status,
        ids::ReleaseId,
        options::Options,
        progress::Progress,
        remedy::VerbName,
    },
    live::database::Live,
    release::{
        context::Call,
        outcome::Outcome,
        restore::{find, restore},
        session::Session,
    },
    remedy,
    store::catalog::releases::target,
};

/// Makes an earlier release live again: by default the one that was live before the live one was
/// first promoted.
pub(crate) fn rollback(
    live: &Live,
    release: Option<ReleaseId>,
    options: &Options,
    progress: Progress<'_>,
) -> Result<Outcome> {
    let call = Call::new(live, options, progress);
    live.libraries(options)?;
    let session = Session::begin_to_bring_back(live, options, progress)?;
    let entry = match release {
        Some(release) => find(&session, release)?,
        None => {
            if let Some(lost) = session.lost {
                return Err(lost);
            }
            let catalog = &session.store.catalog;
            let brought_back = catalog
                .release(session.release)?
                .and_then(|entry| entry.restored_from);
            let target = target(catalog, session.release)?.ok_or_else(|| {
                let what = match (session.release, brought_back) {
                    (ReleaseId::NONE, _) => format!("{} has no release yet, or was detached", live.shown()),
                    (release, None) => format!("release {release} is live, and none was before it"),
                    (release, Some(first)) => {
                        format!(
                            "release {release} is live, which brought back release {first}, and none was before that"
                        )
                    }
                };
                Error::no_previous_release(what)
                    .state(State::LiveUnchanged)
                    .hint(remedy!["Name a release to go to; ", VerbName::Releases, " lists them"])
            })?;
            find(&session, target)?
        }
    };
    if matches!(entry.status, Status::Compiled | Status::Preview) {
        return Err(Error::not_promotable(format!(
            "release {} has not been live yet",
            entry.release
        ))
        .state(State::LiveUnchanged)
        .hint(format!(
            "Promote release {}: that makes it live",
            entry.release
        )));
    }
    restore(&call, session, &entry)
}
