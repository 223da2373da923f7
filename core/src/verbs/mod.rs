//! The verbs, a file each.

pub(crate) mod clone;
pub(crate) mod copy_release;
pub(crate) mod cron;
pub(crate) mod debug;
pub(crate) mod detach;
pub(crate) mod dev;
pub(crate) mod diff;
pub(crate) mod outbox;
pub(crate) mod promote;
pub(crate) mod prune;
pub(crate) mod publish;
pub(crate) mod rollback;
pub(crate) mod schema;
pub(crate) mod sql;
pub(crate) mod verify;
