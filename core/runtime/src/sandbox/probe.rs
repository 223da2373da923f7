//! What is in force, as a process finds it that is shut in like all others and tries.

use super::{
    launcher::{Launch, launch},
    means::{Isolation, Means},
    readable::Sees,
    tries::{ANSWERED, FILES, LIMITS, PROCESSES, SIGNALS, SOCKETS},
};
use crate::failure::Failure;
use rustix::{
    pipe::{PipeFlags, pipe_with},
    process::{WaitId, WaitIdOptions, waitid},
};
use serde::Serialize;
use std::{fs::File, io::Read as _, os::fd::AsFd as _, path::PathBuf};

/// What a process cannot do, as one tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(clippy::struct_excessive_bools)]
pub struct InForce {
    /// The kernel's ABI of Landlock that is used; 0 for none.
    pub landlock: u32,
    /// Open what it was not given. Where this is false and methods are shut in, Node.js itself looks
    /// after that for JavaScript, and nobody for native code.
    pub files: bool,
    /// Speak to other processes of this machine by sockets with a path.
    pub sockets: bool,
    /// Send signals to other processes.
    pub signals: bool,
    /// Start processes.
    pub processes: bool,
    /// Use more memory, files and descriptors than [`MEMORY_BYTES`](super::MEMORY_BYTES) and its like say.
    pub limits: bool,
}

/// Tries, in a process of its own, which takes a few milliseconds.
pub fn probe(isolation: Isolation) -> Result<InForce, Failure> {
    let means = Means::of(isolation)?;
    let unreadable = |e| {
        Failure::new(
            "not_started",
            503,
            format!("What is in force could not be measured: {e}"),
        )
    };
    let (read, written) = pipe_with(PipeFlags::CLOEXEC).map_err(|e| unreadable(e.into()))?;
    let scratch = tempfile::tempdir().map_err(unreadable)?;
    let sees = Sees {
        // It runs none.
        program: PathBuf::from("/dev/null"),
        reads: Vec::new(),
        scratch: scratch.path().to_owned(),
    };
    let probing = Launch {
        means,
        sees: &sees,
        arguments: Vec::new(),
        environment: Vec::new(),
        output: written.as_fd(),
        errors: written.as_fd(),
        socket: written.as_fd(),
    };
    let launched = launch(&probing)?;
    drop(written);
    let mut answer = Vec::new();
    let came = File::from(read).take(1).read_to_end(&mut answer);
    let _ = waitid(
        WaitId::PidFd(launched.process.as_fd()),
        WaitIdOptions::EXITED,
    );
    came.map_err(unreadable)?;
    let refused = answer.first().copied().unwrap_or_default();
    if refused & ANSWERED == 0 {
        return Err(unreadable(std::io::Error::other(
            "the process that tries did not answer",
        )));
    }
    Ok(InForce {
        landlock: means.landlock,
        files: refused & FILES != 0,
        sockets: refused & SOCKETS != 0,
        signals: refused & SIGNALS != 0,
        processes: refused & PROCESSES != 0,
        limits: refused & LIMITS != 0,
    })
}
