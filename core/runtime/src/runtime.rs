//! The runtime of an app: calls its methods, on the release that is live or elsewhere.

use crate::{
    app::App,
    callbacks::{Callbacks, CalledBack},
    child::{Listener, Stream, Workplace},
    database::Database,
    dev::user::test_user,
    events::Events,
    failure::Failure,
    files::Files,
    mask::Mask,
    outgoing::Outgoing,
    pool::{self, Cancel, Ran, Standing},
    protocol::{Auth, Call},
    records::{self, Begun, Records},
    remote::Client,
    secrets::Secrets,
    served::{Served, Settings},
    services::Outside,
    starter::Starter,
    switches::Switches,
    target::{self, Target, no_release, of_core},
    users::Users,
    who::{self, Who, auth_of},
};
use remy_db::{ReleaseId, Remy, internals::owner::act_as_owner_of};
use remy_db_app::{place::store_beside, variables};
use serde::Serialize;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// How many switches a call lets pass before it begins.
const SWITCHES: usize = 5;

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
    /// The origin of the request that it is called by, where that is one of the server's own.
    pub origin: Option<String>,
    /// Whether somebody reads what it streams.
    pub stream: bool,
    /// Whether nobody calls, where the user is not there: a rollback takes users, and leaves them
    /// signed in. Nor is it the test user of a dev session, then, where no user is named.
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
            origin: None,
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

/// Runs the methods of an app. May be used from any number of threads at once.
///
/// Dropped, it ends its processes; calls that are under way fail.
pub struct Runtime {
    /// First: a release that is started for a switch needs all else.
    switches: Switches,
    starter: Arc<Starter>,
    records: Records,
    served: Mutex<BTreeMap<Target, Arc<Served>>>,
    outgoing: Outgoing,
    /// Held while a target is started: others wait for it, and do not start it as well.
    starting: Mutex<()>,
    calls: AtomicU64,
    callbacks: Callbacks,
    ended: EndedCalls,
    printed: OnceLock<OnPrinted>,
}

/// Is told of each line that a method prints: of the method, where it was written, and of the line,
/// without secrets. It may not wait, as a [`Listener`] may not.
pub type OnPrinted = Arc<dyn Fn(&str, Stream, &str) + Send + Sync>;

/// Calls that have ended.
#[derive(Debug, Default)]
pub struct EndedCalls {
    /// Those that returned.
    pub returned: AtomicU64,
    /// Those that failed.
    pub failed: AtomicU64,
    /// How long all of them took, in microseconds.
    pub took: AtomicU64,
}

impl Runtime {
    /// The runtime of the app whose live database is at `live`.
    ///
    /// Fails as `Remy::open` does, with `no_release` where there was no verb yet, and where the store cannot be written to.
    pub fn open(live: &Path, settings: Settings) -> Result<Self, Failure> {
        let remy = Remy::open(live).map_err(of_core)?;
        // No verb has made anything yet.
        let store = store_beside(Path::new(&remy.place().path)).ok_or_else(no_release)?;
        // Live's owner's alone, as all of the store is, also where root makes it: who announces a
        // switch trusts no other's.
        let acting = act_as_owner_of(live).map_err(of_core)?;
        let work = store.join("run");
        match std::os::unix::fs::DirBuilderExt::mode(&mut std::fs::DirBuilder::new(), 0o700)
            .create(&work)
        {
            Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => {
                let message = format!("making {}: {e}. No process was started", work.display());
                return Err(Failure::new("io", 500, message));
            }
            _ => {}
        }
        let workplace = Arc::new(Workplace::new(&work)?);
        // Threads would act as well.
        drop(acting);
        let records = Records::open(&store).map_err(of_core)?;
        let starter = Arc::new(Starter {
            live: live.to_owned(),
            settings,
            outside: Outside {
                secrets: Secrets::of(&store),
                events: Events::recorded(records.clone()),
                files: Files::of(&store),
                client: Arc::default(),
            },
            workplace,
            store,
        });
        Ok(Self {
            switches: Switches::follow(Arc::clone(&starter), &work)?,
            starter,
            records,
            served: Mutex::default(),
            outgoing: Outgoing::default(),
            starting: Mutex::default(),
            calls: AtomicU64::new(1),
            callbacks: Callbacks::default(),
            ended: EndedCalls::default(),
            printed: OnceLock::new(),
        })
    }

