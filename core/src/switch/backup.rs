//! Clone and switch on a host's SQLite, which has no page access: by the backup API, whole
//! databases at a time.
//!
//! `step(0)` takes live's write lock without copying; the image is brought up to date under it, and
//! the rest is copied in steps, looking at the clock. The step that copies the last page commits;
//! ending a backup before it rolls back. It costs the size of the database in the pause: 4 to 5 s
//! for 1 GB.

use crate::{
    base::{
        clock::{self, Moment},
        error::{Context, Error, Result},
        options::Options,
    },
    live::{
        database::{Live, LiveConnection},
        marker,
    },
    os::{files, stops::NoStops},
    sqlite::{
        backup_api::{Backup, KeepGoing, STEP, Step},
        calls::{self, is_busy},
        deadline,
    },
    store::{Store, log::Log},
    switch::{
        contract::{Change, Ended, Failure, Switched, Terms, exceeded, lock_timeout, within},
        overlay::Pair,
    },
};
use rusqlite::{Connection, OpenFlags, config::DbConfig};
use std::{
    fs::File,
    path::{Path, PathBuf},
    time::Duration,
};

/// How often the lock is let go at least because a plan would take too long under it.
const TRIES: u32 = 5;

/// A clone that was taken by the backup API, and how far live is past it.
pub(crate) struct Copy<'a> {
    live: &'a Live,
    conn: LiveConnection<'a>,
    path: PathBuf,
    /// `PRAGMA data_version` of `conn` in the transaction that was copied: another one says that
    /// somebody has committed.
    version: i64,
    bytes: u64,
    /// How long it took.
    took: Duration,
}

impl<'a> Copy<'a> {
    /// Copies live into a new file, which ends as a pair's main file: one file, in WAL mode.
    pub(crate) fn take(
        live: &'a Live,
        store: &Store,
        path: &Path,
        go_on: KeepGoing<'_>,
    ) -> Result<Self> {
        drop(store.create(path)?);
        let copied = Self::into_file(live, path, go_on);
        if copied.is_err() {
            store.remove_database(path)?;
        }
        let copy = copied?;
        crate::sqlite::file_header::set_journal_bytes(path, 2)?;
        copy.sync()?;
        files::sync_name(path)?;
        Ok(copy)
    }

