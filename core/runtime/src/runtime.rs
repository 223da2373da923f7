//! The runtime of an app: calls its methods, on the release that is live or elsewhere.

use crate::{
    app::App,
    child::{Listener, Stream, Workplace},
    database::Database,
    dev::user::test_user,
    events::Events,
    failure::Failure,
    mask::Mask,
    pool::{Cancel, Pool},
    protocol::{Auth, Call},
    records::{self, Begun, Records},
    remote::Client,
    secrets::Secrets,
    served::{Served, Settings},
    services::Outside,
    target::{self, Target, no_release, of_core},
    users::Users,
    who::{self, Who, auth_of},
};
use remy_db::{ReleaseId, Remy};
use remy_db_app::{place::store_beside, variables};
use serde::Serialize;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// How often what is done on users is begun, where release after release goes live.
const USERS: u32 = 5;

/// A method, and how it is called.
#[derive(Debug, Clone)]
pub struct Invoke {
    /// What its record is known by, one that [`records::new_id`] made; one is made, where it is none.
    pub id: Option<String>,
    /// Where.
    pub target: Target,
    /// Its id.
    pub method: String,
    /// What it gets.
    pub input: Value,
    /// As whom.
    pub who: Who,
    /// What `session` of the SDK is.
    pub session: Value,
    /// The request that it is called by, where there is one.
    pub request: Option<Value>,
    /// Whether somebody reads what it streams.
    pub stream: bool,
    /// Whether nobody calls, where the user is not there: a rollback takes users, and leaves them
    /// signed in.
    pub may_be_gone: bool,
}

impl Invoke {
    /// A call of a method of the live release, by nobody.
    pub fn new(method: &str, input: Value) -> Self {
        Self {
            id: None,
            target: Target::Live,
            method: method.to_owned(),
            input,
            who: Who::default(),
            session: json!({}),
            request: None,
            stream: false,
            may_be_gone: false,
        }
    }
}

/// What a call returned.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Returned {
    /// What the method returned, `null` for nothing.
    pub output: Value,
    /// The release whose code ran; a dev session has none.
    pub release: Option<ReleaseId>,
    /// The call's, as its record has it.
    pub call: String,
    /// How long it took, in milliseconds.
    pub duration_ms: f64,
}

/// What is run in processes: a method, or a scenario.
type Run = fn(&Pool, Call, Arc<dyn Listener>, &Cancel) -> Result<Value, Failure>;

/// Runs the methods of an app. May be used from any number of threads at once.
///
/// Dropped, it ends its processes; calls that are under way fail.
pub struct Runtime {
    live: PathBuf,
    store: PathBuf,
    settings: Settings,
    outside: Outside,
    records: Records,
    workplace: Arc<Workplace>,
    served: Mutex<BTreeMap<Target, Arc<Served>>>,
    /// Held while a target is started: others wait for it, and do not start it as well.
    starting: Mutex<()>,
    calls: AtomicU64,
}

impl Runtime {
    /// The runtime of the app whose live database is at `live`.
    ///
    /// Fails as `Remy::open` does, with `no_release` where there was no verb yet, and where the store cannot be written to.
    pub fn open(live: &Path, settings: Settings) -> Result<Self, Failure> {
        let remy = Remy::open(live).map_err(of_core)?;
        // No verb has made anything yet.
        let store = store_beside(Path::new(&remy.place().path)).ok_or_else(no_release)?;
        let work = store.join("run");
        // Live's owner's alone, as all of the store is.
        match std::os::unix::fs::DirBuilderExt::mode(&mut std::fs::DirBuilder::new(), 0o700)
            .create(&work)
        {
            Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => {
                let message = format!("making {}: {e}. No process was started", work.display());
                return Err(Failure::new("io", 500, message));
            }
            _ => {}
        }
        Ok(Self {
            live: live.to_owned(),
            settings,
            outside: Outside {
                secrets: Secrets::of(&store),
                events: Events::default(),
                client: Arc::default(),
            },
            records: Records::open(&store).map_err(of_core)?,
            workplace: Arc::new(Workplace::new(&work)?),
            store,
            served: Mutex::default(),
            starting: Mutex::default(),
            calls: AtomicU64::new(1),
        })
    }

    /// The secrets of the app.
    pub fn secrets(&self) -> &Secrets {
        &self.outside.secrets
    }

    /// Messages of its methods to pages that listen.
    pub fn events(&self) -> &Events {
        &self.outside.events
    }

