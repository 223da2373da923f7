//! Promote: a staged or kept release goes live.

use crate::{
    base::{
        clock::Moment,
        error::{Error, Result},
        history::{ReleaseId, Status},
        options::Options,
        progress::Progress,
    },
    live::database::Live,
    release::{
        outcome::Outcome,
        restore::{find, restore},
        session,
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
    let start = Moment::now();
    live.libraries(options)?;
    let mut begun = session::begin_to_bring_back(live, options, progress)?;
    let entry = match release {
        Some(release) => find(&begun, release)?,
        None => begun.store.catalog.newest_compiled()?.ok_or_else(|| {
            Error::not_found("no release waits to be promoted")
                .state("Live is unchanged")
                .hint("Stage one first, or name the release to promote")
        })?,
    };
    match entry.status {
        Status::Compiled | Status::Preview => {
            if let Some(lost) = begun.lost {
                return Err(lost);
            }
            let adopted = begun.adopt(live, options)?;
            publish::promote_compiled(
                live,
                &begun,
                adopted.as_ref(),
                &entry,
                options,
                progress,
                start,
            )
        }
        _ => restore(live, begun, &entry, options, progress, start),
    }
}
