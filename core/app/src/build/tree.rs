//! The staged copy that packages are installed, methods compiled and web interfaces built in. It
//! stays in the cache between builds, so that installed packages do, and is made equal to the
//! release's source before each: whatever an earlier build wrote is gone.

use super::{Cancel, Entry, Files, Mode, Result, cache, disk, disk::At};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, Metadata},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// What was written, and what the file then looked like: by path.
type Index = BTreeMap<String, Written>;

#[derive(Clone, Serialize, Deserialize)]
struct Written {
    of: Entry,
    looks: String,
}

/// Makes `tree` hold exactly the files of `source`, and the folders of packages that still belong
/// to a package.json.
pub fn sync(source: &Path, tree: &Path, files: &Files, cancel: Cancel<'_>) -> Result<()> {
    let index_path = tree.with_added_extension("json");
    let index: Index = cache::read(&index_path).unwrap_or_default();
    surround(tree)?;
    let there = look(tree, files)?;
    let mut is_changed = false;
    for path in there.keys() {
        let name = path.to_str();
        if !name.is_some_and(|name| files.contains_key(name)) {
            remove(tree, path)?;
            is_changed |= name.is_some_and(|name| index.contains_key(name));
        }
    }
    let mut now = Index::new();
    let mut missing = Vec::new();
    for (path, entry) in files {
        let looks = there.get(Path::new(path));
        let written = index.get(path);
        let same = written.filter(|it| it.of == *entry && Some(&it.looks) == looks);
        if let Some(same) = same {
            now.insert(path.clone(), same.clone());
        } else {
            missing.push((path, entry));
        }
    }
    if missing.is_empty() && !is_changed {
        return Ok(());
    }
    let folders: BTreeSet<_> = missing
        .iter()
        .map(|(path, _)| super::path::parent(path))
        .collect();
    for folder in folders {
        let folder = tree.join(folder);
        fs::create_dir_all(&folder).at("making the folder", &folder)?;
    }
    let written = disk::together(missing, cancel, |(path, entry)| {
        let looks = write(&source.join(path), &tree.join(path), entry.mode)?;
        let of = entry.clone();
        Ok((path.clone(), Written { of, looks }))
    })?;
    now.extend(written);
    cache::write(&index_path, &now)
}

/// Keeps the tools of a build from looking further up than the copy.
fn surround(tree: &Path) -> Result<()> {
    // A tool that asks what is ignored (Tailwind scans what is not) stops at a repository's top.
    // Without one here it finds the user's, where `.remy` itself is ignored, and scans the packages
    // instead. git takes an empty folder for no repository and looks further up.
    let top = tree.join(".git");
    fs::create_dir_all(&top).at("making the folder", &top)?;
    // Compilers look for settings in all folders above a file: here, beside the copy, they find
    // that there are none, before they find those of whatever folder the app lies in.
    for name in ["tsconfig.json", "package.json"] {
        let none = tree.with_file_name(name);
        if !disk::exists(&none) {
            disk::write_whole(&none, b"{}\n")?;
        }
    }
    Ok(())
}

/// Every file of the tree and what it looks like. Folders of packages are not entered, and those
/// without their package.json removed. Names are of whoever built: no path of a release, perhaps.
fn look(tree: &Path, files: &Files) -> Result<BTreeMap<PathBuf, String>> {
    let mut there = BTreeMap::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let at = tree.join(&folder);
        for entry in fs::read_dir(&at).at("listing", &at)? {
            let entry = entry.at("listing", &at)?;
            let path = folder.join(entry.file_name());
            let kind = entry.file_type().at("looking at", &entry.path())?;
            if path == Path::new(".git") {
                continue;
            }
            if entry.file_name() == "node_modules" {
                let owner = folder.join("package.json");
                if !owner.to_str().is_some_and(|it| files.contains_key(it)) {
                    disk::remove(&entry.path())?;
                }
            } else if kind.is_dir() {
                folders.push(path);
            } else {
                let found = entry.metadata().at("looking at", &entry.path())?;
                there.insert(path, looks(&found));
            }
        }
    }
    Ok(there)
}

fn looks(found: &Metadata) -> String {
    format!(
        "{} {} {}.{} {}.{}",
        found.ino(),
        found.size(),
        found.mtime(),
        found.mtime_nsec(),
        found.ctime(),
        found.ctime_nsec()
    )
}

/// Writes a file of the release, and tells what it looks like.
fn write(from: &Path, to: &Path, mode: Mode) -> Result<String> {
    disk::remove(to)?;
    if mode == Mode::Link {
        let target = fs::read_link(from).at("reading", from)?;
        std::os::unix::fs::symlink(target, to).at("linking", to)?;
    } else {
        disk::copy(from, to)?;
    }
    Ok(looks(&to.symlink_metadata().at("looking at", to)?))
}

/// Removes a file, and the folders that it leaves empty.
fn remove(tree: &Path, path: &Path) -> Result<()> {
    disk::remove(&tree.join(path))?;
    for folder in path.ancestors().skip(1) {
        if folder.as_os_str().is_empty() || fs::remove_dir(tree.join(folder)).is_err() {
            break;
        }
    }
    Ok(())
}
