//! Renames: where they are declared, and which of them apply.

use crate::{
    base::{
        error::{Error, Result, State},
        remedy::OptionName,
    },
    remedy,
    schema::{Schema, Table},
    sqlite::quote::same_name,
};
use std::collections::{BTreeMap, BTreeSet};

/// A rename that a comment or the option `renames` declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rename {
    /// The table, for a rename of a column: by its old name or its new one.
    pub table: Option<String>,
    /// The old name.
    pub from: String,
    /// The new name.
    pub to: String,
    /// Whether a comment beside the definition declares it. The comment stays there once the rename
    /// is done, and is ignored from then on.
    pub comment: bool,
}

/// The renames that apply between two schemas, keyed by current names in lower case.
#[derive(Debug, Default)]
pub(super) struct Names {
    tables: BTreeMap<String, String>,
    columns: BTreeMap<(String, String), String>,
    /// Added columns with the current names of their tables, all in lower case.
    come: BTreeSet<(String, String)>,
}

impl Names {
    pub(crate) fn is_empty(&self) -> bool {
        self.tables.is_empty() && self.columns.is_empty()
    }

    /// The declared name of a current table.
    pub(super) fn table<'a>(&'a self, name: &'a str) -> &'a str {
        self.tables
            .get(&name.to_ascii_lowercase())
            .map_or(name, String::as_str)
    }

    /// The declared name of a column of a current table.
    pub(super) fn column<'a>(&'a self, table: &str, column: &'a str) -> &'a str {
        let key = (table.to_ascii_lowercase(), column.to_ascii_lowercase());
        self.columns.get(&key).map_or(column, String::as_str)
    }

    /// Whether a current table that has no such column gets one.
    pub(crate) fn comes(&self, table: &Table, column: &str) -> bool {
        self.come
            .contains(&(table.name.to_ascii_lowercase(), column.to_ascii_lowercase()))
    }

    /// Records the columns that are added to tables whose statements differ.
    fn note_coming(&mut self, current: &Schema, declared: &Schema) {
        let new: BTreeMap<String, &Table> = declared
            .tables
            .iter()
            .map(|table| (table.name.to_ascii_lowercase(), table))
            .collect();
        for old in &current.tables {
            let Some(new) = new
                .get(&self.table(&old.name).to_ascii_lowercase())
                .filter(|new| new.sql != old.sql)
            else {
                continue;
            };
            let come = new
                .columns
                .iter()
                .filter(|column| old.column(&column.name).is_none());
            self.come.extend(come.map(|column| {
                (
                    old.name.to_ascii_lowercase(),
                    column.name.to_ascii_lowercase(),
                )
            }));
        }
    }

    pub(super) fn resolve(current: &Schema, declared: &Schema, renames: &[Rename]) -> Result<Self> {
        let mut names = Self::default();
        for rename in renames.iter().filter(|rename| rename.table.is_none()) {
            let case = Case::of_table(rename, current, declared, renames);
            case.enter(&mut names.tables, renames, &str::to_ascii_lowercase)?;
        }
        for rename in renames {
            let Some(told) = &rename.table else { continue };
            // A rename gives its table by the old name or the new one.
            let old = names
                .tables
                .iter()
                .find(|(_, to)| to.eq_ignore_ascii_case(told))
                .map(|(from, _)| from.clone());
            let old = old.unwrap_or_else(|| told.to_ascii_lowercase());
            let columns = [
                current.columns_of(&old),
                declared.columns_of(names.table(&old)),
            ];
            let can_go = current.table(&old).is_some();
            let case = Case::of_column(rename, told, columns, can_go, renames);
            let key = |name: &str| (old.clone(), name.to_ascii_lowercase());
            case.enter(&mut names.columns, renames, &key)?;
        }
        names.note_coming(current, declared);
        Ok(names)
    }
}

/// Whether `one` gives an object the name that `other` takes away, so that the name may stay
/// declared. A rename to another letter case does both.
fn takes_name_over(one: &Rename, other: &Rename) -> bool {
    let beside = match (&one.table, &other.table) {
        (Some(a), Some(b)) => same_name(a, b),
        (a, b) => a.is_none() && b.is_none(),
    };
    beside && same_name(&one.to, &other.from)
}

/// The error for a comment that declares a rename whose old name is declared as well: the values
/// would move away from the old name, and leave it empty.
fn old_name_declared(from: &str, to: &str) -> Error {
    Error::ambiguous_rename(format!("{to} says that it is renamed from {from}, and {from} is declared, too"))
        .object(from)
        .state(State::NothingChanged)
        .hint(remedy![
            format!("Take out the comment where {from} is to stay as it is. Where its values are to move and it be made anew, tell it by "),
            OptionName::Renames,
            " instead",
        ])
}

