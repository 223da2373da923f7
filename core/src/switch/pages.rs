//! The switch: the one write transaction that makes live equal to an image. This one goes by pages;
//! a host's SQLite has [`crate::switch::backup`].
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
        error::{Context, Error, Result},
        options::Options,
    },
    live::database::Live,
    os::{files, stops::NoStops},
    rehearse::questions::Looked,
    sqlite::{calls, deadline::Deadline, wal},
    store::log::Log,
    switch::{
        clone::{Behind, Clone},
        contract::{Change, Ended, Failure, Switched, exceeded, within},
        overlay::{Image, Pair},
        read_mark::{Mark, Pin, Pinned},
        writer::{PINNED, SHORT, Writer},
    },
};
use std::{collections::BTreeSet, time::Duration};

/// A round that leaves no more pages than this is the last one.
const FEW_PAGES: usize = 64;

/// Rounds before the lock is taken whatever is left.
const ROUNDS: u32 = 6;

/// How often the lock is let go at least before it is given up: because the WAL was restarted
/// before it was ours, or because the statements would take too long under it.
const TRIES: u32 = 5;

/// What a switch works on.
pub(crate) struct Switch<'a> {
    pub(crate) live: &'a Live,
    /// Follows live; becomes the outgoing release's snapshot.
    pub(crate) clone: &'a mut Clone,
    /// The image: the clone with its WAL, or another database with a WAL.
    pub(crate) pair: &'a mut Pair,
    /// For another database: the pages in which its main file differs from the clone.
    pub(crate) differs: Option<Vec<u32>>,
    /// Live's schema cookie when the plan was made.
    pub(crate) cookie: i64,
    /// How long the statements took when they were rehearsed.
    pub(crate) rehearsed: Duration,
    /// Whether the pair holds the change, as it would be made on what the clone is now.
    pub(crate) rehearsed_on_clone: bool,
    /// The pages that others have committed since the change was run last.
    pub(crate) touched: BTreeSet<u32>,
    /// What the change has looked at when it was run last.
    pub(crate) looked: Looked,
    /// The image, as long as the pair holds the change: made before the lock, and looked at under
    /// it.
    pub(crate) image: Option<Image>,
    /// Refuses to write so many bytes where they would leave too little free.
    pub(crate) room: &'a dyn Fn(u64) -> Result<()>,
    pub(crate) options: &'a Options,
    pub(crate) log: &'a Log<'a>,
}

