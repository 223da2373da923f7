//! What a path is on: a network, a mount of its own.

use crate::base::error::{Context, Error, Result, State};
use std::{ffi::CString, os::unix::ffi::OsStrExt, path::Path};

const NETWORK: &[(i64, &str)] = &[
    (0x6969, "NFS"),
    (0x517b, "SMB"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB2"),
    (0x0102_1997, "9p"),
];

/// Refuses a file that is mounted by itself, as `docker -v ./app.db:/data/app.db` does: its WAL
/// lies beside one of its names, and whoever opens the file by the other does not see it.
pub(crate) fn not_a_mount(path: &Path) -> Result<()> {
    let folder = path.parent().unwrap_or(path);
    let (Some(file), Some(beside)) = (mount_of(path)?, mount_of(folder)?) else {
        return Ok(());
    };
    if file == beside {
        return Ok(());
    }
    Err(Error::invalid_argument(format!(
        "{} is a mount point: its WAL would not be where the file is that is mounted there, and each name would have one of its own",
        path.display()
    ))
    .object(path.display().to_string())
    .state(State::NothingDone)
    .hint("Mount the folder that the database is in, and not the file"))
}

/// The mount that a path is on. `None` where the kernel does not tell (before 5.8).
fn mount_of(path: &Path) -> Result<Option<u64>> {
    let c_path = CString::new(path.as_os_str().as_bytes())
        .map_err(|_| Error::invalid_argument(format!("{} holds a NUL byte", path.display())))?;
    // SAFETY: statx fills the struct given to it; all-zero is a valid value of it.
    let (code, found) = unsafe {
        let mut found: libc::statx = std::mem::zeroed();
        (
            libc::statx(
                libc::AT_FDCWD,
                c_path.as_ptr(),
                0,
                libc::STATX_MNT_ID,
                &raw mut found,
            ),
            found,
        )
    };
    if code != 0 {
        let e = std::io::Error::last_os_error();
        // A kernel, or a sandbox, without the call.
        if matches!(e.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)) {
            return Ok(None);
        }
        return Err(e).context(|| format!("looking at the mount of {}", path.display()));
    }
    Ok((found.stx_mask & libc::STATX_MNT_ID != 0).then_some(found.stx_mnt_id))
}

pub(crate) fn network_file_system(path: &Path) -> Result<Option<&'static str>> {
    let c_path = CString::new(path.as_os_str().as_bytes())
        .map_err(|_| Error::invalid_argument(format!("{} holds a NUL byte", path.display())))?;
    // SAFETY: statfs fills the struct given to it; all-zero is a valid value of it.
    let (code, found) = unsafe {
        let mut found: libc::statfs = std::mem::zeroed();
        (libc::statfs(c_path.as_ptr(), &raw mut found), found)
    };
    if code != 0 {
        return Err(std::io::Error::last_os_error())
            .context(|| format!("looking at the file system of {}", path.display()));
    }
    // The width of f_type differs between machines; the numbers are 32 bits.
    #[allow(clippy::unnecessary_cast)]
    let kind = (found.f_type as i64) & 0xffff_ffff;
    Ok(NETWORK
        .iter()
        .find(|(magic, _)| *magic == kind)
        .map(|(_, name)| *name))
}
