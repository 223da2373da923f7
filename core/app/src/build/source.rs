//! Which files are a release's source, and their copy. In a repository git says which (what it
//! tracks, or would track); elsewhere the .gitignore files do, by the same rules, so that an app
//! without git, or a machine without it, publishes the same files.

use super::{
    Cancel, Entry, Files, Mode, Result, disk,
    disk::At,
    git::{self, Paths},
    ignored::unignored,
    path,
    private::is_private,
};
use crate::{AppError, FILE};
use remy_db::{Error, State, internals::typescript::Fault};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs::{self, File, Permissions},
    io::{self, Read},
    os::unix::{
        ffi::OsStrExt,
        fs::{PermissionsExt, symlink},
    },
    panic::resume_unwind,
    path::{Path, PathBuf},
    thread,
};

/// What is to be staged.
#[derive(Debug, Clone, Deserialize)]
pub struct Wanted {
    /// The app's folder.
    pub root: PathBuf,
    /// Take this commit's files, and not the working tree's.
    #[serde(default)]
    pub commit: Option<String>,
    /// The live database: it, and what belongs to it, is no part of a release.
    #[serde(default)]
    pub live: Option<PathBuf>,
    /// What else is left out, wherever it lies.
    #[serde(default)]
    pub without: Vec<PathBuf>,
    /// Nobody asks which commit it is of: git is not asked either, which takes as long as the rest.
    #[serde(default)]
    pub without_commit: bool,
}

/// A release's source, staged.
#[derive(Debug, Clone, Serialize)]
pub struct Staged {
    /// Its files.
    pub files: Files,
    /// The commit that it is of, if it is of one.
    pub commit: Option<String>,
    /// Whether the files are other than the commit's.
    pub dirty: bool,
    /// What is odd, and does no harm.
    pub warnings: Vec<String>,
}

/// Copies a release's files to `to`, which is not there yet, and tells what they are.
///
/// Fails with `build_failed` for links that lead out of the app, names that are not UTF-8 and
/// submodules that are not here, with `not_found` where there is no such commit, and with `io`.
pub fn stage(wanted: &Wanted, to: &Path, cancel: Cancel<'_>) -> Result<Staged> {
    cancel.check()?;
    let root = fs::canonicalize(&wanted.root).at("looking for", &wanted.root)?;
    let left_out = LeftOut::of(&root, wanted);
    match &wanted.commit {
        Some(name) => stage_commit(&root, to, name, &left_out, cancel),
        None => stage_working_tree(&root, to, (&left_out, wanted.without_commit), cancel),
    }
}

fn stage_working_tree(
    root: &Path,
    to: &Path,
    (left_out, without_commit): (&LeftOut, bool),
    cancel: Cancel<'_>,
) -> Result<Staged> {
    let mut warnings = Vec::new();
    // git answers the one while it is asked the other.
    let (tracked, position) = thread::scope(|scope| {
        let position = scope.spawn(|| match without_commit {
            true => Ok(git::Position::default()),
            false => git::position(root, cancel),
        });
        let tracked = git::tracked(root, &mut warnings, cancel);
        (
            tracked,
            position.join().unwrap_or_else(|e| resume_unwind(e)),
        )
    });
    let (tracked, position) = (tracked?, position?);
    // A folder that an outer repository ignores is nobody's business but its own.
    let is_ours = |paths: &Paths| {
        paths.iter().any(|path| path == FILE.as_bytes()) || !disk::exists(&root.join(FILE))
    };
    let (paths, position) = match tracked {
        Some(paths) if is_ours(&paths) => (paths, position),
        _ => (unignored(root)?, git::Position::default()),
    };
    let files = copy_all(root, to, &left_out.filter(paths), &mut warnings, cancel)?;
    Ok(Staged {
        files,
        // What is no part of a release does not make it differ: `.remy/` itself stands there
        // untracked.
        dirty: !left_out.filter(position.changed).is_empty(),
        commit: position.commit,
        warnings,
    })
}

fn stage_commit(
    root: &Path,
    to: &Path,
    name: &str,
    left_out: &LeftOut,
    cancel: Cancel<'_>,
) -> Result<Staged> {
    let Some(commit) = git::commit_of(root, name, cancel)? else {
        return Err(Error::not_found(format!(
            "there is no commit {name} in a repository at {}",
            root.display()
        ))
        .state(State::DatabaseUnchanged)
        .hint("Name a commit, branch or tag of the repository that the app is in")
        .object(name)
        .into());
    };
    let beside = to.parent().unwrap_or(to);
    fs::create_dir_all(beside).at("making the folder", beside)?;
    let work = tempfile::Builder::new()
        .prefix(".checkout-")
        .tempdir_in(beside)
        .at("making a folder in", beside)?;
    let folder = fs::canonicalize(work.path()).at("looking for", work.path())?;
    let checkout = folder.join("files");
    fs::create_dir(&checkout).at("making the folder", &checkout)?;
    let paths = git::check_out(root, &commit, &checkout, &folder, cancel)?;
    let mut warnings = Vec::new();
    let paths = left_out.filter(paths);
    let files = copy_all(&checkout, to, &paths, &mut warnings, cancel)?;
    Ok(Staged {
        files,
        commit: Some(commit),
        dirty: false,
        warnings,
    })
}

