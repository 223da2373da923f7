//! The cron jobs of what is live, and the book of their runs.

use super::{
    due::due,
    schedule::{Schedule, zone},
};
use chrono_tz::Tz;
use remy_db::{
    Remy,
    internals::{
        cron::{CronClaim, CronClaimed, CronRun, CronStatus},
        effects::CronJob,
    },
};
use remy_db_runtime::{
    child::Listener,
    failure::Failure,
    pool::Cancel,
    process,
    runtime::{Invoke, Returned, Runtime},
    state::now,
    target::of_core,
    who::Who,
};
use serde::Serialize;
use serde_json::json;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// The cron jobs of what is live.
#[derive(Debug)]
pub struct Jobs {
    live: PathBuf,
    zone: Tz,
}

/// A job, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// What runs.
    pub method: String,
    /// When.
    pub schedule: String,
    /// What it is for.
    pub description: Option<String>,
    /// The next time, Unix milliseconds.
    pub next: Option<i64>,
    /// Its last run, where there was one: by its schedule, or because somebody asked for it.
    pub last: Option<CronRun>,
}

/// A run that this process is to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Claimed {
    pub run: i64,
    pub method: String,
    pub missed: i64,
}

/// What has become of the jobs at a time.
#[derive(Debug, Default)]
pub(super) struct Looked {
    pub claimed: Vec<Claimed>,
    /// What people should know.
    pub said: Vec<String>,
    /// When there is something to do again; none where no job is declared.
    pub next: Option<i64>,
}

impl Jobs {
    /// Of the live database at `live`; `timezone` is that of the schedules, UTC where none is named.
    ///
    /// Fails with `invalid_argument` where there is no such zone.
    pub fn of(live: &Path, timezone: Option<&str>) -> Result<Self, Failure> {
        let zone = zone(timezone).map_err(|e| Failure::new("invalid_argument", 400, e))?;
        Ok(Self {
            live: live.to_owned(),
            zone,
        })
    }

