//! Dev sessions: who calls there, and what is in their databases.

pub mod seed;
pub(crate) mod user;
