//! A dev session's database as it was: kept before something is tried on it, and put back.

use crate::{
    base::{error::Result, options::Options, progress::Progress},
    live::database::Live,
    release::session::Session,
    store::place,
    verbs::{
        clone,
        dev::{open, overwrite},
    },
};
use std::path::Path;

/// Copies a session's database to `path`, which must not be there. The copy is the caller's.
pub(crate) fn keep(live: &Live, name: &str, path: &Path, progress: Progress<'_>) -> Result<()> {
    let begun = Session::begin(live, &Options::default(), progress)?;
    open(&begun.store, name)?;
    let dev = live.sibling(&begun.store.path(&place::dev(name)))?;
    clone::copy(&dev, path, progress)
}

/// Makes a session's database equal to a copy that was kept of it, under its open connections.
pub(crate) fn put_back(live: &Live, name: &str, path: &Path, progress: Progress<'_>) -> Result<()> {
    let begun = Session::begin(live, &Options::default(), progress)?;
    open(&begun.store, name)?;
    let kept = live.sibling(path)?;
    overwrite(live, (&begun.store, name), (&kept, "the copy"), progress)?
        .map_err(|e| e.state("The session is as the copy is"))
}
