//! Cron jobs of the live release. A run is claimed in the catalog before it begins: no time of a
//! schedule has two, whatever is started, stopped or killed. One that was cut off is lost, and not
//! made again. Where nobody was there, the last time that passed is made up for, once.

mod due;
mod jobs;
mod schedule;

pub use jobs::{Jobs, Listed};

use crate::{context::Context, state::now};
use jobs::Claimed;
use remy_db::internals::effects::CronJob;
use remy_db_runtime::{
    child::{Listener, Silent},
    failure::Failure,
    pool::Cancel,
};
use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// How often is looked whether other jobs are live, or the clock was set.
const LOOK: Duration = Duration::from_secs(1);

/// How often is looked whether it is over.
const NAP: Duration = Duration::from_millis(50);

/// How long it may be unknown that a run was cut off in another process, in milliseconds.
const UNKNOWN: i64 = 60_000;

/// Runs jobs by the clock.
pub(crate) struct Scheduler<'a> {
    at: &'a Arc<Context>,
    jobs: Arc<Jobs>,
    /// Runs of this process, and what calls them off.
    under_way: BTreeMap<i64, (Cancel, JoinHandle<()>)>,
    known: Vec<CronJob>,
    looked: i64,
    next: Option<i64>,
    /// Why nothing could be looked at; it is told once.
    failed: Option<String>,
}

impl<'a> Scheduler<'a> {
    pub fn new(at: &'a Arc<Context>, jobs: Jobs) -> Self {
        Self {
            at,
            jobs: Arc::new(jobs),
            under_way: BTreeMap::new(),
            known: Vec::new(),
            looked: 0,
            next: None,
            failed: None,
        }
    }

    /// Begins runs until it is over. Those under way may then go on for as long as a server that
    /// ends says, and are ended.
    pub fn run(mut self, is_over: impl Fn() -> bool) {
        while !is_over() {
            self.look();
            let again = Instant::now() + LOOK;
            while Instant::now() < again && !is_over() {
                thread::sleep(NAP);
            }
        }
        let until = Instant::now() + self.at.settings.limits.end;
        let goes_on = |(_, thread): &(Cancel, JoinHandle<()>)| !thread.is_finished();
        while self.under_way.values().any(goes_on) && Instant::now() < until {
            thread::sleep(NAP);
        }
        for (cancel, thread) in self.under_way.into_values() {
            cancel.cancel();
            let _ = thread.join();
        }
    }

    fn tell(&self, what: &str) {
        self.at.settings.log.note("cron", what);
    }

    /// Begins what is due, where there is something new to be seen.
    fn look(&mut self) {
        let failed = self.begin().err().map(|e| e.message);
        if let Some(why) = failed
            .as_ref()
            .filter(|why| self.failed.as_ref() != Some(*why))
        {
            self.tell(&format!("no job can be run: {why}"));
        }
        self.failed = failed;
    }

    fn begin(&mut self) -> Result<(), Failure> {
        let (now, jobs) = (now(), self.jobs.declared()?);
        let is_early = self.next.is_none_or(|next| now < next);
        let is_soon = (self.looked..self.looked + UNKNOWN).contains(&now);
        if jobs == self.known && is_early && is_soon && self.failed.is_none() {
            return Ok(());
        }
        self.under_way
            .retain(|_, (_, thread)| !thread.is_finished());
        let looked = self
            .jobs
            .look(now, &|run| self.under_way.contains_key(&run))?;
        looked.said.iter().for_each(|what| self.tell(what));
        for claimed in looked.claimed {
            self.make(claimed);
        }
        (self.known, self.looked, self.next) = (jobs, now, looked.next);
        let due = looked.next.unwrap_or(0);
        self.at.cron_due.store(due, Ordering::Relaxed);
        Ok(())
    }

    /// Makes a run, on a thread of its own. Where there is none, it is lost.
    fn make(&mut self, claimed: Claimed) {
        let Claimed {
            run,
            method,
            missed,
        } = claimed;
        if missed > 0 {
            let times = if missed == 1 {
                "1 time"
            } else {
                &format!("{missed} times")
            };
            self.tell(&format!(
                "{method}: {times} before passed while nobody was there, and one run makes up for all"
            ));
        }
        let (at, jobs, of) = (Arc::clone(self.at), Arc::clone(&self.jobs), method.clone());
        let cancel = Cancel::default();
        let called_off = cancel.clone();
        let make = move || {
            let silent: Arc<dyn Listener> = Arc::new(Silent);
            let ended = jobs.call((run, &method), &at.runtime, &silent, &called_off);
            if let Err(e) = ended {
                let what = format!("run {run} of {method} failed: {}: {}", e.code, e.message);
                at.settings.log.note("cron", &what);
            }
        };
        match thread::Builder::new()
            .name("remy-cron".to_owned())
            .spawn(make)
        {
            Ok(thread) => drop(self.under_way.insert(run, (cancel, thread))),
            Err(e) => self.tell(&format!("run {run} of {of} was not begun: {e}")),
        }
    }
}