    /// Asks others, for the server.
    pub fn client(&self) -> &Client {
        &self.outside.client
    }

    /// The live database.
    pub(crate) fn live(&self) -> &Path {
        &self.live
    }

    /// Where processes work.
    pub(crate) fn workplace(&self) -> &Workplace {
        &self.workplace
    }

    /// Starts a target's first process, so that its first call need not.
    pub fn warm(&self, target: &Target) -> Result<(), Failure> {
        self.current(target).map(drop)
    }

    /// The release that is served at a target now, and its app. Its methods are ready to be called.
    pub fn serving(&self, target: &Target) -> Result<(Option<ReleaseId>, Arc<App>), Failure> {
        let served = self.current(target)?;
        Ok((served.release, Arc::clone(&served.app)))
    }

    /// Calls a method, and waits for its answer. `listener` is told of its output, without secrets.
    ///
    /// Fails with what the method threw, and with `method_not_found`, `user_not_found`,
    /// `release_changed` where another release went live during the call, `timed_out`,
    /// `memory_exceeded`, `output_exceeded`, `overloaded`, `cancelled`, and as the database does.
    pub fn call(
        &self,
        invoke: Invoke,
        listener: &Arc<dyn Listener>,
        cancel: &Cancel,
    ) -> Result<Returned, Failure> {
        let served = self.current(&invoke.target)?;
        self.recorded(&served, invoke, (listener, cancel), Pool::call)
    }

    /// Calls what `run` runs in the processes of a target, and keeps a record of it.
    pub(crate) fn recorded(
        &self,
        served: &Served,
        invoke: Invoke,
        (listener, cancel): (&Arc<dyn Listener>, &Cancel),
        run: Run,
    ) -> Result<Returned, Failure> {
        let auth = self.caller(served, &invoke)?;
        let id = match invoke.id {
            Some(id) => id,
            None => records::new_id().map_err(of_core)?,
        };
        self.records.begun(Begun {
            id: id.clone(),
            method: invoke.method.clone(),
            target: invoke.target.to_string(),
            release: served.release,
            user: auth.user_id.clone(),
        });
        let without_value = served.without_value.get(&invoke.method);
        let call = Call {
            id: self.calls.fetch_add(1, Ordering::Relaxed),
            method: invoke.method,
            input: invoke.input,
            auth,
            session: invoke.session,
            request: invoke.request,
            stream: invoke.stream,
        };
        let told = Arc::new(Told {
            call: id.clone(),
            mask: served.mask.clone(),
            records: self.records.clone(),
            listener: Arc::clone(listener),
        });
        let began = Instant::now();
        let answer = run(&served.pool, call, told, cancel);
        let took = began.elapsed();
        match answer {
            Ok(output) => {
                self.records.ended(&id, took, None);
                Ok(Returned {
                    output,
                    release: served.release,
                    call: id,
                    duration_ms: took.as_secs_f64() * 1e3,
                })
            }
            Err(failure) => {
                let message = served.mask.hide(&failure.message);
                let names = without_value.into_iter().flatten();
                let missed = names.filter(|name| failure.missed.contains(name));
                let hint = valueless(&missed.cloned().collect::<Vec<_>>());
                if let Some(hint) = &hint {
                    // Who looks for why it failed sees it with what the method printed.
                    self.records.printed(&id, hint);
                }
                self.records
                    .ended(&id, took, Some((&failure.code, &message)));
                let stack = failure.stack.map(|stack| served.mask.hide(&stack));
                Err(Failure {
                    message,
                    hint,
                    stack,
                    ..failure
                })
            }
        }
    }

