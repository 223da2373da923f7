//! git, asked for what it alone knows: which files it tracks, and what a commit holds.

use super::{
    Cancel, Result, disk,
    disk::At,
    environment::callers,
    private::is_private,
    run::{self, Program},
};
use crate::AppError;
use remy_db::{Error, State, internals::typescript::Fault};
use std::{
    collections::BTreeSet,
    ffi::{OsStr, OsString},
    fs, io,
    os::unix::{ffi::OsStrExt, process::ExitStatusExt},
    path::{Path, PathBuf},
    process::ExitStatus,
};

/// Paths as git has them, in bytes: nothing says that a name is UTF-8.
pub(super) type Paths = Vec<Vec<u8>>;

/// What git tracks or would track in a folder. Nothing where there is no repository, or no git.
pub(super) fn tracked(
    folder: &Path,
    warnings: &mut Vec<String>,
    cancel: Cancel<'_>,
) -> Result<Option<Paths>> {
    let answer = Git::of(folder, cancel).ask(&["ls-files", "-co", "--exclude-standard", "-z"])?;
    let Some(listed) = if_repository(answer)? else {
        return Ok(None);
    };
    let listed: BTreeSet<&[u8]> = parts(&listed).filter(|path| !is_private(path)).collect();
    let mut paths = Vec::new();
    for &path in &listed {
        let at = path.strip_suffix(b"/").unwrap_or(path);
        if at == path && !folder.join(OsStr::from_bytes(at)).is_folder() {
            paths.push(path.to_vec());
            continue;
        }
        // git names a repository inside (a submodule, or one that was cloned there) as one entry;
        // its files are part of the working tree.
        let inside = folder.join(OsStr::from_bytes(at));
        let below = [at, b"/"].concat();
        if disk::exists(&inside.join(".git")) {
            let files = tracked(&inside, warnings, cancel)?.unwrap_or_default();
            paths.extend(files.into_iter().map(|file| [&below[..], &file].concat()));
        } else if !has_any_below(&listed, &below) {
            warnings.push(format!(
                "{} is a submodule that is not checked out: the release has none of its files. Run: git submodule update --init",
                String::from_utf8_lossy(at)
            ));
        }
    }
    Ok(Some(paths))
}

/// Whether one of `all` is in the folder `below`: a folder now stands in the place of a file that
/// was tracked.
fn has_any_below(all: &BTreeSet<&[u8]>, below: &[u8]) -> bool {
    let next = all.range::<[u8], _>((std::ops::Bound::Excluded(below), std::ops::Bound::Unbounded));
    next.into_iter()
        .next()
        .is_some_and(|path| path.starts_with(below))
}

trait IsFolder {
    fn is_folder(&self) -> bool;
}

impl IsFolder for PathBuf {
    /// Whether this is a folder itself, and no link to one.
    fn is_folder(&self) -> bool {
        self.symlink_metadata().is_ok_and(|found| found.is_dir())
    }
}

/// Which commit a working tree is at, and what of the folder differs from it.
#[derive(Default)]
pub(super) struct Position {
    pub commit: Option<String>,
    pub changed: Paths,
}

/// Where the working tree is that `folder` is in.
pub(super) fn position(folder: &Path, cancel: Cancel<'_>) -> Result<Position> {
    let git = Git::of(folder, cancel);
    let status = git.ask(&[
        "status",
        "--porcelain=v2",
        "--branch",
        "--untracked-files=all",
        "-z",
        "--",
        ".",
    ])?;
    let Some(status) = if_repository(status)? else {
        return Ok(Position::default());
    };
    let commit = parts(&status).find_map(|line| line.strip_prefix(b"# branch.oid "));
    let Some(commit) = commit.filter(|oid| *oid != b"(initial)") else {
        return Ok(Position::default());
    };
    let mut changed = changed(&status);
    if !changed.is_empty() {
        // git names paths from the repository's top.
        let prefix = line(git.ask(&["rev-parse", "--show-prefix"])??);
        for path in &mut changed {
            path.drain(..prefix.len().min(path.len()));
        }
    }
    Ok(Position {
        commit: Some(String::from_utf8_lossy(commit).into_owned()),
        changed,
    })
}

/// The paths of `git status --porcelain=v2 -z`: each behind a number of fields that its kind says.
fn changed(status: &[u8]) -> Paths {
    let mut lines = parts(status);
    let mut paths = Vec::new();
    while let Some(line) = lines.next() {
        let fields = match line.first() {
            Some(b'1') => 8,
            Some(b'2') => 9,
            Some(b'u') => 10,
            Some(b'?') => 1,
            _ => continue,
        };
        paths.extend(
            line.splitn(fields + 1, |byte| *byte == b' ')
                .nth(fields)
                .map(<[u8]>::to_vec),
        );
        if line[0] == b'2' {
            // The name that the file had.
            lines.next();
        }
    }
    paths
}

