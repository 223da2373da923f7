//! A release: what it would do, made, made live, taken back.

use super::{Answer, Context, tools};
use crate::{
    arguments::{Change, Clients, Leave, Publish, Switch},
    ask::{ask, somebody},
    failure::Result,
    screen,
    show::{
        advice::leave,
        plan::{difference, effects, outcome, plan, takes_away},
        text::one_line,
    },
};
use remy_db::{Options, Outcome, ReleaseId, Statement, StatementKind, Strategy};
use remy_db_app::project;
use std::collections::BTreeSet;

/// How a diff is told.
pub(super) struct Compared {
    /// By the statements themselves.
    pub(super) is_sql: bool,
    /// What is odd is a row of the result, too.
    pub(super) with_warnings: bool,
    /// A change is not as it should be.
    pub(super) is_judged: bool,
}

pub(super) fn diff(
    at: &Context<'_>,
    schema: Option<&str>,
    (clients, change): (&Clients, &Change),
    how: Compared,
) -> Result<Answer> {
    let mut options = Options {
        warnings: true,
        ..Options::default()
    };
    clients.set(&mut options);
    change.set(&mut options);
    let all = at.project()?.diff(schema, &options)?;
    for warning in all.iter().filter(|row| row.kind == StatementKind::Warning) {
        let message = warning.message.as_deref().unwrap_or_default();
        screen::say(&format!("warning: {}\n", one_line(message)));
    }
    // They are no change: who looks at the rows for one finds none.
    let rows: Vec<&Statement> = all
        .iter()
        .filter(|row| row.kind != StatementKind::Warning)
        .collect();
    let lines = match how.is_sql {
        true if rows.is_empty() => unchanged(),
        true => sql_of(&rows),
        false => compared(at, &rows, &options),
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

fn unchanged() -> Vec<String> {
    vec!["Nothing to change: live is as declared".to_owned()]
}

fn sql_of(rows: &[&Statement]) -> Vec<String> {
    let statements = rows.iter().filter(|row| row.strategy != Strategy::Effect);
    let lines = statements.flat_map(|row| {
        let sql = format!("{};", row.sql);
        sql.split('\n').map(str::to_owned).collect::<Vec<_>>()
    });
    lines.collect()
}

fn compared(at: &Context<'_>, rows: &[&Statement], options: &Options) -> Vec<String> {
    if rows.is_empty() {
        return unchanged();
    }
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
    let mut seen = BTreeSet::new();
    let needed = statements.iter().filter_map(|row| row.needs);
    let needed = needed.filter(|needs| !options.allow.contains(needs) && seen.insert(*needs));
    let needed: Vec<_> = needed.map(leave).collect();
    if !needed.is_empty() {
        let needed = needed.join(",");
        lines.push(format!(
            "A publish needs --allow {needed}, or a --rename where one is meant"
        ));
    }
    lines
}

pub(super) fn publish(at: &Context<'_>, given: &Publish, is_staged: bool) -> Result<Answer> {
    let project = at.project()?;
    let publish = project::Publish {
        schema: given.schema.clone(),
        create: given.create,
        options: given.options(),
        tools: tools(),
    };
    let outcome = match is_staged || given.preview.is_some() {
        true => project.stage(&publish, at.follow())?,
        false => project.publish(&publish, at.follow())?,
    };
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
    shown(at, &at.project()?.promote(release, &options, at.follow())?)
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
    shown(at, &project.rollback(release, &options, at.follow())?)
}

fn shown(at: &Context<'_>, result: &Outcome) -> Result<Answer> {
    Answer::of(result, outcome(result, at.room()))
}
