//! Snapshots: databases of releases that were live.

use crate::{
    base::{
        error::{Error, Result, State},
        remedy::VerbName,
    },
    os::hash::hash,
    remedy,
    store::{Store, catalog::snapshots::Snapshot},
};
use std::fs;

/// Refuses where a snapshot is not the file that the catalog knows.
pub(crate) fn check_snapshot(store: &Store, snapshot: &Snapshot) -> Result<()> {
    let path = store.path(&snapshot.path);
    let refuse = |what: String| {
        Err(Error::not_promotable(what)
            .object(format!("release {}", snapshot.release))
            .state(State::LiveUnchanged)
            .hint(remedy![
                "Promote another release; ",
                VerbName::Releases,
                " lists them"
            ]))
    };
    let Ok(metadata) = fs::symlink_metadata(&path) else {
        return refuse(format!(
            "the snapshot of release {}, {}, is gone",
            snapshot.release,
            path.display()
        ));
    };
    if !metadata.is_file() || metadata.len() != snapshot.bytes || hash(&path)? != snapshot.hash {
        return refuse(format!(
            "the snapshot of release {}, {}, was changed since it was taken",
            snapshot.release,
            path.display()
        ));
    }
    Ok(())
}
