//! The N-API addon: a class over the verbs of [`remy_db::Remy`].
//!
//! Verbs are run by `js/worker.js` alone, in a process of its own: an application may have live
//! open through another SQLite library, and two of them in one process must not share a file. What
//! an app declares is read without a database, and may be read anywhere. Options and results are
//! JSON text. Every verb returns a promise and runs on a thread of Node's pool; it rejects with an
//! `Error` that has `code`, `hint`, `remedy` (JSON text), `object` and `sql`. No panic crosses the edge.
#![warn(missing_docs)]

pub mod project;

use napi::{
    Env, JsValue, Status, Task,
    bindgen_prelude::{AsyncTask, JsObjectValue, Unknown},
    threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode},
};
use napi_derive::napi;
use remy_db::{
    BuildFailure, Error, Options, Progress, ReleaseId, Result, State,
    internals::json::of_result as json,
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// Takes a line of the build log, as JSON.
type OnLine = ThreadsafeFunction<String, Unknown<'static>, String, Status, false>;

/// A verb with its arguments, ready to run.
type Call = Box<dyn FnOnce(Open<'_>, Progress<'_>) -> Result<String> + Send>;

/// Opens the database, once the arguments have been looked at.
type Open<'a> = &'a dyn Fn() -> Result<remy_db::Remy>;

/// A live database, one verb at a time.
#[napi]
pub struct Remy {
    path: String,
    cancel: Arc<AtomicBool>,
}

#[napi]
impl Remy {
    /// Of the database at `path`. Nothing is opened before the first verb.
    #[napi(constructor)]
    pub fn new(path: String) -> Self {
        Self {
            path,
            cancel: Arc::default(),
        }
    }

    /// Calls off the verb that is running: it stops at its next step, and rejects with `busy`.
    #[napi]
    pub fn cancel(&self) {
        self.cancel.store(true, Ordering::Relaxed);
    }

    /// Whether the database can be opened.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn open(&self) -> AsyncTask<Verb> {
        self.verb(None, |open, _| open().and_then(|_| json(&())))
    }

    /// What remy runs on.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn debug(&self) -> AsyncTask<Verb> {
        self.verb(None, |open, _| json(&open()?.debug()?))
    }

    /// What a publish of `schema` would do.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn diff(&self, schema: String, options: String) -> AsyncTask<Verb> {
        self.verb(None, move |open, _| {
            let options = Options::from_json(&options)?;
            json(&open()?.diff(&schema, &options)?)
        })
    }

    /// Copies live to `path`.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn clone(&self, path: String) -> AsyncTask<Verb> {
        self.verb(None, move |open, progress| {
            json(&open()?.clone_to_with(path, progress)?)
        })
    }

    /// Publishes up to the switch.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn stage(
        &self,
        schema: String,
        options: String,
        on_line: Option<OnLine>,
    ) -> AsyncTask<Verb> {
        self.verb(on_line, move |open, progress| {
            let options = Options::from_json(&options)?;
            json(&open()?.stage(&schema, &options, progress)?)
        })
    }

    /// Makes live what `schema` declares.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn publish(
        &self,
        schema: String,
        options: String,
        on_line: Option<OnLine>,
    ) -> AsyncTask<Verb> {
        self.verb(on_line, move |open, progress| {
            let options = Options::from_json(&options)?;
            json(&open()?.publish(&schema, &options, progress)?)
        })
    }

    /// Records a release that could not be built.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn fail(
        &self,
        failure: String,
        options: String,
        on_line: Option<OnLine>,
    ) -> AsyncTask<Verb> {
        self.verb(on_line, move |open, progress| {
            let failure = BuildFailure::from_json(&failure)?;
            let options = Options::from_json(&options)?;
            json(&open()?.fail(&failure, &options, progress)?)
        })
    }

    /// Makes a kept or staged release live.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn promote(
        &self,
        release: Option<i64>,
        options: String,
        on_line: Option<OnLine>,
    ) -> AsyncTask<Verb> {
        self.verb(on_line, move |open, progress| {
            let options = Options::from_json(&options)?;
            json(&open()?.promote(release.map(ReleaseId), &options, progress)?)
        })
    }

    /// Makes an earlier release live again.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn rollback(
        &self,
        release: Option<i64>,
        options: String,
        on_line: Option<OnLine>,
    ) -> AsyncTask<Verb> {
        self.verb(on_line, move |open, progress| {
            let options = Options::from_json(&options)?;
            json(&open()?.rollback(release.map(ReleaseId), &options, progress)?)
        })
    }

    /// The history, newest first.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn releases(&self) -> AsyncTask<Verb> {
        self.verb(None, |open, _| json(&open()?.releases()?))
    }

    /// The build log of a release, or of the newest one.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn build_log(&self, release: Option<i64>) -> AsyncTask<Verb> {
        self.verb(None, move |open, _| {
            json(&open()?.build_log(release.map(ReleaseId))?)
        })
    }

    /// Takes a copy of live for a dev session.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn dev_start(&self, name: String) -> AsyncTask<Verb> {
        self.verb(None, move |open, progress| {
            json(&open()?.dev_start_with(&name, progress)?)
        })
    }

    /// Makes a dev session's database equal to live.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn dev_reset(&self, name: String) -> AsyncTask<Verb> {
        self.verb(None, move |open, progress| {
            json(&open()?.dev_reset_with(&name, progress)?)
        })
    }

    /// Empties every table of a dev session's database.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn dev_truncate(&self, name: String, options: String) -> AsyncTask<Verb> {
        self.verb(None, move |open, progress| {
            let options = Options::from_json(&options)?;
            json(&open()?.dev_truncate_with(&name, &options, progress)?)
        })
    }

    /// Ends a dev session.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn dev_stop(&self, name: String) -> AsyncTask<Verb> {
        self.verb(None, move |open, _| json(&open()?.dev_stop(&name)?))
    }

    /// The dev sessions, newest first.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn dev_list(&self) -> AsyncTask<Verb> {
        self.verb(None, |open, _| json(&open()?.dev_list()?))
    }

    /// Drops old snapshots.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn prune(&self, days: Option<i64>, options: String) -> AsyncTask<Verb> {
        self.verb(None, move |open, progress| {
            let wrong = |days| {
                Error::invalid_argument(format!("{days} is no number of days"))
                    .state(State::NothingDone)
            };
            let days = days
                .map(|days| u32::try_from(days).map_err(|_| wrong(days)))
                .transpose()?;
            let options = Options::from_json(&options)?;
            json(&open()?.prune_with(days, &options, progress)?)
        })
    }

    /// Reads everything again.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn verify(&self, options: String, on_line: Option<OnLine>) -> AsyncTask<Verb> {
        self.verb(on_line, move |open, progress| {
            let options = Options::from_json(&options)?;
            json(&open()?.verify_with(&options, progress)?)
        })
    }

    /// Drops remy's tables from live.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn detach(&self) -> AsyncTask<Verb> {
        self.verb(None, |open, _| json(&open()?.detach()?))
    }

    fn verb(
        &self,
        on_line: Option<OnLine>,
        call: impl FnOnce(Open<'_>, Progress<'_>) -> Result<String> + Send + 'static,
    ) -> AsyncTask<Verb> {
        let (path, cancel) = (self.path.clone(), self.cancel.clone());
        AsyncTask::new(Verb {
            path,
            cancel,
            on_line,
            call: Some(Box::new(call)),
        })
    }
}

