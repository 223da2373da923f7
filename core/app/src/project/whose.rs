//! As whom a release is made where root calls: what an install and a build run is the code of whoever
//! owns the app, and what they make is read by live's owner, as whom root keeps it.

use super::folder::{Project, Result};
use remy_db::internals::owner::{self, Acting};
use std::{os::unix::fs::MetadataExt as _, path::Path};

impl Project {
    /// Lets root act as live's owner, or as whose it will be; where that is root, too, as the owner of
    /// the app's folder `root`. Until the result is dropped, on this thread, and in the programs that
    /// it starts. Anybody else stays who they are.
    pub(super) fn act(&self, root: Option<&Path>) -> Result<Acting> {
        let live = self.place.nearest();
        let is_roots = live.metadata().is_ok_and(|found| found.uid() == 0);
        let whose = root.filter(|_| is_roots).unwrap_or(live);
        Ok(owner::act_as_owner_of(whose)?)
    }
}
