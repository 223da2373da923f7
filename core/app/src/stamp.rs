//! Which state of a file it is, as the file system says: to look whether there is something new to be
//! read costs next to nothing.

use std::{fs, os::unix::fs::MetadataExt as _, path::Path};

/// Another one, once the file was written to, or another is in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp(Option<(u64, u64, i64, i64)>);

impl Stamp {
    /// Of the file at a path. One that is not there, or may not be looked at, has a stamp as well.
    pub fn of(path: &Path) -> Self {
        let found = fs::metadata(path).ok();
        Self(found.map(|it| (it.ino(), it.len(), it.mtime(), it.mtime_nsec())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_written_to_replaced_or_removed_has_another_stamp() {
        let dir = tempfile::tempdir().unwrap();
        let (file, other) = (dir.path().join("a"), dir.path().join("b"));
        let none = Stamp::of(&file);
        fs::write(&file, "x").unwrap();
        let first = Stamp::of(&file);
        assert_ne!(none, first);
        fs::read(&file).unwrap();
        assert_eq!(first, Stamp::of(&file));
        fs::write(&file, "xy").unwrap();
        let second = Stamp::of(&file);
        assert_ne!(first, second);
        fs::write(&other, "xy").unwrap();
        fs::rename(&other, &file).unwrap();
        assert_ne!(second, Stamp::of(&file));
        fs::remove_file(&file).unwrap();
        assert_eq!(none, Stamp::of(&file));
    }
}
