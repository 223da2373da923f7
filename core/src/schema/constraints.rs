//! CHECK and NOT NULL by ALTER TABLE, which SQLite has had since 3.53: a table's statement changes,
//! and no row.

use crate::{
    schema::{
        Check, Table,
        diff::TableChange,
        introspect,
        meaning::{agree, default_expression},
        plan::{
            model::{Added, Filling, Question, Statement, StatementKind},
            questions::constant,
        },
    },
    sqlite::{lex, quote::ident},
};
use rusqlite::Connection;

/// The version that brought ADD CONSTRAINT, DROP CONSTRAINT and SET and DROP NOT NULL.
const SINCE: i32 = 3_053_000;

/// The statements that change a table's CHECKs and NOT NULLs.
#[derive(Debug, Default)]
pub(super) struct Edits {
    /// Run before columns are dropped: SQLite drops no column that a CHECK names.
    pub(super) first: Vec<Statement>,
    /// When all columns are there, each with what it has to know of the rows.
    pub(super) last: Vec<(Statement, Option<Question>)>,
}

impl Edits {
    /// The statements for `change`; `None` where this SQLite does not have them.
    pub(super) fn of(
        change: &TableChange,
        old: &Table,
        new: &Table,
        sqlite_version: i32,
    ) -> Option<Self> {
        let mut edits = Self::default();
        if change.required.is_empty()
            && change.checks_gone.is_empty()
            && change.checks_come.is_empty()
        {
            return Some(edits);
        }
        // Read back below as SQLite keeps it: a statement that somebody else put there need not
        // begin so.
        if sqlite_version < SINCE || !old.sql.starts_with("CREATE TABLE ") {
            return None;
        }
        for check in &change.checks_gone {
            let what = format!("DROP CONSTRAINT {}", ident(check.name.as_ref()?));
            edits.first.push(alter(
                StatementKind::DropConstraint,
                &change.table,
                check.name.as_deref(),
                &what,
            ));
        }
        for name in &change.required {
            edits.last.push(requirement(change, old, new, name)?);
        }
        for check in &change.checks_come {
            edits.last.push(added_check(change, old, check)?);
        }
        Some(edits)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.first.is_empty() && self.last.is_empty()
    }
}

fn alter(kind: StatementKind, table: &str, of: Option<&str>, what: &str) -> Statement {
    let object = of.map_or_else(|| table.to_owned(), |of| format!("{table}.{of}"));
    Statement::new(kind, object, format!("ALTER TABLE {} {what}", ident(table)))
}

/// A column's NOT NULL comes, goes, or does something else on a conflict.
fn requirement(
    change: &TableChange,
    old: &Table,
    new: &Table,
    name: &str,
) -> Option<(Statement, Option<Question>)> {
    let before = change
        .renamed
        .iter()
        .find(|(_, to)| to == name)
        .map_or(name, |(from, _)| from);
    let (column, before) = (new.column(name)?, old.column(before)?);
    let named = ident(name);
    let Some(conflict) = &column.not_null else {
        let what = format!("ALTER COLUMN {named} DROP NOT NULL");
        return Some((
            alter(StatementKind::DropNotNull, &change.table, Some(name), &what),
            None,
        ));
    };
    let otherwise = if conflict == "abort" {
        String::new()
    } else {
        format!(" ON CONFLICT {}", conflict.to_uppercase())
    };
    let what = format!("ALTER COLUMN {named} SET NOT NULL{otherwise}");
    let mut statement = alter(StatementKind::SetNotNull, &change.table, Some(name), &what);
    let mut added = Added {
        table: change.table.clone(),
        what,
        fill: None,
    };
    let default = column
        .default
        .as_deref()
        .filter(|default| constant(default) != Some(true));
    let question = before.not_null.is_none().then(|| Question::Nulls {
        table: old.name.clone(),
        column: before.name.clone(),
        default: default.map(str::to_owned),
        rowid: old.rowid_name(),
    });
    if let Some(default) = default.filter(|_| question.is_some() && column.generated.is_none()) {
        let table = ident(&change.table);
        let fill = format!(
            "UPDATE OR ABORT {table} SET {named} = {} WHERE {named} IS NULL",
            default_expression(default)
        );
        statement.filling = Some(Filling {
            sql: format!("{fill}; {}", statement.sql),
            passes_over: None,
        });
        added.fill = Some(fill);
    }
    statement.adds = Some(added);
    Some((statement, question))
}

fn added_check(
    change: &TableChange,
    old: &Table,
    check: &Check,
) -> Option<(Statement, Option<Question>)> {
    let tokens = lex::tokens(&check.expr);
    // The rows are checked before anything changes, so by the current names.
    let new_names = change.renamed.iter().map(|(_, to)| to).chain(&change.added);
    if new_names
        .into_iter()
        .any(|name| tokens.iter().any(|token| token.may_name(name)))
    {
        return None;
    }
    // A comment behind it would hide what follows.
    let expr = &check.expr[tokens.first()?.start..tokens.last()?.end()];
    let name = check
        .name
        .as_ref()
        .map_or_else(String::new, |name| format!("CONSTRAINT {} ", ident(name)));
    let what = format!("ADD {name}CHECK ({expr})");
    let mut statement = alter(
        StatementKind::AddConstraint,
        &change.table,
        check.name.as_deref(),
        &what,
    );
    statement.adds = Some(Added {
        table: change.table.clone(),
        what,
        fill: None,
    });
    let question = Question::Check {
        table: old.name.clone(),
        new_name: change.table.clone(),
        named: check.name.clone(),
        expr: expr.to_owned(),
        sql: statement.sql.clone(),
        rowid: old.rowid_name(),
    };
    Some((statement, Some(question)))
}

/// Whether these statements make `new` of `old`, tried on a table without rows. SQLite finds what
/// it edits by looking for words: the first constraint of a name, and the first NOT of a column,
/// which may be that of NOT DEFERRABLE.
pub(super) fn lead_to<'a>(
    old: &Table,
    new: &Table,
    statements: impl Iterator<Item = &'a str>,
) -> bool {
    let tried = || -> crate::base::error::Result<bool> {
        let conn = Connection::open_in_memory()?;
        conn.execute_batch(&old.sql)?;
        for statement in statements {
            conn.execute_batch(statement)?;
        }
        Ok(introspect::read(&conn, &[])?
            .table(&new.name)
            .is_some_and(|table| agree(table, new)))
    };
    tried().unwrap_or(false)
}
