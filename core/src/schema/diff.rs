//! What differs between two schemas, by meaning. Pure.

use crate::{
    base::error::Result,
    schema::{
        Check, Schema, Table, VirtualTable, cross_check,
        meaning::{
            checks, column_meaning, constraints, definition_meaning, index_meaning, opaque_meaning,
        },
        rename::{Names, Rename},
    },
    sqlite::{lex, quote::same_name},
};
use std::collections::{BTreeMap, BTreeSet};

/// A difference between two schemas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A table is created.
    CreateTable(String),
    /// A table is dropped.
    DropTable(String),
    /// A table is renamed.
    RenameTable {
        /// Its current name.
        from: String,
        /// The declared one.
        to: String,
    },
    /// A table's columns or constraints change.
    AlterTable(TableChange),
    /// A virtual table is created: its name, its module.
    CreateVirtual(String, String),
    /// A virtual table is dropped.
    DropVirtual(String),
    /// A virtual table's definition changes.
    AlterVirtual(VirtualChange),
    /// An index is created.
    CreateIndex(String),
    /// An index is dropped.
    DropIndex(String),
    /// A view is created.
    CreateView(String),
    /// A view is dropped.
    DropView(String),
    /// A trigger is created.
    CreateTrigger(String),
    /// A trigger is dropped.
    DropTrigger(String),
}

impl Change {
    /// Whether SQLite may edit the schema for it: RENAME TO, RENAME COLUMN, DROP COLUMN.
    pub(crate) fn edits(&self) -> bool {
        match self {
            Self::RenameTable { .. } => true,
            Self::AlterTable(change) => !(change.renamed.is_empty() && change.dropped.is_empty()),
            _ => false,
        }
    }
}

/// How a table changes beside its name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TableChange {
    /// The table, by its declared name.
    pub table: String,
    /// Its current name.
    pub from: String,
    /// Renamed columns: the current name, the declared one.
    pub renamed: Vec<(String, String)>,
    /// Added columns.
    pub added: Vec<String>,
    /// Dropped columns.
    pub dropped: Vec<String>,
    /// Of the dropped columns, those whose name a renamed column takes, each with the name that the
    /// plan gives it until it is dropped.
    pub(crate) away: Vec<(String, String)>,
    /// Kept columns whose definitions differ in more than NOT NULL, by their declared names.
    pub altered: Vec<String>,
    /// Kept columns that differ in NOT NULL alone, by their declared names.
    pub required: Vec<String>,
    /// Dropped CHECKs, except those that are dropped with a column.
    pub checks_gone: Vec<Check>,
    /// Added CHECKs, except those that are added with a column.
    pub checks_come: Vec<Check>,
    /// Whether other constraints, or options of the table, differ, beyond those that are added or
    /// dropped with a column.
    pub constraints: bool,
}

impl TableChange {
    /// The name that a dropped column has when it is dropped.
    pub(crate) fn gone_as<'a>(&'a self, name: &'a str) -> &'a str {
        self.away
            .iter()
            .find(|(from, _)| same_name(from, name))
            .map_or(name, |(_, to)| to)
    }
}

/// How a virtual table changes beside its name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VirtualChange {
    /// The table, by its declared name.
    pub table: String,
    /// Its current name.
    pub from: String,
    /// Renamed columns: the current name, the declared one.
    pub renamed: Vec<(String, String)>,
}

/// The changes that turn `current` into `declared`. Without a rename, another name is another
/// object: the one is dropped and the other created.
pub fn diff(current: &Schema, declared: &Schema, renames: &[Rename]) -> Result<Vec<Change>> {
    let names = Names::resolve(current, declared, renames)?;
    let mut changes = Vec::new();
    tables(current, declared, &names, &mut changes);
    virtual_tables(current, declared, &names, &mut changes);
    let gone: BTreeSet<String> = changes
        .iter()
        .filter_map(|change| match change {
            Change::DropTable(name) | Change::DropVirtual(name) => Some(name.to_ascii_lowercase()),
            _ => None,
        })
        .collect();
    let stays = |table: &str| !gone.contains(&table.to_ascii_lowercase());
    indexes(current, declared, &names, &stays, &mut changes);
    views(current, declared, &mut changes);
    triggers(current, declared, &stays, &mut changes);
    Ok(changes)
}

