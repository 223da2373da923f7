//! Artifacts: the files that are kept with a release.
use crate::{
    error::{Context, Error, Result},
    settle,
    store::{self, Store},
};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Copies a file or folder into the store, for a release. Gives its place, relative to the store, and its hash.
pub(crate) fn keep(store: &Store, release: i64, from: &Path) -> Result<(String, String)> {
    if !from.exists() {
        return Err(Error::not_found(format!("there are no artifacts at {}", from.display()))
            .object(from.display().to_string())
            .state("Live is unchanged")
            .hint("Check the option artifacts; it is relative to the process"));
    }
    let place = format!("releases/{release}");
    let to = store.path(&place);
    // Copying live would close a descriptor of it, and with that drop every lock that this process holds on it; copying
    // the store would not end.
    let whole = from.canonicalize().context(|| format!("looking at {}", from.display()))?;
    if store.live_path().starts_with(&whole) || to.starts_with(&whole) {
        return Err(Error::invalid_argument(format!("{} holds the live database or its store", from.display()))
            .object(from.display().to_string())
            .state("Live is unchanged")
            .hint("Give a folder without them as artifacts"));
    }
    store.create_folder(&to)?;
    if from.is_dir() {
        copy(store, from, &to)?;
    } else {
        let name =
            from.file_name().ok_or_else(|| Error::invalid_argument(format!("{} has no name", from.display())))?;
        copy_file(from, &to.join(name))?;
    }
    store::sync_folder(&to)?;
    let hash = hash(&to)?;
    Ok((place, hash))
}

fn copy(store: &Store, from: &Path, to: &Path) -> Result<()> {
    for entry in fs::read_dir(from).context(|| format!("reading {}", from.display()))? {
        let entry = entry.context(|| format!("reading {}", from.display()))?;
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().context(|| format!("looking at {}", path.display()))?;
        if kind.is_dir() {
            store.create_folder(&target)?;
            copy(store, &path, &target)?;
        } else if kind.is_symlink() {
            let aim = fs::read_link(&path).context(|| format!("reading {}", path.display()))?;
            std::os::unix::fs::symlink(aim, &target).context(|| format!("making {}", target.display()))?;
        } else if kind.is_file() {
            copy_file(&path, &target)?;
        }
    }
    store::sync_folder(to)
}

fn copy_file(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to)
        .and_then(|_| fs::File::open(to)?.sync_all())
        .context(|| format!("copying {} to {}", from.display(), to.display()))
}

/// Removes what was kept for a release that failed.
pub(crate) fn forget(store: &Store, release: i64) -> Result<()> {
    let kept = store.path(&format!("releases/{release}"));
    if kept.exists() {
        fs::remove_dir_all(&kept).context(|| format!("removing {}", kept.display()))?;
    }
    store.catalog.set_artifacts(release, None, None)
}

/// One hash over names and contents, in the order of names.
pub(crate) fn hash(root: &Path) -> Result<String> {
    let mut names = Vec::new();
    list(root, Path::new(""), &mut names)?;
    names.sort();
    let mut hasher = blake3::Hasher::new();
    for name in names {
        let path = root.join(&name);
        let content = if path.is_symlink() {
            format!("-> {}", fs::read_link(&path).context(|| format!("reading {}", path.display()))?.display())
        } else {
            settle::hash(&path)?
        };
        hasher.update(name.as_os_str().as_encoded_bytes()).update(b"\0").update(content.as_bytes()).update(b"\0");
    }
    Ok(hasher.finalize().to_hex().to_string())
}

fn list(root: &Path, below: &Path, names: &mut Vec<PathBuf>) -> Result<()> {
    let folder = root.join(below);
    for entry in fs::read_dir(&folder).context(|| format!("reading {}", folder.display()))? {
        let entry = entry.context(|| format!("reading {}", folder.display()))?;
        let name = below.join(entry.file_name());
        if entry.file_type().context(|| format!("looking at {}", entry.path().display()))?.is_dir() {
            list(root, &name, names)?;
        } else {
            names.push(name);
        }
    }
    Ok(())
}
