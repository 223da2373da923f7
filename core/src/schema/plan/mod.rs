//! The ordered statements that turn one schema into another. Pure: nothing here depends on the
//! rows, and every statement is right whatever they are.
//!
//! What goes is dropped first (triggers, views, indexes, tables), then names change, then tables,
//! then what comes is made (tables, indexes, views, triggers). A change that SQLite has no
//! statement for rebuilds the table: a new one under a free name, the rows, their rowids and the
//! sequence of AUTOINCREMENT copied, the old one dropped, the new one renamed.

pub(crate) mod in_the_way;
pub(crate) mod model;
pub(crate) mod questions;
pub(crate) mod rebuild;
pub(crate) mod virtuals;

use crate::{
    base::error::{Error, Result},
    schema::{
        self, Schema, Table,
        constraints::{self, Edits},
        diff::{Change, TableChange},
        fit,
        plan::{
            in_the_way::Aside,
            model::{Free, Group, Question, holds, same},
            questions::{ask_about_kinds, ask_dropped, ask_unique_index, constant},
            rebuild::rebuild,
        },
    },
    sqlite::{lex, quote::ident},
};
pub use model::{Plan, Statement, Violations};
use std::collections::BTreeSet;

/// The statements for `changes`, which [`diff`](super::diff::diff) gave for these two schemas, on
/// an SQLite of this version number (`3_053_002`).
pub fn plan(
    current: &Schema,
    declared: &Schema,
    changes: &[Change],
    sqlite_version: i32,
) -> Result<Plan> {
    let mut plan = Plan::default();
    let mut free = Free {
        taken: [&current.names, &declared.names],
        given: BTreeSet::new(),
    };
    let pick = |of: fn(&Change) -> Option<&String>| {
        changes.iter().filter_map(of).cloned().collect::<Vec<_>>()
    };
    let dropped_tables = pick(|c| {
        if let Change::DropTable(n) = c {
            Some(n)
        } else {
            None
        }
    });
    let created_tables = pick(|c| {
        if let Change::CreateTable(n) = c {
            Some(n)
        } else {
            None
        }
    });
    let dropped_triggers = pick(|c| {
        if let Change::DropTrigger(n) = c {
            Some(n)
        } else {
            None
        }
    });
    let created_triggers = pick(|c| {
        if let Change::CreateTrigger(n) = c {
            Some(n)
        } else {
            None
        }
    });
    let dropped_views = pick(|c| {
        if let Change::DropView(n) = c {
            Some(n)
        } else {
            None
        }
    });
    let created_views = pick(|c| {
        if let Change::CreateView(n) = c {
            Some(n)
        } else {
            None
        }
    });
    let dropped_indexes = pick(|c| {
        if let Change::DropIndex(n) = c {
            Some(n)
        } else {
            None
        }
    });
    let created_indexes = pick(|c| {
        if let Change::CreateIndex(n) = c {
            Some(n)
        } else {
            None
        }
    });
    let making_room = |change: &TableChange, free: &mut Free<'_>| {
        let taken = |name: &&String| change.renamed.iter().any(|(_, to)| same(to, name));
        let away = change
            .dropped
            .iter()
            .filter(taken)
            .map(|name| (name.clone(), free.name(name)))
            .collect();
        TableChange {
            away,
            ..change.clone()
        }
    };
    let altered = changes.iter().filter_map(|c| {
        if let Change::AlterTable(change) = c {
            Some(change)
        } else {
            None
        }
    });
    let altered: Vec<TableChange> = altered
        .map(|change| making_room(change, &mut free))
        .collect();
    let renamed_tables: Vec<(&String, &String)> = changes
        .iter()
        .filter_map(|c| {
            if let Change::RenameTable { from, to } = c {
                Some((from, to))
            } else {
                None
            }
        })
        .collect();
    plan.renamed = renamed_tables
        .iter()
        .map(|(from, to)| (from.to_ascii_lowercase(), (*to).clone()))
        .collect();

    let edits = |change: &TableChange| {
        let drops =
            || !change.dropped.is_empty() && is_direct(change, current, declared, sqlite_version);
        !change.renamed.is_empty() || drops()
    };
    let aside = match !renamed_tables.is_empty() || altered.iter().any(edits) {
        true => Aside::of(current, changes),
        false => Aside::default(),
    };
    let mut triggers = created_triggers.clone();
    let mut views = created_views.clone();
    for trigger in &current.triggers {
        let goes = holds(&dropped_triggers, &trigger.name);
        let on_dropped = holds(&dropped_tables, &trigger.table);
        let steps_aside = holds(&aside.triggers, &trigger.name);
        if goes || (steps_aside && !on_dropped) {
            let statement = plan.add(
                "drop_trigger",
                &trigger.name,
                format!("DROP TRIGGER {}", ident(&trigger.name)),
            );
            if !goes {
                statement.strategy = "rebuild";
            }
        }
        let again = steps_aside
            || (holds(&dropped_views, &trigger.table) && !same(&trigger.name, &trigger.table));
        if again && !goes && !on_dropped && !holds(&triggers, &trigger.name) {
            triggers.push(trigger.name.clone());
        }
    }
    for view in &current.views {
        let goes = holds(&dropped_views, &view.name);
        if goes || holds(&aside.views, &view.name) {
            let statement = plan.add(
                "drop_view",
                &view.name,
                format!("DROP VIEW {}", ident(&view.name)),
            );
            if !goes {
                statement.strategy = "rebuild";
                views.push(view.name.clone());
            }
        }
    }
    for name in &dropped_indexes {
        plan.add("drop_index", name, format!("DROP INDEX {}", ident(name)));
    }
    // A module may take along what it claims.
    let claimed = |name: &&String| current.claims.iter().any(|claim| same(&claim.table, name));
    for name in dropped_tables.iter().filter(|name| !claimed(name)) {
        plan.add("drop_table", name, format!("DROP TABLE {}", ident(name)));
        plan.ask(Question::Rows {
            table: name.clone(),
        });
    }
    virtuals::drop(&mut plan, current, changes, &dropped_tables)?;
    ask_about_kinds(&mut plan, current, declared, changes);
    if !dropped_tables.is_empty() && !created_tables.is_empty() {
        let fits = fit::tables(current, &dropped_tables, declared, &created_tables);
        let gone = dropped_tables
            .iter()
            .map(|name| (name.clone(), plan.at("drop_table", name, 0)));
        let group = Group {
            gone: gone.collect(),
            come: created_tables.clone(),
            fits,
        };
        plan.ask(Question::Tables { group, app: false });
    }

    for (from, _) in &renamed_tables {
        virtuals::check_rename(current, from, &dropped_tables)?;
    }
    rename_tables(&mut plan, &renamed_tables, current, &mut free);
    for change in &altered {
        rename_columns(&mut plan, change, current.table(&change.from), &mut free);
    }
    for change in &altered {
        alter(
            &mut plan,
            change,
            current,
            declared,
            sqlite_version,
            &mut free,
        )?;
    }
    for name in &created_tables {
        let Some(table) = declared.table(name) else {
            continue;
        };
        plan.add("create_table", name, &table.sql);
    }

    // What a rebuild takes with the old table comes back with the new one.
    for index in &declared.indexes {
        let comes = holds(&created_indexes, &index.name);
        if comes || holds(&plan.rebuilt, &index.table) {
            let statement = plan.add("create_index", &index.name, &index.sql);
            if !comes {
                statement.strategy = "rebuild";
            }
            if comes {
                ask_unique_index(&mut plan, index, current, &altered);
            }
        }
    }
    for view in declared
        .views
        .iter()
        .filter(|view| holds(&views, &view.name))
    {
        let statement = plan.add("create_view", &view.name, &view.sql);
        if !holds(&created_views, &view.name) {
            statement.strategy = "rebuild";
        }
    }
    // After the views, which may be what they index.
    virtuals::make(&mut plan, current, declared, changes, &mut free)?;
    for trigger in &declared.triggers {
        let comes = holds(&created_triggers, &trigger.name);
        if comes || holds(&triggers, &trigger.name) || holds(&plan.rebuilt, &trigger.table) {
            let statement = plan.add("create_trigger", &trigger.name, &trigger.sql);
            if !comes {
                statement.strategy = "rebuild";
            }
        }
    }

    // A column that SQLite itself adds or drops breaks no key, unless the new one is of a key: DROP
    // COLUMN refuses those.
    let keyed = |change: &&TableChange| {
        let new = declared.table(&change.table);
        let added_to_a_key = new.is_some_and(|table| {
            table.foreign_keys.iter().any(|key| {
                key.columns
                    .iter()
                    .any(|column| holds(&change.added, column))
            })
        });
        holds(&plan.rebuilt, &change.table) || added_to_a_key
    };
    let mut touched: Vec<String> = altered
        .iter()
        .filter(keyed)
        .map(|change| change.table.clone())
        .collect();
    touched.extend(created_tables.into_iter().chain(dropped_tables));
    touched.extend(renamed_tables.iter().map(|(_, to)| (*to).clone()));
    let refers = |table: &Table| {
        table
            .foreign_keys
            .iter()
            .any(|key| holds(&touched, &key.parent))
    };
    let checked = declared.tables.iter().filter(|table| {
        (!table.foreign_keys.is_empty() || table.opaque)
            && (holds(&touched, &table.name) || refers(table) || table.opaque)
    });
    plan.foreign_keys = checked.map(|table| table.name.clone()).collect();
    plan.changed = altered.iter().map(|change| change.table.clone()).collect();
    Ok(plan)
}

