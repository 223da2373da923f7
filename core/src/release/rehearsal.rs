//! The rehearsal of a publish.

use crate::{
    base::{
        clock::Moment,
        error::{Context, Error, Result},
        options::{Allow, Options},
    },
    declare::{self, DeclaredSchema},
    effects::{Effects, diff, tables},
    live::{
        columns,
        marker::{self, Marker},
    },
    rehearse::{
        apply, checks, connection, dependents, migrations,
        questions::{self, Looked},
        rows::Rows,
    },
    release::{declaration::Declaration, run::Job},
    schema::{
        self, Claim, Schema, VirtualTable,
        app::RecordedTypes,
        diff::Change,
        introspect,
        plan::{
            self,
            model::{Plan, Statement, losses},
        },
        quoted::Statements,
    },
    sqlite::{calls, tx},
    store::schema_record,
    switch::{contract::Terms, follower::Taken},
};
use rusqlite::Connection;
use std::{borrow::Cow, collections::BTreeSet};

/// What a rehearsal leaves behind, to do the same again.
pub(crate) struct Rehearsed {
    plan: Plan,
    /// What the plan leads to.
    schema: Schema,
    /// The migrations that ran, and the plan.
    pub(crate) statements: Vec<Statement>,
    /// Whether there were any.
    migrated: bool,
    fingerprint: String,
    pub(crate) effects: Vec<diff::Change>,
    pub(crate) warnings: Vec<String>,
    pub(crate) terms: Terms,
}

/// Takes the diff on the clone, runs the plan there, and checks what came of it.
pub(crate) fn rehearse_first(
    job: &Job<'_>,
    taken: &mut Taken<'_>,
    declaration: &Declaration,
) -> Result<Rehearsed> {
    let mut before = None;
    loop {
        match rehearse_once(job, taken, declaration, before.as_ref())? {
            Tried::Done(rehearsed) => return Ok(*rehearsed),
            Tried::Doubtful(tables) => {
                let conn = taken.pair.open(job.live)?;
                let check = || Rows::check(conn, tables.iter().map(String::as_str));
                let tables = tables.join(", ");
                before = Some(job.log.step("check", check, |_| {
                    format!(
                        "Rows of {tables} do not pass quick_check: looked whether they did before, and begins again"
                    )
                })?);
            }
        }
    }
}

/// How a rehearsal ended that did not fail.
enum Tried {
    Done(Box<Rehearsed>),
    /// Rows of these tables, by their names before the change, do not pass; it was rolled back.
    Doubtful(Vec<String>),
}