    /// The secrets of the app.
    pub fn secrets(&self) -> &Secrets {
        &self.starter.outside.secrets
    }

    /// Messages of its methods to pages that listen.
    pub fn events(&self) -> &Events {
        &self.starter.outside.events
    }

    /// Files of people and of its methods.
    pub fn files(&self) -> &Files {
        &self.starter.outside.files
    }

    /// Removes files that nobody has any more: of previews and dev sessions that are gone, and what is
    /// left of uploads.
    pub fn sweep_files(&self) -> Result<(), Failure> {
        let remy = Remy::open(self.live()).map_err(of_core)?;
        self.files().sweep(&target::all(&remy).map_err(of_core)?)
    }

    /// The record of what happens.
    pub fn records(&self) -> &Records {
        &self.records
    }

    /// What its processes are at, by where they run.
    pub fn pools(&self) -> Vec<(Target, pool::Status)> {
        let table = self.table();
        let all = table.iter();
        all.map(|(target, served)| (target.clone(), served.pool.status()))
            .collect()
    }

    /// Tells somebody of all that methods print from here on, whoever calls them. There is one who is
    /// told: the first.
    pub fn tells_printed(&self, tell: OnPrinted) {
        let _ = self.printed.set(tell);
    }

    /// How many calls have ended since it was opened, and how.
    pub fn ended_calls(&self) -> &EndedCalls {
        &self.ended
    }

    /// How many calls are held, as live is being switched.
    pub fn held(&self) -> usize {
        self.switches.held()
    }

    /// Asks others, for the server.
    pub fn client(&self) -> &Client {
        &self.starter.outside.client
    }

    /// The live database.
    pub(crate) fn live(&self) -> &Path {
        &self.starter.live
    }