/// Refuses two renames from one name.
fn one_target(from: &str, to: &str, before: Option<String>) -> Result<()> {
    match before.filter(|before| !same_name(before, to)) {
        None => Ok(()),
        Some(before) => Err(Error::invalid_argument(format!(
            "{from} is said to be renamed to both {before} and {to}"
        ))
        .object(from)
        .state(State::NothingChanged)
        .hint(remedy![
            "Take out one of the two, in the comments or ",
            OptionName::Renames
        ])),
    }
}

/// A name that nobody can declare, for an object that is dropped to make room for a renamed one.
fn placeholder(name: &str) -> String {
    format!("\0{name}")
}

/// A rename, and what there is of its two names.
#[derive(Debug)]
struct Case<'a> {
    rename: &'a Rename,
    /// The two names, as a message shows them.
    from: String,
    to: String,
    old_exists: bool,
    /// And no other rename takes the new name away.
    new_exists: bool,
    /// What has the new name can make room: a virtual table's columns cannot.
    new_can_go: bool,
    new_declared: bool,
    old_declared: bool,
}

impl<'a> Case<'a> {
    fn of_table(
        rename: &'a Rename,
        current: &Schema,
        declared: &Schema,
        renames: &[Rename],
    ) -> Self {
        let has_table = |schema: &Schema, name: &str| schema.columns_of(name).is_some();
        // A name that another rename takes away is free; a comment does not say whether its rename
        // is done.
        let leaves = |r: &Rename| r.table.is_none() && same_name(&r.from, &rename.to);
        let frees = !rename.comment && renames.iter().any(leaves);
        Self {
            rename,
            from: rename.from.clone(),
            to: rename.to.clone(),
            old_exists: has_table(current, &rename.from),
            new_exists: has_table(current, &rename.to) && !frees,
            new_can_go: true,
            new_declared: has_table(declared, &rename.to),
            old_declared: has_table(declared, &rename.from),
        }
    }

    /// `columns` are the current and the declared ones of the table that `told` names.
    fn of_column(
        rename: &'a Rename,
        told: &str,
        columns: [Option<Vec<String>>; 2],
        new_can_go: bool,
        renames: &[Rename],
    ) -> Self {
        let [now, declared] = columns.map(Option::unwrap_or_default);
        let has = |columns: &[String], name: &str| columns.iter().any(|c| same_name(c, name));
        let leaves = |r: &Rename| {
            r.table.as_ref().is_some_and(|t| same_name(t, told)) && same_name(&r.from, &rename.to)
        };
        let frees = !rename.comment && renames.iter().any(leaves);
        Self {
            rename,
            from: format!("{told}.{}", rename.from),
            to: format!("{told}.{}", rename.to),
            old_exists: has(&now, &rename.from),
            new_exists: has(&now, &rename.to) && !frees && !same_name(&rename.to, &rename.from),
            new_can_go,
            new_declared: has(&declared, &rename.to),
            old_declared: has(&declared, &rename.from),
        }
    }

    /// Enters the rename into `names` under `key` of its old name, if it is to be done. What has
    /// the new name makes room.
    fn enter<K: Ord>(
        &self,
        names: &mut BTreeMap<K, String>,
        renames: &[Rename],
        key: &dyn Fn(&str) -> K,
    ) -> Result<()> {
        if !self.is_due()? {
            return Ok(());
        }
        let rename = self.rename;
        if self.new_exists {
            names.insert(key(&rename.to), placeholder(&rename.to));
        }
        if rename.comment
            && self.old_declared
            && !renames.iter().any(|r| takes_name_over(r, rename))
        {
            return Err(old_name_declared(&self.from, &self.to));
        }
        let before = names.insert(key(&rename.from), rename.to.clone());
        one_target(&self.from, &rename.to, before)
    }

    /// Whether the rename is to be done; an error where it can neither be done nor has been.
    fn is_due(&self) -> Result<bool> {
        let (rename, from, to) = (self.rename, &self.from, &self.to);
        let wrong = |why: String| {
            Err(Error::invalid_argument(format!(
                "the rename of {from} to {to} cannot be done: {why}"
            ))
            .object(from)
            .state(State::NothingChanged)
            .hint("Correct the rename, or leave it out"))
        };
        match (self.old_exists, self.new_exists) {
            // Done already, or declared for a database that never had the old name.
            (false, _) if self.new_exists || rename.comment => Ok(false),
            (false, _) => wrong(format!("there is neither {from} nor {to}")),
            (true, _) if !self.new_declared => wrong(format!("the declared schema has no {to}")),
            // A comment stays when its rename is done: it does not say which of the two goes.
            (true, true) if rename.comment && !self.old_declared => Err(Error::ambiguous_rename(
                format!("{to} says that it is renamed from {from}, and both are there"),
            )
            .object(from)
            .state(State::NothingChanged)
            .hint(remedy![
                format!("Where {from} is to take the place of {to}, tell it by "),
                OptionName::Renames,
                format!("; where {to} stays as it is and {from} goes, take out the comment"),
            ])),
            (true, true) if rename.comment => Ok(false),
            (true, true) if !self.new_can_go => wrong(format!("{to} is there already")),
            (true, _) => Ok(true),
        }
    }
}
