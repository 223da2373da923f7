//! What whoever runs a server sees of it.

pub(crate) mod counts;
pub(crate) mod health;
pub(crate) mod log;
pub(crate) mod metrics;
pub(crate) mod record;
pub(crate) mod retention;
