//! The header of a database file.

use crate::base::error::{Context, Result};
use std::{
    fs::{File, OpenOptions},
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::Path,
};

/// Sets the two bytes of a database file that say how it is journaled: 1 a rollback journal, 2 a
/// WAL. Does not sync it.
///
/// By hand, because SQLite would bump the change counter with it. Only for a file of the store that
/// nobody has open.
pub(crate) fn set_journal_bytes(path: &Path, mode: u8) -> Result<File> {
    let doing = || format!("writing {}", path.display());
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NOFOLLOW)
        .open(path)
        .context(doing)?;
    // A database of 0 pages has no such bytes.
    if file.metadata().context(doing)?.len() > 0 {
        file.write_all_at(&[mode, mode], 18).context(doing)?;
    }
    Ok(file)
}
