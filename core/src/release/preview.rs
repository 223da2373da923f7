//! Previews: a staged release with a database of its own, to try it on. Live is not touched;
//! promoting it later clones afresh, so that nothing that happened since is lost.

use crate::{
    base::error::{Context, Error, Result},
    live::{database::Live, marker},
    os::files,
    release::context::Run,
    store::{names, place},
    switch::{engine, overlay::OpenOverlay},
};
use std::fs;

/// Refuses a name that cannot be a file's.
pub(crate) fn check_name(name: &str) -> Result<()> {
    names::check_name("preview", name)
}

/// Makes the rehearsed image the database of a preview. Connections that have an earlier one of
/// that name open stay valid.
pub(crate) fn put(run: &Run<'_>, image: OpenOverlay, name: &str) -> Result<()> {
    let store = &run.session.store;
    let path = store.path(&place::preview(name));
    // What was published into an earlier one of that name is of a database that goes now.
    store.remove(&format!("{}-remy", place::preview(name)))?;
    if path.exists() {
        let old = run.live.sibling(&path)?;
        let same_shape = {
            let (now, then) = (run.live.shape(image.conn())?, old.shape(&*old.connect()?)?);
            (now.page_size, now.encoding) == (then.page_size, then.encoding)
        };
        // Durably, and before its database is another's: a process that dies here leaves no release
        // that is said to be there to try, and is not.
        let replaced = store
            .catalog
            .previews()?
            .into_iter()
            .find(|(_, of, _)| of == name)
            .map(|(release, ..)| release);
        if let Some(release) = replaced {
            store.catalog.end_preview(release)?;
        }
        let switch_of = |old: &Live| {
            Ok::<_, Error>(marker::read(&*old.connect()?)?.map(|marker| marker.switch_id))
        };
        if same_shape {
            let before = switch_of(&old)?;
            let timeout = run.options.lock_timeout();
            let done = engine::of(&old).overwrite(&old, &image, timeout);
            if let (Err(_), Some(release)) = (&done, replaced)
                && switch_of(&old)? == before
            {
                store.catalog.set_preview(release, name)?;
            }
            return done;
        }
        drop(old);
        store.remove_database(&path)?;
    }
    image
        .conn()
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .context(|| format!("writing the preview {name}"))?;
    let image = image.close()?;
    let made = image.path();
    fs::File::open(made)
        .and_then(|file| file.sync_all())
        .context(|| format!("syncing {}", made.display()))?;
    store.catalog.will_remove("previews", name)?;
    files::rename_new(made, &path)?;
    files::sync_name(&path)?;
    store.remove_database(made)
}
