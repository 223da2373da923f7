//! A release: what it would do, made, made live, taken back.

use super::{Answer, Context, tools};
use crate::{
    annotations,
    arguments::{Between, Change, Clients, Leave, Publish, Switch},
    ask::{ask, somebody},
    failure::Result,
    screen,
    show::{
        advice::leave,
        plan::{difference, effects, outcome, plan, takes_away, untold},
        text::one_line,
    },
};
use remy_db::{Options, Outcome, ReleaseId, Statement, StatementKind, Strategy};
use remy_db_app::project::{self, Project};
use remy_db_runtime::remote::Client;
use remy_db_server::bots;
use std::collections::BTreeSet;

/// How a diff is told.
pub(super) struct Compared<'a> {
    /// By the statements themselves.
    pub(super) is_sql: bool,
    /// What is odd is a row of the result, too.
    pub(super) with_warnings: bool,
    /// A change is not as it should be.
    pub(super) is_judged: bool,
    /// Of releases, and not of what a publish would do.
    pub(super) between: &'a Between,
}

pub(super) fn diff(
    at: &Context<'_>,
    schema: Option<&str>,
    (clients, change): (&Clients, &Change),
    how: Compared<'_>,
) -> Result<Answer> {
    let mut options = Options {
        warnings: true,
        ..Options::default()
    };
    clients.set(&mut options);
    change.set(&mut options);
    let Between { from, to } = *how.between;
    let is_of_releases = from.is_some() || to.is_some();
    let project = at.project()?;
    let all = match is_of_releases {
        true => project.diff_between((from, to), schema, &options)?,
        false => project.diff(schema, &options)?,
    };
    for warning in all.iter().filter(|row| row.kind == StatementKind::Warning) {
        let message = warning.message.as_deref().unwrap_or_default();
        screen::say(&format!("warning: {}\n", one_line(message)));
        if !at.json {
            annotations::warn(message);
        }
    }
    // They are no change: who looks at the rows for one finds none.
    let rows: Vec<&Statement> = all
        .iter()
        .filter(|row| row.kind != StatementKind::Warning)
        .collect();
    let lines = match how.is_sql {
        _ if rows.is_empty() && is_of_releases => vec!["Nothing differs".to_owned()],
        _ if rows.is_empty() => vec!["Nothing to change: live is as declared".to_owned()],
        true => sql_of(&rows),
        false if is_of_releases => compared(at, &rows),
        false => {
            let mut lines = compared(at, &rows);
            lines.extend(needed(&rows, &options));
            lines
        }
    };
    let answer = match how.with_warnings {
        true => Answer::of(&all, lines)?,
        false => Answer::of(&rows, lines)?,
    };
    Ok(Answer {
        is_ok: rows.is_empty() || !how.is_judged,
        ..answer
    })
}

fn sql_of(rows: &[&Statement]) -> Vec<String> {
    let statements = rows.iter().filter(|row| row.strategy != Strategy::Effect);
    let lines = statements.flat_map(|row| {
        let sql = format!("{};", row.sql);
        sql.split('\n').map(str::to_owned).collect::<Vec<_>>()
    });
    lines.collect()
}

fn compared(at: &Context<'_>, rows: &[&Statement]) -> Vec<String> {
    let of_an_effect = |row: &&&Statement| row.strategy == Strategy::Effect;
    let statements: Vec<_> = rows
        .iter()
        .filter(|row| !of_an_effect(row))
        .copied()
        .collect();
    let mut lines = Vec::new();
    if !statements.is_empty() {
        lines.extend(plan(&statements, at.room()));
    }
    if statements.len() < rows.len() {
        let changes = rows.iter().filter_map(|row| match row.kind {
            StatementKind::Effect(change, kind) => Some((kind, row.object.as_str(), change)),
            _ => None,
        });
        lines.extend(effects(changes, at.room()));
    }
    lines
}

/// What a publish takes besides.
fn needed(rows: &[&Statement], options: &Options) -> Option<String> {
    let mut seen = BTreeSet::new();
    let needed = rows.iter().filter_map(|row| row.needs);
    let needed = needed.filter(|needs| !options.allow.contains(needs) && seen.insert(*needs));
    let needed: Vec<_> = needed.map(leave).collect();
    let all = needed.join(",");
    (!needed.is_empty())
        .then(|| format!("A publish needs --allow {all}, or a --rename where one is meant"))
}

pub(super) fn publish(
    at: &Context<'_>,
    given: &Publish,
    options: Options,
    is_staged: bool,
) -> Result<Answer> {
    let project = at.project()?;
    let publish = project::Publish {
        schema: given.schema.clone(),
        create: given.create,
        options,
        tools: tools(),
    };
    let outcome = match is_staged || given.preview.is_some() {
        true => project.stage(&publish, at.follow())?,
        false => project.publish(&publish, at.follow())?,
    };
    tell(at, &project, &outcome);
    shown(at, &outcome)
}

pub(super) fn promote(
    at: &Context<'_>,
    release: Option<ReleaseId>,
    allow: &Leave,
    switch: &Switch,
) -> Result<Answer> {
    let mut options = Options::default();
    allow.set(&mut options);
    switch.set(&mut options);
    let project = at.project()?;
    let outcome = project.promote(release, &options, at.follow())?;
    tell(at, &project, &outcome);
    shown(at, &outcome)
}

pub(super) fn rollback(
    at: &Context<'_>,
    release: Option<ReleaseId>,
    yes: bool,
    options: Options,
) -> Result<Answer> {
    let project = at.project()?;
    // A script has nobody to ask, and a rollback that waits for an answer helps nobody: it says
    // afterwards what went.
    if somebody() && !yes && !at.json && !options.dry_run {
        let trial = Options {
            dry_run: true,
            ..options.clone()
        };
        let trial = project.rollback(release, &trial, at.quietly())?;
        if takes_away(&trial) {
            for line in difference(&trial, at.room()) {
                screen::say(&format!("{}\n", one_line(&line)));
            }
            let number = |release: Option<ReleaseId>| release.unwrap_or_default();
            ask(&format!(
                "Bring back release {}? What goes stays in the snapshot of release {}.",
                number(trial.restored_from),
                number(trial.previous)
            ))?;
        }
    }
    let outcome = project.rollback(release, &options, at.follow())?;
    tell(at, &project, &outcome);
    shown(at, &outcome)
}

/// Tells services outside of what is live now. What fails stays in the outbox: the switch is done.
fn tell(at: &Context<'_>, project: &Project, outcome: &Outcome) {
    if outcome.switch.is_none() || outcome.dry_run {
        return;
    }
    let said = bots::tell(&project.place().path, &Client::default());
    let warn = |message: &str| {
        screen::say(&format!("warning: {}\n", one_line(message)));
        if !at.json {
            annotations::warn(message);
        }
    };
    match said {
        Err(e) => warn(&e.message),
        Ok(said) => {
            for bots::Said { message, is_told } in said {
                match is_told {
                    true if at.quiet => {}
                    true => screen::say(&format!("{}\n", one_line(&message))),
                    false => warn(&message),
                }
            }
        }
    }
}

fn shown(at: &Context<'_>, result: &Outcome) -> Result<Answer> {
    if !at.json {
        untold(result).for_each(|warning| annotations::warn(warning));
    }
    Answer::of(result, outcome(result, at.room()))
}