/// As [`rehearse_first`], where it is known what was found in rows `before` the change, or nothing
/// is.
fn rehearse_once(
    job: &Job<'_>,
    taken: &mut Taken<'_>,
    declaration: &Declaration,
    before: Option<&Rows>,
) -> Result<Tried> {
    let (log, options) = (job.log, job.options);
    let conn = taken.pair.open(job.live)?;
    let cookie: i64 = calls::pragma(conn, "schema_version")?;
    job.is_still_the_same(conn)?;
    let drift = job.drift(conn)?;
    let start = Moment::now();
    connection::prepare(conn, job.live.libraries(options)?)?;
    let tx =
        tx::begin(conn).context(|| format!("beginning the rehearsal on {}", calls::name(conn)))?;
    // Before anything changes: a foreign key that does not hold now is not the change's fault.
    let violations = checks::violations(conn)?;
    let usable = dependents::judge(conn)?;
    // Of what migrations change, too, it counts what it was before them.
    let statements = match declaration.migrations.is_empty() {
        true => None,
        false => Some(Statements::of(&introspect::read_with(
            conn,
            options.ignored_tables(),
            &options.extensions,
        )?)),
    };
    let run = &mut |statement: &Statement, _| log.statement(statement);
    let migrations::Ran {
        migrated,
        warnings: of_migrations,
    } = migrations(conn, &declaration.migrations, run)
        .inspect_err(|e| log.failed_at("rehearse", e))?;
    let texts: Vec<&str> = migrated.iter().map(|m| m.statement.sql.as_str()).collect();
    let (plan, declared, mut warnings) = log.step(
        "rehearse",
        || {
            let (mut plan, declared, warnings) = plan_on(
                conn,
                &declaration.declared,
                options,
                &texts,
                statements.as_ref(),
            )?;
            plan.violations = Some(violations);
            questions::measure(conn, &mut plan, options)?;
            Ok((plan, declared, warnings))
        },
        |(plan, ..)| match plan.statements.len() {
            0 => "Nothing to change in the schema".into(),
            1 => "1 statement to run".into(),
            n => format!("{n} statements to run"),
        },
    )?;
    // Before anything fills the disk: what is rewritten is written to the clone's WAL, and to
    // live's in the switch.
    let rewritten = questions::rewritten_bytes(conn, &plan)?;
    job.room_for(
        "rewriting what the plan changes, on the clone and in the switch,",
        2 * rewritten,
    )
    .inspect_err(|e| log.failed_at("rehearse", e))?;
    columns::ensure(conn, &declared.schema)?;
    apply(conn, &plan, run).inspect_err(|e| log.failed_at("rehearse", e))?;
    let old = tables::read(conn)?;
    let new = declaration.effects.as_ref().unwrap_or(&old);
    let effects = diff(&old, new);
    columns::write(conn, declared.app.as_ref())?;
    write_effects(conn, new, &job.marker)?;
    if !effects.is_empty() {
        log.note("rehearse", format!("Effects: {}", diff::summary(&effects)));
    }
    let took = start.elapsed();
    let has_migrated = !migrated.is_empty();
    let all = migrated
        .into_iter()
        .map(|m| m.statement)
        .chain(plan.statements.iter().cloned());
    let statements = (1..)
        .zip(all)
        .map(|(ord, statement)| Statement { ord, ..statement })
        .collect();
    let (rows, strings, more) = log.step(
        "check",
        || {
            let more = checks::check_schema(conn, &plan, &declared, options)?;
            let rows = Rows::check(conn, plan.changed.iter().map(String::as_str))?;
            if let Some(before) = before {
                rows.refuse(before, &plan.renamed)?;
            }
            Ok((rows, dependents::still_usable(conn, &usable, &plan.renamed)?, more))
        },
        |_| "Checked foreign keys, the schema, the rows of changed tables, views and triggers; not the pages of other tables, which verify reads".into(),
    )?;
    let doubtful = rows.doubtful();
    if before.is_none() && !doubtful.is_empty() {
        tx.rollback()
            .context(|| format!("ending the rehearsal on {}", calls::name(conn)))?;
        let old = |now: &String| {
            plan.renamed
                .iter()
                .find(|(_, to)| to.eq_ignore_ascii_case(now))
                .map(|(from, _)| from)
        };
        return Ok(Tried::Doubtful(
            doubtful
                .iter()
                .map(|now| old(now).unwrap_or(now).clone())
                .collect(),
        ));
    }
    warnings.extend(more.into_iter().chain(of_migrations));
    let fingerprint = checks::fingerprint(conn)?;
    // Not again under live's lock: the schema is the same then, or it starts over.
    job.may_go_live(conn)
        .inspect_err(|e| log.failed_at("check", e))?;
    job.record_schema(&schema_record::record(conn)?)?;
    tx.commit()
        .context(|| format!("ending the rehearsal on {}", calls::name(conn)))?;
    warnings.extend(strings.into_iter().chain(rows.warnings()).chain(drift));
    for warning in &warnings {
        log.warn("rehearse", warning.clone());
    }
    warnings.extend(job.begun.warnings.iter().cloned());
    warnings.extend(losses(&plan.statements));
    Ok(Tried::Done(Box::new(Rehearsed {
        plan,
        schema: declared.schema,
        statements,
        migrated: has_migrated,
        fingerprint,
        effects,
        warnings,
        terms: Terms { cookie, took },
    })))
}

