//! What there is to be served of a dev session at the moment. What fails to be built changes nothing
//! of it: the last good build goes on.

use super::people::People;
use crate::{answer::Refusal, origin::Place, page::bootstrap, state::logins::Logins};
use axum::body::Bytes;
use remy_db_app::project::{DevBuilt, Shown};
use remy_db_runtime::{app::App, runtime::Runtime, target::Target, users::User};
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::{sync::watch, time::timeout};

/// A dev session that is served.
pub(crate) struct Session {
    name: String,
    database: PathBuf,
    now: watch::Sender<Now>,
    people: People,
}

/// What there is of it.
#[derive(Debug, Clone, Default)]
pub(super) struct Now {
    /// The last good build.
    built: Option<Built>,
    /// Why there is none yet.
    fault: Option<String>,
    /// What shows its pages.
    shown: Option<Shown>,
}

#[derive(Debug, Clone)]
struct Built {
    dir: PathBuf,
    /// Of all that an open page was told and made of.
    version: String,
}

/// What shows a page.
pub(super) enum Shows {
    /// The files of the build.
    Built,
    /// A dev server.
    By(SocketAddr),
}

impl Session {
    pub fn new(name: String, database: PathBuf) -> Self {
        Self {
            name,
            database,
            now: watch::Sender::default(),
            people: People::default(),
        }
    }

    /// Its database.
    pub fn database(&self) -> &Path {
        &self.database
    }

    /// What pages know as the id of a release.
    pub fn release(&self) -> String {
        format!("dev-{}", self.name)
    }

    /// What is served. Who has signed in is among its users, whatever became of its database.
    pub fn target(
        &self,
        place: &Place,
        runtime: &Runtime,
        logins: &Logins,
    ) -> Result<Target, Refusal> {
        if *place != Place::Live {
            let message = "A dev session has no previews";
            return Err(Refusal::new(404, "not_found", message));
        }
        let target = self.built()?;
        self.people.stay(runtime, logins, &target);
        Ok(target)
    }

    /// The last good build.
    pub(super) fn built(&self) -> Result<Target, Refusal> {
        let now = self.now.borrow();
        let Some(built) = &now.built else {
            let why = now.fault.clone();
            let why = why.unwrap_or_else(|| "the app is being built. Ask again".to_owned());
            return Err(Refusal::new(503, "not_built", why));
        };
        Ok(Target::Dev {
            name: self.name.clone(),
            built: built.dir.clone(),
        })
    }

    /// Somebody has signed in.
    pub fn knows(&self, user: &User) {
        self.people.know(user);
    }

    /// A build is good.
    pub(super) fn has(&self, built: &DevBuilt) {
        let built = Built {
            dir: built.dir.clone(),
            version: version(&built.dir, built.web.as_deref()),
        };
        self.now.send_modify(|now| {
            now.fault = None;
            now.built = Some(built);
        });
    }

    /// A build has failed: the last good one goes on.
    pub(super) fn lacks(&self, why: String) {
        self.now.send_modify(|now| now.fault = Some(why));
    }

    /// What shows pages is another.
    pub(super) fn is_shown(&self, shown: Shown) {
        self.now.send_modify(|now| now.shown = Some(shown));
    }

    /// A page that is loaded again once it is of before.
    pub fn telling(&self, page: &[u8]) -> Bytes {
        let version = self.now.borrow().version().unwrap_or_default().to_owned();
        telling(page, &version)
    }

    pub(super) fn now(&self) -> watch::Receiver<Now> {
        self.now.subscribe()
    }

    /// What shows pages. A dev server that has been started is waited for, and an install is not.
    ///
    /// Fails with `not_shown` (503) where nothing does.
    pub(super) async fn shows(&self, starts: Duration) -> Result<Shows, Refusal> {
        let mut now = self.now();
        let is_decided = |now: &Now| match now.shown {
            None => now.built.is_none() && now.fault.is_some(),
            Some(Shown::Starts(_)) => false,
            Some(_) => true,
        };
        let _ = timeout(starts, now.wait_for(is_decided)).await;
        let shown = now.borrow().shown.clone();
        let why = match shown {
            Some(Shown::Built) => return Ok(Shows::Built),
            Some(Shown::By(at)) => return Ok(Shows::By(at)),
            Some(Shown::Ended(why)) => why,
            Some(Shown::Installs(folder)) => {
                format!("packages of {folder} are being installed. Ask again")
            }
            Some(Shown::Starts(command)) => {
                format!("{command} was started, and listens on no port yet")
            }
            None => return self.built().map(|_| Shows::Built),
        };
        Err(Refusal::new(503, "not_shown", why))
    }
}

impl Now {
    /// By which an open page tells that it is of before; nothing, where there is nothing to be shown.
    pub(super) fn version(&self) -> Option<&str> {
        let is_shown = matches!(self.shown, Some(Shown::Built | Shown::By(_)));
        let built = self.built.as_ref().filter(|_| is_shown)?;
        Some(&built.version)
    }
}

/// Of what an open page was told, its methods, and what it is made of.
fn version(built: &Path, web: Option<&str>) -> String {
    let methods = App::read(built, "the build");
    let methods = methods.map(|app| format!("{:?}", app.exports()));
    let of = [web.unwrap_or_default(), &methods.unwrap_or_default()].join("\n");
    blake3::hash(of.as_bytes()).to_hex()[..16].to_owned()
}

/// A page that is loaded again once another version than this is shown.
pub(super) fn telling(page: &[u8], version: &str) -> Bytes {
    let script = format!(
        "<script>new EventSource(\"/_/dev/changes\").onmessage=e=>{{if(e.data!==\"{version}\")location.reload()}}</script>"
    );
    bootstrap::with(page, script.as_bytes()).into()
}
