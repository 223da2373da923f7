//! Prune: snapshots and artifacts that nobody goes back to are removed.

use crate::{
    base::{
        age::Ages,
        clock,
        error::{Error, Result, State},
        options::Options,
        progress::Progress,
    },
    live::{beside, database::Live},
    release::{
        retention::{self, Pruned, choose},
        session::Session,
    },
    store::{Store, catalog::releases},
};

/// A number of days, as a face is given it.
pub fn number_of_days(days: i64) -> Result<u32> {
    u32::try_from(days).map_err(|_| {
        Error::invalid_argument(format!("{days} is no number of days")).state(State::NothingDone)
    })
}

/// Drops old snapshots.
pub(crate) fn prune(
    live: &Live,
    days: Option<u32>,
    options: &Options,
    progress: Progress<'_>,
) -> Result<Pruned> {
    // Looking makes no store.
    if !beside::has_catalog(&live.path) {
        return Ok(Pruned {
            pruned: Vec::new(),
            kept: 0,
            kept_bytes: 0,
            freed_bytes: 0,
            warnings: Vec::new(),
        });
    }
    let days = days.unwrap_or(options.retention_days);
    let session = match Session::begin(live, options, progress) {
        Err(e)
            if e.is_disk_full()
                && !options.dry_run
                && make_room(live, days, options).is_ok_and(|made| made) =>
        {
            Session::begin(&live.again()?, options, progress)?
        }
        session => session?,
    };
    let keep = Vec::from_iter(releases::target(&session.store.catalog, session.release)?);
    retention::prune(&session, days, options, &keep, progress)
}

/// Removes the snapshots that are to be pruned before anything is written down: a full disk has no
/// room to open live or the catalog as they are opened otherwise. What follows records it, and a
/// release whose file is gone meanwhile cannot be promoted. Returns whether there was any.
fn make_room(live: &Live, days: u32, options: &Options) -> Result<bool> {
    let store = Store::open_alone(live)?;
    let _lock = store.lock(options.lock_timeout(), Progress::none())?;
    let Some(entry) = store.catalog.live()? else {
        return Ok(false);
    };
    // Until a switch is decided nobody knows what a rollback would go to.
    if !store.catalog.open_intents()?.is_empty() {
        return Ok(false);
    }
    let keep = Vec::from_iter(releases::target(&store.catalog, entry.release)?);
    let ages = Ages::new(store.catalog.switch_times()?, clock::now());
    let (_, old) = choose(
        store.catalog.kept_snapshots()?,
        |at| ages.older(at, days),
        options,
        &keep,
    );
    for snapshot in &old {
        store.remove_database(&store.path(&snapshot.path))?;
    }
    Ok(!old.is_empty())
}
