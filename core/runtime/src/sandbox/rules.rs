//! What a process may open, as Landlock has it.

use super::{
    limits::LOWEST_DESCRIPTOR,
    readable::{self, Sees},
};
use landlock::{
    ABI, Access as _, AccessFs, BitFlags, CompatLevel, Compatible as _, PathBeneath, PathFd,
    Ruleset, RulesetAttr as _, RulesetCreated, RulesetCreatedAttr as _, RulesetError, Scope,
    make_bitflags,
};
use rustix::io::fcntl_dupfd_cloexec;
use std::{
    io,
    os::fd::{AsRawFd as _, OwnedFd},
    path::Path,
};

/// The newest ABI whose rights are asked for; an older kernel covers what it knows.
const NEWEST: ABI = ABI::V7;

/// Which ABI of Landlock the kernel has; 0 where it has none, or has it switched off.
pub(super) fn kernel_has() -> u32 {
    const VERSION: u32 = 1;
    // SAFETY: asks for a number, and has no memory read or written.
    let has = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            std::ptr::null::<u8>(),
            0_usize,
            VERSION,
        )
    };
    u32::try_from(has).unwrap_or(0)
}

/// Rules that are made, and bind nobody yet.
pub(super) struct Rules(OwnedFd);

impl Rules {
    /// Nothing where the kernel has no Landlock.
    pub fn new(sees: &Sees) -> io::Result<Option<Self>> {
        let made = Self::made(sees).map_err(io::Error::other)?;
        let rules: Option<OwnedFd> = made.into();
        // The process puts its own descriptors in the lowest places before it is bound: this one had
        // been in one of them where they were free, and no process could be started.
        let above = rules.map(|rules| fcntl_dupfd_cloexec(rules, LOWEST_DESCRIPTOR));
        Ok(above.transpose()?.map(Self))
    }

    fn made(sees: &Sees) -> Result<RulesetCreated, RulesetError> {
        let (read, run) = (AccessFs::ReadFile | AccessFs::ReadDir, AccessFs::Execute);
        let mut rules = Ruleset::default()
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(AccessFs::from_all(NEWEST))?
            .scope(Scope::from_all(NEWEST))?
            .create()?;
        let given = readable::LIBRARIES.iter().chain(readable::SYSTEM);
        let given = given.map(Path::new).map(|path| (path, read));
        let loader = readable::loader(&sees.program);
        let own = sees.reads.iter().map(|path| (&**path, read));
        let run = [Some(&*sees.program), loader.as_deref()]
            .into_iter()
            .flatten()
            .map(|path| (path, read | run));
        let written = [
            (Path::new(readable::SINK), read | AccessFs::WriteFile),
            (&*sees.scratch, read | scratch()),
        ];
        for (path, access) in given.chain(own).chain(run).chain(written) {
            rules = allow(rules, path, access)?;
        }
        Ok(rules)
    }

    /// Binds this process, which has no further threads. Between fork and exec: makes calls of the
    /// system alone.
    pub fn apply(&self) -> io::Result<()> {
        self.allow_own_process();
        // SAFETY: the descriptor is of a ruleset, and stays open meanwhile.
        let done =
            unsafe { libc::syscall(libc::SYS_landlock_restrict_self, self.0.as_raw_fd(), 0_u32) };
        if done != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }

    /// Lets it read `/proc/self`: which folder that is, is known in the process alone. Where it
    /// cannot, Node.js does not know how much memory it uses.
    fn allow_own_process(&self) {
        /// As the kernel's header has it, which packs it.
        #[repr(C, packed)]
        struct Beneath {
            access: u64,
            parent: i32,
        }
        const BENEATH: u32 = 1;
        let access = (AccessFs::ReadFile | AccessFs::ReadDir).bits();
        // SAFETY: calls of the system alone; the path and the attributes outlive them.
        unsafe {
            let parent = libc::open(c"/proc/self".as_ptr(), libc::O_PATH | libc::O_CLOEXEC);
            if parent >= 0 {
                let beneath = Beneath { access, parent };
                let rules = self.0.as_raw_fd();
                let beneath = &raw const beneath;
                libc::syscall(libc::SYS_landlock_add_rule, rules, BENEATH, beneath, 0_u32);
                libc::close(parent);
            }
        }
    }
}

/// What a process may do in its own folder: everything but sockets, pipes, devices, and running what
/// it wrote.
fn scratch() -> BitFlags<AccessFs> {
    make_bitflags!(AccessFs::{
        WriteFile | RemoveDir | RemoveFile | MakeDir | MakeReg | MakeSym | Refer | Truncate
    })
}

/// What is not there, or cannot be opened, is not allowed.
fn allow(
    rules: RulesetCreated,
    path: &Path,
    access: BitFlags<AccessFs>,
) -> Result<RulesetCreated, RulesetError> {
    let Ok(opened) = PathFd::new(path) else {
        return Ok(rules);
    };
    let access = if path.is_dir() {
        access
    } else {
        access & AccessFs::from_file(NEWEST)
    };
    rules.add_rule(PathBeneath::new(opened, access))
}
