//! What was seen of builds of a project: which files of the app they opened, outside of the project
//! itself, of which every file counts.

use super::{interface::Web, watch::Opened};
use crate::build::{Result, cache};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, path::PathBuf};

/// Files and folders, by their paths in the app.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Seen {
    /// That were opened.
    pub files: BTreeSet<String>,
    /// Whose names were read.
    pub folders: BTreeSet<String>,
}

/// What was seen of all builds since the packages were installed. What a build opened, a tool may have
/// kept among the packages (webpack's cache of files whose times are the same), and not open again: a
/// file that was opened once counts until the packages are installed anew.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct History {
    /// The install.
    install: String,
    /// Whether a build is at work, or this process died with it: nobody knows what it opened.
    at_work: bool,
    /// Whether each of them was watched to its end.
    is_whole: bool,
    seen: Seen,
}

impl History {
    /// Begins a build.
    pub fn begin(web: Web<'_>) -> Result<Self> {
        let install = web.install().map_or("", |install| &install.id).to_owned();
        let earlier: Option<Self> = cache::read(&Self::path(web));
        let mut history = match earlier {
            Some(history) if history.install == install => history,
            _ => Self {
                install,
                is_whole: true,
                ..Self::default()
            },
        };
        history.is_whole &= !history.at_work;
        history.at_work = true;
        cache::write(&Self::path(web), &history)?;
        Ok(history)
    }

    /// Ends it: with what was opened, or with nothing, where that was not seen. Returns what counts.
    pub fn end(mut self, web: Web<'_>, opened: Option<Opened>) -> Result<Option<Seen>> {
        self.at_work = false;
        self.is_whole &= opened.is_some();
        let Opened { files, folders } = opened.unwrap_or_default();
        let outside = |path: &String| !web.is_inside(path) && *path != web.folder;
        let ours = files
            .into_iter()
            .filter(|path| outside(path) && web.files.contains_key(path));
        self.seen.files.extend(ours);
        self.seen
            .folders
            .extend(folders.into_iter().filter(outside));
        cache::write(&Self::path(web), &self)?;
        Ok(self.is_whole.then_some(self.seen))
    }

    fn path(web: Web<'_>) -> PathBuf {
        web.cache.join("web-seen.json")
    }
}