/// Renames tables; where a new name is another's old one, all go by way of free names.
fn rename_tables(
    plan: &mut Plan,
    renames: &[(&String, &String)],
    current: &Schema,
    free: &mut Free<'_>,
) {
    // `object` is what it is called before all of this.
    let mut rename = |object: &str, from: &str, to: &str| {
        let virtual_table = current
            .virtual_tables
            .iter()
            .any(|table| same(&table.name, from));
        let sql = format!("ALTER TABLE {} RENAME TO {}", ident(from), ident(to));
        // Names in other statements follow; a virtual table has none that would.
        plan.add("rename_table", object, sql).follow_names = !virtual_table;
    };
    let collide = renames
        .iter()
        .any(|(_, to)| renames.iter().any(|(from, _)| same(from, to)));
    if !collide {
        renames.iter().for_each(|(from, to)| rename(from, from, to));
        return;
    }
    let between: Vec<String> = renames.iter().map(|(from, _)| free.name(from)).collect();
    renames
        .iter()
        .zip(&between)
        .for_each(|((from, _), between)| rename(from, from, between));
    renames
        .iter()
        .zip(&between)
        .for_each(|((from, to), between)| rename(from, between, to));
}

fn rename_columns(plan: &mut Plan, change: &TableChange, now: Option<&Table>, free: &mut Free<'_>) {
    let mut rename = |object: &str, from: &str, to: &str| {
        let sql = format!(
            "ALTER TABLE {} RENAME COLUMN {} TO {}",
            ident(&change.table),
            ident(from),
            ident(to)
        );
        plan.add("rename_column", format!("{}.{object}", change.table), sql)
            .follow_names = true;
    };
    change
        .away
        .iter()
        .for_each(|(from, to)| rename(from, from, to));
    let makes_room = |name: &str| change.away.iter().any(|(from, _)| same(from, name));
    let taken = |from: &str, to: &str| {
        !same(from, to) && !makes_room(to) && now.is_some_and(|table| table.column(to).is_some())
    };
    if !change.renamed.iter().any(|(from, to)| taken(from, to)) {
        change
            .renamed
            .iter()
            .for_each(|(from, to)| rename(from, from, to));
        return;
    }
    let between: Vec<String> = change
        .renamed
        .iter()
        .map(|(from, _)| free.name(from))
        .collect();
    change
        .renamed
        .iter()
        .zip(&between)
        .for_each(|((from, _), between)| rename(from, from, between));
    change
        .renamed
        .iter()
        .zip(&between)
        .for_each(|((from, to), between)| rename(from, between, to));
}

