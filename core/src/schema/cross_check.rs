//! A second reader of CREATE TABLE.
//!
//! What the pragmas do not tell (how many CHECKs there are, say) is read by [`super::parse`] alone,
//! and a constraint that it missed would be lost without a word. So of a table that changes,
//! `sqlparser` reads the statement too; where the two count differently, the table is taken as a
//! whole and rebuilt: never a guess. What sqlparser cannot read says nothing.

use crate::schema::Table;
use sqlparser::{
    ast::{ColumnOption, Statement, TableConstraint},
    dialect::SQLiteDialect,
    parser::Parser,
};

/// How many constraints of each kind a table has.
#[derive(Debug, Default, PartialEq, Eq)]
struct Count {
    columns: usize,
    checks: usize,
    foreign_keys: usize,
    uniques: usize,
    generated: usize,
    collations: usize,
}

/// Whether both readers count the same, or the second one cannot read the statement.
pub(super) fn agrees(table: &Table) -> bool {
    let ours = Count {
        columns: table.columns.len(),
        checks: table.checks.len(),
        foreign_keys: table.foreign_keys.len(),
        uniques: table.uniques.len(),
        generated: table
            .columns
            .iter()
            .filter(|column| column.generated.is_some())
            .count(),
        collations: table
            .columns
            .iter()
            .filter(|column| column.collate.is_some())
            .count(),
    };
    count(&table.sql).is_none_or(|theirs| theirs == ours)
}

fn count(sql: &str) -> Option<Count> {
    let statements = Parser::parse_sql(&SQLiteDialect {}, sql).ok()?;
    let [Statement::CreateTable(table)] = statements.as_slice() else {
        return None;
    };
    let mut count = Count {
        columns: table.columns.len(),
        ..Count::default()
    };
    for column in &table.columns {
        let mut collated = false;
        for option in &column.options {
            match option.option {
                ColumnOption::Check(_) => count.checks += 1,
                ColumnOption::ForeignKey(_) => count.foreign_keys += 1,
                ColumnOption::Unique(_) => count.uniques += 1,
                ColumnOption::Generated { .. } => count.generated += 1,
                ColumnOption::Collation(_) => collated = true,
                _ => {}
            }
        }
        count.collations += usize::from(collated);
    }
    for constraint in &table.constraints {
        match constraint {
            TableConstraint::Check(_) => count.checks += 1,
            TableConstraint::ForeignKey(_) => count.foreign_keys += 1,
            TableConstraint::Unique(_) => count.uniques += 1,
            _ => {}
        }
    }
    Some(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_counts_every_kind() {
        let sql = "CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT UNIQUE COLLATE NOCASE CHECK (b <> ''), c INT AS (a + 1) STORED,
                   d INT REFERENCES u (id), UNIQUE (a, b), CHECK (a > 0), FOREIGN KEY (c) REFERENCES v (id))";
        let expected = Count {
            columns: 4,
            checks: 2,
            foreign_keys: 2,
            uniques: 2,
            generated: 1,
            collations: 1,
        };
        assert_eq!(count(sql), Some(expected));
    }

    #[test]
    fn a_constraint_that_one_reader_missed_is_noticed() {
        let mut table = Table {
            sql: "CREATE TABLE t (a, CHECK (a > 0))".into(),
            ..Table::default()
        };
        table.columns.push(crate::schema::Column {
            name: "a".into(),
            ..Default::default()
        });
        assert!(!agrees(&table));
        table.checks.push(crate::schema::Check {
            name: None,
            expr: "a > 0".into(),
            column: None,
        });
        assert!(agrees(&table));
    }

    #[test]
    fn what_it_cannot_read_says_nothing() {
        assert_eq!(
            count("CREATE TABLE t (a INTEGER NOT NULL ON CONFLICT REPLACE DEFAULT (1) ? )"),
            None
        );
    }
}
