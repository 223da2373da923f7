//! The file that a clone is written as until it is whole. It is locked for as long as somebody
//! writes it, and its name proves that it is one: what a process left that was killed goes with the
//! next clone into its folder, and nothing else does.

use crate::{
    base::error::{Context, Error, Result, State},
    os::{
        descriptors::FileId,
        files,
        folder::{self, Folder},
    },
};
use std::{
    ffi::{OsStr, OsString},
    fs::{self, File, OpenOptions},
    os::unix::{ffi::OsStrExt, fs::OpenOptionsExt},
    path::{Path, PathBuf},
};

const INFIX: &[u8] = b".part-";

/// How many digits of a name are chance, and how many prove them.
const ID: usize = 16;

const PROOF: usize = 16;

/// A part that is being written. It is removed with this, unless it was given its name.
pub(crate) struct Part {
    pub(crate) path: PathBuf,
    /// Holds the lock.
    file: File,
}

impl Part {
    /// Makes the part of `whole`, with the owner and mode of the database `like`. `id` is a text
    /// that no other call gives.
    pub(crate) fn make(like: &Path, whole: &Path, id: &str) -> Result<Self> {
        let path = whole.with_file_name(name(whole.file_name().unwrap_or_default(), id));
        let file = files::create_with_owner_of(like, &path)?;
        let part = Self { path, file };
        // Who looks for parts of the dead may hold it for a moment, and take it for one.
        if part.file.lock().is_err() || !is_at(&part.file, &part.path) {
            return Err(Error::busy(format!(
                "{} went while it was being made",
                part.path.display()
            ))
            .state(State::NothingDone)
            .hint("Start again"));
        }
        Ok(part)
    }

    /// The file, to be written. The lock stays for as long as this lives.
    pub(crate) fn file(&self) -> Result<File> {
        self.file
            .try_clone()
            .context(|| format!("opening {}", self.path.display()))
    }

    /// Gives it its name, which must be free.
    pub(crate) fn finish(self, whole: &Path) -> Result<()> {
        files::rename_new(&self.path, whole)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // What has another name by now is somebody's clone.
        if is_at(&self.file, &self.path) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Removes the parts in a folder that nobody writes any more. What cannot be removed stays: a clone
/// needs none of it.
pub(crate) fn remove_dead(folder: &Path) {
    let Ok(Some(folder)) = Folder::open(folder) else {
        return;
    };
    let Ok(names) = folder.names() else { return };
    for name in names.into_iter().filter(|name| is_name(name)) {
        let path = folder.path().join(&name);
        // NONBLOCK: a pipe would wait for somebody to write to it.
        let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
        let Ok(file) = OpenOptions::new()
            .read(true)
            .custom_flags(flags)
            .open(&path)
        else {
            continue;
        };
        let plain = folder
            .look(&name)
            .is_ok_and(|found| found.as_ref().is_some_and(folder::is_file));
        if plain && file.try_lock().is_ok() && is_at(&file, &path) {
            for end in files::COMPANIONS {
                let mut beside = name.clone();
                beside.push(end);
                let _ = folder.remove(beside);
            }
            let _ = folder.remove(&name);
        }
    }
}

/// Whether a path is that of an open file.
fn is_at(file: &File, path: &Path) -> bool {
    let identity =
        |found: std::io::Result<fs::Metadata>| found.ok().map(|found| FileId::of(&found));
    let open = identity(file.metadata());
    open.is_some() && open == identity(path.symlink_metadata())
}

fn name(whole: &OsStr, id: &str) -> OsString {
    let mut name = whole.to_owned();
    name.push(".part-");
    name.push(id);
    name.push(proof(whole.as_bytes(), id.as_bytes()));
    name
}

/// What the digits of chance in a part's name are followed by, so that no name that somebody chose
/// is taken for one.
fn proof(whole: &[u8], id: &[u8]) -> String {
    let text = [b"remy: the part of a clone\0", whole, INFIX, id].concat();
    blake3::hash(&text).to_hex()[..PROOF].to_owned()
}

fn is_name(name: &OsStr) -> bool {
    let name = name.as_bytes();
    let Some(at) = name.len().checked_sub(INFIX.len() + ID + PROOF) else {
        return false;
    };
    let (whole, rest) = name.split_at(at);
    rest.strip_prefix(INFIX)
        .is_some_and(|digits| digits[ID..] == *proof(whole, &digits[..ID]).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_proves_that_it_is_a_parts() {
        let made = name(OsStr::new("copy.db"), "0123456789abcdef");
        assert!(is_name(&made));
        let made = made.to_str().unwrap();
        for other in [
            made.replace("copy", "kopy"),
            made.replace(".part-0", ".part-1"),
            made[1..].to_owned(),
            format!("{made}-wal"),
            "copy.db.part-0123456789abcdef".to_owned(),
            "copy.db.part-0123456789abcdef0123456789abcdef".to_owned(),
            "part".to_owned(),
        ] {
            assert!(!is_name(OsStr::new(&other)), "{other}");
        }
    }
}
