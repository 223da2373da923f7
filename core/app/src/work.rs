//! Folders to work in. Their process removes them when it is done; what one that was killed has
//! left goes when the next begins.

use crate::build::{Result, disk, disk::At};
use remy_db::internals::owner;
use serde::{Deserialize, Serialize};
use std::{
    env, fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process,
    time::{Duration, SystemTime},
};
use tempfile::TempDir;

/// Longer than any verb takes.
const DAY: Duration = Duration::from_hours(24);
/// The file in such a folder that says which process it is of.
const OWNER: &str = "owner.json";

/// Where temporary files are: as the caller's environment has it, unless root acts for another user,
/// whom root's own folder for them does not let in.
pub(crate) fn temporary() -> PathBuf {
    match owner::becoming() {
        None => env::temp_dir(),
        Some(_) => PathBuf::from("/tmp"),
    }
}

/// Makes a folder in `parent` whose name begins with `prefix`, for this process and user alone.
/// Removes first what others of that kind have left there. Others may write to `parent`, and its
/// owner may have folders of such names: one is removed if it says itself whose it is.
pub(crate) fn folder(parent: &Path, prefix: &str) -> Result<TempDir> {
    clear(parent, prefix, is_left_anywhere);
    make(parent, prefix)
}

/// As [`folder`], in a folder where all names are remy's own: those that do not say whose they are
/// go by their age.
pub(crate) fn folder_of_ours(parent: &Path, prefix: &str) -> Result<TempDir> {
    clear(parent, prefix, is_left);
    make(parent, prefix)
}

fn make(parent: &Path, prefix: &str) -> Result<TempDir> {
    let made = tempfile::Builder::new()
        .prefix(prefix)
        .tempdir_in(parent)
        .at("making a folder in", parent)?;
    // Without it, or without a /proc to ask, its age tells.
    if let Ok(owner) = Owner::of(process::id())
        && let Ok(text) = serde_json::to_vec(&owner)
    {
        let _ = fs::write(made.path().join(OWNER), text);
    }
    Ok(made)
}

/// Removes what processes that have ended left in `parent` under names that begin with `prefix`.
/// What cannot be listed or removed is in nobody's way.
fn clear(parent: &Path, prefix: &str, is_left: fn(&Path) -> bool) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let is_named_so = entry.file_name().to_string_lossy().starts_with(prefix);
        if is_named_so && is_left(&entry.path()) {
            let _ = disk::remove(&entry.path());
        }
    }
}

/// Whether nobody is at work in a folder, which is this user's alone.
fn is_left_anywhere(folder: &Path) -> bool {
    let me = owner::user();
    let found = folder.symlink_metadata();
    found.is_ok_and(|found| found.uid() == me && found.mode() & 0o077 == 0)
        && owner_of(folder).is_some()
        && is_left(folder)
}

/// Whether nobody is at work in a folder. Of a process of another machine or container its age alone
/// tells.
fn is_left(folder: &Path) -> bool {
    let Ok(found) = folder.symlink_metadata() else {
        return false;
    };
    let made = found.modified().ok();
    let age = made.and_then(|made| SystemTime::now().duration_since(made).ok());
    let is_old = age.is_some_and(|age| age > DAY);
    let was = owner_of(folder);
    let now = was.as_ref().and_then(|was| Owner::of(was.pid).ok());
    found.is_dir()
        && match (was, now) {
            (Some(was), Some(now)) if was.place == now.place => was.started != now.started,
            // One that is about to say whose it is, for one.
            _ => is_old,
        }
}

/// What a folder says of whose it is.
fn owner_of(folder: &Path) -> Option<Owner> {
    serde_json::from_slice(&fs::read(folder.join(OWNER)).ok()?).ok()
}

/// A process, told from all that have its number later or elsewhere.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Owner {
    /// The machine since it was started, and the container.
    #[serde(rename = "where")]
    place: String,
    pid: u32,
    /// Nothing of one that has ended.
    started: Option<String>,
}

