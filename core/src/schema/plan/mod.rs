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
        free_names::FreeNames,
        plan::{
            in_the_way::Aside,
            model::{Group, Question, holds},
            questions::{ask_about_kinds, ask_dropped, ask_unique_index, constant},
            rebuild::rebuild,
        },
    },
    sqlite::{
        lex,
        quote::{ident, same_name},
    },
};
pub use model::{Plan, Statement, StatementKind, Strategy, Violations};

/// The statements for `changes`, which [`diff`](super::diff::diff) gave for these two schemas, on
/// an SQLite of this version number (`3_053_002`).
pub fn plan(
    current: &Schema,
    declared: &Schema,
    changes: &[Change],
    sqlite_version: i32,
) -> Result<Plan> {
    let mut planner = Planner::new(current, declared, changes, sqlite_version);
    planner.drop_triggers_and_views();
    planner.drop_indexes_and_tables()?;
    planner.rename_and_alter()?;
    planner.create_tables_and_indexes();
    planner.create_views_and_triggers()?;
    Ok(planner.finish())
}

/// What comes, goes and changes, by kind.
#[derive(Default)]
struct Sorted {
    dropped_tables: Vec<String>,
    created_tables: Vec<String>,
    dropped_triggers: Vec<String>,
    created_triggers: Vec<String>,
    dropped_views: Vec<String>,
    created_views: Vec<String>,
    dropped_indexes: Vec<String>,
    created_indexes: Vec<String>,
    renamed_tables: Vec<(String, String)>,
    altered: Vec<TableChange>,
}

impl Sorted {
    fn of(changes: &[Change], free: &mut FreeNames<'_>) -> Self {
        let mut sorted = Self::default();
        for change in changes {
            let (names, name) = match change {
                Change::DropTable(name) => (&mut sorted.dropped_tables, name),
                Change::CreateTable(name) => (&mut sorted.created_tables, name),
                Change::DropTrigger(name) => (&mut sorted.dropped_triggers, name),
                Change::CreateTrigger(name) => (&mut sorted.created_triggers, name),
                Change::DropView(name) => (&mut sorted.dropped_views, name),
                Change::CreateView(name) => (&mut sorted.created_views, name),
                Change::DropIndex(name) => (&mut sorted.dropped_indexes, name),
                Change::CreateIndex(name) => (&mut sorted.created_indexes, name),
                Change::RenameTable { from, to } => {
                    sorted.renamed_tables.push((from.clone(), to.clone()));
                    continue;
                }
                Change::AlterTable(change) => {
                    sorted.altered.push(making_room(change, free));
                    continue;
                }
                Change::CreateVirtual(..) | Change::DropVirtual(_) | Change::AlterVirtual(_) => {
                    continue;
                }
            };
            names.push(name.clone());
        }
        sorted
    }
}

/// The change, with free names for columns that go and whose names others take.
fn making_room(change: &TableChange, free: &mut FreeNames<'_>) -> TableChange {
    let taken = |name: &&String| change.renamed.iter().any(|(_, to)| same_name(to, name));
    let away = change
        .dropped
        .iter()
        .filter(taken)
        .map(|name| (name.clone(), free.temporary(name)))
        .collect();
    TableChange {
        away,
        ..change.clone()
    }
}

/// A plan that is being made.
struct Planner<'a> {
    current: &'a Schema,
    declared: &'a Schema,
    changes: &'a [Change],
    sqlite_version: i32,
    sorted: Sorted,
    free: FreeNames<'a>,
    /// What steps aside, and is made again at the end.
    aside: Aside,
    /// Triggers and views to make: those that come, and those that were dropped on the way.
    triggers: Vec<String>,
    views: Vec<String>,
    plan: Plan,
}

impl<'a> Planner<'a> {
    fn new(
        current: &'a Schema,
        declared: &'a Schema,
        changes: &'a [Change],
        sqlite_version: i32,
    ) -> Self {
        let mut free = FreeNames::beside(vec![&current.names, &declared.names]);
        let sorted = Sorted::of(changes, &mut free);
        let renamed = sorted
            .renamed_tables
            .iter()
            .map(|(from, to)| (from.to_ascii_lowercase(), to.clone()))
            .collect();
        let edits = |change: &TableChange| {
            let drops = || {
                !change.dropped.is_empty() && is_direct(change, current, declared, sqlite_version)
            };
            !change.renamed.is_empty() || drops()
        };
        let aside = match !sorted.renamed_tables.is_empty() || sorted.altered.iter().any(edits) {
            true => Aside::of(current, changes),
            false => Aside::default(),
        };
        Self {
            current,
            declared,
            changes,
            sqlite_version,
            free,
            aside,
            triggers: sorted.created_triggers.clone(),
            views: sorted.created_views.clone(),
            plan: Plan {
                renamed,
                ..Plan::default()
            },
            sorted,
        }
    }

