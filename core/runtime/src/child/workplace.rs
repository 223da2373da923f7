//! The folder of a runtime: the program of its processes, and a folder for each of them.

use crate::failure::Failure;
use remy_db::internals::owner::user;
use std::{
    fs::{self, DirBuilder, File},
    io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

/// The processes' program, as they find it in a folder.
const PROGRAM: &[(&str, &str)] = &[
    ("host.mjs", include_str!("../../js/host.mjs")),
    ("frames.mjs", include_str!("../../js/frames.mjs")),
    ("failures.mjs", include_str!("../../js/failures.mjs")),
    ("platform.mjs", include_str!("../../js/platform.mjs")),
    ("variables.mjs", include_str!("../../js/variables.mjs")),
    ("sdk/actions.mjs", include_str!("../../js/sdk/actions.mjs")),
    (
        "sdk/aggregate.mjs",
        include_str!("../../js/sdk/aggregate.mjs"),
    ),
    ("sdk/auth.mjs", include_str!("../../js/sdk/auth.mjs")),
    ("sdk/email.mjs", include_str!("../../js/sdk/email.mjs")),
    ("sdk/error.mjs", include_str!("../../js/sdk/error.mjs")),
    ("sdk/files.mjs", include_str!("../../js/sdk/files.mjs")),
    ("sdk/host.mjs", include_str!("../../js/sdk/host.mjs")),
    (
        "sdk/operation.mjs",
        include_str!("../../js/sdk/operation.mjs"),
    ),
    (
        "sdk/predicate.mjs",
        include_str!("../../js/sdk/predicate.mjs"),
    ),
    ("sdk/query.mjs", include_str!("../../js/sdk/query.mjs")),
    ("sdk/table.mjs", include_str!("../../js/sdk/table.mjs")),
    ("sdk/values.mjs", include_str!("../../js/sdk/values.mjs")),
];

const PREFIX: &str = "run-";

/// A folder that goes with this, and with its process: what one leaves that was killed, the next
/// that is made beside it removes.
#[derive(Debug)]
pub struct Workplace {
    folder: PathBuf,
    /// Held as long as the folder is in use.
    _lock: File,
    next: AtomicU64,
}

impl Workplace {
    /// Makes one in a folder that is there, and that no other user may write to.
    pub fn new(at: &Path) -> Result<Self, Failure> {
        let made = || {
            let at = at.canonicalize()?;
            // One at a time: the next would take this one for left behind, until it is locked.
            let turn = File::open(&at)?;
            turn.lock()?;
            sweep(&at)?;
            let folder = tempfile::Builder::new().prefix(PREFIX).tempdir_in(&at)?;
            let lock = File::create(folder.path().join("lock"))?;
            lock.lock()?;
            for (name, text) in PROGRAM {
                let path = folder.path().join("program").join(name);
                folder_of_ours(path.parent().expect("it is in one"))?;
                fs::write(path, text)?;
            }
            folder_of_ours(&folder.path().join("scratch"))?;
            Ok((folder.keep(), lock))
        };
        let (folder, lock) = made().map_err(|e: io::Error| {
            let message = format!(
                "The folder that methods run from could not be made in {}: {e}. No process was \
                 started",
                at.display()
            );
            Failure::new("not_started", 500, message)
        })?;
        Ok(Self {
            folder,
            _lock: lock,
            next: AtomicU64::new(1),
        })
    }

    /// The folder itself, for what goes with the runtime.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The folder of the processes' program.
    pub(super) fn program(&self) -> PathBuf {
        self.folder.join("program")
    }

    /// Makes a folder for a process.
    pub(super) fn scratch(&self) -> io::Result<PathBuf> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let folder = self.folder.join("scratch").join(number.to_string());
        folder_of_ours(&folder)?;
        Ok(folder)
    }
}

impl Drop for Workplace {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn folder_of_ours(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Removes what was left by processes that are gone.
fn sweep(at: &Path) -> io::Result<()> {
    let this_user = user();
    for entry in fs::read_dir(at)? {
        let entry = entry?;
        let found = entry.metadata()?;
        let is_ours = entry
            .file_name()
            .as_encoded_bytes()
            .starts_with(PREFIX.as_bytes())
            && found.is_dir()
            && found.uid() == this_user;
        let is_free = || match File::open(entry.path().join("lock")) {
            Ok(lock) => lock.try_lock().is_ok(),
            Err(e) => e.kind() == io::ErrorKind::NotFound,
        };
        if is_ours && is_free() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_program_is_in_it() {
        let js = Path::new(env!("CARGO_MANIFEST_DIR")).join("js");
        let files = |folder: &str| {
            let entries = fs::read_dir(js.join(folder)).unwrap();
            let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
            let modules = names.filter(|name| name.ends_with(".mjs"));
            modules
                .map(|name| format!("{folder}{name}"))
                .collect::<Vec<_>>()
        };
        let mut there = [files(""), files("sdk/")].concat();
        let mut given: Vec<_> = PROGRAM.iter().map(|(name, _)| (*name).to_owned()).collect();
        there.sort();
        given.sort();
        assert_eq!(given, there);
    }

    #[test]
    fn what_was_left_is_removed_and_what_is_in_use_is_not() {
        let at = tempfile::tempdir().unwrap();
        let used = Workplace::new(at.path()).unwrap();
        let left = Workplace::new(at.path()).unwrap();
        left.scratch().unwrap();
        let folder = left.folder.clone();
        // As its process leaves it that is killed.
        let Workplace { _lock: lock, .. } = &*std::mem::ManuallyDrop::new(left);
        lock.unlock().unwrap();
        let third = Workplace::new(at.path()).unwrap();
        assert!(used.folder.exists() && !folder.exists());
        drop((used, third));
        assert_eq!(fs::read_dir(at.path()).unwrap().count(), 0);
    }
}
