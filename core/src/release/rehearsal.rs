//! The rehearsal of a publish.

use crate::{
    base::{
        error::{Context, Error, Result},
        history::Step,
    },
    effects::{Effects, diff, tables},
    live::{
        columns,
        marker::{self, Marker},
    },
    rehearse::{
        apply, checks, connection, migrations,
        questions::{self, Looked},
        survey::Survey,
    },
    release::{
        change::{Change, Found, Rehearsed},
        context::Run,
        declaration::Declaration,
        making::{Made, Making},
    },
    schema::{
        Schema,
        plan::model::{Plan, losses},
    },
    sqlite::{calls, tx},
    store::schema_record,
    switch::{
        contract::Terms,
        follower::{ClonedLive, Image},
    },
};
use rusqlite::{Connection, Transaction};
use std::collections::BTreeSet;

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
