//! Cron jobs: when each runs, how its last run ended, and a run of one now.

use super::{
    Answer, Context,
    calling::{one_call, printed, settle, until_called_off},
    invoke::show,
    owner,
};
use crate::{
    arguments::Cron,
    failure::Result,
    name::called,
    show::{
        table::{Table, text},
        text::time,
    },
};
use remy_db::internals::cron::{CronRun, CronStatus};
use remy_db_runtime::runtime::Runtime;
use remy_db_server::cron::{Jobs, Listed};

pub(super) fn cron(at: &Context<'_>, given: Option<&Cron>) -> Result<Answer> {
    let project = at.project()?;
    let place = project.place();
    let jobs = Jobs::of(&place.path, place.timezone.as_deref())?;
    match given {
        None => {
            owner::become_owner(&project)?;
            list(at, &jobs)
        }
        Some(Cron::Run { job, isolation }) => {
            owner::become_who_runs(&project)?;
            let runtime = Runtime::open(&place.path, one_call(place, *isolation))?;
            let run = |cancel: &_| jobs.run(&runtime, job, &printed(), cancel);
            let returned = until_called_off(run)?;
            show(at, &returned)?;
            settle(&runtime);
            Ok(Answer::shown())
        }
    }
}

fn list(at: &Context<'_>, jobs: &Jobs) -> Result<Answer> {
    let all = jobs.list()?;
    if all.is_empty() {
        let none = "No cron job is live: an interface of the type cron declares them".to_owned();
        return Answer::of(&all, vec![none]);
    }
    let mut table = Table::new(["JOB", "SCHEDULE", "NEXT", "LAST", "ENDED"].map(text));
    for job in &all {
        table.row(cells(job));
    }
    let mut lines = table.lines(at.room());
    lines.push(format!(
        "Schedules are in {}; {} serve runs them",
        jobs.timezone(),
        called()
    ));
    Answer::of(&all, lines)
}

fn cells(job: &Listed) -> [String; 5] {
    let last = job.last.as_ref();
    [
        job.method.clone(),
        job.schedule.clone(),
        job.next.map(time).unwrap_or_default(),
        last.map(|run| time(run.at)).unwrap_or_default(),
        last.map(ended).unwrap_or_default(),
    ]
}

fn ended(run: &CronRun) -> String {
    match (run.status, &run.message) {
        (CronStatus::Returned | CronStatus::Running, _) | (_, None) => {
            run.status.as_str().to_owned()
        }
        (status, Some(why)) => format!("{}: {why}", status.as_str()),
    }
}
