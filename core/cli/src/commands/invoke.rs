//! A call of a method.

use super::{Answer, Context, dev, json, owner};
use crate::{
    arguments::Invoke as Given,
    failure::{Result, usage},
    output, screen,
    show::text::one_line,
    signals, stdin,
};
use remy_db_runtime::{
    child::{Listener, Stream},
    pool::Cancel,
    runtime::{Invoke, Returned, Runtime},
    served::Settings,
    target::Target,
    who::Who,
};
use serde_json::Value;
use std::{
    sync::{Arc, atomic::Ordering, mpsc},
    thread,
    time::Duration,
};

/// How often it is looked whether a signal has called the call off.
const NAP: Duration = Duration::from_millis(20);

pub(super) fn invoke(at: &Context<'_>, given: &Given) -> Result<Answer> {
    let input = input(given.input.as_deref())?;
    let project = at.project()?;
    owner::become_who_runs(&project)?;
    let live = project.place().path.clone();
    let target = match &given.dev {
        Some(name) => Target::Dev {
            name: name.clone(),
            built: dev::prepared(at, project, name)?,
        },
        None => Target::named(given.preview.clone(), given.release),
    };
    let runtime = Runtime::open(&live, Settings::default())?;
    let invoke = Invoke {
        target,
        input,
        who: Who {
            user: given.user.clone(),
            roles: (!given.roles.is_empty()).then(|| given.roles.clone()),
        },
        // One object of JSON has no room for parts.
        stream: !at.json,
        ..Invoke::new(&given.method, Value::Null)
    };
    let returned = until_called_off(|cancel| runtime.call(invoke, &printed(), cancel))?;
    show(at, &returned)?;
    settle(&runtime);
    Ok(Answer::shown())
}

/// The answer is there; what the method has left to do is not cut off by the end of this process.
pub(super) fn settle(runtime: &Runtime) {
    runtime.settle(&|| signals::cancel().load(Ordering::SeqCst));
}

/// What the method gets.
fn input(given: Option<&str>) -> Result<Value> {
    let (text, what) = match given {
        None => ("{}".into(), "INPUT"),
        Some("-") if stdin::is_terminal() => {
            return Err(usage(
                "INPUT is expected on stdin, as JSON. Nothing was called",
            ));
        }
        Some("-") => (stdin::all()?, "what stdin has"),
        Some(text) => (text.as_bytes().to_vec(), "INPUT"),
    };
    serde_json::from_slice(&text)
        .map_err(|e| usage(format!("{what} is no JSON: {e}. Nothing was called")))
}

/// Who tells of what a method prints and streams.
pub(super) fn printed() -> Arc<dyn Listener> {
    Arc::new(Printed)
}

/// Does `work`, until a signal calls it off.
pub(super) fn until_called_off<T>(work: impl FnOnce(&Cancel) -> T) -> T {
    let cancel = Cancel::default();
    let (done, is_done) = mpsc::channel::<()>();
    thread::scope(|threads| {
        let cancel = &cancel;
        threads.spawn(move || {
            while is_done.recv_timeout(NAP) == Err(mpsc::RecvTimeoutError::Timeout) {
                if signals::cancel().load(Ordering::SeqCst) {
                    return cancel.cancel();
                }
            }
        });
        let worked = work(cancel);
        drop(done);
        worked
    })
}

/// What it prints and streams, as it comes: its lines are no output of this command.
struct Printed;

impl Listener for Printed {
    fn line(&self, _: Stream, text: &str) {
        screen::say(&format!("{}\n", one_line(text)));
    }

    fn part(&self, data: Value) {
        output::write(format!("{data}\n").as_bytes());
    }
}

fn show(at: &Context<'_>, returned: &Returned) -> Result<()> {
    let text = match at.json {
        true => json(returned)?,
        false if output::is_terminal() => {
            let pretty = serde_json::to_string_pretty(&returned.output).unwrap_or_default();
            let lines: Vec<_> = pretty.split('\n').map(one_line).collect();
            lines.join("\n")
        }
        false => returned.output.to_string(),
    };
    output::write(format!("{text}\n").as_bytes());
    Ok(())
}