    fn drop_triggers_and_views(&mut self) {
        let Self {
            sorted,
            aside,
            plan,
            ..
        } = self;
        let strategy = |goes| match goes {
            true => Strategy::Direct,
            false => Strategy::Rebuild,
        };
        for trigger in &self.current.triggers {
            let goes = holds(&sorted.dropped_triggers, &trigger.name);
            let on_dropped = holds(&sorted.dropped_tables, &trigger.table);
            let steps_aside = holds(&aside.triggers, &trigger.name);
            if goes || (steps_aside && !on_dropped) {
                let sql = format!("DROP TRIGGER {}", ident(&trigger.name));
                plan.add(StatementKind::DropTrigger, &trigger.name, sql)
                    .strategy = strategy(goes);
            }
            let again = steps_aside
                || (holds(&sorted.dropped_views, &trigger.table)
                    && !same_name(&trigger.name, &trigger.table));
            if again && !goes && !on_dropped && !holds(&self.triggers, &trigger.name) {
                self.triggers.push(trigger.name.clone());
            }
        }
        for view in &self.current.views {
            let goes = holds(&sorted.dropped_views, &view.name);
            if !goes && !holds(&aside.views, &view.name) {
                continue;
            }
            let sql = format!("DROP VIEW {}", ident(&view.name));
            plan.add(StatementKind::DropView, &view.name, sql).strategy = strategy(goes);
            if !goes {
                self.views.push(view.name.clone());
            }
        }
    }

    fn drop_indexes_and_tables(&mut self) -> Result<()> {
        let (current, plan, sorted) = (self.current, &mut self.plan, &self.sorted);
        for name in &sorted.dropped_indexes {
            let sql = format!("DROP INDEX {}", ident(name));
            plan.add(StatementKind::DropIndex, name, sql);
        }
        // A module may take along what it claims.
        let claimed = |name: &&String| {
            current
                .claims
                .iter()
                .any(|claim| same_name(&claim.table, name))
        };
        for name in sorted.dropped_tables.iter().filter(|name| !claimed(name)) {
            let sql = format!("DROP TABLE {}", ident(name));
            plan.add(StatementKind::DropTable, name, sql);
            plan.ask(Question::Rows {
                table: name.clone(),
            });
        }
        virtuals::drop(plan, current, self.changes, &sorted.dropped_tables)?;
        ask_about_kinds(plan, current, self.declared, self.changes);
        let (gone, come) = (&sorted.dropped_tables, &sorted.created_tables);
        if !gone.is_empty() && !come.is_empty() {
            let fits = fit::tables(current, gone, self.declared, come);
            let gone = gone
                .iter()
                .map(|name| (name.clone(), plan.at(StatementKind::DropTable, name, 0)));
            let group = Group {
                gone: gone.collect(),
                come: come.clone(),
                fits,
            };
            plan.ask(Question::Tables { group, app: false });
        }
        Ok(())
    }

    fn rename_and_alter(&mut self) -> Result<()> {
        let (plan, sorted, free) = (&mut self.plan, &self.sorted, &mut self.free);
        for (from, _) in &sorted.renamed_tables {
            virtuals::check_rename(self.current, from, &sorted.dropped_tables)?;
        }
        rename_tables(plan, &sorted.renamed_tables, self.current, free);
        for change in &sorted.altered {
            rename_columns(plan, change, self.current.table(&change.from), free);
        }
        for change in &sorted.altered {
            alter(
                plan,
                change,
                self.current,
                self.declared,
                self.sqlite_version,
                free,
            )?;
        }
        Ok(())
    }

    /// What a rebuild takes with the old table comes back with the new one.
    fn create_tables_and_indexes(&mut self) {
        let (plan, sorted) = (&mut self.plan, &self.sorted);
        for name in &sorted.created_tables {
            if let Some(table) = self.declared.table(name) {
                plan.add(StatementKind::CreateTable, name, &table.sql);
            }
        }
        for index in &self.declared.indexes {
            let comes = holds(&sorted.created_indexes, &index.name);
            if !comes && !holds(&plan.rebuilt, &index.table) {
                continue;
            }
            let statement = plan.add(StatementKind::CreateIndex, &index.name, &index.sql);
            if comes {
                ask_unique_index(plan, index, self.current, &sorted.altered);
            } else {
                statement.strategy = Strategy::Rebuild;
            }
        }
    }

    fn create_views_and_triggers(&mut self) -> Result<()> {
        let (plan, sorted, declared) = (&mut self.plan, &self.sorted, self.declared);
        for view in &declared.views {
            if !holds(&self.views, &view.name) {
                continue;
            }
            let statement = plan.add(StatementKind::CreateView, &view.name, &view.sql);
            if !holds(&sorted.created_views, &view.name) {
                statement.strategy = Strategy::Rebuild;
            }
        }
        // After the views, which may be what they index.
        virtuals::make(plan, self.current, declared, self.changes, &mut self.free)?;
        for trigger in &declared.triggers {
            let comes = holds(&sorted.created_triggers, &trigger.name);
            let again = holds(&self.triggers, &trigger.name);
            if comes || again || holds(&plan.rebuilt, &trigger.table) {
                let statement = plan.add(StatementKind::CreateTrigger, &trigger.name, &trigger.sql);
                if !comes {
                    statement.strategy = Strategy::Rebuild;
                }
            }
        }
        Ok(())
    }

