//! What was compiled before, and all that it was made of.

use super::{
    beside::Import,
    what::{Compile, Installs},
};
use crate::build::{Entry, Files, Mode, Result, cache, disk, stubs::Unsupported};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs,
    ops::Bound,
    path::{Path, PathBuf},
};

/// A compiled method in the cache, beside its bundle and its source map.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Earlier {
    /// Of the method, remy and its flags.
    pub key: String,
    /// Hashes of what was read; none of what was looked for and not there.
    pub files: BTreeMap<String, Option<String>>,
    /// For each place that an import was looked for at, which files could answer it.
    pub names: BTreeMap<String, String>,
    /// The installs that its packages are of.
    pub installs: BTreeMap<String, String>,
    /// Imports of packages that are kept beside it.
    pub beside: Vec<Import>,
    pub warnings: Vec<String>,
    pub unsupported: Vec<Unsupported>,
    pub variables: Vec<String>,
    /// How long its bundle is.
    pub bytes: u64,
}

/// The files of a method in a folder.
fn file(folder: &Path, id: &str, ending: &str) -> PathBuf {
    folder.join("methods").join(format!("{id}.{ending}"))
}

impl Earlier {
    /// What the cache says of a method.
    pub fn read(cache: &Path, id: &str) -> Option<Self> {
        cache::read::<Self>(&file(cache, id, "json"))
            .filter(|earlier| earlier.beside.iter().all(Import::is_sound))
    }

    /// Of all that it says: of another one the bundle may be another.
    pub fn hash(&self) -> String {
        // What was read from JSON can be written to it.
        disk::hash(serde_json::to_vec(self).unwrap_or_default())
    }

    /// Whether compiling again would make the same.
    pub fn holds(&self, key: &str, files: &Files, installs: &Installs) -> bool {
        let hash_of = |path| files.get(path).map(|entry| &entry.hash);
        let id_of = |folder| installs.get(folder).map(|install| &install.id);
        self.key == key
            && self
                .files
                .iter()
                .all(|(path, hash)| hash_of(path) == hash.as_ref())
            && self
                .installs
                .iter()
                .all(|(folder, id)| id_of(folder) == Some(id))
            && self
                .names
                .iter()
                .all(|(stem, names)| names_at(stem, files) == *names)
    }

    /// Takes the bundle into a release. It does not where the cache has it no more as it was written.
    pub fn take(&self, what: &Compile<'_>, id: &str) -> Result<bool> {
        for ending in ["mjs", "mjs.map"] {
            let from = file(what.cache, id, ending);
            let there = fs::metadata(&from);
            if there.is_err() || (ending == "mjs" && there.is_ok_and(|it| it.len() != self.bytes)) {
                return Ok(false);
            }
            disk::copy(&from, &file(what.out, id, ending))?;
        }
        Ok(true)
    }

    /// Writes a bundle to the cache.
    pub fn write(&self, cache: &Path, id: &str, code: &[u8], map: &[u8]) -> Result<()> {
        // What describes them stays behind no longer than they do, and comes last: then they are whole.
        let described = file(cache, id, "json");
        disk::remove(&described)?;
        disk::write_whole(&file(cache, id, "mjs.map"), map)?;
        disk::write_whole(&file(cache, id, "mjs"), code)?;
        cache::write(&described, self)
    }
}

/// The files that an import of `stem` could be taken to mean: itself, with any ending, or in a
/// folder of that name; all that there are, where it is empty. More than esbuild tries, so that none
/// that it tries is missed.
pub(super) fn names_at(stem: &str, files: &Files) -> String {
    let mut names = String::new();
    let is_meant = |path: &str| {
        let rest = path.strip_prefix(stem).unwrap_or_default();
        stem.is_empty() || rest.is_empty() || rest.starts_with(['.', '/'])
    };
    let from = files.range::<str, _>((Bound::Included(stem), Bound::Unbounded));
    for (path, Entry { hash, mode }) in from.take_while(|(path, _)| path.starts_with(stem)) {
        if is_meant(path) {
            names.push_str(path);
            if *mode == Mode::Link {
                names.push(' ');
                names.push_str(hash);
            }
            names.push('\n');
        }
    }
    disk::hash(names)
}
