//! A host's SQLite, which has no page access: clone and switch by the backup API, whole databases
//! at a time.
//!
//! `step(0)` takes live's write lock without copying; the image is brought up to date under it, and
//! the rest is copied in steps, looking at the clock. The step that copies the last page commits;
//! ending a backup before it rolls back. It costs the size of the database in the pause: 4 to 5 s
//! for 1 GB.

use crate::{
    base::{
        clock::{self, Moment},
        error::{Context, Error, Result, State},
        progress::Progress,
        remedy::OptionName,
    },
    live::{
        database::{Live, LiveConnection},
        marker,
    },
    os::{copy::CopyMethod, files, stops::NoStops},
    remedy,
    sqlite::{
        backup_api::{Backup, KeepGoing, STEP, Step},
        calls::{self, is_busy},
        client,
        deadline::Deadline,
        file_header::set_journal_bytes,
        tx,
    },
    store::Store,
    switch::{
        contract::{
            Committed, Conditions, SwitchEnd, SwitchFailure, SwitchMethod, Switched, Terms,
            exceeded, lock_timeout, within,
        },
        follower::{ClonedLive, Description, Engine, Follower, Image},
        intent::Announcement,
        overlay::{OpenOverlay, Overlay},
    },
};
use rusqlite::{Connection, OpenFlags, config::DbConfig};
use std::{
    ffi::CStr,
    fs::File,
    path::{Path, PathBuf},
    time::Duration,
};

/// How often the lock is let go at least because a plan would take too long under it.
const TRIES: u32 = 5;

/// The engine that a host has.
pub(super) struct HostBackup;

impl Engine for HostBackup {
    fn clone_live<'l>(
        &self,
        live: &'l Live,
        store: &Store,
        path: &Path,
        progress: Progress<'_>,
    ) -> Result<ClonedLive<'l>> {
        drop(store.create(path)?);
        let copied = BackupFollower::into_file(live, path, &|| progress.check());
        if copied.is_err() {
            store.remove_database(path)?;
        }
        let copy = copied?;
        set_journal_bytes(path, 2)?;
        copy.sync()?;
        files::sync_name(path)?;
        Ok(ClonedLive {
            overlay: copy.overlay(),
            follower: Box::new(copy),
        })
    }

    fn copy_live(
        &self,
        live: &Live,
        path: &Path,
        _file: File,
        progress: Progress<'_>,
    ) -> Result<(u64, CopyMethod)> {
        let copy = BackupFollower::into_file(live, path, &|| progress.check())?;
        let bytes = copy.sync().map(|()| copy.bytes);
        // What closing live does is its owner's, too.
        let _acting = live.owner.act()?;
        drop(copy);
        Ok((bytes?, CopyMethod::Backup))
    }

    fn overlay(&self, live: &Live, path: &Path) -> Overlay {
        Overlay::new(path, live.vfs().map(CStr::to_owned))
    }

    fn overwrite(&self, target: &Live, image: &OpenOverlay, timeout: Duration) -> Result<()> {
        let _no_stops = NoStops::new();
        let writer = target.connect()?;
        // EXTRA, or a power cut brings back a rollback journal that COMMIT has removed.
        writer.execute_batch("PRAGMA synchronous = EXTRA")?;
        writer.busy_timeout(Duration::ZERO)?;
        let path = image.path().with_extension("plain.db");
        let plain = match target.shape(&writer)?.journal_mode.as_str() {
            "wal" => None,
            _ => Some(plain(image.conn(), target, &path, &|| Ok(()))?),
        };
        let backup = Backup::new(plain.as_ref().unwrap_or(image.conn()), &writer)?;
        lock(&backup, timeout, target)?;
        // The last of them commits.
        while backup.step(STEP).map_err(|e| {
            e.state("Whether it was reset is not known")
                .hint("Reset it again")
        })? != Step::Done
        {
            std::thread::yield_now();
        }
        Ok(())
    }

    fn describe(&self) -> Description {
        Description {
            engine: "host",
            switch: SwitchMethod::Backup,
            cost: "This host's SQLite gives no page access: a switch writes the whole database in its pause (4 to 5 s for 1 GB)",
            weakness: client::warning(),
        }
    }
}

