//! The web interface of an app: where it is built, and what comes of it.

use crate::build::{
    Files,
    dependencies::Install,
    path,
    stubs::Unsupported,
    workspaces::{folder_of, within},
};
use serde::Serialize;
use std::{collections::BTreeMap, path::Path};

/// What a browser is given first.
pub(super) const PAGE: &str = "index.html";

/// A web project, in the staged copy.
#[derive(Debug, Clone, Copy)]
pub struct Web<'a> {
    /// Its folder.
    pub folder: &'a str,
    /// Files in it that are remy's, not the interface's (`web.json`).
    pub settings: &'a [String],
    /// The release's files.
    pub files: &'a Files,
    /// The staged copy of them.
    pub tree: &'a Path,
    /// Where outputs are kept.
    pub cache: &'a Path,
    /// What is installed, by folder.
    pub installs: &'a BTreeMap<String, Install>,
}

/// A web interface that is built.
#[derive(Debug, Serialize)]
pub struct Built {
    /// How many files it has.
    pub files: usize,
    /// How many bytes they have.
    pub bytes: u64,
    /// Whether it was built before, of the same.
    pub reused: bool,
    /// What is odd, and does no harm.
    pub warnings: Vec<String>,
    /// What it imports of the SDK and remy has nothing behind.
    pub unsupported: Vec<Unsupported>,
}

impl<'a> Web<'a> {
    /// The project's package.json.
    pub(super) fn manifest(&self) -> String {
        within(self.folder, "package.json")
    }

    /// What is installed for it.
    pub(super) fn install(&self) -> Option<&'a Install> {
        self.installs.get(folder_of(self.folder))
    }

    pub(super) fn is_inside(&self, path: &str) -> bool {
        path::is_in(path, self.folder)
    }

    /// Whether a folder is one of those around the project.
    pub(super) fn is_above(&self, at: &str) -> bool {
        at == "." || path::is_in(self.folder, at)
    }
}
