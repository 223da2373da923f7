//! Virtual tables in a plan. SQLite alters none of them beyond the name: what is declared otherwise
//! is made anew under a free name, filled from the old one or from the table that it indexes, and
//! takes the old one's place.

use crate::{
    base::{
        error::{Error, Result, State},
        remedy::OptionName,
    },
    remedy,
    schema::{
        Schema, VirtualTable,
        diff::{Change, VirtualChange},
        fit,
        free_names::FreeNames,
        full_text::Content,
        parse,
        plan::model::{Group, Plan, Question, StatementKind, holds},
    },
    sqlite::quote::{ident, idents, literal, same_name},
};
use std::collections::BTreeMap;

fn is(table: &VirtualTable, modules: &[&str]) -> bool {
    modules
        .iter()
        .any(|module| same_name(module, &table.module))
}

fn is_full_text(table: &VirtualTable) -> bool {
    is(table, &["fts3", "fts4", "fts5"])
}

fn find<'a>(schema: &'a Schema, name: &str) -> Option<&'a VirtualTable> {
    schema
        .virtual_tables
        .iter()
        .find(|table| same_name(&table.name, name))
}

/// Refuses a table that can neither be made nor dropped, as its module is not here, or what that
/// needs.
fn needs_module(table: &VirtualTable, what: &str) -> Result<()> {
    let Some(why) = table.missing.as_ref().filter(|_| table.columns.is_empty()) else {
        return Ok(());
    };
    let needed = why.rsplit(": ").next().unwrap_or(&table.module);
    Err(Error::unsupported_change(format!(
        "the virtual table {} cannot be {what}: {why}",
        table.name
    ))
    .object(&table.name)
    .sql(&table.sql)
    .state(State::NothingDone)
    .hint(remedy![
        format!("Name the library that brings {needed} in "),
        OptionName::Extensions,
    ]))
}

/// Refuses where FTS3 and FTS4 would take a table of the user's along: they drop, and rename,
/// `NAME_docsize` and `NAME_stat` whosever they are.
fn takes_nothing_along(table: &VirtualTable, current: &Schema, dropped: &[String]) -> Result<()> {
    if !is(table, &["fts3", "fts4"]) {
        return Ok(());
    }
    let names = ["docsize", "stat"].map(|part| format!("{}_{part}", table.name));
    let taken = names
        .iter()
        .filter_map(|name| current.table(name))
        .find(|taken| !holds(dropped, &taken.name));
    taken.map_or(Ok(()), |taken| {
        Err(Error::unsupported_change(format!(
            "the virtual table {} would take the table {} along, which its module {} treats as its own",
            table.name, taken.name, table.module
        ))
        .object(&taken.name)
        .state(State::NothingDone)
        .hint(format!("Rename {} in a release before", taken.name)))
    })
}

/// Drops virtual tables, and then what was claimed by them and did not go along.
pub(super) fn drop(
    plan: &mut Plan,
    current: &Schema,
    changes: &[Change],
    dropped: &[String],
) -> Result<()> {
    for change in changes {
        let Change::DropVirtual(name) = change else {
            continue;
        };
        if let Some(table) = find(current, name) {
            needs_module(table, "dropped")?;
            takes_nothing_along(table, current, dropped)?;
        }
        plan.add(
            StatementKind::DropTable,
            name,
            format!("DROP TABLE {}", ident(name)),
        );
        plan.ask(Question::Rows {
            table: name.clone(),
        });
    }
    ask_about_names(plan, current, changes);
    for claim in current
        .claims
        .iter()
        .filter(|claim| holds(dropped, &claim.table))
    {
        plan.add(
            StatementKind::DropTable,
            &claim.table,
            format!("DROP TABLE IF EXISTS {}", ident(&claim.table)),
        );
        plan.ask(Question::Rows {
            table: claim.table.clone(),
        });
    }
    Ok(())
}

/// A virtual table that goes beside another of its module may be that one under another name.
fn ask_about_names(plan: &mut Plan, current: &Schema, changes: &[Change]) {
    let mut dropped: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut created: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for change in changes {
        match change {
            Change::DropVirtual(name) => {
                if let Some(table) = find(current, name).filter(|_| keeps_rows(current, name)) {
                    dropped
                        .entry(table.module.to_ascii_lowercase())
                        .or_default()
                        .push(name.clone());
                }
            }
            Change::CreateVirtual(name, module) => {
                created
                    .entry(module.to_ascii_lowercase())
                    .or_default()
                    .push(name.clone());
            }
            _ => {}
        }
    }
    for (module, dropped) in dropped {
        if let Some(created) = created.remove(&module) {
            let fits = fit::names(&dropped, &created);
            let gone = dropped
                .into_iter()
                .map(|name| (name.clone(), plan.at(StatementKind::DropTable, &name, 0)));
            let group = Group {
                gone: gone.collect(),
                come: created,
                fits,
            };
            plan.ask(Question::Tables { group, app: false });
        }
    }
}

