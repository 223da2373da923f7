//! The switch: live becomes equal to an image in one write transaction.

pub(crate) mod backup;
pub(crate) mod clone;
pub(crate) mod contract;
pub(crate) mod follower;
pub(crate) mod live_copy;
pub(crate) mod overlay;
pub(crate) mod pages;
pub(crate) mod read_mark;
pub(crate) mod writer;
