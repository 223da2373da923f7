//! Runs a plan.

use crate::{
    base::{
        error::{Result, sqlite_message},
        text::things,
    },
    rehearse::{count, failed, survey::Survey},
    schema::{
        constrain,
        plan::model::{Plan, Statement},
    },
    sqlite::{
        quote::ident,
        strangers::{self, Stranger},
    },
};
use rusqlite::{Connection, config::DbConfig};
use std::time::{Duration, Instant};

/// Runs a plan that was surveyed inside the caller's transaction. `on` is told of each statement,
/// and how long it took.
pub fn apply(
    conn: &Connection,
    plan: &Plan,
    survey: &Survey,
    on: &mut dyn FnMut(&Statement, Duration),
) -> Result<()> {
    run(conn, plan, survey, on, true)
}

/// Runs a plan once more, maybe while writers wait: what fails is not looked into.
pub fn apply_again(conn: &Connection, plan: &Plan, survey: &Survey) -> Result<()> {
    run(conn, plan, survey, &mut |_, _| {}, false)
}

fn run(
    conn: &Connection,
    plan: &Plan,
    survey: &Survey,
    on: &mut dyn FnMut(&Statement, Duration),
    looks: bool,
) -> Result<()> {
    for statement in &survey.statements {
        let started = Instant::now();
        let once = || match &statement.adds {
            Some(added) => constrain::add(conn, added),
            None if statement.follow_names => following_names(conn, &statement.sql),
            None => conn.execute_batch(&statement.sql),
        };
        let outcome = match once() {
            Err(e) if statement.renames && Stranger::behind(&e).is_some() => renaming(conn, once)?,
            outcome => outcome,
        };
        outcome.map_err(|e| {
            let failed = failed(statement, &plan.now(&statement.object), &e);
            match looks.then(|| rows_that_fail(conn, statement, &e)).flatten() {
                Some(rows) => failed.more(rows),
                None => failed,
            }
        })?;
        on(statement, started.elapsed());
    }
    Ok(())
}

/// How many rows do not come over into the new table, where a constraint kept the copy from being
/// made. What is left on the clone is thrown away with it.
fn rows_that_fail(conn: &Connection, statement: &Statement, e: &rusqlite::Error) -> Option<String> {
    let copy = statement.passes_over.as_ref()?;
    if e.sqlite_error_code() != Some(rusqlite::ErrorCode::ConstraintViolation) {
        return None;
    }
    let all = count(
        conn,
        &format!("SELECT count(*) FROM main.{}", ident(&statement.object)),
    )
    .ok()?;
    let fit = conn.execute(copy, []).ok()?;
    let fail = all.checked_sub(u64::try_from(fit).ok()?)?;
    Some(format!(
        "{fail} of {} {} not pass",
        things(all, "row"),
        if fail == 1 { "does" } else { "do" }
    ))
}

/// Renames something in a schema that names what is not here. To rename, SQLite compiles every
/// index, whatever it is on, and runs none: it writes to its own tables only, so that a stand-in
/// decides nothing.
fn renaming(
    conn: &Connection,
    rename: impl Fn() -> rusqlite::Result<()>,
) -> Result<rusqlite::Result<()>> {
    strangers::standing_in(conn, |stand_ins| {
        loop {
            match rename() {
                Err(e) if stand_ins.take_place(&sqlite_message(&e)) => {}
                outcome => return Ok(outcome),
            }
        }
    })
}

fn following_names(conn: &Connection, sql: &str) -> rusqlite::Result<()> {
    let legacy = |on| conn.set_db_config(DbConfig::SQLITE_DBCONFIG_LEGACY_ALTER_TABLE, on);
    legacy(false)?;
    let outcome = conn.execute_batch(sql);
    legacy(true)?;
    outcome
}
