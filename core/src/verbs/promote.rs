//! Promote: a staged or kept release goes live.

use crate::{
    base::{
        error::{Error, Result, State},
        history::Status,
        ids::ReleaseId,
        options::Options,
        progress::Progress,
    },
    live::database::Live,
    release::{
        context::Call,
        outcome::Outcome,
        restore::{find, restore},
        session::Session,
    },
    verbs::publish,
};

/// Makes a staged or kept release live.
pub(crate) fn promote(
    live: &Live,
    release: Option<ReleaseId>,
    options: &Options,
    progress: Progress<'_>,
) -> Result<Outcome> {
    let call = Call::new(live, options, progress);
    live.libraries(options)?;
    let mut session = Session::begin_to_bring_back(live, options, progress)?;
    let entry = match release {
        Some(release) => find(&session, release)?,
        None => session.store.catalog.newest_compiled()?.ok_or_else(|| {
            Error::not_found("no release waits to be promoted")
                .state(State::LiveUnchanged)
                .hint("Stage one first, or name the release to promote")
        })?,
    };
    match entry.status {
        Status::Compiled | Status::Preview => {
            if let Some(lost) = session.lost {
                return Err(lost);
            }
            let adopted = session.adopt(live, options)?;
            publish::promote_compiled(&call, &session, adopted.as_ref(), &entry)
        }
        _ => restore(&call, session, &entry),
    }
}
