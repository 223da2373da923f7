//! Files on this machine, as a build reads, copies and writes them.

use super::{Cancel, Result};
use crate::AppError;
use remy_db::{Error, State};
use std::{
    fs, io,
    num::NonZero,
    path::{Component, Path, PathBuf},
    sync::{Mutex, PoisonError},
    thread,
};

/// What failed at which path, as an error of the contract.
pub trait At<T> {
    /// `doing` is what was being done, in words that read on to the path: `"reading"`.
    fn at(self, doing: &str, path: &Path) -> Result<T>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, doing: &str, path: &Path) -> Result<T> {
        self.map_err(|e| failed(&e, doing, path))
    }
}

/// What failed at which path, where nothing of the database was touched.
pub(crate) fn failed(e: &io::Error, doing: &str, path: &Path) -> AppError {
    let error = failed_at(e, doing, path);
    error.state(State::DatabaseUnchanged).into()
}

/// What failed at which path. What state things are in is the caller's to say.
pub(crate) fn failed_at(e: &io::Error, doing: &str, path: &Path) -> Error {
    let error = Error::io(format!("{doing} {}: {}", path.display(), reason(e)))
        .object(path.display().to_string());
    match hint(e.kind()) {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// Why a call of the system failed: `permission denied (EACCES)`.
pub fn reason(e: &io::Error) -> String {
    const NAMES: [(i32, &str); 17] = [
        (libc::EPERM, "EPERM"),
        (libc::ENOENT, "ENOENT"),
        (libc::EIO, "EIO"),
        (libc::EACCES, "EACCES"),
        (libc::EBUSY, "EBUSY"),
        (libc::EEXIST, "EEXIST"),
        (libc::EXDEV, "EXDEV"),
        (libc::ENOTDIR, "ENOTDIR"),
        (libc::EISDIR, "EISDIR"),
        (libc::EMFILE, "EMFILE"),
        (libc::EFBIG, "EFBIG"),
        (libc::ENOSPC, "ENOSPC"),
        (libc::EROFS, "EROFS"),
        (libc::ENAMETOOLONG, "ENAMETOOLONG"),
        (libc::ENOTEMPTY, "ENOTEMPTY"),
        (libc::ELOOP, "ELOOP"),
        (libc::EDQUOT, "EDQUOT"),
    ];
    let text = e.to_string();
    let Some(code) = e.raw_os_error() else {
        return text;
    };
    let words = match code {
        libc::EISDIR => "illegal operation on a directory".to_owned(),
        _ => {
            let said = text.split(" (os error ").next().unwrap_or(&text);
            let mut letters = said.chars();
            let first = letters.next().map(|first| first.to_ascii_lowercase());
            first.into_iter().chain(letters).collect()
        }
    };
    match NAMES.iter().find(|(known, _)| *known == code) {
        Some((_, name)) => format!("{words} ({name})"),
        None => format!("{words} (error {code} of the system)"),
    }
}

/// What to do about an error of the system.
fn hint(kind: io::ErrorKind) -> Option<&'static str> {
    use io::ErrorKind as Kind;
    Some(match kind {
        Kind::PermissionDenied | Kind::ReadOnlyFilesystem => {
            "Give this user the right to do that, or use another path"
        }
        Kind::StorageFull | Kind::QuotaExceeded => {
            "Free some space, or prune old releases, and try again"
        }
        Kind::NotFound
        | Kind::NotADirectory
        | Kind::IsADirectory
        | Kind::AlreadyExists
        | Kind::InvalidFilename => "Check that path",
        _ => return None,
    })
}

/// Whether something is at `path`, if only a link that leads nowhere.
pub fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// `path` from the root of this machine, without `.` and `..`, as far as that can be told without
/// looking: no link is followed.
pub fn lexical(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in std::path::absolute(path)
        .as_deref()
        .unwrap_or(path)
        .components()
    {
        match part {
            Component::ParentDir => {
                plain.pop();
            }
            part => plain.push(part),
        }
    }
    plain
}

/// `path` as it is seen from `folder`: `.` for the folder itself. Both are as [`lexical`] has them.
pub fn relative(folder: &Path, path: &Path) -> PathBuf {
    let pairs = folder.components().zip(path.components());
    let common = pairs.take_while(|(a, b)| a == b).count();
    let up = folder
        .components()
        .skip(common)
        .map(|_| Component::ParentDir);
    let seen: PathBuf = up.chain(path.components().skip(common)).collect();
    if seen.as_os_str().is_empty() {
        return PathBuf::from(".");
    }
    seen
}

/// Copies a file with its mode; as a reflink, where the disk can.
pub fn copy(from: &Path, to: &Path) -> Result<u64> {
    fs::copy(from, to).at("copying", from)
}

/// Writes a file so that it is there whole or not at all, and makes the folders above it.
pub fn write_whole(path: &Path, content: &[u8]) -> Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).at("making the folder", folder)?;
    }
    let new = path.with_added_extension("new");
    fs::write(&new, content).at("writing", &new)?;
    fs::rename(&new, path).at("moving", &new)
}

