//! What a live release declares to run by the clock, and the book of its runs, for whoever runs them.

use crate::{
    base::{
        clock,
        error::{Context, Result},
        ids::ReleaseId,
    },
    effects::{Effects, tables},
    live::{database::Live, marker},
    sqlite::tx,
    store::{
        Store,
        catalog::cron::{CronClaim, CronClaimed, CronRun, CronSeen, CronStatus},
    },
};

/// What is declared besides tables, and the release that declares it, as of one transaction.
pub(crate) fn declared(live: &Live) -> Result<(Option<ReleaseId>, Effects)> {
    let _acting = live.act()?;
    let conn = live.connect()?;
    let doing = || format!("reading what {} declares", live.shown());
    let tx = tx::begin(&conn).context(doing)?;
    Ok((marker::release(&tx)?, tables::read(&tx)?))
}

/// The book of the runs of cron jobs. Times are Unix milliseconds.
pub struct CronBook<'a> {
    live: &'a Live,
}

impl<'a> CronBook<'a> {
    pub(crate) fn of(live: &'a Live) -> Self {
        Self { live }
    }

    /// Records which jobs there are from now on, each a method and a schedule.
    pub fn see(&self, jobs: &[(&str, &str)]) -> Result<()> {
        Store::in_catalog(self.live, (), |catalog| {
            catalog.cron_see(jobs, clock::now())
        })
    }

    /// What is known of jobs at a time, each of them in its turn.
    pub fn seen(&self, jobs: &[(&str, &str)], now: i64) -> Result<Vec<CronSeen>> {
        Store::in_catalog(self.live, Vec::new(), |catalog| {
            let seen = |(method, schedule): &(&str, &str)| catalog.cron_seen(method, schedule, now);
            jobs.iter().map(seen).collect()
        })
    }

    /// Claims a run: it is on the disk when this returns.
    pub fn claim(&self, claim: &CronClaim) -> Result<CronClaimed> {
        Store::in_catalog(self.live, CronClaimed::No, |catalog| {
            catalog.cron_claim(claim)
        })
    }

    /// Records how a run ended: the call, and why it failed.
    pub fn ended(
        &self,
        run: i64,
        status: CronStatus,
        said: (Option<&str>, Option<&str>),
    ) -> Result<()> {
        Store::in_catalog(self.live, (), |catalog| {
            catalog.cron_ended(run, status, clock::now(), said)
        })
    }

    /// Records that runs are lost which their processes do not have any more, and returns them:
    /// `is_there` is given a run, and the process that claimed it.
    pub fn lose(&self, is_there: &dyn Fn(i64, &str) -> bool) -> Result<Vec<CronRun>> {
        Store::in_catalog(self.live, Vec::new(), |catalog| {
            catalog.cron_lose(is_there, clock::now())
        })
    }

    /// The runs of a method, or of all, the newest first.
    pub fn runs(&self, method: Option<&str>, limit: u32) -> Result<Vec<CronRun>> {
        Store::in_catalog(self.live, Vec::new(), |catalog| {
            catalog.cron_runs(method, limit)
        })
    }
}