    /// Where processes work.
    pub(crate) fn workplace(&self) -> &Workplace {
        &self.starter.workplace
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

    /// Says by which URL methods reach this process, for those that call back by HTTP.
    pub fn reached_at(&self, url: String) {
        self.callbacks.reached_at(url);
    }

    /// The call that a token is of which calls back.
    pub fn called_back(&self, token: &str) -> Option<Arc<CalledBack>> {
        self.callbacks.find(token)
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
        let mut made = self.make(invoke, (listener, cancel))?;
        let ran = self.run(&mut made);
        self.ended(&made, ran)
    }

    /// Calls a scenario of a dev session, in the processes that are served.
    pub(crate) fn call_scenario(
        &self,
        served: &Served,
        invoke: Invoke,
        told: (&Arc<dyn Listener>, &Cancel),
    ) -> Result<Returned, Failure> {
        let mut made = self.make(invoke, told)?;
        made.is_scenario = true;
        let ran = self.caller(served, &made).and_then(|auth| {
            let returned = self.run_on(served, auth, None, &mut made)?;
            returned.ok_or_else(changed)
        });
        self.ended(&made, ran)
    }

    fn make<'a>(
        &self,
        invoke: Invoke,
        (listener, cancel): (&'a Arc<dyn Listener>, &'a Cancel),
    ) -> Result<Made<'a>, Failure> {
        Ok(Made {
            record: match invoke.id {
                Some(id) => id,
                None => records::new_id().map_err(of_core)?,
            },
            target: invoke.target,
            who: invoke.who,
            call: Arc::new(Call {
                id: self.calls.fetch_add(1, Ordering::Relaxed),
                method: invoke.method,
                input: invoke.input,
                auth: Auth::default(),
                session: invoke.session,
                request: invoke.request,
                origin: invoke.origin,
                stream: invoke.stream,
                callback: None,
            }),
            may_be_gone: invoke.may_be_gone,
            is_scenario: false,
            began: Instant::now(),
            listener,
            cancel,
        })
    }

    /// Runs a call of a method. One that was given back before anything of it had begun waits for the
    /// switch that is under way, and runs on the release that is live then.
    fn run(&self, made: &mut Made<'_>) -> Result<Returned, Failure> {
        loop {
            let under_way = match made.target {
                Target::Live => Some(self.switches.begin(&made.call.input, made.cancel)?),
                _ => None,
            };
            let (served, auth) = self.ready(made)?;
            let switches = under_way.as_ref().map(|_| &self.switches);
            if let Some(returned) = self.run_on(&served, auth, switches, made)? {
                return Ok(returned);
            }
        }
    }

    /// Runs a call in the processes of what is served. Nothing, where it was given back.
    fn run_on(
        &self,
        served: &Served,
        auth: Auth,
        switches: Option<&Switches>,
        made: &mut Made<'_>,
    ) -> Result<Option<Returned>, Failure> {
        self.records.begun(Begun {
            id: made.record.clone(),
            method: made.call.method.clone(),
            target: made.target.to_string(),
            release: served.release,
            user: auth.user_id.clone(),
        });
        if !made.is_scenario {
            served.pool.has(&made.call.method)?;
        }
        // Nobody else has it: what was given back before had not begun.
        let call = Arc::make_mut(&mut made.call);
        call.auth = auth;
        call.callback = self
            .callbacks
            .begin(&served.app, call, served.service(), made.listener)?;
        let told: Arc<dyn Listener> = Arc::new(Told {
            call: made.record.clone(),
            mask: served.mask.clone(),
            records: self.records.clone(),
            listener: Arc::clone(made.listener),
            printed: self
                .printed
                .get()
                .cloned()
                .map(|tell| (made.call.method.clone(), tell)),
        });
        made.began = Instant::now();
        let standing = Stands { switches, served };
        match served.pool.run(&made.call, &told, made.cancel, &standing) {
            Ok(Ran::NotBegun) => Ok(None),
            Ok(Ran::Returned(output)) => Ok(Some(Returned {
                output,
                release: served.release,
                call: made.record.clone(),
                duration_ms: made.began.elapsed().as_secs_f64() * 1e3,
            })),
            Err(failure) => {
                let without_value = served.without_value.get(&made.call.method);
                let names = without_value.into_iter().flatten();
                let missed = names.filter(|name| failure.missed.contains(name));
                let hint = valueless(&missed.cloned().collect::<Vec<_>>());
                if let Some(hint) = &hint {
                    // Who looks for why it failed sees it with what the method printed.
                    self.records.printed(&made.record, hint);
                }
                let failure = served.mask.hide_of(failure);
                Err(Failure { hint, ..failure })
            }
        }
    }

    /// Records how a call ended.
    fn ended(&self, made: &Made<'_>, ran: Result<Returned, Failure>) -> Result<Returned, Failure> {
        let (took, ended) = (made.began.elapsed(), &self.ended);
        let failed = ran.as_ref().err().map(|e| (&*e.code, &*e.message));
        let of = if failed.is_some() {
            &ended.failed
        } else {
            &ended.returned
        };
        of.fetch_add(1, Ordering::Relaxed);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        ended.took.fetch_add(micros, Ordering::Relaxed);
        self.records.ended(&made.record, took, failed);
        ran
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
            let users = users.in_dev(matches!(target, Target::Dev { .. }));
            match work(&users) {
                Err(e) if e.code == "release_changed" && times < SWITCHES => {}
                done => return done,
            }
        }
    }

    /// Waits until nothing is left of what calls have begun: work goes on after an answer. Not any
    /// longer, once `is_enough` says so.
    pub fn settle(&self, is_enough: &dyn Fn() -> bool) {
        let is_busy = || {
            let table = self.table();
            table.values().any(|served| served.pool.is_busy()) || self.outgoing.is_busy()
        };
        while is_busy() && !is_enough() {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// The target as it is to be served now, and who calls. Another release may go live in between:
    /// nothing was called then, and it is the one.
    fn ready(&self, made: &Made<'_>) -> Result<(Arc<Served>, Auth), Failure> {
        for _ in 0..SWITCHES {
            let served = self.current(&made.target)?;
            match self.caller(&served, made) {
                Err(e) if e.code == "release_changed" => {}
                auth => return Ok((served, auth?)),
            }
        }
        Err(changed())
    }

    /// What a call is told of its caller.
    fn caller(&self, served: &Served, made: &Made<'_>) -> Result<Auth, Failure> {
        let (target, mut who) = (&made.target, made.who.clone());
        let database: &Database = &served.database;
        let table = served.app.auth.as_ref();
        if let (Some(user), None) = (&who.user, &who.roles) {
            match who::is_there(user, table, database) {
                Err(e) if made.may_be_gone && e.code == "user_not_found" => who.user = None,
                found => found?,
            }
        }
        self.knows_roles(served, &who)?;
        if let (None, Some(table), Target::Dev { .. }) = (&who.user, table, target)
            && !made.may_be_gone
        {
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
        for _ in 0..SWITCHES {
            match self.served_now(target) {
                // While it was started.
                Err(e) if e.code == "release_changed" => {}
                served => return served,
            }
        }
        Err(changed())
    }

    fn served_now(&self, target: &Target) -> Result<Arc<Served>, Failure> {
        if let Some(served) = self.is_served(target)? {
            return Ok(served);
        }
        let _starting = self.starting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(served) = self.is_served(target)? {
            return Ok(served);
        }
        let ahead = match target {
            Target::Live => self.switches.take(),
            _ => None,
        };
        let ahead = ahead.filter(|served| served.stamp == self.starter.outside.secrets.stamp());
        let served = Arc::new(match ahead {
            Some(served) => served,
            None => self.starter.start(target)?,
        });
        if *target == Target::Live {
            self.switches.run_on(&served);
        }
        let mut table = self.table();
        let before = table.insert(target.clone(), Arc::clone(&served));
        // What was built before is another target, of the same session.
        let earlier = table.extract_if(.., |it, _| it != target && it.is_session_of(target));
        let gone: Vec<_> = before
            .into_iter()
            .chain(earlier.map(|(_, served)| served))
            .collect();
        drop(table);
        for served in gone {
            self.outgoing.add(served);
        }
        Ok(served)
    }

    fn is_served(&self, target: &Target) -> Result<Option<Arc<Served>>, Failure> {
        let Some(served) = self.table().get(target).cloned() else {
            return Ok(None);
        };
        let is_current = served.stamp == self.starter.outside.secrets.stamp()
            && match target {
                Target::Live => is_live(&served)?,
                Target::Preview(name) => {
                    let remy = Remy::open(self.live()).map_err(of_core)?;
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

fn changed() -> Failure {
    let message = "what was to be called was replaced again and again. Nothing was called: call it \
                   again later";
    Failure::new("release_changed", 409, message)
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

/// A call that is being made.
struct Made<'a> {
    /// The id of its record.
    record: String,
    target: Target,
    who: Who,
    may_be_gone: bool,
    call: Arc<Call>,
    is_scenario: bool,
    /// Since when it runs, or waits for a process. To wait for a release to start is no part of it.
    began: Instant,
    listener: &'a Arc<dyn Listener>,
    cancel: &'a Cancel,
}

/// How a call stands that was made on what is served; one of live goes by the switches.
struct Stands<'a> {
    switches: Option<&'a Switches>,
    served: &'a Served,
}

impl Standing for Stands<'_> {
    /// While live is switched, calls are held instead.
    fn may_wait(&self) -> bool {
        self.switches.is_none_or(Switches::may_wait)
    }

    /// Another release may be live by then. What hinders looking hinders the call itself.
    fn may_begin(&self) -> bool {
        self.switches.is_none() || is_live(self.served).unwrap_or(true)
    }
}

/// Tells of a call, without secrets: its record, and whoever called.
struct Told {
    call: String,
    mask: Mask,
    records: Records,
    listener: Arc<dyn Listener>,
    /// The method, and who is told of what it prints.
    printed: Option<(String, OnPrinted)>,
}

impl Listener for Told {
    fn line(&self, stream: Stream, text: &str) {
        let text = self.mask.hide(text);
        self.records.printed(&self.call, &text);
        if let Some((method, tell)) = &self.printed {
            tell(method, stream, &text);
        }
        self.listener.line(stream, &text);
    }

    fn part(&self, data: Value) {
        self.listener.part(data);
    }
}
