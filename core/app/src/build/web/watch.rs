//! Sees which files of the staged copy a build opens, whichever of its processes does, and in whatever
//! way: what was never opened was never read. The system tells it (inotify), which needs no rights;
//! where it cannot be told, nothing is concluded.
//!
//! Packages are not watched: they are of an install. That a file is asked for and not there is not
//! told either: names are a matter of their own (inputs.rs).

use crate::build::{Result, disk::At, path};
use rustix::{
    event::{PollFd, PollFlags, poll},
    fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags},
    io::Errno,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{self, Write as _},
    mem::MaybeUninit,
    os::fd::OwnedFd,
    path::Path,
    thread,
    time::SystemTime,
};

/// What is opened of an app, by paths in it.
#[derive(Debug, Default)]
pub(super) struct Opened {
    pub files: BTreeSet<String>,
    pub folders: BTreeSet<String>,
}

impl Opened {
    pub fn with(mut self, other: Self) -> Self {
        self.files.extend(other.files);
        self.folders.extend(other.folders);
        self
    }
}

/// What was seen of a build.
#[derive(Debug, Default)]
pub(super) struct Sight {
    /// Before the marked program began, or until the end where there is none.
    pub before: Opened,
    /// Whether something was written or removed by then, other than what type checks keep for
    /// themselves.
    pub wrote_before: bool,
    /// When it began.
    pub began: Option<SystemTime>,
    /// From then on.
    pub after: Opened,
    /// The system lost count, or a folder was moved under our eyes.
    is_lost: bool,
}

/// The staged copy, watched.
pub(super) struct Watch {
    inotify: OwnedFd,
    folders: BTreeMap<i32, String>,
    /// The program that is looked out for.
    marker: Option<i32>,
}

impl Watch {
    /// Watches all folders of `tree`; `marker` is a program whose begin divides what is seen. Nothing,
    /// where the system does not let it: there is a limit to how much one user watches.
    pub fn begin(tree: &Path, marker: Option<&Path>) -> Result<Option<Self>> {
        let Ok(inotify) = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK) else {
            return Ok(None);
        };
        let kinds = WatchFlags::OPEN
            | WatchFlags::CREATE
            | WatchFlags::CLOSE_WRITE
            | WatchFlags::MOVE
            | WatchFlags::DELETE
            | WatchFlags::ONLYDIR
            | WatchFlags::DONT_FOLLOW;
        let mut watch = Self {
            inotify,
            folders: BTreeMap::new(),
            marker: None,
        };
        for folder in folders_of(tree)? {
            match inotify::add_watch(&watch.inotify, tree.join(&folder), kinds) {
                Ok(number) => watch.folders.insert(number, folder),
                Err(_) => return Ok(None),
            };
        }
        if let Some(program) = marker {
            // Where that is refused, it is never seen to begin.
            watch.marker = inotify::add_watch(&watch.inotify, program, WatchFlags::OPEN).ok();
        }
        // Listing the folders opened them.
        let mut sight = Sight::default();
        watch.read(&mut sight).at("watching", tree)?;
        Ok((!sight.is_lost).then_some(watch))
    }

    /// Does `work`. Returns what came of it, and what was seen; nothing, where something may have been
    /// missed.
    pub fn during<T>(self, work: impl FnOnce() -> T) -> (T, Option<Sight>) {
        let Ok((stopped, mut stop)) = io::pipe() else {
            return (work(), None);
        };
        thread::scope(|scope| {
            // The system keeps a limited number of events until they are read.
            let reader = thread::Builder::new().spawn_scoped(scope, move || {
                let mut sight = Sight::default();
                loop {
                    let mut both = [
                        PollFd::new(&self.inotify, PollFlags::IN),
                        PollFd::new(&stopped, PollFlags::IN),
                    ];
                    match poll(&mut both, None) {
                        Ok(_) => {}
                        Err(Errno::INTR) => continue,
                        Err(_) => return None,
                    }
                    let is_over = !both[1].revents().is_empty();
                    // What ended has told all: an event is there when the call returns that made it.
                    self.read(&mut sight).ok()?;
                    if is_over {
                        return (!sight.is_lost).then_some(sight);
                    }
                }
            });
            let done = work();
            // The reader may be gone: then nothing was seen.
            let _ = stop.write_all(b".");
            drop(stop);
            let sight = reader.ok().and_then(|reader| reader.join().ok()).flatten();
            (done, sight)
        })
    }

    /// Reads what there is.
    fn read(&self, sight: &mut Sight) -> io::Result<()> {
        let mut room = [MaybeUninit::uninit(); 32 * 1024];
        let mut events = Reader::new(&self.inotify, &mut room);
        loop {
            match events.next() {
                Err(Errno::WOULDBLOCK) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(e) => return Err(e.into()),
                Ok(event) => {
                    let name = event.file_name().map(|name| name.to_string_lossy());
                    self.note(sight, event.wd(), event.events(), name.as_deref());
                }
            }
        }
    }

    fn note(&self, sight: &mut Sight, number: i32, kinds: ReadFlags, name: Option<&str>) {
        if kinds.contains(ReadFlags::QUEUE_OVERFLOW) {
            sight.is_lost = true;
            return;
        }
        if Some(number) == self.marker {
            if kinds.contains(ReadFlags::OPEN) && sight.began.is_none() {
                sight.began = Some(SystemTime::now());
            }
            return;
        }
        let Some(folder) = self.folders.get(&number) else {
            return;
        };
        let is_folder = kinds.contains(ReadFlags::ISDIR);
        let is_moved = kinds.intersects(ReadFlags::MOVED_FROM | ReadFlags::MOVED_TO);
        // A folder that is not where it was is watched under a name that is not its own.
        if is_folder && is_moved || kinds.contains(ReadFlags::UNMOUNT) {
            sight.is_lost = true;
        }
        let opened = match sight.began {
            None => &mut sight.before,
            Some(_) => &mut sight.after,
        };
        if kinds.contains(ReadFlags::OPEN) {
            match name {
                None => {
                    opened.folders.insert(folder.clone());
                }
                Some(name) if !is_folder => {
                    opened.files.insert(path::join(folder, name));
                }
                // It is watched itself, or was made by the build.
                Some(_) => {}
            }
        }
        let writes = ReadFlags::CREATE
            | ReadFlags::CLOSE_WRITE
            | ReadFlags::DELETE
            | ReadFlags::MOVED_FROM
            | ReadFlags::MOVED_TO;
        let is_own = name.is_some_and(is_of_type_check);
        if kinds.intersects(writes) && sight.began.is_none() && !is_own {
            sight.wrote_before = true;
        }
    }
}

