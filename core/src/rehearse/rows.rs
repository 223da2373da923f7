//! Whether the rows of changed tables fit their definitions. What did not fit before the change is
//! not its fault.

use crate::{
    base::error::{Context, Error, Result, State},
    sqlite::{integrity, quote::ident, strangers::Stranger},
};
use rusqlite::Connection;
use std::collections::BTreeMap;

/// What `quick_check` found in some tables.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    /// How often, by table and finding.
    found: BTreeMap<(String, String), usize>,
    /// Tables that could not be checked, and what was missing for that.
    unchecked: Vec<(String, Stranger)>,
}

impl Rows {
    /// Checks these tables.
    pub(crate) fn check<'a>(
        conn: &Connection,
        tables: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self> {
        let mut rows = Self::default();
        for table in tables {
            match integrity::findings(conn, &format!("quick_check({})", ident(table))) {
                Ok(findings) => {
                    rows.found.extend(
                        findings
                            .into_iter()
                            .map(|(line, n)| ((table.to_owned(), line), n)),
                    );
                }
                Err(e) => match Stranger::behind(&e) {
                    Some(stranger) => rows.unchecked.push((table.to_owned(), stranger)),
                    None => return Err(e).context(|| format!("checking the rows of {table}")),
                },
            }
        }
        Ok(rows)
    }

    /// The tables in which something was found.
    pub(crate) fn doubtful(&self) -> Vec<String> {
        let mut tables: Vec<String> = self.found.keys().map(|(table, _)| table.clone()).collect();
        tables.dedup();
        tables
    }

    /// Refuses what was not found `before`, as often. `renamed` has the names that tables have now
    /// by those before, in lower case.
    pub(crate) fn refuse(&self, before: &Self, renamed: &BTreeMap<String, String>) -> Result<()> {
        let old = |table: &String| {
            renamed
                .iter()
                .find(|(_, to)| to.eq_ignore_ascii_case(table))
                .map(|(from, _)| from)
        };
        for ((table, line), n) in &self.found {
            let was = |(key, m): (&(String, String), &usize)| {
                let same = old(table).unwrap_or(table).eq_ignore_ascii_case(&key.0)
                    && as_of(line, table, &key.0) == key.1;
                same && m >= n
            };
            if !before.found.iter().any(was) {
                return Err(Error::check_failed(format!(
                    "{table} does not pass quick_check: {line}"
                ))
                .object(table)
                .state(State::OnlyCloneChanged)
                .hint("Correct the rows that it names, or the declared schema"));
            }
        }
        Ok(())
    }

    /// What was left out.
    pub(crate) fn warnings(&self) -> impl Iterator<Item = String> {
        self.unchecked.iter().map(|(table, stranger)| {
            format!(
                "The rows of {table} were not checked: {} is not here. {}",
                stranger.name,
                stranger.hint()
            )
        })
    }
}

/// A finding in a table, as it is told of the same table under another name.
fn as_of(line: &str, table: &str, name: &str) -> String {
    match line.split_once(" in ") {
        Some((what, place)) if place.starts_with(table) => {
            format!("{what} in {name}{}", &place[table.len()..])
        }
        _ => line.to_owned(),
    }
}
