//! The steps of a build, for the JavaScript that calls them in turn. Arguments, events and results
//! are JSON text.

use crate::{OnLine, json};
use napi::{
    Env, Task, bindgen_prelude::AsyncTask, threadsafe_function::ThreadsafeFunctionCallMode,
};
use napi_derive::napi;
use remy_db::{Error, Result};
use remy_db_app::{AppError, build};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// What a step needs besides its arguments.
struct Context<'a> {
    cancel: build::Cancel<'a>,
    event: &'a dyn Fn(&dyn erased::Json),
}

mod erased {
    //! Anything that can be written as JSON.

    /// Anything that can be written as JSON.
    pub trait Json {
        /// As JSON text; nothing, where it cannot.
        fn text(&self) -> Option<String>;
    }

    impl<T: serde::Serialize> Json for T {
        fn text(&self) -> Option<String> {
            serde_json::to_string(self).ok()
        }
    }
}

/// The step of a name.
fn run(step: &str, arguments: &str, context: &Context<'_>) -> build::Result<String> {
    let _ = (arguments, context.cancel, context.event, of::<()>, to::<()>);
    Err(Error::internal(format!("no step {step}")).into())
}

fn of<T: DeserializeOwned>(text: &str) -> build::Result<T> {
    serde_json::from_str(text)
        .map_err(|e| Error::internal(format!("reading an argument: {e}")).into())
}

fn to<T: Serialize>(result: &T) -> build::Result<String> {
    Ok(json(result)?)
}

/// A step of a build, once.
#[napi]
#[derive(Default)]
pub struct Step {
    cancel: Arc<AtomicBool>,
}

#[napi]
impl Step {
    /// Nothing is done before [`Step::run`].
    #[napi(constructor)]
    pub fn new() -> Self {
        Self::default()
    }

    /// Calls the step off.
    #[napi]
    pub fn cancel(&self) {
        self.cancel.store(true, Ordering::Relaxed);
    }

    /// Runs it: `{ "done" }`, or `{ "refused" }` with the error. `on_event` is given what it tells on
    /// the way.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn run(
        &self,
        name: String,
        arguments: String,
        on_event: Option<OnLine>,
    ) -> AsyncTask<Steps> {
        AsyncTask::new(Steps {
            name,
            arguments,
            cancel: self.cancel.clone(),
            on_event,
        })
    }
}

/// A step on its way.
pub struct Steps {
    name: String,
    arguments: String,
    cancel: Arc<AtomicBool>,
    on_event: Option<OnLine>,
}

impl Task for Steps {
    type Output = Result<String>;
    type JsValue = String;

    fn compute(&mut self) -> napi::Result<Self::Output> {
        let event = |event: &dyn erased::Json| {
            if let (Some(on_event), Some(text)) = (&self.on_event, event.text()) {
                on_event.call(text, ThreadsafeFunctionCallMode::NonBlocking);
            }
        };
        let context = Context {
            cancel: build::Cancel(&self.cancel),
            event: &event,
        };
        let step = AssertUnwindSafe(|| run(&self.name, &self.arguments, &context));
        let done = catch_unwind(step)
            .unwrap_or_else(|panic| Err(AppError::from(Error::of_panic(panic.as_ref()))));
        Ok(match done {
            Ok(text) => Ok(format!("{{\"done\":{text}}}")),
            Err(refused) => json(&json!({ "refused": refused })),
        })
    }

    fn resolve(&mut self, _: Env, output: Self::Output) -> napi::Result<Self::JsValue> {
        output.map_err(|e| napi::Error::from_reason(e.to_string()))
    }
}
