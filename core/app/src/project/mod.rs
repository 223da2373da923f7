//! A folder that is published: where its database is, what it declares, and every verb on both.
//!
//! [`Project`] is what all faces call. It builds an app before it publishes it, and leaves the rest
//! to [`remy_db::Remy`], which it opens as its face does.

mod call;
mod change;
mod dev;
mod dev_build;
mod dev_server;
mod folder;
mod live;
mod progressed;
mod status;
mod verbs;
mod watch;
mod whose;
mod work;
mod workbench;

pub use call::{Call, Change, told};
pub use change::{Package, Publish, Source, Tools};
pub use dev::DEFAULT;
pub use dev_build::DevBuilt;
pub use dev_server::Shown;
pub use folder::{CheckedOut, Follow, Project, Readers, Result, Told};
pub use status::{LiveFile, Status, StoreSize};
pub use watch::{Followed, Watch};
pub use workbench::{Prepared, Workbench};
