//! The start of every verb that changes something: the store and its lock, what a crash left, what
//! live is.
//!
//! Live's marker is right, and the catalog is mended by it. A switch whose end is not recorded is
//! decided by comparing live's marker with the two ids that its intent holds, and by nothing else.
use crate::{
    artifacts,
    catalog::{Catalog, Entry, Intent, Release},
    clone, drift,
    error::{Context, Error, Result},
    live::Live,
    lock::Lock,
    log::Log,
    marker::{self, Marker},
    options::{JournalMode, Options},
    progress::Progress,
    removals, settle, sqlite, standing,
    stops::NoStops,
    store::{self, Store},
    switch::LET_GO,
    unknown::Unknown,
};
use rusqlite::Connection;
use std::{path::Path, time::Duration};

/// A store at work: nobody else is in it until this is dropped.
pub(crate) struct Begun {
    pub(crate) store: Store,
    _lock: Lock,
    /// What live says of itself.
    pub(crate) marker: Option<Marker>,
    /// The live release, by the catalog's number; 0 where live has no history yet.
    pub(crate) release: i64,
    /// What the caller should know.
    pub(crate) warnings: Vec<String>,
    /// What the log of a release is to say that records live as it stands.
    at_adoption: Vec<String>,
    /// Why only a release that comes back may change live.
    pub(crate) lost: Option<Error>,
}

impl Begun {
    /// The live release, where live has a history.
    pub(crate) fn live_release(&self) -> Option<i64> {
        Some(self.release).filter(|&release| release > 0)
    }

    /// Records live as it stands as a release, where it has no history: there is always one to go
    /// back to. A dry run changes nothing, and adoption turns on WAL. Gives what was done, if
    /// anything.
    pub(crate) fn adopt(&mut self, live: &Live, options: &Options) -> Result<Option<Adopted>> {
        if self.release > 0 || options.dry_run {
            return Ok(None);
        }
        let no_stops = NoStops::new();
        let conn = live.connect()?;
        let journal = make_ready(live, &conn, options)?;
        // An empty database has no history to keep: the release that fills it is the first.
        let empty = sqlite::is_empty(&conn)?;
        let schema = drift::record(&conn)?;
        drop((conn, no_stops));
        if empty {
            return Ok(Some(Adopted {
                done: format!("{} is empty{journal}", live.shown()),
            }));
        }
        self.release = self.store.catalog.adopt(None, Some(&schema))?;
        let adopted = Adopted {
            done: format!(
                "Adopted {} as release {}{journal}",
                live.shown(),
                self.release
            ),
        };
        let log = Log::new(Some(&self.store.catalog), self.release, Progress::none());
        adopted.log(&log);
        for warning in &self.at_adoption {
            log.warn(standing::STEP, warning.as_str());
        }
        Ok(Some(adopted))
    }

    /// The number that the release of a dry run would have.
    pub(crate) fn next(&self, live: &Live) -> Result<i64> {
        let adopts = self.release == 0 && !sqlite::is_empty(&*live.connect()?)?;
        Ok(self.free(self.store.catalog.next()?)? + i64::from(adopts))
    }

    fn free(&self, release: i64) -> Result<i64> {
        if release <= marker::HIGHEST {
            return Ok(release);
        }
        Err(Error::invalid_argument(format!("release {} is the last that can be numbered", release - 1))
            .state("Live is unchanged")
            .hint("No history counts that far: restore the database, or the catalog of its store, from a copy"))
    }

    /// Gives a number to a release that begins.
    pub(crate) fn number(&self, kind: &str, status: &str, options: &Options) -> Result<i64> {
        self.free(self.store.catalog.next()?)?;
        let (label, commit) = (options.label.as_deref(), options.commit.as_deref());
        let release = self.store.catalog.begin(kind, status, label, commit)?;
        // Of another one of this number: a power cut has taken its number back, or the catalog is
        // an older one.
        let unknown = Unknown::new(&self.store);
        unknown.set_aside_files(release)?;
        if let Some(said) = unknown.said() {
            Log::new(Some(&self.store.catalog), release, Progress::none()).warn("recover", said);
        }
        Ok(release)
    }

    /// Says in the log of a verb what the caller should know of the store.
    pub(crate) fn tell(&self, log: &Log<'_>) {
        for warning in &self.warnings {
            log.warn("recover", warning.as_str());
        }
    }
}

