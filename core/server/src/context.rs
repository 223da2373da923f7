//! What every request has at hand, and the threads on which it may wait.

use crate::{
    agent::{turns::Turns, waiting::Waits},
    answer::Refusal,
    bots::seen::Seen,
    dev::session::Session,
    mcp::under_way::UnderWay as McpCalls,
    operation::counts::Counts,
    origin::Place,
    page::sites::Sites,
    settings::Settings,
    state::{
        State, codes::Codes, keys::Keys, logins::Logins, sessions::Sessions, threads::Threads,
    },
};
use remy_db::{ReleaseId, Remy, Status, internals::store::place_of_preview};
use remy_db_app::{outbox::Lag, place::store_beside};
use remy_db_runtime::{
    failure::Failure,
    pool::{self, Cancel},
    runtime::Runtime,
    sandbox::{InForce, probe},
    secrets,
    target::{Target, of_core},
};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::{Semaphore, watch};

/// The threads of what waits for the disk and for no method.
const FILES: usize = 32;

/// The threads of what calls ask for that are under way: they get what they need also where no more
/// calls begin.
const CALLED_BACK: usize = 64;

/// How many threads may wait at once, besides those of calls.
pub(crate) const OTHERS: usize = FILES + CALLED_BACK + 32;

/// What every request has at hand.
pub(crate) struct Context {
    pub runtime: Runtime,
    pub sessions: Sessions,
    pub logins: Logins,
    pub codes: Codes,
    pub keys: Keys,
    /// What people say to the agent, the turns under way, and what those wait for.
    pub threads: Threads,
    pub turns: Turns,
    pub awaited: Waits,
    /// What agents of others wait for.
    pub mcp: McpCalls,
    /// The turns of those who upload.
    pub uploads: Semaphore,
    /// What services have sent of late.
    pub seen: Seen,
    /// Held by who finds or makes the user of an address.
    pub signing: Mutex<()>,
    pub sites: Sites,
    pub settings: Settings,
    pub counted: Counted,
    /// The dev session that is served in the place of live.
    pub dev: Option<Session>,
    pub answered: Counts,
    /// What outlives a rollback.
    pub state: Arc<State>,
    /// When a cron job is due next, Unix milliseconds; 0 where none is.
    pub cron_due: AtomicI64,
    /// Whether the server is to end: who listens without end is let go.
    pub ending: watch::Sender<bool>,
    /// What methods cannot do, as one tried.
    pub isolation: InForce,
    /// What services outside have not been told yet of what is live, as it was when that was looked at
    /// last.
    pub untold: watch::Sender<Vec<Lag>>,
    live: PathBuf,
    store: PathBuf,
    calls: Arc<Semaphore>,
    files: Arc<Semaphore>,
    called_back: Arc<Semaphore>,
    under_way: UnderWay,
}

/// What pages have told of themselves.
#[derive(Default)]
pub(crate) struct Counted {
    pub events: AtomicU64,
    pub errors: AtomicU64,
}

/// Calls of methods that are under way, so that they can be called off.
#[derive(Default)]
struct UnderWay {
    next: AtomicU64,
    calls: Mutex<BTreeMap<u64, Cancel>>,
}

/// The store of a database. Fails with `no_release` where no verb has made one.
pub(crate) fn store_of(live: &Path) -> Result<PathBuf, Failure> {
    let remy = Remy::open(live).map_err(of_core)?;
    let store = store_beside(Path::new(&remy.place().path));
    store.filter(|store| store.is_dir()).ok_or_else(|| {
        let message = "nothing is live: publish an app first. Nothing is served";
        Failure::new("no_release", 404, message)
    })
}

impl Context {
    pub fn open(
        live: &Path,
        store: &Path,
        settings: Settings,
        dev: Option<Session>,
    ) -> Result<Self, Failure> {
        let state = Arc::new(State::open(store)?);
        Ok(Self {
            runtime: Runtime::open(live, settings.methods)?,
            sessions: Sessions::new(Arc::clone(&state)),
            logins: Logins::new(Arc::clone(&state)),
            codes: Codes::new(Arc::clone(&state)),
            keys: Keys::new(Arc::clone(&state)),
            threads: Threads::new(Arc::clone(&state)),
            turns: Turns::default(),
            awaited: Waits::default(),
            mcp: McpCalls::default(),
            seen: Seen::for_as_long_as(Duration::from_secs(3600)),
            uploads: Semaphore::new(settings.limits.uploads),
            signing: Mutex::default(),
            sites: Sites::new(live, store),
            counted: Counted::default(),
            dev,
            answered: Counts::default(),
            state,
            cron_due: AtomicI64::new(0),
            ending: watch::Sender::new(false),
            isolation: probe(settings.methods.isolation)?,
            untold: watch::Sender::default(),
            live: live.to_owned(),
            store: store.to_owned(),
            calls: Arc::new(Semaphore::new(settings.limits.calls)),
            files: Arc::new(Semaphore::new(FILES)),
            called_back: Arc::new(Semaphore::new(CALLED_BACK)),
            under_way: UnderWay::default(),
            settings,
        })
    }