    /// Copies live into an empty file, byte for byte.
    fn into_file(live: &'a Live, path: &Path, go_on: KeepGoing<'_>) -> Result<Self> {
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

    /// Copies live, as of now, into `to`, and returns the schema cookie that it is to have. The read
    /// transaction holds the backup to one point in time: without it every commit of another
    /// connection would make it start again.
    fn fill(&mut self, to: &Connection, go_on: KeepGoing<'_>) -> Result<i64> {
        let doing = || format!("reading {}", self.live.shown());
        self.conn.execute_batch("BEGIN").context(doing)?;
        let filled = (|| {
            self.conn
                .query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))
                .context(doing)?;
            if self.bytes > 0 {
                self.live
                    .same_page_size(&self.conn, calls::pragma(to, "page_size")?)?;
            }
            let version = data_version(&self.conn)?;
            let start = Moment::now();
            let cookie = copy_pages(&self.conn, to, go_on)?;
            self.took = start.elapsed();
            Ok::<_, Error>((version, cookie))
        })();
        let _ = self.conn.execute_batch("ROLLBACK");
        let cookie;
        (self.version, cookie) = filled?;
        Ok(cookie)
    }

    /// Brings the clone up to date, whoever has its connection open.
    fn refill(&mut self, clone: &mut Pair, go_on: KeepGoing<'_>) -> Result<()> {
        let to = clone.open(self.live)?;
        let cookie = self.fill(to, go_on)?;
        set_cookie(to, cookie)?;
        fold(to)?;
        self.sync()
    }

    /// Takes the copy again. The pair's change is gone.
    pub(crate) fn again(&mut self, clone: &mut Pair) -> Result<()> {
        clone.discard()?;
        self.refill(clone, &|| Ok(()))?;
        clone.discard()
    }

    fn sync(&self) -> Result<()> {
        File::open(&self.path)
            .and_then(|file| file.sync_all())
            .context(|| format!("syncing {}", self.path.display()))
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Switches live to the image: the clone with its change, or another database.
    #[expect(clippy::too_many_arguments, reason = "what a switch is about")]
    pub(crate) fn switch(
        &mut self,
        clone: &mut Pair,
        mut other: Option<&mut Pair>,
        mut terms: Terms,
        options: &Options,
        log: &Log<'_>,
        change: &mut Change<'_>,
        intend: &mut dyn FnMut() -> Result<()>,
    ) -> Result<Ended, Failure> {
        let live = self.live;
        let max_pause = options.max_pause();
        // The name that the pair's WAL has lost must not come back when the power is cut after
        // live's COMMIT.
        files::sync_name(&self.path)?;
        intend()?;
        let (start, mut behind) = (Moment::now(), false);
        for attempt in 1.. {
            if attempt > TRIES && start.elapsed() > options.lock_timeout() {
                break;
            }
            log.progress().check()?;
            if std::mem::take(&mut behind)
                && !self.rehearse_again(clone, other.as_deref_mut(), &mut terms, log, change)?
            {
                return Ok(Ended::SchemaChanged);
            }
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
            // A rollback journal: step(0) shuts readers out, so the last update comes before it,
            // under a lock that only writers wait for, and that is held on until then. Asked of
            // this very connection: somebody may have turned on WAL since the clone was taken;
            // while this one reads through a WAL, nobody can turn it off.
            if live.shape(&writer)?.journal_mode != "wal" {
                if !shut_writers_out(&writer, options.lock_timeout(), live)? {
                    continue;
                }
                let pause = Moment::now();
                let counter = change_counter(&writer)?;
                let ran_again = match self.update(
                    clone,
                    other.as_deref_mut(),
                    terms,
                    max_pause,
                    pause,
                    change,
                )? {
                    Updated::Ready { ran_again } => ran_again,
                    Updated::SchemaChanged => return Ok(Ended::SchemaChanged),
                    Updated::TooLong => {
                        behind = true;
                        continue;
                    }
                };
                let path = clone.path().with_extension("plain.db");
                let image = plain(
                    image(clone, other.as_deref_mut(), live)?,
                    live,
                    &path,
                    &|| within(pause, max_pause),
                )?;
                let backup = Backup::new(&image, &writer)?;
                // Waits for readers, and new ones for it: no longer than a switch may take.
                let timeout = max_pause.saturating_sub(pause.elapsed());
                lock(&backup, timeout, live).map_err(|e| match e {
                    Error::Busy(_) => Error::busy(format!(
                        "readers of {} did not leave within max_pause_ms ({} ms)",
                        live.shown(),
                        max_pause.as_millis()
                    ))
                    .state("Live is unchanged")
                    .hint("End the long transactions of others, or put live into WAL mode, where nobody waits for readers"),
                    e => e,
                })?;
                if change_counter(&writer)? != counter {
                    return Err(Error::internal(format!(
                        "somebody wrote to {} under its write lock",
                        live.shown()
                    ))
                    .into());
                }
                return finish(
                    live,
                    &backup,
                    log,
                    max_pause,
                    &Held {
                        waiting,
                        pause,
                        attempt,
                        ran_again,
                    },
                );
            }
            let source: *const Connection = image(clone, other.as_deref_mut(), live)?;
            // SAFETY: the connection stays open until the backup is dropped: below, `clone` and
            // `other` are only written through it, never closed. The borrow checker cannot see that
            // an open pair keeps its connection.
            let backup = Backup::new(unsafe { &*source }, &writer)?;
            lock(&backup, options.lock_timeout(), live)?;
            let pause = Moment::now();
            let ran_again =
                match self.update(clone, other.as_deref_mut(), terms, max_pause, pause, change)? {
                    Updated::Ready { ran_again } => ran_again,
                    Updated::SchemaChanged => return Ok(Ended::SchemaChanged),
                    Updated::TooLong => {
                        behind = true;
                        continue;
                    }
                };
            return finish(
                live,
                &backup,
                log,
                max_pause,
                &Held {
                    waiting,
                    pause,
                    attempt,
                    ran_again,
                },
            );
        }
        Err(Error::pause_exceeded(format!(
            "somebody wrote to {} each time before the image could be switched in",
            live.shown()
        ))
        .state("Live is unchanged")
        .hint("Publish when fewer writers are at work, or set max_pause_ms higher")
        .into())
    }

    /// Brings the image up to date while nobody can commit.
    fn update(
        &mut self,
        clone: &mut Pair,
        other: Option<&mut Pair>,
        terms: Terms,
        max_pause: Duration,
        pause: Moment,
        change: &mut Change<'_>,
    ) -> Result<Updated> {
        let cookie: i64 = calls::pragma(&self.conn, "schema_version")?;
        if cookie != terms.cookie {
            return Ok(Updated::SchemaChanged);
        }
        if data_version(&self.conn)? == self.version {
            return Ok(Updated::Ready { ran_again: false });
        }
        // While writers wait, live is copied once more, and the change made again.
        if self.took + terms.took > max_pause {
            return Ok(Updated::TooLong);
        }
        self.refill(clone, &|| within(pause, max_pause))?;
        let image = image(clone, other, self.live)?;
        let deadline = deadline::Deadline::new(image, pause, max_pause);
        match change(image, &self.conn, None) {
            Err(_) if deadline.has_passed() => Err(exceeded(max_pause)),
            Err(e) => Err(e),
            Ok(_) => Ok(Updated::Ready { ran_again: true }),
        }
    }

    /// Brings the image up to date while writers go on, for another attempt. `false`: live's schema
    /// is another one.
    fn rehearse_again(
        &mut self,
        clone: &mut Pair,
        other: Option<&mut Pair>,
        terms: &mut Terms,
        log: &Log<'_>,
        change: &mut Change<'_>,
    ) -> Result<bool> {
        self.refill(clone, &|| log.progress().check())?;
        if calls::pragma::<i64>(clone.open(self.live)?, "schema_version")? != terms.cookie {
            return Ok(false);
        }
        let image = image(clone, other, self.live)?;
        let start = Moment::now();
        change(image, &self.conn, None)?;
        terms.took = start.elapsed();
        Ok(true)
    }
}

