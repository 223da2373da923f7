//! Detach: takes remy's tables out of live.

use crate::{
    base::{
        error::{Context, Error, Result, State},
        options::Options,
        progress::Progress,
        text::human,
    },
    live::database::Live,
    os::stops::NoStops,
    release::session::Session,
    sqlite::{calls, quote, tx},
    store::catalog::switches::Intent,
    switch::contract::LET_GO,
};
use rusqlite::Connection;
use serde::Serialize;

pub(crate) fn detach(live: &Live) -> Result<Detached> {
    let options = Options::default();
    let session = Session::begin(live, &options, Progress::none())?;
    let intent = Intent {
        switch_id: session.store.catalog.unique()?,
        old_switch: session
            .marker
            .as_ref()
            .map(|marker| marker.switch_id.clone()),
        release: session.release,
        previous: None,
        detaches: true,
    };
    // Longer than the lock: locals are dropped in reverse.
    let _no_stops = NoStops::new();
    let conn = live.connect()?;
    // EXTRA, or a power cut brings back a rollback journal that COMMIT has removed, and remy's
    // tables with it.
    conn.execute_batch("PRAGMA synchronous = EXTRA")?;
    calls::wait_for_locks(&conn, options.lock_timeout())?;
    let doing = || format!("dropping remy's tables from {}", live.shown());
    session.store.catalog.intend(&intent)?;
    let tx = match tx::begin_to_write(&conn).context(doing) {
        Ok(tx) => tx,
        Err(e) => {
            session.store.catalog.forget(&intent)?;
            return Err(e.state(State::LiveUnchanged).hint(LET_GO));
        }
    };
    let (dropped, keeps_session) = match drop_tables(&tx) {
        Ok(done) => done,
        Err(e) => {
            drop(tx);
            session.store.catalog.forget(&intent)?;
            return Err(e).context(doing);
        }
    };
    // Where it is not known whether this was done, the intent stays: the next verb decides it.
    calls::commit(&tx, State::LiveUnchanged)?;
    drop(tx);
    let dropped_already =
        |e: Error| e.state("remy's tables are dropped from live; the next verb mends the catalog");
    session
        .store
        .catalog
        .detached(&intent)
        .map_err(dropped_already)?;
    let snapshots = session.store.catalog.kept_snapshots()?;
    let bytes = snapshots.iter().map(|s| s.bytes).sum();
    let mut left = vec![];
    if keeps_session {
        left.push(
            "_remy_session (triggers of the app's tables read who writes from it)".to_owned(),
        );
    }
    left.push(format!(
        "{} ({} snapshot{}, {}; delete it to forget every release)",
        session.store.root().display(),
        snapshots.len(),
        if snapshots.len() == 1 { "" } else { "s" },
        human(bytes)
    ));
    Ok(Detached { dropped, left })
}

/// Drops remy's tables. Returns their names, and whether the one that an app's triggers read stays.
fn drop_tables(conn: &Connection) -> rusqlite::Result<(Vec<String>, bool)> {
    let mut query = conn.prepare(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name GLOB '_remy_*' ORDER BY name",
    )?;
    let mut names: Vec<String> = query
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    // Triggers of an app's tables read it: without it no row could be updated.
    let sql = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'trigger' AND instr(sql, '_remy_session'))";
    let keeps_session: bool = conn.query_row(sql, [], |row| row.get(0))?;
    names.retain(|name| !keeps_session || name != "_remy_session");
    for name in &names {
        conn.execute_batch(&format!("DROP TABLE main.{}", quote::ident(name)))?;
    }
    Ok((names, keeps_session))
}

/// What a detach dropped and left.
#[derive(Debug, Clone, Serialize)]
pub struct Detached {
    /// Tables that are gone from live.
    pub dropped: Vec<String>,
    /// What is still there.
    pub left: Vec<String>,
}
