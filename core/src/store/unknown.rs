//! What a store holds and its catalog does not know: that of an older catalog, or of one that was
//! lost. It may be all that is left of something, so it is set aside, under `aside/`, and never
//! deleted.

use crate::{
    base::{
        error::{Error, Result},
        ids::ReleaseId,
    },
    os::files,
    store::{Store, place},
};
use std::{cell::RefCell, collections::BTreeSet, ffi::OsString};

/// The folder of what was set aside.
pub(crate) const ASIDE: &str = "aside";

/// What one verb sets aside: all of it in one folder, `aside/<n>/`, each thing under the place that
/// it had.
pub(crate) struct Unknown<'a> {
    store: &'a Store,
    places: RefCell<Vec<String>>,
    folder: RefCell<Option<String>>,
}

impl<'a> Unknown<'a> {
    pub(crate) fn new(store: &'a Store) -> Self {
        Self {
            store,
            places: RefCell::default(),
            folder: RefCell::default(),
        }
    }

    /// Sets aside what is in a folder of the store, but for names that `known` says are its own.
    pub(crate) fn set_aside_in(&self, folder: &str, known: impl Fn(&str) -> bool) -> Result<()> {
        for name in self.store.folder(folder)?.names()? {
            if !name.to_str().is_some_and(&known) {
                self.set_aside(folder, &name)?;
            }
        }
        Ok(())
    }

    /// Sets aside what stands in the place of a release's files.
    pub(crate) fn set_aside_files(&self, release: ReleaseId) -> Result<()> {
        let there = self.store.has(&place::files(release))?;
        if there {
            self.set_aside(place::FILES, &OsString::from(release.to_string()))
        } else {
            Ok(())
        }
    }

    /// Sets aside one thing of a folder of the store.
    fn set_aside(&self, folder: &str, name: &OsString) -> Result<()> {
        let aside = self.folder()?;
        let to = self.store.path(&format!("{aside}/{folder}"));
        if !to.exists() {
            self.store.create_folder(&to)?;
        }
        let (from, to) = (self.store.path(folder).join(name), to.join(name));
        files::rename_new(&from, &to)?;
        files::sync_name(&to)?;
        files::sync_name(&from)?;
        self.places
            .borrow_mut()
            .push(format!("{folder}/{}", name.to_string_lossy()));
        Ok(())
    }

    /// This verb's folder, made when it is needed.
    fn folder(&self) -> Result<String> {
        if let Some(folder) = &*self.folder.borrow() {
            return Ok(folder.clone());
        }
        let free = |n: &i64| {
            self.store
                .path(&format!("{ASIDE}/{n}"))
                .symlink_metadata()
                .is_err()
        };
        let folder = format!("{ASIDE}/{}", (1..).find(free).unwrap_or(0));
        self.store.create_folder(&self.store.path(&folder))?;
        files::sync_name(&self.store.path(&folder))?;
        *self.folder.borrow_mut() = Some(folder.clone());
        Ok(folder)
    }

    /// What was set aside and where it is, in a sentence.
    pub(crate) fn said(&self) -> Option<String> {
        let mut places = self.places.take();
        places.sort();
        let folder = self.folder.borrow();
        let folder = folder.as_ref().filter(|_| !places.is_empty())?;
        Some(format!(
            "The catalog does not know {}: set aside as {}/{folder}, where no verb touches it. Look at it, and remove it",
            places.join(", "),
            self.store.root().display()
        ))
    }
}

/// What to say of a store that has things which no verb knows.
pub(crate) fn warnings(store: &Store) -> Result<Vec<String>> {
    let names = |folder: &str| {
        let names = store.folder(folder)?.names()?;
        let mut names: Vec<_> = names
            .iter()
            .map(|name| format!("{folder}/{}", name.to_string_lossy()))
            .collect();
        names.sort();
        Ok::<_, Error>(names)
    };
    let known: BTreeSet<_> = store
        .catalog
        .kept_snapshots()?
        .into_iter()
        .map(|snapshot| snapshot.path)
        .collect();
    let unknown = names("snapshots")?
        .into_iter()
        .filter(|name| !known.contains(name));
    let unknown = unknown
        .map(|name| format!("{name} is of no release that the catalog knows: no verb touches it"));
    let aside = names(ASIDE)?.into_iter().map(|name| {
        format!("{name} was set aside, as the catalog did not know it: look at it, and remove it")
    });
    Ok(unknown.chain(aside).collect())
}