impl Owner {
    fn of(pid: u32) -> io::Result<Self> {
        let machine = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
        let container = fs::read_link("/proc/self/ns/pid")?;
        Ok(Self {
            place: format!("{} {}", machine.trim(), container.display()),
            pid,
            started: started(pid)?,
        })
    }
}

/// When a process began, in the kernel's ticks since the machine was started: what tells it from
/// another one of its number. Nothing of one that has ended.
pub fn started(pid: u32) -> io::Result<Option<String>> {
    let stat = stat(pid)?;
    let has_ended = matches!(stat.first().map(String::as_str), None | Some("Z" | "X"));
    Ok(stat.into_iter().nth(19).filter(|_| !has_ended))
}

/// The fields of a process's `stat`, as the kernel has them, from the third on: the second is its
/// name, which may hold anything. None where there is no such process.
pub fn stat(pid: u32) -> io::Result<Vec<String>> {
    let stat = match fs::read_to_string(format!("/proc/{pid}/stat")) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => String::new(),
        Err(e) if e.raw_os_error() == Some(libc::ESRCH) => String::new(),
        stat => stat?,
    };
    let behind = stat.rsplit_once(") ").map_or("", |(_, behind)| behind);
    Ok(behind.split_ascii_whitespace().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs::Permissions, os::unix::fs::PermissionsExt};

    fn open_to_all() -> TempDir {
        let parent = tempfile::tempdir().unwrap();
        fs::set_permissions(parent.path(), Permissions::from_mode(0o1777)).unwrap();
        parent
    }

    /// A folder that a process left which has ended.
    fn left(parent: &Path, name: &str) -> PathBuf {
        let folder = parent.join(name);
        fs::create_dir(&folder).unwrap();
        fs::set_permissions(&folder, Permissions::from_mode(0o700)).unwrap();
        let ended = Owner {
            started: Some("1".into()),
            ..Owner::of(process::id()).unwrap()
        };
        fs::write(folder.join(OWNER), serde_json::to_vec(&ended).unwrap()).unwrap();
        folder
    }

    fn age(folder: &Path) {
        let then = SystemTime::now() - 2 * DAY;
        fs::File::open(folder).unwrap().set_modified(then).unwrap();
    }

    #[test]
    fn what_a_process_left_goes_and_one_at_work_stays() {
        let parent = open_to_all();
        let first = folder(parent.path(), "x-").unwrap();
        let gone = left(parent.path(), "x-1");
        let other = left(parent.path(), "y-1");
        let second = folder(parent.path(), "x-").unwrap();
        assert!(first.path().exists() && second.path().exists() && other.exists());
        assert!(!gone.exists());
    }

    #[test]
    fn where_not_all_names_are_remys_a_name_and_an_age_say_nothing() {
        let parent = open_to_all();
        let nameless = parent.path().join("x-old");
        fs::create_dir(&nameless).unwrap();
        fs::set_permissions(&nameless, Permissions::from_mode(0o700)).unwrap();
        let open = left(parent.path(), "x-open");
        fs::set_permissions(&open, Permissions::from_mode(0o755)).unwrap();
        let aim = left(parent.path(), "aim");
        let link = parent.path().join("x-link");
        std::os::unix::fs::symlink(&aim, &link).unwrap();
        for path in [&nameless, &open, &aim] {
            age(path);
        }
        let _next = folder(parent.path(), "x-").unwrap();
        assert!(is_left(&nameless));
        for path in [nameless, open, aim, link] {
            assert!(path.exists(), "{}", path.display());
        }
    }

    #[test]
    fn what_another_user_put_there_is_theirs() {
        if !rustix::process::geteuid().is_root() {
            println!("NOT COVERED: another user's folder, without the right to make one");
            return;
        }
        let parent = open_to_all();
        let theirs = left(parent.path(), "x-theirs");
        std::os::unix::fs::chown(&theirs, Some(65534), Some(65534)).unwrap();
        let _next = folder(parent.path(), "x-").unwrap();
        assert!(theirs.exists());
    }
}
