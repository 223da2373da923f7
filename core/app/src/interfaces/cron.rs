//! Methods that run by the clock.

use crate::{
    check::{At, anything, distinct_by, filled, list, shape, text, text_of},
    interfaces::kind::{Interface, Kind, get, given, text as text_at},
    references::method,
};
use remy_db::internals::effects::check_schedule;
use serde_json::{Value, json};

pub(super) const KIND: Kind = Kind {
    fields: &[("jobs", &jobs)],
    also: anything,
    compile: |it, _| vec![("interfaces/cron.json", json!({ "jobs": compiled(it) }))],
    effects: Some(("cron_jobs", compiled)),
};

fn jobs(at: &At<'_>) -> bool {
    list(at, &|at| {
        shape(
            at,
            &[
                ("schedule", &schedule),
                ("method", &method),
                ("description?", &text),
            ],
        )
    }) & distinct_by(at, "", "method and schedule", |job| {
        let schedule = text_of(job, "schedule")?;
        Some(format!(
            "{} at {}",
            text_at(job, "method"),
            plain(&schedule)
        ))
    })
}

fn schedule(at: &At<'_>) -> bool {
    filled(at)
        && match check_schedule(at.text()) {
            Ok(()) => true,
            Err(why) => at.fault(format!("\"{}\": {why}", at.text())),
        }
}

fn compiled(it: &Interface) -> Vec<Value> {
    let job = |job: &Value| {
        given(json!({
            "method": job["method"],
            "schedule": plain(text_at(job, "schedule")),
            "description": get(job, "description"),
        }))
    };
    it.entries("jobs").map(job).collect()
}

/// A schedule with one space between its fields.
fn plain(schedule: &str) -> String {
    schedule.split_whitespace().collect::<Vec<_>>().join(" ")
}
