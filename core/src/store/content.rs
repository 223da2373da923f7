//! Whether files that are given hold what is kept with a release.

use crate::{
    base::{
        error::{Context, Result},
        ids::ReleaseId,
    },
    os::{copy, hash},
    store::{Store, artifacts, place},
};
use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// What an app's build says of itself. It names the commit, which is of the release, and no content:
/// two of them may hold the same.
const DESCRIPTION: &str = "app.json";

/// Whether `given` holds what is kept of the files of `kept`, byte for byte; or neither is there.
pub(crate) fn is_kept(
    store: &Store,
    kept: Option<ReleaseId>,
    given: Option<&Path>,
) -> Result<bool> {
    let (kept, given) = match (kept, given) {
        (Some(kept), Some(given)) => (kept, given),
        (kept, given) => return Ok(kept.is_none() && given.is_none()),
    };
    let given = artifacts::apart(store, given)?;
    Ok(content(&given)? == content(&store.path(&place::files(kept)))?)
}

/// A file's content by its name, below a folder or alone. What `artifacts::keep` passes over is no
/// part of it.
fn content(root: &Path) -> Result<BTreeMap<PathBuf, String>> {
    let (mut names, mut content) = (Vec::new(), BTreeMap::new());
    let folder = match root.is_dir() {
        true => {
            artifacts::list(root, Path::new(""), &mut names)?;
            root
        }
        false => {
            names.extend(root.file_name().map(PathBuf::from));
            root.parent().unwrap_or(root)
        }
    };
    for name in names {
        let path = folder.join(&name);
        let doing = || format!("reading {}", path.display());
        let found = fs::symlink_metadata(&path).context(doing)?;
        let holds = if found.is_symlink() {
            artifacts::pointing_at(&fs::read_link(&path).context(doing)?)
        } else if found.is_file() {
            let runs = if found.mode() & 0o100 != 0 { "x" } else { "" };
            let is_description = name == Path::new(DESCRIPTION);
            format!(
                "{}{runs}",
                copy::read_foreign(&path, |file| hash_of(file, is_description))?
            )
        } else {
            continue;
        };
        content.insert(name, holds);
    }
    Ok(content)
}

fn hash_of(mut file: fs::File, is_description: bool) -> io::Result<String> {
    let mut whole = Vec::new();
    if is_description {
        file.read_to_end(&mut whole)?;
        if let Some(said) = without_commit(&whole) {
            whole = said;
        }
        return Ok(hash::copy_and_hash(&mut whole.as_slice(), &mut io::sink())?.hash);
    }
    Ok(hash::copy_and_hash(&mut file, &mut io::sink())?.hash)
}

/// A description without the commit. `None` where it is none: a file of that name may be anything.
fn without_commit(text: &[u8]) -> Option<Vec<u8>> {
    let mut said: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(text).ok()?;
    said.remove("commit");
    said.remove("dirty");
    serde_json::to_vec(&said).ok()
}
