//! The live database and its store.

use super::{Answer, Context};
use crate::{
    arguments::{Extensions, Prune},
    ask::{ask, somebody},
    failure::{Result, usage},
    name::called,
    show::{
        table::{Table, list, number, text},
        text::{plain, took},
    },
};
use remy_db::{
    Options,
    internals::text::{human, things},
};
use remy_db_app::build::disk;
use serde_json::Value;
use std::path::Path;

pub(super) fn verify(at: &Context<'_>, extensions: &Extensions) -> Result<Answer> {
    let mut options = Options::default();
    extensions.set(&mut options);
    let verified = at.project()?.verify(&options, at.follow())?;
    let mut table = Table::new([text(" "), text("OBJECT"), text("CHECK"), text("FOUND")]);
    for check in &verified.checked {
        table.row([
            if check.ok { "✓" } else { "✗" }.to_owned(),
            check.object.clone(),
            check.what.clone(),
            check.message.clone().unwrap_or_default(),
        ]);
    }
    let mut lines = table.lines(at.room());
    lines.extend(warnings(&verified.warnings));
    let bad = verified.checked.iter().filter(|check| !check.ok).count() as u64;
    lines.push(match verified.ok {
        true => "All is whole".to_owned(),
        false => format!("{} failed", things(bad, "check")),
    });
    let answer = Answer::of(&verified, lines)?;
    Ok(Answer {
        is_ok: verified.ok,
        ..answer
    })
}

pub(super) fn prune(at: &Context<'_>, given: &Prune) -> Result<Answer> {
    let options = given.options();
    let pruned = at
        .project()?
        .prune(given.older_than, &options, at.quietly())?;
    let mut lines: Vec<_> = warnings(&pruned.warnings).collect();
    let left = format!("{} kept [{}]", pruned.kept, human(pruned.kept_bytes));
    if pruned.pruned.is_empty() {
        lines.push(format!("Nothing to drop; {left}"));
        return Answer::of(&pruned, lines);
    }
    let mut table = Table::new([number("RELEASE"), text("DATABASE"), number("SIZE")]);
    for gone in &pruned.pruned {
        table.row([
            gone.release.to_string(),
            gone.database.clone(),
            human(gone.bytes),
        ]);
    }
    lines.extend(table.lines(at.room()));
    let did = match options.dry_run {
        true => "Nothing was changed: it would drop",
        false => "Dropped",
    };
    let databases = things(pruned.pruned.len() as u64, "database");
    let freed = human(pruned.freed_bytes);
    lines.push(format!("{did} {databases} [{freed}]; {left}"));
    Answer::of(&pruned, lines)
}

fn warnings(all: &[String]) -> impl Iterator<Item = String> {
    all.iter().map(|warning| format!("warning: {warning}"))
}

pub(super) fn clone(at: &Context<'_>, path: &Path) -> Result<Answer> {
    let cloned = at.project()?.clone_to(&disk::lexical(path), at.quietly())?;
    let size = human(cloned.bytes);
    let line = format!(
        "Cloned live to {} [{size}, {}] in {}",
        cloned.path,
        cloned.method,
        took(cloned.duration_ms)
    );
    Answer::of(&cloned, vec![line])
}

pub(super) fn detach(at: &Context<'_>, yes: bool) -> Result<Answer> {
    let project = at.project()?;
    if !yes {
        if !somebody() {
            let called = called();
            return Err(usage(format!(
                "{called} detach expects --yes where nobody can be asked"
            )));
        }
        let live = project.place().path.display().to_string();
        let live = plain(&live);
        ask(&format!(
            "Take remy out of {live}? Live keeps its data and forgets its releases."
        ))?;
    }
    let detached = project.detach()?;
    let mut lines = vec![match detached.dropped.as_slice() {
        [] => "Live had no tables of remy".to_owned(),
        dropped => format!("Dropped {}", dropped.join(", ")),
    }];
    lines.extend(detached.left.iter().map(|what| format!("Left: {what}")));
    Answer::of(&detached, lines)
}

pub(super) fn debug(at: &Context<'_>) -> Result<Answer> {
    let debug = at.project()?.debug()?;
    let facts = serde_json::to_value(&debug).unwrap_or_default();
    let facts: Vec<_> = facts.as_object().into_iter().flatten().collect();
    let facts: Vec<_> = facts
        .iter()
        .map(|(key, value)| (key.as_str(), fact(value)))
        .collect();
    Answer::of(&debug, list(&facts))
}

fn fact(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(all) => all.iter().map(fact).collect::<Vec<_>>().join("; "),
        other => other.to_string(),
    }
}
