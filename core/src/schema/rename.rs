//! Renames: who tells of them, and which of them hold.

use crate::{
    base::error::{Error, Result},
    schema::{Schema, Table},
};
use std::collections::{BTreeMap, BTreeSet};

/// A rename that somebody has told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rename {
    /// The table, for a rename of a column: by its old name or its new one.
    pub table: Option<String>,
    /// The old name.
    pub from: String,
    /// The new name.
    pub to: String,
    /// A comment beside the definition tells it. It stays there once the rename is done, and is
    /// ignored then.
    pub comment: bool,
}

/// The renames that apply to these two schemas; names of now in lower case.
#[derive(Debug, Default)]
pub(super) struct Names {
    tables: BTreeMap<String, String>,
    columns: BTreeMap<(String, String), String>,
    /// Columns that come, by their tables of now, all in lower case.
    come: BTreeSet<(String, String)>,
}

impl Names {
    pub(crate) fn is_empty(&self) -> bool {
        self.tables.is_empty() && self.columns.is_empty()
    }

    /// The declared name of a table of now.
    pub(super) fn table<'a>(&'a self, name: &'a str) -> &'a str {
        self.tables
            .get(&name.to_ascii_lowercase())
            .map_or(name, String::as_str)
    }

    /// The declared name of a column of a table of now.
    pub(super) fn column<'a>(&'a self, table: &str, column: &'a str) -> &'a str {
        let key = (table.to_ascii_lowercase(), column.to_ascii_lowercase());
        self.columns.get(&key).map_or(column, String::as_str)
    }

    /// Whether a table of now, which has no such column, gets one.
    pub(crate) fn comes(&self, table: &Table, column: &str) -> bool {
        self.come
            .contains(&(table.name.to_ascii_lowercase(), column.to_ascii_lowercase()))
    }

    /// Notes the columns that come to tables whose statements differ.
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
        let has_table = |schema: &Schema, name: &str| schema.columns_of(name).is_some();
        for rename in renames.iter().filter(|rename| rename.table.is_none()) {
            // A name that another rename takes away is free; comments do not tell whether theirs is
            // done.
            let leaves = |r: &Rename| r.table.is_none() && same(&r.from, &rename.to);
            let frees = !rename.comment && renames.iter().any(leaves);
            let there = has_table(current, &rename.to) && !frees;
            let found = Found {
                applies: has_table(current, &rename.from),
                there,
                room: true,
                declares: has_table(declared, &rename.to),
                keeps: has_table(declared, &rename.from),
            };
            if judge(rename, &rename.from, &rename.to, found)? {
                if there {
                    names
                        .tables
                        .insert(rename.to.to_ascii_lowercase(), gone(&rename.to));
                }
                if rename.comment
                    && has_table(declared, &rename.from)
                    && !renames.iter().any(|r| becomes(r, rename))
                {
                    return Err(stays(&rename.from, &rename.to));
                }
                let before = names
                    .tables
                    .insert(rename.from.to_ascii_lowercase(), rename.to.clone());
                once(&rename.from, &rename.to, before)?;
            }
        }
        for rename in renames {
            let Some(told) = &rename.table else { continue };
            // The table is told by its old name or its new one.
            let old = names
                .tables
                .iter()
                .find(|(_, to)| to.eq_ignore_ascii_case(told))
                .map(|(from, _)| from.clone());
            let old = old.unwrap_or_else(|| told.to_ascii_lowercase());
            let (now, new) = (
                current.columns_of(&old),
                declared.columns_of(names.table(&old)),
            );
            let has = |name: &str| {
                now.as_ref()
                    .is_some_and(|columns| columns.iter().any(|c| same(c, name)))
            };
            let will = |name: &str| {
                new.as_ref()
                    .is_some_and(|columns| columns.iter().any(|c| same(c, name)))
            };
            let leaves = |r: &Rename| {
                r.table.as_ref().is_some_and(|t| same(t, told)) && same(&r.from, &rename.to)
            };
            let frees = !rename.comment && renames.iter().any(leaves);
            let applies = has(&rename.from);
            let there = has(&rename.to) && !frees && !same(&rename.to, &rename.from);
            let room = current.table(&old).is_some();
            let found = Found {
                applies,
                there,
                room,
                declares: will(&rename.to),
                keeps: will(&rename.from),
            };
            let (from, to) = (
                format!("{told}.{}", rename.from),
                format!("{told}.{}", rename.to),
            );
            if judge(rename, &from, &to, found)? {
                if there {
                    names.columns.insert(
                        (old.clone(), rename.to.to_ascii_lowercase()),
                        gone(&rename.to),
                    );
                }
                if rename.comment && found.keeps && !renames.iter().any(|r| becomes(r, rename)) {
                    return Err(stays(&from, &to));
                }
                let before = names
                    .columns
                    .insert((old, rename.from.to_ascii_lowercase()), rename.to.clone());
                once(&from, &rename.to, before)?;
            }
        }
        names.note_coming(current, declared);
        Ok(names)
    }
}

