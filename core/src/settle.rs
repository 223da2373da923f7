//! After live's COMMIT: the outgoing release's snapshot into place, the catalog, the `current` link.
//!
//! Every step can be done again, so a crash between any two is mended by doing all of them.
use crate::{
    catalog::{Intent, Snapshot},
    clock,
    clone::set_journal_bytes,
    error::{Context, Error, Result},
    marker::Marker,
    pair,
    store::{self, Store},
    wal,
};
use std::{
    fs::{self, File},
    io::Read,
    os::unix::fs::MetadataExt,
    path::Path,
};

/// Finishes a switch that live has committed, as `marker` says.
pub(crate) fn settle(store: &Store, intent: &Intent, marker: &Marker) -> Result<()> {
    let (work, path) = (store.path(&intent.work), store.path(&intent.snapshot));
    if work.exists() {
        // A crash between the two steps of a rename by links leaves both names.
        if same_file(&work, &path) {
            store::remove(&work)?;
        } else {
            // Synced whether or not the bytes were there: a crash may have come between the two.
            set_journal_bytes(&work, 1)?.sync_data().context(|| format!("syncing {}", work.display()))?;
            store.write_protect(&work)?;
            store::rename_new(&work, &path)?;
        }
        for folder in [path.parent(), work.parent()].into_iter().flatten() {
            store::sync_folder(folder)?;
        }
    }
    store::remove(&pair::hidden(&work))?;
    store::remove(&wal::path_of(&work))?;
    let snapshot = Snapshot {
        release: intent.previous,
        path: intent.snapshot.clone(),
        switch_id: intent.old_switch.clone(),
        bytes: fs::metadata(&path).context(|| format!("looking at the snapshot {}", path.display()))?.len(),
        hash: hash(&path)?,
        created_at: clock::now(),
        pruned_at: None,
    };
    store.catalog.switched(intent, marker.live_at, &snapshot)?;
    point_current(store, marker);
    Ok(())
}

fn same_file(a: &Path, b: &Path) -> bool {
    match (fs::metadata(a), fs::metadata(b)) {
        (Ok(a), Ok(b)) => (a.dev(), a.ino()) == (b.dev(), b.ino()),
        _ => false,
    }
}

/// `current` is a convenience for people: code goes by the marker. So nothing depends on it, and a failure is no error.
fn point_current(store: &Store, marker: &Marker) {
    let (link, new) = (store.path("current"), store.path("current.new"));
    let _ = fs::remove_file(&new);
    match &marker.artifacts {
        Some(artifacts) => {
            let _ = std::os::unix::fs::symlink(artifacts, &new).and_then(|()| fs::rename(&new, &link));
        }
        None => {
            let _ = fs::remove_file(&link);
        }
    }
}

/// The hash of a file, in hex.
pub(crate) fn hash(path: &Path) -> Result<String> {
    let doing = || format!("reading {}", path.display());
    let mut file = File::open(path).context(doing)?;
    let (mut hasher, mut buffer) = (blake3::Hasher::new(), vec![0; 256 << 10]);
    loop {
        match file.read(&mut buffer).context(doing)? {
            0 => return Ok(hasher.finalize().to_hex().to_string()),
            n => hasher.update(&buffer[..n]),
        };
    }
}

/// Refuses where a snapshot is not the file that the catalog knows.
pub(crate) fn check_snapshot(store: &Store, snapshot: &Snapshot) -> Result<()> {
    let path = store.path(&snapshot.path);
    let refuse = |what: String| {
        Err(Error::not_promotable(what)
            .object(format!("release {}", snapshot.release))
            .state("Live is unchanged")
            .hint("Promote another release; SELECT * FROM remy_releases lists them"))
    };
    let Ok(metadata) = fs::metadata(&path) else {
        return refuse(format!("the snapshot of release {}, {}, is gone", snapshot.release, path.display()));
    };
    if metadata.len() != snapshot.bytes || hash(&path)? != snapshot.hash {
        return refuse(format!(
            "the snapshot of release {}, {}, was changed since it was taken",
            snapshot.release,
            path.display()
        ));
    }
    Ok(())
}