/// Whether a file of this name is what a type check keeps for itself.
pub(super) fn is_of_type_check(name: &str) -> bool {
    name.ends_with(".tsbuildinfo")
}

/// All folders of the staged copy, but for those of packages.
fn folders_of(tree: &Path) -> Result<Vec<String>> {
    let mut all = vec![".".to_owned()];
    let mut next = 0;
    while let Some(folder) = all.get(next).cloned() {
        next += 1;
        let at = tree.join(&folder);
        for entry in fs::read_dir(&at).at("reading", &at)? {
            let entry = entry.at("reading", &at)?;
            let name = entry.file_name();
            let is_folder = entry.file_type().at("reading", &at)?.is_dir();
            if is_folder && name != "node_modules" && name != ".git" {
                all.push(path::join(&folder, &name.to_string_lossy()));
            }
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn sh(at: &Path, script: &str) {
        let done = Command::new("sh")
            .args(["-c", script])
            .current_dir(at)
            .status();
        assert!(done.unwrap().success(), "{script}");
    }

    #[test]
    fn what_any_process_opens_is_seen_before_and_after_a_program_begins() {
        let tree = tempfile::tempdir().unwrap();
        let at = tree.path();
        sh(
            at,
            "mkdir -p a/deep b node_modules/x c; echo 1 | tee a/one a/deep/two b/three b/never > node_modules/x/i; \
             ln -s ../b/three c/link; printf '#!/bin/sh\\ncat a/deep/two' > node_modules/marked; chmod +x node_modules/marked",
        );
        let marker = at.join("node_modules/marked");
        let watch = Watch::begin(at, Some(&marker)).unwrap().unwrap();
        let script = "cat a/one node_modules/x/i > /dev/null; sh -c 'cat c/link'; test -e b/never; ls c; \
                      echo > a/x.tsbuildinfo; node_modules/marked; echo > out";
        let ((), sight) = watch.during(|| sh(at, script));
        let sight = sight.unwrap();
        let files = |opened: &Opened| opened.files.iter().cloned().collect::<Vec<_>>();
        assert_eq!(
            files(&sight.before),
            ["a/one", "a/x.tsbuildinfo", "b/three"]
        );
        assert_eq!(files(&sight.after), ["a/deep/two", "out"]);
        assert!(sight.before.folders.contains("c") && !sight.before.folders.contains("b"));
        assert!(sight.began.is_some() && !sight.wrote_before);
    }

    #[test]
    fn what_is_written_before_the_program_begins_is_told() {
        let tree = tempfile::tempdir().unwrap();
        for script in [
            "echo > new",
            "mkdir new",
            "rm old",
            "mv old older",
            "echo > old",
        ] {
            sh(tree.path(), "rm -rf *; echo > old");
            let watch = Watch::begin(tree.path(), None).unwrap().unwrap();
            let ((), sight) = watch.during(|| sh(tree.path(), script));
            assert!(sight.unwrap().wrote_before, "{script}");
        }
    }

    #[test]
    fn a_folder_that_is_moved_ends_what_is_known() {
        let tree = tempfile::tempdir().unwrap();
        sh(tree.path(), "mkdir a");
        let watch = Watch::begin(tree.path(), None).unwrap().unwrap();
        assert!(watch.during(|| sh(tree.path(), "mv a b")).1.is_none());
    }
}
