//! Outputs that are kept in the cache for coming back to.

use super::{output, seen::Seen};
use crate::build::{
    Cancel, Result, cache,
    disk::{self, At},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs::{self, FileTimes},
    path::{Path, PathBuf},
    time::SystemTime,
};

/// How many are kept.
const KEPT: usize = 3;

/// What an output is.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Output {
    /// Its files, each with the hash of what it holds.
    pub files: BTreeMap<String, String>,
    /// How many bytes they have.
    pub bytes: u64,
}

/// What it was made of.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Of {
    /// Of all that the build may have read, as far as it was seen.
    pub key: String,
    /// Nothing, where it was not watched.
    pub seen: Option<Seen>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Described {
    of: Of,
    output: Output,
}

/// An output in the cache.
#[derive(Debug)]
pub(super) struct Kept {
    folder: PathBuf,
    pub output: Output,
}

impl Kept {
    /// Copies it. Returns whether it is what its description says: what else was copied is gone again.
    pub fn copy_to(&self, to: &Path, cancel: Cancel<'_>) -> Result<bool> {
        let from = self.folder.join("output");
        let is_there = |path: &String| from.join(path).is_file();
        let is_whole = self.output.files.keys().all(is_there) && {
            output::copy(&from, to, self.output.files.keys(), cancel)?;
            let is_same =
                |(path, hash): (&String, &String)| Ok(disk::hash_of(&to.join(path))? == *hash);
            let same = disk::together(&self.output.files, cancel, is_same)?;
            same.into_iter().all(|is_same| is_same)
        };
        if !is_whole {
            disk::remove(to)?;
        }
        Ok(is_whole)
    }
}

fn all(cache: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(cache.join("web"))
        .into_iter()
        .flatten()
        .flatten();
    entries.map(|entry| entry.path()).collect()
}

/// The kept output that a build would give again: what was seen of it has the key still.
pub(super) fn find(
    cache: &Path,
    key: impl Fn(Option<&Seen>) -> Result<String>,
) -> Result<Option<Kept>> {
    for folder in all(cache) {
        let Some(Described { of, output }) = cache::read(&folder.join("output.json")) else {
            continue;
        };
        if key(of.seen.as_ref())? == of.key {
            let now = FileTimes::new().set_modified(SystemTime::now());
            let used = fs::File::open(&folder).and_then(|folder| folder.set_times(now));
            used.at("touching", &folder)?;
            return Ok(Some(Kept { folder, output }));
        }
    }
    Ok(None)
}

/// Keeps the output of a folder, and forgets those that were not used for longest.
pub(super) fn keep(cache: &Path, from: &Path, of: Of, cancel: Cancel<'_>) -> Result<Kept> {
    let folder = cache.join("web").join(&of.key);
    let making = folder.with_added_extension("new");
    disk::remove(&making)?;
    disk::remove(&folder)?;
    let files = output::files_in(from)?;
    let kept = making.join("output");
    let bytes = output::copy(from, &kept, &files, cancel)?;
    let files = disk::together(files, cancel, |path| {
        let hash = disk::hash_of(&kept.join(&path))?;
        Ok((path, hash))
    })?;
    let files = files.into_iter().collect();
    let output = Output { files, bytes };
    let described = Described { of, output };
    cache::describe(&making.join("output.json"), &described, &kept)?;
    fs::rename(&making, &folder).at("moving", &making)?;
    let mut others = all(cache);
    others.sort_by_key(|folder| {
        let used = folder.metadata().and_then(|found| found.modified());
        std::cmp::Reverse(used.unwrap_or(SystemTime::UNIX_EPOCH))
    });
    for old in others.into_iter().skip(KEPT) {
        disk::remove(&old)?;
    }
    Ok(Kept {
        folder,
        output: described.output,
    })
}
