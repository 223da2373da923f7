//! The database of the methods.

pub mod request;
