//! The live database: its file, its connections, what it says of itself.

pub(crate) mod access;
pub(crate) mod beside;
pub(crate) mod columns;
pub(crate) mod database;
pub(crate) mod empty;
pub(crate) mod library;
pub(crate) mod marker;
pub(crate) mod tables;
