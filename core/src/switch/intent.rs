//! The intent of a switch, as the catalog has it while nobody knows how the switch ends.

use crate::{
    base::error::Result,
    store::catalog::{Catalog, switches::Intent},
};

/// An intent that is written down once, durably, before the first lock of its switch.
pub(crate) struct Announcement<'a> {
    catalog: &'a Catalog,
    intent: &'a Intent,
    /// Whether it was written, or may have been.
    written: bool,
}

impl<'a> Announcement<'a> {
    pub(crate) fn new(catalog: &'a Catalog, intent: &'a Intent) -> Self {
        Self {
            catalog,
            intent,
            written: false,
        }
    }

    /// Writes it down, unless an earlier attempt of the switch has done so.
    pub(super) fn make(&mut self) -> Result<()> {
        if self.written {
            return Ok(());
        }
        self.written = true;
        self.catalog.intend(self.intent)
    }

    /// Takes it back: the switch never came to its COMMIT.
    pub(crate) fn take_back(self) -> Result<()> {
        if self.written {
            self.catalog.forget(self.intent)
        } else {
            Ok(())
        }
    }
}