/// An adoption, as the logs tell it: that of the adopted release, and that of the release whose
/// verb it came with.
pub(crate) struct Adopted {
    done: String,
}

impl Adopted {
    pub(crate) fn log(&self, log: &Log<'_>) {
        log.note(standing::STEP, self.done.as_str());
    }
}

/// Opens the store, takes its lock, and mends what there is to mend. Live itself is not touched.
///
/// Fails with `not_found` where live is lost: it has nothing in it any more.
pub(crate) fn begin(live: &Live, options: &Options, progress: Progress<'_>) -> Result<Begun> {
    begin_to(live, options, progress, false)
}

/// As [`begin`], for what may bring a release back: also where live is lost.
pub(crate) fn begin_to_bring_back(
    live: &Live,
    options: &Options,
    progress: Progress<'_>,
) -> Result<Begun> {
    begin_to(live, options, progress, true)
}

fn begin_to(
    live: &Live,
    options: &Options,
    progress: Progress<'_>,
    brings_back: bool,
) -> Result<Begun> {
    let gone = {
        let _acting = live.owner.act()?;
        standing::catalog_is_gone(&live.path)?
    };
    let store = Store::open_or_create(live)?;
    let lock = store.lock(options.lock_timeout(), progress)?;
    for intent in store.catalog.open_intents()? {
        decide(live, &store, &intent, options.lock_timeout())?;
    }
    let conn = live.connect()?;
    let marker = marker::read(&conn)?;
    let lost = standing::lost(live, &store, marker.as_ref(), &conn)?;
    if let Some(lost) = lost.clone().filter(|_| !brings_back) {
        return Err(lost);
    }
    let at_adoption = Vec::from_iter(
        gone.into_iter()
            .chain(standing::replaced(&store.catalog, marker.as_ref())?),
    );
    let (release, said) = take_up(&store, marker.as_ref(), &conn, |unknown| {
        clear(&store, unknown)
    })?;
    let mut warnings = Vec::from_iter(said);
    if let Some(release) = release {
        let log = Log::new(Some(&store.catalog), release, Progress::none());
        at_adoption
            .iter()
            .for_each(|warning| log.warn(standing::STEP, warning.as_str()));
        warnings.extend(standing::by_hand(&store.catalog, release)?);
    } else {
        warnings.extend(at_adoption.iter().cloned());
    }
    drop(conn);
    // Once it is said which release is live: one that the catalog has as failed may be, where live
    // was restored by hand.
    artifacts::forget_fruitless(&store)?;
    Ok(Begun {
        store,
        _lock: lock,
        marker,
        release: release.unwrap_or(0),
        warnings,
        at_adoption,
        lost,
    })
}