enum Updated {
    Ready { ran_again: bool },
    SchemaChanged,
    TooLong,
}

fn image<'p>(
    clone: &'p mut Pair,
    other: Option<&'p mut Pair>,
    live: &Live,
) -> Result<&'p Connection> {
    match other {
        Some(pair) => pair.open(live),
        None => clone.open(live),
    }
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

/// The lock that a switch holds.
struct Held {
    /// Since when it was waited for.
    waiting: Moment,
    /// Since when writers wait.
    pause: Moment,
    attempt: u32,
    ran_again: bool,
}

fn finish(
    live: &Live,
    backup: &Backup<'_>,
    log: &Log<'_>,
    max_pause: Duration,
    held: &Held,
) -> Result<Ended, Failure> {
    let pause = held.pause;
    let lock_wait = held.waiting.elapsed().saturating_sub(pause.elapsed());
    // Nothing is committed before the last page is copied, and a step of 0 does not know how many
    // there are.
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
            Step::Done => return Ok(done(backup, held, lock_wait, clock::now())),
        }
        within(pause, max_pause)?;
    }
    live.same_file()?;
    live.no_stranger()?;
    log.progress().check()?;
    // As late as can be. What its own connection writes into a source, a backup takes over.
    let live_at = clock::now();
    marker::stamp(backup.from, live_at)?;
    loop {
        match backup.step(-1) {
            Ok(Step::Done) => return Ok(done(backup, held, lock_wait, live_at)),
            Ok(Step::More | Step::Busy) if pause.elapsed() <= max_pause => {
                std::thread::sleep(Duration::from_micros(200))
            }
            Ok(Step::More | Step::Busy) => return Err(exceeded(max_pause).into()),
            Err(error) => {
                return Err(Failure {
                    error,
                    undecided: true,
                });
            }
        }
    }
}

fn done(backup: &Backup<'_>, held: &Held, lock_wait: Duration, live_at: i64) -> Ended {
    let pages = u64::try_from(backup.total()).unwrap_or(0);
    let switched = Switched {
        by: "backup",
        pause_ms: clock::ms(held.pause.elapsed()),
        lock_wait_ms: clock::ms(lock_wait),
        pages_written: pages,
        pages_total: pages,
        attempts: held.attempt,
        ran_again: held.ran_again,
    };
    Ended::Done { switched, live_at }
}

/// Makes `target`, a database that nobody's release is, equal to `image`, under its open
/// connections.
pub(crate) fn overwrite(target: &Live, image: &mut Pair, options: &Options) -> Result<()> {
    let _no_stops = NoStops::new();
    let writer = target.connect()?;
    // EXTRA, or a power cut brings back a rollback journal that COMMIT has removed.
    writer.execute_batch("PRAGMA synchronous = EXTRA")?;
    writer.busy_timeout(Duration::ZERO)?;
    let path = image.path().with_extension("plain.db");
    let plain = match target.shape(&writer)?.journal_mode.as_str() {
        "wal" => None,
        _ => Some(plain(image.open(target)?, target, &path, &|| Ok(()))?),
    };
    let backup = Backup::new(
        plain.as_ref().map_or_else(|| image.open(target), Ok)?,
        &writer,
    )?;
    lock(&backup, options.lock_timeout(), target)?;
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

/// Copies live into a file that was made for it, and that somebody else is to have: byte for byte.
pub(crate) fn clone_to(live: &Live, path: &Path, go_on: KeepGoing<'_>) -> Result<u64> {
    let copy = Copy::into_file(live, path, go_on)?;
    let bytes = copy.sync().map(|()| copy.bytes());
    // What closing live does is its owner's, too.
    let _acting = live.owner.act()?;
    drop(copy);
    bytes
}
