//! Verify: reads everything again, and says what is not as it should be. Changes nothing.

use crate::{
    base::{
        error::{Context, Result},
        history::Step,
        ids::ReleaseId,
        options::Options,
        progress::Progress,
        text::human,
    },
    live::{
        database::Live,
        marker::{self, Marker},
    },
    release::{drift, known, standing},
    sqlite::{integrity, libraries},
    store::{Store, artifacts, log::Log, place, snapshots, unknown},
    switch::engine,
};
use rusqlite::{Connection, OpenFlags};
use serde::Serialize;
use std::{cell::RefCell, path::Path};

/// One thing that was verified.
#[derive(Debug, Clone, Serialize)]
pub struct Checked {
    /// Live, a snapshot, an artifact, the catalog.
    pub object: String,
    /// What was checked of it.
    pub what: String,
    /// Whether it holds.
    pub ok: bool,
    /// What was found.
    pub message: Option<String>,
}

/// What a verify found.
#[derive(Debug, Clone, Serialize)]
pub struct Verified {
    /// Whether all holds.
    pub ok: bool,
    /// Everything that was checked.
    pub checked: Vec<Checked>,
    /// What the caller should know.
    pub warnings: Vec<String>,
}

pub(crate) fn verify(live: &Live, options: &Options, progress: Progress<'_>) -> Result<Verified> {
    let bytes = std::fs::metadata(&live.path).map_or(0, |live| live.len());
    let log = Log::new(None, ReleaseId::NONE, progress);
    let report = Report {
        options,
        log: &log,
        checked: RefCell::default(),
        warnings: RefCell::default(),
    };
    log.note(
        Step::Verify,
        format!("Reading {} [{}]", live.shown(), human(bytes)),
    );
    let _acting = live.owner.act()?;
    let conn = live.connect()?;
    // A library that cannot be loaded is no fault of what is checked.
    libraries::load_extensions(&conn, live.libraries(options)?)?;
    report.database(&live.shown().to_string(), || Ok(&*conn))?;
    let marker = marker::read(&conn);
    match Store::open(live) {
        Ok(None) => match standing::catalog_is_gone(&live.path)? {
            Some(gone) => report.check("catalog", "is there", || Ok(Some(gone)))?,
            None => report.warn(format!(
                "{} has no store: nothing was published yet",
                live.shown()
            )),
        },
        Ok(Some(store)) => report.store(live, &store, marker, &conn)?,
        Err(e) => report.check("store", "may be read", || Err(e))?,
    }
    if let Some(weakness) = engine::of(live).describe().weakness {
        report.warn(weakness);
    }
    let checked = report.checked.into_inner();
    Ok(Verified {
        ok: checked.iter().all(|c| c.ok),
        checked,
        warnings: report.warnings.into_inner(),
    })
}

/// What was found so far.
struct Report<'a> {
    options: &'a Options,
    log: &'a Log<'a>,
    checked: RefCell<Vec<Checked>>,
    warnings: RefCell<Vec<String>>,
}