/// Whether a rename gives its name to what another takes it from, or does not take it from there:
/// in another case.
fn becomes(one: &Rename, other: &Rename) -> bool {
    let beside = match (&one.table, &other.table) {
        (Some(a), Some(b)) => same(a, b),
        (a, b) => a.is_none() && b.is_none(),
    };
    beside && same(&one.to, &other.from)
}

/// A comment that tells of a rename, beside the old name declared as well: its values would be
/// moved, and it be empty.
pub(super) fn stays(from: &str, to: &str) -> Error {
    Error::ambiguous_rename(format!("{to} says that it is renamed from {from}, and {from} is declared, too"))
        .object(from)
        .state("Nothing was changed")
        .hint(format!(
            "Take out the comment where {from} is to stay as it is. Where its values are to move and it be made anew, tell it by the \
             option renames instead"
        ))
}

/// Refuses two renames from one name.
fn once(from: &str, to: &str, before: Option<String>) -> Result<()> {
    match before.filter(|before| !same(before, to)) {
        None => Ok(()),
        Some(before) => Err(Error::invalid_argument(format!(
            "{from} is said to be renamed to both {before} and {to}"
        ))
        .object(from)
        .state("Nothing was changed")
        .hint("Take out one of the two, in the comments or the option renames")),
    }
}

pub(super) fn same(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b)
}

/// What nobody declares: the name of what goes to make room for another.
pub(super) fn gone(name: &str) -> String {
    format!("\0{name}")
}

/// What there is of a rename's two names.
#[derive(Debug, Clone, Copy)]
struct Found {
    /// The old one is there.
    applies: bool,
    /// The new one is there, and no other rename takes it away.
    there: bool,
    /// What has the new one can go: a virtual table's columns cannot.
    room: bool,
    /// The new one is declared.
    declares: bool,
    /// The old one is declared as well.
    keeps: bool,
}

/// Whether a rename is to be done; an error where it can neither be done nor has been. What has the
/// new name makes room, where that is told.
fn judge(rename: &Rename, from: &str, to: &str, found: Found) -> Result<bool> {
    let wrong = |why: String| {
        Err(Error::invalid_argument(format!(
            "the rename of {from} to {to} cannot be done: {why}"
        ))
        .object(from)
        .state("Nothing was changed")
        .hint("Correct the rename, or leave it out"))
    };
    match (found.applies, found.there) {
        // Done already, or told of a database that never had the old name.
        (false, _) if found.there || rename.comment => Ok(false),
        (false, _) => wrong(format!("there is neither {from} nor {to}")),
        (true, _) if !found.declares => wrong(format!("the declared schema has no {to}")),
        // A comment stays when its rename is done: it does not say which of the two goes.
        (true, true) if rename.comment && !found.keeps => {
            Err(Error::ambiguous_rename(format!("{to} says that it is renamed from {from}, and both are there"))
                .object(from)
                .state("Nothing was changed")
                .hint(format!(
                    "Where {from} is to take the place of {to}, tell it by the option renames; where {to} stays as it is and {from} \
                     goes, take out the comment"
                )))
        }
        (true, true) if rename.comment => Ok(false),
        (true, true) if !found.room => wrong(format!("{to} is there already")),
        (true, _) => Ok(true),
    }
}