/// Makes the catalog agree with live, once what it does not know is out of every verb's way: after
/// that, nobody can tell any more. Gives the live release, and what was set aside. `clear` is for a
/// catalog that has known live all along.
fn take_up(
    store: &Store,
    marker: Option<&Marker>,
    conn: &Connection,
    clear: impl FnOnce(&Unknown<'_>) -> Result<()>,
) -> Result<(Option<i64>, Option<String>)> {
    let unknown = Unknown::new(store);
    if knows(&store.catalog, marker)? {
        clear(&unknown)?;
    } else {
        clear_nothing(store, &unknown)?;
    }
    let said = unknown.said();
    let release = mend(store, marker, conn)?;
    if let (Some(release), Some(said)) = (release, &said) {
        Log::new(Some(&store.catalog), release, Progress::none()).warn("recover", said.as_str());
    }
    Ok((release, said))
}

/// Whether the catalog knows what live says of itself. Otherwise live or the store is another's, or
/// the catalog an older one, which does not say what may go.
fn knows(catalog: &Catalog, marker: Option<&Marker>) -> Result<bool> {
    match marker {
        Some(marker) => Ok(known(catalog, marker)?.is_some()),
        None => Ok(catalog
            .live()?
            .is_none_or(|entry| entry.switch_id.is_none())),
    }
}

/// The release that a marker is of, by its switch: its number is that of the history that it was
/// published in.
fn known(catalog: &Catalog, marker: &Marker) -> Result<Option<i64>> {
    if let Some(release) = catalog.release_of(&marker.switch_id)? {
        return Ok(Some(release));
    }
    // Adopted under a format that kept no switch of it. Nobody else's release of that number went
    // live in that millisecond.
    let is_this = |entry: &Entry| {
        entry.switch_id.is_none()
            && entry.release == marker.release
            && entry.live_at == Some(marker.live_at)
    };
    Ok(catalog.live()?.filter(is_this).map(|entry| entry.release))
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
    Detached,
    Old,
    Neither,
}

/// Decides a switch whose end is not known, and settles or buries it.
pub(crate) fn decide(
    live: &Live,
    store: &Store,
    intent: &Intent,
    timeout: Duration,
) -> Result<Decided> {
    // Longer than the lock: locals are dropped in reverse.
    let no_stops = NoStops::new();
    let conn = live.connect()?;
    conn.execute_batch("PRAGMA synchronous = EXTRA; PRAGMA wal_autocheckpoint = 0")
        .context(|| format!("preparing to write {}", live.shown()))?;
    lock(&conn, live, timeout)?;
    let decided = (|| {
        let marker = marker::read(&conn)?;
        // One way or the other, what is found here has to stay: a COMMIT whose sync never ended may
        // have come alive, and be gone again with the power, once it is said to be done.
        sqlite::bury(&conn)?;
        if intent.detaches && marker.is_none() {
            return Ok(Found::Detached);
        }
        if let Some(marker) = marker
            .as_ref()
            .filter(|marker| marker.switch_id == intent.switch_id)
        {
            return Ok(Found::New(marker.clone()));
        }
        let old = marker.map(|marker| marker.switch_id) == intent.old_switch;
        Ok::<_, Error>(if old { Found::Old } else { Found::Neither })
    })();
    if !conn.is_autocommit() {
        let _ = conn.execute_batch("ROLLBACK");
    }
    drop((conn, no_stops));
    let log = Log::new(Some(&store.catalog), intent.release, Progress::none());
    match decided? {
        Found::New(marker) => {
            settle::settle(store, intent, &marker)?;
            log.note(
                "recover",
                format!("Live carries switch {}: settled", intent.switch_id),
            );
            Ok(Decided::Switched)
        }
        Found::Detached => {
            store.catalog.detached(intent)?;
            if intent.release > 0 {
                log.note(
                    "recover",
                    format!(
                        "Live was detached: release {} is not live any more",
                        intent.release
                    ),
                );
            }
            Ok(Decided::Switched)
        }
        // Nothing was made for it, and nothing is live in another way.
        _ if intent.detaches => {
            store.catalog.not_switched(intent, "failed")?;
            Ok(Decided::NotSwitched)
        }
        found => {
            let work = store.path(&intent.work());
            // Live was restored or replaced by hand meanwhile: the clone may be all that is left of
            // what it was. It is safe before the catalog forgets of it, as `work` is emptied then.
            let kept = matches!(found, Found::Neither)
                && keep_aside(&work, &store.path(&intent.snapshot()))?;
            store.catalog.not_switched(intent, "failed")?;
            if kept {
                log.warn(
                    "recover",
                    format!(
                        "Live carries neither switch; its clone of before was kept as {}",
                        intent.snapshot()
                    ),
                );
            }
            store.remove_database(&work)?;
            log.warn(
                "recover",
                format!(
                    "Live does not carry switch {}: it did not happen",
                    intent.switch_id
                ),
            );
            Ok(Decided::NotSwitched)
        }
    }
}

/// Keeps a clone under another name, as a database of its own. Gives whether it is there, maybe
/// since an earlier call.
fn keep_aside(work: &Path, aside: &Path) -> Result<bool> {
    if work.exists() && !aside.exists() {
        let file = clone::set_journal_bytes(work, 1)?;
        file.sync_all()
            .context(|| format!("syncing {}", work.display()))?;
        store::rename_new(work, aside)?;
        for path in [aside, work] {
            store::sync_name(path)?;
        }
    }
    Ok(aside.exists())
}

fn lock(conn: &Connection, live: &Live, timeout: Duration) -> Result<()> {
    sqlite::wait_for_locks(conn, timeout)?;
    conn.execute_batch("BEGIN IMMEDIATE")
        .context(|| format!("taking the write lock of {}", live.shown()))
        .map_err(|e| {
            let hint = match e {
                Error::Busy(_) => LET_GO,
                _ => "Mend what keeps live from being written, and start again",
            };
            e.state("A switch that was cut off is not decided yet; live is as its readers see it")
                .hint(hint)
        })
}

/// Marks what a process that died left unfinished, and removes its files. The store's lock says
/// that nobody works on them.
fn clear(store: &Store, unknown: &Unknown<'_>) -> Result<()> {
    for release in store.catalog.unfinished()? {
        store.catalog.set_status(release, "failed")?;
        Log::new(Some(&store.catalog), release, Progress::none()).warn(
            "recover",
            "The process that made this release ended before it was done; live is unchanged",
        );
    }
    // A prune that was cut off between the catalog and the file.
    for snapshot in store.catalog.pruned_snapshots()? {
        store.remove_database(&store.path(&snapshot.path))?;
    }
    removals::run(store)?;
    set_copies_aside(store, unknown)?;
    let ids = store.catalog.work()?;
    // `object-`: copies of files of a caller's, made to be linked into a release.
    let own = |name: &str| {
        name.starts_with("object-")
            || name
                .split_once('.')
                .is_some_and(|(id, _)| ids.iter().any(|own| own == id))
    };
    unknown.set_aside_in("work", own)?;
    store.empty("work")?;
    if ids.is_empty() {
        Ok(())
    } else {
        store.catalog.nothing_at_work()
    }
}

/// Removes nothing: the catalog does not know what live is, and what it takes for a failure's or a
/// clone's may be all that is left of what it does not know.
fn clear_nothing(store: &Store, unknown: &Unknown<'_>) -> Result<()> {
    for release in store.catalog.unfinished()? {
        store.catalog.set_status(release, "failed")?;
    }
    for (release, _) in store.catalog.fruitless()? {
        unknown.set_aside_files(release)?;
    }
    set_copies_aside(store, unknown)?;
    unknown.set_aside_in("work", |_| false)?;
    store.catalog.all_removed()?;
    store.catalog.nothing_at_work()
}

/// Sets aside the databases of dev sessions and previews that the catalog does not say are there.
fn set_copies_aside(store: &Store, unknown: &Unknown<'_>) -> Result<()> {
    let dev = store
        .catalog
        .dev_sessions()?
        .into_iter()
        .filter(|session| session.status == "dev");
    let previews = store
        .catalog
        .previews()?
        .into_iter()
        .map(|(_, name, _)| name);
    for (folder, names) in [
        ("dev", Vec::from_iter(dev.map(|session| session.name))),
        ("previews", Vec::from_iter(previews)),
    ] {
        // With what SQLite and a store of its own keep beside it.
        let is_of = |file: &str, name: &String| {
            file.strip_prefix(name.as_str())
                .is_some_and(|rest| rest == ".db" || rest.starts_with(".db-"))
        };
        unknown.set_aside_in(folder, |file| names.iter().any(|name| is_of(file, name)))?;
    }
    Ok(())
}

/// Makes the catalog agree with live, and gives the live release. `None`: live has no history here.
pub(crate) fn mend(
    store: &Store,
    marker: Option<&Marker>,
    conn: &Connection,
) -> Result<Option<i64>> {
    let Some(marker) = marker else {
        return adopted(&store.catalog);
    };
    let catalog = &store.catalog;
    let recorded = catalog.live()?;
    let release = match (known(catalog, marker)?, &recorded) {
        (Some(release), Some(entry)) if entry.release == release => {
            if entry.switch_id.is_none() {
                catalog.set_switch(release, &marker.switch_id)?;
            }
            return Ok(Some(release));
        }
        (Some(release), _) => {
            catalog.live_again(release)?;
            release
        }
        (None, _) => catalog.adopt(Some(marker), drift::record(conn).ok().as_deref())?,
    };
    if let Some(other) = recorded {
        let what = match release == marker.release {
            true => format!("Live carries the marker of release {release}"),
            false => format!(
                "Live carries release {}{} of another history, which this store does not know, adopted as release {release}",
                marker.release,
                called(marker.label.as_deref(), marker.commit.as_deref())
            ),
        };
        Log::new(Some(catalog), release, Progress::none()).warn(
            standing::STEP,
            format!(
                "{what}, and release {0}{1} was live here: live was restored or replaced by hand. What release {0} was at the end is \
                 not kept",
                other.release,
                called(other.label.as_deref(), other.commit.as_deref())
            ),
        );
    }
    Ok(Some(release))
}

/// What people know a release by, behind its number.
fn called(label: Option<&str>, commit: Option<&str>) -> String {
    let label = label.map(|label| format!("{label:?}"));
    let parts: Vec<_> = label
        .into_iter()
        .chain(commit.map(|commit| format!("commit {commit}")))
        .collect();
    if parts.is_empty() {
        String::new()
    } else {
        format!(" ({})", parts.join(", "))
    }
}

/// The number of the live release in the history that is kept beside live. `None` where live has no
/// release, or one that is not of that history.
pub(crate) fn number(store: Option<&Store>, marker: Option<&Marker>) -> Result<Option<i64>> {
    match (store, marker) {
        (Some(store), Some(marker)) => known(&store.catalog, marker),
        (Some(store), None) => adopted(&store.catalog),
        (None, marker) => Ok(marker.map(|marker| marker.release)),
    }
}

/// The release that live is where it carries no marker: it was adopted, and never switched since.
pub(crate) fn adopted(catalog: &Catalog) -> Result<Option<i64>> {
    Ok(catalog
        .live()?
        .filter(|entry| entry.switch_id.is_none())
        .map(|entry| entry.release))
}

/// Gives live the journal and the first page that a switch needs. Says what became of the journal.
fn make_ready(live: &Live, conn: &Connection, options: &Options) -> Result<String> {
    let before = live.shape(conn)?.journal_mode;
    // EXTRA, or a power cut brings back a rollback journal that a COMMIT has removed.
    conn.execute_batch("PRAGMA synchronous = EXTRA")?;
    if options.journal_mode == JournalMode::Wal {
        to_wal(live, conn, options.lock_timeout())?;
    }
    // A file of 0 bytes has no page 1 to switch: this makes one, and nothing else.
    let pages: u32 = sqlite::pragma(conn, "page_count")?;
    if pages == 0 {
        conn.execute_batch("BEGIN IMMEDIATE; PRAGMA user_version = 0; COMMIT")
            .context(|| format!("writing the first page of {}", live.shown()))?;
    }
    let mode = live.shape(conn)?.journal_mode;
    Ok(if mode == before {
        String::new()
    } else {
        format!(", journal mode {before} to {mode}")
    })
}

fn to_wal(live: &Live, conn: &Connection, timeout: Duration) -> Result<()> {
    if live.shape(conn)?.journal_mode == "wal" {
        return Ok(());
    }
    let mode = sqlite::to_wal(conn, timeout)
        .context(|| format!("turning on WAL for {}", live.shown()))
        .map_err(|e| {
            e.state("Live is unchanged").hint(
                "This needs a moment without readers and writers; or set journal_mode to keep",
            )
        })?;
    if mode != "wal" {
        return Err(
            Error::busy(format!("{} stayed in journal mode {mode}", live.shown()))
                .state("Live is unchanged")
                .hint(
                    "This needs a moment without readers and writers; or set journal_mode to keep",
                ),
        );
    }
    Ok(())
}

/// A store that is looked at.
pub(crate) struct Seen {
    pub(crate) store: Store,
    /// Held where nobody is at work.
    lock: Option<Lock>,
}

impl Seen {
    /// The history, newest first. Where nobody is at work, what is being built is what a process
    /// left that died: the next verb that writes records that it failed, and until then it is shown
    /// so.
    pub(crate) fn releases(&self) -> Result<Vec<Release>> {
        let mut releases = self.store.catalog.releases()?;
        if self.lock.is_some() && self.store.catalog.open_intents()?.is_empty() {
            for release in releases
                .iter_mut()
                .filter(|release| release.status == "building")
            {
                release.status = "failed".into();
            }
        }
        Ok(releases)
    }
}

/// Opens the store to look at the history, mended by live where nobody is at work on it.
pub(crate) fn look(live: &Live) -> Result<Option<Seen>> {
    let Some(store) = Store::open(live)? else {
        return Ok(None);
    };
    let lock = match store.lock(Duration::ZERO, Progress::none()) {
        Err(Error::Busy(_)) => None, // somebody is at work
        lock => Some(lock?),
    };
    if lock.is_some() && store.catalog.open_intents()?.is_empty() {
        let conn = live.connect()?;
        if let Some(marker) = marker::read(&conn)? {
            take_up(&store, Some(&marker), &conn, |_| Ok(()))?;
        }
    }
    Ok(Some(Seen { store, lock }))
}