/// A verb on its way.
pub struct Verb {
    path: String,
    cancel: Arc<AtomicBool>,
    on_line: Option<OnLine>,
    call: Option<Call>,
}

impl Task for Verb {
    type Output = Result<String>;
    type JsValue = String;

    fn compute(&mut self) -> napi::Result<Self::Output> {
        let on_line = |line: &remy_db::Line| {
            if let (Some(on_line), Ok(line)) = (&self.on_line, serde_json::to_string(line)) {
                on_line.call(line, ThreadsafeFunctionCallMode::NonBlocking);
            }
        };
        let progress = Progress::none().on_line(&on_line).cancel(&self.cancel);
        let call = self
            .call
            .take()
            .ok_or_else(|| napi::Error::from_reason("a verb that ran already"))?;
        let open = || remy_db::Remy::open(&self.path);
        let verb = AssertUnwindSafe(|| call(&open, progress));
        Ok(catch_unwind(verb).unwrap_or_else(|panic| Err(Error::of_panic(panic.as_ref()))))
    }

    fn resolve(&mut self, env: Env, output: Self::Output) -> napi::Result<Self::JsValue> {
        output.map_err(|e| js_error(&env, &e).unwrap_or_else(|why| why))
    }
}

/// `e` as an `Error` of JavaScript, with its parts as properties.
fn js_error(env: &Env, e: &Error) -> napi::Result<napi::Error> {
    let mut error = env.create_error(napi::Error::from_reason(e.to_string()))?;
    error.set_named_property("code", e.code())?;
    let remedy = e.detail().hint.as_ref();
    error.set_named_property("hint", remedy.map(ToString::to_string))?;
    error.set_named_property("remedy", remedy.and_then(|parts| json(parts).ok()))?;
    error.set_named_property("object", e.detail().object.as_deref())?;
    error.set_named_property("sql", e.detail().sql.as_deref())?;
    Ok(napi::Error::from(error.to_unknown()))
}
