//! Methods, as pages call them.

pub(crate) mod invoke;
pub(crate) mod stream;
