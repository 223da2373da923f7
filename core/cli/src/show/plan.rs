//! A plan, and what came of one.

use super::{
    advice::leave,
    table::{Table, number, text},
    text::took,
};
use crate::name::called;
use remy_db::{
    ChangeKind, Clients, ComesBack, EffectKind, Outcome, Reached, SetAside, Statement,
    StatementKind, StepOutcome, Strategy, internals::text::things,
};
use std::collections::{BTreeMap, BTreeSet};

/// A row of a plan.
struct Row<'a> {
    what: String,
    of: &'a str,
    object: String,
    needs: Option<&'static str>,
    loses: Option<&'a str>,
    /// How many statements it is made of.
    run: usize,
}

/// A row a change: the statements of one rebuild are one, and so are those of a rename, or a drop,
/// by way of a name of remy's own.
fn rows<'a>(statements: &[&'a Statement]) -> Vec<Row<'a>> {
    let mut rows: Vec<Row> = Vec::new();
    // How many statements have only moved something out of the way, by its name.
    let mut aside: BTreeMap<&str, usize> = BTreeMap::new();
    for statement in statements {
        let what = statement.kind.to_string().replace('_', " ");
        let object = statement.object.as_str();
        let name = statement.new_name.as_deref();
        if name.is_some_and(|name| name.starts_with("_remy_")) {
            *aside.entry(object).or_default() += 1;
            continue;
        }
        let needs = statement.needs.map(leave);
        let loses = statement.loses.as_deref();
        if let Some(last) = rows.last_mut()
            && statement.strategy == Strategy::Rebuild
            && last.what == what
            && last.of == object
        {
            last.run += 1;
            last.needs = last.needs.or(needs);
            last.loses = last.loses.or(loses);
            continue;
        }
        rows.push(Row {
            what,
            of: object,
            object: name.map_or(object.to_owned(), |name| format!("{object} → {name}")),
            needs,
            loses,
            run: 1 + aside.remove(object).unwrap_or_default(),
        });
    }
    rows
}

/// What was done, each in few words: `add column things.size`.
pub fn brief<'a>(statements: impl IntoIterator<Item = &'a Statement>) -> Vec<String> {
    let all: Vec<_> = statements.into_iter().collect();
    let rows = rows(&all).into_iter();
    rows.map(|row| format!("{} {}", row.what, row.object))
        .collect()
}

/// A table of what changes.
pub fn plan(statements: &[&Statement], room: Option<usize>) -> Vec<String> {
    let rows = rows(statements);
    let mut table = Table::new([
        number("#"),
        text("CHANGE"),
        text("OBJECT"),
        text("NEEDS"),
        text("LOSES"),
        number("STATEMENTS"),
    ]);
    for (i, row) in rows.into_iter().enumerate() {
        let run = (row.run > 1).then(|| row.run.to_string());
        table.row([
            (i + 1).to_string(),
            row.what,
            row.object,
            row.needs
                .map_or_else(String::new, |needs| format!("--allow {needs}")),
            row.loses.unwrap_or_default().to_owned(),
            run.unwrap_or_default(),
        ]);
    }
    table.lines(room)
}

/// What becomes of effects, a row each.
pub fn effects<'a>(
    changes: impl Iterator<Item = (EffectKind, &'a str, ChangeKind)>,
    room: Option<usize>,
) -> Vec<String> {
    let mut table = Table::new([text("EFFECT"), text("ID"), text("CHANGE")]);
    for (kind, id, change) in changes {
        let kind = kind.as_str().replace('_', " ");
        table.row([kind, id.to_owned(), change.to_string()]);
    }
    table.lines(room)
}

/// Whether a rollback takes anything out of live.
pub fn takes_away(outcome: &Outcome) -> bool {
    let goes = |statement: &Statement| {
        let kind = statement.kind;
        statement.loses.is_some()
            || matches!(kind, StatementKind::DropTable | StatementKind::DropColumn)
    };
    !outcome.set_aside.is_empty() || outcome.statements.iter().any(goes)
}

/// What a rollback takes away and brings back, or what a publish would change.
pub fn difference(outcome: &Outcome, room: Option<usize>) -> Vec<String> {
    let mut lines = Vec::new();
    if !outcome.statements.is_empty() {
        let all: Vec<_> = outcome.statements.iter().collect();
        lines.extend(plan(&all, room));
    }
    if !outcome.effects.is_empty() {
        let all = outcome.effects.iter();
        let all = all.map(|change| (change.kind, change.id.as_str(), change.change));
        lines.extend(effects(all, room));
    }
    let rows = |title, all: Vec<(String, u64)>| {
        let mut table = Table::new([text(title), number("ROWS")]);
        for (of, rows) in &all {
            table.row([of.clone(), rows.to_string()]);
        }
        match all.is_empty() {
            true => Vec::new(),
            false => table.lines(room),
        }
    };
    let aside = |SetAside { table, rows }: &SetAside| (table.clone(), *rows);
    let back = |back: &ComesBack| {
        let table = &back.table;
        let of = back.column.as_ref();
        let of = of.map_or_else(|| table.clone(), |column| format!("{table}.{column}"));
        (of, back.rows)
    };
    lines.extend(rows(
        "SET ASIDE",
        outcome.set_aside.iter().map(aside).collect(),
    ));
    lines.extend(rows(
        "COMES BACK",
        outcome.comes_back.iter().map(back).collect(),
    ));
    lines
}

/// What came of a publish, a promotion or a rollback.
pub fn outcome(outcome: &Outcome, room: Option<usize>) -> Vec<String> {
    let release = outcome.release;
    let mut lines: Vec<_> = untold(outcome)
        .map(|warning| format!("warning: {warning}"))
        .collect();
    if outcome.status == Reached::DryRun || outcome.restored_from.is_some() {
        lines.extend(difference(outcome, room));
    }
    let back = outcome.restored_from;
    let back = back.map_or_else(String::new, |from| format!(", as release {from} was"));
    let called = called();
    lines.push(match outcome.status {
        Reached::Live => {
            let waited = outcome.switch.as_ref().map_or_else(String::new, |switch| {
                let took = took(switch.pause_ms);
                let took = if took.is_empty() { "0 ms" } else { took.as_str() };
                format!("; writers waited {took}")
            });
            format!("Release {release} is live{back}{waited}")
        }
        Reached::Compiled => {
            format!("Release {release} is compiled; {called} promote {release} makes it live")
        }
        Reached::Preview => format!(
            "Release {release} is a preview: its database is in the store, {called} releases says where; {called} promote {release} makes it live"
        ),
        Reached::DryRun => {
            let n = outcome.statements.len() as u64;
            let of = match outcome.restored_from.is_none() && n > 0 {
                true => format!(", of {}", things(n, "statement")),
                false => String::new(),
            };
            format!("Nothing was changed: it would be release {release}{back}{of}")
        }
        Reached::Unchanged => {
            format!("Nothing has changed: release {release} is live, and no release was made")
        }
    });
    lines.extend(outcome.clients.as_ref().map(
        |Clients {
             oldest,
             object,
             feature,
         }| format!("Clients need SQLite {oldest} or newer: {object} has {feature}"),
    ));
    lines
}

/// The warnings that are no lines of the log: those that are have been shown while it was written.
pub fn untold(outcome: &Outcome) -> impl Iterator<Item = &String> {
    let told = outcome.log.iter();
    let told = told.filter(|line| line.outcome == StepOutcome::Warning);
    let told: BTreeSet<_> = told.map(|line| &line.message).collect();
    outcome
        .warnings
        .iter()
        .filter(move |warning| !told.contains(warning))
}
