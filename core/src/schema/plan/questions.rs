//! What a plan has to ask the rows.

use crate::{
    schema::{
        self, Column, Schema, Table,
        diff::{Change, TableChange},
        logical::affinity,
        parse,
        plan::{
            model::{Plan, Question, StatementKind},
            virtuals,
        },
    },
    sqlite::{
        lex::{self, Kind},
        quote::{ident, idents, same_name},
    },
};
use std::collections::BTreeSet;

/// A table that is declared as something else loses its rows, though its name stays.
pub(super) fn ask_about_kinds(
    plan: &mut Plan,
    current: &Schema,
    declared: &Schema,
    changes: &[Change],
) {
    // What is renamed to that name is another table, as somebody has said.
    let is_taken = |name: &str| {
        changes
            .iter()
            .any(|change| matches!(change, Change::RenameTable { to, .. } if same_name(to, name)))
    };
    for change in changes {
        let name = match change {
            Change::DropTable(name) => name,
            Change::DropVirtual(name) if virtuals::keeps_rows(current, name) => name,
            _ => continue,
        };
        if is_taken(name) {
            continue;
        }
        let becomes = if declared
            .views
            .iter()
            .any(|view| same_name(&view.name, name))
        {
            "a view"
        } else if declared
            .virtual_tables
            .iter()
            .any(|table| same_name(&table.name, name))
        {
            "a virtual table of another kind"
        } else if declared.table(name).is_some() {
            "an ordinary table"
        } else {
            continue;
        };
        let at = plan.at(StatementKind::DropTable, name, 0);
        plan.questions.push((
            at,
            Question::Kind {
                table: name.clone(),
                becomes,
            },
        ));
    }
}

pub(super) fn ask_dropped(plan: &mut Plan, old: &Table, name: &str) {
    if old
        .column(name)
        .is_some_and(|column| column.generated.is_none())
    {
        plan.ask(Question::Values {
            table: old.name.clone(),
            column: name.to_owned(),
        });
    }
}

/// Whether a `DEFAULT` is a constant, and then, whether it is NULL.
pub(crate) fn constant(default: &str) -> Option<bool> {
    let tokens = lex::tokens(default);
    let value = match tokens.as_slice() {
        [sign, value] if sign.is("-") || sign.is("+") => value,
        [value] => value,
        _ => return None,
    };
    match value.kind {
        Kind::Value | Kind::Text | Kind::Quoted => Some(false),
        Kind::Word if value.is("NULL") => Some(true),
        Kind::Word if value.text.to_ascii_lowercase().starts_with("current_") => None,
        Kind::Word => Some(false),
        Kind::Sign => None,
    }
}

/// What a rebuild has to know of the rows. `now` has the declared names, `old` those that can be
/// asked by.
pub(super) fn ask_about_rows(
    plan: &mut Plan,
    change: &TableChange,
    old: &Table,
    new: &Table,
    now: &Table,
) {
    for name in &change.dropped {
        ask_dropped(plan, old, name);
    }
    for (kept, asked) in now.columns.iter().zip(&old.columns) {
        let Some(column) = new.column(&kept.name) else {
            continue;
        };
        if let Some(generated) = &column.generated {
            if kept.generated.is_none() && change.renamed.is_empty() {
                plan.ask(Question::Computed {
                    table: old.name.clone(),
                    column: asked.name.clone(),
                    expr: generated.expr.clone(),
                });
            }
        } else if let Some(cast) = column.cast {
            plan.ask(Question::Cast {
                table: old.name.clone(),
                column: asked.name.clone(),
                cast,
            });
        } else {
            ask_retyped(plan, (kept, asked), column, old, new);
            ask_required(plan, (kept, asked), column, (old, now), new);
        }
    }
    ask_about_rowid(plan, old, new, now);
    for name in &change.added {
        ask_added(plan, old, new, name);
    }
    ask_about_keys(plan, old, new, now);
}

/// Whether values change where the column `kept` becomes `column`; `asked` has its name of now.
fn ask_retyped(
    plan: &mut Plan,
    (kept, asked): (&Column, &Column),
    column: &Column,
    old: &Table,
    new: &Table,
) {
    let affinities = (
        affinity(&kept.declared_type, old.strict),
        affinity(&column.declared_type, new.strict),
    );
    if affinities.0 != affinities.1 {
        plan.ask(Question::Retype {
            table: old.name.clone(),
            column: asked.name.clone(),
            from: kept.declared_type.clone(),
            to: column.declared_type.clone(),
            affinities,
        });
    }
}

