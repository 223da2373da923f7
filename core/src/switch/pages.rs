//! The embedded engine, which works on live page by page. A host's SQLite has
//! [`crate::switch::backup`].
//!
//! The switch:
//!
//! 1. Rounds: the clone catches up with live, without a lock, until little is left.
//! 2. Reader A pins the last round. Writer W takes live's write lock. Reader R reads the mark: an
//!    equal one means that nobody has committed, and the rehearsed pages are the image; else the
//!    frames from A's mark to R's are what changed: the clone takes them over. Where the change has
//!    read any of these pages, the same statements run again; else it would give the same, and
//!    stays ([`crate::sqlite::vfs::read_tracker`]).
//! 3. W writes every page of the image that differs, page 1 last, and commits.
//!
//! What the order of writing and the schema cookie are about is said where they are.

use crate::{
    base::{
        clock::{self, Moment},
        error::{Context, Error, Result, State},
        history::Step,
        progress::Progress,
        remedy::OptionName,
    },
    live::database::Live,
    os::{copy::CopyMethod, files, stops::NoStops, threads},
    rehearse::questions::Looked,
    remedy,
    sqlite::{calls, deadline::Deadline, vfs::read_tracker, wal},
    store::Store,
    switch::{
        clone::{Behind, CloneFile},
        contract::{
            Committed, Conditions, SwitchEnd, SwitchFailure, SwitchMethod, Switched, Terms,
            exceeded, within,
        },
        follower::{ClonedLive, Description, Engine, Follower, Image},
        intent::Announcement,
        overlay::{ImagePages, OpenOverlay, Overlay},
        read_mark::{Mark, PinnedAt, ReadPin, Reader},
        writer::{self, SHORT, WriteLock, Writer},
    },
};
use rusqlite::Connection;
use std::{
    collections::BTreeSet,
    fs::File,
    io,
    path::Path,
    thread::{self, Scope, ScopedJoinHandle},
    time::Duration,
};

/// A round that leaves no more pages than this is the last one.
const FEW_PAGES: usize = 64;

/// Rounds before the lock is taken whatever is left.
const ROUNDS: u32 = 6;

/// How often the lock is let go at least before it is given up: because the WAL was restarted
/// before it was ours, or because the statements would take too long under it.
const TRIES: u32 = 5;

/// The engine that reads and writes pages.
pub(super) struct Pages;

impl Engine for Pages {
    fn clone_live<'l>(
        &self,
        live: &'l Live,
        _store: &Store,
        path: &Path,
        progress: Progress<'_>,
    ) -> Result<ClonedLive<'l>> {
        let reader = Reader::new(live)?;
        let clone = CloneFile::take(live, reader.pin()?, path, progress)?;
        clone.put_into_wal_mode()?;
        Ok(ClonedLive {
            overlay: self.overlay(live, path),
            follower: Box::new(PageFollower { live, clone }),
        })
    }

    fn copy_live(
        &self,
        live: &Live,
        path: &Path,
        file: File,
        progress: Progress<'_>,
    ) -> Result<(u64, CopyMethod)> {
        // The copy is the caller's, live its owner's: what lies beside live may have SQLite remove
        // a file that it names.
        let clone = live.owner.act().and_then(|_acting| {
            let reader = Reader::new(live)?;
            CloneFile::fill(live, reader.pin()?, path, file, progress)
        })?;
        files::sync_name(path)?;
        progress.check()?;
        Ok((clone.bytes(), clone.method))
    }

    fn overlay(&self, _live: &Live, path: &Path) -> Overlay {
        overlay(path)
    }

    fn overwrite(&self, target: &Live, image: &OpenOverlay, timeout: Duration) -> Result<()> {
        writer::overwrite(target, image, timeout)
    }

    fn describe(&self) -> Description {
        Description {
            engine: "embedded",
            switch: SwitchMethod::Pages,
            cost: "A switch writes the pages that changed; the pause does not grow with the database",
            weakness: None,
        }
    }
}

fn overlay(path: &Path) -> Overlay {
    Overlay::new(path, Some(read_tracker::VFS.to_owned()))
}

/// A clone that takes over the pages that others write to live.
struct PageFollower<'l> {
    live: &'l Live,
    /// Becomes the outgoing release's snapshot.
    clone: CloneFile,
}

