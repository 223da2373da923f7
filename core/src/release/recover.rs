//! The start of every verb that changes something: the store and its lock, what a crash left, what
//! live is.
//!
//! Live's marker is right, and the catalog is mended by it. A switch whose end is not recorded is
//! decided by comparing live's marker with the two ids that its intent holds, and by nothing else.

use crate::{
    base::{
        error::{Context, Error, Result},
        history::{DevStatus, Status, Step},
        ids::ReleaseId,
        progress::Progress,
    },
    live::{
        database::Live,
        marker::{self, Marker},
    },
    os::{files, stops::NoStops},
    release::{
        known::{adopted, known, knows},
        settle, standing,
    },
    sqlite::{calls, file_header, tx},
    store::{
        Store, catalog::switches::Intent, log::Log, removals, schema_record, unknown::Unknown,
    },
    switch::contract::LET_GO,
};
use rusqlite::{Connection, Transaction};
use std::{path::Path, time::Duration};

/// Makes the catalog agree with live, once what it does not know is out of every verb's way: after
/// that, nobody can tell any more. Returns the live release, and what was set aside. `clear` is for
/// a catalog that has known live all along.
pub(super) fn take_up(
    store: &Store,
    marker: Option<&Marker>,
    conn: &Connection,
    clear: impl FnOnce(&Unknown<'_>) -> Result<()>,
) -> Result<(Option<ReleaseId>, Option<String>)> {
    let unknown = Unknown::new(store);
    if knows(&store.catalog, marker)? {
        clear(&unknown)?;
    } else {
        clear_nothing(store, &unknown)?;
    }
    let said = unknown.said();
    let release = mend(store, marker, conn)?;
    if let (Some(release), Some(said)) = (release, &said) {
        Log::new(Some(&store.catalog), release, Progress::none())
            .warn(Step::Recover, said.as_str());
    }
    Ok((release, said))
}

/// What became of a switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decided {
    Switched,
    NotSwitched,
}

/// What live says of a switch.
enum Found {
    New(Marker),
    Detached,
    Old,
    Neither,
}

/// Decides a switch whose end is not known, and settles or buries it.
pub(crate) fn decide(
    live: &Live,
    store: &Store,
    intent: &Intent,
    timeout: Duration,
) -> Result<Decided> {
    // Longer than the lock: locals are dropped in reverse.
    let no_stops = NoStops::new();
    let conn = live.connect()?;
    conn.execute_batch("PRAGMA synchronous = EXTRA; PRAGMA wal_autocheckpoint = 0")
        .context(|| format!("preparing to write {}", live.shown()))?;
    let found = find(&conn, live, intent, timeout);
    drop((conn, no_stops));
    let log = Log::new(Some(&store.catalog), intent.release, Progress::none());
    match found? {
        Found::New(marker) => {
            settle::settle(store, intent, &marker)?;
            log.note(
                Step::Recover,
                format!("Live carries switch {}: settled", intent.switch_id),
            );
            Ok(Decided::Switched)
        }
        Found::Detached => {
            store.catalog.detached(intent)?;
            if intent.release != ReleaseId::NONE {
                log.note(
                    Step::Recover,
                    format!(
                        "Live was detached: release {} is not live any more",
                        intent.release
                    ),
                );
            }
            Ok(Decided::Switched)
        }
        // Nothing was made for it, and nothing is live in another way.
        _ if intent.detaches => {
            store.catalog.not_switched(intent, Status::Failed)?;
            Ok(Decided::NotSwitched)
        }
        found => {
            let work = store.path(&intent.work());
            // Live was restored or replaced by hand meanwhile: the clone may be all that is left of
            // what it was. It is safe before the catalog forgets of it, as `work` is emptied then.
            let kept = matches!(found, Found::Neither)
                && keep_aside(&work, &store.path(&intent.snapshot()))?;
            store.catalog.not_switched(intent, Status::Failed)?;
            if kept {
                log.warn(
                    Step::Recover,
                    format!(
                        "Live carries neither switch; its clone of before was kept as {}",
                        intent.snapshot()
                    ),
                );
            }
            store.remove_database(&work)?;
            log.warn(
                Step::Recover,
                format!(
                    "Live does not carry switch {}: it did not happen",
                    intent.switch_id
                ),
            );
            Ok(Decided::NotSwitched)
        }
    }
}

/// Reads under live's write lock what a switch has come to.
fn find(conn: &Connection, live: &Live, intent: &Intent, timeout: Duration) -> Result<Found> {
    let tx = lock(conn, live, timeout)?;
    let marker = marker::read(&tx)?;
    // Rewrites one page, so that the answer is durable: a commit frame that was never synced can
    // still appear, or vanish at a power cut.
    calls::overwrite_undecided(&tx)?;
    if intent.detaches && marker.is_none() {
        return Ok(Found::Detached);
    }
    Ok(match marker {
        Some(marker) if marker.switch_id == intent.switch_id => Found::New(marker),
        marker if marker.as_ref().map(|marker| &marker.switch_id) == intent.old_switch.as_ref() => {
            Found::Old
        }
        _ => Found::Neither,
    })
}

/// Keeps a clone under another name, as a database of its own. Returns whether it is there, maybe
/// since an earlier call.
fn keep_aside(work: &Path, aside: &Path) -> Result<bool> {
    if work.exists() && !aside.exists() {
        let file = file_header::set_journal_bytes(work, 1)?;
        file.sync_all()
            .context(|| format!("syncing {}", work.display()))?;
        files::rename_new(work, aside)?;
        for path in [aside, work] {
            files::sync_name(path)?;
        }
    }
    Ok(aside.exists())
}

