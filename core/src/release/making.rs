//! A change of a schema, planned, made and checked in one transaction: on a clone of live for a
//! publish, on the database of a dev session itself.

use crate::{
    base::{
        clock::Moment,
        error::{Context, Result},
        history::Step,
        options::Options,
    },
    declare::DeclaredSchema,
    live::columns,
    rehearse::{
        Migrated, apply, checks, connection, dependents, migrations, questions, rows::Rows,
        survey::Survey,
    },
    release::{declaration::Declaration, planning::plan_on},
    schema::{
        introspect,
        plan::model::{Plan, Statement, Violations},
        quoted::Statements,
    },
    sqlite::calls,
    store::log::Log,
};
use rusqlite::{Connection, Transaction};
use std::{path::PathBuf, time::Duration};

/// Begins the transaction that a change is made in.
pub(crate) type Begin = for<'c> fn(&'c Connection) -> Result<Transaction<'c>>;

/// How a change is made.
pub(crate) struct Making<'a> {
    pub(crate) declaration: &'a Declaration,
    pub(crate) options: &'a Options,
    pub(crate) libraries: &'a [PathBuf],
    pub(crate) log: &'a Log<'a>,
    /// Refuses what the disk has no room for.
    pub(crate) room: &'a dyn Fn(&str, u64) -> Result<()>,
}

/// A change that was made and checked.
pub(crate) struct Made {
    pub(crate) plan: Plan,
    pub(crate) survey: Survey,
    pub(crate) declared: DeclaredSchema,
    pub(crate) migrated: Vec<Migrated>,
    /// What the rows of changed tables are like.
    rows: Rows,
    pub(crate) warnings: Vec<String>,
    /// How long the change took, without its checks.
    pub(crate) took: Duration,
}

