//! The start of every verb that changes something: the store and its lock, what a crash left, what live is.
//!
//! Live's marker is right, and the catalog is mended by it. A switch whose end is not recorded is decided by comparing
//! live's marker with the two ids that its intent holds, and by nothing else.
use crate::{
    catalog::Intent,
    error::{Context, Error, Result},
    live::Live,
    lock::Lock,
    log::Log,
    marker::{self, Marker},
    options::{JournalMode, Options},
    progress::Progress,
    settle,
    store::{self, Store},
};
use rusqlite::Connection;
use std::{fs, time::Duration};

/// A store at work: nobody else is in it until this is dropped.
pub(crate) struct Begun {
    pub(crate) store: Store,
    _lock: Lock,
    /// What live says of itself.
    pub(crate) marker: Option<Marker>,
    /// The live release; 0 where live has no history yet.
    pub(crate) release: i64,
}

impl Begun {
    /// The live release, where live has a history.
    pub(crate) fn live_release(&self) -> Option<i64> {
        Some(self.release).filter(|&release| release > 0)
    }

    /// Records live as it stands as a release, where it has no history: there is always one to go back to. A dry run
    /// changes nothing, and adoption turns on WAL. Gives what was done, if anything.
    pub(crate) fn adopt(&mut self, live: &Live, options: &Options) -> Result<Option<String>> {
        if self.release > 0 || options.dry_run {
            return Ok(None);
        }
        let (release, done) = adopt(live, &*live.connect()?, &self.store, options)?;
        self.release = release;
        Ok(Some(done))
    }
}

/// Opens the store, takes its lock, and mends what there is to mend. Live itself is not touched.
pub(crate) fn begin(live: &Live, options: &Options) -> Result<Begun> {
    let store = Store::open_or_create(live)?;
    let lock = store.lock(options.lock_timeout())?;
    for intent in store.catalog.open_intents()? {
        decide(live, &store, &intent, options.lock_timeout())?;
    }
    clear(&store)?;
    let conn = live.connect()?;
    let marker = marker::read(&conn)?;
    let release = mend(&store, marker.as_ref())?.unwrap_or(0);
    drop(conn);
    Ok(Begun { store, _lock: lock, marker, release })
}

/// What became of a switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decided {
    Switched,
    NotSwitched,
}

/// What live says of a switch.
enum Found {
    New(Marker),
    Old,
    Neither,
}

/// Decides a switch whose end is not known, and settles or buries it.
pub(crate) fn decide(live: &Live, store: &Store, intent: &Intent, timeout: Duration) -> Result<Decided> {
    let conn = live.connect()?;
    conn.execute_batch("PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0")?;
    lock(&conn, live, timeout)?;
    let decided = (|| {
        let marker = marker::read(&conn)?;
        if let Some(marker) = marker.as_ref().filter(|marker| marker.switch_id == intent.switch_id) {
            return Ok(Found::New(marker.clone()));
        }
        // A commit frame that was written but not synced can come alive at the next recovery of the WAL. A commit of
        // ours, which changes nothing, takes its place.
        let version: i64 = conn.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        conn.execute_batch(&format!("PRAGMA user_version = {version}; COMMIT"))
            .context(|| format!("burying a switch of {} that failed", live.shown()))?;
        let old = marker.map(|marker| marker.switch_id) == intent.old_switch;
        Ok::<_, Error>(if old { Found::Old } else { Found::Neither })
    })();
    if !conn.is_autocommit() {
        let _ = conn.execute_batch("ROLLBACK");
    }
    drop(conn);
    let log = Log::new(Some(&store.catalog), intent.release, Progress::none());
    match decided? {
        Found::New(marker) => {
            settle::settle(store, intent, &marker)?;
            log.note("recover", format!("Live carries switch {}: settled", intent.switch_id));
            Ok(Decided::Switched)
        }
        found => {
            store.catalog.not_switched(intent, "failed")?;
            let work = store.path(&intent.work);
            if matches!(found, Found::Neither) && work.exists() {
                // Live was restored or replaced by hand meanwhile: the clone may be all that is left of what it was.
                let aside = store.path(&intent.snapshot);
                store::rename_new(&work, &aside)?;
                log.warn(
                    "recover",
                    format!("Live carries neither switch; its clone of before was kept as {}", intent.snapshot),
                );
            }
            store.remove_database(&work)?;
            log.warn("recover", format!("Live does not carry switch {}: it did not happen", intent.switch_id));
            Ok(Decided::NotSwitched)
        }
    }
}

