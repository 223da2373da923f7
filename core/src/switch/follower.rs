//! A clone that follows live until the switch.

use crate::{
    base::{error::Result, progress::Progress},
    live::database::{Access, Live},
    store::Store,
    switch::{clone::Clone, overlay::Pair, read_mark::Pin},
};

/// What live is to become.
pub(crate) enum Image<'a> {
    /// The clone, changed.
    Clone,
    /// Another database, changed, and the pages in which it differs from the clone.
    Other {
        pair: &'a mut Pair,
        differs: Vec<u32>,
    },
}

/// A clone of live that is at work.
pub(crate) struct Taken<'a> {
    /// The clone, and the WAL of what is done to it.
    pub(crate) pair: Pair,
    pub(crate) by: By<'a>,
}

/// How a clone follows live.
pub(crate) enum By<'a> {
    Pages(Clone),
    Backup(crate::switch::backup::Copy<'a>),
}

impl<'a> Taken<'a> {
    pub(crate) fn take(
        live: &'a Live,
        store: &Store,
        path: &std::path::Path,
        progress: Progress<'_>,
    ) -> Result<Self> {
        let by = match live.access {
            Access::Pages => {
                let pin = Pin::new(live)?;
                let at = pin.begin()?;
                let clone = Clone::take(live, &pin, at, path, progress)?;
                clone.put_into_wal_mode()?;
                By::Pages(clone)
            }
            Access::Backup => By::Backup(crate::switch::backup::Copy::take(
                live,
                store,
                path,
                &|| progress.check(),
            )?),
        };
        Ok(Self {
            pair: Pair::new(path),
            by,
        })
    }

    /// Brings the clone up to date, without what was done to it.
    pub(crate) fn start_over(&mut self, live: &Live) -> Result<()> {
        self.pair.discard()?;
        match &mut self.by {
            By::Pages(clone) => {
                let pin = Pin::new(live)?;
                let now = pin.begin()?;
                let behind = clone.behind(live, now, false)?;
                clone.catch_up(live, &pin, now, &behind)?;
                pin.end();
                clone.put_into_wal_mode()
            }
            By::Backup(copy) => copy.again(&mut self.pair),
        }
    }

    pub(crate) fn bytes(&self) -> u64 {
        match &self.by {
            By::Pages(clone) => clone.bytes(),
            By::Backup(copy) => copy.bytes(),
        }
    }

    pub(crate) fn page_size(&mut self, live: &Live) -> Result<u32> {
        match &self.by {
            By::Pages(clone) => Ok(clone.page_size),
            By::Backup(_) => {
                let page_size = self
                    .pair
                    .open(live)?
                    .query_row("PRAGMA page_size", [], |row| row.get(0))?;
                self.pair.close()?;
                Ok(page_size)
            }
        }
    }

    pub(crate) fn method(&self) -> &'static str {
        match &self.by {
            By::Pages(clone) => clone.method,
            By::Backup(_) => "backup",
        }
    }
}
