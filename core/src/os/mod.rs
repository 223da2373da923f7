//! The operating system: files, folders, descriptors, locks, whose they are.

pub(crate) mod copy;
pub(crate) mod descriptors;
pub(crate) mod disk;
pub(crate) mod files;
pub(crate) mod folder;
pub(crate) mod hash;
pub(crate) mod lock;
pub(crate) mod part;
pub(crate) mod sockets;
pub(crate) mod stops;
pub(crate) mod threads;
