//! Shuts a process in, between fork and exec.
//!
//! Later would not do: Landlock binds the thread that asks for it, and Node.js has several by the
//! time that it runs any code; those would go on reading everything.

mod enter;
mod launcher;
mod limits;
mod means;
mod probe;
mod readable;
mod rules;
mod seccomp;
mod tries;

pub(crate) use enter::SOCKET;
pub(crate) use launcher::{Launch, launch};
pub use limits::{MEMORY_BYTES, SCRATCH_BYTES};
pub use means::Isolation;
pub(crate) use means::Means;
pub use probe::{InForce, probe};
pub(crate) use readable::Sees;