    /// Works on the users of a target's app. Where another release goes live meanwhile, it is done
    /// again on that.
    ///
    /// Fails with `not_supported` (400) where nobody signs in to the app, and as `work` does.
    pub fn users<T>(
        &self,
        target: &Target,
        work: impl Fn(&Users<'_>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let mut times = 0;
        loop {
            times += 1;
            let served = self.current(target)?;
            let app = &served.app;
            let users = Users::new(app.auth.as_ref(), &served.database, &app.signs_in)?;
            match work(&users) {
                Err(e) if e.code == "release_changed" && times < USERS => {}
                done => return done,
            }
        }
    }

    /// Waits until nothing is left of what calls have begun: work goes on after an answer. Not any
    /// longer, once `is_enough` says so.
    pub fn settle(&self, is_enough: &dyn Fn() -> bool) {
        let is_busy = || self.table().values().any(|served| served.pool.is_busy());
        while is_busy() && !is_enough() {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// What a call is told of its caller.
    fn caller(&self, served: &Served, invoke: &Invoke) -> Result<Auth, Failure> {
        let database: &Database = &served.database;
        let table = served.app.auth.as_ref();
        let mut who = invoke.who.clone();
        if let (Some(user), None) = (&who.user, &who.roles) {
            match who::is_there(user, table, database) {
                Err(e) if invoke.may_be_gone && e.code == "user_not_found" => who.user = None,
                found => found?,
            }
        }
        self.knows_roles(served, &who)?;
        if let (None, Some(table), Target::Dev { .. }) = (&who.user, table, &invoke.target) {
            // Two calls do not make two of them.
            let _making = self.starting.lock().unwrap_or_else(PoisonError::into_inner);
            who.user = test_user(table, database)?;
        }
        auth_of(&who, table, database)
    }

    /// Refuses a role that the app does not have: it would be a slip of the pen.
    fn knows_roles(&self, served: &Served, who: &Who) -> Result<(), Failure> {
        let known = |role: &&String| !served.app.roles.contains(*role) && *role != "system";
        let Some(unknown) = who.roles.iter().flatten().find(known) else {
            return Ok(());
        };
        let all: Vec<_> = served.app.roles.iter().cloned().collect();
        let message = format!(
            "there is no role {unknown}; there is {}. Nothing was called",
            if all.is_empty() {
                "none".to_owned()
            } else {
                all.join(", ")
            }
        );
        Err(Failure::new("role_not_found", 400, message))
    }

    /// The target as it is to be served now: live by its marker, and with the secrets of now.
    pub(crate) fn current(&self, target: &Target) -> Result<Arc<Served>, Failure> {
        if let Some(served) = self.is_served(target)? {
            return Ok(served);
        }
        let _starting = self.starting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(served) = self.is_served(target)? {
            return Ok(served);
        }
        let remy = Remy::open(&self.live).map_err(of_core)?;
        let found = target::find(target, &remy, &self.store, self.workplace.folder())?;
        let served = Served::start(target, found, self.settings, &self.outside, &self.workplace)?;
        let served = Arc::new(served);
        let mut table = self.table();
        let before = table.insert(target.clone(), Arc::clone(&served));
        // What was built before is another target, of the same session.
        let earlier = table.extract_if(.., |it, _| it != target && it.is_session_of(target));
        let gone: Vec<_> = before
            .into_iter()
            .chain(earlier.map(|(_, served)| served))
            .collect();
        drop(table);
        // Calls of it go on, and it goes with the last of them.
        for served in gone {
            served.pool.retire();
        }
        Ok(served)
    }

    fn is_served(&self, target: &Target) -> Result<Option<Arc<Served>>, Failure> {
        let Some(served) = self.table().get(target).cloned() else {
            return Ok(None);
        };
        let is_current = served.stamp == self.outside.secrets.stamp()
            && match target {
                Target::Live => is_live(&served)?,
                Target::Preview(name) => {
                    let remy = Remy::open(&self.live).map_err(of_core)?;
                    served.release == Some(target::release_of_preview(&remy, name)?)
                }
                _ => true,
            };
        Ok(is_current.then_some(served))
    }

    fn table(&self) -> std::sync::MutexGuard<'_, BTreeMap<Target, Arc<Served>>> {
        self.served.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// That a method which failed has missed a value, if it has.
fn valueless(names: &[String]) -> Option<Box<str>> {
    let have = if names.len() == 1 { "has" } else { "have" };
    let (all, remedy) = (names.join(", "), variables::remedy(names));
    let hint = format!("The method asked for {all}, which {have} no value: {remedy}");
    (!names.is_empty()).then(|| hint.into())
}

/// Whether the release that is served is the live one, by live's marker: the database looks at it
/// before anything else.
fn is_live(served: &Served) -> Result<bool, Failure> {
    match served.database.run(&who::runtime(), &[]) {
        Ok(_) => Ok(true),
        Err(e) if e.code == "release_changed" => Ok(false),
        Err(e) => Err(e),
    }
}

/// Tells of a call, without secrets: its record, and whoever called.
struct Told {
    call: String,
    mask: Mask,
    records: Records,
    listener: Arc<dyn Listener>,
}

impl Listener for Told {
    fn line(&self, stream: Stream, text: &str) {
        let text = self.mask.hide(text);
        self.records.printed(&self.call, &text);
        self.listener.line(stream, &text);
    }

    fn part(&self, data: Value) {
        self.listener.part(data);
    }
}