/// Brings all to the disk that was written before on the file system of a folder. An install has tens of thousands of files: one by one each would cost a commit of
/// the file system's.
pub fn settle(folder: &Path) -> Result<()> {
    let opened = fs::File::open(folder).at("opening", folder)?;
    rustix::fs::syncfs(&opened)
        .map_err(io::Error::from)
        .at("syncing the disk of", folder)
}

/// The hash of what a file holds, as of [`hash`].
pub fn hash_of(path: &Path) -> Result<String> {
    let mut hash = blake3::Hasher::new();
    let read = fs::File::open(path).and_then(|file| hash.update_reader(file).map(drop));
    read.at("reading", path)?;
    Ok(hash.finalize().to_hex().to_string())
}

/// Removes what is at `path`, whatever it is; nothing is fine.
pub fn remove(path: &Path) -> Result<()> {
    let removed = match path.symlink_metadata() {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(e) => Err(e),
    };
    match removed {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(failed(&e, "removing", path)),
        _ => Ok(()),
    }
}

/// The hash of a content, in hexadecimal digits.
pub fn hash(content: impl AsRef<[u8]>) -> String {
    blake3::hash(content.as_ref()).to_hex().to_string()
}

/// Does `work` for each of `all`, a few at once, on as many threads as the machine has processors.
/// Returns what came of each, in the order of `all`; the first failure ends it.
pub fn together<T: Send, R: Send>(
    all: impl IntoIterator<Item = T>,
    cancel: Cancel<'_>,
    work: impl Fn(T) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    let all: Vec<T> = all.into_iter().collect();
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    if all.len() < 2 || threads < 2 {
        return all
            .into_iter()
            .map(|one| cancel.check().and_then(|()| work(one)))
            .collect();
    }
    let rest = Mutex::new(all.into_iter().enumerate());
    let done = Mutex::new(Ok(Vec::new()));
    let worker = || {
        loop {
            let next = rest.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((place, one)) = next else { return };
            let result = cancel.check().and_then(|()| work(one));
            let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
            match (&mut *done, result) {
                (Ok(all), Ok(result)) => all.push((place, result)),
                (Ok(_), Err(e)) => *done = Err(e),
                (Err(_), _) => return,
            }
        }
    };
    thread::scope(|scope| {
        // Where a thread is refused, this one does it all.
        for _ in 1..threads {
            let _ = thread::Builder::new().spawn_scoped(scope, worker);
        }
        worker();
    });
    let mut done: Vec<(usize, R)> = done.into_inner().unwrap_or_else(PoisonError::into_inner)?;
    done.sort_by_key(|(place, _)| *place);
    Ok(done.into_iter().map(|(_, result)| result).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;

    #[test]
    fn what_is_done_together_comes_in_order_and_a_failure_ends_it() {
        let never = AtomicBool::new(false);
        let twice = together(0..500, Cancel::new(&never), |n| Ok(2 * n));
        assert!(twice.is_ok_and(|all| all.iter().enumerate().all(|(at, n)| *n == 2 * at)));
        let fails = together(0..500, Cancel::new(&never), |n| match n {
            77 => Err(Error::io("77").into()),
            n => Ok(n),
        });
        assert!(fails.is_err_and(|e: AppError| e.error().code() == "io"));
    }

    #[test]
    fn a_path_is_seen_from_a_folder() {
        let seen = |from: &str, to: &str| relative(Path::new(from), &lexical(Path::new(to)));
        assert_eq!(seen("/a/b", "/a/b"), Path::new("."));
        assert_eq!(seen("/a/b", "/a/./x/../b/c"), Path::new("c"));
        assert_eq!(seen("/a/b", "/a/bc/d"), Path::new("../bc/d"));
        assert_eq!(lexical(Path::new("/../a/../..")), Path::new("/"));
    }

    #[test]
    fn an_error_of_the_system_is_told_with_its_name() {
        let told = |code| reason(&io::Error::from_raw_os_error(code));
        assert_eq!(told(libc::EACCES), "permission denied (EACCES)");
        assert_eq!(
            told(libc::EISDIR),
            "illegal operation on a directory (EISDIR)"
        );
        assert_eq!(told(libc::ENOSPC), "no space left on device (ENOSPC)");
    }

    #[test]
    fn an_error_of_the_system_says_what_was_done_to_which_path_and_what_to_do() {
        let full = io::Error::from_raw_os_error(libc::ENOSPC);
        let told = failed(&full, "copying", Path::new("a")).to_string();
        assert_eq!(
            told,
            "copying a: no space left on device (ENOSPC). The database is as it was. \
             Free some space, or prune old releases, and try again"
        );
    }

    #[test]
    fn a_build_that_is_called_off_does_no_more() {
        let now = AtomicBool::new(true);
        let none = together(0..3, Cancel::new(&now), Ok);
        assert!(none.is_err_and(|e| e.error().code() == "busy"));
    }
}
