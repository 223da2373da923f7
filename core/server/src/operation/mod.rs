//! What whoever runs a server sees of it.

pub(crate) mod health;
pub(crate) mod log;
