//! Virtual tables whose module or tokenizer this SQLite lacks. A statement that reads one cannot be
//! compiled, which would hide whatever else is wrong with it.
//!
//! For statements that are only compiled, a temporary table stands in for each, with the columns
//! that the statements turn out to name: which ones a module declares cannot be known here.

use crate::{
    base::error::{Context, Result},
    sqlite::{quote::ident, strangers::missing_column},
};
use rusqlite::Connection;
use std::collections::{BTreeMap, BTreeSet};

/// Virtual tables without their module, and the columns of their stand-ins.
#[derive(Debug, Clone, Default)]
pub(crate) struct AbsentTables {
    tables: BTreeMap<String, Columns>,
    /// The columns of ordinary tables as they were found, in lower case: one that is missing later
    /// is not a virtual table's.
    known: BTreeSet<String>,
}

#[derive(Debug, Clone, Default)]
struct Columns {
    names: BTreeSet<String>,
    /// How many more there are.
    others: usize,
}

impl AbsentTables {
    /// Those of `conn`, of which no columns are known yet.
    pub fn of(conn: &Connection) -> Result<Self> {
        let doing = || "looking for virtual tables whose module is not here".to_owned();
        let cannot_be_read = |name: &String| {
            conn.prepare(&format!("SELECT 1 FROM main.{}", ident(name)))
                .is_err()
        };
        let tables: BTreeMap<_, _> = virtual_tables(conn)?
            .into_iter()
            .filter(cannot_be_read)
            .map(|name| (name, Columns::default()))
            .collect();
        if tables.is_empty() {
            return Ok(Self::default());
        }
        let sql = "SELECT lower(c.name) FROM main.sqlite_schema AS t, pragma_table_xinfo(t.name, 'main') AS c
                   WHERE t.type = 'table' AND t.rootpage > 0";
        let mut query = conn.prepare(sql).context(doing)?;
        let known = query
            .query_map([], |row| row.get(0))
            .and_then(Iterator::collect)
            .context(doing)?;
        Ok(Self { tables, known })
    }

    /// Those of them that are still there.
    pub fn still_in(&self, conn: &Connection) -> Result<Self> {
        let mut still = self.clone();
        if !still.tables.is_empty() {
            let there = virtual_tables(conn)?;
            still.tables.retain(|name, _| there.contains(name));
        }
        Ok(still)
    }

    /// Creates the stand-ins.
    pub fn stand_in(&self, conn: &Connection) -> Result<()> {
        for (name, columns) in &self.tables {
            let own = columns.names.iter().cloned();
            let others = (0..columns.others).map(|n| format!("_remy_{n}"));
            // A table has a column.
            let first =
                (columns.names.is_empty() && columns.others == 0).then(|| "_remy_".to_owned());
            let list: Vec<String> = own
                .chain(others)
                .chain(first)
                .map(|name| ident(&name))
                .collect();
            let name = ident(name);
            conn.execute_batch(&format!(
                "DROP TABLE IF EXISTS temp.{name}; CREATE TEMP TABLE {name} ({})",
                list.join(", ")
            ))
            .context(|| format!("standing in for {name}"))?;
        }
        Ok(())
    }

    /// Takes it away.
    pub fn leave(&self, conn: &Connection) -> Result<()> {
        for name in self.tables.keys().map(|name| ident(name)) {
            conn.execute_batch(&format!("DROP TABLE IF EXISTS temp.{name}"))
                .context(|| format!("taking away what stood for {name}"))?;
        }
        Ok(())
    }

    /// Adds to the stand-ins what a message of SQLite's reports missing. Returns `false` where that
    /// is not theirs: they have it already, or an ordinary table had it `before`.
    pub fn learn(&mut self, conn: &Connection, why: &str, before: bool) -> bool {
        let bare = |name: &str| {
            name.rsplit('.')
                .next()
                .unwrap_or(name)
                .trim_matches('"')
                .to_owned()
        };
        let column = missing_column(why)
            .or_else(|| Some(why.split_once(" has no column named ")?.1))
            .map(bare);
        let changed = if let Some(column) =
            column.filter(|name| !before || !self.known.contains(&name.to_ascii_lowercase()))
        {
            let mut changed = false;
            for columns in self.tables.values_mut() {
                let has = columns
                    .names
                    .iter()
                    .any(|name| name.eq_ignore_ascii_case(&column));
                changed |= !has && columns.names.insert(column.clone());
            }
            changed
        } else if let Some((table, values)) = counted(why) {
            let table = bare(table);
            let columns = self
                .tables
                .iter_mut()
                .find(|(name, _)| name.eq_ignore_ascii_case(&table));
            columns.is_some_and(
                |(_, columns)| match values.checked_sub(columns.names.len()) {
                    Some(others) => std::mem::replace(&mut columns.others, others) != others,
                    None => false,
                },
            )
        } else {
            false
        };
        changed && self.stand_in(conn).is_ok()
    }
}

/// `table T has N columns but M values were supplied`: T and M.
fn counted(why: &str) -> Option<(&str, usize)> {
    let (table, rest) = why.strip_prefix("table ")?.split_once(" has ")?;
    let (_, rest) = rest.split_once(" columns but ")?;
    Some((
        table,
        rest.split_once(" values were supplied")?.0.parse().ok()?,
    ))
}

fn virtual_tables(conn: &Connection) -> Result<Vec<String>> {
    let doing = || "looking for virtual tables".to_owned();
    let sql =
        "SELECT name FROM main.sqlite_schema WHERE type = 'table' AND ifnull(rootpage, 0) = 0";
    let mut query = conn.prepare(sql).context(doing)?;
    query
        .query_map([], |row| row.get(0))
        .and_then(Iterator::collect)
        .context(doing)
}