impl Making<'_> {
    /// Makes the change on a connection, and what `besides` writes, and checks it. Its transaction is
    /// left open.
    pub(crate) fn on<'c>(
        &self,
        conn: &'c Connection,
        begin: Begin,
        besides: &mut dyn FnMut(&Connection) -> Result<()>,
    ) -> Result<(Transaction<'c>, Made)> {
        let (tx, made) = self.once(conn, begin, besides, None)?;
        let doubtful = made.doubtful();
        if doubtful.is_empty() {
            return Ok((tx, made));
        }
        tx.rollback()
            .context(|| format!("ending the rehearsal on {}", calls::name(conn)))?;
        let check = || Rows::check(conn, doubtful.iter().map(String::as_str));
        let before = self.log.step(Step::Check, check, |_| {
            format!(
                "Rows of {} do not pass quick_check: looked whether they did before, and begins again",
                doubtful.join(", ")
            )
        })?;
        self.once(conn, begin, besides, Some(&before))
    }

    /// Makes the change where it is known what was found in rows `before` it, or nothing is.
    fn once<'c>(
        &self,
        conn: &'c Connection,
        begin: Begin,
        besides: &mut dyn FnMut(&Connection) -> Result<()>,
        before: Option<&Rows>,
    ) -> Result<(Transaction<'c>, Made)> {
        let (log, options) = (self.log, self.options);
        let start = Moment::now();
        connection::prepare(conn, self.libraries)?;
        let tx = begin(conn)?;
        // Before anything changes: a foreign key that does not hold now is not the change's fault.
        let violations = checks::violations(&tx)?;
        let usable = dependents::judge(&tx)?;
        // Of what migrations change, too, it counts what it was before them.
        let statements = match self.declaration.migrations.is_empty() {
            true => None,
            false => Some(Statements::of(&introspect::read_with(
                &tx,
                options.ignored_tables(),
                &options.extensions,
            )?)),
        };
        let ran = migrations(&tx, &self.declaration.migrations, &mut |statement, _| {
            log.statement(statement)
        })
        .inspect_err(|e| log.failed_at(Step::Rehearse, e))?;
        let (plan, survey, declared, mut warnings) =
            self.plan(&tx, &ran.migrated, statements.as_ref(), violations)?;
        self.apply(&tx, &plan, &survey, &declared)?;
        besides(&tx)?;
        let took = start.elapsed();
        let (rows, strings, more) = log.step(
            Step::Check,
            || {
                let more = checks::check_schema(&tx, &plan, &survey, &declared, options)?;
                let rows = Rows::check(&tx, plan.changed.iter().map(String::as_str))?;
                if let Some(before) = before {
                    rows.refuse(before, &plan.renamed)?;
                }
                Ok((rows, dependents::still_usable(&tx, &usable, &plan.renamed)?, more))
            },
            |_| "Checked foreign keys, the schema, the rows of changed tables, views and triggers; not the pages of other tables, which verify reads".into(),
        )?;
        warnings.extend(more.into_iter().chain(ran.warnings));
        warnings.extend(strings.into_iter().chain(rows.warnings()));
        let made = Made {
            plan,
            survey,
            declared,
            migrated: ran.migrated,
            rows,
            warnings,
            took,
        };
        Ok((tx, made))
    }

    /// Takes the diff of what the migrations have left, and asks the rows what its plan has to
    /// know.
    fn plan(
        &self,
        conn: &Connection,
        migrated: &[Migrated],
        statements: Option<&Statements>,
        violations: Violations,
    ) -> Result<(Plan, Survey, DeclaredSchema, Vec<String>)> {
        let texts: Vec<&str> = migrated.iter().map(|m| m.statement.sql.as_str()).collect();
        let declared = &self.declaration.declared;
        self.log.step(
            Step::Rehearse,
            || {
                let (plan, declared, warnings) =
                    plan_on(conn, declared, self.options, &texts, statements)?;
                let survey = questions::survey(conn, &plan, self.options)?.allowed()?;
                let survey = Survey {
                    violations,
                    ..survey
                };
                Ok((plan, survey, declared, warnings))
            },
            |(plan, ..)| match plan.statements.len() {
                0 => "Nothing to change in the schema".into(),
                1 => "1 statement to run".into(),
                n => format!("{n} statements to run"),
            },
        )
    }

    /// Runs the plan, and writes what the columns are declared as.
    fn apply(
        &self,
        conn: &Connection,
        plan: &Plan,
        survey: &Survey,
        declared: &DeclaredSchema,
    ) -> Result<()> {
        let log = self.log;
        // Before anything fills the disk: what is rewritten is written to the clone's WAL, and to
        // live's in the switch.
        let rewritten = questions::rewritten_bytes(conn, plan)?;
        (self.room)(
            "rewriting what the plan changes, on the clone and in the switch,",
            2 * rewritten,
        )
        .inspect_err(|e| log.failed_at(Step::Rehearse, e))?;
        columns::ensure(conn, &declared.schema)?;
        apply(conn, plan, survey, &mut |statement, _| {
            log.statement(statement)
        })
        .inspect_err(|e| log.failed_at(Step::Rehearse, e))?;
        columns::write(conn, declared.app.as_ref())
    }
}

impl Made {
    /// What was done, in order.
    pub(crate) fn statements(&self) -> Vec<Statement> {
        let migrated = self.migrated.iter().map(|m| &m.statement);
        (1..)
            .zip(migrated.chain(&self.survey.statements))
            .map(|(ord, statement)| Statement {
                ord,
                ..statement.clone()
            })
            .collect()
    }

    /// Tables whose rows do not pass, by their names before the change: maybe they never did.
    fn doubtful(&self) -> Vec<String> {
        let old = |now: &String| {
            self.plan
                .renamed
                .iter()
                .find(|(_, to)| to.eq_ignore_ascii_case(now))
                .map(|(from, _)| from)
        };
        self.rows
            .doubtful()
            .iter()
            .map(|now| old(now).unwrap_or(now).clone())
            .collect()
    }
}