    /// What is served at a place. A preview is found by its name in any letter case: hosts have none.
    pub fn target(&self, place: &Place) -> Result<Target, Refusal> {
        if let Some(dev) = &self.dev {
            return dev.target(place, &self.runtime, &self.logins);
        }
        let Place::Preview(wanted) = place else {
            return Ok(Target::Live);
        };
        let releases = Remy::open(&self.live)?.releases()?;
        let mut names: Vec<String> = releases
            .into_iter()
            .filter(|release| release.status == Status::Preview)
            .filter_map(|release| release.preview)
            .filter(|name| name.eq_ignore_ascii_case(wanted))
            .collect();
        // Of two that differ in it, the one that is written as hosts are.
        names.sort_by_key(|name| name != wanted);
        let message = || format!("There is no preview {wanted}");
        let name = names.into_iter().next();
        name.map(Target::Preview)
            .ok_or_else(|| Refusal::new(404, "not_found", message()))
    }

    /// What pages know as the id of the release that is served.
    pub fn release(&self, release: Option<ReleaseId>) -> String {
        match (release, &self.dev) {
            (Some(release), _) => release.to_string(),
            (None, Some(dev)) => dev.release(),
            (None, None) => String::new(),
        }
    }

    /// The database of what is served.
    pub fn remy(&self, target: &Target) -> Result<Remy, Refusal> {
        let path = match (target, &self.dev) {
            (_, Some(dev)) => dev.database().to_owned(),
            (Target::Preview(name), _) => self.store.join(place_of_preview(name)?),
            _ => self.live.clone(),
        };
        Ok(Remy::open(path)?)
    }

    /// The live database.
    pub fn live(&self) -> &Path {
        &self.live
    }

    /// Its store.
    pub fn store(&self) -> &Path {
        &self.store
    }

    /// A server secret as it is now: it may be set while the server runs.
    pub fn secret(&self, key: &str, target: &Target) -> Result<Option<String>, Refusal> {
        let of = match target {
            Target::Dev { .. } => secrets::Target::Dev,
            _ => secrets::Target::Prod,
        };
        Ok(self.runtime.secrets().server(key, of)?)
    }

    /// The same of one that something needs. Fails with `not_supported` (501), which begins with what
    /// is not done without it.
    pub fn needed(&self, key: &str, target: &Target, lacks: &str) -> Result<String, Refusal> {
        self.secret(key, target)?.ok_or_else(|| {
            let message = format!(
                "{lacks}. Nothing was done. Set the server secret: remy secrets set {key} --server"
            );
            Refusal::new(501, "not_supported", message)
        })
    }

    /// Does what waits for the disk, on a thread for that.
    pub async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        self.in_turn(&self.files, work).await
    }

    /// Does what a call asks for that is under way.
    pub async fn call_back<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        self.in_turn(&self.called_back, work).await
    }

    async fn in_turn<T: Send + 'static>(
        self: &Arc<Self>,
        turns: &Arc<Semaphore>,
        work: impl FnOnce(&Self) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let turn = Arc::clone(turns).acquire_owned().await;
        let context = Arc::clone(self);
        let done = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work(&context)
        });
        done.await
            .unwrap_or_else(|e| Err(Refusal::internal(e.to_string())))
    }

    /// Does what calls a method, on a thread of its own. Nobody who stops waiting for it ends it; its
    /// `Cancel` does.
    pub async fn call<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self, &Cancel) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let Ok(turn) = Arc::clone(&self.calls).try_acquire_owned() else {
            let message = format!(
                "{} calls are under way already. This one was not run: call it again later",
                self.settings.limits.calls
            );
            return Err(Refusal::new(503, "overloaded", message));
        };
        let context = Arc::clone(self);
        let done = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let (id, cancel) = context.under_way.add();
            let done = work(&context, &cancel);
            context.under_way.table().remove(&id);
            done
        });
        done.await
            .unwrap_or_else(|e| Err(Refusal::internal(e.to_string())))
    }

    /// How many calls are under way.
    pub fn under_way(&self) -> usize {
        self.under_way.table().len()
    }

    /// What all processes of methods are at.
    pub fn methods(&self) -> pool::Status {
        let mut all = pool::Status::default();
        for (_, status) in self.runtime.pools() {
            all.processes += status.processes;
            all.free += status.free;
            all.queued += status.queued;
        }
        all
    }

    /// How late the cron job is that is due next, in milliseconds.
    pub fn cron_lag(&self, now: i64) -> i64 {
        match self.cron_due.load(Ordering::Relaxed) {
            0 => 0,
            due => (now - due).max(0),
        }
    }

    /// Calls off all that is under way.
    pub fn end_calls(&self) {
        let all: Vec<Cancel> = self.under_way.table().values().cloned().collect();
        for cancel in all {
            cancel.cancel();
        }
    }
}

impl UnderWay {
    fn add(&self) -> (u64, Cancel) {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let cancel = Cancel::default();
        self.table().insert(id, cancel.clone());
        (id, cancel)
    }

    fn table(&self) -> MutexGuard<'_, BTreeMap<u64, Cancel>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