fn alter(
    plan: &mut Plan,
    change: &TableChange,
    current: &Schema,
    declared: &Schema,
    sqlite_version: i32,
    free: &mut Free<'_>,
) -> Result<()> {
    let (Some(old), Some(new)) = (current.table(&change.from), declared.table(&change.table))
    else {
        return Err(Error::internal(format!(
            "the diff names a table {} that is not there",
            change.table
        )));
    };
    let first = plan.statements.len();
    let edits = direct_edits(change, old, new, sqlite_version);
    let direct = edits.is_some();
    match edits {
        None => rebuild(plan, change, old, new, free.name(&new.name))?,
        Some(edits) => {
            for statement in edits.first {
                plan.push(statement);
            }
            for name in &change.dropped {
                plan.push(drop_column(change, name));
                ask_dropped(plan, old, name);
            }
            for name in &change.added {
                plan.push(add_column(change, new, name));
                plan.warnings.extend(added_last(change, old, new, name));
            }
            for (statement, question) in edits.last {
                plan.push(statement);
                question.into_iter().for_each(|question| plan.ask(question));
            }
        }
    }
    let with_data = |name: &&String| {
        old.column(name)
            .is_some_and(|column| column.generated.is_none())
    };
    let dropped: Vec<String> = change.dropped.iter().filter(with_data).cloned().collect();
    let could_be = |name: &&String| {
        new.column(name)
            .is_some_and(|column| column.generated.is_none())
    };
    let added: Vec<String> = change.added.iter().filter(could_be).cloned().collect();
    if !dropped.is_empty() && !added.is_empty() {
        let fits = fit::columns(old, &dropped, new, &added);
        // Each has its DROP COLUMN, or the copy, which is a rebuild's second statement.
        let at = |name: &String| match direct {
            true => plan.at("drop_column", &format!("{}.{name}", change.table), first),
            false => first + 1,
        };
        let gone: Vec<_> = dropped
            .iter()
            .map(|name| (name.clone(), at(name)))
            .collect();
        let (at, group) = (
            gone[0].1,
            Group {
                gone,
                come: added,
                fits,
            },
        );
        plan.questions.push((
            at,
            Question::Columns {
                table: old.name.clone(),
                group,
            },
        ));
    }
    Ok(())
}