/// A clone that was taken by the backup API, and how far live is past it.
struct BackupFollower<'l> {
    live: &'l Live,
    conn: LiveConnection<'l>,
    path: PathBuf,
    /// `PRAGMA data_version` of `conn` in the transaction that was copied: another one says that
    /// somebody has committed.
    version: i64,
    bytes: u64,
    /// How long it took.
    took: Duration,
}

impl<'l> BackupFollower<'l> {
    /// Copies live into an empty file, byte for byte.
    fn into_file(live: &'l Live, path: &Path, go_on: KeepGoing<'_>) -> Result<Self> {
        let doing = || format!("opening {}", path.display());
        // Who may write to the folder could have put a link in its place.
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        let whole = folder
            .canonicalize()
            .context(doing)?
            .join(path.file_name().unwrap_or_default());
        let to = Connection::open_with_flags(
            &whole,
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NOFOLLOW,
        )
        .context(doing)?;
        // A copy that fails is removed: it needs no journal, which would be made as who owns live,
        // where the caller's folder is.
        to.execute_batch("PRAGMA synchronous = OFF; PRAGMA journal_mode = OFF")
            .context(doing)?;
        // The copy is the caller's, live its owner's: what lies beside live may have SQLite remove
        // a file that it names.
        let acting = live.owner.act()?;
        let conn = live.connect()?;
        let mut copy = Self {
            live,
            conn,
            path: path.to_owned(),
            version: 0,
            bytes: 0,
            took: Duration::ZERO,
        };
        let cookie = copy.fill(&to, go_on)?;
        drop(acting);
        set_cookie(&to, cookie)?;
        to.close()
            .map_err(|(_, e)| e)
            .context(|| format!("closing {}", path.display()))?;
        copy.bytes = std::fs::metadata(path)
            .context(|| format!("looking at {}", path.display()))?
            .len();
        Ok(copy)
    }

    /// Copies live, as of now, into `to`, and returns the schema cookie that it is to have. The
    /// read transaction holds the backup to one point in time: without it every commit of another
    /// connection would make it start again.
    fn fill(&mut self, to: &Connection, go_on: KeepGoing<'_>) -> Result<i64> {
        let doing = || format!("reading {}", self.live.shown());
        let reading = tx::begin(&self.conn).context(doing)?;
        reading
            .query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))
            .context(doing)?;
        if self.bytes > 0 {
            self.live
                .same_page_size(&reading, calls::pragma(to, "page_size")?)?;
        }
        let version = data_version(&reading)?;
        let start = Moment::now();
        let cookie = copy_pages(&reading, to, go_on)?;
        let took = start.elapsed();
        drop(reading);
        (self.version, self.took) = (version, took);
        Ok(cookie)
    }

    fn overlay(&self) -> Overlay {
        HostBackup.overlay(self.live, &self.path)
    }

    /// Brings the clone, which is open, up to date. Returns live's schema cookie.
    fn refill(&mut self, clone: &Connection, go_on: KeepGoing<'_>) -> Result<i64> {
        let cookie = self.fill(clone, go_on)?;
        set_cookie(clone, cookie)?;
        fold(clone)?;
        self.sync()?;
        Ok(cookie)
    }

    /// As [`BackupFollower::refill`], whoever has the clone open.
    fn bring_up_to_date(&mut self, image: &Image, go_on: KeepGoing<'_>) -> Result<i64> {
        match image {
            Image::Clone(overlay) => self.refill(overlay.conn(), go_on),
            Image::Other { .. } => {
                let clone = self.overlay().open()?;
                let cookie = self.refill(clone.conn(), go_on)?;
                clone.close().map(|_| cookie)
            }
        }
    }

    fn sync(&self) -> Result<()> {
        File::open(&self.path)
            .and_then(|file| file.sync_all())
            .context(|| format!("syncing {}", self.path.display()))
    }
}

