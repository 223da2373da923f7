//! How far processes are shut in, and by what.

use super::{rules, seccomp};
use crate::failure::Failure;

/// How far processes are shut in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Isolation {
    /// By all that the kernel has: Landlock and seccomp. Where it has no Landlock, by seccomp and the
    /// permissions that Node.js itself watches over. Where it has no seccomp, nothing runs.
    #[default]
    On,
    /// Not at all: methods may do what this process may. Limits hold all the same.
    Off,
}

/// What processes can be shut in by on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Means {
    /// The kernel's ABI of Landlock; 0 for none.
    pub landlock: u32,
    /// Whether there is a filter of the system's calls.
    pub seccomp: bool,
}

impl Means {
    /// An error where a process cannot be shut in as is asked for.
    pub fn of(isolation: Isolation) -> Result<Self, Failure> {
        if isolation == Isolation::Off {
            return Ok(Self {
                landlock: 0,
                seccomp: false,
            });
        }
        if !seccomp::is_there() {
            return Err(Failure::new(
                "isolation_unavailable",
                500,
                format!(
                    "Methods cannot be shut in here: this machine ({}) has no seccomp that remy \
                     knows. Nothing was started. Run it on Linux 5.13 or newer on x86-64 or \
                     64-bit ARM, or, where all methods are to be trusted with what this process \
                     may do, switch isolation off (--no-isolation)",
                    std::env::consts::ARCH
                ),
            ));
        }
        Ok(Self {
            landlock: rules::kernel_has(),
            seccomp: true,
        })
    }

    /// Whether Node.js itself has to watch over what a process opens.
    pub fn needs_permissions(self) -> bool {
        self.seccomp && self.landlock == 0
    }
}