impl Switch<'_> {
    /// Switches live. `change` has been run once on the pair; `intend` is called once, before the
    /// first lock.
    pub(crate) fn run(
        mut self,
        change: &mut Change<'_>,
        intend: &mut dyn FnMut() -> Result<()>,
    ) -> Result<Ended, Failure> {
        let live = self.live;
        let (pin, reader) = (Pin::new(live)?, Pin::new(live)?);
        let mut intended = false;
        let start = Moment::now();
        for attempt in 1.. {
            if attempt > TRIES && start.elapsed() > self.options.lock_timeout() {
                break;
            }
            let Some(caught) = self.rounds(&pin, change)? else {
                pin.end();
                return Ok(Ended::SchemaChanged);
            };
            if !self.rehearsed_on_clone {
                // Somebody committed while the statements ran, and the mark did not show it.
                pin.end();
                continue;
            }
            self.judge()?;
            self.clone.sync()?;
            files::sync_name(&self.clone.path)?;
            if !std::mem::replace(&mut intended, true) {
                intend()?;
            }
            self.log.progress().check()?;
            let locked = self.under_lock(&pin, &reader, caught, attempt, change);
            pin.end();
            match locked? {
                Locked::Done { switched, live_at } => return Ok(Ended::Done { switched, live_at }),
                Locked::SchemaChanged => return Ok(Ended::SchemaChanged),
                Locked::Again => {}
            }
        }
        let error = if self.rehearsed > self.options.max_pause() {
            Error::pause_exceeded(format!(
                "the plan took {:.0} ms when it was rehearsed, and somebody wrote to {} each time before it could be switched in",
                clock::ms(self.rehearsed),
                live.shown()
            ))
            .hint("Publish when fewer writers are at work, or set max_pause_ms higher and let them wait")
        } else {
            Error::busy(format!("the WAL of {} was restarted each time before its write lock was ours", live.shown()))
                .hint("An application checkpoints all the while: publish when it does so less, or set lock_timeout_ms higher")
        };
        Err(error.state("Live is unchanged").into())
    }

    /// Catches up until little is left, and leaves the image rehearsed on what the clone then is.
    /// Returns what the reader has pinned, or `None` where live's schema is not the one that the
    /// change was made for.
    fn rounds(&mut self, pin: &Pin<'_>, change: &mut Change<'_>) -> Result<Option<Caught>> {
        let (mut caught_up, mut start) = (0, None::<Moment>);
        let mut now = pin.begin()?;
        for round in 1.. {
            let behind = self.clone.behind(self.live, now, false)?;
            if matches!(behind, Behind::No) {
                break;
            }
            start.get_or_insert_with(Moment::now);
            let pages = self.catch_up(pin, now, &behind)?;
            caught_up += pages;
            if self.clone.schema_cookie()? != self.cookie {
                return Ok(None);
            }
            if pages <= FEW_PAGES || round >= ROUNDS {
                break;
            }
            pin.end();
            now = pin.begin()?;
        }
        // Whatever ended the rounds: one that caught up has taken the change back.
        if !self.rehearsed_on_clone {
            if self.rehearsed <= SHORT && !matches!(now.mark, Mark::Counter(_)) {
                self.run_again(change, pin)?;
            } else {
                // Without a pin: a commit in between is caught up with under the lock.
                pin.end();
                self.run_again(change, pin)?;
                now = pin.begin()?;
                // The same mark in another transaction: where it is 0, or none, only comparing says
                // that nobody committed. What the change has to do with is left to the lock
                // otherwise, where it is made once more, and that is the last time.
                let behind = self.clone.behind(self.live, now, false)?;
                if self.clone.has_mark(now) || self.would_stay(now, &behind) {
                    caught_up += self.catch_up(pin, now, &behind)?;
                }
            }
        }
        let journal = matches!(now.mark, Mark::Counter(_));
        if journal {
            // A pin would block every commit, for as long as whoever follows the log takes, too.
            pin.end();
        }
        if let Some(start) = start.filter(|_| caught_up > 0) {
            self.log.note(
                "catch_up",
                format!(
                    "Caught up with writers [{caught_up} pages] in {:.1} ms",
                    clock::ms(start.elapsed())
                ),
            );
        }
        Ok(Some(if journal {
            Caught::Journal
        } else {
            Caught::Wal(now)
        }))
    }

    /// Takes over what others have committed. Returns how many pages that is. Where the change has
    /// read any of them, it is taken back.
    fn catch_up(&mut self, pin: &Pin<'_>, now: Pinned, behind: &Behind) -> Result<usize> {
        let pages = self.clone.pages();
        let changed = self.clone.catch_up(self.live, pin, now, behind)?;
        if changed.is_empty() {
            return Ok(0);
        }
        if !self.stays(pages, now.pages, changed.iter().copied()) {
            self.rehearsed_on_clone = false;
            self.image = None;
            self.pair.discard()?;
            self.clone.put_into_wal_mode()?;
        }
        let n = changed.len();
        self.touched.extend(&changed);
        if let Some(differs) = &mut self.differs {
            differs.extend(changed);
            differs.sort_unstable();
            differs.dedup();
        }
        Ok(n)
    }

    /// Whether the change stays when it is caught up with others, as far as that can be said
    /// before.
    fn would_stay(&self, now: Pinned, behind: &Behind) -> bool {
        match behind {
            Behind::No => true,
            Behind::Unknown => false,
            Behind::Frames(_, frames) => self.stays(self.clone.pages(), now.pages, frames.pages()),
        }
    }

    /// Whether the change would be the same after others have committed these pages: it has read
    /// none of them. The change of another database than the clone looks at live, too, and does not
    /// take long.
    fn stays(&self, before: u32, after: u32, mut committed: impl Iterator<Item = u32>) -> bool {
        // How many pages there are stands in page 1, too, which every change reads; but an image of
        // another length than live's would be malformed, so that it is looked at by itself.
        self.rehearsed_on_clone
            && self.looked == Looked::AtAll
            && self.differs.is_none()
            && before == after
            && committed.all(|page| !self.pair.has_read(page, self.clone.page_size))
    }

    fn run_again(&mut self, change: &mut Change<'_>, reader: &Pin<'_>) -> Result<()> {
        let start = Moment::now();
        self.looked = change(
            self.pair.open(self.live)?,
            reader.conn(),
            Some(&self.touched),
        )?;
        self.touched.clear();
        self.rehearsed = start.elapsed();
        self.rehearsed_on_clone = true;
        Ok(())
    }

    /// Whether comparing all pages would take less than half of what writers may be held up.
    fn may_compare(&self) -> bool {
        Duration::from_millis(self.clone.bytes() >> 20) + self.rehearsed
            < self.options.max_pause() / 2
    }

    /// Refuses before any lock what would fill the disk, or cannot be done within `max_pause_ms`: a
    /// changed MiB takes about 3 ms.
    fn judge(&mut self) -> Result<()> {
        let image = match self.image.take() {
            Some(image) => image,
            None => self.pair.image(self.live)?,
        };
        let image = self.image.insert(image);
        let pages = image.changed_len() + self.differs.as_ref().map_or(0, Vec::len);
        // A frame of live's WAL for each page, and later those by which its file grows.
        let grows = (u64::from(image.pages) * u64::from(image.page_size))
            .saturating_sub(self.clone.bytes());
        (self.room)(pages as u64 * u64::from(image.page_size + wal::FRAME_HEADER) + grows)?;
        let mib = pages as u64 * u64::from(image.page_size) / (1 << 20);
        let expected = Duration::from_millis(mib * 3);
        if expected <= self.options.max_pause() {
            return Ok(());
        }
        Err(Error::pause_exceeded(format!(
            "the switch would write {mib} MiB into {}, which takes about {} ms, over max_pause_ms ({})",
            self.live.shown(),
            expected.as_millis(),
            self.options.max_pause_ms
        ))
        .state("Live is unchanged, and no writer has waited")
        .hint("Split the change, or set max_pause_ms higher and let writers wait"))
    }

    fn under_lock(
        &mut self,
        pin: &Pin<'_>,
        reader: &Pin<'_>,
        caught: Caught,
        attempt: u32,
        change: &mut Change<'_>,
    ) -> Result<Locked, Failure> {
        let (live, max_pause) = (self.live, self.options.max_pause());
        let journal = matches!(caught, Caught::Journal);
        // Longer than the lock: locals are dropped in reverse.
        let _no_stops = NoStops::new();
        let writer = Writer::new(live, journal)?;
        let lock_wait = writer.lock(
            self.options.lock_timeout(),
            live,
            self.log.progress(),
            || pin.end(),
        )?;
        let still_pinned = lock_wait <= PINNED;
        let pause = Moment::now();
        let result = std::thread::scope(|scope| {
            let cookie: i64 = calls::pragma(&writer.conn, "schema_version")?;
            if cookie != self.cookie {
                return Ok(Locked::SchemaChanged);
            }
            let now = reader.begin()?;
            // Pinned only counts where the pin is at what the clone holds.
            let behind = self.clone.behind(
                live,
                now,
                still_pinned && matches!(caught, Caught::Wal(pinned) if self.clone.is_at(pinned)),
            )?;
            let (mut syncing, mut ran_again) = (None, false);
            match behind {
                Behind::No => {}
                // Comparing takes its time, about 1 ms a MiB: the last resort, and only for a
                // database that is small.
                Behind::Unknown if !journal && (attempt < TRIES || !self.may_compare()) => {
                    return Ok(Locked::Again);
                }
                behind if self.rehearsed > max_pause && !self.would_stay(now, &behind) => {
                    return Ok(Locked::Again);
                }
                behind => {
                    if self.catch_up(reader, now, &behind)? > 0 {
                        if !self.rehearsed_on_clone {
                            self.pair.open(live)?;
                        }
                        // The snapshot-to-be must be on the disk before live's COMMIT, and the name
                        // of its WAL must not; that needs no more of this thread.
                        let file =
                            self.clone.file().try_clone().context(|| {
                                format!("opening {} again", self.clone.path.display())
                            })?;
                        let folder = self
                            .clone
                            .path
                            .parent()
                            .unwrap_or(&self.clone.path)
                            .to_owned();
                        syncing = Some(scope.spawn(move || {
                            file.sync_data()
                                .and_then(|()| std::fs::File::open(folder))
                                .and_then(|folder| folder.sync_all())
                        }));
                        if !self.rehearsed_on_clone {
                            let conn = self.pair.open(live)?;
                            let deadline = Deadline::new(conn, pause, max_pause);
                            if let Err(e) = change(conn, reader.conn(), Some(&self.touched)) {
                                return Err(if deadline.has_passed() {
                                    exceeded(max_pause).into()
                                } else {
                                    e.into()
                                });
                            }
                            self.rehearsed_on_clone = true;
                            ran_again = true;
                        }
                    }
                }
            }
            if !self.rehearsed_on_clone {
                return Err(Error::internal("an image without the change was to go live").into());
            }
            // Readers of ours would keep a rollback journal from being committed.
            reader.end();
            pin.end();
            let image = match self.image.take() {
                Some(image) => image,
                None => self.pair.image(live)?,
            };
            let mut live_at = clock::now();
            let stamp = || {
                live_at = clock::now();
                self.pair.stamp(&image, live_at)
            };
            let differs = self.differs.as_deref().unwrap_or_default();
            let written =
                writer.write(&image, differs, cookie, &|| within(pause, max_pause), stamp)?;
            if let Some(syncing) = syncing {
                let synced = syncing
                    .join()
                    .unwrap_or_else(|_| Err(std::io::Error::other("a syncing thread panicked")));
                synced.context(|| format!("syncing {}", self.clone.path.display()))?;
            }
            live.same_file()?;
            live.no_stranger()?;
            self.log.progress().check()?;
            within(pause, max_pause)?;
            writer.commit(live, journal, pause, max_pause)?;
            let switched = Switched {
                by: "pages",
                pause_ms: clock::ms(pause.elapsed()),
                lock_wait_ms: clock::ms(lock_wait),
                pages_written: written,
                pages_total: u64::from(image.pages),
                attempts: attempt,
                ran_again,
            };
            Ok(Locked::Done { switched, live_at })
        });
        reader.end();
        if !matches!(result, Ok(Locked::Done { .. })) {
            writer.roll_back();
        }
        result
    }
}

/// What is held when the rounds are over.
#[derive(Clone, Copy)]
enum Caught {
    /// What the reader has pinned.
    Wal(Pinned),
    /// Nothing: the change counter will tell.
    Journal,
}

enum Locked {
    Done { switched: Switched, live_at: i64 },
    Again,
    SchemaChanged,
}

#[cfg(all(test, feature = "engine"))]
mod tests {
    use super::*;
    use rusqlite::Connection;

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
        writer
            .conn
            .execute_batch(
                "PRAGMA cache_size = 5; BEGIN IMMEDIATE; UPDATE big SET a = randomblob(3000)",
            )
            .unwrap();
        writer.roll_back();
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
