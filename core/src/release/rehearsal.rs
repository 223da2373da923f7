//! The rehearsal of a publish.

use crate::{
    base::{
        allow::Allow,
        error::{Context, Error, Result, State},
        history::Step,
        options::Options,
        remedy::OptionName,
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
        survey::Survey,
    },
    release::{
        change::{Change, Found, Rehearsed},
        context::Run,
        declaration::Declaration,
        making::{Made, Making},
    },
    remedy,
    schema::{
        self, Claim, Schema, VirtualTable,
        app::RecordedTypes,
        diff::Change as Difference,
        plan::{
            self,
            model::{Plan, Statement, losses},
        },
        quoted::Statements,
    },
    sqlite::{calls, tx},
    store::schema_record,
    switch::{
        contract::Terms,
        follower::{ClonedLive, Image},
    },
};
use rusqlite::{Connection, Transaction};
use std::{borrow::Cow, collections::BTreeSet};

/// A publish: live is to have the schema, the rows and the effects that are declared.
pub(crate) struct SchemaChange<'a> {
    declaration: &'a Declaration,
}

/// What a rehearsal leaves, to do the same again.
pub(crate) struct Script {
    plan: Plan,
    survey: Survey,
    /// What the plan leads to.
    schema: Schema,
    /// Whether migrations ran.
    migrated: bool,
    fingerprint: String,
}

impl<'a> SchemaChange<'a> {
    pub(crate) fn new(declaration: &'a Declaration) -> Self {
        Self { declaration }
    }
}

impl Change for SchemaChange<'_> {
    type Script = Script;

    const WHILE: &'static str = "while it was published";

    /// Takes the diff on the clone, runs the plan there, and checks what came of it.
    fn rehearse<'l>(&self, run: &Run<'_>, clone: ClonedLive<'l>) -> Result<Rehearsed<'l, Script>> {
        let ClonedLive { overlay, follower } = clone;
        let overlay = overlay.open()?;
        let made = self.make(run, overlay.conn())?;
        let (script, terms, found) = made.commit(run)?;
        Ok(Rehearsed {
            image: Image::Clone(overlay),
            follower,
            terms,
            script,
            found,
        })
    }

    /// Runs the same statements.
    fn repeat(
        &self,
        run: &Run<'_>,
        script: &Script,
        image: &Connection,
        _live: &Connection,
        pages: Option<&BTreeSet<u32>>,
    ) -> Result<Looked> {
        let declaration = self.declaration;
        connection::prepare(image, run.live.libraries(run.options)?)?;
        let tx = begin(image)?;
        let before = script
            .migrated
            .then(|| checks::violations(&tx))
            .transpose()?;
        migrations(&tx, &declaration.migrations, &mut |_, _| {})?;
        // A migration may have written any row.
        let pages = pages.filter(|_| !script.migrated);
        let looked = questions::ask_again(&tx, &script.plan, run.options, pages)?;
        columns::ensure(&tx, &script.schema)?;
        apply::apply_again(&tx, &script.plan, &script.survey)?;
        columns::write(&tx, declaration.declared.app.as_ref())?;
        let effects = match &declaration.effects {
            Some(effects) => effects.clone(),
            None => tables::read(&tx)?,
        };
        write_effects(&tx, &effects, &run.marker)?;
        checks::recheck(&tx, &script.plan, &script.survey, before.as_ref())?;
        if checks::fingerprint(&tx)? != script.fingerprint {
            return Err(Error::check_failed(
                "the plan gave another schema than when it was rehearsed",
            )
            .hint("A migration that depends on data may do that: publish again"));
        }
        tx.commit()
            .context(|| format!("ending the rehearsal on {}", calls::name(image)))?;
        Ok(looked)
    }
}

/// A change that was made and checked, in a transaction that is open.
struct Rehearsal<'c> {
    tx: Transaction<'c>,
    made: Made,
    effects: Vec<diff::Change>,
    warnings: Vec<String>,
    terms: Terms,
}

impl SchemaChange<'_> {
    /// Makes the change on a clone and checks it.
    fn make<'c>(&self, run: &Run<'_>, conn: &'c Connection) -> Result<Rehearsal<'c>> {
        let cookie: i64 = calls::pragma(conn, "schema_version")?;
        run.is_still_the_same(conn)?;
        let drift = run.drift(conn)?;
        let making = Making {
            declaration: self.declaration,
            options: run.options,
            libraries: run.live.libraries(run.options)?,
            log: run.log,
            room: &|what, bytes| run.room_for(what, bytes),
        };
        let mut effects = Vec::new();
        let (tx, mut made) = making.on(conn, begin, &mut |tx| {
            effects = self.write_effects(run, tx)?;
            Ok(())
        })?;
        let mut warnings = std::mem::take(&mut made.warnings);
        warnings.extend(drift);
        Ok(Rehearsal {
            tx,
            effects,
            warnings,
            terms: Terms {
                cookie,
                took: made.took,
            },
            made,
        })
    }

    /// Writes what is declared besides the schema. Returns what that changes.
    fn write_effects(&self, run: &Run<'_>, conn: &Connection) -> Result<Vec<diff::Change>> {
        let old = tables::read(conn)?;
        let new = self.declaration.effects.as_ref().unwrap_or(&old);
        let effects = diff(&old, new);
        write_effects(conn, new, &run.marker)?;
        if !effects.is_empty() {
            run.log.note(
                Step::Rehearse,
                format!("Effects: {}", diff::summary(&effects)),
            );
        }
        Ok(effects)
    }
}

impl Rehearsal<'_> {
    /// Keeps the change on the clone, and records what it does.
    fn commit(self, run: &Run<'_>) -> Result<(Script, Terms, Found)> {
        let Self {
            tx,
            made,
            effects,
            mut warnings,
            terms,
        } = self;
        let fingerprint = checks::fingerprint(&tx)?;
        // Not again under live's lock: the schema is the same then, or it starts over.
        let clients = run
            .may_go_live(&tx)
            .inspect_err(|e| run.log.failed_at(Step::Check, e))?;
        run.record_schema(&schema_record::record(&tx)?)?;
        let name = calls::name(&tx).to_owned();
        tx.commit()
            .context(|| format!("ending the rehearsal on {name}"))?;
        for warning in &warnings {
            run.log.warn(Step::Rehearse, warning.clone());
        }
        warnings.extend(run.session.warnings.iter().cloned());
        warnings.extend(losses(&made.survey.statements));
        let statements = made.statements();
        if !run.options.dry_run {
            let plan =
                serde_json::to_string(&statements).map_err(|e| Error::internal(e.to_string()))?;
            let catalog = &run.session.store.catalog;
            catalog.describe(run.release(), None, Some(&plan))?;
        }
        let found = Found {
            statements,
            effects,
            clients,
            warnings,
            ..Found::default()
        };
        let script = Script {
            migrated: !made.migrated.is_empty(),
            plan: made.plan,
            survey: made.survey,
            schema: made.declared.schema,
            fingerprint,
        };
        Ok((script, terms, found))
    }
}

fn begin(conn: &Connection) -> Result<Transaction<'_>> {
    tx::begin(conn).context(|| format!("beginning the rehearsal on {}", calls::name(conn)))
}

fn write_effects(conn: &Connection, effects: &Effects, marker: &Marker) -> Result<()> {
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
