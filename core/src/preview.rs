//! Previews: a staged release with a database of its own, to try it on. Live is not touched; promoting it later clones
//! afresh, so that nothing that happened since is lost.
use crate::{
    dev,
    error::{Context, Result},
    job::Job,
    live::Access,
    pair::Pair,
    store::{self, Store},
    switch,
};
use std::fs;

/// Where the database of a preview stands, relative to the store.
pub(crate) fn place(name: &str) -> String {
    format!("previews/{name}.db")
}

/// Refuses a name that cannot be a file's.
pub(crate) fn check_name(name: &str) -> Result<()> {
    dev::check_name("preview", name)
}

/// Removes what is left of previews that are no more: superseded, promoted or pruned, or cut off before they were recorded.
/// Also the store of one that somebody published into.
pub(crate) fn tidy(store: &Store) -> Result<()> {
    let names: Vec<_> = store.catalog.previews()?.into_iter().map(|(_, name, _)| name).collect();
    let folder = store.path("previews");
    let doing = || format!("reading {}", folder.display());
    for entry in fs::read_dir(&folder).context(doing)? {
        let entry = entry.context(doing)?;
        let file = entry.file_name();
        let file = file.to_string_lossy();
        let is_of = |name: &String| {
            file.strip_prefix(name.as_str()).is_some_and(|rest| rest == ".db" || rest.starts_with(".db-"))
        };
        if names.iter().any(is_of) {
            continue;
        }
        if entry.file_type().context(doing)?.is_dir() {
            store::remove_folder(&entry.path())?;
        } else {
            store::remove(&entry.path())?;
        }
    }
    Ok(())
}

/// Makes the rehearsed image the database of a preview. Connections that have an earlier one of that name open stay valid.
pub(crate) fn put(job: &Job<'_>, image: &mut Pair, name: &str) -> Result<()> {
    let store = &job.begun.store;
    let path = store.path(&place(name));
    // What was published into an earlier one of that name is of a database that goes now.
    store::remove_folder(&store.path(&format!("{}-remy", place(name))))?;
    if path.exists() {
        let old = job.live.sibling(&path)?;
        let same_shape = {
            let (now, then) = (job.live.shape(image.open(job.live)?)?, old.shape(&*old.connect()?)?);
            (now.page_size, now.encoding) == (then.page_size, then.encoding)
        };
        if same_shape {
            return match old.access {
                Access::Pages => switch::overwrite(&old, image, job.options),
                Access::Backup => crate::backup::overwrite(&old, image, job.options),
            };
        }
        drop(old);
        store.remove_database(&path)?;
    }
    image
        .open(job.live)?
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .context(|| format!("writing the preview {name}"))?;
    image.close()?;
    let made = image.path().to_owned();
    fs::File::open(&made).and_then(|file| file.sync_all()).context(|| format!("syncing {}", made.display()))?;
    store::rename_new(&made, &path)?;
    store::sync_name(&path)?;
    store.remove_database(&made)
}
