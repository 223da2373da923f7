//! Databases that this process may have open by another SQLite.

use crate::{
    base::error::{Context, Error, Result},
    os::descriptors::{FileId, descriptors, in_use},
    sqlite::{calls, routines},
};
use rusqlite::{Connection, OpenFlags};
use std::{fs, mem::ManuallyDrop, path::Path};

/// Descriptors of a file in this process, less those of the embedded engine. The engine opens and
/// closes some while we count, and a thread that opens one may be kept from going on: a difference has
/// to last.
pub(crate) fn stranger_has_descriptor(file: FileId) -> Result<bool> {
    for pause_ms in [0, 0, 1, 4, 16, 64] {
        std::thread::sleep(std::time::Duration::from_millis(pause_ms));
        if descriptors(file)? <= calls::descriptors(file.device, file.inode)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Reads a database that is neither live nor of a store. It may be one that the process has open by
/// another SQLite library: that one's locks are not to be dropped by closing it here.
pub(crate) fn reading_database<T>(
    path: &Path,
    read: impl FnOnce(&Connection) -> Result<T>,
) -> Result<T> {
    let doing = || format!("opening {}", path.display());
    let file = FileId::of(&fs::metadata(path).context(doing)?);
    let has_stranger = || Ok::<_, Error>(routines::is_embedded() && stranger_has_descriptor(file)?);
    if has_stranger()? {
        return Err(in_use(path));
    }
    let conn = ManuallyDrop::new(
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).context(doing)?,
    );
    let done = read(&conn);
    // Somebody may have opened it meanwhile: then it stays open, as a connection to live does.
    if matches!(has_stranger(), Ok(false)) {
        drop(ManuallyDrop::into_inner(conn));
    }
    done
}
