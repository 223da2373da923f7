//! Runs of cron jobs in the catalog: each is claimed here before it begins.

use crate::{
    base::{error::Result, words::words},
    store::catalog::{Catalog, word},
};
use rusqlite::{OptionalExtension, Row, params};
use serde::Serialize;

/// How long a run is kept that has ended, in milliseconds, and how many of a method's at most.
const KEPT: i64 = 30 * 24 * 3600 * 1000;
const MOST: i64 = 10_000;

/// How many of a method's are kept however old they are: a clock that is wrong for a moment may not
/// make that forgotten which has run.
const LEAST: i64 = 100;

words! {
    /// How a run of a cron job stands.
    pub enum CronStatus, "status" {
        /// It has not ended.
        Running = "running",
        /// Its method returned.
        Returned = "returned",
        /// Its method threw, or was ended.
        Failed = "failed",
        /// The process that ran it was gone: how far it came, nobody knows.
        Lost = "lost",
        /// The run before it was not over: it was not made.
        Skipped = "skipped",
    }
}

/// A run of a cron job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CronRun {
    /// Counts up.
    pub run: i64,
    /// What runs.
    pub method: String,
    /// The job's; none where somebody asked for the run.
    pub schedule: Option<String>,
    /// The time of the schedule that it is for, Unix milliseconds.
    pub due: Option<i64>,
    /// When it was claimed.
    pub at: i64,
    /// When it ended.
    pub ended_at: Option<i64>,
    /// How it stands.
    pub status: CronStatus,
    /// How many times of the schedule before it passed without a run.
    pub missed: i64,
    /// The call, as its record has it.
    pub call: Option<String>,
    /// Why it failed or was skipped.
    pub message: Option<String>,
}

/// A run that is to be made.
#[derive(Debug, Clone)]
pub struct CronClaim {
    /// What runs.
    pub method: String,
    /// The job's, and the time of it; neither where somebody asks for the run.
    pub schedule: Option<String>,
    /// Unix milliseconds.
    pub due: Option<i64>,
    /// How many times before passed without a run.
    pub missed: i64,
    /// Now.
    pub at: i64,
    /// Who makes it: [`Catalog::cron_lose`] asks whether that is still there.
    pub process: String,
}

/// Whether a run may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CronClaimed {
    /// By who has asked, under this number.
    Yes(i64),
    /// Not by anybody: this one, of the same job, is not over.
    Skipped(i64),
    /// It is another's, or was.
    No,
}

/// What the catalog knows of a job.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CronSeen {
    /// Since when it is there; none where no process has seen it yet.
    pub since: Option<i64>,
    /// The last time of its schedule, of those that have come, that was claimed.
    pub last: Option<i64>,
}

const COLUMNS: &str = "run, method, schedule, due, at, ended_at, status, missed, call, message";

fn run(row: &Row<'_>) -> rusqlite::Result<CronRun> {
    let run = row.get(0)?;
    Ok(CronRun {
        run,
        method: row.get(1)?,
        schedule: row.get(2)?,
        due: row.get(3)?,
        at: row.get(4)?,
        ended_at: row.get(5)?,
        status: word(row, 6, format_args!("the run {run} of a cron job"))?,
        missed: row.get(7)?,
        call: row.get(8)?,
        message: row.get(9)?,
    })
}