impl Follower for PageFollower<'_> {
    fn bytes(&self) -> u64 {
        self.clone.bytes()
    }

    fn method(&self) -> CopyMethod {
        self.clone.method
    }

    fn start_over(&mut self) -> Result<Overlay> {
        let overlay = overlay(&self.clone.path);
        overlay.discard()?;
        let reader = Reader::new(self.live)?;
        let pin = reader.pin()?;
        let behind = self.clone.behind(self.live, pin.at, false)?;
        self.clone.catch_up(self.live, &pin, &behind)?;
        drop(pin);
        self.clone.put_into_wal_mode()?;
        Ok(overlay)
    }

    fn switch(
        &mut self,
        image: Image,
        terms: Terms,
        conditions: &Conditions<'_>,
        announcement: &mut Announcement<'_>,
    ) -> Result<SwitchEnd, SwitchFailure> {
        let (overlay, differs) = match image {
            Image::Clone(overlay) => (overlay, None),
            Image::Other { overlay, differs } => (overlay, Some(differs)),
        };
        let switch = PageSwitch {
            live: self.live,
            clone: &mut self.clone,
            differs,
            cookie: terms.cookie,
            took: terms.took,
            touched: BTreeSet::new(),
            conditions,
        };
        let made = Made {
            overlay,
            looked: Looked::AtAll,
        };
        switch.run(made, announcement)
    }
}

/// A switch at work.
struct PageSwitch<'s> {
    live: &'s Live,
    clone: &'s mut CloneFile,
    /// Where the image is another database: the pages in which its main file differs from the
    /// clone.
    differs: Option<Vec<u32>>,
    /// Live's schema cookie when the plan was made.
    cookie: i64,
    /// How long the statements took when they ran last.
    took: Duration,
    /// The pages that others have committed since they ran last.
    touched: BTreeSet<u32>,
    conditions: &'s Conditions<'s>,
}

/// The image with its change, as it would be made on what the clone is now.
struct Made {
    overlay: OpenOverlay,
    /// What the change has looked at.
    looked: Looked,
}

/// An image that may go live, and its pages.
struct Prepared {
    made: Made,
    pages: ImagePages,
}

/// What becomes of an image when the clone catches up.
enum CaughtUp {
    /// The change is as it would be.
    Made(Made),
    /// It has been taken back, for it would not be the same any more.
    Stale(Overlay),
}

impl CaughtUp {
    /// Takes back the change, where that has not been done.
    fn take_back(self) -> Result<Overlay> {
        match self {
            Self::Made(made) => made.overlay.discard(),
            Self::Stale(overlay) => overlay.discard().map(|()| overlay),
        }
    }
}

/// How the rounds end.
enum Rounds<'r> {
    Done(Made, Caught<'r>),
    /// Somebody has committed while the statements ran.
    Stale(Overlay),
    /// Live's schema is not the one that the change was made for.
    SchemaChanged,
}

/// What is held when the rounds are over.
enum Caught<'r> {
    /// The last round.
    Wal(ReadPin<'r>),
    /// Nothing: the change counter will tell.
    Journal,
}

/// What is held while writers wait.
struct Lock<'w, 'r> {
    write: WriteLock<'w>,
    /// The last round, where it was pinned until the lock was there.
    pinned: Option<ReadPin<'r>>,
    /// A rollback journal.
    journal: bool,
    /// How long the lock took to get.
    wait: Duration,
    /// Since when writers wait.
    pause: Moment,
    attempt: u32,
}

/// What the last look under the lock has led to.
struct LastLook<'scope> {
    prepared: Prepared,
    ran_again: bool,
    /// Where the clone has caught up: the sync that must be done before live's COMMIT.
    syncing: Option<ScopedJoinHandle<'scope, io::Result<()>>>,
}

/// How an attempt ended that did not fail.
enum Attempt {
    Done(Committed),
    /// The lock was let go: it is tried once more.
    Again(Made),
    SchemaChanged,
}

