//! The verb clone: a copy of live for somebody else.

use crate::{
    base::{
        clock,
        error::{Context, Error, Result, State},
        ids::ReleaseId,
        progress::Progress,
    },
    live::{beside, database::Live, marker},
    os::{
        copy::CopyMethod,
        files,
        part::{self, Part},
    },
    release::known,
    sqlite::calls,
    store::Store,
    switch::engine,
};
use serde::Serialize;
use std::{
    ffi::OsString,
    fs::File,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
};

/// Copies live to a file of the caller's. It is written under another name and synced before it has
/// its own: a copy that was cut off is none that somebody takes for whole.
pub(crate) fn clone_to(live: &Live, path: &Path, progress: Progress<'_>) -> Result<Cloned> {
    let start = clock::Moment::now();
    free(path)?;
    let (id, marker) = {
        let _acting = live.owner.act()?;
        let conn = live.connect()?;
        (calls::unique(&conn)?, marker::read(&conn)?)
    };
    part::remove_dead(&folder_of(path)?);
    let part = Part::make(&live.path, path, &id)?;
    let (bytes, method) = fill(live, &part.path, part.file()?, progress)?;
    part.finish(path)?;
    files::sync_name(path)?;
    Ok(Cloned {
        path: path.display().to_string(),
        bytes,
        // Who may read live need not be who may look into its store: the marker's number is told
        // then.
        release: known::number(Store::open(live).ok().flatten().as_ref(), marker.as_ref())?,
        method,
        duration_ms: clock::ms(start.elapsed()),
    })
}

/// Copies live to `path`, which must not be there, and syncs the copy.
pub(crate) fn copy(live: &Live, path: &Path, progress: Progress<'_>) -> Result<()> {
    let copied = fill(
        live,
        path,
        files::create_with_owner_of(&live.path, path)?,
        progress,
    );
    copied.map(drop).inspect_err(|_| {
        let _ = files::remove_if_there(path);
    })
}

/// Copies live into a file that was made for it, and syncs it and its name. Returns how many bytes
/// it has, and how it was made.
fn fill(live: &Live, path: &Path, file: File, progress: Progress<'_>) -> Result<(u64, CopyMethod)> {
    progress.check()?;
    engine::of(live).copy_live(live, path, file, progress)
}

/// Refuses a path that is taken, or that SQLite or a store would take for something else than a
/// database.
fn free(path: &Path) -> Result<()> {
    let refuse = |what: String, at: &Path, hint: &str| {
        Err(Error::invalid_argument(what)
            .object(at.display().to_string())
            .state(State::NothingDone)
            .hint(hint.to_owned()))
    };
    let Some(name) = path.file_name() else {
        let what = if path.as_os_str().is_empty() {
            "the path to clone to is empty".into()
        } else {
            format!("{} names no file", path.display())
        };
        return refuse(what, path, "Give a path that is free");
    };
    if let Some(suffix) = files::COMPANIONS
        .into_iter()
        .find(|suffix| name.as_bytes().ends_with(suffix.as_bytes()))
    {
        let what = format!(
            "{} ends in {suffix}, which is a name that SQLite gives to what it keeps beside a database",
            path.display()
        );
        return refuse(what, path, "Give the copy another name");
    }
    if let Some(store) = store_around(path)? {
        let what = format!(
            "{} is, or is in, {}, the place of a store",
            path.display(),
            store.display()
        );
        return refuse(what, path, "Give a path outside of it");
    }
    // A WAL or journal that another database left would be taken for the clone's, and played back
    // into it.
    let taken = [""]
        .into_iter()
        .chain(files::COMPANIONS)
        .map(|suffix| with(path, suffix))
        .find(|path| path.symlink_metadata().is_ok());
    if let Some(taken) = taken {
        return refuse(
            format!("{} is there already", taken.display()),
            &taken,
            "Give a path that is free",
        );
    }
    let store = beside::beside(path);
    if store.symlink_metadata().is_ok() {
        let what = format!(
            "{} is the place of the store of a database of that name",
            store.display()
        );
        return refuse(what, &store, "Give a path that is free, or move that away");
    }
    Ok(())
}

/// The folder that a path is in, links followed.
fn folder_of(path: &Path) -> Result<PathBuf> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    folder
        .canonicalize()
        .context(|| format!("looking for {}", folder.display()))
        .map_err(|e| {
            e.object(folder.display().to_string())
                .state(State::NothingDone)
                .hint("Give a path in a folder that is there")
        })
}

/// The store that a path would be, or be in: a folder with what a store has, or one of the name
/// that a store has beside its database.
fn store_around(path: &Path) -> Result<Option<PathBuf>> {
    let whole = folder_of(path)?.join(path.file_name().unwrap_or_default());
    let is_store = |at: &Path| {
        let of = at
            .file_name()
            .and_then(|name| name.as_bytes().strip_suffix(b"-remy"))
            .filter(|of| !of.is_empty());
        of.is_some_and(|of| {
            let database = at.with_file_name(OsString::from_vec(of.to_vec()));
            beside::is_beside(&database) || database.symlink_metadata().is_ok()
        })
    };
    Ok(whole
        .ancestors()
        .find(|at| is_store(at))
        .map(Path::to_owned))
}

fn with(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// A copy of live.
#[derive(Debug, Clone, Serialize)]
pub struct Cloned {
    /// Where it is.
    pub path: String,
    /// How large it is.
    pub bytes: u64,
    /// The release that was live.
    pub release: Option<ReleaseId>,
    /// How it was made.
    pub method: CopyMethod,
    /// How long it took.
    pub duration_ms: f64,
}