fn lock(conn: &Connection, live: &Live, timeout: Duration) -> Result<()> {
    conn.busy_timeout(timeout)?;
    conn.execute_batch("BEGIN IMMEDIATE").context(|| format!("taking the write lock of {}", live.shown())).map_err(
        |e| {
            e.state("A switch that was cut off is not decided yet; live is as its readers see it")
                .hint("End the long write transaction of another connection, and start again")
        },
    )
}

/// Marks what a process that died left unfinished, and removes its files. The store's lock says that nobody works on them.
fn clear(store: &Store) -> Result<()> {
    for release in store.catalog.unfinished()? {
        store.catalog.set_status(release, "failed")?;
        Log::new(Some(&store.catalog), release, Progress::none())
            .warn("recover", "The process that made this release ended before it was done; live is unchanged");
    }
    // A prune that was cut off between the catalog and the file.
    for snapshot in store.catalog.pruned_snapshots()? {
        store.remove_database(&store.path(&snapshot.path))?;
    }
    let work = store.path("work");
    for entry in fs::read_dir(&work).context(|| format!("reading {}", work.display()))? {
        store::remove(&entry.context(|| format!("reading {}", work.display()))?.path())?;
    }
    Ok(())
}

/// Makes the catalog agree with live, and gives the live release. `None`: live has no history here.
pub(crate) fn mend(store: &Store, marker: Option<&Marker>) -> Result<Option<i64>> {
    let recorded = store.catalog.live()?;
    match (marker, recorded) {
        (Some(marker), Some(entry)) if entry.release == marker.release => Ok(Some(entry.release)),
        (Some(marker), _) => store.catalog.adopt(Some(marker)).map(Some),
        // Adopted, and never switched since.
        (None, Some(entry)) if !store.catalog.was_switched(entry.release)? => Ok(Some(entry.release)),
        (None, _) => Ok(None),
    }
}

/// Records live as it stands, so that there is always a release to go back to.
fn adopt(live: &Live, conn: &Connection, store: &Store, options: &Options) -> Result<(i64, String)> {
    let before = live.shape(conn)?.journal_mode;
    if options.journal_mode == JournalMode::Wal {
        to_wal(live, conn, options.lock_timeout())?;
    }
    // A file of 0 bytes has no page 1 to switch: this makes one, and nothing else.
    let pages: u32 = conn.query_row("PRAGMA page_count", [], |row| row.get(0))?;
    if pages == 0 {
        conn.execute_batch("BEGIN IMMEDIATE; PRAGMA user_version = 0; COMMIT")
            .context(|| format!("writing the first page of {}", live.shown()))?;
    }
    let release = store.catalog.adopt(None)?;
    let mode = live.shape(conn)?.journal_mode;
    let journal = if mode == before { String::new() } else { format!(", journal mode {before} to {mode}") };
    let done = format!("Adopted {} as release {release}{journal}", live.shown());
    Log::new(Some(&store.catalog), release, Progress::none()).note("adopt", done.clone());
    Ok((release, done))
}

fn to_wal(live: &Live, conn: &Connection, timeout: Duration) -> Result<()> {
    if live.shape(conn)?.journal_mode == "wal" {
        return Ok(());
    }
    conn.busy_timeout(timeout)?;
    let mode: String = conn
        .query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))
        .context(|| format!("turning on WAL for {}", live.shown()))
        .map_err(|e| {
            e.state("Live is unchanged")
                .hint("This needs a moment without readers and writers; or set journal_mode to keep")
        })?;
    if mode != "wal" {
        return Err(Error::busy(format!("{} stayed in journal mode {mode}", live.shown()))
            .state("Live is unchanged")
            .hint("This needs a moment without readers and writers; or set journal_mode to keep"));
    }
    Ok(())
}

/// Opens the store to look at the history, mended by live where nobody is at work on it.
pub(crate) fn look(live: &Live) -> Result<Option<Store>> {
    let Some(store) = Store::open(live)? else { return Ok(None) };
    if let Ok(_lock) = store.lock(Duration::ZERO)
        && store.catalog.open_intents()?.is_empty()
    {
        let conn = live.connect()?;
        if let Some(marker) = marker::read(&conn)? {
            mend(&store, Some(&marker))?;
        }
    }
    Ok(Some(store))
}