impl Follower for BackupFollower<'_> {
    fn bytes(&self) -> u64 {
        self.bytes
    }

    fn method(&self) -> CopyMethod {
        CopyMethod::Backup
    }

    fn start_over(&mut self) -> Result<Overlay> {
        let overlay = self.overlay();
        overlay.discard()?;
        let clone = overlay.open()?;
        self.refill(clone.conn(), &|| Ok(()))?;
        clone.discard()
    }

    fn switch(
        &mut self,
        image: Image,
        terms: Terms,
        conditions: &Conditions<'_>,
        announcement: &mut Announcement<'_>,
    ) -> Result<SwitchEnd, SwitchFailure> {
        let path = image.overlay().path();
        // By the backup API every page of the image is written again: into live's WAL, or over what
        // a journal keeps first.
        let room = conditions.room;
        room(
            std::fs::metadata(path)
                .context(|| format!("looking at {}", path.display()))?
                .len(),
        )?;
        // The name that the overlay's WAL has lost must not come back when the power is cut after
        // live's COMMIT.
        files::sync_name(&self.path)?;
        announcement.make()?;
        let mut switch = BackupSwitch {
            copy: self,
            image: &image,
            terms,
            conditions,
        };
        match switch.run()? {
            None => Ok(SwitchEnd::SchemaChanged),
            Some((switched, live_at)) => Ok(SwitchEnd::Done(Committed {
                switched,
                live_at,
                image: image.into_overlay(),
            })),
        }
    }
}

/// A switch at work.
struct BackupSwitch<'s, 'l> {
    copy: &'s mut BackupFollower<'l>,
    image: &'s Image,
    terms: Terms,
    conditions: &'s Conditions<'s>,
}

/// What live's write lock waited for, and keeps waiting.
#[derive(Clone, Copy)]
struct Times {
    /// Since when the lock was waited for.
    waiting: Moment,
    /// Since when writers wait.
    pause: Moment,
    attempt: u32,
}

/// How an attempt ended that did not fail.
enum Attempt {
    Done(Switched, i64),
    SchemaChanged,
    /// The lock was let go: the change would take too long under it, and is made before the next
    /// one.
    TooLong,
    /// Somebody has turned on WAL.
    InWal,
}

impl BackupSwitch<'_, '_> {
    /// Tries until it is done: what it did, and when. `None`: live's schema is another one.
    fn run(&mut self) -> Result<Option<(Switched, i64)>, SwitchFailure> {
        let live = self.copy.live;
        let progress = self.conditions.log.progress();
        let start = Moment::now();
        progress.check()?;
        for attempt in 1.. {
            let ended = self.attempt(attempt)?;
            match ended {
                Attempt::Done(switched, live_at) => return Ok(Some((switched, live_at))),
                Attempt::SchemaChanged => return Ok(None),
                Attempt::TooLong | Attempt::InWal => {}
            }
            if attempt >= TRIES && start.elapsed() > self.conditions.options.lock_timeout() {
                break;
            }
            progress.check()?;
            if matches!(ended, Attempt::TooLong) && !self.make_again()? {
                return Ok(None);
            }
        }
        Err(Error::pause_exceeded(format!(
            "somebody wrote to {} each time before the image could be switched in",
            live.shown()
        ))
        .state(State::LiveUnchanged)
        .hint(remedy![
            "Publish when fewer writers are at work, or set ",
            OptionName::MaxPauseMs,
            " higher"
        ])
        .into())
    }

