//! Artifacts: the files that are kept with a release, as a folder of hard links to objects.

use crate::{
    base::{
        error::{Context, Error, Result, State},
        ids::ReleaseId,
        owner,
        remedy::OptionName,
    },
    os::{self, copy, files, folder, hash::FileContent},
    remedy,
    store::{Store, place},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::{fd::AsRawFd, unix::fs::MetadataExt},
    path::{Path, PathBuf},
};

/// Refuses a path where there is nothing to be kept.
pub(crate) fn are_there(from: &Path) -> Result<()> {
    if let Err(e) = fs::metadata(from) {
        let refusal = match e.kind() {
            std::io::ErrorKind::NotFound => {
                Error::not_found(format!("there are no artifacts at {}", from.display())).hint(
                    remedy![
                        "Check ",
                        OptionName::Artifacts,
                        "; it is relative to the process"
                    ],
                )
            }
            _ => Error::io(format!(
                "the artifacts at {} may not be looked at: {e}",
                from.display()
            ))
            .hint(format!(
                "{} has to be able to read them: it is live's owner, as whom remy acts here",
                owner::name(owner::user())
            )),
        };
        return Err(refusal
            .object(from.display().to_string())
            .state(State::LiveUnchanged));
    }
    Ok(())
}

/// The whole path of artifacts, which hold neither live nor its store: reading live would close a
/// descriptor of it, and with that drop every lock that this process holds on it; copying the store
/// would not end.
pub(super) fn apart(store: &Store, from: &Path) -> Result<PathBuf> {
    are_there(from)?;
    let whole = from
        .canonicalize()
        .context(|| format!("looking at {}", from.display()))?;
    if store.live_path().starts_with(&whole) || store.path(place::FILES).starts_with(&whole) {
        return Err(Error::invalid_argument(format!(
            "{} holds the live database or its store",
            from.display()
        ))
        .object(from.display().to_string())
        .state(State::LiveUnchanged)
        .hint("Give a folder without them as artifacts"));
    }
    Ok(whole)
}

/// Keeps a file or folder in the store, for a release. Returns its hash.
pub(crate) fn keep(store: &Store, release: ReleaseId, from: &Path) -> Result<String> {
    apart(store, from)?;
    let to = store.path(&place::files(release));
    // Written down before it is there: what a kill leaves of it is found by that.
    store.catalog.set_files(release, Some(release), None)?;
    let mut keeping = Keeping::new(store, &to);
    store.create_folder(&to)?;
    let kept = if from.is_dir() {
        keeping.folder(from, &to, Path::new(""))
    } else {
        let name = from
            .file_name()
            .ok_or_else(|| Error::invalid_argument(format!("{} has no name", from.display())))?;
        keeping.file(from, &to.join(name), name.into())
    }
    .and_then(|()| keeping.finish());
    if let Err(e) = kept {
        // The disk may be full of them.
        keeping
            .waiting
            .values()
            .for_each(|(new, _)| drop(files::remove_if_there(new)));
        return Err(e);
    }
    Ok(whole_hash(keeping.entries))
}

/// The folder of all files that releases are made of, by their content.
const OBJECTS: &str = "objects";

/// How many objects are written before they are synced.
const AT_ONCE: usize = 64;

/// A release that is being kept. A file that an earlier one has, too, costs a name, and no second
/// copy.
struct Keeping<'a> {
    store: &'a Store,
    /// Objects that are written, each under another name for now.
    waiting: BTreeMap<PathBuf, (PathBuf, fs::File)>,
    /// Folders of objects that were added to.
    objects: BTreeSet<PathBuf>,
    folders: Vec<PathBuf>,
    /// Files of the release, with the object that each is a name of.
    files: Vec<(PathBuf, PathBuf)>,
    /// Names in the release, with the hash of what they name.
    entries: Vec<(PathBuf, String)>,
}

impl<'a> Keeping<'a> {
    fn new(store: &'a Store, to: &Path) -> Self {
        Self {
            store,
            waiting: BTreeMap::new(),
            objects: BTreeSet::new(),
            folders: vec![to.to_owned()],
            files: Vec::new(),
            entries: Vec::new(),
        }
    }

    fn folder(&mut self, from: &Path, to: &Path, below: &Path) -> Result<()> {
        for entry in fs::read_dir(from).context(|| format!("reading {}", from.display()))? {
            let entry = entry.context(|| format!("reading {}", from.display()))?;
            let (path, target, name) = (
                entry.path(),
                to.join(entry.file_name()),
                below.join(entry.file_name()),
            );
            let kind = entry
                .file_type()
                .context(|| format!("looking at {}", path.display()))?;
            if kind.is_dir() {
                self.store.create_folder(&target)?;
                self.folders.push(target.clone());
                self.folder(&path, &target, &name)?;
            } else if kind.is_symlink() {
                let aim = fs::read_link(&path).context(|| format!("reading {}", path.display()))?;
                std::os::unix::fs::symlink(&aim, &target)
                    .context(|| format!("making {}", target.display()))?;
                self.entries.push((name, pointing_at(&aim)));
            } else if kind.is_file() {
                self.file(&path, &target, name)?;
            }
        }
        Ok(())
    }

