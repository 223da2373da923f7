//! The web interface of one release.

use super::{file::File, lasting::Lasting};
use crate::answer::Refusal;
use remy_db_app::files;
use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Weak},
    thread,
};

/// What is served for a path that is none of a file.
const PAGE: &str = "index.html";

/// The most of one file that is kept in memory, and the most of all.
const FILE: u64 = 1 << 20;
const ALL: u64 = 8 << 20;

/// Where a release has its web interface.
pub(super) const FOLDER: &str = "interfaces/web";

/// The web interface of one release.
#[derive(Debug)]
pub(crate) struct Site {
    files: BTreeMap<String, File>,
}

impl Site {
    /// Reads the files of the release that is kept in a folder; one without a web interface has none.
    pub fn read(kept: &Path) -> Result<Arc<Self>, Refusal> {
        let folder = kept.join(FOLDER);
        let listed = match folder.is_dir() {
            true => files::list(&folder, None).map_err(|e| Refusal::internal(e.to_string()))?,
            false => Vec::new(),
        };
        let lasting = Lasting::of(kept);
        let mut room = ALL;
        let mut all = BTreeMap::new();
        for listed in listed {
            let at = folder.join(&listed.path);
            // Links are no part of it: they may lead anywhere.
            let Ok(file) = File::read(&at, lasting.has(&listed.path), room.min(FILE)) else {
                continue;
            };
            room -= file.room().min(room);
            all.insert(listed.path, file);
        }
        let site = Arc::new(Self { files: all });
        pack(&site);
        Ok(site)
    }

    /// The file of a path, or the page that is shown there. A page is shown for a path of the page's
    /// own, which no file has, where `for_people`.
    pub(super) fn find(&self, path: &str, for_people: bool) -> Option<&File> {
        let file = |path: &str| self.files.get(path);
        let page = |path: &str| file(path).filter(|file| file.page().is_some());
        match path {
            "" => file(PAGE),
            _ => file(path)
                .or_else(|| page(&format!("{path}/{PAGE}")))
                .or_else(|| page(&format!("{path}.html")))
                .or_else(|| file(PAGE).filter(|_| for_people)),
        }
    }
}

/// Packs all files, one after the other, as long as they are served.
fn pack(site: &Arc<Site>) {
    let names: Vec<String> = site.files.keys().cloned().collect();
    let site: Weak<Site> = Arc::downgrade(site);
    let work = move || {
        for name in names {
            let Some(site) = site.upgrade() else { return };
            if let Some(file) = site.files.get(&name) {
                file.pack();
            }
        }
    };
    // Without a thread for it files are sent as they are.
    let _ = thread::Builder::new()
        .name("remy-pack".to_owned())
        .spawn(work);
}
