//! What can be seen of live and its store without a lock.

use crate::{
    base::{
        error::{Error, Result},
        history::{Release, Status},
        progress::Progress,
    },
    live::{database::Live, marker},
    os::lock::Lock,
    release::recover::take_up,
    store::Store,
};
use std::time::Duration;

/// A store that is looked at.
pub(crate) struct StoreView {
    pub(crate) store: Store,
    /// Held where nobody is at work.
    lock: Option<Lock>,
}

impl StoreView {
    /// The history, newest first. Where nobody is at work, what is being built is what a process
    /// left that died: the next verb that writes records that it failed, and until then it is shown
    /// so.
    pub(crate) fn releases(&self) -> Result<Vec<Release>> {
        let mut releases = self.store.catalog.releases()?;
        if self.lock.is_some() && self.store.catalog.open_intents()?.is_empty() {
            for release in releases
                .iter_mut()
                .filter(|release| release.status == Status::Building)
            {
                release.status = Status::Failed;
            }
        }
        Ok(releases)
    }
}

/// Opens the store to look at the history, mended by live where nobody is at work on it.
pub(crate) fn look(live: &Live) -> Result<Option<StoreView>> {
    let Some(store) = Store::open(live)? else {
        return Ok(None);
    };
    let lock = match store.lock(Duration::ZERO, Progress::none()) {
        Err(Error::Busy(_)) => None, // somebody is at work
        lock => Some(lock?),
    };
    if lock.is_some() && store.catalog.open_intents()?.is_empty() {
        let conn = live.connect()?;
        if let Some(marker) = marker::read(&conn)? {
            take_up(&store, Some(&marker), &conn, |_| Ok(()))?;
        }
    }
    Ok(Some(StoreView { store, lock }))
}
