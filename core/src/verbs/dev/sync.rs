//! The schema of a dev session follows what is declared, without a release.

use crate::{
    base::{
        error::{Context, Result, State},
        ids::ReleaseId,
        options::Options,
        progress::Progress,
    },
    live::{columns, database::Live},
    os::stops::NoStops,
    release::{
        declaration::Declaration,
        making::{Made, Making},
        session::Session,
    },
    schema::plan::model::{Statement, losses},
    sqlite::{calls, client, tx},
    store::{log::Log, place},
    verbs::dev::{Dev, open, show},
};
use rusqlite::{Connection, Transaction};
use serde::Serialize;

/// Makes the schema of a session's database what `schema` declares, by the rules of a publish:
/// migrations run, what would lose anything needs leave.
///
/// The change is made in one transaction of that very database. A clone that is put in its place
/// would lose what others write to it meanwhile; here they wait, and whoever has it open reads the
/// new schema with the next statement, as after any other connection's DDL.
pub(crate) fn sync(
    live: &Live,
    name: &str,
    schema: &str,
    options: &Options,
    progress: Progress<'_>,
) -> Result<Synced> {
    let libraries = live.libraries(options)?;
    let declaration =
        Declaration::read(schema, options).map_err(|e| e.state(State::SessionUnchanged))?;
    let begun = Session::begin(live, options, progress)?;
    let store = &begun.store;
    let session = open(store, name)?;
    let dev = live.sibling(&store.path(&place::dev(name)))?;
    let log = Log::new(None, ReleaseId::NONE, progress);
    let making = Making {
        declaration: &declaration,
        options,
        libraries,
        log: &log,
        room: &|what, bytes| store.room_for(what, bytes, options.margin_bytes),
    };
    let _no_stops = NoStops::new();
    let conn = dev.connect()?;
    let (statements, warnings) =
        change(&conn, &making).map_err(|e| e.state(State::SessionUnchanged))?;
    drop(conn);
    Ok(Synced {
        dev: show(store, &session)?,
        statements,
        warnings,
    })
}

fn change(conn: &Connection, making: &Making<'_>) -> Result<(Vec<Statement>, Vec<String>)> {
    let doing = || format!("changing the schema of {}", calls::name(conn));
    // EXTRA, or a power cut brings back a rollback journal that COMMIT has removed.
    conn.execute_batch("PRAGMA synchronous = EXTRA")
        .context(doing)?;
    let cookie: i64 = calls::pragma(conn, "schema_version")?;
    let declared = columns::rows(conn)?;
    let (tx, mut made) = making.on(conn, begin, &mut |_| Ok(()))?;
    let mut warnings = std::mem::take(&mut made.warnings);
    warnings.extend(losses(&made.survey.statements));
    if is_as_it_was(&made) && columns::rows(&tx)? == declared {
        tx.rollback().context(doing)?;
        return Ok((Vec::new(), warnings));
    }
    let progress = making.log.progress();
    progress.may_go_live(&client::objects(&tx)?)?;
    progress.check()?;
    // Whoever has read what the columns are reads it again where the schema has another cookie; no
    // statement of SQLite's need have changed it.
    if calls::pragma::<i64>(&tx, "schema_version")? == cookie {
        let next = (cookie + 1) & i64::from(i32::MAX);
        tx.execute_batch(&format!("PRAGMA schema_version = {next}"))
            .context(doing)?;
    }
    let statements = made.statements();
    calls::commit(&tx, State::SessionUnchanged)?;
    Ok((statements, warnings))
}

fn begin(conn: &Connection) -> Result<Transaction<'_>> {
    tx::begin_to_write(conn).context(|| format!("beginning to write to {}", calls::name(conn)))
}

fn is_as_it_was(made: &Made) -> bool {
    made.survey.statements.is_empty() && made.migrated.is_empty()
}

/// A dev session whose schema is what is declared.
#[derive(Debug, Clone, Serialize)]
pub struct Synced {
    /// The session.
    #[serde(flatten)]
    pub dev: Dev,
    /// What was done to its schema; nothing where it was so before.
    pub statements: Vec<Statement>,
    /// What the caller should know.
    pub warnings: Vec<String>,
}