fn drop_column(change: &TableChange, name: &str) -> Statement {
    let sql = format!(
        "ALTER TABLE {} DROP COLUMN {}",
        ident(&change.table),
        ident(change.gone_as(name))
    );
    Statement::new("drop_column", format!("{}.{name}", change.table), sql)
}

fn add_column(change: &TableChange, new: &Table, name: &str) -> Statement {
    let definition = new
        .column(name)
        .map(|column| column.definition.as_str())
        .unwrap_or_default();
    let sql = format!(
        "ALTER TABLE {} ADD COLUMN {definition}",
        ident(&change.table)
    );
    Statement::new("add_column", format!("{}.{name}", change.table), sql)
}

/// Whether SQLite's own statements do it.
fn is_direct(
    change: &TableChange,
    current: &Schema,
    declared: &Schema,
    sqlite_version: i32,
) -> bool {
    let (Some(old), Some(new)) = (current.table(&change.from), declared.table(&change.table))
    else {
        return false;
    };
    direct_edits(change, old, new, sqlite_version).is_some()
}

/// What changes the table's CHECKs and NOT NULLs, beside ADD COLUMN and DROP COLUMN; `None` where
/// the table has to be rebuilt.
fn direct_edits(
    change: &TableChange,
    old: &Table,
    new: &Table,
    sqlite_version: i32,
) -> Option<Edits> {
    let direct = !change.constraints
        && change.altered.is_empty()
        && new.columns.iter().all(|column| column.cast.is_none())
        && change
            .added
            .iter()
            .all(|name| can_add(new, name, sqlite_version))
        && change
            .dropped
            .iter()
            .all(|name| can_drop(old, name, new, change, sqlite_version))
        && change.dropped.len()
            < old
                .columns
                .iter()
                .filter(|column| column.generated.is_none())
                .count();
    let edits = direct
        .then(|| Edits::of(change, old, new, sqlite_version))
        .flatten()?;
    let own_check = |name: &String| old.checks.iter().any(|check| stands_with(check, name));
    if edits.is_empty() && !change.dropped.iter().any(own_check) {
        return Some(edits);
    }
    let mut tried = Plan::default();
    let mut free = Free {
        taken: [&BTreeSet::new(), &BTreeSet::new()],
        given: BTreeSet::new(),
    };
    if change.from != change.table {
        let sql = format!(
            "ALTER TABLE {} RENAME TO {}",
            ident(&change.from),
            ident(&change.table)
        );
        tried.add("rename_table", &change.from, sql);
    }
    rename_columns(&mut tried, change, Some(old), &mut free);
    let columns = change.dropped.iter().map(|name| drop_column(change, name));
    let columns: Vec<_> = columns
        .chain(
            change
                .added
                .iter()
                .map(|name| add_column(change, new, name)),
        )
        .collect();
    let own = tried
        .statements
        .iter()
        .chain(&edits.first)
        .chain(&columns)
        .chain(edits.last.iter().map(|(s, _)| s));
    constraints::lead_to(old, new, own.map(|statement| statement.sql.as_str())).then_some(edits)
}

/// Says of a column that is declared before others which stay that it does not stand there.
fn added_last(change: &TableChange, old: &Table, new: &Table, name: &str) -> Option<String> {
    let at = new
        .columns
        .iter()
        .position(|column| same(&column.name, name))?;
    let next = new.columns[at + 1..]
        .iter()
        .find(|column| !holds(&change.added, &column.name))?;
    Some(format!(
        "{}.{name} is declared before {}, and is added last: an INSERT that names no columns, and SELECT *, have it there",
        old.name, next.name
    ))
}

