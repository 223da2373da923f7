//! The seam between the two ways to work on live: by pages, with the embedded engine
//! ([`crate::switch::pages`]), and by the backup API, on a host's SQLite
//! ([`crate::switch::backup`]).

use crate::{
    base::{error::Result, progress::Progress},
    live::database::Live,
    os::copy::CopyMethod,
    store::Store,
    switch::{
        contract::{Conditions, SwitchEnd, SwitchFailure, SwitchMethod, Terms},
        intent::Announcement,
        overlay::{OpenOverlay, Overlay},
    },
};
use std::{fs::File, path::Path, time::Duration};

/// One way to work on live, and on the databases of its store.
pub(crate) trait Engine {
    /// Clones live into a new file of the store, blocking nobody.
    fn clone_live<'l>(
        &self,
        live: &'l Live,
        store: &Store,
        path: &Path,
        progress: Progress<'_>,
    ) -> Result<ClonedLive<'l>>;

    /// Copies live into `file`, which was made for it at `path`, and syncs it: somebody else is to
    /// have it. Returns how many bytes it has, and how it was made.
    fn copy_live(
        &self,
        live: &Live,
        path: &Path,
        file: File,
        progress: Progress<'_>,
    ) -> Result<(u64, CopyMethod)>;

    /// The overlay of a database of live's store, which is in WAL mode by its bytes 18 and 19.
    fn overlay(&self, live: &Live, path: &Path) -> Overlay;

    /// Makes `target`, a database of the store that is no release, equal to an image, while others
    /// have it open. Waits for `timeout` for its write lock.
    fn overwrite(&self, target: &Live, image: &OpenOverlay, timeout: Duration) -> Result<()>;

    /// What this is, for people.
    fn describe(&self) -> Description;
}

/// An engine, for people.
pub(crate) struct Description {
    /// `embedded` or `host`.
    pub(crate) engine: &'static str,
    /// How it switches.
    pub(crate) switch: SwitchMethod,
    /// What a switch costs.
    pub(crate) cost: &'static str,
    /// What is known to be wrong with its SQLite.
    pub(crate) weakness: Option<String>,
}

/// How a clone follows live until the switch.
pub(crate) trait Follower {
    /// How large the clone is.
    fn bytes(&self) -> u64;

    /// How it was made.
    fn method(&self) -> CopyMethod;

    /// Brings the clone up to date, without what was done to it: nobody has it open any more.
    fn start_over(&mut self) -> Result<Overlay>;

    /// Switches live to an image that holds its change.
    fn switch(
        &mut self,
        image: Image,
        terms: Terms,
        conditions: &Conditions<'_>,
        announcement: &mut Announcement<'_>,
    ) -> Result<SwitchEnd, SwitchFailure>;
}

/// A clone of live that follows it.
#[must_use = "a change is rehearsed on it"]
pub(crate) struct ClonedLive<'l> {
    /// The clone, and the WAL of what is done to it.
    pub(crate) overlay: Overlay,
    pub(crate) follower: Box<dyn Follower + 'l>,
}

/// What live is to become.
#[must_use = "live is switched to it"]
pub(crate) enum Image {
    /// The clone, changed.
    Clone(OpenOverlay),
    /// Another database, changed, and the pages in which its main file differs from the clone.
    Other {
        overlay: OpenOverlay,
        differs: Vec<u32>,
    },
}

impl Image {
    /// The database that the change is in.
    pub(crate) fn overlay(&self) -> &OpenOverlay {
        match self {
            Self::Clone(overlay) | Self::Other { overlay, .. } => overlay,
        }
    }

    pub(crate) fn into_overlay(self) -> OpenOverlay {
        match self {
            Self::Clone(overlay) | Self::Other { overlay, .. } => overlay,
        }
    }
}
