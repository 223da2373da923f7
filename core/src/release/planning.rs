//! What a declared schema asks of a database: the difference, planned, and what the caller should know
//! of it.

use crate::{
    base::{
        allow::Allow,
        error::{Error, Result, State},
        options::Options,
        remedy::OptionName,
    },
    declare::{self, DeclaredSchema},
    effects::diff,
    live::columns,
    rehearse::dependents,
    remedy,
    schema::{
        self, Claim, Schema, VirtualTable,
        app::RecordedTypes,
        diff::Change as Difference,
        plan::{
            self,
            model::{Plan, Statement},
        },
        quoted::Statements,
    },
};
use rusqlite::Connection;
use std::{borrow::Cow, collections::BTreeSet};

/// The rows of a diff.
pub(crate) fn rows(
    mut statements: Vec<Statement>,
    changes: &[diff::Change],
    warnings: Vec<String>,
) -> Vec<Statement> {
    statements.extend(
        changes
            .iter()
            .map(Statement::effect)
            .chain(warnings.into_iter().map(Statement::warning)),
    );
    (1..)
        .zip(&mut statements)
        .for_each(|(ord, statement)| statement.ord = ord);
    statements
}

/// Takes the diff and plans it; `migrations` ran just before, and `before` them there were these
/// statements. Returns what is declared for this very database, and what the caller should know,
/// too.
pub(crate) fn plan_on(
    conn: &Connection,
    declared: &DeclaredSchema,
    options: &Options,
    migrations: &[&str],
    before: Option<&Statements>,
) -> Result<(Plan, DeclaredSchema, Vec<String>)> {
    let mut current = declare::left_alone::current(conn, declared, options)?;
    let recorded = if declared.app.is_some() {
        columns::read(conn)?
    } else {
        RecordedTypes::default()
    };
    let goes = match &declared.app {
        Some(app) => app.tables.is_empty() && !recorded.0.is_empty(),
        None => declared.schema.is_empty() && !current.is_empty(),
    };
    // An empty file is a mistake more often than a wish.
    if goes && !options.allow.contains(&Allow::Drop) {
        return Err(Error::schema_invalid(format!(
            "{} declares nothing, and would drop everything",
            declared.source
        ))
        .state(State::NothingChanged)
        .hint(remedy![
            "Check that it is the right one; if all of it is to go, say ",
            Allow::Drop
        ]));
    }
    let declared = declared.onto(&current, &recorded, migrations)?;
    let left = current.leave_claimed(&declared.schema, &declared.renames);
    let changes = schema::diff::diff(&current, &declared.schema, &declared.renames)?;
    if declared.app.is_none() && !options.allow.contains(&Allow::Drop) {
        refuse_unsure_drop(&current, &changes)?;
    }
    if changes.iter().any(Difference::edits) {
        dependents::note(conn, &mut current)?;
    }
    let mut plan = plan::plan(
        &current,
        &declared.schema,
        &changes,
        rusqlite::version_number(),
    )?;
    let mut warnings = declared.warnings.clone();
    warnings.extend(left_alone(&current, &left));
    warnings.extend(without_parent(&current, &declared.schema));
    let statements = before.map_or_else(|| Cow::Owned(Statements::of(&current)), Cow::Borrowed);
    let named = statements.still_name(&Statements::of(&declared.schema), &plan.renamed);
    warnings.extend(named.map_err(|e| e.state(State::NothingChanged))?);
    if declared.app.is_some() {
        warnings.extend(plan.of_app());
    } else if plan.is_empty() {
        warnings.extend(plan::other_order(&current, &declared.schema));
    }
    warnings.append(&mut plan.warnings);
    let leave = options.allow.contains(&Allow::Drop);
    warnings.extend(comments_without_column(
        &current, &declared, &changes, leave,
    )?);
    Ok((plan, declared, warnings))
}

