//! Tells when a file changes that may be of an app's source. The system tells it (inotify), which needs
//! no rights. What is of the source, and what of it differs, the next build says: here it is enough
//! never to miss a change, and not to be woken by what a build, a database or an install writes.

use super::{
    Cancel, Result,
    disk::At,
    ignored,
    private::is_private,
    source::{LeftOut, Wanted},
};
use remy_db::{Error, State};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags},
    io::Errno,
};
use std::{
    collections::BTreeMap,
    ffi::OsStr,
    io,
    mem::MaybeUninit,
    os::{fd::OwnedFd, unix::ffi::OsStrExt as _},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// How long nothing may change until what did is one change: an editor saves by several calls, and
/// whoever formats a folder writes file after file.
const QUIET: Duration = Duration::from_millis(30);

/// The longest that is waited for that.
const LONGEST: Duration = Duration::from_millis(500);

/// How often it is asked whether the caller calls it off.
const TURN: Duration = Duration::from_millis(50);

/// What is watched, and by what.
type Watched = (OwnedFd, BTreeMap<i32, Vec<u8>>);

/// The folders of an app's source, watched.
pub struct Changes {
    root: PathBuf,
    left_out: LeftOut,
    inotify: OwnedFd,
    /// What is watched, seen from `root`, with a slash behind it; the empty path is `root` itself.
    folders: BTreeMap<i32, Vec<u8>>,
}

impl Changes {
    /// Watches the folder `root`, but for what belongs to the database `live`.
    ///
    /// Fails with `io` where the system does not watch so many folders for this user.
    pub fn watch(root: &Path, live: &Path) -> Result<Self> {
        let root = root.canonicalize().at("looking for", root)?;
        let left_out = LeftOut::of(
            &root,
            &Wanted {
                root: root.clone(),
                commit: None,
                live: Some(live.to_owned()),
                without: Vec::new(),
                without_commit: true,
            },
        );
        let (inotify, folders) = watched(&root, &left_out)?;
        Ok(Self {
            root,
            left_out,
            inotify,
            folders,
        })
    }

    /// Waits until something has changed since the last time, and then for a moment in which nothing
    /// does; for `limit` at most, where there is one. Returns false once the caller has called it off.
    pub fn wait(&mut self, limit: Option<Duration>, cancel: Cancel<'_>) -> Result<bool> {
        let began = Instant::now();
        let mut changed: Option<Instant> = None;
        while !cancel.is_set() {
            let turn = changed.map_or(TURN, |_| QUIET);
            let is_told = self.is_told(turn)?;
            if is_told && self.read()? {
                changed.get_or_insert_with(Instant::now);
            }
            let is_over = match changed {
                Some(since) => !is_told || since.elapsed() >= LONGEST,
                None => limit.is_some_and(|limit| began.elapsed() >= limit),
            };
            if is_over {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Waits for the system to tell something.
    fn is_told(&self, turn: Duration) -> Result<bool> {
        let limit = Timespec {
            tv_sec: 0,
            tv_nsec: turn.as_nanos().try_into().unwrap_or_default(),
        };
        let mut it = [PollFd::new(&self.inotify, PollFlags::IN)];
        match poll(&mut it, Some(&limit)) {
            Ok(told) => Ok(told > 0),
            Err(Errno::INTR) => Ok(false),
            Err(e) => Err(io::Error::from(e)).at("watching", &self.root),
        }
    }

    /// Reads what there is. Returns whether any of it may be of the source.
    fn read(&mut self) -> Result<bool> {
        let (mut is_changed, mut is_moved) = (false, false);
        let mut room = [MaybeUninit::uninit(); 16 * 1024];
        let mut events = Reader::new(&self.inotify, &mut room);
        loop {
            match events.next() {
                Err(Errno::WOULDBLOCK) => break,
                Err(Errno::INTR) => {}
                Err(e) => return Err(io::Error::from(e)).at("watching", &self.root),
                Ok(event) => {
                    let kinds = event.events();
                    if kinds.contains(ReadFlags::QUEUE_OVERFLOW) {
                        (is_changed, is_moved) = (true, true);
                        continue;
                    }
                    let name = event.file_name().map_or(&b""[..], |name| name.to_bytes());
                    let Some(folder) = self.folders.get(&event.wd()) else {
                        continue;
                    };
                    let path = [folder, name].concat();
                    // A folder that goes is told of by the one that it is in; the app's own is in none.
                    let is_of_itself = name.is_empty() && !folder.is_empty();
                    if !is_of_itself && !is_private(&path) && !self.left_out.has(&path) {
                        is_changed = true;
                        is_moved |= kinds.intersects(ReadFlags::ISDIR | ReadFlags::IGNORED);
                    }
                }
            }
        }
        // Folders that came are watched before a build reads them: what changes then is told.
        if is_moved {
            (self.inotify, self.folders) = watched(&self.root, &self.left_out)?;
        }
        Ok(is_changed)
    }
}

/// Watches all folders of a source. A folder may go while they are listed: then they are listed again.
fn watched(root: &Path, left_out: &LeftOut) -> Result<Watched> {
    const TRIES: usize = 5;
    let mut tries = (1..TRIES).filter_map(|_| watch_all(root, left_out).ok());
    tries.next().map_or_else(|| watch_all(root, left_out), Ok)
}

fn watch_all(root: &Path, left_out: &LeftOut) -> Result<Watched> {
    let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK);
    let inotify = inotify.map_err(|e| refused(root, e))?;
    let kinds = WatchFlags::CREATE
        | WatchFlags::CLOSE_WRITE
        | WatchFlags::MOVED_FROM
        | WatchFlags::MOVED_TO
        | WatchFlags::DELETE
        | WatchFlags::ATTRIB
        | WatchFlags::ONLYDIR
        | WatchFlags::DONT_FOLLOW;
    let mut folders = BTreeMap::new();
    let mut add = |below: &[u8]| match inotify::add_watch(
        &inotify,
        root.join(OsStr::from_bytes(below)),
        kinds,
    ) {
        Ok(number) => {
            folders.insert(number, below.to_vec());
            Ok(true)
        }
        // It has gone meanwhile, which the folder that it was in tells.
        Err(Errno::NOENT | Errno::NOTDIR) if !below.is_empty() => Ok(false),
        Err(e) => Err(refused(root, e)),
    };
    // Before a folder is listed it is watched: what comes into it meanwhile is told.
    ignored::walk_folders(
        root,
        &mut |below| match left_out.has(without_slash(below)) {
            true => Ok(false),
            false => add(below),
        },
    )?;
    Ok((inotify, folders))
}

fn without_slash(below: &[u8]) -> &[u8] {
    below.strip_suffix(b"/").unwrap_or(below)
}

fn refused(root: &Path, e: Errno) -> crate::AppError {
    let shown = root.display().to_string();
    let why = io::Error::from(e);
    let error = match e {
        Errno::NOSPC | Errno::MFILE => Error::io(format!(
            "{shown} cannot be watched: this user watches as much as the system allows"
        ))
        .hint("Raise fs.inotify.max_user_watches and fs.inotify.max_user_instances (sysctl), or end other programs that watch folders"),
        _ => Error::io(format!("watching {shown}: {}", super::disk::reason(&why))),
    };
    error.state(State::NothingDone).object(shown).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        fs,
        sync::atomic::{AtomicBool, Ordering},
        thread,
    };

    fn app(files: &[&str]) -> tempfile::TempDir {
        let app = tempfile::tempdir().unwrap();
        for file in files {
            let path = app.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x").unwrap();
        }
        app
    }

    fn watch(app: &tempfile::TempDir) -> Changes {
        Changes::watch(app.path(), &app.path().join("app.db")).unwrap()
    }

    /// Whether something has changed.
    fn is_changed(changes: &mut Changes) -> bool {
        let never = AtomicBool::new(false);
        let began = Instant::now();
        let limit = Duration::from_millis(400);
        changes.wait(Some(limit), Cancel::new(&never)).unwrap();
        // Without a change it waits for the limit.
        began.elapsed() < limit
    }

    #[test]
    fn what_becomes_of_a_source_file_is_told_once() {
        let app = app(&["src/a.ts", "src/deep/b.ts"]);
        let at = |path: &str| app.path().join(path);
        let mut changes = watch(&app);
        assert!(!is_changed(&mut changes));
        let all: [(&str, &dyn Fn()); 8] = [
            ("written", &|| fs::write(at("src/a.ts"), "y").unwrap()),
            ("written deep", &|| {
                fs::write(at("src/deep/b.ts"), "y").unwrap()
            }),
            ("saved over by a rename", &|| {
                fs::write(at("src/a.ts~"), "z").unwrap();
                fs::rename(at("src/a.ts~"), at("src/a.ts")).unwrap();
            }),
            ("made in a new folder", &|| {
                fs::create_dir_all(at("src/new/er")).unwrap();
                fs::write(at("src/new/er/c.ts"), "x").unwrap();
            }),
            ("written in the new folder", &|| {
                fs::write(at("src/new/er/c.ts"), "y").unwrap();
            }),
            ("moved with its folder", &|| {
                fs::rename(at("src/new"), at("src/newer")).unwrap();
            }),
            ("written where it was moved", &|| {
                fs::write(at("src/newer/er/c.ts"), "z").unwrap();
            }),
            ("removed with its folder", &|| {
                fs::remove_dir_all(at("src/newer")).unwrap();
            }),
        ];
        for (what, change) in all {
            change();
            assert!(is_changed(&mut changes), "{what}");
            assert!(!is_changed(&mut changes), "{what}, once");
        }
    }

    #[test]
    fn what_is_no_source_wakes_nobody() {
        let app = app(&[
            "a.ts",
            "node_modules/x/i.js",
            ".remy/cache/x",
            ".git/index",
            "built/x.js",
        ]);
        fs::write(app.path().join(".gitignore"), "built/\n").unwrap();
        let mut changes = watch(&app);
        for file in [
            "node_modules/x/i.js",
            "node_modules/new.js",
            ".remy/cache/x",
            ".git/index",
            ".env",
            "built/x.js",
            "app.db",
            "app.db-wal",
        ] {
            fs::write(app.path().join(file), "y").unwrap();
        }
        fs::create_dir_all(app.path().join("app.db-remy/dev")).unwrap();
        fs::create_dir_all(app.path().join("node_modules/y/z")).unwrap();
        assert!(!is_changed(&mut changes));
        fs::write(app.path().join("a.ts"), "y").unwrap();
        assert!(is_changed(&mut changes));
    }

    #[test]
    fn it_can_be_called_off() {
        let app = app(&["a.ts"]);
        let mut changes = watch(&app);
        let off = AtomicBool::new(false);
        let is_going_on = thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(Duration::from_millis(100));
                off.store(true, Ordering::Relaxed);
            });
            changes.wait(None, Cancel::new(&off)).unwrap()
        });
        assert!(!is_going_on);
    }
}
