//! Which files this process has open.

use crate::base::error::{Context, Error, Result, State};
use std::{fs, os::unix::fs::MetadataExt, path::Path};

/// Identifies a file, whatever its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileId {
    pub(crate) device: u64,
    pub(crate) inode: u64,
}

impl FileId {
    pub(crate) fn of(metadata: &fs::Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
        }
    }

    #[allow(
        clippy::unnecessary_cast,
        reason = "the widths differ between machines"
    )]
    pub(crate) fn of_stat(found: &rustix::fs::Stat) -> Self {
        Self {
            device: found.st_dev as u64,
            inode: found.st_ino as u64,
        }
    }
}

/// How many descriptors this process has of a file.
pub(crate) fn descriptors(file: FileId) -> Result<usize> {
    let mut all = 0;
    for entry in fs::read_dir("/proc/thread-self/fd").map_err(no_proc)? {
        let Ok(entry) = entry else { continue };
        // Follows the link without opening the file.
        if fs::metadata(entry.path()).is_ok_and(|m| FileId::of(&m) == file) {
            all += 1;
        }
    }
    Ok(all)
}

/// Whether this process has a file open.
pub(crate) fn is_open_here(file: FileId) -> Result<bool> {
    Ok(descriptors(file)? > 0)
}

/// Refuses a file that this process has open: closing it once more would drop the locks of whoever
/// has.
pub(crate) fn not_open_here(path: &Path) -> Result<()> {
    let file =
        FileId::of(&fs::metadata(path).context(|| format!("looking at {}", path.display()))?);
    if descriptors(file)? == 0 {
        Ok(())
    } else {
        Err(in_use(path))
    }
}

pub(crate) fn in_use(path: &Path) -> Error {
    Error::live_in_use(format!(
        "this process has {} open through another SQLite library, or by hand",
        path.display()
    ))
    .hint("Two SQLite libraries in one process drop each other's locks: close it there, or run remy in a process of its own")
}

pub(crate) fn no_proc(e: std::io::Error) -> Error {
    Error::io(format!("reading /proc of this process: {e}"))
        .state(State::LiveUnchanged)
        .hint("remy has to see there that no other SQLite library has live open: mount /proc")
}
