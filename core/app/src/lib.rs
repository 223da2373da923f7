//! What an app is: a folder with a manifest, `mindstudio.json`, that declares its methods, tables,
//! roles and interfaces.
//!
//! [`read`] reads and checks all of it, [`compile`] makes the files of a release out of its
//! interfaces, and [`effects`] what the release declares besides tables. Whatever is wrong is told
//! at once, each fault with its file and place ([`AppError`]).
#![warn(missing_docs)]

mod auth;
pub mod build;
mod check;
mod effects;
mod faults;
pub mod files;
mod init;
mod interfaces;
mod locate;
mod manifest;
pub mod nearest;
pub mod outbox;
pub mod package;
pub mod place;
pub mod private;
pub mod project;
mod read;
mod references;
pub mod secrets;
pub mod stamp;
mod tables;
pub mod variables;
pub mod work;

pub use effects::effects;
pub use faults::{AppError, line};
pub use init::{Written, init, init_from};
pub use interfaces::{Compiled, Interface, compile};
pub use manifest::{Declared, FILE, Manifest, Method, Role, Scenario, Table, Type};
pub use read::{App, read};