impl Catalog {
    /// Records which jobs there are from `now` on. One that went and came again is new: its times in
    /// between were none of its. One that was seen in what is now the future is seen now: the clock
    /// was wrong then, and until it has come as far no time would be the job's.
    pub(crate) fn cron_see(&self, jobs: &[(&str, &str)], now: i64) -> Result<()> {
        let known = "SELECT method, schedule FROM cron_jobs WHERE since <= ?1";
        let known = self.rows(known, [now], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
        })?;
        let is_there = |(method, schedule): &(String, String)| {
            jobs.contains(&(method.as_str(), schedule.as_str()))
        };
        if known.len() == jobs.len() && known.iter().all(is_there) {
            return Ok(());
        }
        self.durably("recording cron jobs", |conn| {
            conn.execute("DELETE FROM cron_jobs WHERE since > ?1", [now])?;
            for (method, schedule) in known.iter().filter(|job| !is_there(job)) {
                let gone = "DELETE FROM cron_jobs WHERE method = ?1 AND schedule = ?2";
                conn.execute(gone, [method, schedule])?;
            }
            for (method, schedule) in jobs {
                conn.execute(
                    "INSERT OR IGNORE INTO cron_jobs (method, schedule, since) VALUES (?1, ?2, ?3)",
                    params![method, schedule, now],
                )?;
            }
            Ok(())
        })
    }

    /// What is known of a job. Times after `now` do not count: the clock was wrong then, or is.
    pub(crate) fn cron_seen(&self, method: &str, schedule: &str, now: i64) -> Result<CronSeen> {
        let seen = self.rows(
            "SELECT (SELECT since FROM cron_jobs WHERE method = ?1 AND schedule = ?2),
                    (SELECT max(due) FROM cron_runs WHERE method = ?1 AND schedule = ?2 AND due <= ?3)",
            params![method, schedule, now],
            |row| {
                Ok(CronSeen {
                    since: row.get(0)?,
                    last: row.get(1)?,
                })
            },
        )?;
        Ok(seen.into_iter().next().unwrap_or_default())
    }

    /// Claims a run, durably. Of one time of a schedule there is one run ever, whoever asks.
    pub(crate) fn cron_claim(&self, claim: &CronClaim) -> Result<CronClaimed> {
        self.durably("claiming a run of a cron job", |conn| {
            let taken = conn
                .query_row(
                    "SELECT 1 FROM cron_runs WHERE method = ?1 AND schedule = ?2 AND due = ?3",
                    params![claim.method, claim.schedule, claim.due],
                    |_| Ok(()),
                )
                .optional()?;
            if taken.is_some() {
                return Ok(CronClaimed::No);
            }
            // What somebody asked for is in the way of every job of the method, and they of it.
            let running: Option<i64> = conn
                .query_row(
                    "SELECT run FROM cron_runs WHERE method = ?1 AND status = 'running'
                     AND (?2 IS NULL OR schedule IS NULL OR schedule = ?2) ORDER BY run LIMIT 1",
                    params![claim.method, claim.schedule],
                    |row| row.get(0),
                )
                .optional()?;
            let (status, why) = match running {
                None => (CronStatus::Running, None),
                Some(_) if claim.due.is_none() => {
                    return Ok(CronClaimed::Skipped(running.unwrap_or_default()));
                }
                Some(run) => (
                    CronStatus::Skipped,
                    Some(format!("run {run} was not over")),
                ),
            };
            conn.execute(
                "INSERT INTO cron_runs (method, schedule, due, at, ended_at, status, missed, process, message)
                 VALUES (?1, ?2, ?3, ?4, CASE ?5 WHEN 'running' THEN NULL ELSE ?4 END, ?5, ?6, ?7, ?8)",
                params![
                    claim.method,
                    claim.schedule,
                    claim.due,
                    claim.at,
                    status.as_str(),
                    claim.missed,
                    claim.process,
                    why
                ],
            )?;
            let number = conn.last_insert_rowid();
            conn.execute(
                "WITH nth(run) AS (SELECT run FROM cron_runs WHERE method = ?1 ORDER BY run DESC)
                 DELETE FROM cron_runs WHERE method = ?1 AND status <> 'running' AND run < ?2
                   AND (run < (SELECT run FROM nth LIMIT 1 OFFSET ?4)
                     OR at < ?3 AND run < (SELECT run FROM nth LIMIT 1 OFFSET ?5))",
                params![claim.method, number, claim.at - KEPT, MOST, LEAST],
            )?;
            Ok(running.map_or(CronClaimed::Yes(number), CronClaimed::Skipped))
        })
    }

    /// Records how a run ended.
    pub(crate) fn cron_ended(
        &self,
        run: i64,
        status: CronStatus,
        now: i64,
        (call, message): (Option<&str>, Option<&str>),
    ) -> Result<()> {
        self.write_durably(
            "recording the end of a run of a cron job",
            "UPDATE cron_runs SET status = ?2, ended_at = ?3, call = ?4, message = ?5
             WHERE run = ?1 AND status = 'running'",
            params![run, status.as_str(), now, call, message],
        )
    }

    /// Records that runs are lost which their processes do not have any more, and returns them.
    pub(crate) fn cron_lose(
        &self,
        is_there: &dyn Fn(i64, &str) -> bool,
        now: i64,
    ) -> Result<Vec<CronRun>> {
        let running = self.rows(
            &format!("SELECT {COLUMNS}, process FROM cron_runs WHERE status = 'running'"),
            [],
            |row| Ok((run(row)?, row.get::<_, String>(10)?)),
        )?;
        let mut lost = Vec::new();
        for (run, _) in running
            .into_iter()
            .filter(|(run, by)| !is_there(run.run, by))
        {
            let why = "the process that ran it was gone";
            self.cron_ended(run.run, CronStatus::Lost, now, (None, Some(why)))?;
            lost.push(CronRun {
                status: CronStatus::Lost,
                ended_at: Some(now),
                message: Some(why.to_owned()),
                ..run
            });
        }
        Ok(lost)
    }

    /// The runs of a method, or of all, the newest first.
    pub(crate) fn cron_runs(&self, method: Option<&str>, limit: u32) -> Result<Vec<CronRun>> {
        self.rows(
            &format!(
                "SELECT {COLUMNS} FROM cron_runs WHERE ?1 IS NULL OR method = ?1 ORDER BY run DESC LIMIT ?2"
            ),
            params![method, limit],
            run,
        )
    }
}