/// `stays` says whether a current table is kept: a dropped table takes its indexes with it, without
/// changes of their own.
fn indexes(
    current: &Schema,
    declared: &Schema,
    names: &Names,
    stays: &dyn Fn(&str) -> bool,
    changes: &mut Vec<Change>,
) {
    let new = declared
        .indexes
        .iter()
        .map(|index| {
            (
                index.name.to_ascii_lowercase(),
                index_meaning(declared, index, None),
            )
        })
        .collect();
    let old: Vec<_> = current
        .indexes
        .iter()
        .filter(|index| stays(&index.table))
        .map(|index| (&index.name, index_meaning(current, index, Some(names))))
        .collect();
    let order = declared.indexes.iter().map(|index| &index.name);
    compare(
        &old,
        &new,
        order,
        changes,
        Change::DropIndex,
        Change::CreateIndex,
    );
}

fn views(current: &Schema, declared: &Schema, changes: &mut Vec<Change>) {
    let new = declared
        .views
        .iter()
        .map(|view| {
            (
                view.name.to_ascii_lowercase(),
                definition_meaning(&view.sql),
            )
        })
        .collect();
    let old: Vec<_> = current
        .views
        .iter()
        .map(|view| (&view.name, definition_meaning(&view.sql)))
        .collect();
    let order = declared.views.iter().map(|view| &view.name);
    compare(
        &old,
        &new,
        order,
        changes,
        Change::DropView,
        Change::CreateView,
    );
}

fn trigger_texts(schema: &Schema) -> BTreeSet<&str> {
    schema
        .triggers
        .iter()
        .map(|trigger| trigger.sql.as_str())
        .collect()
}

/// `stays` says whether a current table is kept: a dropped table takes its triggers with it,
/// without changes of their own.
fn triggers(
    current: &Schema,
    declared: &Schema,
    stays: &dyn Fn(&str) -> bool,
    changes: &mut Vec<Change>,
) {
    // Text that both schemas have word for word needs no lexing.
    let (now, then) = (trigger_texts(current), trigger_texts(declared));
    let meaning = |sql: &str| {
        if now.contains(sql) && then.contains(sql) {
            sql.to_owned()
        } else {
            definition_meaning(sql)
        }
    };
    let new = declared
        .triggers
        .iter()
        .map(|t| (t.name.to_ascii_lowercase(), meaning(&t.sql)))
        .collect();
    let old: Vec<_> = current
        .triggers
        .iter()
        .filter(|trigger| stays(&trigger.table))
        .map(|trigger| (&trigger.name, meaning(&trigger.sql)))
        .collect();
    let order = declared.triggers.iter().map(|trigger| &trigger.name);
    compare(
        &old,
        &new,
        order,
        changes,
        Change::DropTrigger,
        Change::CreateTrigger,
    );
}

/// Adds a drop for each object that is not declared as it is, and a create for each that is not
/// there as it is declared.
fn compare<'a>(
    old: &[(&String, String)],
    new: &BTreeMap<String, String>,
    order: impl Iterator<Item = &'a String>,
    changes: &mut Vec<Change>,
    drop: fn(String) -> Change,
    create: fn(String) -> Change,
) {
    let same: BTreeSet<String> = old
        .iter()
        .filter(|(name, meaning)| new.get(&name.to_ascii_lowercase()) == Some(meaning))
        .map(|(name, _)| name.to_ascii_lowercase())
        .collect();
    let differs = |name: &str| !same.contains(&name.to_ascii_lowercase());
    changes.extend(
        old.iter()
            .filter(|(name, _)| differs(name))
            .map(|(name, _)| drop((*name).clone())),
    );
    changes.extend(
        order
            .filter(|name| differs(name))
            .map(|name| create(name.clone())),
    );
}

pub(super) fn tables(
    current: &Schema,
    declared: &Schema,
    names: &Names,
    changes: &mut Vec<Change>,
) {
    let mut matched = BTreeSet::new();
    let now: BTreeMap<String, &Table> = current
        .tables
        .iter()
        .map(|table| (names.table(&table.name).to_ascii_lowercase(), table))
        .collect();
    let mut created = Vec::new();
    for table in &declared.tables {
        let Some(old) = now.get(&table.name.to_ascii_lowercase()) else {
            created.push(Change::CreateTable(table.name.clone()));
            continue;
        };
        matched.insert(old.name.to_ascii_lowercase());
        // The same text means the same, unless a rename changes what it refers to. Most tables are
        // done here.
        if old.sql == table.sql && names.is_empty() {
            continue;
        }
        if old.name != table.name {
            changes.push(Change::RenameTable {
                from: old.name.clone(),
                to: table.name.clone(),
            });
        }
        let change = table_change(current, old, declared, table, names);
        let same = TableChange {
            table: table.name.clone(),
            from: old.name.clone(),
            ..TableChange::default()
        };
        if change != same {
            changes.push(Change::AlterTable(change));
        }
    }
    let gone = current
        .tables
        .iter()
        .filter(|table| !matched.contains(&table.name.to_ascii_lowercase()));
    changes.extend(gone.map(|table| Change::DropTable(table.name.clone())));
    changes.extend(created);
}

