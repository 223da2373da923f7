//! After live's COMMIT: the outgoing release's snapshot into place, the catalog, the `current`
//! link.
//!
//! Every step can be done again, so a crash between any two is mended by doing all of them.

use crate::{
    base::{
        error::{Context, Result},
        history::Step,
        ids::ReleaseId,
        progress::Progress,
    },
    live::marker::Marker,
    os::{files, hash::hash},
    sqlite::{file_header::set_journal_bytes, wal},
    store::{
        Store,
        catalog::{snapshots::Snapshot, switches::Intent},
        log::Log,
        place,
    },
};
use std::{
    fs::{self, File},
    os::unix::fs::MetadataExt,
    path::Path,
};

/// Finishes a switch that live has committed, as `marker` says.
pub(crate) fn settle(store: &Store, intent: &Intent, marker: &Marker) -> Result<()> {
    let snapshot = match intent.previous {
        Some(previous) => Some(keep(store, intent, previous, marker.live_at)?),
        // Live was empty: there is nothing to go back to.
        None => {
            store.remove_database(&store.path(&intent.work()))?;
            None
        }
    };
    store
        .catalog
        .switched(intent, marker.live_at, snapshot.as_ref())?;
    point_current(store, intent.release);
    Ok(())
}

/// Puts the clone of the outgoing release where its snapshot belongs.
fn keep(store: &Store, intent: &Intent, previous: ReleaseId, live_at: i64) -> Result<Snapshot> {
    let (work, path) = (store.path(&intent.work()), store.path(&intent.snapshot()));
    if work.exists() {
        // A crash between the two steps of a rename by links leaves both names.
        if same_file(&work, &path) {
            files::remove_if_there(&work)?;
        } else {
            // A power cut may have kept the mode of below, and not the rename before it.
            store.allow_writing(&work)?;
            // Synced whether or not the bytes were there: a crash may have come between the two.
            set_journal_bytes(&work, 1)?
                .sync_data()
                .context(|| format!("syncing {}", work.display()))?;
            files::rename_new(&work, &path)?;
        }
    }
    // Under its last name: a crash may have come after any of these, and what is write-protected
    // cannot be opened to set those bytes again.
    store.write_protect(&path)?;
    File::open(&path)
        .and_then(|file| file.sync_all())
        .context(|| format!("syncing {}", path.display()))?;
    for folder in [path.parent(), work.parent()].into_iter().flatten() {
        files::sync_folder(folder)?;
    }
    files::remove_if_there(&wal::hidden_wal_path(&work))?;
    files::remove_if_there(&wal::path_of(&work))?;
    // Only where live was restored by hand from a snapshot has a release stopped being live before.
    if let Some(earlier) = store.catalog.snapshot(previous)?
        && earlier.path != intent.snapshot()
        && earlier.pruned_at.is_none()
    {
        Log::new(Some(&store.catalog), intent.release, Progress::none()).warn(
            Step::Settle,
            format!(
                "Release {} has a snapshot from an earlier time, too: {} stays where it is, and no verb knows it any more",
                earlier.release, earlier.path
            ),
        );
    }
    Ok(Snapshot {
        release: previous,
        path: intent.snapshot(),
        switch_id: intent.old_switch.clone(),
        bytes: fs::metadata(&path)
            .context(|| format!("looking at the snapshot {}", path.display()))?
            .len(),
        hash: hash(&path)?,
        created_at: live_at,
        pruned_at: None,
    })
}

fn same_file(a: &Path, b: &Path) -> bool {
    match (fs::metadata(a), fs::metadata(b)) {
        (Ok(a), Ok(b)) => (a.dev(), a.ino()) == (b.dev(), b.ino()),
        _ => false,
    }
}

/// `current` is a convenience for people: code goes by the marker. So nothing depends on it, and a
/// failure is no error.
fn point_current(store: &Store, release: ReleaseId) {
    let (link, new) = (store.path("current"), store.path("current.new"));
    let _ = fs::remove_file(&new);
    match store.catalog.files_of(release) {
        Ok(Some(of)) => {
            let _ = std::os::unix::fs::symlink(place::files(of), &new)
                .and_then(|()| fs::rename(&new, &link));
        }
        _ => {
            let _ = fs::remove_file(&link);
        }
    }
}
