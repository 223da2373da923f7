//! The web interface of a release: its files, and the pages among them, which are told who looks at
//! them and what they may call.

pub(crate) mod bootstrap;
pub(crate) mod conditional;
mod earlier;
mod file;
mod lasting;
mod packed;
mod path;
pub(crate) mod serve;
mod site;
pub(crate) mod sites;
pub(crate) mod telemetry;
pub(crate) mod visitor;
