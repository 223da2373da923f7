//! The switch: live becomes equal to an image in one write transaction.

mod backup;
mod clone;
pub(crate) mod contract;
pub(crate) mod engine;
pub(crate) mod follower;
pub(crate) mod intent;
mod live_copy;
pub(crate) mod overlay;
mod pages;
mod read_mark;
pub(crate) mod runtimes;
mod writer;