    fn file(&mut self, from: &Path, to: &Path, name: PathBuf) -> Result<()> {
        let doing = || format!("keeping {}", from.display());
        let runs = fs::metadata(from).context(doing)?.mode() & 0o100 != 0;
        let mut content = copy::read_foreign(from, |mut source| {
            os::hash::copy_and_hash(&mut source, &mut std::io::sink())
        })?;
        if !self.has(&self.object(&content, runs), &content) {
            content = self.add_object(from, runs)?;
        }
        self.files
            .push((to.to_owned(), self.object(&content, runs)));
        self.entries.push((name, content.hash));
        Ok(())
    }

    /// Whether an object is there, or will be. Its content is what `verify` reads: an object is
    /// whole before it has its name, is never written to after that, and is write-protected.
    fn has(&self, object: &Path, content: &FileContent) -> bool {
        self.waiting.contains_key(object)
            || fs::metadata(object).is_ok_and(|found| found.len() == content.bytes)
    }

    /// Where a content is kept. A file that can be run and one that cannot are two, though their
    /// content is one.
    fn object(&self, content: &FileContent, runs: bool) -> PathBuf {
        let (folder, name) = content.hash.split_at(2);
        self.store.path(&format!(
            "{OBJECTS}/{folder}/{name}{}",
            if runs { "x" } else { "" }
        ))
    }

    /// Copies a file to where it waits to become an object, and returns what it copied: the file
    /// may have changed since anybody looked at it, and what is written is what the name has to be
    /// of.
    fn add_object(&mut self, from: &Path, runs: bool) -> Result<FileContent> {
        // Recovery empties this folder of what a process leaves that is killed.
        let new = self
            .store
            .path(&format!("work/object-{}", self.waiting.len()));
        files::remove_if_there(&new)?;
        let file = self.store.create(&new)?;
        let copied = copy::read_foreign(from, |mut source| {
            os::hash::copy_and_hash(
                &mut source,
                &mut fs::OpenOptions::new().write(true).open(&new)?,
            )
        })
        .and_then(|content| self.store.protect_object(&new, runs).map(|()| content));
        let content = match copied {
            Ok(content) => content,
            Err(e) => {
                let _ = files::remove_if_there(&new);
                return Err(e);
            }
        };
        let object = self.object(&content, runs);
        if self.has(&object, &content) {
            // It changed into what is there.
            files::remove_if_there(&new)?;
            return Ok(content);
        }
        // The disk begins with it now: when one of many is synced, the others are there as good as
        // already. Otherwise each would cost a journalling file system a commit of its own. SAFETY:
        // the descriptor is open. A file system that does not do this has more to do when it syncs.
        let _ =
            unsafe { libc::sync_file_range(file.as_raw_fd(), 0, 0, libc::SYNC_FILE_RANGE_WRITE) };
        self.waiting.insert(object, (new, file));
        if self.waiting.len() == AT_ONCE {
            self.name_objects()?;
        }
        Ok(content)
    }

    /// Gives the objects that wait their names.
    fn name_objects(&mut self) -> Result<()> {
        for (object, (new, file)) in &self.waiting {
            // Before it has its name: no power cut leaves half an object.
            file.sync_all()
                .context(|| format!("syncing {}", new.display()))?;
            let folder = object.parent().unwrap_or(object);
            if !folder.exists() {
                self.store.create_folder(folder)?;
            }
            // Over one that is not whole, too: nobody's release can be made of that.
            fs::rename(new, object)
                .context(|| format!("renaming {} to {}", new.display(), object.display()))?;
            self.objects.insert(folder.to_owned());
        }
        self.waiting.clear();
        Ok(())
    }

    /// Gives the files of the release their names, and makes all of it durable.
    fn finish(&mut self) -> Result<()> {
        self.name_objects()?;
        for (to, object) in &self.files {
            // A file system without links, or an object that has all the links it may have: a copy
            // does as well.
            if fs::hard_link(object, to).is_err() {
                fs::copy(object, to)
                    .and_then(|_| fs::File::open(to)?.sync_all())
                    .context(|| format!("keeping {}", to.display()))?;
            }
        }
        // From the inside out: once the outermost is durable, so is all that it leads to.
        for folder in self.objects.iter().chain(self.folders.iter().rev()) {
            files::sync_folder(folder)?;
        }
        if !self.objects.is_empty() {
            files::sync_folder(&self.store.path(OBJECTS))?;
        }
        files::sync_folder(&self.store.path("releases"))
    }
}

