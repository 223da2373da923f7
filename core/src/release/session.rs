//! The start of every verb that changes something.

use crate::{
    base::{
        error::{Context, Error, Result, State},
        history::{Status, Step},
        ids::ReleaseId,
        options::{JournalMode, Options},
        progress::Progress,
        remedy::OptionName,
    },
    live::{
        database::Live,
        marker::{self, Marker},
    },
    os::{lock::Lock, stops::NoStops},
    release::{
        recover::{clear, decide, take_up},
        standing,
    },
    remedy,
    sqlite::calls,
    store::{Store, artifacts, catalog::releases::Kind, log::Log, schema_record, unknown::Unknown},
};
use rusqlite::Connection;
use std::time::Duration;

/// A store at work: nobody else is in it until this is dropped.
pub(crate) struct Session {
    pub(crate) store: Store,
    _lock: Lock,
    /// What live says of itself.
    pub(crate) marker: Option<Marker>,
    /// The live release, by the catalog's number; 0 where live has no history yet.
    pub(crate) release: ReleaseId,
    /// What the caller should know.
    pub(crate) warnings: Vec<String>,
    /// What the log of a release is to say that records live as it stands.
    at_adoption: Vec<String>,
    /// Why only a release that comes back may change live.
    pub(crate) lost: Option<Error>,
}

impl Session {
    /// Opens the store, takes its lock, and mends what there is to mend. Live itself is not
    /// touched.
    ///
    /// Fails with `not_found` where live is lost: it has nothing in it any more.
    pub(crate) fn begin(live: &Live, options: &Options, progress: Progress<'_>) -> Result<Self> {
        Self::begin_to(live, options, progress, false)
    }

    /// As [`Session::begin`], for what may bring a release back: also where live is lost.
    pub(crate) fn begin_to_bring_back(
        live: &Live,
        options: &Options,
        progress: Progress<'_>,
    ) -> Result<Self> {
        Self::begin_to(live, options, progress, true)
    }

    fn begin_to(
        live: &Live,
        options: &Options,
        progress: Progress<'_>,
        brings_back: bool,
    ) -> Result<Self> {
        let gone = {
            let _acting = live.owner.act()?;
            standing::catalog_is_gone(&live.path)?
        };
        if gone.is_some() {
            standing::is_not_lost_with_its_catalog(live)?;
        }
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
        // Once it is said which release is live: one that the catalog has as failed may be, where
        // live was restored by hand.
        artifacts::forget_fruitless(&store)?;
        Ok(Self {
            store,
            _lock: lock,
            marker,
            release: release.unwrap_or(ReleaseId::NONE),
            warnings,
            at_adoption,
            lost,
        })
    }

    /// The live release, where live has a history.
    pub(crate) fn live_release(&self) -> Option<ReleaseId> {
        Some(self.release).filter(|&release| release != ReleaseId::NONE)
    }

    /// Records live as it stands as a release, where it has no history: there is always one to go
    /// back to. A dry run changes nothing, and adoption turns on WAL. Returns what was done, if
    /// anything.
    pub(crate) fn adopt(&mut self, live: &Live, options: &Options) -> Result<Option<Adopted>> {
        if self.release != ReleaseId::NONE || options.dry_run {
            return Ok(None);
        }
        let no_stops = NoStops::new();
        let conn = live.connect()?;
        let journal = make_ready(live, &conn, options)?;
        // An empty database has no history to keep: the release that fills it is the first.
        let empty = calls::is_empty(&conn)?;
        let schema = schema_record::record(&conn)?;
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

    /// Makes the first page of a live database of 0 bytes, as the first publish would: there is
    /// nothing to copy of it before.
    pub(crate) fn make_first_page(&self, live: &Live) -> Result<()> {
        let _no_stops = NoStops::new();
        let conn = live.connect()?;
        if calls::pragma::<u32>(&conn, "page_count")? == 0 {
            make_ready(live, &conn, &Options::default())?;
        }
        Ok(())
    }

    /// The number that the release of a dry run would have.
    pub(crate) fn next(&self, live: &Live) -> Result<ReleaseId> {
        let adopts = self.release == ReleaseId::NONE && !calls::is_empty(&*live.connect()?)?;
        Ok(ReleaseId(
            self.free(self.store.catalog.next()?)?.0 + i64::from(adopts),
        ))
    }

    fn free(&self, release: ReleaseId) -> Result<ReleaseId> {
        if release <= marker::HIGHEST {
            return Ok(release);
        }
        Err(Error::invalid_argument(format!("release {} is the last that can be numbered", release.0 - 1))
            .state(State::LiveUnchanged)
            .hint("No history counts that far: restore the database, or the catalog of its store, from a copy"))
    }

    /// Numbers a release that begins.
    pub(crate) fn number(
        &self,
        kind: Kind,
        status: Status,
        options: &Options,
    ) -> Result<ReleaseId> {
        self.free(self.store.catalog.next()?)?;
        let (label, commit) = (options.label.as_deref(), options.commit.as_deref());
        let release = self.store.catalog.begin(kind, status, label, commit)?;
        // Of another one of this number: a power cut has taken its number back, or the catalog is
        // an older one.
        let unknown = Unknown::new(&self.store);
        unknown.set_aside_files(release)?;
        if let Some(said) = unknown.said() {
            Log::new(Some(&self.store.catalog), release, Progress::none())
                .warn(Step::Recover, said);
        }
        Ok(release)
    }

    /// Says in the log of a verb what the caller should know of the store.
    pub(crate) fn tell(&self, log: &Log<'_>) {
        for warning in &self.warnings {
            log.warn(Step::Recover, warning.as_str());
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

/// Puts live into the journal mode that is asked for, and makes its first page, which a switch
/// needs. Returns what became of the journal mode.
fn make_ready(live: &Live, conn: &Connection, options: &Options) -> Result<String> {
    let before = live.shape(conn)?.journal_mode;
    // EXTRA, or a power cut brings back a rollback journal that a COMMIT has removed.
    conn.execute_batch("PRAGMA synchronous = EXTRA")?;
    if options.journal_mode == JournalMode::Wal {
        to_wal(live, conn, options.lock_timeout())?;
    }
    // A file of 0 bytes has no page 1 to switch.
    let pages: u32 = calls::pragma(conn, "page_count")?;
    if pages == 0 {
        calls::make_first_page(conn)
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
    let mode = calls::to_wal(conn, timeout)
        .context(|| format!("turning on WAL for {}", live.shown()))
        .map_err(|e| {
            e.state(State::LiveUnchanged).hint(remedy![
                "This needs a moment without readers and writers; or set ",
                OptionName::JournalMode,
                " to keep"
            ])
        })?;
    if mode != "wal" {
        return Err(
            Error::busy(format!("{} stayed in journal mode {mode}", live.shown()))
                .state(State::LiveUnchanged)
                .hint(remedy![
                    "This needs a moment without readers and writers; or set ",
                    OptionName::JournalMode,
                    " to keep"
                ]),
        );
    }
    Ok(())
}
