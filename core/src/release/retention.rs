//! Which snapshots are kept: by age, by count, by size. Never dropped: what a bare rollback would
//! go to. Previews go by age alone: they are databases to try something on.

use crate::{
    base::{
        age::Ages, clock, error::Result, history::Step, ids::ReleaseId, options::Options,
        progress::Progress, text,
    },
    release::{context::Run, session::Session},
    store::{
        Store, artifacts,
        catalog::{releases, snapshots::Snapshot},
        place, removals,
    },
};
use serde::Serialize;
use std::collections::BTreeSet;

/// A snapshot that was dropped.
#[derive(Debug, Clone, Serialize)]
pub struct PrunedSnapshot {
    /// Its release.
    pub release: ReleaseId,
    /// Its path in the store.
    pub database: String,
    /// What it took.
    pub bytes: u64,
}

/// What a prune did.
#[derive(Debug, Clone, Serialize)]
pub struct Pruned {
    /// The snapshots that went.
    pub pruned: Vec<PrunedSnapshot>,
    /// How many stay.
    pub kept: u64,
    /// What they take.
    pub kept_bytes: u64,
    /// What was freed.
    pub freed_bytes: u64,
    /// What the caller should know.
    pub warnings: Vec<String>,
}

/// Removes a snapshot. The catalog first: a file without a row is removed by recovery. Where the
/// disk has no room for that, the file first: a row without its file cannot be promoted, and is
/// pruned by the next prune.
fn remove(store: &Store, snapshot: &Snapshot) -> Result<()> {
    let path = store.path(&snapshot.path);
    match store.catalog.pruned(snapshot.release) {
        Err(e) if e.is_disk_full() => {
            store.remove_database(&path)?;
            store.catalog.pruned(snapshot.release)
        }
        recorded => recorded.and_then(|()| store.remove_database(&path)),
    }
}

/// Prunes after a switch. Live is what it should be, so a failure is only noted.
pub(crate) fn after_switch(run: &Run<'_>) {
    // A switch that could not be settled: the catalog does not know yet what is live, and would
    // have the code of it removed.
    if !run
        .session
        .store
        .catalog
        .open_intents()
        .is_ok_and(|open| open.is_empty())
    {
        return;
    }
    // The release that was live a moment ago, and what a rollback would go to now: after a
    // rollback, one further back.
    let pruned =
        releases::target(&run.session.store.catalog, run.marker.release).and_then(|target| {
            let keep: Vec<_> = target.into_iter().chain([run.session.release]).collect();
            prune(
                run.session,
                run.options.retention_days,
                run.options,
                &keep,
                Progress::none(),
            )
        });
    for warning in pruned.iter().flat_map(|pruned| &pruned.warnings) {
        run.log.warn(Step::Prune, warning.as_str());
    }
    match pruned {
        Ok(pruned) if pruned.pruned.is_empty() => {}
        Ok(pruned) => run.log.note(
            Step::Prune,
            format!(
                "Pruned {} old databases [{}]",
                pruned.pruned.len(),
                text::human(pruned.freed_bytes)
            ),
        ),
        Err(e) => run
            .log
            .warn(Step::Prune, format!("Old snapshots were not pruned: {e}")),
    }
}

