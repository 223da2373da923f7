//! What a process does between fork and exec. Its parent has threads, so whatever lock these held is
//! held for ever in the copy: nothing is allocated, and all calls are the system's own.

use super::{limits, means::Means, readable::Sees, rules::Rules, seccomp::Filters};
use crate::failure::Failure;
use std::{
    ffi::CString,
    io,
    os::fd::{AsRawFd as _, OwnedFd},
    os::unix::ffi::OsStrExt as _,
    path::Path,
    ptr,
};

/// Where the process finds the socket to its parent.
pub(crate) const SOCKET: i32 = 3;

/// Where it says what went wrong. It is closed where nothing did.
const TROUBLE: i32 = 4;

/// Everything that the process needs, made before it is there.
pub(super) struct Jail {
    /// The folder that it works in.
    at: CString,
    rules: Option<Rules>,
    filters: Option<Filters>,
    is_shut: bool,
    /// stdin, stdout, stderr, [`SOCKET`], [`TROUBLE`]; none of them has one of these numbers.
    descriptors: [OwnedFd; 5],
    /// The process that forks.
    parent: libc::pid_t,
}

/// What failed, as a number: it goes through a pipe.
#[derive(Debug, Clone, Copy)]
#[repr(u8)]
pub(super) enum Step {
    Parent = 1,
    Descriptors,
    Folder,
    Limits,
    Privileges,
    Landlock,
    Seccomp,
    Program,
}

impl Step {
    pub const ALL: [(Self, &str); 8] = [
        (Self::Parent, "binding it to this process"),
        (Self::Descriptors, "giving it its descriptors"),
        (Self::Folder, "going to its folder"),
        (Self::Limits, "limiting what it may use"),
        (Self::Privileges, "taking its privileges"),
        (Self::Landlock, "limiting what it may open"),
        (Self::Seccomp, "limiting what it may ask of the system"),
        (Self::Program, "starting its program"),
    ];
}

impl Jail {
    /// `descriptors` are its stdin, stdout and stderr, the socket, and a pipe for what goes wrong.
    pub fn new(means: Means, sees: &Sees, descriptors: [OwnedFd; 5]) -> Result<Self, Failure> {
        let failed = |e: io::Error| {
            let message = format!(
                "What a process may open could not be limited: {e}. No process was started"
            );
            Failure::new("isolation_unavailable", 500, message)
        };
        let rules = if means.landlock > 0 {
            Rules::new(sees).map_err(failed)?
        } else {
            None
        };
        let filters = if means.seccomp {
            Filters::new(means.landlock)
        } else {
            None
        };
        Ok(Self {
            at: c_path(&sees.scratch),
            rules,
            filters,
            is_shut: means.seccomp,
            descriptors,
            parent: std::process::id().cast_signed(),
        })
    }

    /// In the new process.
    pub fn enter(&mut self) -> Result<(), (Step, io::Error)> {
        let at = |step| move |e| (step, e);
        self.bind().map_err(at(Step::Parent))?;
        self.place_descriptors().map_err(at(Step::Descriptors))?;
        // SAFETY: the path ends with a zero.
        zero(unsafe { libc::chdir(self.at.as_ptr()) }).map_err(at(Step::Folder))?;
        limits::apply().map_err(at(Step::Limits))?;
        if self.is_shut {
            self.drop_privileges().map_err(at(Step::Privileges))?;
        }
        if let Some(rules) = &self.rules {
            rules.apply().map_err(at(Step::Landlock))?;
        }
        close_others().map_err(at(Step::Descriptors))?;
        if let Some(filters) = &mut self.filters {
            // SAFETY: asks for a number.
            let pid = unsafe { libc::getpid() };
            filters.apply(pid).map_err(at(Step::Seccomp))?;
        }
        Ok(())
    }

    /// Ends it with its parent, whose signals, and whose terminal's, are not its own.
    fn bind(&self) -> io::Result<()> {
        // SAFETY: calls of the system alone; the set and the action are made whole before they are
        // read. A handler of the parent's cannot run: all signals are blocked until it is gone.
        unsafe {
            zero(libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL))?;
            // It may have ended before that.
            if libc::getppid() != self.parent {
                libc::_exit(1);
            }
            libc::setsid();
            let mut none: libc::sigset_t = std::mem::zeroed();
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = libc::SIG_DFL;
            for signal in 1..=64 {
                libc::sigaction(signal, &raw const action, ptr::null_mut());
            }
            libc::sigemptyset(&raw mut none);
            zero(libc::sigprocmask(
                libc::SIG_SETMASK,
                &raw const none,
                ptr::null_mut(),
            ))
        }
    }

    fn place_descriptors(&self) -> io::Result<()> {
        for (descriptor, place) in self.descriptors.iter().zip(0..) {
            // SAFETY: a call of the system alone.
            if unsafe { libc::dup2(descriptor.as_raw_fd(), place) } < 0 {
                return Err(io::Error::last_os_error());
            }
        }
        // SAFETY: the same.
        zero(unsafe { libc::fcntl(TROUBLE, libc::F_SETFD, libc::FD_CLOEXEC) })
    }

    /// Nothing that it starts gets more than it has; and where this process is root, it keeps of
    /// that only that files are open to it, of which Landlock decides.
    fn drop_privileges(&self) -> io::Result<()> {
        const DAC_OVERRIDE: libc::c_ulong = 1;
        const DAC_READ_SEARCH: libc::c_ulong = 2;
        // SAFETY: calls of the system alone, with numbers.
        unsafe {
            zero(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))?;
            libc::prctl(
                libc::PR_CAP_AMBIENT,
                libc::PR_CAP_AMBIENT_CLEAR_ALL,
                0,
                0,
                0,
            );
            for capability in 0..64 {
                let keeps = [DAC_OVERRIDE, DAC_READ_SEARCH].contains(&capability);
                // Beyond the last one, and where it has no privileges, this fails.
                if !(keeps && self.rules.is_some()) {
                    libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0);
                }
            }
        }
        Ok(())
    }
}

/// Says what went wrong, and ends the process.
pub(super) fn end(step: Step, error: &io::Error) -> ! {
    let mut said = [step as u8; 5];
    said[1..].copy_from_slice(&error.raw_os_error().unwrap_or_default().to_le_bytes());
    // SAFETY: calls of the system alone; as many bytes are written as there are.
    unsafe {
        libc::write(TROUBLE, said.as_ptr().cast(), said.len());
        libc::_exit(1)
    }
}

/// A database's among them.
fn close_others() -> io::Result<()> {
    // SAFETY: calls of the system alone; the descriptors are a copy that nothing here uses any more.
    unsafe {
        if libc::syscall(libc::SYS_close_range, TROUBLE + 1, u32::MAX, 0) == 0 {
            return Ok(());
        }
        let mut limit: libc::rlimit = std::mem::zeroed();
        zero(libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit))?;
        // Kernels older than 5.9. The limit is the process's own by now, and the parent's may be
        // higher.
        let most = limit.rlim_max.clamp(1 << 20, 1 << 22) as i32;
        for descriptor in TROUBLE + 1..most {
            libc::close(descriptor);
        }
    }
    Ok(())
}

fn zero(returned: i32) -> io::Result<()> {
    if returned != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

pub(super) fn c_path(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).expect("paths that exist have no zero byte")
}
