//! How much a process has written to its folder.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

/// How many files there may be: each takes room that its bytes do not tell.
pub(super) const FILES: usize = 50_000;

/// How many files there are, and how many bytes they take.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Used {
    pub files: usize,
    pub bytes: u64,
}

/// Of a process's folder. A file that was removed takes its room until it is closed, so what is
/// open counts, too.
pub(super) fn used(scratch: &Path, pid: i32) -> Used {
    let mut used = Used::default();
    let mut seen = BTreeSet::new();
    let mut count = |file: &fs::Metadata, used: &mut Used| {
        if seen.insert((file.dev(), file.ino())) {
            used.files += 1;
            used.bytes += file.blocks() * 512;
        }
    };
    let mut folders: Vec<PathBuf> = vec![scratch.to_owned()];
    while let Some(folder) = folders.pop() {
        // It may be gone by now.
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let Ok(found) = entry.metadata() else {
                continue;
            };
            count(&found, &mut used);
            if found.is_dir() {
                folders.push(entry.path());
            }
            if used.files > FILES {
                return used;
            }
        }
    }
    let Ok(disk) = scratch.metadata().map(|folder| folder.dev()) else {
        return used;
    };
    let open = fs::read_dir(format!("/proc/{pid}/fd"));
    for entry in open.into_iter().flatten().flatten() {
        // Without a name it can only be one that was removed: nothing else outside of the folder can
        // be written to.
        if let Ok(file) = fs::metadata(entry.path())
            && (file.is_file() && file.nlink() == 0 && file.dev() == disk)
        {
            count(&file, &mut used);
        }
    }
    used
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn what_was_removed_and_is_open_counts_once() {
        let folder = tempfile::tempdir().unwrap();
        let pid = std::process::id().cast_signed();
        assert_eq!(used(folder.path(), pid).bytes, 0);
        let path = folder.path().join("a");
        let mut file = fs::File::create(&path).unwrap();
        file.write_all(&[1; 100_000]).unwrap();
        file.sync_all().unwrap();
        let there = used(folder.path(), pid);
        assert!(there.bytes >= 100_000 && there.files == 1, "{there:?}");
        fs::remove_file(path).unwrap();
        assert!(used(folder.path(), pid).bytes >= 100_000);
    }
}
