//! Where things stand, in one look: live, its store, what is live, what waits, and what is odd.

use super::{
    folder::{Project, Result},
    live::May,
};
use crate::{
    build::release::SOURCE,
    files,
    outbox::{self, Lag},
    place::From,
};
use remy_db::{Debug, Dev, DevStatus, Line, Release, Remy, Status as Reached, Step};
use serde::Serialize;
use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

/// Free space that a clone leaves, unless told otherwise.
const MARGIN: u64 = 256 << 20;

/// Where things stand.
#[derive(Debug, Serialize)]
pub struct Status {
    /// The folder of the manifest, if there is one.
    pub root: Option<PathBuf>,
    /// The live database.
    pub live: LiveFile,
    /// Its store, once it is there.
    pub store: Option<StoreSize>,
    /// The release that is live.
    pub release: Option<Release>,
    /// What that was built of, as its log says.
    pub built: Option<String>,
    /// What was rehearsed, and waits to be promoted.
    pub compiled: Vec<Release>,
    /// The previews.
    pub previews: Vec<Release>,
    /// The dev sessions.
    pub dev: Vec<Dev>,
    /// What services outside have not been told yet of what is live.
    pub outbox: Vec<Lag>,
    /// What somebody should look at.
    pub warnings: Vec<String>,
}

/// A live database.
#[derive(Debug, Serialize)]
pub struct LiveFile {
    /// Where it is, or will be.
    pub path: PathBuf,
    /// What named it.
    pub from: From,
    /// Whether it is there.
    pub exists: bool,
    /// Its size.
    pub bytes: u64,
    /// Its journal mode.
    pub journal_mode: Option<String>,
}

/// What a store takes.
#[derive(Debug, Serialize)]
pub struct StoreSize {
    /// Where it is.
    pub path: String,
    /// What its files take on the disk.
    pub bytes: u64,
    /// How many databases of releases it keeps.
    pub snapshots: usize,
    /// What the disk has left.
    pub free_bytes: u64,
}

impl Project {
    /// Where things stand.
    pub fn status(&self) -> Result<Status> {
        if crate::place::is_there(&self.place.path) {
            return self.on_live(May::Not, |remy| self.of_what_is_there(remy));
        }
        self.is_to_be(May::Make { create: true })?;
        Ok(Status {
            root: self.place.root.clone(),
            live: self.live(0, None),
            store: None,
            release: None,
            built: None,
            compiled: Vec::new(),
            previews: Vec::new(),
            dev: Vec::new(),
            outbox: Vec::new(),
            warnings: Vec::new(),
        })
    }

    fn of_what_is_there(&self, remy: &Remy) -> Result<Status> {
        let debug = remy.debug()?;
        let releases = remy.releases()?;
        let sessions = remy.dev_list()?;
        let bytes = fs::metadata(&self.place.path).map_or(0, |found| found.len());
        // Whoever may not read the server's secrets is told nothing of it.
        let lags = outbox::wanted(remy, Path::new(&debug.store)).unwrap_or_default();
        let store = store_size(&debug.store, &releases);
        let release = releases
            .iter()
            .find(|release| Some(release.release) == debug.release);
        // Of a log that cannot be read, `log` says why.
        let log = release.map(|release| files::origin_of(&releases, release));
        let log = log.and_then(|of| remy.build_log(Some(of)).ok());
        let log = log.unwrap_or_default();
        let of_status = |status: Reached| {
            let all = releases.iter().filter(move |it| it.status == status);
            all.cloned().collect()
        };
        let running = sessions
            .into_iter()
            .filter(|it| it.status == DevStatus::Dev);
        Ok(Status {
            root: self.place.root.clone(),
            live: self.live(bytes, Some(debug.journal_mode.clone())),
            release: release.cloned(),
            built: built_of(&log),
            compiled: of_status(Reached::Compiled),
            previews: of_status(Reached::Preview),
            dev: running.collect(),
            outbox: lags.iter().map(outbox::Wanted::lag).collect(),
            warnings: warnings(&debug, &releases, bytes, store.free_bytes),
            store: Some(store),
        })
    }

    fn live(&self, bytes: u64, journal_mode: Option<String>) -> LiveFile {
        LiveFile {
            path: self.place.path.clone(),
            from: self.place.from,
            exists: journal_mode.is_some(),
            bytes,
            journal_mode,
        }
    }
}

/// The line that says what a release was built of.
fn built_of(log: &[Line]) -> Option<String> {
    let is_source =
        |line: &&Line| line.step == Step::Build && line.object.as_deref() == Some(SOURCE);
    log.iter().find(is_source).map(|line| line.message.clone())
}

fn store_size(path: &str, releases: &[Release]) -> StoreSize {
    let folder = Path::new(path);
    let is_kept = |it: &&Release| {
        it.status != Reached::Preview && it.database.is_some() && it.pruned_at.is_none()
    };
    let disk = folder.parent().unwrap_or(folder);
    let free = rustix::fs::statvfs(disk).map_or(0, |disk| disk.f_bavail * disk.f_frsize);
    StoreSize {
        path: path.to_owned(),
        bytes: bytes_of(folder).unwrap_or(0),
        snapshots: releases.iter().filter(is_kept).count(),
        free_bytes: free,
    }
}

/// What the files of a folder take on the disk. One that goes meanwhile takes nothing.
fn bytes_of(folder: &Path) -> io::Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(folder)?.flatten() {
        sum += match entry.metadata() {
            Ok(found) if found.is_dir() => bytes_of(&entry.path()).unwrap_or(0),
            Ok(found) if found.is_file() => found.blocks() * 512,
            _ => 0,
        };
    }
    Ok(sum)
}

fn warnings(debug: &Debug, releases: &[Release], bytes: u64, free: u64) -> Vec<String> {
    let mut warnings = debug.warnings.clone();
    warnings.extend(debug.drift.clone());
    // The newest is first.
    match releases.first().map(|it| (it.status, it.release)) {
        Some((Reached::Failed, release)) => warnings.push(format!(
            "release {release}, the last attempt, failed: its log says why"
        )),
        Some((Reached::Building, release)) => warnings.push(format!(
            "release {release} is at work, or was cut off: the next verb clears it up"
        )),
        _ => {}
    }
    if free < bytes.saturating_add(MARGIN) {
        warnings.push(
            "the disk has too little free space for a clone: free some, or prune old releases"
                .to_owned(),
        );
    }
    warnings
}
