//! A folder that is published, for the process that does one verb on it. Arguments, lines and
//! results are JSON text.

use crate::OnLine;
use napi::{
    Env, Task, bindgen_prelude::AsyncTask, threadsafe_function::ThreadsafeFunctionCallMode,
};
use napi_derive::napi;
use remy_db::{Error, Remy, internals::json::of_result as json};
use remy_db_app::{
    AppError,
    place::{self, Named, Place},
    project::{self, Call, Follow, Told},
};
use serde::Deserialize;
use serde_json::json;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// What came of a call: `{ "done" }`, or `{ "refused" }` with the error.
fn told(done: impl FnOnce() -> project::Result<String>) -> napi::Result<String> {
    let done = catch_unwind(AssertUnwindSafe(done))
        .unwrap_or_else(|panic| Err(Error::of_panic(panic.as_ref()).into()));
    match done {
        Ok(text) => Ok(format!("{{\"done\":{text}}}")),
        Err(refused) => json(&json!({ "refused": refused }))
            .map_err(|e| napi::Error::from_reason(e.to_string())),
    }
}

fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, AppError> {
    serde_json::from_str(text)
        .map_err(|e| Error::internal(format!("reading an argument: {e}")).into())
}

/// Where the app of the folder `dir`, or above it, and its database are. Opens nothing.
#[napi]
pub fn find_place(dir: String, named: String) -> napi::Result<String> {
    told(|| {
        let named: Named = read(&named)?;
        Ok(json(&place::find(dir.as_ref(), &named)?)?)
    })
}

/// Writes what an app, or a schema alone, begins with.
#[napi]
pub fn init(dir: String, sql: bool) -> napi::Result<String> {
    told(|| Ok(json(&remy_db_app::init(dir.as_ref(), sql)?)?))
}

/// A folder that is published, one verb at a time.
#[napi]
pub struct Project {
    place: String,
    cancel: Arc<AtomicBool>,
}

#[napi]
impl Project {
    /// At a place that [`find_place`] has returned.
    #[napi(constructor)]
    pub fn new(place: String) -> Self {
        Self {
            place,
            cancel: Arc::default(),
        }
    }

    /// Calls off the verb that is running.
    #[napi]
    pub fn cancel(&self) {
        self.cancel.store(true, Ordering::Relaxed);
    }

    /// Runs a verb: `{ "done" }`, or `{ "refused" }` with the error. `on_line` is given each line.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn run(&self, call: String, on_line: Option<OnLine>) -> AsyncTask<Running> {
        AsyncTask::new(Running {
            place: self.place.clone(),
            call,
            cancel: self.cancel.clone(),
            on_line,
        })
    }
}

/// A verb on its way.
pub struct Running {
    place: String,
    call: String,
    cancel: Arc<AtomicBool>,
    on_line: Option<OnLine>,
}

impl Task for Running {
    type Output = String;
    type JsValue = String;

    fn compute(&mut self) -> napi::Result<Self::Output> {
        let on_line = |line: &Told<'_>| {
            if let (Some(on_line), Ok(line)) = (&self.on_line, json(line)) {
                on_line.call(line, ThreadsafeFunctionCallMode::NonBlocking);
            }
        };
        told(|| {
            let place: Place = read(&self.place)?;
            let call: Call = read(&self.call)?;
            let project = project::Project::at(place, |path| Remy::open(path));
            call.run(&project, Follow::new(&on_line, &self.cancel))
        })
    }

    fn resolve(&mut self, _: Env, output: Self::Output) -> napi::Result<Self::JsValue> {
        Ok(output)
    }
}