/// The commit that `name` stands for in the repository that `folder` is in.
pub(super) fn commit_of(folder: &Path, name: &str, cancel: Cancel<'_>) -> Result<Option<String>> {
    let commit = format!("{name}^{{commit}}");
    let answer = Git::of(folder, cancel).ask(&[
        "rev-parse",
        "--verify",
        "--quiet",
        "--end-of-options",
        &commit,
    ])?;
    let found = if_object(answer)?;
    Ok(found
        .map(|oid| String::from_utf8_lossy(&line(oid)).into_owned())
        .filter(|oid| !oid.is_empty()))
}

/// Writes a commit's files of `folder` to `to` as git itself would check them out (modes, links,
/// line ends, filters), by an index of its own: the repository's index and working tree are not
/// touched. `work` is where that index stands meanwhile.
pub(super) fn check_out(
    folder: &Path,
    commit: &str,
    to: &Path,
    work: &Path,
    cancel: Cancel<'_>,
) -> Result<Paths> {
    let git = Git::of(folder, cancel);
    let repository = line(git.ask(&["rev-parse", "--absolute-git-dir"])??);
    let prefix = line(git.ask(&["rev-parse", "--show-prefix"])??);
    let prefix = String::from_utf8_lossy(prefix.strip_suffix(b"/").unwrap_or(&prefix)).into_owned();
    let index = tempfile::tempdir_in(work).at("making a folder in", work)?;
    let own = Git {
        folder: to,
        environment: vec![
            ("GIT_DIR", OsStr::from_bytes(&repository).to_owned()),
            ("GIT_WORK_TREE", to.into()),
            ("GIT_INDEX_FILE", index.path().join("index").into()),
        ],
        cancel,
    };
    own.ask(&["read-tree", &format!("{commit}:{prefix}")])??;
    let listed = own.ask(&["ls-files", "-s", "-z"])??;
    own.ask(&["checkout-index", "--all", "--force"])??;
    let mut paths = Vec::new();
    for entry in parts(&listed) {
        let Some((mode, object, path)) = index_entry(entry) else {
            continue;
        };
        if mode != b"160000" {
            paths.push(path.to_vec());
        } else if !is_private(path) {
            let object = String::from_utf8_lossy(object);
            let inside = submodule(folder, (path, &object), to, work, cancel)?;
            let below = [path, b"/"].concat();
            paths.extend(inside.into_iter().map(|file| [&below[..], &file].concat()));
        }
    }
    Ok(paths)
}

/// Mode, object and path of `mode object stage\tpath`.
fn index_entry(entry: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let tab = entry.iter().position(|byte| *byte == b'\t')?;
    let mut fields = entry[..tab].split(|byte| *byte == b' ');
    Some((fields.next()?, fields.next()?, &entry[tab + 1..]))
}

/// A commit names a submodule's commit only; its files are in the submodule's own repository, if
/// that is here.
fn submodule(
    folder: &Path,
    (path, commit): (&[u8], &str),
    to: &Path,
    work: &Path,
    cancel: Cancel<'_>,
) -> Result<Paths> {
    let inside = folder.join(OsStr::from_bytes(path));
    let object = format!("{commit}^{{commit}}");
    let is_here = disk::exists(&inside.join(".git"))
        && if_object(Git::of(&inside, cancel).ask(&["cat-file", "-e", &object])?)?.is_some();
    let file = String::from_utf8_lossy(path);
    if !is_here {
        let commit = commit.get(..12).unwrap_or(commit);
        let why = format!(
            "is a submodule whose commit {commit} is not here. Run: git submodule update --init"
        );
        return Err(AppError::does_not_build(vec![Fault::of_file(&file, why)]));
    }
    let to = folder_within(to, path)?;
    check_out(&inside, commit, &to, work, cancel)
}

/// Makes the folder `path` below `to`, without following a link on the way: a tree that was written
/// to mislead may have a link and a folder of one name.
fn folder_within(to: &Path, path: &[u8]) -> Result<PathBuf> {
    let mut at = to.to_owned();
    for name in path.split(|byte| *byte == b'/') {
        at.push(OsStr::from_bytes(name));
        match fs::create_dir(&at) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists && at.is_folder() => {}
            made => made.at("making the folder", &at)?,
        }
    }
    Ok(at)
}

/// git in a folder.
struct Git<'a> {
    folder: &'a Path,
    environment: Vec<(&'static str, OsString)>,
    cancel: Cancel<'a>,
}

/// What a hook has set for the repository that it is of, which may be another one.
const OF_A_HOOK: [&str; 6] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_PREFIX",
    "GIT_OBJECT_DIRECTORY",
    "GIT_NAMESPACE",
];