#[cfg(all(test, feature = "engine"))]
mod tests {
    use super::*;
    use rusqlite::Connection;

    fn catalog() -> Catalog {
        crate::sqlite::engine::init();
        let conn = Connection::open_in_memory().unwrap();
        conn.execute_batch(include_str!("catalog-4-to-5.sql"))
            .unwrap();
        Catalog { conn }
    }

    fn at(due: Option<i64>, at: i64) -> CronClaim {
        CronClaim {
            method: "tidy".to_owned(),
            schedule: due.map(|_| "* * * * *".to_owned()),
            due,
            missed: 0,
            at,
            process: "1 1".to_owned(),
        }
    }

    #[test]
    fn a_time_is_claimed_once_and_none_while_a_run_of_the_job_is_not_over() {
        let catalog = catalog();
        let CronClaimed::Yes(first) = catalog.cron_claim(&at(Some(60), 61)).unwrap() else {
            panic!("it was free")
        };
        assert_eq!(
            catalog.cron_claim(&at(Some(60), 62)).unwrap(),
            CronClaimed::No
        );
        assert_eq!(
            catalog.cron_claim(&at(Some(120), 120)).unwrap(),
            CronClaimed::Skipped(first)
        );
        assert_eq!(
            catalog.cron_claim(&at(None, 121)).unwrap(),
            CronClaimed::Skipped(first)
        );
        let end = (Some("c"), None);
        catalog
            .cron_ended(first, CronStatus::Returned, 130, end)
            .unwrap();
        // What was skipped is not made up for.
        assert_eq!(
            catalog.cron_claim(&at(Some(120), 131)).unwrap(),
            CronClaimed::No
        );
        assert!(matches!(
            catalog.cron_claim(&at(None, 132)).unwrap(),
            CronClaimed::Yes(_)
        ));
        assert!(matches!(
            catalog.cron_claim(&at(Some(180), 180)).unwrap(),
            CronClaimed::Skipped(_)
        ));
        let of = |run: &CronRun| (run.due, run.status.as_str());
        assert_eq!(
            catalog
                .cron_runs(None, 9)
                .unwrap()
                .iter()
                .map(of)
                .collect::<Vec<_>>(),
            [
                (Some(180), "skipped"),
                (None, "running"),
                (Some(120), "skipped"),
                (Some(60), "returned")
            ]
        );
    }