impl PageSwitch<'_> {
    fn run(
        mut self,
        made: Made,
        announcement: &mut Announcement<'_>,
    ) -> Result<SwitchEnd, SwitchFailure> {
        let (reader, last_reader) = (Reader::new(self.live)?, Reader::new(self.live)?);
        let start = Moment::now();
        let mut image = CaughtUp::Made(made);
        for attempt in 1.. {
            if attempt > TRIES && start.elapsed() > self.conditions.options.lock_timeout() {
                break;
            }
            let (made, caught) = match self.rounds(image, &reader)? {
                Rounds::Done(made, caught) => (made, caught),
                Rounds::Stale(overlay) => {
                    // The mark did not show the commit.
                    image = CaughtUp::Stale(overlay);
                    continue;
                }
                Rounds::SchemaChanged => return Ok(SwitchEnd::SchemaChanged),
            };
            let pages = made.overlay.pages()?;
            self.check_budget(&pages)?;
            self.clone.sync()?;
            files::sync_name(&self.clone.path)?;
            announcement.make()?;
            self.conditions.log.progress().check()?;
            let prepared = Prepared { made, pages };
            match self.under_lock(prepared, caught, &last_reader, attempt)? {
                Attempt::Done(committed) => return Ok(SwitchEnd::Done(committed)),
                Attempt::SchemaChanged => return Ok(SwitchEnd::SchemaChanged),
                Attempt::Again(made) => image = CaughtUp::Made(made),
            }
        }
        Err(self.given_up().into())
    }

    /// Why no attempt came to an end.
    fn given_up(&self) -> Error {
        let live = self.live.shown();
        let error = if self.took > self.conditions.options.max_pause() {
            Error::pause_exceeded(format!(
                "the plan took {:.0} ms when it was rehearsed, and somebody wrote to {live} each time before it could be switched in",
                clock::ms(self.took)
            ))
            .hint(remedy!["Publish when fewer writers are at work, or set ", OptionName::MaxPauseMs, " higher and let them wait"])
        } else {
            Error::busy(format!(
                "the WAL of {live} was restarted each time before its write lock was ours"
            ))
            .hint(remedy![
                "An application checkpoints all the while: publish when it does so less, or set ",
                OptionName::LockTimeoutMs,
                " higher"
            ])
        };
        error.state(State::LiveUnchanged)
    }

    /// Catches up until little is left, and leaves the change made on what the clone then is.
    fn rounds<'r>(&mut self, mut image: CaughtUp, reader: &'r Reader<'_>) -> Result<Rounds<'r>> {
        let (mut caught_up, mut start) = (0, None::<Moment>);
        let mut pin = reader.pin()?;
        for round in 1.. {
            let behind = self.clone.behind(self.live, pin.at, false)?;
            if matches!(behind, Behind::No) {
                break;
            }
            start.get_or_insert_with(Moment::now);
            let pages;
            (image, pages) = self.catch_up(image, &pin, &behind)?;
            caught_up += pages;
            if self.clone.schema_cookie()? != self.cookie {
                return Ok(Rounds::SchemaChanged);
            }
            if pages <= FEW_PAGES || round >= ROUNDS {
                break;
            }
            drop(pin);
            pin = reader.pin()?;
        }
        // Whatever ended the rounds: one that caught up has taken the change back.
        if let CaughtUp::Stale(overlay) = image {
            let pages;
            (image, pin, pages) = self.repeat(overlay, reader, pin)?;
            caught_up += pages;
        }
        let caught = if matches!(pin.at.mark, Mark::Counter(_)) {
            // A pin would block every commit, for as long as whoever follows the log takes, too.
            drop(pin);
            Caught::Journal
        } else {
            Caught::Wal(pin)
        };
        if let Some(start) = start.filter(|_| caught_up > 0) {
            self.conditions.log.note(
                Step::CatchUp,
                format!(
                    "Caught up with writers [{caught_up} pages] in {:.1} ms",
                    clock::ms(start.elapsed())
                ),
            );
        }
        Ok(match image {
            CaughtUp::Made(made) => Rounds::Done(made, caught),
            CaughtUp::Stale(overlay) => Rounds::Stale(overlay),
        })
    }

    /// Makes the change again, after the rounds. Returns with the image what is pinned then, and
    /// how many pages were caught up with meanwhile.
    fn repeat<'r>(
        &mut self,
        overlay: Overlay,
        reader: &'r Reader<'_>,
        pin: ReadPin<'r>,
    ) -> Result<(CaughtUp, ReadPin<'r>, usize)> {
        if self.took <= SHORT && !matches!(pin.at.mark, Mark::Counter(_)) {
            return Ok((CaughtUp::Made(self.make(overlay, pin.conn())?), pin, 0));
        }
        // Without a pin: a commit in between is caught up with under the lock.
        drop(pin);
        let made = self.make(overlay, &reader.conn)?;
        let pin = reader.pin()?;
        let now = pin.at;
        // The same mark in another transaction: where it is 0, or none, only comparing says that
        // nobody committed. What the change has to do with is left to the lock otherwise, where it
        // is made once more, and that is the last time.
        let behind = self.clone.behind(self.live, now, false)?;
        if !self.clone.has_mark(now) && !self.would_stay(&made, now, &behind) {
            return Ok((CaughtUp::Made(made), pin, 0));
        }
        let (image, pages) = self.catch_up(CaughtUp::Made(made), &pin, &behind)?;
        Ok((image, pin, pages))
    }

    fn make(&mut self, overlay: Overlay, live: &Connection) -> Result<Made> {
        let start = Moment::now();
        let overlay = overlay.open()?;
        let repeat = self.conditions.repeat;
        let looked = repeat(overlay.conn(), live, Some(&self.touched))?;
        self.touched.clear();
        self.took = start.elapsed();
        Ok(Made { overlay, looked })
    }

    /// Takes over what others have committed. Returns how many pages that is. Where the change has
    /// read any of them, it is taken back.
    fn catch_up(
        &mut self,
        image: CaughtUp,
        pin: &ReadPin<'_>,
        behind: &Behind,
    ) -> Result<(CaughtUp, usize)> {
        let before = self.clone.pages();
        let changed = self.clone.catch_up(self.live, pin, behind)?;
        if changed.is_empty() {
            return Ok((image, 0));
        }
        let image = match image {
            CaughtUp::Made(made)
                if self.stays(&made, before, pin.at.pages, changed.iter().copied()) =>
            {
                CaughtUp::Made(made)
            }
            image => {
                let overlay = image.take_back()?;
                self.clone.put_into_wal_mode()?;
                CaughtUp::Stale(overlay)
            }
        };
        let n = changed.len();
        self.touched.extend(&changed);
        if let Some(differs) = &mut self.differs {
            differs.extend(changed);
            differs.sort_unstable();
            differs.dedup();
        }
        Ok((image, n))
    }

    /// Whether the change stays when it is caught up with others, as far as that can be said
    /// before.
    fn would_stay(&self, made: &Made, now: PinnedAt, behind: &Behind) -> bool {
        match behind {
            Behind::No => true,
            Behind::Unknown => false,
            Behind::Frames(_, frames) => {
                self.stays(made, self.clone.pages(), now.pages, frames.pages())
            }
        }
    }

    /// Whether the change would be the same after others have committed these pages: it has read
    /// none of them. The change of another database than the clone looks at live, too, and does not
    /// take long.
    fn stays(
        &self,
        made: &Made,
        before: u32,
        after: u32,
        mut committed: impl Iterator<Item = u32>,
    ) -> bool {
        // How many pages there are stands in page 1, too, which every change reads; but an image of
        // another length than live's would be malformed, so that it is looked at by itself.
        made.looked == Looked::AtAll
            && self.differs.is_none()
            && before == after
            && committed.all(|page| !made.overlay.has_read(page, self.clone.page_size))
    }

    /// Whether comparing all pages would take less than half of what writers may be held up.
    fn may_compare(&self) -> bool {
        Duration::from_millis(self.clone.bytes() >> 20) + self.took
            < self.conditions.options.max_pause() / 2
    }

    /// Refuses before any lock what would fill the disk, or cannot be done within `max_pause_ms`: a
    /// changed MiB takes about 3 ms.
    fn check_budget(&self, image: &ImagePages) -> Result<()> {
        let options = self.conditions.options;
        let pages = image.changed_len() + self.differs.as_ref().map_or(0, Vec::len);
        // A frame of live's WAL for each page, and later those by which its file grows.
        let grows = (u64::from(image.pages) * u64::from(image.page_size))
            .saturating_sub(self.clone.bytes());
        let room = self.conditions.room;
        room(pages as u64 * u64::from(image.page_size + wal::FRAME_HEADER) + grows)?;
        let mib = pages as u64 * u64::from(image.page_size) / (1 << 20);
        let expected = Duration::from_millis(mib * 3);
        if expected <= options.max_pause() {
            return Ok(());
        }
        Err(Error::pause_exceeded(format!(
            "the switch would write {mib} MiB into {}, which takes about {} ms, over the {} that writers may be held up",
            self.live.shown(),
            expected.as_millis(),
            options.max_pause_ms
        ))
        .state("Live is unchanged, and no writer has waited")
        .hint(remedy!["Split the change, or set ", OptionName::MaxPauseMs, " higher and let writers wait"]))
    }

    fn under_lock(
        &mut self,
        prepared: Prepared,
        caught: Caught<'_>,
        reader: &Reader<'_>,
        attempt: u32,
    ) -> Result<Attempt, SwitchFailure> {
        let live = self.live;
        let journal = matches!(caught, Caught::Journal);
        let mut pinned = match caught {
            Caught::Wal(pin) => Some(pin),
            Caught::Journal => None,
        };
        // Longer than the lock: locals are dropped in reverse.
        let _no_stops = NoStops::new();
        let writer = Writer::new(live, journal)?;
        let (write, wait) = writer.lock(
            self.conditions.options.lock_timeout(),
            live,
            self.conditions.log.progress(),
            || drop(pinned.take()),
        )?;
        let lock = Lock {
            write,
            pinned,
            journal,
            wait,
            pause: Moment::now(),
            attempt,
        };
        self.bring_live(prepared, lock, reader)
    }

    /// Looks a last time whether anybody has committed, and brings the image live.
    fn bring_live(
        &mut self,
        prepared: Prepared,
        lock: Lock<'_, '_>,
        reader: &Reader<'_>,
    ) -> Result<Attempt, SwitchFailure> {
        let cookie: i64 = calls::pragma(&lock.write.tx, "schema_version")?;
        if cookie != self.cookie {
            return Ok(Attempt::SchemaChanged);
        }
        let pin = reader.pin()?;
        // Pinned only counts where the pin is at what the clone holds.
        let pinned = lock
            .pinned
            .as_ref()
            .is_some_and(|last| self.clone.is_at(last.at));
        let behind = self.clone.behind(self.live, pin.at, pinned)?;
        let must_let_go = match &behind {
            Behind::No => false,
            // Comparing takes its time, about 1 ms a MiB: the last resort, and only for a database
            // that is small.
            Behind::Unknown if !lock.journal && (lock.attempt < TRIES || !self.may_compare()) => {
                true
            }
            behind => {
                self.took > self.conditions.options.max_pause()
                    && !self.would_stay(&prepared.made, pin.at, behind)
            }
        };
        if must_let_go {
            return Ok(Attempt::Again(prepared.made));
        }
        thread::scope(|scope| {
            let last = self.last_look(scope, prepared, lock.pause, &pin, &behind)?;
            // Readers of ours would keep a rollback journal from being committed.
            drop(pin);
            self.commit(last, lock).map(Attempt::Done)
        })
    }

    /// Takes over what others have committed since the last round, and makes the change once more
    /// where it has to do with that.
    fn last_look<'scope>(
        &mut self,
        scope: &'scope Scope<'scope, '_>,
        prepared: Prepared,
        pause: Moment,
        pin: &ReadPin<'_>,
        behind: &Behind,
    ) -> Result<LastLook<'scope>> {
        let Prepared { made, pages } = prepared;
        let (image, changed) = self.catch_up(CaughtUp::Made(made), pin, behind)?;
        let overlay = match image {
            CaughtUp::Made(made) => {
                let syncing = match changed {
                    0 => None,
                    _ => Some(self.sync(scope)?),
                };
                return Ok(LastLook {
                    prepared: Prepared { made, pages },
                    ran_again: false,
                    syncing,
                });
            }
            // Before its folder is synced: its WAL loses its name.
            CaughtUp::Stale(overlay) => overlay.open()?,
        };
        let syncing = self.sync(scope)?;
        let max_pause = self.conditions.options.max_pause();
        let deadline = Deadline::new(overlay.conn(), pause, max_pause)?;
        let repeat = self.conditions.repeat;
        let looked = match repeat(overlay.conn(), pin.conn(), Some(&self.touched)) {
            Err(_) if deadline.has_passed() => return Err(exceeded(max_pause)),
            looked => looked?,
        };
        drop(deadline);
        let pages = overlay.pages()?;
        Ok(LastLook {
            prepared: Prepared {
                made: Made { overlay, looked },
                pages,
            },
            ran_again: true,
            syncing: Some(syncing),
        })
    }

    /// Syncs the clone on another thread: the snapshot-to-be must be on the disk before live's
    /// COMMIT, and the name of its WAL must not; that needs no more of this thread.
    fn sync<'scope>(
        &self,
        scope: &'scope Scope<'scope, '_>,
    ) -> Result<ScopedJoinHandle<'scope, io::Result<()>>> {
        let path = &self.clone.path;
        let file = self
            .clone
            .file()
            .try_clone()
            .context(|| format!("opening {} again", path.display()))?;
        let folder = path.parent().unwrap_or(path).to_owned();
        let sync = move || {
            file.sync_data()
                .and_then(|()| File::open(folder))
                .and_then(|folder| folder.sync_all())
        };
        threads::scoped(scope, "syncing the clone", sync)
    }

    /// Writes the image, and commits.
    fn commit(&self, last: LastLook<'_>, lock: Lock<'_, '_>) -> Result<Committed, SwitchFailure> {
        let live = self.live;
        let max_pause = self.conditions.options.max_pause();
        let LastLook {
            prepared: Prepared { made, pages },
            ran_again,
            syncing,
        } = last;
        let Lock {
            write,
            pinned,
            journal,
            wait,
            pause,
            attempt,
        } = lock;
        drop(pinned);
        let mut live_at = clock::now();
        let stamp = || {
            live_at = clock::now();
            made.overlay.stamp(&pages, live_at)
        };
        let differs = self.differs.as_deref().unwrap_or_default();
        let go_on = || within(pause, max_pause);
        let written = write.write(&pages, differs, self.cookie, &go_on, stamp)?;
        if let Some(syncing) = syncing {
            syncing
                .join()
                .unwrap_or_else(|_| Err(io::Error::other("a syncing thread panicked")))
                .context(|| format!("syncing {}", self.clone.path.display()))?;
        }
        live.same_file()?;
        live.no_stranger()?;
        self.conditions.log.progress().check()?;
        within(pause, max_pause)?;
        write.commit(live, journal, pause, max_pause)?;
        Ok(Committed {
            switched: Switched {
                by: SwitchMethod::Pages,
                pause_ms: clock::ms(pause.elapsed()),
                lock_wait_ms: clock::ms(wait),
                pages_written: written,
                pages_total: u64::from(pages.pages),
                attempts: attempt,
                ran_again,
            },
            live_at,
            image: made.overlay,
        })
    }
}