impl Report<'_> {
    fn warn(&self, warning: String) {
        self.log.warn(Step::Verify, warning.clone());
        self.warnings.borrow_mut().push(warning);
    }

    /// Does a check, unless the caller has called it off. What it fails with is what it has found.
    fn check(
        &self,
        object: &str,
        what: &str,
        look: impl FnOnce() -> Result<Option<String>>,
    ) -> Result<()> {
        let progress = self.log.progress();
        let found = |message: &Option<String>| match message {
            None => format!("{object}: {what} holds"),
            Some(message) => format!("{object}: {what}: {message}"),
        };
        let look = || Ok(look().unwrap_or_else(|e| Some(e.to_string())));
        let message = self.log.step(Step::Verify, look, found)?;
        progress.check()?;
        let (object, what) = (object.to_owned(), what.to_owned());
        self.checked.borrow_mut().push(Checked {
            object,
            what,
            ok: message.is_none(),
            message,
        });
        Ok(())
    }

    /// `integrity_check` of a database.
    fn database<C: std::ops::Deref<Target = Connection>>(
        &self,
        object: &str,
        open: impl FnOnce() -> Result<C>,
    ) -> Result<()> {
        let mut unchecked = Vec::new();
        self.check(object, "integrity_check", || {
            let conn = open()?;
            let found = self
                .log
                .progress()
                .interrupting(&conn, || integrity::whole(&conn))?;
            unchecked = found.unchecked;
            Ok((!found.wrong.is_empty()).then(|| found.wrong.join("; ")))
        })?;
        for (table, stranger) in unchecked {
            self.warn(format!(
                "{object}: only the pages of {table} were checked, for {} is not here. {}",
                stranger.name,
                stranger.hint()
            ));
        }
        Ok(())
    }

    /// The catalog, and all that it knows of.
    fn store(
        &self,
        live: &Live,
        store: &Store,
        marker: Result<Option<Marker>>,
        conn: &Connection,
    ) -> Result<()> {
        let mut warnings = Vec::new();
        self.check("catalog", "agrees with live", || {
            agrees(live, store, marker, conn, &mut warnings)
        })?;
        warnings.extend(unknown::warnings(store)?);
        warnings.into_iter().for_each(|warning| self.warn(warning));
        self.check("catalog", "integrity_check", || store.catalog.integrity())?;
        for (release, written) in store.catalog.misplaced_snapshots()? {
            let message = format!(
                "the catalog says that the database of release {release} is {written:?}, and it cannot be there: somebody has \
                 written into the catalog"
            );
            self.check(
                &format!("release {release}"),
                "place of its snapshot",
                || Ok(Some(message)),
            )?;
        }
        for snapshot in store.catalog.kept_snapshots()? {
            let path = store.path(&snapshot.path);
            self.check(&snapshot.path, "size and hash", || {
                Ok(snapshots::check_snapshot(store, &snapshot)
                    .err()
                    .map(|e| e.detail().what.clone()))
            })?;
            self.database(&snapshot.path, || {
                let conn = Box::new(open(live, &path)?);
                libraries::load_extensions(&conn, live.libraries(self.options)?)?;
                Ok(conn)
            })?;
        }
        self.check("objects", "hashes", || {
            artifacts::changed_objects(store).map(|changed| {
                (!changed.is_empty()).then(|| {
                    format!(
                        "{} is not what its name says: it was changed",
                        changed.join(", ")
                    )
                })
            })
        })?;
        for (release, hash) in store.catalog.files()? {
            self.check(&place::files(release), "hash", || {
                artifacts::hash(store, release).map(|now| {
                    (now != hash).then(|| {
                        format!(
                            "the artifacts of release {release} were changed since they were kept"
                        )
                    })
                })
            })?;
        }
        if !store.catalog.open_intents()?.is_empty() {
            self.warn("a switch that was cut off is not decided yet; the next publish or rollback does it".into());
        }
        Ok(())
    }
}

/// Whether the catalog knows what live says of itself. What was changed outside of remy since is a
/// warning.
fn agrees(
    live: &Live,
    store: &Store,
    marker: Result<Option<Marker>>,
    conn: &Connection,
    warnings: &mut Vec<String>,
) -> Result<Option<String>> {
    let marker = marker?;
    if let Some(lost) = standing::lost(live, store, marker.as_ref(), conn)? {
        return Ok(Some(lost.to_string()));
    }
    let recorded = store.catalog.live()?.map(|entry| entry.release);
    let release = known::number(Some(store), marker.as_ref())?;
    if let (Some(release), true) = (release, release == recorded) {
        warnings.extend(standing::by_hand(&store.catalog, release)?);
        warnings.extend(drift::since(
            &store.catalog,
            release,
            conn,
            &Options::default(),
        )?);
        return Ok(None);
    }
    Ok(match (&marker, recorded) {
        (None, recorded) => recorded.map(standing::not_carried),
        (Some(marker), recorded) => {
            let recorded = recorded.map_or("none".to_owned(), |release| release.to_string());
            let says = match release {
                Some(release) => format!("live says release {release}"),
                None => {
                    format!(
                        "live says release {} of another history (switch {})",
                        marker.release, marker.switch_id
                    )
                }
            };
            Some(format!(
                "{says}, the catalog {recorded}; the next publish mends the catalog"
            ))
        }
    })
}

fn open(live: &Live, path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    match live.vfs() {
        Some(vfs) => Connection::open_with_flags_and_vfs(path, flags, vfs),
        None => Connection::open_with_flags(path, flags),
    }
    .context(|| format!("opening {}", path.display()))
}
