//! What a target is started with.

use crate::{
    child::Workplace,
    failure::Failure,
    protocol::Table,
    served::{Served, Settings},
    services::Outside,
    target::{self, Found, Target, of_core},
};
use remy_db::{ReleaseId, Remy, internals::runtimes::TablesTold};
use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

/// What a target is started with.
pub(crate) struct Starter {
    pub live: PathBuf,
    pub store: PathBuf,
    pub settings: Settings,
    pub outside: Outside,
    pub workplace: Arc<Workplace>,
}

impl Starter {
    /// Finds a target, and starts it.
    pub fn start(&self, target: &Target) -> Result<Served, Failure> {
        let remy = Remy::open(&self.live).map_err(of_core)?;
        let found = target::find(target, &remy, &self.store, self.workplace.folder())?;
        self.serve(target, found, None)
    }

    /// Starts a release that is about to be live. Its tables are in no database that can be read
    /// yet: who announces it tells of them.
    pub fn ahead(&self, release: ReleaseId, tables: TablesTold) -> Result<Served, Failure> {
        let remy = Remy::open(&self.live).map_err(of_core)?;
        let found = target::of_live(&remy, &self.store, release)?;
        let tables = tables
            .into_iter()
            .map(|(name, columns)| (name, Table { columns }))
            .collect();
        self.serve(&Target::Live, found, Some(tables))
    }

    fn serve(
        &self,
        target: &Target,
        found: Found,
        announced: Option<BTreeMap<String, Table>>,
    ) -> Result<Served, Failure> {
        let (outside, workplace) = (&self.outside, &self.workplace);
        Served::start(target, found, self.settings, outside, workplace, announced)
    }
}
