//! A verb in a process of its own.
//!
//! A host has a database open through an SQLite of its own. Beside it in the same process a second
//! SQLite would drop its locks, and through it remy has no access to pages. So the library that the
//! host has loaded starts its own file as a program (`entry.c`), which brings the embedded engine,
//! and this crate is both ends of that: [`start`](run) in the host, and the program's `main`. In a
//! host of Node.js the addon is that file, and the package's JavaScript is the other end.
//!
//! Nothing of the host is touched: no signal, no lock, no descriptor of its own, and no child that
//! its `wait` would see.
#![warn(missing_docs)]

mod file;
mod frame;
mod host;
mod program;
mod protocol;
mod spawn;
mod verb;
mod whole;

pub use file::{Lookup, Program, find};
pub use host::{Caller, Ran, ran_here, run};
pub use program::main_of;
pub use protocol::hello;
pub use verb::Verb;