/// What a release leaves out besides.
pub(super) struct LeftOut {
    /// Seen from the app's folder.
    paths: Vec<Vec<u8>>,
}

impl LeftOut {
    /// `root` is the app's folder, without links.
    pub fn of(root: &Path, wanted: &Wanted) -> Self {
        let beside = ["", "-wal", "-shm", "-journal", "-remy"];
        let live = wanted.live.iter().flat_map(|live| {
            let real = fs::canonicalize(live).ok();
            [disk::lexical(live)].into_iter().chain(real)
        });
        let of_live = live.flat_map(|live| {
            beside.map(|end| {
                let mut path = live.clone().into_os_string();
                path.push(end);
                PathBuf::from(path)
            })
        });
        let others = wanted.without.iter().map(|path| disk::lexical(path));
        let below = of_live.chain(others).filter_map(|path| {
            let below = path.strip_prefix(root).ok()?;
            Some(below.as_os_str().as_bytes().to_vec())
        });
        Self {
            paths: below.filter(|path| !path.is_empty()).collect(),
        }
    }

    /// The paths that are part of a release, each once and in order.
    fn filter(&self, paths: Paths) -> BTreeSet<Vec<u8>> {
        let stay = paths.into_iter();
        stay.filter(|path| !is_private(path) && !self.has(path))
            .collect()
    }

    /// Whether it leaves out what is at a path.
    pub fn has(&self, path: &[u8]) -> bool {
        self.paths.iter().any(|at| {
            path.strip_prefix(&at[..])
                .is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
        })
    }
}

/// What came of a path.
enum Copied {
    /// Whether it is a pointer of Git LFS's is told, too.
    File(Entry, bool),
    Fault(Fault),
    /// Tracked and deleted: the working tree is what is published. Or what is no file.
    Gone,
}

fn copy_all(
    from: &Path,
    to: &Path,
    paths: &BTreeSet<Vec<u8>>,
    warnings: &mut Vec<String>,
    cancel: Cancel<'_>,
) -> Result<Files> {
    let at = |path: &[u8]| from.join(OsStr::from_bytes(path));
    let named = paths
        .iter()
        .filter_map(|path| std::str::from_utf8(path).ok());
    let real = make_folders(from, to, named.clone())?;
    let copied = disk::together(named, cancel, |name| {
        let copied = match real.contains(path::parent(name)) {
            true => copy(from, to, name)?,
            false => Copied::Gone,
        };
        Ok((name, copied))
    })?;
    let nameless = paths
        .iter()
        .filter(|path| std::str::from_utf8(path).is_err());
    let mut faults: Vec<Fault> = nameless
        .filter(|path| disk::exists(&at(path)))
        .map(|path| {
            let name = String::from_utf8_lossy(path);
            Fault::of_file(&name, "has a name that is not UTF-8. Rename it")
        })
        .collect();
    let mut files = Files::new();
    for (name, copied) in copied {
        match copied {
            Copied::Gone => {}
            Copied::Fault(fault) => faults.push(fault),
            Copied::File(entry, is_pointer) => {
                if is_pointer {
                    warnings.push(format!("{name} is a Git LFS pointer, not the file that it stands for. Run: git lfs pull"));
                }
                files.insert(name.to_owned(), entry);
            }
        }
    }
    if !faults.is_empty() {
        return Err(AppError::does_not_build(faults));
    }
    warnings.sort();
    Ok(files)
}

/// Makes the folders of a copy, and returns them: those that are folders in what is copied, too. git
/// still names what was in a folder that a link has taken the place of; it is not there any more.
fn make_folders<'a>(
    from: &Path,
    to: &Path,
    paths: impl Iterator<Item = &'a str>,
) -> Result<BTreeSet<&'a str>> {
    let all: BTreeSet<&str> = paths.flat_map(path::folders_above).collect();
    fs::create_dir_all(to).at("making the folder", to)?;
    let mut real = BTreeSet::from(["."]);
    // In their order a folder comes before what is in it.
    for folder in all {
        let at = from.join(folder);
        let is_folder = at.symlink_metadata().is_ok_and(|found| found.is_dir());
        if folder == "." || !is_folder || !real.contains(path::parent(folder)) {
            continue;
        }
        let made = to.join(folder);
        fs::create_dir_all(&made).at("making the folder", &made)?;
        real.insert(folder);
    }
    Ok(real)
}