/// Tables that differ in nothing but the order of their columns, which is no change, where nothing
/// else is one.
pub(crate) fn other_order(current: &Schema, declared: &Schema) -> Vec<String> {
    let order = |table: &Table| -> Vec<String> {
        table
            .columns
            .iter()
            .map(|c| c.name.to_ascii_lowercase())
            .collect()
    };
    let pairs = declared
        .tables
        .iter()
        .filter_map(|new| Some((current.table(&new.name)?, new)));
    let differ = pairs.filter(|(old, new)| old.sql != new.sql && order(old) != order(new));
    differ
        .map(|(old, new)| {
            let columns: Vec<&str> = old.columns.iter().map(|column| column.name.as_str()).collect();
            let way = made_anew(current, declared, old, new).map_or_else(String::new, |sql| {
                format!(". To have the declared one, publish with a migration of these statements: {sql}")
            });
            format!(
                "the columns of {} stand in another order in live ({}) than declared, and stay there: nothing but an INSERT that names \
                 no columns, and SELECT *, goes by it{way}",
                old.name,
                columns.join(", "),
            )
        })
        .collect()
}

/// A migration, in one line, that makes a table anew as it is declared. What goes with the old one,
/// indexes and triggers, the publish that runs it makes again.
fn made_anew(current: &Schema, declared: &Schema, old: &Table, new: &Table) -> Option<String> {
    let free = |name: &String| {
        let lower = name.to_ascii_lowercase();
        !current.names.contains(&lower) && !declared.names.contains(&lower)
    };
    let temp = (1..)
        .map(|n| {
            if n == 1 {
                format!("new_{}", new.name)
            } else {
                format!("new{n}_{}", new.name)
            }
        })
        .find(free)?;
    let mut plan = Plan::default();
    let change = TableChange {
        from: old.name.clone(),
        table: new.name.clone(),
        ..TableChange::default()
    };
    rebuild(&mut plan, &change, old, new, temp).ok()?;
    // Else the last of them fails over each view and trigger elsewhere that names the table, which
    // is not there then.
    let first = "PRAGMA legacy_alter_table = ON".to_owned();
    let statements = plan
        .statements
        .iter()
        .map(|statement| lex::one_line(&statement.sql));
    Some(
        std::iter::once(first)
            .chain(statements)
            .map(|sql| sql + ";")
            .collect::<Vec<_>>()
            .join(" "),
    )
}

/// Whether a CHECK stands with this column, and goes with it.
fn stands_with(check: &schema::Check, name: &str) -> bool {
    check
        .column
        .as_deref()
        .is_some_and(|column| same(column, name))
}

/// Whether ADD COLUMN does it whatever rows there are.
fn can_add(table: &Table, name: &str, sqlite_version: i32) -> bool {
    let Some(column) = table.column(name) else {
        return false;
    };
    let in_key = |key: &schema::Key| key.columns.iter().any(|part| same(&part.name, name));
    if table.opaque || table.primary_key.iter().chain(&table.uniques).any(in_key) {
        return false;
    }
    // Old versions do not look whether the rows pass; 3.37 does.
    let checked = table
        .checks
        .iter()
        .any(|check| check.column.as_deref().is_some_and(|c| same(c, name)));
    if checked && sqlite_version < 3_037_000 {
        return false;
    }
    if let Some(generated) = &column.generated {
        return !generated.stored && column.not_null.is_none();
    }
    match &column.default {
        None => column.not_null.is_none(),
        Some(default) => match constant(default) {
            None => false,
            Some(null) => !null || column.not_null.is_none(),
        },
    }
}

/// Whether DROP COLUMN does it.
fn can_drop(
    old: &Table,
    name: &str,
    new: &Table,
    change: &TableChange,
    sqlite_version: i32,
) -> bool {
    let names = |sql: &str| lex::tokens(sql).iter().any(|token| token.may_name(name));
    let in_key = |key: &schema::Key| key.columns.iter().any(|part| same(&part.name, name));
    sqlite_version >= 3_035_000
        && !old.opaque
        && !new.opaque
        && !old.primary_key.iter().chain(&old.uniques).any(in_key)
        && !old.foreign_keys.iter().any(|key| holds(&key.columns, name))
        && !old
            .checks
            .iter()
            .any(|check| names(&check.expr) && !stands_with(check, name) && !change.checks_gone.contains(check))
        && !old.columns.iter().any(|column| column.generated.as_ref().is_some_and(|g| names(&g.expr)))
        // A name that is a column's now and, in double quotes, a string once that is gone.
        && !new.checks.iter().any(|check| names(&check.expr))
        && !new.columns.iter().any(|column| column.generated.as_ref().is_some_and(|g| names(&g.expr)))
}