    fn attempt(&mut self, attempt: u32) -> Result<Attempt, SwitchFailure> {
        let live = self.copy.live;
        // Longer than the lock: locals are dropped in reverse.
        let _no_stops = NoStops::new();
        let writer = live.connect()?;
        // EXTRA, or a power cut brings back a rollback journal that COMMIT has removed.
        let doing = || format!("preparing to write {}", live.shown());
        writer
            .execute_batch("PRAGMA synchronous = EXTRA; PRAGMA wal_autocheckpoint = 0")
            .context(doing)?;
        writer
            .query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))
            .context(doing)?;
        writer.busy_timeout(Duration::ZERO)?;
        let waiting = Moment::now();
        // Asked of this very connection: somebody may have turned on WAL since the clone was taken;
        // while this one reads through a WAL, nobody can turn it off.
        if live.shape(&writer)?.journal_mode == "wal" {
            self.through_wal(&writer, waiting, attempt)
        } else {
            self.through_journal(&writer, waiting, attempt)
        }
    }

    fn through_wal(
        &mut self,
        writer: &Connection,
        waiting: Moment,
        attempt: u32,
    ) -> Result<Attempt, SwitchFailure> {
        let live = self.copy.live;
        let backup = Backup::new(self.image.overlay().conn(), writer)?;
        lock(&backup, self.conditions.options.lock_timeout(), live)?;
        let times = Times {
            waiting,
            pause: Moment::now(),
            attempt,
        };
        match self.update(times.pause)? {
            Updated::Ready { ran_again } => self.finish(&backup, times, ran_again),
            Updated::Not(ended) => Ok(ended),
        }
    }

    /// A rollback journal: step(0) shuts readers out, so the last update comes before it, under a
    /// lock that only writers wait for, and that is held on until then.
    fn through_journal(
        &mut self,
        writer: &Connection,
        waiting: Moment,
        attempt: u32,
    ) -> Result<Attempt, SwitchFailure> {
        let live = self.copy.live;
        let max_pause = self.conditions.options.max_pause();
        if !shut_writers_out(writer, self.conditions.options.lock_timeout(), live)? {
            return Ok(Attempt::InWal);
        }
        let pause = Moment::now();
        let counter = change_counter(writer)?;
        let ran_again = match self.update(pause)? {
            Updated::Ready { ran_again } => ran_again,
            Updated::Not(ended) => return Ok(ended),
        };
        let path = self.copy.path.with_extension("plain.db");
        let image = plain(self.image.overlay().conn(), live, &path, &|| {
            within(pause, max_pause)
        })?;
        let backup = Backup::new(&image, writer)?;
        // Waits for readers, and new ones for it: no longer than a switch may take.
        let timeout = max_pause.saturating_sub(pause.elapsed());
        lock(&backup, timeout, live).map_err(|e| match e {
            Error::Busy(_) => Error::busy(format!(
                "readers of {} did not leave within {} ms, the longest pause",
                live.shown(),
                max_pause.as_millis()
            ))
            .state(State::LiveUnchanged)
            .hint(remedy![
                "End the long transactions of others, set ",
                OptionName::MaxPauseMs,
                " higher, or put live into WAL mode, where nobody waits for readers",
            ]),
            e => e,
        })?;
        if change_counter(writer)? != counter {
            return Err(Error::internal(format!(
                "somebody wrote to {} under its write lock",
                live.shown()
            ))
            .into());
        }
        let times = Times {
            waiting,
            pause,
            attempt,
        };
        self.finish(&backup, times, ran_again)
    }

    /// Brings the image up to date while nobody can commit.
    fn update(&mut self, pause: Moment) -> Result<Updated> {
        let max_pause = self.conditions.options.max_pause();
        let cookie: i64 = calls::pragma(&self.copy.conn, "schema_version")?;
        if cookie != self.terms.cookie {
            return Ok(Updated::Not(Attempt::SchemaChanged));
        }
        if data_version(&self.copy.conn)? == self.copy.version {
            return Ok(Updated::Ready { ran_again: false });
        }
        // While writers wait, live is copied once more, and the change made again.
        if self.copy.took + self.terms.took > max_pause {
            return Ok(Updated::Not(Attempt::TooLong));
        }
        self.copy
            .bring_up_to_date(self.image, &|| within(pause, max_pause))?;
        let image = self.image.overlay().conn();
        let deadline = Deadline::new(image, pause, max_pause)?;
        match (self.conditions.repeat)(image, &self.copy.conn, None) {
            Err(_) if deadline.has_passed() => Err(exceeded(max_pause)),
            Err(e) => Err(e),
            Ok(_) => Ok(Updated::Ready { ran_again: true }),
        }
    }

    /// Brings the image up to date while writers go on, for another attempt. `false`: live's schema
    /// is another one.
    fn make_again(&mut self) -> Result<bool> {
        let progress = self.conditions.log.progress();
        let cookie = self
            .copy
            .bring_up_to_date(self.image, &|| progress.check())?;
        if cookie != self.terms.cookie {
            return Ok(false);
        }
        let start = Moment::now();
        (self.conditions.repeat)(self.image.overlay().conn(), &self.copy.conn, None)?;
        self.terms.took = start.elapsed();
        Ok(true)
    }

    /// Copies the image, and with its last page commits.
    fn finish(
        &self,
        backup: &Backup<'_>,
        times: Times,
        ran_again: bool,
    ) -> Result<Attempt, SwitchFailure> {
        let live = self.copy.live;
        let max_pause = self.conditions.options.max_pause();
        let pause = times.pause;
        let lock_wait = times.waiting.elapsed().saturating_sub(pause.elapsed());
        let done = |live_at| {
            let pages = u64::try_from(backup.total()).unwrap_or(0);
            let switched = Switched {
                by: SwitchMethod::Backup,
                pause_ms: clock::ms(pause.elapsed()),
                lock_wait_ms: clock::ms(lock_wait),
                pages_written: pages,
                pages_total: pages,
                attempts: times.attempt,
                ran_again,
            };
            Ok(Attempt::Done(switched, live_at))
        };
        // Nothing is committed before the last page is copied, and a step of 0 does not know how
        // many there are.
        let mut copied = 0;
        loop {
            if copied > 0 && backup.remaining() <= STEP {
                break;
            }
            let pages = if copied == 0 { 1 } else { STEP };
            match backup.step(pages)? {
                Step::More => copied += pages,
                Step::Busy => std::thread::sleep(Duration::from_micros(200)),
                // One page in all: committed with it.
                Step::Done => return done(clock::now()),
            }
            within(pause, max_pause)?;
        }
        live.same_file()?;
        live.no_stranger()?;
        self.conditions.log.progress().check()?;
        // As late as can be. What its own connection writes into a source, a backup takes over.
        let live_at = clock::now();
        marker::stamp(backup.from, live_at)?;
        loop {
            match backup.step(-1) {
                Ok(Step::Done) => return done(live_at),
                Ok(Step::More | Step::Busy) if pause.elapsed() <= max_pause => {
                    std::thread::sleep(Duration::from_micros(200))
                }
                Ok(Step::More | Step::Busy) => return Err(exceeded(max_pause).into()),
                Err(error) => {
                    return Err(SwitchFailure {
                        error,
                        undecided: true,
                    });
                }
            }
        }
    }
}