    #[test]
    fn a_run_whose_process_is_gone_is_lost_once_and_holds_up_nothing() {
        let catalog = catalog();
        catalog.cron_claim(&at(Some(60), 61)).unwrap();
        assert_eq!(catalog.cron_lose(&|_, by| by == "1 1", 70).unwrap(), []);
        let lost = catalog.cron_lose(&|_, _| false, 70).unwrap();
        assert_eq!(lost.len(), 1);
        assert_eq!(lost, catalog.cron_runs(Some("tidy"), 9).unwrap());
        assert_eq!(catalog.cron_lose(&|_, _| false, 71).unwrap(), []);
        // Its end comes too late, as from a process that was stopped.
        let end = (None, None);
        catalog
            .cron_ended(1, CronStatus::Returned, 80, end)
            .unwrap();
        assert_eq!(lost, catalog.cron_runs(None, 9).unwrap());
        assert_eq!(
            catalog.cron_claim(&at(Some(60), 72)).unwrap(),
            CronClaimed::No
        );
        assert_eq!(
            catalog.cron_claim(&at(Some(120), 120)).unwrap(),
            CronClaimed::Yes(2)
        );
    }

    #[test]
    fn a_job_that_went_and_came_again_is_new_and_times_to_come_do_not_count() {
        let catalog = catalog();
        let seen = |now| {
            let seen = catalog.cron_seen("tidy", "* * * * *", now).unwrap();
            (seen.since, seen.last)
        };
        assert_eq!(seen(9), (None, None));
        let job = ("tidy", "* * * * *");
        catalog
            .cron_see(&[job, ("other", "0 0 * * *")], 10)
            .unwrap();
        catalog
            .cron_see(&[job, ("other", "0 0 * * *")], 20)
            .unwrap();
        catalog.cron_claim(&at(Some(60), 61)).unwrap();
        assert_eq!(
            (seen(59), seen(60)),
            ((Some(10), None), (Some(10), Some(60)))
        );
        catalog.cron_see(&[("other", "0 0 * * *")], 30).unwrap();
        assert_eq!(seen(90).0, None);
        catalog.cron_see(&[job], 40).unwrap();
        assert_eq!(seen(90), (Some(40), Some(60)));
    }

    #[test]
    fn old_runs_go() {
        let catalog = catalog();
        let make = |due| {
            catalog.cron_claim(&at(Some(due), due + 1)).unwrap();
            catalog.cron_lose(&|_, _| false, due + 2).unwrap();
        };
        let count = || catalog.cron_runs(None, u32::MAX).unwrap().len();
        let least = usize::try_from(LEAST).unwrap();
        make(60);
        (1..=LEAST).for_each(|n| make(KEPT + n * 60));
        assert_eq!(count(), least + 1, "{KEPT} ms are not over");
        make(KEPT * 2);
        assert_eq!(count(), least + 1, "there are more");
    }

    #[test]
    fn a_clock_that_was_wrong_makes_nothing_forgotten_and_holds_nothing_up() {
        let catalog = catalog();
        let job = ("tidy", "* * * * *");
        catalog.cron_see(&[job], 10).unwrap();
        catalog.cron_claim(&at(Some(60), 61)).unwrap();
        catalog
            .cron_ended(1, CronStatus::Returned, 62, (None, None))
            .unwrap();
        // A year ahead, and back.
        catalog
            .cron_claim(&at(Some(12 * KEPT), 12 * KEPT + 1))
            .unwrap();
        let seen = |now| catalog.cron_seen(job.0, job.1, now).unwrap();
        assert_eq!((seen(70).since, seen(70).last), (Some(10), Some(60)));
        // Seen for the first time while it was ahead.
        let other = ("other", "* * * * *");
        catalog.cron_see(&[job, other], 12 * KEPT).unwrap();
        catalog.cron_see(&[job, other], 80).unwrap();
        let since = catalog.cron_seen(other.0, other.1, 90).unwrap().since;
        assert_eq!((since, seen(90).since), (Some(80), Some(10)));
    }
}
