//! How live and its store stand to each other, in words: where live is not what the store has
//! published last, whoever asks is told.

use crate::{
    base::{
        error::{Error, Result, State},
        history::Step,
        ids::ReleaseId,
        options::StepOutcome,
        text::human,
    },
    live::{
        beside,
        database::Live,
        marker::{self, Marker},
    },
    os::folder::Folder,
    release::known,
    sqlite::calls,
    store::{Store, catalog::Catalog, place},
};
use rusqlite::Connection;
use std::path::Path;

/// The step of the log under which it is said that live was put in place by hand.
pub(crate) const STEP: Step = Step::Adopt;

/// What the caller should know of live and its store.
pub(crate) fn warnings(
    live: &Live,
    store: Option<&Store>,
    marker: Option<&Marker>,
    conn: &Connection,
) -> Result<Vec<String>> {
    let Some(store) = store else {
        return Ok(vec![match (catalog_is_gone(&live.path)?, marker) {
            (Some(gone), _) => gone,
            (None, Some(_)) => {
                "live was published elsewhere and has no store here: the next publish takes it up as it stands"
                    .to_owned()
            }
            (None, None) => no_release(),
        }]);
    };
    if let Some(lost) = lost(live, store, marker, conn)? {
        return Ok(vec![lost.to_string()]);
    }
    Ok(
        match (
            replaced(&store.catalog, marker)?,
            known::number(Some(store), marker)?,
        ) {
            (Some(replaced), _) => vec![format!(
                "{replaced}. The next publish takes it up as it stands"
            )],
            (None, Some(release)) => Vec::from_iter(by_hand(&store.catalog, release)?),
            (None, None) => vec![no_release()],
        },
    )
}

fn no_release() -> String {
    "live has no release: the next publish takes it up as it stands".to_owned()
}

/// Why nothing but a release that comes back may change live: it has nothing in it, and a release
/// is live by the catalog. It was emptied, or is gone and was made anew.
pub(crate) fn lost(
    live: &Live,
    store: &Store,
    marker: Option<&Marker>,
    conn: &Connection,
) -> Result<Option<Error>> {
    if marker.is_some() || !calls::is_empty(conn)? {
        return Ok(None);
    }
    let Some(entry) = store.catalog.live()? else {
        return Ok(None);
    };
    let root = store.root().display();
    let newest = store.catalog.kept_snapshots()?.into_iter().next();
    let back = newest.map_or_else(String::new, |snapshot| {
        format!(
            ", or roll back to release {}, whose database is the newest that {root} keeps and was live before",
            snapshot.release
        )
    });
    let error = Error::not_found(format!(
        "{} is empty, and release {} was live there: it was emptied, or is gone and was made anew",
        live.shown(),
        entry.release
    ));
    Ok(Some(
        error
            .object(live.shown().to_string())
            .state(State::NothingDone)
            .hint(format!(
                "Put it back from a backup{back}. Or move {root} away, to begin anew"
            )),
    ))
}

/// Refuses an empty live beside a store that has snapshots or their like, and no catalog to say
/// which was live.
pub(crate) fn is_not_lost_with_its_catalog(live: &Live) -> Result<()> {
    let conn = live.connect()?;
    if marker::read(&conn)?.is_some() || !calls::is_empty(&conn)? {
        return Ok(());
    }
    let root = beside::beside(&live.path);
    let root = root.display();
    Err(Error::not_found(format!(
        "{} is empty, and {root} has lost its catalog: what was live there is not known any more",
        live.shown()
    ))
    .object(live.shown().to_string())
    .state(State::NothingDone)
    .hint(format!(
        "Put both back from a backup, or copy the newest file of {root}/snapshots in live's place. Or move {root} away, to begin anew"
    )))
}

/// What it means that live has no marker, where a switch made a release live.
pub(crate) fn replaced(catalog: &Catalog, marker: Option<&Marker>) -> Result<Option<String>> {
    let entry = catalog
        .live()?
        .filter(|entry| marker.is_none() && entry.switch_id.is_some());
    Ok(entry.map(|entry| {
        format!(
            "{}. What it was at the end is not kept",
            not_carried(entry.release)
        )
    }))
}

/// What it means that live has no marker, where a release is said to be live.
pub(crate) fn not_carried(release: ReleaseId) -> String {
    format!(
        "Release {release} was live here, and live does not carry its marker: another database was put in its place, or the marker \
         was dropped"
    )
}

/// What its log says of how a release came to be live, where no verb made it so.
pub(crate) fn by_hand(catalog: &Catalog, release: ReleaseId) -> Result<Option<String>> {
    catalog.last_message(release, STEP, StepOutcome::Warning)
}

/// What stands in a store whose catalog is gone. `None` where it is there, and where nothing else
/// is.
pub(crate) fn catalog_is_gone(live: &Path) -> Result<Option<String>> {
    let root = beside::beside(live);
    if beside::has_catalog(live) {
        return Ok(None);
    }
    let Some(folder) = Folder::open(&root)? else {
        return Ok(None);
    };
    let mut there = Vec::new();
    for (name, one, more) in [
        ("snapshots", "snapshot", "snapshots"),
        (place::FILES, "release's files", "releases' files"),
        ("dev", "file of dev sessions", "files of dev sessions"),
        ("previews", "file of previews", "files of previews"),
    ] {
        let Some(inner) = folder.folder(name)? else {
            continue;
        };
        let mut bytes = 0;
        let names = inner.names()?;
        for name in &names {
            bytes += inner
                .look(name)?
                .map_or(0, |found| u64::try_from(found.st_size).unwrap_or(0));
        }
        match names.len() {
            0 => {}
            n => {
                let size = if name == "snapshots" {
                    format!(" [{}]", human(bytes))
                } else {
                    String::new()
                };
                there.push(format!("{n} {}{size}", if n == 1 { one } else { more }));
            }
        }
    }
    Ok((!there.is_empty()).then(|| {
        format!(
            "the catalog of {} is gone, and with it the history: {} are there, and no verb knows them. Nothing of it is \
             deleted. Put catalog.db back from a backup; else the next publish begins a new one, and they stay in the store",
            root.display(),
            there.join(", ")
        )
    }))
}
