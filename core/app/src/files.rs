//! The files of a release, as they lie in the store.

use crate::{
    build::{
        Cancel, Result,
        disk::{self, At},
        path,
    },
    work,
};
use remy_db::{Error, Release, ReleaseId, Remedy, State, VerbName, remedy};
use rustix::fs::{Mode, OFlags};
use serde::Serialize;
use std::{
    collections::BTreeSet,
    fs::{self, DirBuilder, File, FileTimes, OpenOptions},
    io::{self, Read},
    os::unix::{
        ffi::OsStringExt,
        fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, symlink},
    },
    path::{Path, PathBuf},
};

/// A file of a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// Its path in the release.
    pub path: String,
    /// Its size; of a link, that of where it points.
    pub bytes: u64,
    /// The folder that it is in.
    #[serde(skip)]
    at: PathBuf,
}

/// The number of the release that was built: one that brings back another is as that one was.
pub(crate) fn origin_of(releases: &[Release], release: &Release) -> ReleaseId {
    let from = releases.iter().find(|other| {
        // What is brought back is older than what brings it back: otherwise there need be no end to
        // it.
        Some(other.release) == release.restored_from && other.release < release.release
    });
    from.map_or(release.release, |from| origin_of(releases, from))
}

/// The folder of a release's files in `store`: its source, where it is an app's, else all that was
/// kept with it.
///
/// Fails with `not_found` where there is no such release, or none of its files.
pub fn folder_of(store: &Path, releases: &[Release], number: ReleaseId) -> Result<PathBuf> {
    let not_found = |what: String, hint: Remedy| {
        Error::not_found(what)
            .state(State::NothingDone)
            .hint(hint)
            .object(format!("release {number}"))
    };
    let Some(release) = releases.iter().find(|of| of.release == number) else {
        let what = format!("there is no release {number}");
        let hint = remedy![VerbName::Releases, " lists them"];
        return Err(not_found(what, hint).into());
    };
    let kept = place_of(store, releases, release);
    let folders = [kept.join("source"), kept];
    folders.into_iter().find(|at| is_folder(at)).ok_or_else(|| {
        let hint = "Files are kept of an app, and of what was published with artifacts, until the release is pruned";
        not_found(format!("release {number} has no files"), hint.into()).into()
    })
}

/// The folder that is kept with a release: `app.json`, what was compiled, and its source.
///
/// Fails as [`folder_of`] does.
pub fn kept(store: &Path, releases: &[Release], number: ReleaseId) -> Result<PathBuf> {
    let folder = folder_of(store, releases, number)?;
    let release = releases.iter().find(|of| of.release == number);
    Ok(release.map_or(folder, |release| place_of(store, releases, release)))
}

fn place_of(store: &Path, releases: &[Release], release: &Release) -> PathBuf {
    let origin = origin_of(releases, release).to_string();
    store.join("releases").join(origin)
}

fn is_folder(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|found| found.is_dir())
}

/// The folders beside a release's source that hold what was compiled of it.
const COMPILED: [&str; 2] = ["interfaces", "methods"];

/// The files of a release, or only those at or below `below`: its source, and what was compiled of
/// it. Of two at one path, the source is meant. `folder` is as [`folder_of`] returns it.
pub fn list_all(folder: &Path, below: Option<&str>) -> Result<Vec<Listed>> {
    let mut all = list(folder, below)?;
    if folder.file_name().is_none_or(|name| name != "source") {
        return Ok(all);
    }
    let kept = folder.parent().unwrap_or(folder);
    let known: BTreeSet<String> = all.iter().map(|file| file.path.clone()).collect();
    for name in COMPILED {
        if !is_folder(&kept.join(name)) {
            continue;
        }
        let compiled = list(&kept.join(name), None)?
            .into_iter()
            .map(|file| Listed {
                path: format!("{name}/{}", file.path),
                bytes: file.bytes,
                at: kept.to_owned(),
            });
        all.extend(
            compiled.filter(|file| is_wanted(&file.path, below) && !known.contains(&file.path)),
        );
    }
    Ok(all)
}

/// Whether a path is at or below another.
fn is_wanted(path: &str, below: Option<&str>) -> bool {
    let mut at = below.unwrap_or_default();
    while let Some(rest) = at.strip_prefix("./") {
        at = rest;
    }
    let at = at.trim_end_matches('/');
    at.is_empty() || path == at || path::is_in(path, at)
}