fn virtual_tables(current: &Schema, declared: &Schema, names: &Names, changes: &mut Vec<Change>) {
    let lower = |name: &str| name.to_ascii_lowercase();
    for old in &current.virtual_tables {
        let name = names.table(&old.name);
        match declared
            .virtual_tables
            .iter()
            .find(|new| new.name.eq_ignore_ascii_case(name))
        {
            None => changes.push(Change::DropVirtual(old.name.clone())),
            Some(new) => {
                if new.name != old.name {
                    changes.push(Change::RenameTable {
                        from: old.name.clone(),
                        to: new.name.clone(),
                    });
                }
                // Arguments are the module's own language: compared as they are, but for white
                // space around them.
                let told = |arguments: &str| {
                    lex::tokens(arguments)
                        .iter()
                        .map(|t| t.text.to_owned())
                        .collect::<Vec<_>>()
                };
                if lower(&old.module) != lower(&new.module)
                    || told(&old.arguments) != told(&new.arguments)
                {
                    changes.push(Change::AlterVirtual(virtual_change(old, new, names)));
                }
            }
        }
    }
    let there = |name: &str| {
        current
            .virtual_tables
            .iter()
            .any(|old| lower(names.table(&old.name)) == lower(name))
    };
    let come = declared
        .virtual_tables
        .iter()
        .filter(|new| !there(&new.name));
    changes.extend(come.map(|new| Change::CreateVirtual(new.name.clone(), new.module.clone())));
}

fn virtual_change(old: &VirtualTable, new: &VirtualTable, names: &Names) -> VirtualChange {
    let mut change = VirtualChange {
        table: new.name.clone(),
        from: old.name.clone(),
        ..VirtualChange::default()
    };
    for column in old.kept() {
        let name = names.column(&old.name, &column);
        if name != column {
            let name = name.to_owned();
            change.renamed.push((column, name));
        }
    }
    // What these columns are is told by their places, whatever they are called.
    let told = |column: &String| {
        change
            .renamed
            .iter()
            .any(|(from, to)| same_name(from, column) || same_name(to, column))
    };
    let mut pairs = Vec::new();
    if same_name(&old.module, &new.module)
        && old
            .module
            .get(..5)
            .is_some_and(|module| same_name(module, "rtree"))
    {
        pairs.extend(
            old.columns
                .first()
                .cloned()
                .zip(new.columns.first().cloned()),
        );
    }
    pairs.extend(old.option("languageid").zip(new.option("languageid")));
    pairs.retain(|(from, to)| from != to && !told(from) && !told(to));
    change.renamed.extend(pairs);
    change
}

fn table_change(
    current: &Schema,
    old: &Table,
    declared: &Schema,
    new: &Table,
    names: &Names,
) -> TableChange {
    let mut change = TableChange {
        table: new.name.clone(),
        from: old.name.clone(),
        ..TableChange::default()
    };
    let mut kept = BTreeSet::new();
    for column in &old.columns {
        let name = names.column(&old.name, &column.name);
        match new.column(name) {
            None => change.dropped.push(column.name.clone()),
            Some(declared) => {
                kept.insert(declared.name.to_ascii_lowercase());
                if declared.name != column.name {
                    change
                        .renamed
                        .push((column.name.clone(), declared.name.clone()));
                }
                if column_meaning(column, old, Some(names)) != column_meaning(declared, new, None) {
                    change.altered.push(declared.name.clone());
                } else if column.not_null != declared.not_null {
                    change.required.push(declared.name.clone());
                }
            }
        }
    }
    let added = new
        .columns
        .iter()
        .filter(|column| !kept.contains(&column.name.to_ascii_lowercase()));
    change.added = added.map(|column| column.name.clone()).collect();
    // A column changed, or a constraint may have: then both statements are read a second time.
    let doubted = || old.sql != new.sql && !(cross_check::agrees(old) && cross_check::agrees(new));
    if old.opaque || new.opaque || doubted() {
        change.constraints = opaque_meaning(old) != opaque_meaning(new);
        return change;
    }
    change.constraints = constraints(current, old, &change.dropped, Some(names))
        != constraints(declared, new, &change.added, None);
    let mut gone = checks(old, &change.dropped, Some(names));
    for (meaning, check) in checks(new, &change.added, None) {
        match gone.iter().position(|(before, _)| *before == meaning) {
            Some(at) => drop(gone.remove(at)),
            None => change.checks_come.push(check.clone()),
        }
    }
    change.checks_gone = gone.into_iter().map(|(_, check)| check.clone()).collect();
    change
}
