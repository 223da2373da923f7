//! esbuild, which bundles methods: its own program, without Node.js, over the protocol that its
//! packages speak with it. It reads TypeScript without a step of its own, and tells which files it
//! read.
//!
//! The protocol belongs to one version of it: what starts is of [`program::VERSION`], or refused.

mod bundle;
mod packet;
pub mod program;
mod service;

pub use bundle::{Filter, Location, Message, Note, Options, Output, OutputFile, Plugins, Resolved};
pub use service::Service;