#[cfg(all(test, feature = "engine"))]
mod tests {
    use super::*;

    /// A switch that spilled pages and was rolled back lets go of the lock before it is closed.
    /// What it had not written yet must not land on the frames of whoever commits in between.
    #[test]
    fn what_was_rolled_back_is_not_written_over_others() {
        crate::sqlite::engine::init();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("app.db");
        let other = Connection::open(&path).unwrap();
        other
            .execute_batch(
                "PRAGMA journal_mode = wal; PRAGMA wal_autocheckpoint = 0; CREATE TABLE big (a); CREATE TABLE theirs (a);
                 WITH RECURSIVE c (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM c WHERE i < 600) INSERT INTO big SELECT randomblob(3000) FROM c;
                 PRAGMA wal_checkpoint(TRUNCATE);",
            )
            .unwrap();
        let live = Live::open(&path).unwrap();
        let writer = Writer::new(&live, false).unwrap();
        // Spills, page by page.
        writer.conn.execute_batch("PRAGMA cache_size = 5").unwrap();
        let (lock, _) = writer
            .lock(Duration::ZERO, &live, Progress::none(), || {})
            .unwrap();
        lock.tx
            .execute_batch("UPDATE big SET a = randomblob(3000)")
            .unwrap();
        drop(lock);
        other
            .execute_batch(
                "WITH RECURSIVE c (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM c WHERE i < 900) INSERT INTO theirs SELECT randomblob(3000) FROM c",
            )
            .unwrap();
        drop(writer);
        let fresh = Connection::open(&path).unwrap();
        let found = |sql: &str| {
            fresh
                .query_row(sql, [], |row| row.get::<_, String>(0))
                .unwrap()
        };
        assert_eq!(found("PRAGMA integrity_check"), "ok");
        assert_eq!(
            found("SELECT count(*) || ' ' || sum(length(a)) FROM theirs"),
            "900 2700000"
        );
        drop((other, fresh));
        assert_eq!(
            Connection::open(&path)
                .unwrap()
                .query_row("SELECT count(*) FROM theirs", [], |row| row
                    .get::<_, i64>(0))
                .unwrap(),
            900
        );
    }
}