impl<'a> Git<'a> {
    fn of(folder: &'a Path, cancel: Cancel<'a>) -> Self {
        Self {
            folder,
            environment: Vec::new(),
            cancel,
        }
    }

    /// What the command says. A repository that cannot be read is one all the same, and so is one
    /// that is not safe to read until its user says so: taking it for none would publish what only
    /// it knows to be ignored.
    fn ask(&self, arguments: &[&str]) -> Result<Result<Vec<u8>, Failed>> {
        let mut variables = callers();
        for name in OF_A_HOOK {
            variables.remove(OsStr::new(name));
        }
        let own = [
            ("LC_ALL", "C"),
            // A status must not take the index lock from the user's own git.
            ("GIT_OPTIONAL_LOCKS", "0"),
            // Nobody is there to be asked for a password.
            ("GIT_TERMINAL_PROMPT", "0"),
        ];
        variables.extend(own.map(|(name, value)| (name.into(), value.into())));
        let more = self.environment.iter();
        variables.extend(more.map(|(name, value)| (name.into(), value.clone())));
        let git = Program {
            name: "git",
            arguments,
            at: self.folder,
            variables: &variables,
        };
        let failed = |why| Failed {
            command: arguments[0].to_owned(),
            folder: self.folder.to_owned(),
            why,
        };
        Ok(match run::ask(&git, self.cancel)? {
            None => Err(failed(Why::NotThere)),
            Some(said) if said.status.success() => Ok(said.out),
            Some(said) => Err(failed(Why::Ended {
                status: said.status,
                errors: said.errors.trim().to_owned(),
            })),
        })
    }
}

/// A command of git's that failed.
struct Failed {
    command: String,
    folder: PathBuf,
    why: Why,
}

enum Why {
    NotThere,
    Ended { status: ExitStatus, errors: String },
}

impl Failed {
    /// Whether there is no git, or no repository to ask.
    fn is_without_repository(&self) -> bool {
        match &self.why {
            Why::NotThere => true,
            Why::Ended { errors, .. } => errors.contains("not a git repository"),
        }
    }

    /// Whether git has looked, and there is no such thing.
    fn is_an_answer(&self) -> bool {
        match &self.why {
            Why::NotThere => false,
            Why::Ended { status, errors } => {
                status.code().is_some() && !errors.contains("dubious ownership")
            }
        }
    }
}

impl From<Failed> for AppError {
    fn from(failed: Failed) -> Self {
        let said = match failed.why {
            Why::NotThere => "git is not installed".to_owned(),
            Why::Ended { errors, .. } if !errors.is_empty() => errors,
            Why::Ended { status, .. } => match status.signal() {
                Some(signal) => format!("it was ended by {}", run::name_of(signal)),
                None => format!("it ended with status {}", status.code().unwrap_or_default()),
            },
        };
        let (command, folder) = (failed.command, failed.folder.display());
        Error::io(format!("git {command} failed in {folder}: {said}"))
            .state(State::NothingDone)
            .hint(format!(
                "Run \"git {command}\" there, and put right what it says"
            ))
            .object(
                failed
                    .folder
                    .file_name()
                    .unwrap_or_default()
                    .to_string_lossy(),
            )
            .into()
    }
}

/// Nothing where there is no repository to ask.
fn if_repository(answer: Result<Vec<u8>, Failed>) -> Result<Option<Vec<u8>>> {
    match answer {
        Ok(said) => Ok(Some(said)),
        Err(failed) if failed.is_without_repository() => Ok(None),
        Err(failed) => Err(failed.into()),
    }
}

/// Nothing where there is no such thing, or no repository that could have it.
fn if_object(answer: Result<Vec<u8>, Failed>) -> Result<Option<Vec<u8>>> {
    match answer {
        Err(failed) if failed.is_an_answer() => Ok(None),
        answer => if_repository(answer),
    }
}

/// The parts of an answer that NUL bytes separate.
fn parts(answer: &[u8]) -> impl Iterator<Item = &[u8]> {
    answer
        .split(|byte| *byte == 0)
        .filter(|part| !part.is_empty())
}

/// An answer of one line.
fn line(mut answer: Vec<u8>) -> Vec<u8> {
    if answer.last() == Some(&b'\n') {
        answer.pop();
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changed_is_read_with_its_odd_names() {
        let status = b"# branch.oid abc\x001 .M N... 100644 100644 100644 a a a b\n c\x002 R. N... 1 1 1 h h R100 new name\x001 old\x00? ?x\x00";
        let names = ["a b\n c", "new name", "?x"].map(|name| name.as_bytes().to_vec());
        assert_eq!(changed(status), names);
    }

    #[test]
    fn a_folder_of_a_commit_is_not_made_through_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(outside.path(), folder.path().join("a")).unwrap();
        assert!(folder_within(folder.path(), b"a/b").is_err());
        assert!(folder_within(folder.path(), b"b/c").is_ok());
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
    }
}
