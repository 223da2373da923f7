//! The web interfaces that are served: each is read once.

use super::{earlier::Earlier, file::File, site::Site};
use crate::answer::Refusal;
use remy_db::ReleaseId;
use remy_db_runtime::target::Target;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// How many are kept: the live one, the one before, and previews.
const KEPT: usize = 8;

/// The web interfaces that are served.
pub(crate) struct Sites {
    live: PathBuf,
    store: PathBuf,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// By the folders of their releases, the one that was asked for last at the end.
    sites: Vec<(PathBuf, Arc<Site>)>,
    earlier: BTreeMap<Target, (Option<ReleaseId>, Arc<Earlier>)>,
}

impl Sites {
    pub fn new(live: &Path, store: &Path) -> Self {
        Self {
            live: live.to_owned(),
            store: store.to_owned(),
            known: Mutex::default(),
        }
    }

    /// The web interface of the release that is kept in a folder.
    pub fn of(&self, kept: &Path) -> Result<Arc<Site>, Refusal> {
        if let Some(site) = self.known().site(kept) {
            return Ok(site);
        }
        // Two who ask at once both read it.
        let site = Site::read(kept)?;
        let mut known = self.known();
        if let Some(site) = known.site(kept) {
            return Ok(site);
        }
        known.sites.push((kept.to_owned(), Arc::clone(&site)));
        if known.sites.len() > KEPT {
            known.sites.remove(0);
        }
        Ok(site)
    }

    /// A file that an earlier release of `target` had, and that lasts: a page of it may be open.
    pub(super) fn earlier(
        &self,
        target: &Target,
        release: Option<ReleaseId>,
        path: &str,
    ) -> Result<Option<File>, Refusal> {
        // A page of a dev session is loaded again.
        if matches!(target, Target::Dev { .. }) {
            return Ok(None);
        }
        let known = self.known().earlier.get(target).cloned();
        let earlier = match known {
            Some((of, earlier)) if of == release => earlier,
            _ => {
                let earlier = Arc::new(Earlier::of(target, &self.live, &self.store)?);
                let found = (release, Arc::clone(&earlier));
                self.known().earlier.insert(target.clone(), found);
                earlier
            }
        };
        // It may have been pruned since.
        Ok(earlier.find(path).and_then(|at| File::lasting(at).ok()))
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn site(&mut self, kept: &Path) -> Option<Arc<Site>> {
        let at = self.sites.iter().position(|(of, _)| of == kept)?;
        let found = self.sites.remove(at);
        let site = Arc::clone(&found.1);
        self.sites.push(found);
        Some(site)
    }
}
