//! Clones: byte-exact copies of live as of one committed transaction, taken while others write.
//!
//! "Begin, read, copy main file and WAL" mixes two points in time and passes `integrity_check`: a
//! reader on read mark 0 does not keep the WAL from being restarted. So a clone is taken under a
//! [`ReadPin`]: a transaction whose mark says how many frames of the WAL count. The frames are
//! applied to the clone, which is then one file without a WAL.

use crate::{
    base::{
        error::{Context, Error, Result},
        progress::Progress,
    },
    live::database::Live,
    os::{copy::CopyMethod, files},
    sqlite::{
        calls,
        wal::{Frames, Wal},
    },
    switch::{
        live_copy,
        read_mark::{Mark, PinnedAt, ReadPin, read_by},
    },
};
use std::{
    fs::File,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

/// A copy of live, in one file.
#[derive(Debug)]
pub(super) struct CloneFile {
    pub(super) path: PathBuf,
    file: File,
    pub(super) page_size: u32,
    at: PinnedAt,
    /// `reflink` or `copy`.
    pub(super) method: CopyMethod,
}

/// How far a clone is behind a pin.
pub(super) enum Behind {
    /// Nobody has committed.
    No,
    /// These frames are all that changed.
    Frames(Wal, Frames),
    /// The WAL was restarted: only comparing tells.
    Unknown,
}

impl CloneFile {
    /// Copies what `pin` holds into `path`, which must not be there, ends its transaction, and
    /// syncs the copy and its folder.
    pub(super) fn take(
        live: &Live,
        pin: ReadPin<'_>,
        path: &Path,
        progress: Progress<'_>,
    ) -> Result<Self> {
        let file = files::create_with_owner_of(&live.path, path)?;
        let clone = Self::fill(live, pin, path, file, progress);
        clone
            .and_then(|clone| files::sync_name(path).map(|()| clone))
            .inspect_err(|_| {
                let _ = files::remove_if_there(path);
            })
    }

    /// As [`CloneFile::take`], into a file that was made for it, and that whoever reads live need
    /// not be able to reach. Its name is not synced.
    pub(super) fn fill(
        live: &Live,
        pin: ReadPin<'_>,
        path: &Path,
        file: File,
        progress: Progress<'_>,
    ) -> Result<Self> {
        let at = pin.at;
        let page_size: u32 = calls::pragma(pin.conn(), "page_size")?;
        let bytes = u64::from(at.pages) * u64::from(page_size);
        let method = live_copy::main_file(live, pin.conn(), &file, path, bytes, progress)?;
        let mut clone = Self {
            path: path.to_owned(),
            file,
            page_size,
            at,
            method,
        };
        if let Some((wal, frames)) = read_by(live, at.mark)? {
            clone.write(&wal, &frames)?;
        }
        clone.set_length()?;
        // Live has been read. The disk may take longer than that, and nobody's checkpoint needs to
        // wait for it.
        drop(pin);
        clone.sync()?;
        Ok(clone)
    }

    /// Whether the clone holds what this very transaction reads. Equal marks do not say so: a
    /// wal-index that was recovered may have none twice, with commits in between.
    pub(super) fn is_at(&self, pinned: PinnedAt) -> bool {
        self.at.transaction == pinned.transaction
    }

    /// Whether the clone was taken, or caught up, at the mark that is pinned.
    pub(super) fn has_mark(&self, pinned: PinnedAt) -> bool {
        self.at.mark == pinned.mark
    }

    /// How many pages it has.
    pub(super) fn pages(&self) -> u32 {
        self.at.pages
    }

    pub(super) fn bytes(&self) -> u64 {
        u64::from(self.at.pages) * u64::from(self.page_size)
    }

    /// How far the clone is behind what is pinned `now`.
    ///
    /// `pinned` says that a transaction has read what the clone holds ever since, so that the WAL
    /// cannot have been restarted unseen. Without it a mark of 0, or none, may hide any number of
    /// commits.
    pub(super) fn behind(&self, live: &Live, now: PinnedAt, pinned: bool) -> Result<Behind> {
        let from = match (self.at.mark, now.mark) {
            (Mark::Counter(then), Mark::Counter(now)) if then == now => return Ok(Behind::No),
            (Mark::NoWal, Mark::NoWal) if pinned => return Ok(Behind::No),
            (Mark::NoWal, Mark::Wal { .. }) if pinned => 0,
            (
                Mark::Wal {
                    salts: then,
                    frames,
                },
                Mark::Wal { salts, .. },
            ) if then == salts && (frames > 0 || pinned) => frames,
            _ => return Ok(Behind::Unknown),
        };
        let Mark::Wal { salts, frames: to } = now.mark else {
            return Ok(Behind::Unknown);
        };
        if from == to {
            return Ok(Behind::No);
        }
        match Wal::open(&live.path)? {
            Some(wal) if wal.salts() == salts => {
                let frames = wal.frames(from, to)?;
                Ok(Behind::Frames(wal, frames))
            }
            _ => Ok(Behind::Unknown),
        }
    }

    /// Brings the clone to what `pin` holds, and returns the pages that changed. A connection that
    /// is open on the clone, and its WAL, are stale where they have to do with any of them: then
    /// both have to go.
    pub(super) fn catch_up(
        &mut self,
        live: &Live,
        pin: &ReadPin<'_>,
        behind: &Behind,
    ) -> Result<Vec<u32>> {
        let now = pin.at;
        if !matches!(behind, Behind::No) {
            live.same_page_size(pin.conn(), self.page_size)?;
        }
        let changed = match behind {
            Behind::No => return Ok(Vec::new()),
            Behind::Frames(wal, frames) => {
                self.at = now;
                self.write(wal, frames)?;
                frames.pages().collect()
            }
            Behind::Unknown => {
                self.at = now;
                live_copy::differing(
                    live,
                    pin.conn(),
                    &self.path,
                    self.page_size,
                    now.pages,
                    || read_by(live, now.mark),
                )?
            }
        };
        self.set_length()?;
        Ok(changed)
    }

    /// Writes the pages that frames hold.
    fn write(&mut self, wal: &Wal, frames: &Frames) -> Result<()> {
        let mut page = vec![0; self.page_size as usize];
        for number in frames.pages().filter(|&number| number <= self.at.pages) {
            let frame = frames
                .frame(number)
                .ok_or_else(|| Error::internal("a page without its frame"))?;
            wal.page(frame, &mut page)?;
            self.file
                .write_all_at(&page, u64::from(number - 1) * u64::from(self.page_size))
                .context(|| format!("writing {}", self.path.display()))?;
        }
        Ok(())
    }

    /// The schema cookie of the clone, as its first page has it.
    pub(super) fn schema_cookie(&self) -> Result<i64> {
        let mut cookie = [0; 4];
        self.file
            .read_exact_at(&mut cookie, 40)
            .context(|| format!("reading {}", self.path.display()))?;
        Ok(i32::from_be_bytes(cookie).into())
    }

    /// Says in the file that it is journaled by a WAL, as the overlay that it is part of needs. Not
    /// byte-exact any more: the snapshot says 1 there, whatever live says.
    pub(super) fn put_into_wal_mode(&self) -> Result<()> {
        if self.at.pages == 0 {
            // A dry run, which adopts nothing: SQLite makes the first page.
            let doing = || format!("writing the first page of {}", self.path.display());
            let conn = rusqlite::Connection::open(&self.path).context(doing)?;
            return conn
                .query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))
                .context(doing);
        }
        self.file
            .write_all_at(&[2, 2], 18)
            .context(|| format!("writing {}", self.path.display()))
    }

    fn set_length(&self) -> Result<()> {
        self.file
            .set_len(self.bytes())
            .context(|| format!("setting the length of {}", self.path.display()))
    }

    pub(super) fn sync(&self) -> Result<()> {
        self.file
            .sync_data()
            .context(|| format!("syncing {}", self.path.display()))
    }

    /// The clone's file, for reading pages of it and for syncing it on another thread.
    pub(super) fn file(&self) -> &File {
        &self.file
    }
}