/// What an image is under the lock.
enum Updated {
    Ready { ran_again: bool },
    Not(Attempt),
}

/// Copies one database into another, schema cookie and all: a backup gives its destination a cookie
/// of its own, and the clone's is what tells whether somebody else changed live's schema.
fn copy(from: &Connection, to: &Connection, go_on: KeepGoing<'_>) -> Result<()> {
    let cookie = copy_pages(from, to, go_on)?;
    set_cookie(to, cookie)
}

/// Copies one database into another, and returns the schema cookie that it is to have.
fn copy_pages(from: &Connection, to: &Connection, go_on: KeepGoing<'_>) -> Result<i64> {
    let cookie = calls::pragma(from, "schema_version")?;
    Backup::new(from, to)?.run(go_on)?;
    Ok(cookie)
}

fn set_cookie(to: &Connection, cookie: i64) -> Result<()> {
    to.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, false)?; // with it, the pragma does nothing
    to.execute_batch(&format!("PRAGMA schema_version = {cookie}"))
        .context(|| format!("writing the schema cookie of {}", calls::name(to)))
}

/// Copies an image to where it is no pair: a backup takes over the bytes of page 1 that say how a
/// database is journaled, and would turn a live database with a rollback journal into one with a
/// WAL.
fn plain(image: &Connection, live: &Live, path: &Path, go_on: KeepGoing<'_>) -> Result<Connection> {
    files::remove_if_there(path)?;
    drop(files::create_with_owner_of(&live.path, path)?);
    let to = Connection::open(path).context(|| format!("opening {}", path.display()))?;
    let doing = || format!("writing {}", path.display());
    to.execute_batch("PRAGMA synchronous = OFF")
        .context(doing)?;
    copy(image, &to, go_on)?;
    to.query_row("PRAGMA journal_mode = DELETE", [], |_| Ok(()))
        .context(doing)?;
    Ok(to)
}

