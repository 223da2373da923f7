//! The command `remy`: arguments in, rows out, an exit status that says how it went.
//!
//! A face, as the others are: what a verb does is remy's, how it is typed and shown is here. One
//! verb runs in this very process, on the embedded engine. A library, so that who builds other
//! programs of this repository has it at hand.

mod annotations;
mod arguments;
mod ask;
mod commands;
mod failure;
mod help;
mod name;
mod output;
mod progress;
mod screen;
mod show;
mod signals;
mod stdin;
mod usage;
mod values;

use arguments::Arguments;
use commands::{Answer, Context, Shown};
use failure::{Failure, Result};
use progress::Progress;
use remy_db::Error;
use remy_db_app::project::Told;
use serde_json::{Value, json};
use std::{
    env,
    ffi::OsString,
    panic::{AssertUnwindSafe, catch_unwind},
    process::ExitCode,
};
use usage::Typed;

/// Runs the command of this process's arguments, and returns its exit status.
pub fn main() -> ExitCode {
    let argv: Vec<OsString> = env::args_os().collect();
    // A program that has remy linked in starts this one beside it.
    remy_db_helper::main_of(argv.get(1..).unwrap_or_default());
    let (status, done) = match usage::parse(&argv) {
        Ok(Typed::Command(arguments, words)) => run(&arguments, &words),
        Ok(Typed::Text(text)) => {
            output::write(text.as_bytes());
            (0, "Nothing was done".to_owned())
        }
        Ok(Typed::Nothing(text)) => {
            screen::say(&text);
            (2, "Nothing was done".to_owned())
        }
        Err(failure) => {
            let is_json = argv.iter().any(|word| word == "--json");
            report(&failure, is_json.then_some(document))
        }
    };
    let Some(lost) = output::unwritten() else {
        return status.into();
    };
    screen::say(&format!(
        "error: io: the output could not be written ({lost}). {done}. Give the output another place, or free some space there\n"
    ));
    status.max(u8::from(status == 0)).into()
}

/// Runs a command. Returns its exit status, and what was done, for whoever does not see it in the
/// output.
fn run(arguments: &Arguments, words: &str) -> (u8, String) {
    signals::listen();
    let Arguments {
        command,
        place,
        json,
        quiet,
        verbose,
    } = arguments;
    let progress = Progress::new(commands::style(command, *json, *quiet));
    let on_line = |line: &Told<'_>| progress.tell(line);
    let on_said = |program: &str, line: &str| progress.said(program, line);
    let context = Context::new(place, *json, &progress, &on_line).quiet(*quiet);
    let context = match verbose {
        true => context.hearing(&on_said),
        false => context,
    };
    let ran = caught(|| commands::run(command, &context));
    progress.end();
    let answer = match ran {
        Ok(answer) => answer,
        Err(failure) => {
            let how = if progress.is_events() {
                event
            } else {
                document
            };
            let failure = called_off(failure);
            let reported = report(&failure, json.then_some(how));
            if !*json {
                annotations::fail(&failure, place);
            }
            return reported;
        }
    };
    show(&answer, *json, &progress);
    // The last line for people says what came of a verb that is followed.
    let done = match &answer.shown {
        Shown::Lines(lines) if progress.is_followed() => {
            lines.last().map(|line| show::text::one_line(line))
        }
        _ => None,
    };
    let done = done.unwrap_or_else(|| format!("{} {words} itself is done", name::called()));
    (u8::from(!answer.is_ok), done)
}

fn show(answer: &Answer, json: bool, progress: &Progress) {
    match &answer.shown {
        Shown::Nothing => {}
        _ if json && progress.is_events() => {
            output::write(
                format!("{{\"event\":\"result\",\"result\":{}}}\n", answer.json).as_bytes(),
            );
        }
        _ if json => output::write(format!("{}\n", answer.json).as_bytes()),
        Shown::Bytes(bytes) => output::write(bytes),
        Shown::Lines(lines) => {
            let lines: Vec<_> = lines
                .iter()
                .map(|line| show::text::one_line(line))
                .collect();
            output::write_lines(&lines);
        }
    }
}

/// Runs `work`. A panic is a mistake of remy's own, and told as that.
fn caught<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|panic| Err(Error::of_panic(panic.as_ref()).into()))
}

/// What a signal has called off says which it was. So does what failed meanwhile and has changed
/// nothing: a terminal's Ctrl-C ends the programs of a build as well.
fn called_off(failure: Failure) -> Failure {
    match (&failure, signals::called_off()) {
        (Failure::Error(error), Some(signal)) if error.is_without_effect() => {
            Failure::CalledOff(signal)
        }
        _ => failure,
    }
}

/// What `--json` says of an error: of a verb that writes events, and of any other.
fn event(error: Value) -> Value {
    json!({ "event": "error", "error": error })
}

fn document(error: Value) -> Value {
    json!({ "error": error })
}

fn report(failure: &Failure, json: Option<fn(Value) -> Value>) -> (u8, String) {
    if let Some(json) = json {
        output::write(format!("{}\n", json(failure.json())).as_bytes());
    }
    screen::say(&format!("{}\n", failure.lines().join("\n")));
    (failure.status(), "What was done is said above".to_owned())
}