/// Runs the same statements again, on a clone that has caught up.
pub(crate) fn rehearse_again(
    job: &Job<'_>,
    conn: &Connection,
    rehearsed: &Rehearsed,
    declaration: &Declaration,
    pages: Option<&BTreeSet<u32>>,
) -> Result<Looked> {
    connection::prepare(conn, job.live.libraries(job.options)?)?;
    let tx =
        tx::begin(conn).context(|| format!("beginning the rehearsal on {}", calls::name(conn)))?;
    let before = rehearsed
        .migrated
        .then(|| checks::violations(conn))
        .transpose()?;
    migrations(conn, &declaration.migrations, &mut |_, _| {})?;
    // A migration may have written any row.
    let pages = pages.filter(|_| !rehearsed.migrated);
    let looked = questions::ask_again(conn, &rehearsed.plan, job.options, pages)?;
    columns::ensure(conn, &rehearsed.schema)?;
    apply::apply_again(conn, &rehearsed.plan)?;
    columns::write(conn, declaration.declared.app.as_ref())?;
    let effects = match &declaration.effects {
        Some(effects) => effects.clone(),
        None => tables::read(conn)?,
    };
    write_effects(conn, &effects, &job.marker)?;
    checks::recheck(conn, &rehearsed.plan, before.as_ref())?;
    if checks::fingerprint(conn)? != rehearsed.fingerprint {
        return Err(
            Error::check_failed("the plan gave another schema than when it was rehearsed")
                .hint("A migration that depends on data may do that: publish again"),
        );
    }
    tx.commit()
        .context(|| format!("ending the rehearsal on {}", calls::name(conn)))?;
    Ok(looked)
}

pub(crate) fn write_effects(conn: &Connection, effects: &Effects, marker: &Marker) -> Result<()> {
    tables::ensure(conn)?;
    tables::write(conn, effects)?;
    marker::write(conn, marker)
}

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
/// statements. Returns what is declared for this very database, and what the caller should know, too.
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
        .state("Nothing was changed")
        .hint("Check that it is the right one; if all of it is to go, say \"allow\":[\"drop\"]"));
    }
    let declared = declared.onto(&current, &recorded, migrations)?;
    let left = current.leave_claimed(&declared.schema, &declared.renames);
    let changes = schema::diff::diff(&current, &declared.schema, &declared.renames)?;
    if declared.app.is_none() && !options.allow.contains(&Allow::Drop) {
        refuse_unsure_drop(&current, &changes)?;
    }
    if changes.iter().any(Change::edits) {
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
    warnings.extend(named.map_err(|e| e.state("Nothing was changed"))?);
    if declared.app.is_some() {
        warnings.extend(plan.of_app());
    } else if plan.is_empty() {
        warnings.extend(plan::other_order(&current, &declared.schema));
    }
    warnings.append(&mut plan.warnings);
    // A comment stays when its rename is done, and one of a version that this database never had is
    // no mistake. But it may also be a slip of the pen.
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
            Change::AlterTable(change) if change.from.eq_ignore_ascii_case(table) => {
                change.dropped.first()
            }
            _ => None,
        });
        match goes {
            Some(goes) if !options.allow.contains(&Allow::Drop) => {
                return Err(Error::ambiguous_rename(format!("{what}, which loses {goes}"))
                    .object(format!("{table}.{}", rename.to))
                    .state("Nothing was changed")
                    .hint(
                        "Correct the comment, or remove it; or say that the drop is meant, with \"allow\":[\"drop\"]",
                    ));
            }
            _ => warnings.push(format!("{what}: {} is a new column", rename.to)),
        }
    }
    Ok((plan, declared, warnings))
}

/// Refuses to drop a table that may be one of a virtual table's, whose module is not here to tell.
fn refuse_unsure_drop(current: &Schema, changes: &[Change]) -> Result<()> {
    let goes = |name: &str| {
        changes
            .iter()
            .any(|change| matches!(change, Change::DropVirtual(gone) if gone == name))
    };
    let unknown = current
        .virtual_tables
        .iter()
        .find(|table| table.own.is_none() && !goes(&table.name));
    let dropped = changes.iter().find_map(|change| match change {
        Change::DropTable(name) => Some(name),
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
    .state("Nothing was changed")
    .hint(format!(
        "Name the library that {} needs in `extensions`; or say that the drop is meant, with \"allow\":[\"drop\"]",
        unknown.module
    )))
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
                Some(_) => format!("the module {} does not say which tables are its own", table.module),
                None => format!(
                    "the module {} cannot tell here; name the library that it needs in `extensions`",
                    table.module
                ),
            };
            let are = if names.len() == 1 { "is not declared and stays" } else { "are not declared and stay" };
            format!("{} {are}, as a part of the virtual table {}: {why}", names.join(", "), table.name)
        })
    };
    current.virtual_tables.iter().filter_map(of).collect()
}