/// Whether there are NULLs where the column `kept` becomes `column`, which takes none.
fn ask_required(
    plan: &mut Plan,
    (kept, asked): (&Column, &Column),
    column: &Column,
    (old, now): (&Table, &Table),
    new: &Table,
) {
    // A table WITHOUT ROWID takes no NULL in its key.
    let key = |table: &Table| {
        table.without_rowid
            && table.primary_key.iter().any(|key| {
                key.columns
                    .iter()
                    .any(|part| same_name(&part.name, &column.name))
            })
    };
    let comes = column.not_null.is_some() && kept.not_null.is_none();
    let becomes_key = key(new) && !key(now);
    if !comes && !becomes_key {
        return;
    }
    let default = column
        .default
        .as_deref()
        .filter(|d| constant(d) != Some(true) && column.not_null.is_some());
    plan.ask(Question::Nulls {
        table: old.name.clone(),
        column: asked.name.clone(),
        default: default.map(str::to_owned),
        rowid: old.rowid_name(),
    });
}

/// Whether the values of a column can be rowids, where it was not the rowid before.
fn ask_about_rowid(plan: &mut Plan, old: &Table, new: &Table, now: &Table) {
    let Some(alias) = new.rowid_alias() else {
        return;
    };
    let was = now.rowid_alias();
    if was.is_some_and(|before| same_name(&before.name, &alias.name)) {
        return;
    }
    let at = now
        .columns
        .iter()
        .position(|column| same_name(&column.name, &alias.name));
    if let Some(at) = at {
        plan.ask(Question::Rowids {
            table: old.name.clone(),
            column: old.columns[at].name.clone(),
        });
    }
}

/// Whether there are rows that a new column has no value for.
fn ask_added(plan: &mut Plan, old: &Table, new: &Table, name: &str) {
    let Some(column) = new.column(name) else {
        return;
    };
    let default = column
        .default
        .as_deref()
        .is_some_and(|default| constant(default) != Some(true));
    let is_rowid = new
        .rowid_alias()
        .is_some_and(|alias| same_name(&alias.name, name));
    if column.not_null.is_some() && column.generated.is_none() && !default && !is_rowid {
        plan.ask(Question::NoValue {
            table: old.name.clone(),
            column: name.to_owned(),
        });
    }
}

/// The columns of a key in lower case, each with its collation.
fn collated(table: &Table, key: &schema::Key) -> BTreeSet<(String, String)> {
    let part = |part: &schema::KeyColumn| {
        let own = table
            .column(&part.name)
            .and_then(|column| column.collate.as_deref())
            .unwrap_or("binary");
        (
            part.name.to_ascii_lowercase(),
            part.collate.as_deref().unwrap_or(own).to_ascii_lowercase(),
        )
    };
    key.columns.iter().map(part).collect()
}

/// Whether the rows allow a key that was not there before.
fn ask_about_keys(plan: &mut Plan, old: &Table, new: &Table, now: &Table) {
    let there: Vec<_> = now
        .primary_key
        .iter()
        .chain(&now.uniques)
        .map(|key| collated(now, key))
        .collect();
    let asked = |name: &str| {
        let plain = new
            .column(name)
            .is_some_and(|column| column.generated.is_none());
        let at = now
            .columns
            .iter()
            .position(|column| same_name(&column.name, name))
            .filter(|_| plain)?;
        Some(ident(&old.columns[at].name))
    };
    for key in new.primary_key.iter().chain(&new.uniques) {
        let columns = collated(new, key);
        if there.contains(&columns) {
            continue;
        }
        let parts = columns
            .iter()
            .map(|(name, collate)| Some(format!("{} COLLATE {}", asked(name)?, ident(collate))));
        if let Some(columns) = parts.collect::<Option<Vec<_>>>() {
            let named = idents(key.columns.iter().map(|part| &part.name));
            plan.ask(Question::Unique {
                table: old.name.clone(),
                object: format!("UNIQUE ({named})"),
                columns,
                condition: None,
            });
        }
    }
}

/// Asks of the rows whether a new unique index can be made, where it can be asked by the names of
/// now.
pub(super) fn ask_unique_index(
    plan: &mut Plan,
    index: &schema::Index,
    current: &Schema,
    altered: &[TableChange],
) {
    let Some(parsed) = parse::index(&index.sql).filter(|parsed| parsed.unique) else {
        return;
    };
    let changes = altered.iter().any(|c| {
        same_name(&c.table, &index.table) && !(c.renamed.is_empty() && c.added.is_empty())
    });
    if current.table(&index.table).is_some() && !changes {
        plan.ask(Question::Unique {
            table: index.table.clone(),
            object: index.name.clone(),
            columns: parsed.columns,
            condition: parsed.condition,
        });
    }
}
