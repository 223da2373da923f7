//! Methods, as pages call them.

pub(crate) mod invoke;
mod stream;
