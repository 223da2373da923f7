//! Where the store of a database stands.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

/// The history of a store.
pub const CATALOG: &str = "catalog.db";

/// Where the store of a database is.
pub(crate) fn beside(database: &Path) -> PathBuf {
    let mut root: OsString = database.as_os_str().to_owned();
    root.push("-remy");
    root.into()
}

/// Whether there is a store where that of a database would be, one that has lost its catalog as
/// well. One that may not be looked into is there.
pub(crate) fn is_beside(database: &Path) -> bool {
    catalog(database).is_some()
        || fs::read_dir(beside(database).join("snapshots"))
            .is_ok_and(|mut all| all.next().is_some())
}

/// Whether there is a store with its catalog where that of a database would be. One that may not be
/// looked into is there; one of 0 bytes holds no history, and is not.
pub(crate) fn has_catalog(database: &Path) -> bool {
    catalog(database).is_some_and(|bytes| bytes != Some(0))
}

/// How many bytes the catalog has, where it is a file; `None` where there is none.
fn catalog(database: &Path) -> Option<Option<u64>> {
    use std::io::ErrorKind::{NotADirectory, NotFound};
    match beside(database).join(CATALOG).symlink_metadata() {
        Ok(found) => Some(found.is_file().then_some(found.len())),
        Err(e) if matches!(e.kind(), NotFound | NotADirectory) => None,
        Err(_) => Some(None),
    }
}