/// What the caller should know of the comments `@renamed` that name no column. A comment stays when
/// its rename is done, and one of a version that this database never had is no mistake. But it may
/// also be a slip of the pen: beside a column that goes it is refused, unless there is `leave` to
/// drop.
fn comments_without_column(
    current: &Schema,
    declared: &DeclaredSchema,
    changes: &[Difference],
    leave: bool,
) -> Result<Vec<String>> {
    let mut warnings = Vec::new();
    for rename in declared.renames.iter().filter(|rename| rename.comment) {
        let Some(table) = &rename.table else { continue };
        let Some(columns) = current.columns_of(table) else {
            continue;
        };
        // Those of a virtual table whose module is not here are not known.
        let known = |name: &str| {
            columns.is_empty()
                || columns
                    .iter()
                    .any(|column| column.eq_ignore_ascii_case(name))
        };
        if known(&rename.from) || known(&rename.to) {
            continue;
        }
        let what = format!(
            "the comment @renamed from={} names no column of {table}",
            rename.from
        );
        // Beside a column that goes it is one that would take the values with it.
        let goes = changes.iter().find_map(|change| match change {
            Difference::AlterTable(change) if change.from.eq_ignore_ascii_case(table) => {
                change.dropped.first()
            }
            _ => None,
        });
        match goes {
            Some(goes) if !leave => {
                return Err(Error::ambiguous_rename(format!("{what}, which loses {goes}"))
                    .object(format!("{table}.{}", rename.to))
                    .state(State::NothingChanged)
                    .hint(
                        remedy!["Correct the comment, or remove it; or say that the drop is meant, with ", Allow::Drop],
                    ));
            }
            _ => warnings.push(format!("{what}: {} is a new column", rename.to)),
        }
    }
    Ok(warnings)
}

/// Refuses to drop a table that may be one of a virtual table's, whose module is not here to tell.
fn refuse_unsure_drop(current: &Schema, changes: &[Difference]) -> Result<()> {
    let goes = |name: &str| {
        changes
            .iter()
            .any(|change| matches!(change, Difference::DropVirtual(gone) if gone == name))
    };
    let unknown = current
        .virtual_tables
        .iter()
        .find(|table| table.own.is_none() && !goes(&table.name));
    let dropped = changes.iter().find_map(|change| match change {
        Difference::DropTable(name) => Some(name),
        _ => None,
    });
    let (Some(unknown), Some(dropped)) = (unknown, dropped) else {
        return Ok(());
    };
    Err(Error::unsupported_change(format!(
        "the table {dropped} would be dropped, and it may belong to the virtual table {}, whose module {} cannot tell here{}",
        unknown.name,
        unknown.module,
        unknown.missing.as_ref().map_or_else(String::new, |why| format!(" ({why})")),
    ))
    .object(dropped)
    .state(State::NothingChanged)
    .hint(remedy![
        format!("Name the library that {} needs in ", unknown.module),
        OptionName::Extensions,
        "; or say that the drop is meant, with ",
        Allow::Drop,
    ]))
}

/// Foreign keys to tables that there are not going to be: SQLite makes them, and fails over every
/// row.
fn without_parent(current: &Schema, declared: &Schema) -> Vec<String> {
    let declares = |name: &str| {
        let is = |other: &String| other.eq_ignore_ascii_case(name);
        declared.table(name).is_some()
            || declared.views.iter().any(|view| is(&view.name))
            || declared.virtual_tables.iter().any(|table| is(&table.name))
    };
    // What is left alone is no part of either schema, and stays.
    let stays = |name: &str| {
        current.names.contains(&name.to_ascii_lowercase()) && current.columns_of(name).is_none()
    };
    let keys = declared
        .tables
        .iter()
        .flat_map(|table| table.foreign_keys.iter().map(move |key| (table, key)));
    let missing: BTreeSet<(&str, &str)> = keys
        .filter(|(_, key)| !declares(&key.parent) && !stays(&key.parent))
        .map(|(table, key)| (table.name.as_str(), key.parent.as_str()))
        .collect();
    let said = missing.iter().map(|(table, parent)| {
        format!(
            "a foreign key of {table} refers to {parent}, and there is going to be no such table: SQLite takes no row for {table} where \
             foreign_keys is on"
        )
    });
    said.collect()
}

/// What the caller should know of tables that nobody declares and that stay, as they may belong to
/// a virtual table. Where the module itself says so there is nothing to know.
fn left_alone(current: &Schema, left: &[Claim]) -> Vec<String> {
    let of = |table: &VirtualTable| {
        let own = left
            .iter()
            .filter(|claim| !claim.said && claim.by == table.name);
        let names: Vec<&str> = own.map(|claim| claim.table.as_str()).collect();
        (!names.is_empty()).then(|| {
            let why = match table.own {
                Some(_) => format!(
                    "the module {} does not say which tables are its own",
                    table.module
                ),
                None => format!(
                    "the module {} cannot tell here, without the library that it needs",
                    table.module
                ),
            };
            let are = if names.len() == 1 {
                "is not declared and stays"
            } else {
                "are not declared and stay"
            };
            format!(
                "{} {are}, as a part of the virtual table {}: {why}",
                names.join(", "),
                table.name
            )
        })
    };
    current.virtual_tables.iter().filter_map(of).collect()
}
