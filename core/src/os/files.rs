//! Files made, renamed and removed so that a power cut leaves the old name or the new one.

use crate::base::{
    error::{Context, Error, Result, State},
    owner::Owner,
};
use std::{
    fs::{self, File, OpenOptions},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
};

/// What SQLite keeps beside a database, under its name and one of these, and takes for that
/// database's.
pub(crate) const COMPANIONS: [&str; 3] = ["-wal", "-shm", "-journal"];

/// Makes a file that must not be there, with the owner of live and this mode before its first byte.
pub(crate) fn create(path: &Path, owner: Owner, mode: u32) -> Result<File> {
    let made = OpenOptions::new()
        .create_new(true)
        .read(true)
        .write(true)
        .mode(0o600)
        .open(path);
    let file = made.context(|| format!("making {}", path.display()))?;
    owner
        .give(&file, path, mode)
        .inspect_err(|_| drop(fs::remove_file(path)))?;
    Ok(file)
}

/// Sets the mode of a file of the store's, which is no link.
pub(crate) fn set_mode(path: &Path, mode: u32) -> Result<()> {
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW)
        .open(path);
    opened
        .and_then(|file| file.set_permissions(fs::Permissions::from_mode(mode)))
        .context(|| format!("setting the mode of {}", path.display()))
}

/// Makes a file that must not be there, with the mode and owner of live before its first byte.
pub(crate) fn create_with_owner_of(live: &Path, path: &Path) -> Result<File> {
    let owner =
        Owner::of(&fs::metadata(live).context(|| format!("looking at {}", live.display()))?);
    create(path, owner, owner.mode)
}

/// Removes a file, if it is there.
pub(crate) fn remove_if_there(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(e).context(|| format!("removing {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// A folder of the store's that was there when the verb began.
pub(crate) fn gone(path: &Path) -> Error {
    Error::busy(format!(
        "{} is gone: somebody moves or removes the store",
        path.display()
    ))
    .state(State::LiveUnchanged)
    .hint("Find out who does that, and start again")
}

/// Makes the name of a file or folder durable.
pub(crate) fn sync_name(path: &Path) -> Result<()> {
    sync_folder(path.parent().unwrap_or(path))
}

/// Makes the names in a folder durable.
pub(crate) fn sync_folder(path: &Path) -> Result<()> {
    // The folder of a bare name.
    let path = if path.as_os_str().is_empty() {
        Path::new(".")
    } else {
        path
    };
    File::open(path)
        .and_then(|folder| folder.sync_all())
        .context(|| format!("syncing {}", path.display()))
}

/// Renames a file to a name that must be free.
pub(crate) fn rename_new(from: &Path, to: &Path) -> Result<()> {
    let c_path = |path: &Path| {
        std::ffi::CString::new(std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()))
            .map_err(|_| Error::internal("a path with a NUL byte"))
    };
    let (c_from, c_to) = (c_path(from)?, c_path(to)?);
    // SAFETY: both are NUL-terminated paths that live through the call.
    let code = unsafe {
        libc::renameat2(
            libc::AT_FDCWD,
            c_from.as_ptr(),
            libc::AT_FDCWD,
            c_to.as_ptr(),
            libc::RENAME_NOREPLACE,
        )
    };
    if code == 0 {
        return Ok(());
    }
    let e = std::io::Error::last_os_error();
    // A file system without RENAME_NOREPLACE: a second link fails where the name is taken, too.
    if matches!(e.raw_os_error(), Some(libc::EINVAL | libc::ENOSYS)) {
        fs::hard_link(from, to).and_then(|()| fs::remove_file(from))
    } else {
        Err(e)
    }
    .context(|| format!("renaming {} to {}", from.display(), to.display()))
}