    /// The plan, with the tables whose keys and rows are to be checked.
    fn finish(self) -> Plan {
        let (mut plan, sorted, declared) = (self.plan, self.sorted, self.declared);
        // A column that SQLite itself adds or drops breaks no key, unless the new one is of a key:
        // DROP COLUMN refuses those.
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
        let altered = sorted.altered.iter().filter(keyed);
        let mut touched: Vec<String> = altered.map(|change| change.table.clone()).collect();
        touched.extend(sorted.created_tables);
        touched.extend(sorted.dropped_tables);
        touched.extend(sorted.renamed_tables.into_iter().map(|(_, to)| to));
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
        plan.changed = sorted
            .altered
            .into_iter()
            .map(|change| change.table)
            .collect();
        plan
    }
}

/// Renames tables; where a new name is another's old one, all go by way of free names.
fn rename_tables(
    plan: &mut Plan,
    renames: &[(String, String)],
    current: &Schema,
    free: &mut FreeNames<'_>,
) {
    // `object` is what it is called before all of this.
    let mut rename = |object: &str, from: &str, to: &str| {
        let virtual_table = current
            .virtual_tables
            .iter()
            .any(|table| same_name(&table.name, from));
        let sql = format!("ALTER TABLE {} RENAME TO {}", ident(from), ident(to));
        let statement = Statement::rename(StatementKind::RenameTable, object.to_owned(), sql, to);
        // Names in other statements follow; a virtual table has none that would.
        plan.push(statement).follow_names = !virtual_table;
    };
    let collide = renames
        .iter()
        .any(|(_, to)| renames.iter().any(|(from, _)| same_name(from, to)));
    if !collide {
        renames.iter().for_each(|(from, to)| rename(from, from, to));
        return;
    }
    let between: Vec<String> = renames
        .iter()
        .map(|(from, _)| free.temporary(from))
        .collect();
    renames
        .iter()
        .zip(&between)
        .for_each(|((from, _), between)| rename(from, from, between));
    renames
        .iter()
        .zip(&between)
        .for_each(|((from, to), between)| rename(from, between, to));
}

fn rename_columns(
    plan: &mut Plan,
    change: &TableChange,
    now: Option<&Table>,
    free: &mut FreeNames<'_>,
) {
    let mut rename = |object: &str, from: &str, to: &str| {
        let sql = format!(
            "ALTER TABLE {} RENAME COLUMN {} TO {}",
            ident(&change.table),
            ident(from),
            ident(to)
        );
        let object = format!("{}.{object}", change.table);
        plan.push(Statement::rename(
            StatementKind::RenameColumn,
            object,
            sql,
            to,
        ))
        .follow_names = true;
    };
    change
        .away
        .iter()
        .for_each(|(from, to)| rename(from, from, to));
    let makes_room = |name: &str| change.away.iter().any(|(from, _)| same_name(from, name));
    let taken = |from: &str, to: &str| {
        !same_name(from, to)
            && !makes_room(to)
            && now.is_some_and(|table| table.column(to).is_some())
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
        .map(|(from, _)| free.temporary(from))
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
    free: &mut FreeNames<'_>,
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
        None => rebuild(plan, change, old, new, free.temporary(&new.name))?,
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
            true => plan.at(
                StatementKind::DropColumn,
                &format!("{}.{name}", change.table),
                first,
            ),
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
    Statement::new(
        StatementKind::DropColumn,
        format!("{}.{name}", change.table),
        sql,
    )
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
    Statement::new(
        StatementKind::AddColumn,
        format!("{}.{name}", change.table),
        sql,
    )
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
    let mut free = FreeNames::beside(Vec::new());
    if change.from != change.table {
        let sql = format!(
            "ALTER TABLE {} RENAME TO {}",
            ident(&change.from),
            ident(&change.table)
        );
        tried.add(StatementKind::RenameTable, &change.from, sql);
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
        .position(|column| same_name(&column.name, name))?;
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
        .is_some_and(|column| same_name(column, name))
}

/// Whether ADD COLUMN does it whatever rows there are.
fn can_add(table: &Table, name: &str, sqlite_version: i32) -> bool {
    let Some(column) = table.column(name) else {
        return false;
    };
    let in_key = |key: &schema::Key| key.columns.iter().any(|part| same_name(&part.name, name));
    if table.opaque || table.primary_key.iter().chain(&table.uniques).any(in_key) {
        return false;
    }
    // Old versions do not look whether the rows pass; 3.37 does.
    let checked = table
        .checks
        .iter()
        .any(|check| check.column.as_deref().is_some_and(|c| same_name(c, name)));
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
    let in_key = |key: &schema::Key| key.columns.iter().any(|part| same_name(&part.name, name));
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