#[cfg(all(test, feature = "engine"))]
mod tests {
    use super::*;
    use crate::switch::read_mark::Reader;
    use std::fs::OpenOptions;

    /// Makes the next transaction of any connection read the WAL anew, as a writer does that dies
    /// inside its commit.
    fn damage_wal_index(live: &Path) {
        let shm = OpenOptions::new()
            .write(true)
            .open(format!("{}-shm", live.display()))
            .unwrap();
        shm.write_all_at(&[0xff; 96], 0).unwrap();
    }

    #[test]
    fn no_mark_twice_is_not_the_same() {
        crate::sqlite::engine::init();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("app.db");
        let writer = rusqlite::Connection::open(&path).unwrap();
        writer
            .execute_batch(
                "PRAGMA journal_mode = wal; CREATE TABLE t (a); INSERT INTO t VALUES (1)",
            )
            .unwrap();
        drop(writer); // takes the WAL with it

        let live = Live::open(&path).unwrap();
        let reader = Reader::new(&live).unwrap();
        let pin = reader.pin().unwrap();
        let then = pin.at;
        assert_eq!(then.mark, Mark::NoWal);
        let clone =
            CloneFile::take(&live, pin, &dir.path().join("clone.db"), Progress::none()).unwrap();
        assert!(clone.is_at(then));
        assert!(matches!(
            clone.behind(&live, then, clone.is_at(then)),
            Ok(Behind::No)
        ));

        let writer = rusqlite::Connection::open(&path).unwrap();
        writer
            .execute_batch("INSERT INTO t VALUES (2); PRAGMA wal_checkpoint(TRUNCATE)")
            .unwrap();
        damage_wal_index(&path);
        let pin = reader.pin().unwrap();
        let now = pin.at;
        assert_eq!(now.mark, Mark::NoWal, "the WAL was read anew");
        assert!(!clone.is_at(now));
        assert!(matches!(
            clone.behind(&live, now, clone.is_at(now)),
            Ok(Behind::Unknown)
        ));
    }

    #[test]
    fn no_mark_without_a_wal_to_read() {
        crate::sqlite::engine::init();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("app.db");
        rusqlite::Connection::open(&path)
            .unwrap()
            .execute_batch("CREATE TABLE t (a)")
            .unwrap();
        let live = Live::open(&path).unwrap();
        // Taken for one in WAL mode, which it is not; then in no transaction.
        let reader = Reader {
            wal: true,
            ..Reader::new(&live).unwrap()
        };
        assert!(matches!(reader.pin(), Err(Error::Busy(_))));
        reader
            .conn
            .execute_batch("PRAGMA journal_mode = wal")
            .unwrap();
        assert!(matches!(reader.mark(), Err(Error::Busy(_))));
        assert_eq!(reader.pin().unwrap().at.mark, Mark::NoWal);
    }
}