fn lock<'c>(conn: &'c Connection, live: &Live, timeout: Duration) -> Result<Transaction<'c>> {
    calls::wait_for_locks(conn, timeout)?;
    tx::begin_to_write(conn)
        .context(|| format!("taking the write lock of {}", live.shown()))
        .map_err(|e| {
            let hint = match e {
                Error::Busy(_) => LET_GO,
                _ => "Mend what keeps live from being written, and start again",
            };
            e.state("A switch that was cut off is not decided yet; live is as its readers see it")
                .hint(hint)
        })
}

/// Marks what a process that died left unfinished, and removes its files. The store's lock says
/// that nobody works on them.
pub(super) fn clear(store: &Store, unknown: &Unknown<'_>) -> Result<()> {
    for release in store.catalog.unfinished()? {
        store.catalog.set_status(release, Status::Failed)?;
        Log::new(Some(&store.catalog), release, Progress::none()).warn(
            Step::Recover,
            "The process that made this release ended before it was done; live is unchanged",
        );
    }
    // A prune that was cut off between the catalog and the file.
    for snapshot in store.catalog.pruned_snapshots()? {
        store.remove_database(&store.path(&snapshot.path))?;
    }
    removals::run(store)?;
    set_copies_aside(store, unknown)?;
    let ids = store.catalog.work()?;
    // `object-`: copies of files of a caller's, made to be linked into a release.
    let own = |name: &str| {
        name.starts_with("object-")
            || name
                .split_once('.')
                .is_some_and(|(id, _)| ids.iter().any(|own| *own == *id))
    };
    unknown.set_aside_in("work", own)?;
    store.empty("work")?;
    if ids.is_empty() {
        Ok(())
    } else {
        store.catalog.nothing_at_work()
    }
}

/// Removes nothing: the catalog does not know what live is, and what it takes for a failure's or a
/// clone's may be all that is left of what it does not know.
fn clear_nothing(store: &Store, unknown: &Unknown<'_>) -> Result<()> {
    for release in store.catalog.unfinished()? {
        store.catalog.set_status(release, Status::Failed)?;
    }
    for (release, _) in store.catalog.fruitless()? {
        unknown.set_aside_files(release)?;
    }
    set_copies_aside(store, unknown)?;
    unknown.set_aside_in("work", |_| false)?;
    store.catalog.all_removed()?;
    store.catalog.nothing_at_work()
}

/// Sets aside the databases of dev sessions and previews that the catalog does not say are there.
fn set_copies_aside(store: &Store, unknown: &Unknown<'_>) -> Result<()> {
    let dev = store
        .catalog
        .dev_sessions()?
        .into_iter()
        .filter(|session| session.status == DevStatus::Dev);
    let previews = store
        .catalog
        .previews()?
        .into_iter()
        .map(|(_, name, _)| name);
    for (folder, names) in [
        ("dev", Vec::from_iter(dev.map(|session| session.name))),
        ("previews", Vec::from_iter(previews)),
    ] {
        // With what SQLite and a store of its own keep beside it.
        let is_of = |file: &str, name: &String| {
            file.strip_prefix(name.as_str())
                .is_some_and(|rest| rest == ".db" || rest.starts_with(".db-"))
        };
        unknown.set_aside_in(folder, |file| names.iter().any(|name| is_of(file, name)))?;
    }
    Ok(())
}

/// Makes the catalog agree with live, and returns the live release. `None`: live has no history
/// here.
pub(crate) fn mend(
    store: &Store,
    marker: Option<&Marker>,
    conn: &Connection,
) -> Result<Option<ReleaseId>> {
    let Some(marker) = marker else {
        return adopted(&store.catalog);
    };
    let catalog = &store.catalog;
    let recorded = catalog.live()?;
    let release = match (known(catalog, marker)?, &recorded) {
        (Some(release), Some(entry)) if entry.release == release => {
            if entry.switch_id.is_none() {
                catalog.set_switch(release, &marker.switch_id)?;
            }
            return Ok(Some(release));
        }
        (Some(release), _) => {
            catalog.live_again(release)?;
            release
        }
        (None, _) => catalog.adopt(Some(marker), schema_record::record(conn).ok().as_deref())?,
    };
    if let Some(other) = recorded {
        let what = match release == marker.release {
            true => format!("Live carries the marker of release {release}"),
            false => format!(
                "Live carries release {}{} of another history, which this store does not know, adopted as release {release}",
                marker.release,
                called(marker.label.as_deref(), marker.commit.as_deref())
            ),
        };
        Log::new(Some(catalog), release, Progress::none()).warn(
            standing::STEP,
            format!(
                "{what}, and release {0}{1} was live here: live was restored or replaced by hand. What release {0} was at the end is \
                 not kept",
                other.release,
                called(other.label.as_deref(), other.commit.as_deref())
            ),
        );
    }
    Ok(Some(release))
}

/// What people know a release by, behind its number.
fn called(label: Option<&str>, commit: Option<&str>) -> String {
    let label = label.map(|label| format!("{label:?}"));
    let parts: Vec<_> = label
        .into_iter()
        .chain(commit.map(|commit| format!("commit {commit}")))
        .collect();
    if parts.is_empty() {
        String::new()
    } else {
        format!(" ({})", parts.join(", "))
    }
}
