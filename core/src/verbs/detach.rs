//! Detach: takes remy's tables out of live.

use crate::{
    base::{
        error::{Context, Error, Result},
        options::Options,
        progress::Progress,
        text::human,
    },
    live::database::Live,
    os::stops::NoStops,
    release::session,
    sqlite::{calls, quote},
    store::catalog::switches::Intent,
    switch::contract::LET_GO,
};
use serde::Serialize;

pub(crate) fn detach(live: &Live) -> Result<Detached> {
    let options = Options::default();
    let begun = session::begin(live, &options, Progress::none())?;
    let intent = Intent {
        switch_id: begun.store.catalog.unique()?,
        old_switch: begun.marker.as_ref().map(|marker| marker.switch_id.clone()),
        release: begun.release,
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
    begun.store.catalog.intend(&intent)?;
    let locked = conn.execute_batch("BEGIN IMMEDIATE").context(doing);
    if let Err(e) = locked {
        begun.store.catalog.forget(&intent)?;
        return Err(e.state("Live is unchanged").hint(LET_GO));
    }
    let mut session = false;
    let dropped = (|| {
        let mut query =
            conn.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name GLOB '_remy_*' ORDER BY name")?;
        let mut names: Vec<String> = query
            .query_map([], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        // Triggers of an app's tables read it: without it no row could be updated.
        let sql = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'trigger' AND instr(sql, '_remy_session'))";
        session = conn.query_row(sql, [], |row| row.get(0))?;
        names.retain(|name| !session || name != "_remy_session");
        for name in &names {
            conn.execute_batch(&format!("DROP TABLE main.{}", quote::ident(name)))?;
        }
        Ok::<_, rusqlite::Error>(names)
    })();
    if dropped.is_err() {
        let _ = conn.execute_batch("ROLLBACK");
        begun.store.catalog.forget(&intent)?;
    }
    let dropped = dropped.context(doing)?;
    // Where it is not known whether this was done, the intent stays: the next verb decides it.
    calls::commit(&conn, "Live is unchanged")?;
    let dropped_already =
        |e: Error| e.state("remy's tables are dropped from live; the next verb mends the catalog");
    begun
        .store
        .catalog
        .detached(&intent)
        .map_err(dropped_already)?;
    let snapshots = begun.store.catalog.kept_snapshots()?;
    let bytes = snapshots.iter().map(|s| s.bytes).sum();
    let mut left = vec![];
    if session {
        left.push(
            "_remy_session (triggers of the app's tables read who writes from it)".to_owned(),
        );
    }
    left.push(format!(
        "{} ({} snapshot{}, {}; delete it to forget every release)",
        begun.store.root().display(),
        snapshots.len(),
        if snapshots.len() == 1 { "" } else { "s" },
        human(bytes)
    ));
    Ok(Detached { dropped, left })
}

/// What a detach dropped and left.
#[derive(Debug, Clone, Serialize)]
pub struct Detached {
    /// Tables that are gone from live.
    pub dropped: Vec<String>,
    /// What is still there.
    pub left: Vec<String>,
}
