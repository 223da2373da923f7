//! The runtime for another program: it asks on stdin, a line of JSON each, and is answered on stdout.
//!
//! ```text
//! in    {"call": 1, "method": …, "input": …, "user": …, "roles": …, "preview": …, "release": …, "stream": …}
//!       {"cancel": 1}
//! out   {"ready": true}
//!       {"call": 1, "line": …, "stream": "stdout"}   {"call": 1, "part": …}
//!       {"call": 1, "returned": …}                   {"call": 1, "error": …}
//! ```
//!
//! Any number of calls run at once. The end of stdin is the end of all of them.

use super::{Answer, Context, owner};
use crate::{
    failure::{Failure, Result, usage},
    output, signals, stdin,
};
use remy_db::{Error, ReleaseId};
use remy_db_runtime::{
    child::{Listener, Stream},
    failure::Failure as Failed,
    pool::Cancel,
    runtime::{Invoke, Runtime},
    served::Settings,
    target::Target,
    who::Who,
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
    thread,
    time::{Duration, Instant},
};

/// How long work that goes on after an answer is waited for, once nobody asks any more.
const LEFT: Duration = Duration::from_secs(10);

#[derive(Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Asked {
    Call(Box<Call>),
    Cancel { cancel: u64 },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Call {
    call: u64,
    method: String,
    input: Value,
    user: Option<String>,
    roles: Option<Vec<String>>,
    preview: Option<String>,
    release: Option<ReleaseId>,
    stream: bool,
}

/// Calls that are under way.
type Open = Mutex<BTreeMap<u64, Cancel>>;

pub(super) fn serve(at: &Context<'_>, max_processes: Option<u32>) -> Result<Answer> {
    let project = at.project()?;
    owner::become_who_runs(&project)?;
    let mut settings = Settings::default();
    if let Some(most) = max_processes {
        settings.pool.max_processes = most.max(1) as usize;
    }
    let runtime = Runtime::open(&project.place().path, settings)?;
    say(&json!({ "ready": true }));
    let open = Open::default();
    let ended = thread::scope(|threads| {
        let ended = listen(&open, |call| {
            let (runtime, open) = (&runtime, &open);
            let id = call.call;
            let started = thread::Builder::new()
                .name("call".to_owned())
                .spawn_scoped(threads, move || run(runtime, open, *call));
            if let Err(e) = started {
                let message = format!("No thread could be made for it: {e}. Nothing was called");
                tell_of(id, &Err(Failed::new("overloaded", 503, message)));
            }
        });
        for cancel in table(&open).values() {
            cancel.cancel();
        }
        ended
    });
    let until = Instant::now() + LEFT;
    runtime.settle(&|| Instant::now() > until || signals::cancel().load(Ordering::SeqCst));
    ended.map(|()| Answer::shown())
}

/// Hears what is asked, until nobody asks any more.
fn listen(open: &Open, start: impl Fn(Box<Call>)) -> Result<()> {
    let mut lines = stdin::Lines::default();
    loop {
        let line = match lines.next() {
            Ok(Some(line)) => line,
            Ok(None) | Err(Failure::CalledOff(_)) => return Ok(()),
            Err(e) => return Err(e),
        };
        match serde_json::from_slice(&line) {
            Ok(Asked::Call(call)) => {
                table(open).insert(call.call, Cancel::default());
                start(call);
            }
            Ok(Asked::Cancel { cancel }) => {
                let cancel = table(open).get(&cancel).cloned();
                if let Some(cancel) = cancel {
                    cancel.cancel();
                }
            }
            Err(e) => return Err(usage(format!("what was asked is not understood: {e}"))),
        }
    }
}

fn table(open: &Open) -> std::sync::MutexGuard<'_, BTreeMap<u64, Cancel>> {
    open.lock().unwrap_or_else(PoisonError::into_inner)
}

fn run(runtime: &Runtime, open: &Open, call: Call) {
    let id = call.call;
    let cancel = table(open).get(&id).cloned().unwrap_or_default();
    let listener: Arc<dyn Listener> = Arc::new(Told(id));
    let invoke = Invoke {
        target: Target::named(call.preview, call.release),
        input: call.input,
        who: Who {
            user: call.user,
            roles: call.roles,
        },
        stream: call.stream,
        ..Invoke::new(&call.method, Value::Null)
    };
    let answer = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        runtime.call(invoke, &listener, &cancel)
    }));
    let answer = answer.unwrap_or_else(|panic| {
        let e = Error::of_panic(panic.as_ref());
        Err(Failed::new(e.code(), 500, e.to_string()))
    });
    table(open).remove(&id);
    match answer {
        Ok(returned) => match serde_json::to_value(&returned) {
            Ok(returned) => tell_of(id, &Ok(returned)),
            Err(e) => tell_of(id, &Err(Failed::new("internal", 500, e.to_string()))),
        },
        Err(failed) => tell_of(id, &Err(failed)),
    }
}

fn tell_of(id: u64, answer: &std::result::Result<Value, Failed>) {
    say(&match answer {
        Ok(returned) => json!({ "call": id, "returned": returned }),
        Err(failed) => {
            json!({ "call": id, "error": Failure::from(failed.clone()).json() })
        }
    });
}

fn say(what: &Value) {
    output::write(format!("{what}\n").as_bytes());
}

/// What a call prints and streams.
struct Told(u64);

impl Listener for Told {
    fn line(&self, stream: Stream, text: &str) {
        say(&json!({ "call": self.0, "line": text, "stream": stream }));
    }

    fn part(&self, data: Value) {
        say(&json!({ "call": self.0, "part": data }));
    }
}
