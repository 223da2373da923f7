//! A call of a method.

use super::{
    Answer, Context,
    calling::{one_call, printed, settle, until_called_off},
    dev, json, owner,
};
use crate::{
    arguments::Invoke as Given,
    failure::{Result, usage},
    output,
    show::text::one_line,
    stdin,
};
use remy_db_runtime::{
    runtime::{Invoke, Returned, Runtime},
    target::Target,
    who::Who,
};
use serde_json::Value;

pub(super) fn invoke(at: &Context<'_>, given: &Given) -> Result<Answer> {
    let input = input(given.input.as_deref())?;
    let project = at.project()?;
    owner::become_who_runs(&project)?;
    let (live, settings) = (
        project.place().path.clone(),
        one_call(project.place(), given.isolation),
    );
    let target = match &given.dev {
        Some(name) => Target::Dev {
            name: name.clone(),
            built: dev::prepared(at, project, name)?,
        },
        None => Target::named(given.preview.clone(), given.release),
    };
    let runtime = Runtime::open(&live, settings)?;
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

pub(super) fn show(at: &Context<'_>, returned: &Returned) -> Result<()> {
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
