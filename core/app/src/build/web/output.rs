//! What a build wrote.

use crate::build::{
    Cancel, Result,
    disk::{self, At},
    path,
    workspaces::folder_of,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::MetadataExt as _,
    path::Path,
};

/// Where a build leaves its output, the first that it wrote to.
pub(super) const FOLDERS: [&str; 3] = ["dist", "build", "out"];

/// They, as a sentence has them.
pub(super) fn folders() -> String {
    FOLDERS.map(|name| format!("{name}/")).join(", ")
}

/// Files of a folder, in order; a link counts as what it leads to. Nothing, where there is no folder.
pub(super) fn files_in(folder: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    if folder.is_dir() {
        walk(folder, "", &mut Vec::new(), &mut found)?;
    }
    found.sort();
    Ok(found)
}

/// `around` are the folders that are being walked: a link to one of them leads in a circle.
fn walk(top: &Path, at: &str, around: &mut Vec<(u64, u64)>, found: &mut Vec<String>) -> Result<()> {
    let folder = top.join(at);
    let looks = folder.metadata().at("reading", &folder)?;
    if around.contains(&(looks.dev(), looks.ino())) {
        return Ok(());
    }
    around.push((looks.dev(), looks.ino()));
    for entry in fs::read_dir(&folder).at("reading", &folder)? {
        let name = entry.at("reading", &folder)?.file_name();
        let path = path::normalize(&format!("./{at}/{}", name.to_string_lossy()));
        match top.join(&path).metadata() {
            Ok(looks) if looks.is_dir() => walk(top, &path, around, found)?,
            Ok(looks) if looks.is_file() => found.push(path),
            // Neither a link that leads nowhere nor a socket can be served.
            _ => {}
        }
    }
    around.pop();
    Ok(())
}

/// Copies files of a folder to another. Returns how many bytes they have.
pub(super) fn copy<'p>(
    from: &Path,
    to: &Path,
    paths: impl IntoIterator<Item = &'p String>,
    cancel: Cancel<'_>,
) -> Result<u64> {
    let paths: Vec<&String> = paths.into_iter().collect();
    let folders: BTreeSet<&str> = paths.iter().map(|path| path::parent(path)).collect();
    for folder in folders.into_iter().chain([""]) {
        // Of a folder that is not there, `.` is none either.
        let folder = to.join(folder_of(folder));
        fs::create_dir_all(&folder).at("making the folder", &folder)?;
    }
    let copied = disk::together(paths, cancel, |path| {
        disk::copy(&from.join(path), &to.join(path))
    })?;
    Ok(copied.into_iter().sum())
}

/// What the files of all outputs of a project look like, to see which of them a build wrote: by the
/// ctime, which no copy keeps.
pub(super) fn stamps(project: &Path) -> Result<BTreeMap<String, (u64, i64, i64)>> {
    let mut found = BTreeMap::new();
    for name in FOLDERS {
        for file in files_in(&project.join(name))? {
            let path = format!("{name}/{file}");
            let at = project.join(&path);
            let looks = at.metadata().at("reading", &at)?;
            found.insert(path, (looks.ino(), looks.ctime(), looks.ctime_nsec()));
        }
    }
    Ok(found)
}