/// Puts what was written into a pair's WAL into its main file.
fn fold(conn: &Connection) -> Result<()> {
    let left: i64 = conn
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
        .context(|| format!("bringing {} up to date", calls::name(conn)))?;
    if left == 0 {
        Ok(())
    } else {
        Err(Error::internal("a clone's WAL stayed busy"))
    }
}

fn data_version(conn: &Connection) -> Result<i64> {
    conn.query_row("PRAGMA data_version", [], |row| row.get(0))
        .context(|| format!("reading data_version of {}", calls::name(conn)))
}

/// The change counter of a database with a rollback journal, as it stands in the file: also under a
/// lock, in which SQLite does not look for it.
fn change_counter(conn: &Connection) -> Result<[u8; 4]> {
    let mut counter = [0; 4];
    calls::read_main_file(conn, 24, &mut counter)?;
    Ok(counter)
}

/// Tries often, until it is done or `timeout` has passed: SQLite's busy handler sleeps too long to
/// get in between busy writers.
fn poll(timeout: Duration, live: &Live, mut attempt: impl FnMut() -> Result<Step>) -> Result<()> {
    let start = Moment::now();
    while attempt()? == Step::Busy {
        if start.elapsed() >= timeout {
            return Err(lock_timeout(live, timeout));
        }
        std::thread::sleep(Duration::from_micros(200));
    }
    Ok(())
}

/// Takes the write lock of a database with a rollback journal, and keeps it outside of a
/// transaction, as a backup wants its destination: in EXCLUSIVE locking mode a ROLLBACK lets go of
/// no lock. (A COMMIT would first shut readers out, too.) Between two locks, a busy writer would
/// slip in each time. `false`, and no lock: somebody has turned on WAL.
fn shut_writers_out(writer: &Connection, timeout: Duration, live: &Live) -> Result<bool> {
    poll(timeout, live, || {
        match writer.execute_batch("BEGIN IMMEDIATE") {
            Err(e) if is_busy(&e) => Ok(Step::Busy),
            outcome => outcome
                .context(|| format!("taking the write lock of {}", live.shown()))
                .map(|()| Step::Done),
        }
    })?;
    let doing = || format!("keeping the write lock of {}", live.shown());
    if live.shape(writer)?.journal_mode == "wal" {
        writer.execute_batch("ROLLBACK").context(doing)?;
        return Ok(false);
    }
    writer
        .execute_batch("PRAGMA locking_mode = EXCLUSIVE; ROLLBACK")
        .context(doing)?;
    Ok(true)
}

/// Takes live's write lock.
fn lock(backup: &Backup<'_>, timeout: Duration, live: &Live) -> Result<()> {
    poll(timeout, live, || backup.step(0))
}
