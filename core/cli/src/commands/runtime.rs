//! The runtime for another program: it asks on stdin, a line of JSON each, and is answered on stdout.
//!
//! ```text
//! in    {"call": 1, "method": …, "input": …, "user": …, "roles": …, "preview": …, "release": …, "dev": …, "stream": …}
//!       {"call": 1, "seed": SCENARIO, "dev": …}
//!       {"cancel": 1}
//! out   {"ready": true}
//!       {"call": 1, "line": …, "stream": "stdout"}   {"call": 1, "part": …}
//!       {"call": 1, "returned": …}                   {"call": 1, "error": …}
//! ```
//!
//! Any number of calls run at once. The end of stdin is the end of all of them. What is called in a dev
//! session runs as the working tree has it by then.

use super::{Answer, Context, calling::methods, owner, tools};
use crate::{
    arguments::Methods,
    failure::{Failure, Result, usage},
    output, signals, stdin,
};
use remy_db::{Error, ReleaseId};
use remy_db_app::project::{Follow, Prepared, Workbench};
use remy_db_runtime::{
    child::{Listener, Stream},
    dev::seed::Seed,
    failure::Failure as Failed,
    pool::Cancel,
    runtime::{Invoke, Runtime},
    target::Target,
    who::Who,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// How long work that goes on after an answer is waited for, once nobody asks any more.
const LEFT: Duration = Duration::from_secs(10);

#[derive(Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Asked {
    Call(Box<Call>),
    Seed {
        call: u64,
        seed: String,
        dev: String,
    },
    Cancel {
        cancel: u64,
    },
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
    dev: Option<String>,
    stream: bool,
}

/// What is to be run.
enum Work {
    Call(Box<Call>),
    Seed { scenario: String, name: String },
}

/// Calls off what is under way: a build of the working tree, or a method.
#[derive(Clone, Default)]
struct Off {
    flag: Arc<AtomicBool>,
    cancel: Cancel,
}

impl Off {
    fn call_off(&self) {
        self.flag.store(true, Ordering::SeqCst);
        self.cancel.cancel();
    }
}

/// Calls that are under way.
type Open = Mutex<BTreeMap<u64, Off>>;

/// What runs them.
struct Runs {
    runtime: Runtime,
    workbench: Workbench,
    open: Open,
}

pub(super) fn serve(at: &Context<'_>, given: &Methods) -> Result<Answer> {
    let project = at.project()?;
    owner::become_who_runs(&project)?;
    let settings = methods(project.place(), given);
    let runs = Runs {
        runtime: Runtime::open(&project.place().path, settings)?,
        workbench: Workbench::new(Arc::new(project), tools()),
        open: Open::default(),
    };
    say(&json!({ "ready": true }));
    let ended = thread::scope(|threads| {
        let ended = listen(&runs.open, |id, work| {
            let runs = &runs;
            let started = thread::Builder::new()
                .name("call".to_owned())
                .spawn_scoped(threads, move || runs.run(id, work));
            if let Err(e) = started {
                let message = format!("No thread could be made for it: {e}. Nothing was called");
                tell_of(id, Err(Failed::new("overloaded", 503, message).into()));
            }
        });
        for off in table(&runs.open).values() {
            off.call_off();
        }
        ended
    });
    let until = Instant::now() + LEFT;
    let is_enough = || Instant::now() > until || signals::cancel().load(Ordering::SeqCst);
    runs.runtime.settle(&is_enough);
    ended.map(|()| Answer::shown())
}

/// Hears what is asked, until nobody asks any more.
fn listen(open: &Open, start: impl Fn(u64, Work)) -> Result<()> {
    let mut lines = stdin::Lines::default();
    loop {
        let line = match lines.next() {
            Ok(Some(line)) => line,
            Ok(None) | Err(Failure::CalledOff(_)) => return Ok(()),
            Err(e) => return Err(e),
        };
        match serde_json::from_slice(&line) {
            Ok(Asked::Call(call)) => {
                table(open).insert(call.call, Off::default());
                start(call.call, Work::Call(call));
            }
            Ok(Asked::Seed { call, seed, dev }) => {
                table(open).insert(call, Off::default());
                start(
                    call,
                    Work::Seed {
                        scenario: seed,
                        name: dev,
                    },
                );
            }
            Ok(Asked::Cancel { cancel }) => {
                let off = table(open).get(&cancel).cloned();
                if let Some(off) = off {
                    off.call_off();
                }
            }
            Err(e) => return Err(usage(format!("what was asked is not understood: {e}"))),
        }
    }
}

fn table(open: &Open) -> std::sync::MutexGuard<'_, BTreeMap<u64, Off>> {
    open.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Runs {
    fn run(&self, id: u64, work: Work) {
        let off = table(&self.open).get(&id).cloned().unwrap_or_default();
        let answer = catch_unwind(AssertUnwindSafe(|| match work {
            Work::Call(call) => self.call(*call, &off),
            Work::Seed { scenario, name } => self.seed(id, &scenario, &name, &off),
        }));
        table(&self.open).remove(&id);
        let answer = answer.unwrap_or_else(|panic| {
            let e = Error::of_panic(panic.as_ref());
            Err(Failed::new(e.code(), 500, e.to_string()).into())
        });
        tell_of(id, answer);
    }

    fn call(&self, call: Call, off: &Off) -> Result<Value> {
        let target = match call.dev {
            Some(name) => Target::Dev {
                built: self.prepare(call.call, &name, off)?,
                name,
            },
            None => Target::named(call.preview, call.release),
        };
        let listener: Arc<dyn Listener> = Arc::new(Told(call.call));
        let invoke = Invoke {
            target,
            input: call.input,
            who: Who {
                user: call.user,
                roles: call.roles,
            },
            stream: call.stream,
            ..Invoke::new(&call.method, Value::Null)
        };
        value(&self.runtime.call(invoke, &listener, &off.cancel)?)
    }

    fn seed(&self, id: u64, scenario: &str, name: &str, off: &Off) -> Result<Value> {
        let listener: Arc<dyn Listener> = Arc::new(Told(id));
        let seed = Seed {
            built: self.prepare(id, name, off)?,
            name: name.to_owned(),
            scenario: scenario.to_owned(),
        };
        value(&self.runtime.seed(&seed, &listener, &off.cancel)?)
    }

    /// Makes a dev session what the working tree is. Returns where its methods are.
    fn prepare(&self, id: u64, name: &str, off: &Off) -> Result<PathBuf> {
        let follow = Follow::new(&|_| {}, &off.flag);
        let prepared = self.workbench.prepare(name, follow).map_err(|e| {
            match off.flag.load(Ordering::SeqCst) {
                true => Failed::new("cancelled", 499, e.to_string()).into(),
                false => Failure::from(e),
            }
        })?;
        let Prepared { synced, built } = prepared;
        for warning in built.warnings.iter().chain(&synced.warnings) {
            Told(id).line(Stream::Stderr, &format!("warning: {warning}"));
        }
        Ok(built.dir)
    }
}

fn value(of: &impl Serialize) -> Result<Value> {
    serde_json::to_value(of)
        .map_err(|e| Failed::new("internal", 500, format!("writing what came of it: {e}")).into())
}

fn tell_of(id: u64, answer: Result<Value>) {
    say(&match answer {
        Ok(returned) => json!({ "call": id, "returned": returned }),
        // As the addon has it, with its faults.
        Err(Failure::Error(error)) => json!({ "call": id, "error": error }),
        Err(failure) => json!({ "call": id, "error": failure.json() }),
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
