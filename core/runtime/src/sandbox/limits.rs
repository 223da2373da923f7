//! How much a process may use.

use std::io;

/// The lowest number of what a process still needs once its own descriptors are in their places.
pub(super) const LOWEST_DESCRIPTOR: i32 = 16;

/// How much memory a process may have written to, in bytes. V8 reserves far more address space than
/// it uses, so that cannot be what is bounded (RLIMIT_AS).
pub const MEMORY_BYTES: u64 = 1280 << 20;

/// How many bytes there may be in a process's own folder. One file is bounded by the kernel, all of
/// them by the parent, who looks.
pub const SCRATCH_BYTES: u64 = 256 << 20;

/// How many descriptors it may have open.
const DESCRIPTORS: u64 = 1024;

/// Sets them for this process. Between fork and exec: makes calls of the system alone.
pub(super) fn apply() -> io::Result<()> {
    set(libc::RLIMIT_DATA, MEMORY_BYTES)?;
    set(libc::RLIMIT_FSIZE, SCRATCH_BYTES)?;
    set(libc::RLIMIT_NOFILE, DESCRIPTORS)?;
    // A core would hold an app's secrets.
    set(libc::RLIMIT_CORE, 0)?;
    set(libc::RLIMIT_MSGQUEUE, 0)
}

/// Sets a limit, or leaves it where it is lower.
fn set(resource: libc::__rlimit_resource_t, most: u64) -> io::Result<()> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: both calls are given a limit that is there.
    let done = unsafe {
        libc::getrlimit(resource, &raw mut limit);
        limit.rlim_max = limit.rlim_max.min(most);
        limit.rlim_cur = limit.rlim_max;
        libc::setrlimit(resource, &raw const limit)
    };
    if done != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
