//! The record of calls.

use super::{Answer, Context, follow, json, owner};
use crate::{
    arguments::Calls as Given,
    failure::Result,
    name::called,
    output,
    show::{
        table::{Table, number, text},
        text::{one_line, plain, time, took},
    },
};
use remy_db_app::place::store_beside;
use remy_db_runtime::records::{self, Asked, Ended, Record};
use std::{collections::BTreeSet, path::Path};

/// How many are listed where nobody says how many.
const LISTED: u32 = 20;

pub(super) fn calls(at: &Context<'_>, given: &Given) -> Result<Answer> {
    let project = at.project()?;
    let store = store_beside(&project.place().path);
    owner::become_owner(&project)?;
    let asked = Asked {
        method: given.method.clone(),
        failed: given.failed,
        after: None,
        limit: given.limit.unwrap_or(LISTED),
    };
    let mut all = match &store {
        Some(store) => records::list(store, &asked)?,
        None => Vec::new(),
    };
    if let (Some(store), true) = (&store, given.follow) {
        all.reverse();
        return follow(at, store, &asked, &all);
    }
    if all.is_empty() {
        let none = format!("No call: {} invoke METHOD makes one", called());
        return Answer::of(&all, vec![none]);
    }
    let mut table = Table::new([
        text("WHEN"),
        text("METHOD"),
        text("WHERE"),
        number("TOOK"),
        text("AS"),
        text("ENDED"),
    ]);
    for record in &all {
        table.row(cells(record));
    }
    Answer::of(&all, table.lines(at.room()))
}

fn cells(record: &Record) -> [String; 6] {
    [
        time(record.at),
        record.method.clone(),
        record.target.clone(),
        record.ms.map(took).unwrap_or_default(),
        record.user.clone().unwrap_or_default(),
        ended(record),
    ]
}

fn ended(record: &Record) -> String {
    match (record.status, &record.code, &record.message) {
        (Ended::Returned, ..) => "returned".to_owned(),
        (Ended::Running, ..) => "running".to_owned(),
        (Ended::Lost, ..) => "lost: its process was gone".to_owned(),
        (Ended::Failed, Some(code), Some(message)) => format!("{code}: {message}"),
        (Ended::Failed, ..) => "failed".to_owned(),
    }
}

/// Shows those, and then each other one as it ends: with what it printed, as a log does.
fn follow(at: &Context<'_>, store: &Path, asked: &Asked, listed: &[Record]) -> Result<Answer> {
    // What runs now may fail.
    let all = Asked {
        failed: false,
        limit: u32::MAX,
        ..asked.clone()
    };
    let mut shown: BTreeSet<i64> = BTreeSet::new();
    let mut tell = |record: &Record| -> Result<()> {
        let is_wanted = match record.status {
            Ended::Running => false,
            Ended::Returned => !asked.failed,
            Ended::Failed | Ended::Lost => true,
        };
        if is_wanted && shown.insert(record.seq) {
            let text = match at.json {
                true => json(record)?,
                false => line(record),
            };
            output::write(format!("{text}\n").as_bytes());
        }
        Ok(())
    };
    listed.iter().try_for_each(&mut tell)?;
    let mut after = before_what_runs(&records::list(store, &all)?, newest(listed));
    follow::follow(|| {
        let after_those = Some(after);
        let more = records::list(
            store,
            &Asked {
                after: after_those,
                ..all.clone()
            },
        )?;
        more.iter().try_for_each(&mut tell)?;
        after = before_what_runs(&more, newest(&more).max(after));
        Ok(())
    })
}

/// The last of the calls before the first that runs; `or`, where none runs.
fn before_what_runs(all: &[Record], or: i64) -> i64 {
    let running = all.iter().filter(|record| record.status == Ended::Running);
    running.map(|record| record.seq - 1).min().unwrap_or(or)
}

fn newest(all: &[Record]) -> i64 {
    all.iter().map(|record| record.seq).max().unwrap_or(0)
}

fn line(record: &Record) -> String {
    let [when, method, of, took, who, ended] = cells(record);
    let who = match who.as_str() {
        "" => who,
        _ => format!(" as {who}"),
    };
    let head = plain(&format!(
        "{when}  {took:>8}  {method} on {of}{who}: {ended}"
    ))
    .into_owned();
    let printed = record.output.lines();
    let printed = printed.map(|line| format!("    {}", one_line(line)));
    std::iter::once(head)
        .chain(printed)
        .collect::<Vec<_>>()
        .join("\n")
}
