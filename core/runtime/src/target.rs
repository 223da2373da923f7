//! Where a method runs: which code, on which database.

use crate::{database::Bound, failure::Failure};
use remy_db::{
    Dev, DevStatus, Place, Progress, Release, ReleaseId, Remy, Status,
    internals::{
        live::{Live, release},
        store::place_of_preview,
    },
};
use std::{
    fmt,
    path::{Path, PathBuf},
};

/// Where a method runs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// The live release, on live.
    Live,
    /// A release, on a copy of its database as it was: what is written there is gone with the
    /// runtime.
    Release(ReleaseId),
    /// A preview, on its own database.
    Preview(String),
    /// A dev session's database, with methods that were built elsewhere into a folder.
    Dev {
        /// The session.
        name: String,
        /// The folder, as a release's is.
        built: PathBuf,
    },
}

impl Target {
    /// Whether both are of one dev session.
    pub(crate) fn is_session_of(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Dev { name, .. }, Self::Dev { name: other, .. }) => name == other,
            _ => false,
        }
    }
}

impl Target {
    /// A preview or a release, where one is named; live, where none is.
    pub fn named(preview: Option<String>, release: Option<ReleaseId>) -> Self {
        match (preview, release) {
            (Some(name), _) => Self::Preview(name),
            (_, Some(release)) => Self::Release(release),
            _ => Self::Live,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Live => f.write_str("live"),
            Self::Release(release) => write!(f, "release {release}"),
            Self::Preview(name) => write!(f, "preview {name}"),
            Self::Dev { name, .. } => write!(f, "dev {name}"),
        }
    }
}

/// A target that was found.
pub(crate) struct Found {
    /// The folder with `app.json` and the methods.
    pub kept: PathBuf,
    /// The database.
    pub place: Place,
    /// What that has to be.
    pub bound: Bound,
    /// The release whose code it is.
    pub release: Option<ReleaseId>,
    /// A copy that goes when it is not used any more.
    pub copy: Option<tempfile::TempDir>,
}

/// Finds a target other than live, which is found by its marker.
pub(crate) fn find(
    target: &Target,
    remy: &Remy,
    store: &Path,
    work: &Path,
) -> Result<Found, Failure> {
    match target {
        Target::Live => {
            let release = live_release(remy)
                .map_err(of_core)?
                .ok_or_else(no_release)?;
            of_live(remy, store, release)
        }
        Target::Release(number) => of_release(remy, store, work, *number),
        Target::Preview(name) => of_preview(remy, store, name),
        Target::Dev { name, built } => {
            let session = remy.dev_session(name).map_err(of_core)?;
            Ok(Found {
                kept: built.clone(),
                place: place(Path::new(&session.path))?,
                bound: Bound::Session,
                release: None,
                copy: None,
            })
        }
    }
}

/// Which release is live, by live's marker alone: the catalog follows only after a switch.
fn live_release(remy: &Remy) -> remy_db::Result<Option<ReleaseId>> {
    let live = Live::at(&remy.place())?;
    let _acting = live.act()?;
    release(&*live.connect()?)
}

/// The live release.
pub(crate) fn of_live(remy: &Remy, store: &Path, release: ReleaseId) -> Result<Found, Failure> {
    let releases = remy.releases().map_err(of_core)?;
    Ok(Found {
        kept: kept(store, &releases, release)?,
        place: remy.place(),
        bound: Bound::Release(release),
        release: Some(release),
        copy: None,
    })
}

fn of_release(remy: &Remy, store: &Path, work: &Path, number: ReleaseId) -> Result<Found, Failure> {
    let releases = remy.releases().map_err(of_core)?;
    let folder = tempfile::Builder::new()
        .prefix("release-")
        .tempdir_in(work)
        .map_err(|e| io(&format!("making a folder in {}", work.display()), &e))?;
    let copy = folder.path().join("copy.db");
    remy.copy_release(number, &copy, Progress::none())
        .map_err(of_core)?;
    Ok(Found {
        kept: kept(store, &releases, number)?,
        place: place(&copy)?,
        bound: Bound::Session,
        release: Some(number),
        copy: Some(folder),
    })
}

fn of_preview(remy: &Remy, store: &Path, name: &str) -> Result<Found, Failure> {
    let releases = remy.releases().map_err(of_core)?;
    let release = previewed(&releases, name)?;
    Ok(Found {
        kept: kept(store, &releases, release)?,
        place: place(&store.join(place_of_preview(name).map_err(of_core)?))?,
        bound: Bound::Session,
        release: Some(release),
        copy: None,
    })
}

/// The previews and dev sessions that there are, the latter built nowhere.
pub(crate) fn all(remy: &Remy) -> remy_db::Result<Vec<Target>> {
    let is_preview = |release: &Release| release.status == Status::Preview;
    let previews = remy.releases()?.into_iter().filter(is_preview);
    let previews = previews
        .filter_map(|release| release.preview)
        .map(Target::Preview);
    let is_there = |dev: &Dev| dev.status == DevStatus::Dev;
    let sessions = remy.dev_list()?.into_iter().filter(is_there);
    let sessions = sessions.map(|dev| Target::Dev {
        name: dev.name,
        built: PathBuf::new(),
    });
    Ok(previews.chain(sessions).collect())
}

/// The release that a preview is of now: another one, once it was published again.
pub(crate) fn release_of_preview(remy: &Remy, name: &str) -> Result<ReleaseId, Failure> {
    previewed(&remy.releases().map_err(of_core)?, name)
}

fn previewed(releases: &[Release], name: &str) -> Result<ReleaseId, Failure> {
    let is_it = |release: &&Release| {
        release.status == Status::Preview && release.preview.as_deref() == Some(name)
    };
    let found = releases.iter().find(is_it);
    found
        .map(|release| release.release)
        .ok_or_else(|| not_found(format!("there is no preview {name}")))
}

/// The folder of what was compiled for a release.
fn kept(store: &Path, releases: &[Release], release: ReleaseId) -> Result<PathBuf, Failure> {
    remy_db_app::files::kept(store, releases, release).map_err(|e| match e.error().code() {
        "not_found" => {
            let message =
                format!("release {release} has no methods: it was published without an app");
            Failure::new("no_methods", 404, message)
        }
        _ => of_core(e.error().clone()),
    })
}

fn place(path: &Path) -> Result<Place, Failure> {
    Ok(Remy::open(path).map_err(of_core)?.place())
}

/// There is nothing to be called.
pub(crate) fn no_release() -> Failure {
    let message = "nothing is live: publish an app first";
    Failure::new("no_release", 404, message)
}

fn not_found(message: String) -> Failure {
    Failure::new("not_found", 404, format!("{message}. Nothing was called"))
}

fn io(doing: &str, e: &std::io::Error) -> Failure {
    Failure::new("io", 500, format!("{doing}: {e}. Nothing was called"))
}

/// What core says, as a call's failure.
pub fn of_core(e: remy_db::Error) -> Failure {
    let status = match e.code() {
        "not_found" | "pruned" => 404,
        "busy" => 503,
        "invalid_argument" => 400,
        _ => 500,
    };
    Failure::new(e.code(), status, e.to_string())
}