    /// The name of the time zone.
    pub fn timezone(&self) -> &'static str {
        self.zone.name()
    }

    fn remy(&self) -> Result<Remy, Failure> {
        Remy::open(&self.live).map_err(of_core)
    }

    pub(super) fn declared(&self) -> Result<Vec<CronJob>, Failure> {
        let (_, effects) = self.remy()?.declared().map_err(of_core)?;
        Ok(effects.cron_jobs)
    }

    /// Every job, with its next time and its last run.
    pub fn list(&self) -> Result<Vec<Listed>, Failure> {
        let (remy, now) = (self.remy()?, now());
        let book = remy.cron();
        let mut all = Vec::new();
        for job in self.declared()? {
            let next = Schedule::of(&job.schedule, self.zone).ok();
            let runs = book.runs(Some(&job.method), 100).map_err(of_core)?;
            let is_its = |run: &CronRun| run.schedule.as_ref().is_none_or(|it| *it == job.schedule);
            all.push(Listed {
                next: next.and_then(|schedule| schedule.next(now)),
                last: runs.into_iter().find(is_its),
                method: job.method,
                schedule: job.schedule,
                description: job.description,
            });
        }
        Ok(all)
    }

    /// Runs a job now, whatever its schedule says, and waits for its end.
    ///
    /// Fails with `not_found` where there is no such job, with `busy` where a run of it is not over,
    /// and as a call does.
    pub fn run(
        &self,
        runtime: &Runtime,
        method: &str,
        listener: &Arc<dyn Listener>,
        cancel: &Cancel,
    ) -> Result<Returned, Failure> {
        let jobs = self.declared()?;
        if !jobs.iter().any(|job| job.method == method) {
            return Err(no_such(method, &jobs));
        }
        let claim = CronClaim {
            method: method.to_owned(),
            schedule: None,
            due: None,
            missed: 0,
            at: now(),
            // A scheduler in this process does not know of it, and does not take it for lost.
            process: format!("{} by hand", process::this()),
        };
        let remy = self.remy()?;
        let claimed = remy.cron().lose(&|_, by| process::is_there(by));
        claimed.map_err(of_core)?;
        match remy.cron().claim(&claim).map_err(of_core)? {
            CronClaimed::Yes(run) => self.call((run, method), runtime, listener, cancel),
            CronClaimed::Skipped(run) => Err(busy(method, Some(run))),
            CronClaimed::No => Err(busy(method, None)),
        }
    }

    /// Makes a run that was claimed, and records how it ended.
    pub(super) fn call(
        &self,
        (run, method): (i64, &str),
        runtime: &Runtime,
        listener: &Arc<dyn Listener>,
        cancel: &Cancel,
    ) -> Result<Returned, Failure> {
        let invoke = Invoke {
            who: Who::system(),
            ..Invoke::new(method, json!({}))
        };
        let ended = runtime.call(invoke, listener, cancel);
        let (status, call, why) = match &ended {
            Ok(returned) => (CronStatus::Returned, Some(returned.call.as_str()), None),
            Err(e) => {
                let why = format!("{}: {}", e.code, e.message);
                (CronStatus::Failed, None, Some(why))
            }
        };
        // Where that cannot be written now, it is written as lost: its process does not have it.
        let remy = self.remy()?;
        let recorded = remy.cron().ended(run, status, (call, why.as_deref()));
        ended.and_then(|returned| recorded.map_err(of_core).map(|()| returned))
    }

    /// Claims every run that is due. `has` says of a run of this process whether it is under way.
    pub(super) fn look(&self, now: i64, has: &dyn Fn(i64) -> bool) -> Result<Looked, Failure> {
        let remy = self.remy()?;
        let (book, me) = (remy.cron(), process::this());
        let mut looked = Looked::default();
        let is_there = |run, by: &str| match by == me {
            true => has(run),
            false => process::is_there(by),
        };
        for lost in book.lose(&is_there).map_err(of_core)? {
            looked.said.push(format!(
                "run {} of {} was cut off, and is not made again: nobody knows how far it came",
                lost.run, lost.method
            ));
        }
        let jobs = self.declared()?;
        let keys: Vec<_> = jobs
            .iter()
            .map(|job| (&*job.method, &*job.schedule))
            .collect();
        book.see(&keys).map_err(of_core)?;
        let seen = book.seen(&keys, now).map_err(of_core)?;
        for (job, seen) in jobs.iter().zip(seen) {
            let schedule = match Schedule::of(&job.schedule, self.zone) {
                Ok(schedule) => schedule,
                Err(e) => {
                    looked
                        .said
                        .push(format!("{}: {:?}: {e}", job.method, job.schedule));
                    continue;
                }
            };
            looked.next = looked.next.into_iter().chain(schedule.next(now)).min();
            let Some(due) = due(&schedule, &seen, now) else {
                continue;
            };
            let claim = CronClaim {
                method: job.method.clone(),
                schedule: Some(job.schedule.clone()),
                due: Some(due.at),
                missed: due.missed,
                at: now,
                process: me.clone(),
            };
            match book.claim(&claim).map_err(of_core)? {
                CronClaimed::Yes(run) => looked.claimed.push(Claimed {
                    run,
                    method: job.method.clone(),
                    missed: due.missed,
                }),
                CronClaimed::Skipped(run) => looked.said.push(format!(
                    "{} is skipped this time: run {run} is not over",
                    job.method
                )),
                CronClaimed::No => {}
            }
        }
        Ok(looked)
    }
}

fn no_such(method: &str, jobs: &[CronJob]) -> Failure {
    let mut all: Vec<_> = jobs.iter().map(|job| job.method.as_str()).collect();
    all.dedup();
    let there = match all.is_empty() {
        true => "there is none".to_owned(),
        false => format!("there is {}", all.join(", ")),
    };
    let message = format!("there is no cron job {method}; {there}. Nothing was called");
    Failure::new("not_found", 404, message)
}

fn busy(method: &str, run: Option<i64>) -> Failure {
    let run = run.map_or("a run".to_owned(), |run| format!("run {run}"));
    let message =
        format!("{run} of {method} is not over. Nothing was called: run it again after that");
    Failure::new("busy", 503, message)
}