/// Whether a virtual table has rows of its own, which go with it.
pub(super) fn keeps_rows(current: &Schema, name: &str) -> bool {
    find(current, name).is_some_and(|table| {
        table.own.as_ref().is_some_and(|own| !own.is_empty())
            && Content::of(table) != Content::Other
    })
}

/// Refuses to rename a virtual table where a table of the user's would be renamed with it.
pub(super) fn check_rename(current: &Schema, from: &str, dropped: &[String]) -> Result<()> {
    find(current, from).map_or(Ok(()), |table| takes_nothing_along(table, current, dropped))
}

/// Makes the virtual tables that come, and makes anew those that change.
pub(super) fn make(
    plan: &mut Plan,
    current: &Schema,
    declared: &Schema,
    changes: &[Change],
    free: &mut FreeNames<'_>,
) -> Result<()> {
    for change in changes {
        match change {
            Change::CreateVirtual(name, _) => {
                let Some(table) = find(declared, name) else {
                    continue;
                };
                needs_module(table, "made")?;
                plan.add(StatementKind::CreateTable, name, &table.sql);
                fill_from_content(plan, table, name);
            }
            Change::AlterVirtual(change) => {
                if let (Some(old), Some(new)) =
                    (find(current, &change.from), find(declared, &change.table))
                {
                    takes_nothing_along(old, current, &[])?;
                    alter(plan, change, old, new, free)?;
                }
            }
            // An index of what a view gave before is wrong of what it gives now.
            Change::CreateView(view) => {
                let changed = |name: &str| {
                    changes.iter().any(|c| match c {
                        Change::CreateVirtual(made, _) => same_name(made, name),
                        Change::AlterVirtual(change) => same_name(&change.table, name),
                        _ => false,
                    })
                };
                let of_view = |table: &&VirtualTable| {
                    table
                        .option("content")
                        .is_some_and(|content| same_name(&content, view))
                };
                for table in declared
                    .virtual_tables
                    .iter()
                    .filter(of_view)
                    .filter(|table| !changed(&table.name))
                {
                    fill_from_content(plan, table, &table.name);
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// A full-text table over another table's content, here under the name `name`, is empty until it is
/// told to read it.
fn fill_from_content(plan: &mut Plan, table: &VirtualTable, name: &str) {
    if is_full_text(table) && Content::of(table) == Content::Other {
        let name = ident(name);
        plan.add_rebuild(
            &table.name,
            format!("INSERT INTO {name} ({name}) VALUES ('rebuild')"),
        );
    }
}

fn alter(
    plan: &mut Plan,
    change: &VirtualChange,
    old: &VirtualTable,
    new: &VirtualTable,
    free: &mut FreeNames<'_>,
) -> Result<()> {
    let refuse = |why: &str| {
        Err(Error::unsupported_change(format!("the virtual table {} cannot be changed: {why}", new.name))
            .object(&new.name)
            .sql(&new.sql)
            .state(State::NothingDone)
            .hint(
                "Make it anew in a migration: another one beside it, INSERT … SELECT, DROP TABLE, ALTER TABLE … RENAME TO; or drop it in one \
                 release and declare it again in the next",
            ))
    };
    let full_text = is_full_text(old) && is_full_text(new);
    let alike = full_text
        || (same_name(&old.module, &new.module) && is(new, &["rtree", "rtree_i32", "geopoly"]));
    if !alike {
        return refuse(&match same_name(&old.module, &new.module) {
            true => format!(
                "remy does not know how its module {} keeps its content",
                new.module
            ),
            false => format!(
                "it is of the module {}, and {} keeps other things",
                old.module, new.module
            ),
        });
    }
    let (before, after) = (Content::of(old), Content::of(new));
    if before == Content::Nothing && after != Content::Other {
        return refuse("it has an index alone, and no content to make another one from");
    }
    if before == Content::Own && after == Content::Nothing {
        return refuse("its content would go, and an index alone stay");
    }
    let temp = free.temporary(&new.name);
    let Some(create) = parse::renamed_virtual_table(&new.sql, &temp) else {
        return refuse("its statement is not understood");
    };
    plan.add_rebuild(&new.name, create);
    keep_settings(plan, old, new, &temp);
    if after == Content::Other {
        fill_from_content(plan, new, &temp);
    } else if !copy(plan, change, old, new, &temp) {
        return refuse("none of its columns stays");
    }
    // What was kept here is to be found elsewhere from now on.
    if before == Content::Own && after == Content::Other {
        plan.ask(Question::Rows {
            table: old.name.clone(),
        });
    }
    plan.put_in_place(&temp, &new.name);
    Ok(())
}

/// Copies the columns that stay into the table `temp`; returns whether there are any.
fn copy(
    plan: &mut Plan,
    change: &VirtualChange,
    old: &VirtualTable,
    new: &VirtualTable,
    temp: &str,
) -> bool {
    let renamed = |name: &str| {
        change
            .renamed
            .iter()
            .find(|(from, _)| same_name(from, name))
            .map(|(_, to)| to.clone())
    };
    let (had, has) = (old.kept(), new.kept());
    let stays = |name: &String| {
        let now = renamed(name).unwrap_or_else(|| name.clone());
        // The name is free where another column's name becomes this one.
        let taken =
            renamed(name).is_none() && change.renamed.iter().any(|(_, to)| same_name(to, &now));
        (holds(&has, &now) && !taken).then(|| (name.clone(), now))
    };
    let kept: Vec<(String, String)> = had.iter().filter_map(stays).collect();
    if kept.is_empty() {
        return false;
    }
    // An R-Tree has no rowid beside its first column.
    let rowid = if is(new, &["rtree", "rtree_i32"]) {
        ""
    } else {
        "rowid, "
    };
    let (from, into) = (
        idents(kept.iter().map(|(from, _)| from)),
        idents(kept.iter().map(|(_, into)| into)),
    );
    let sql = format!(
        "INSERT INTO {} ({rowid}{into}) SELECT {rowid}{from} FROM {}",
        ident(temp),
        ident(&new.name)
    );
    plan.add_rebuild(&new.name, sql);
    // What stands in another table stays there.
    if Content::of(old) == Content::Own {
        let dropped: Vec<String> = had
            .into_iter()
            .filter(|name| !kept.iter().any(|(from, _)| from == name))
            .collect();
        let added: Vec<String> = has
            .into_iter()
            .filter(|name| !kept.iter().any(|(_, into)| same_name(into, name)))
            .collect();
        for column in &dropped {
            plan.ask(Question::Values {
                table: old.name.clone(),
                column: column.clone(),
            });
        }
        if !dropped.is_empty() && !added.is_empty() {
            let (fits, copy) = (fit::names(&dropped, &added), plan.statements.len() - 1);
            let gone = dropped.into_iter().map(|name| (name, copy)).collect();
            plan.ask(Question::Columns {
                table: old.name.clone(),
                group: Group {
                    gone,
                    come: added,
                    fits,
                },
            });
        }
    }
    true
}

/// Gives the table `temp` the settings that somebody has made of the old one by INSERT, and that
/// its module keeps beside its content.
fn keep_settings(plan: &mut Plan, old: &VirtualTable, new: &VirtualTable, temp: &str) {
    if !same_name(&old.module, &new.module) {
        return;
    }
    let temp = ident(temp);
    let part = |part: &str| format!("{}_{part}", new.name);
    let has = |part: &str| {
        let name = format!("{}_{part}", old.name).to_ascii_lowercase();
        old.own.as_ref().is_some_and(|own| own.contains(&name))
    };
    if is(new, &["fts5"]) {
        let from = ident(&part("config"));
        let sql = format!(
            "INSERT INTO {temp} ({temp}, rank) SELECT k, v FROM {from} WHERE k <> {}",
            literal("version")
        );
        plan.add_rebuild(&new.name, sql);
    } else if is(new, &["fts3", "fts4"]) && has("stat") {
        // FTS_STAT_AUTOINCRMERGE of FTS3.
        let sql = format!(
            "INSERT INTO {temp} ({temp}) SELECT 'automerge=' || value FROM {} WHERE id = 2",
            ident(&part("stat"))
        );
        plan.add_rebuild(&new.name, sql);
    }
}