fn copy(root: &Path, to: &Path, path: &str) -> Result<Copied> {
    let (from, to) = (root.join(path), to.join(path));
    let found = match from.symlink_metadata() {
        Err(e)
            if matches!(
                e.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            return Ok(Copied::Gone);
        }
        found => found.at("looking at", &from)?,
    };
    if found.is_symlink() {
        let target = fs::read_link(&from).at("reading", &from)?;
        let Some(inside) = target_within(root, &from, &target) else {
            let why = format!(
                "is a symlink to {}, outside of the app: a release would not have it. Copy it into the app, or remove it",
                target.display()
            );
            return Ok(Copied::Fault(Fault::of_file(path, why)));
        };
        symlink(&inside, &to).at("linking", &to)?;
        let hash = disk::hash(inside.as_os_str().as_bytes());
        let mode = Mode::Link;
        return Ok(Copied::File(Entry { hash, mode }, false));
    }
    if !found.is_file() {
        return Ok(Copied::Gone);
    }
    disk::copy(&from, &to)?;
    let mode = match found.permissions().mode() & 0o100 {
        0 => Mode::File,
        _ => Mode::Executable,
    };
    let bits = if mode == Mode::File { 0o644 } else { 0o755 };
    if found.permissions().mode() & 0o7777 != bits {
        fs::set_permissions(&to, Permissions::from_mode(bits)).at("setting the mode of", &to)?;
    }
    let (hash, is_pointer) = read(&to).at("reading", &to)?;
    Ok(Copied::File(Entry { hash, mode }, is_pointer))
}

/// Where a link points, relative to itself, or nothing where that is outside: by its text, and by
/// where it leads.
fn target_within(root: &Path, link: &Path, target: &Path) -> Option<PathBuf> {
    let folder = link.parent()?;
    let target = disk::lexical(&folder.join(target));
    target.strip_prefix(root).ok()?;
    if let Ok(real) = fs::canonicalize(&target) {
        real.strip_prefix(root).ok()?;
    }
    Some(disk::relative(folder, &target))
}

/// The hash of a file's content, and whether that is a pointer of Git LFS's.
fn read(path: &Path) -> io::Result<(String, bool)> {
    const POINTER: &[u8] = b"version https://git-lfs.github.com/spec/";
    let mut file = File::open(path)?;
    let mut first = Vec::new();
    (&mut file).take(1024).read_to_end(&mut first)?;
    let is_pointer = first.len() < 1024 && first.starts_with(POINTER);
    let mut hash = blake3::Hasher::new();
    hash.update(&first).update_reader(file)?;
    Ok((hash.finalize().to_hex().to_string(), is_pointer))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;

    fn staged(root: &Path, to: &Path) -> Result<Staged> {
        let wanted = Wanted {
            root: root.to_owned(),
            commit: None,
            live: None,
            without: Vec::new(),
            without_commit: false,
        };
        stage(&wanted, to, Cancel::new(&AtomicBool::new(false)))
    }

    #[test]
    fn hashes_are_of_the_content_of_large_files_too() {
        let (app, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for bytes in [0, 1, 1023, 1024, 1025, 65536, 1_000_000] {
            fs::write(app.path().join(bytes.to_string()), vec![b'x'; bytes]).unwrap();
        }
        for (path, entry) in staged(app.path(), &out.path().join("to")).unwrap().files {
            let content = vec![b'x'; path.parse().unwrap()];
            assert_eq!(entry.hash, disk::hash(content), "{path}");
        }
    }

    #[test]
    fn nothing_is_read_through_a_link_that_took_a_folders_place() {
        let (app, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("key"), "secret").unwrap();
        symlink(outside.path(), app.path().join("a")).unwrap();
        let paths = BTreeSet::from([b"a/key".to_vec(), b"a/b/key".to_vec()]);
        let never = AtomicBool::new(false);
        let mut warnings = Vec::new();
        let to = out.path().join("to");
        let files = copy_all(app.path(), &to, &paths, &mut warnings, Cancel::new(&never)).unwrap();
        assert!(files.is_empty() && !disk::exists(&to.join("a")));
    }

    #[test]
    fn a_name_that_is_not_utf8_is_told() {
        let (app, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(app.path().join(OsStr::from_bytes(b"a\xff")), "x").unwrap();
        fs::write(app.path().join("b\u{fffd}"), "x").unwrap();
        let error = staged(app.path(), &out.path().join("to")).unwrap_err();
        assert_eq!(error.faults.len(), 1);
        assert!(
            error
                .to_string()
                .contains("a\u{fffd}: has a name that is not UTF-8. Rename it")
        );
    }

    #[test]
    fn a_gitignore_that_is_no_file_says_nothing() {
        let (app, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(app.path().join("rules"), "*\n").unwrap();
        symlink("rules", app.path().join(".gitignore")).unwrap();
        let files = staged(app.path(), &out.path().join("to")).unwrap().files;
        assert_eq!(files.keys().collect::<Vec<_>>(), [".gitignore", "rules"]);
    }
}
