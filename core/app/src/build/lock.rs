//! One build at a time in a cache: a lock on a file in it, which the kernel lets go with the process
//! that holds it, however that ends.

use super::{Cancel, Result, disk::At};
use remy_db::{Error, State};
use rustix::fs::{Mode, OFlags};
use std::{
    fs::{File, TryLockError},
    io,
    os::unix::fs::MetadataExt,
    path::Path,
    thread,
    time::{Duration, Instant},
};

/// How long a build waits for another one in silence.
const SILENCE: Duration = Duration::from_secs(1);
/// How long it waits at all: longer than most installs and web builds take.
pub const LIMIT: Duration = Duration::from_secs(10 * 60);
const PAUSE: Duration = Duration::from_millis(20);

/// The cache, held until dropped.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing it would not do: a process that was forked meanwhile has the descriptor, too.
        let _ = self.file.unlock();
    }
}

impl Lock {
    /// Waits for the lock of `cache`, a folder that is there, for at most `limit`. Where that takes
    /// longer than a second, `on_wait` is told so, once.
    ///
    /// Fails with `busy` when the limit is reached or the build is called off, and with `io` where
    /// the file of the lock belongs to somebody else.
    pub fn take(
        cache: &Path,
        limit: Duration,
        cancel: Cancel<'_>,
        on_wait: &dyn Fn(),
    ) -> Result<Self> {
        let began = Instant::now();
        let mut is_told = false;
        loop {
            cancel.check()?;
            let file = open(cache)?;
            match file.try_lock() {
                Ok(()) if is_of(&file, cache) => return Ok(Self { file }),
                // The cache was removed, and made again.
                Ok(()) => continue,
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(e)) => return Err(e).at("locking", cache),
            }
            if began.elapsed() >= limit {
                return Err(busy(cache, limit).into());
            }
            if !is_told && began.elapsed() >= SILENCE {
                is_told = true;
                on_wait();
            }
            thread::sleep(PAUSE);
        }
    }
}

fn busy(cache: &Path, limit: Duration) -> Error {
    let minutes = limit.as_secs() / 60;
    Error::busy(format!(
        "another build has held {} for {minutes} minutes",
        cache.display()
    ))
    .state(State::DatabaseUnchanged)
    .hint("Wait for it to end, or end it, and start again")
    .object(cache.display().to_string())
}

const NAME: &str = "lock";

/// The file of the lock. Nobody else may have put it there: whoever holds it holds builds up.
fn open(cache: &Path) -> Result<File> {
    let path = cache.join(NAME);
    let folder = File::open(cache).at("opening", cache)?;
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let user = rustix::process::geteuid();
    let owner = folder.metadata().at("looking at", cache)?.uid();
    let make = flags | OFlags::CREATE | OFlags::EXCL;
    let made = rustix::fs::openat(&folder, NAME, make, Mode::RUSR | Mode::WUSR);
    let file = match made {
        Ok(file) => {
            let file = File::from(file);
            if user.is_root() && owner != 0 {
                // Whose app it is builds there, too.
                let whose = Some(rustix::fs::Uid::from_raw(owner));
                rustix::fs::fchown(&file, whose, None)
                    .map_err(io::Error::from)
                    .at("setting the owner of", &path)?;
            }
            file
        }
        Err(rustix::io::Errno::EXIST) => {
            let there = rustix::fs::openat(&folder, NAME, flags, Mode::empty());
            File::from(there.map_err(io::Error::from).at("opening", &path)?)
        }
        Err(e) => return Err(io::Error::from(e)).at("making", &path),
    };
    let found = file.metadata().at("looking at", &path)?;
    if found.is_file() && (found.uid() == user.as_raw() || found.uid() == owner) {
        return Ok(file);
    }
    let error = Error::io(format!("{} is not remy's", path.display()))
        .state(State::NothingDone)
        .hint("Find out who put it there, and remove it")
        .object(path.display().to_string());
    Err(error.into())
}

/// Whether the file is still the one in the cache.
fn is_of(file: &File, cache: &Path) -> bool {
    let there = cache.join(NAME).symlink_metadata();
    match (file.metadata(), there) {
        (Ok(held), Ok(there)) => (held.dev(), held.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        cell::Cell,
        fs,
        sync::atomic::{AtomicBool, Ordering},
    };

    fn take(cache: &Path, limit: Duration, on_wait: &dyn Fn()) -> Result<Lock> {
        Lock::take(cache, limit, Cancel::new(&AtomicBool::new(false)), on_wait)
    }

    #[test]
    fn a_build_that_waits_says_so_once_and_is_busy_at_its_limit() {
        let cache = tempfile::tempdir().unwrap();
        let told = Cell::new(0);
        let count = || told.set(told.get() + 1);
        let held = take(cache.path(), Duration::ZERO, &count).unwrap();
        let early = take(cache.path(), Duration::ZERO, &count).unwrap_err();
        assert_eq!((early.error().code(), told.get()), ("busy", 0));
        let late = take(cache.path(), Duration::from_millis(1200), &count).unwrap_err();
        assert_eq!((late.error().code(), told.get()), ("busy", 1));
        drop(held);
        assert!(take(cache.path(), Duration::ZERO, &count).is_ok());
    }

    #[test]
    fn a_build_that_waits_can_be_called_off() {
        let cache = tempfile::tempdir().unwrap();
        let _held = take(cache.path(), Duration::ZERO, &|| ()).unwrap();
        let off = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(Duration::from_millis(100));
                off.store(true, Ordering::Relaxed);
            });
            let refused = Lock::take(cache.path(), LIMIT, Cancel::new(&off), &|| ());
            assert!(refused.unwrap_err().to_string().contains("called it off"));
        });
    }

    #[test]
    fn what_somebody_put_in_its_place_is_neither_followed_nor_waited_for() {
        let cache = tempfile::tempdir().unwrap();
        let path = cache.path().join(NAME);
        let outside = cache.path().join("outside");
        fs::write(&outside, "x").unwrap();
        std::os::unix::fs::symlink(&outside, &path).unwrap();
        let error = take(cache.path(), Duration::ZERO, &|| ()).unwrap_err();
        assert_eq!(error.error().code(), "io");
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(take(cache.path(), Duration::ZERO, &|| ()).is_err());
        fs::remove_dir(&path).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &path,
            rustix::fs::FileType::Fifo,
            Mode::RWXU,
            0,
        )
        .unwrap();
        let pipe = take(cache.path(), Duration::ZERO, &|| ()).unwrap_err();
        assert!(pipe.to_string().contains("lock is not remy's"), "{pipe}");
    }

    #[test]
    fn a_cache_that_is_made_again_meanwhile_is_what_is_held() {
        let cache = tempfile::tempdir().unwrap();
        let _old = take(cache.path(), Duration::ZERO, &|| ()).unwrap();
        fs::remove_file(cache.path().join(NAME)).unwrap();
        let _new = take(cache.path(), Duration::ZERO, &|| ()).unwrap();
        let third = take(cache.path(), Duration::ZERO, &|| ()).unwrap_err();
        assert_eq!(third.error().code(), "busy");
    }
}