pub(super) fn pointing_at(aim: &Path) -> String {
    format!("-> {}", aim.display())
}

/// One hash over names and contents, in the order of names.
fn whole_hash(mut entries: Vec<(PathBuf, String)>) -> String {
    entries.sort();
    let mut hasher = blake3::Hasher::new();
    for (name, content) in entries {
        hasher
            .update(name.as_os_str().as_encoded_bytes())
            .update(b"\0")
            .update(content.as_bytes())
            .update(b"\0");
    }
    hasher.finalize().to_hex().to_string()
}

/// Removes what is kept for a release, and the objects that nothing names any more. Only for who
/// holds the store's lock.
pub(crate) fn remove(store: &Store, release: ReleaseId) -> Result<()> {
    let files = place::files(release);
    // Its folder goes last, once the objects are gone for good: after a power cut it is what says that
    // there are some to remove, where the catalog was never told.
    store.clear(&files)?;
    remove_unnamed(store)?;
    store.remove(&files)
}

/// Removes the objects that nothing names any more.
fn remove_unnamed(store: &Store) -> Result<()> {
    let objects = store.folder(OBJECTS)?;
    for name in objects.names()? {
        if objects
            .look(&name)?
            .is_none_or(|found| !folder::is_folder(&found))
        {
            continue; // nothing of remy's
        }
        let Some(folder) = objects.folder(name)? else {
            continue;
        };
        let mut removed = false;
        for object in folder.names()? {
            if folder
                .look(&object)?
                .is_some_and(|found| folder::is_file(&found) && found.st_nlink == 1)
            {
                folder.remove(&object)?;
                removed = true;
            }
        }
        if removed {
            files::sync_folder(folder.path())?;
        }
    }
    Ok(())
}

/// Removes what was kept for a release that failed.
pub(crate) fn forget(store: &Store, release: ReleaseId) -> Result<()> {
    // Its own, whatever is written down: a rollback that failed has those of the release that it
    // was to bring back.
    remove(store, release)?;
    store.catalog.set_files(release, None, None)
}

/// Removes what is kept for releases that never went live and never will. A process may have died
/// before it did.
pub(crate) fn forget_fruitless(store: &Store) -> Result<()> {
    for (release, written_down) in store.catalog.fruitless()? {
        // A power cut may have kept either without the other.
        if written_down || store.has(&place::files(release))? {
            forget(store, release)?;
        }
    }
    Ok(())
}

/// The hash of what is kept for a release, read again.
pub(crate) fn hash(store: &Store, release: ReleaseId) -> Result<String> {
    let root = &store.path(&place::files(release));
    let mut names = Vec::new();
    list(root, Path::new(""), &mut names)?;
    let mut entries = Vec::with_capacity(names.len());
    for name in names {
        let path = root.join(&name);
        let content = if path.is_symlink() {
            pointing_at(&fs::read_link(&path).context(|| format!("reading {}", path.display()))?)
        } else {
            os::hash::hash(&path)?
        };
        entries.push((name, content));
    }
    Ok(whole_hash(entries))
}

/// Reads every object again. Returns those whose content is not what their name says.
pub(crate) fn changed_objects(store: &Store) -> Result<Vec<String>> {
    let root = store.path(OBJECTS);
    let mut names = Vec::new();
    list(&root, Path::new(""), &mut names)?;
    let mut changed = Vec::new();
    for name in names {
        let said: String = name
            .to_string_lossy()
            .chars()
            .filter(|&c| c != '/' && c != 'x')
            .collect();
        if os::hash::hash(&root.join(&name))? != said {
            changed.push(format!("{OBJECTS}/{}", name.display()));
        }
    }
    Ok(changed)
}

pub(super) fn list(root: &Path, below: &Path, names: &mut Vec<PathBuf>) -> Result<()> {
    let folder = root.join(below);
    if folder.is_symlink() {
        return Err(Error::io(format!(
            "{} is a symbolic link, where the store has a folder of its own",
            folder.display()
        )));
    }
    for entry in fs::read_dir(&folder).context(|| format!("reading {}", folder.display()))? {
        let entry = entry.context(|| format!("reading {}", folder.display()))?;
        let name = below.join(entry.file_name());
        if entry
            .file_type()
            .context(|| format!("looking at {}", entry.path().display()))?
            .is_dir()
        {
            list(root, &name, names)?;
        } else {
            names.push(name);
        }
    }
    Ok(())
}
