//! A process that runs methods, and the thread that keeps it.

mod disk;
mod ended;
mod keeper;
mod listener;
mod node;
mod output;
mod process;
mod program;
mod reader;
mod requests;
mod state;
mod watched;
mod workplace;

pub(crate) use listener::AT_ONCE;
pub use listener::{Listener, Service, Silent, Stream};
pub(crate) use process::Process;
pub use program::{Limits, Program};
pub(crate) use state::{Owner, Stage};
pub use workplace::Workplace;
