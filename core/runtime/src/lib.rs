//! Runs what was published: the methods of a release, in Node.js processes that are shut in, on the
//! database of that release.
//!
//! A process runs one call at a time, for one release. It reaches the database by frames on one
//! descriptor and owns nothing: nothing that it sends is trusted.
#![warn(missing_docs)]

pub mod app;
pub mod callbacks;
pub mod child;
pub mod database;
pub mod dev;
pub mod events;
pub mod failure;
pub mod files;
mod frame;
pub mod mail;
pub mod mask;
mod outgoing;
pub mod pool;
pub mod process;
pub mod protocol;
pub mod records;
pub mod remote;
pub mod runtime;
pub mod sandbox;
pub mod served;
mod services;
mod starter;
pub mod state;
mod switches;
pub mod target;
pub mod token;
pub mod users;
pub mod who;

pub use remy_db_app::secrets;
