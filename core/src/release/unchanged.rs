//! A publish that would change nothing: schema, effects and files are those of the live release.

use crate::{
    base::{clock, error::Result, ids::ReleaseId},
    effects::{diff::diff, tables},
    rehearse::{connection, migrations},
    release::{
        context::Call,
        declaration::Declaration,
        drift,
        outcome::{Outcome, Reached},
        planning::plan_on,
        session::Session,
    },
    sqlite::{
        client,
        since::{self, Clients},
        tx,
    },
    store::{content, log::Log},
};

/// What such a publish returns. Of no database without a live release, whose adoption changes it.
pub(crate) fn outcome(
    call: &Call<'_>,
    session: &Session,
    declaration: &Declaration,
) -> Result<Option<Outcome>> {
    let Some(release) = session.live_release() else {
        return Ok(None);
    };
    // What is wrong with what is declared the publish itself says, in the log of its release.
    let Ok(Some(same)) = compare(call, session, release, declaration) else {
        return Ok(None);
    };
    let entry = session.store.catalog.release(release)?;
    let log = Log::new(None, release, call.progress);
    log.before(&call.options.build);
    let (label, commit) = entry.map_or((None, None), |entry| (entry.label, entry.commit));
    Ok(Some(Outcome {
        release,
        status: Reached::Unchanged,
        restored_from: None,
        previous: Some(release),
        label,
        commit,
        dry_run: call.options.dry_run,
        switch: None,
        statements: Vec::new(),
        effects: Vec::new(),
        set_aside: Vec::new(),
        comes_back: Vec::new(),
        clients: same.clients,
        warnings: same.warnings,
        log: log.lines(),
        total_ms: clock::ms(call.started.elapsed()),
    }))
}

/// What there is to tell of a live that is as declared.
struct Same {
    clients: Option<Clients>,
    warnings: Vec<String>,
}

fn compare(
    call: &Call<'_>,
    session: &Session,
    release: ReleaseId,
    declaration: &Declaration,
) -> Result<Option<Same>> {
    let (live, options) = (call.live, call.options);
    let catalog = &session.store.catalog;
    let conn = live.connect()?;
    connection::prepare(&conn, live.libraries(options)?)?;
    let tx = tx::begin(&conn)?;
    // What somebody has changed outside remy is not of the live release, as declared as it may be.
    if drift::since(catalog, release, &tx, options)?.is_some()
        || migrations::are_pending(&tx, &declaration.migrations)?
    {
        return Ok(None);
    }
    let (plan, _, mut warnings) = plan_on(&tx, &declaration.declared, options, &[], None)?;
    let changes = match &declaration.effects {
        Some(effects) => diff(&tables::read(&tx)?, effects),
        None => Vec::new(),
    };
    if !plan.is_empty() || !changes.is_empty() {
        return Ok(None);
    }
    let clients = since::needed(&client::objects(&tx)?).and_then(|needed| needed.told());
    drop(tx);
    drop(conn);
    call.progress.check()?;
    let kept = catalog.files_of(release)?;
    if !content::is_kept(&session.store, kept, options.artifacts.as_deref())? {
        return Ok(None);
    }
    warnings.extend(session.warnings.iter().cloned());
    Ok(Some(Same { clients, warnings }))
}
