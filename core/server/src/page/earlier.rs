//! Files of releases that were live before. A page that is open asks for those of its own release:
//! they have hashes in their names, and stay until their release is pruned.

use super::{lasting::Lasting, site::FOLDER};
use crate::answer::Refusal;
use remy_db::{Release, Remy};
use remy_db_app::files;
use remy_db_runtime::target::Target;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

/// Where files of earlier releases are, by their paths.
pub(super) struct Earlier(BTreeMap<String, PathBuf>);

impl Earlier {
    /// Of what was served at `target`, and of nothing that never was.
    pub fn of(target: &Target, live: &Path, store: &Path) -> Result<Self, Refusal> {
        let releases = Remy::open(live)?.releases()?;
        let was_served = |release: &&Release| match target {
            Target::Live => release.live_at.is_some(),
            Target::Preview(name) => release.preview.as_ref() == Some(name),
            _ => false,
        };
        let mut all = BTreeMap::new();
        let mut seen = BTreeSet::new();
        let mut found: Vec<&Release> = releases.iter().filter(was_served).collect();
        found.sort_by_key(|release| std::cmp::Reverse(release.release));
        for release in found {
            // What was pruned has none, nor has what is no app.
            let Ok(kept) = files::kept(store, &releases, release.release) else {
                continue;
            };
            let folder = kept.join(FOLDER);
            if !seen.insert(kept.clone()) || !folder.is_dir() {
                continue;
            }
            let lasting = Lasting::of(&kept);
            let listed = files::list(&folder, None).unwrap_or_default();
            for file in listed.into_iter().filter(|file| lasting.has(&file.path)) {
                let at = folder.join(&file.path);
                all.entry(file.path).or_insert(at);
            }
        }
        Ok(Self(all))
    }

    pub fn find(&self, path: &str) -> Option<&Path> {
        self.0.get(path).map(PathBuf::as_path)
    }
}