pub(crate) fn prune(
    session: &Session,
    days: u32,
    options: &Options,
    keep: &[ReleaseId],
    progress: Progress<'_>,
) -> Result<Pruned> {
    let catalog = &session.store.catalog;
    let snapshots = catalog.kept_snapshots()?;
    let previews = catalog.previews()?;
    let ages = Ages::new(catalog.switch_times()?, clock::now());
    let stay_for_now = |at: i64| ages.seems_older(at, days) && !ages.older(at, days);
    let mut times = snapshots
        .iter()
        .map(|s| s.created_at)
        .chain(previews.iter().map(|(.., begun_at)| *begun_at));
    let warnings = match ages.jump {
        Some((before, after)) if times.any(stay_for_now) => {
            vec![Ages::said(&catalog.day(before)?, &catalog.day(after)?)]
        }
        _ => Vec::new(),
    };
    let (kept, old) = choose(snapshots, |at| ages.older(at, days), options, keep);
    let mut result = Pruned {
        pruned: Vec::new(),
        kept: kept.len() as u64,
        kept_bytes: kept.iter().map(|s| s.bytes).sum(),
        freed_bytes: 0,
        warnings,
    };
    for snapshot in old {
        progress.check().map_err(|e| match result.pruned.len() {
            0 => e,
            dropped => e.more(format!("{dropped} snapshots are dropped by then")),
        })?;
        if !options.dry_run {
            remove(&session.store, &snapshot)?;
        }
        result.freed_bytes += snapshot.bytes;
        result.pruned.push(PrunedSnapshot {
            release: snapshot.release,
            database: snapshot.path,
            bytes: snapshot.bytes,
        });
    }
    let snapshots = result.pruned.len();
    for (release, name, begun_at) in previews {
        if !ages.older(begun_at, days) {
            continue;
        }
        let database = place::preview(&name);
        let bytes = std::fs::metadata(session.store.path(&database)).map_or(0, |found| found.len());
        if !options.dry_run {
            catalog.end_preview(release)?;
        }
        result.freed_bytes += bytes;
        result.pruned.push(PrunedSnapshot {
            release,
            database,
            bytes,
        });
    }
    if !options.dry_run {
        remove_artifacts(session)?;
        if result.pruned.len() > snapshots {
            removals::run(&session.store)?;
            artifacts::forget_fruitless(&session.store)?;
        }
    }
    Ok(result)
}

/// Splits snapshots, the one of the last switch first, into those to keep and those to drop.
pub(crate) fn choose(
    snapshots: Vec<Snapshot>,
    older: impl Fn(i64) -> bool,
    options: &Options,
    keep: &[ReleaseId],
) -> (Vec<Snapshot>, Vec<Snapshot>) {
    let (mut count, mut bytes) = (0, 0);
    snapshots.into_iter().partition(|snapshot| {
        count += 1;
        bytes += snapshot.bytes;
        let wanted = !older(snapshot.created_at)
            && options.keep_releases.is_none_or(|most| count <= most)
            && options.keep_bytes.is_none_or(|most| bytes <= most);
        let stays = wanted || keep.contains(&snapshot.release);
        if !stays {
            count -= 1;
            bytes -= snapshot.bytes;
        }
        stays
    })
}

/// Removes the artifacts of pruned releases that no other release uses: also of those whose prune
/// was cut off before.
fn remove_artifacts(session: &Session) -> Result<()> {
    let catalog = &session.store.catalog;
    let mut used = BTreeSet::new();
    let live = catalog.live()?.map(|entry| entry.release);
    for release in catalog
        .kept_snapshots()?
        .into_iter()
        .map(|s| s.release)
        .chain(live)
        .chain([session.release])
    {
        used.extend(catalog.files_of(release)?);
    }
    for &of in catalog.pruned_files()?.difference(&used) {
        if session.store.has(&place::files(of))? {
            artifacts::remove(&session.store, of)
                .map_err(|e| e.state("The snapshots are pruned"))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(release: ReleaseId, created_at: i64) -> Snapshot {
        Snapshot {
            release,
            path: String::new(),
            switch_id: None,
            bytes: 10,
            hash: String::new(),
            created_at,
            pruned_at: None,
        }
    }

    fn kept(options: &Options, keep: &[i64]) -> Vec<i64> {
        let keep = Vec::from_iter(keep.iter().copied().map(ReleaseId));
        let all = (1..=5).rev().map(|n| snapshot(ReleaseId(n), n)).collect();
        choose(all, |at| at < 3, options, &keep)
            .0
            .into_iter()
            .map(|s| s.release.0)
            .collect()
    }

    #[test]
    fn by_age_count_and_size() {
        let options = Options::default();
        assert_eq!(kept(&options, &[]), [5, 4, 3]);
        assert_eq!(kept(&options, &[1]), [5, 4, 3, 1]);
        assert_eq!(
            kept(
                &Options {
                    keep_releases: Some(2),
                    ..Options::default()
                },
                &[]
            ),
            [5, 4]
        );
        assert_eq!(
            kept(
                &Options {
                    keep_bytes: Some(15),
                    ..Options::default()
                },
                &[3]
            ),
            [5, 3]
        );
    }
}
