//! Which files of a folder its .gitignore files leave, by git's rules, where there is no git to
//! ask: the last rule that says anything decides, inner files after outer ones, and nothing comes
//! back from a folder that is ignored.

use super::{Result, disk::At, git::Paths, private::is_private};
use ignore::{
    Match,
    gitignore::{Gitignore, GitignoreBuilder},
};
use std::{ffi::OsStr, fs, os::unix::ffi::OsStrExt, path::Path};

/// The rules of a folder's own .gitignore, and of those above it.
struct Rules<'a> {
    own: Gitignore,
    /// How long the path of their folder is, with its slash.
    at: usize,
    above: Option<&'a Rules<'a>>,
}

impl Rules<'_> {
    fn ignore(&self, path: &[u8], is_folder: bool) -> bool {
        let below = Path::new(OsStr::from_bytes(&path[self.at..]));
        match self.own.matched(below, is_folder) {
            Match::Ignore(_) => true,
            Match::Whitelist(_) => false,
            Match::None => self
                .above
                .is_some_and(|above| above.ignore(path, is_folder)),
        }
    }
}

/// The files below `root` that are not ignored.
pub(super) fn unignored(root: &Path) -> Result<Paths> {
    let mut paths = Vec::new();
    let mut file = |path| paths.push(path);
    walk(root, b"", None, &mut |_| Ok(true), &mut file)?;
    Ok(paths)
}

/// Asks for each folder that is not ignored whether to go into it, `root` first. Folders have a slash
/// behind their path, which is seen from `root`.
pub(super) fn walk_folders(
    root: &Path,
    enters: &mut dyn FnMut(&[u8]) -> Result<bool>,
) -> Result<()> {
    if !enters(b"")? {
        return Ok(());
    }
    walk(root, b"", None, enters, &mut drop)
}

/// `below` is the path of a folder, with its slash.
fn walk(
    root: &Path,
    below: &[u8],
    above: Option<&Rules<'_>>,
    enters: &mut dyn FnMut(&[u8]) -> Result<bool>,
    file: &mut dyn FnMut(Vec<u8>),
) -> Result<()> {
    let folder = root.join(OsStr::from_bytes(below));
    let own = Rules {
        own: rules(&folder)?,
        at: below.len(),
        above,
    };
    for entry in fs::read_dir(&folder).at("listing", &folder)? {
        let entry = entry.at("listing", &folder)?;
        let kind = entry.file_type().at("looking at", &entry.path())?;
        let path = [below, entry.file_name().as_bytes()].concat();
        if is_private(&path) || own.ignore(&path, kind.is_dir()) {
            continue;
        }
        if kind.is_dir() {
            let path = [&path[..], b"/"].concat();
            if enters(&path)? {
                walk(root, &path, Some(&own), enters, file)?;
            }
        } else if kind.is_file() || kind.is_symlink() {
            file(path);
        }
    }
    Ok(())
}

/// What the .gitignore of a folder says. A link is not followed, as git follows none; a rule that
/// is no pattern says nothing.
fn rules(folder: &Path) -> Result<Gitignore> {
    let file = folder.join(".gitignore");
    let mut rules = GitignoreBuilder::new("");
    if file.symlink_metadata().is_ok_and(|found| found.is_file()) {
        let content = fs::read(&file).at("reading", &file)?;
        let text = String::from_utf8_lossy(&content);
        for line in text.trim_start_matches('\u{feff}').lines() {
            let _ = rules.add_line(None, line);
        }
    }
    Ok(rules.build().unwrap_or_else(|_| Gitignore::empty()))
}