/// The files below `folder` in order, or only those at or below `below`. Nothing is followed: a
/// symlink is listed as itself.
pub fn list(folder: &Path, below: Option<&str>) -> Result<Vec<Listed>> {
    let mut files = Vec::new();
    let mut folders = vec![String::new()];
    while let Some(inside) = folders.pop() {
        let at = folder.join(&inside);
        for entry in fs::read_dir(&at).at("listing", &at)? {
            let entry = entry.at("listing", &at)?;
            let path = format!("{inside}{}", entry.file_name().to_string_lossy());
            if entry.file_type().at("looking at", &entry.path())?.is_dir() {
                folders.push(format!("{path}/"));
            } else if is_wanted(&path, below) {
                let found = entry.metadata().at("looking at", &entry.path())?;
                files.push(Listed {
                    path,
                    bytes: found.len(),
                    at: folder.to_owned(),
                });
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

/// What the file at `path` of a release holds: of a symlink, as git has it, where it points. What is
/// there may be outside of the release. Nothing where the release has no such file: only what is
/// listed is read, so that no path leads out of it.
pub fn read(folder: &Path, path: &str) -> Result<Option<Vec<u8>>> {
    let all = list_all(folder, Some(path))?;
    let Some(found) = all.into_iter().find(|file| file.path == path) else {
        return Ok(None);
    };
    let at = found.at.join(path);
    let is_link = at.symlink_metadata().at("looking at", &at)?.is_symlink();
    let content = match is_link {
        true => fs::read_link(&at).map(|target| target.into_os_string().into_vec()),
        false => open(&at).and_then(|mut file| {
            let mut content = Vec::new();
            file.read_to_end(&mut content).map(|_| content)
        }),
    };
    Ok(Some(content.at("reading", &at)?))
}

/// Copies the files into `dir`, a folder that is absent or empty: all of them, or none. Returns how
/// many that are.
///
/// Fails with `invalid_argument` where `dir` is something else.
pub fn checkout(folder: &Path, dir: &Path, cancel: Cancel<'_>) -> Result<usize> {
    let to = disk::lexical(dir);
    let is_free = match fs::read_dir(&to) {
        Ok(mut entries) => entries.next().is_none(),
        Err(e) if e.kind() == io::ErrorKind::NotFound => true,
        Err(e) if e.kind() == io::ErrorKind::NotADirectory => {
            return Err(not_free(&to, "is not a folder"));
        }
        Err(e) => return Err(e).at("listing", &to),
    };
    let (true, Some(parent), Some(name)) = (is_free, to.parent(), to.file_name()) else {
        return Err(not_free(&to, "is not empty"));
    };
    fs::create_dir_all(parent).at("making the folder", parent)?;
    let work = work::folder(parent, &format!(".{}-", name.to_string_lossy()))?;
    let copied = work.path().join("files");
    let files = copy(folder, &copied, cancel)?;
    fs::rename(&copied, &to).at("moving", &copied)?;
    Ok(files)
}

fn not_free(dir: &Path, is: &str) -> crate::AppError {
    Error::invalid_argument(format!("{} {is}", dir.display()))
        .state(State::NothingDone)
        .hint("Name a folder that is empty or not there")
        .object(dir.display().to_string())
        .into()
}

/// Copies a folder to `to`, which must not be there. Links are made as they are, and none is
/// followed on either side.
///
/// Files of a release are read-only, and live's owner's alone; those of a checkout are as one would
/// have made them.
fn copy(from: &Path, to: &Path, cancel: Cancel<'_>) -> Result<usize> {
    let make = |folder: &Path| {
        let made = DirBuilder::new().mode(0o777).create(folder);
        made.at("making the folder", folder)
    };
    make(to)?;
    let mut files = 0;
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let at = from.join(&folder);
        for entry in fs::read_dir(&at).at("listing", &at)? {
            cancel.check()?;
            let entry = entry.at("listing", &at)?;
            let kind = entry.file_type().at("looking at", &entry.path())?;
            let path = folder.join(entry.file_name());
            let copied = to.join(&path);
            if kind.is_dir() {
                make(&copied)?;
                folders.push(path);
                continue;
            }
            if kind.is_symlink() {
                let target = fs::read_link(entry.path()).at("reading", &entry.path())?;
                symlink(target, &copied).at("linking", &copied)?;
            } else if kind.is_file() {
                copy_file(&entry.path(), &copied)?;
            } else {
                continue;
            }
            files += 1;
        }
    }
    Ok(files)
}

/// Opens a file of a release, which is no link; a pipe is not waited for.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    Ok(File::from(rustix::fs::open(path, flags, Mode::empty())?))
}

fn copy_file(from: &Path, to: &Path) -> Result<()> {
    let mut file = open(from).at("opening", from)?;
    let found = file.metadata().at("looking at", from)?;
    let is_executable = found.permissions().mode() & 0o100 != 0;
    let mut copied = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(if is_executable { 0o777 } else { 0o666 })
        .open(to)
        .at("making", to)?;
    io::copy(&mut file, &mut copied).at("copying", from)?;
    let times = found.modified().map(|at| FileTimes::new().set_modified(at));
    times
        .and_then(|times| copied.set_times(times))
        .at("setting the time of", to)
}

#[cfg(test)]
mod tests {
    use super::*;
    use remy_db::Status;
    use std::sync::atomic::AtomicBool;

    fn checked_out(folder: &Path, dir: &Path) -> Result<usize> {
        checkout(folder, dir, Cancel::new(&AtomicBool::new(false)))
    }

    #[test]
    fn what_a_catalog_says_that_releases_bring_back_has_an_end() {
        let all = [
            (5, Some(3)),
            (4, Some(5)),
            (3, Some(1)),
            (2, Some(2)),
            (1, Some(4)),
        ];
        let releases = all.map(|(release, from)| Release {
            release: ReleaseId(release),
            restored_from: from.map(ReleaseId),
            label: None,
            commit: None,
            status: Status::Superseded,
            created_at: 0,
            live_at: None,
            superseded_at: None,
            database: None,
            database_bytes: None,
            pruned_at: None,
            preview: None,
        });
        let origins = releases
            .each_ref()
            .map(|release| origin_of(&releases, release).0);
        assert_eq!(origins, [1, 4, 1, 2, 1]);
    }

    #[test]
    fn no_path_leads_out_of_a_release() {
        let store = tempfile::tempdir().unwrap();
        let kept = store.path().join("releases/1/source");
        fs::create_dir_all(&kept).unwrap();
        fs::write(store.path().join("secret"), "x").unwrap();
        fs::write(kept.join("a"), "a").unwrap();
        symlink("../../../secret", kept.join("link")).unwrap();
        symlink("../../..", kept.join("folder")).unwrap();
        let content = |path| read(&kept, path).unwrap();
        assert_eq!(content("a").as_deref(), Some(&b"a"[..]));
        assert_eq!(content("link").as_deref(), Some(&b"../../../secret"[..]));
        for path in [
            "../../../secret",
            "folder/secret",
            "./a",
            "/etc/passwd",
            "",
            ".",
        ] {
            assert_eq!(content(path), None, "{path}");
        }
    }

    #[test]
    fn a_checkout_follows_no_link_and_leaves_nothing_where_it_fails() {
        let release = tempfile::tempdir().unwrap();
        let out = tempfile::tempdir().unwrap();
        let aim = out.path().join("aim");
        fs::create_dir(&aim).unwrap();
        fs::write(release.path().join("a"), "a").unwrap();
        symlink(&aim, release.path().join("folder")).unwrap();
        symlink("/etc/passwd", release.path().join("link")).unwrap();
        let to = out.path().join("to");
        assert_eq!(checked_out(release.path(), &to).unwrap(), 3);
        assert!(to.join("folder").symlink_metadata().unwrap().is_symlink());
        assert_eq!(
            fs::read_link(to.join("link")).unwrap(),
            Path::new("/etc/passwd")
        );
        // What is there is left as it is: a link to a folder that is full, or a file.
        symlink(&to, out.path().join("alias")).unwrap();
        for taken in ["to", "alias", "to/a"] {
            let error = checked_out(release.path(), &out.path().join(taken)).unwrap_err();
            assert_eq!(error.error().code(), "invalid_argument", "{taken}");
        }
        let off = AtomicBool::new(true);
        let called_off = checkout(release.path(), &out.path().join("off"), Cancel::new(&off));
        assert!(called_off.is_err());
        let mut left: Vec<_> = fs::read_dir(out.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_encoded_bytes())
            .collect();
        left.sort();
        assert_eq!(
            left,
            ["aim", "alias", "to"].map(|name| name.as_bytes().to_vec())
        );
    }
}
