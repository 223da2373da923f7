//! The host's end: starts the program, tells it what to do, and waits.

use crate::{
    file::{self, Lookup},
    frame::{self, Frame, Incoming, Kind, malformed},
    protocol::{Call, Failed, Hello, On, Schema, read, write},
    spawn::{self, Child},
    verb::Verb,
};
use remy_db::{
    Error, Place, Result, State,
    client::{self, Features},
};
use serde_json::Value;
use std::{
    cell::Cell,
    os::fd::{AsFd, AsRawFd},
    time::{Duration, Instant},
};

/// Who calls a verb.
pub struct Caller<'a> {
    /// Where the program is looked for.
    pub lookup: Lookup,
    /// The database.
    pub place: &'a Place,
    /// What the SQLite of this process has, where it has one that is to go on with the database.
    pub features: Option<Features>,
    /// Takes a line of the log, as JSON, on this thread.
    pub on_line: Option<&'a dyn Fn(&str)>,
    /// Whether the verb is called off: asked on this thread, now and then.
    pub cancelled: &'a dyn Fn() -> bool,
}

/// What became of it.
#[derive(Debug)]
pub enum Ran {
    /// The verb's result as JSON, or its error.
    Done(Result<String>),
    /// It cannot run in a process of its own, and nothing was done: this is why.
    NotHere(String),
}

/// How often the caller is asked.
const ASK: Duration = Duration::from_millis(20);

/// How long a program may take to say what it is.
const HELLO: Duration = Duration::from_secs(10);

/// How long to wait for a program to be gone that has said its last.
const END: Duration = Duration::from_secs(1);

/// Runs a verb in a process of its own.
pub fn run(verb: &Verb, caller: &Caller<'_>) -> Ran {
    let (program, started) = match file::find(caller.lookup)
        .and_then(|program| Ok((program.path.clone(), Session::start(&program)?)))
    {
        Ok(started) => started,
        Err(why) => return Ran::NotHere(why),
    };
    match started.call(verb, caller) {
        Ok(Ended::Result(json)) => {
            let note = format!(
                "Verbs run in a process of their own, which {} is the program of",
                program.to_string_lossy()
            );
            Ran::Done(warned(verb, json, caller).and_then(|json| noted(verb, json, "own", &note)))
        }
        Ok(Ended::NotHere(why)) => Ran::NotHere(why),
        Err(e) => Ran::Done(Err(e)),
    }
}

/// The result of a verb that ran in this process, as [`Ran::NotHere`] said why.
pub fn ran_here(verb: &Verb, json: String, why: &str) -> Result<String> {
    let note = format!("Verbs run in this process, and none of their own is started: {why}");
    noted(verb, json, "host", &note)
}

/// Adds to what `debug` returns in which process that was, and why.
fn noted(verb: &Verb, json: String, process: &str, note: &str) -> Result<String> {
    if !matches!(verb, Verb::Debug) {
        return Ok(json);
    }
    let mut debug: Value = read(&json, "a result")?;
    if let Some(notes) = debug["notes"].as_array_mut() {
        notes.insert(0, note.into());
    }
    debug["process"] = process.into();
    write(&debug)
}

/// Adds to what `verify` returns what only the host knows: its SQLite goes on with the database.
fn warned(verb: &Verb, json: String, caller: &Caller<'_>) -> Result<String> {
    let warning = caller.features.as_ref().and_then(|_| client::warning());
    let (Verb::Verify { .. }, Some(warning)) = (verb, warning) else {
        return Ok(json);
    };
    let mut verified: Value = read(&json, "a result")?;
    if let Some(warnings) = verified["warnings"].as_array_mut() {
        warnings.push(warning.into());
    }
    write(&verified)
}

/// How a verb ended that has no error.
enum Ended {
    Result(String),
    NotHere(String),
}

/// A program that runs.
struct Session {
    child: Child,
    incoming: Incoming,
}

impl Session {
    /// Starts a program and hears what it is. One of another build is not spoken to.
    fn start(program: &file::Program) -> Result<Self, String> {
        let mut session = Self {
            child: spawn::start(program)?,
            incoming: Incoming::default(),
        };
        let until = Instant::now() + HELLO;
        let said = session.next(|| Instant::now() >= until);
        let path = program.path.to_string_lossy();
        match said {
            Ok(Some(frame)) if frame.kind == Kind::NotStarted => Err(spawn::why_not(frame.number)),
            Ok(Some(frame)) if frame.kind == Kind::Hello => {
                match serde_json::from_str::<Hello>(&frame.text) {
                    Ok(hello) if hello == Hello::of_this() => Ok(session),
                    Ok(Hello { remy, build }) => Err(format!(
                        "{path} is of remy {remy}, build {build}, and this is another"
                    )),
                    Err(e) => Err(format!("{path} is no program of remy's: {e}")),
                }
            }
            Ok(Some(_)) => Err(format!("{path} is no program of remy's")),
            Ok(None) => Err(format!("{path} ended, or said nothing, as it was started")),
            Err(e) => Err(format!(
                "{path} is no program of remy's: {}",
                e.detail().what
            )),
        }
    }

    fn call(mut self, verb: &Verb, caller: &Caller<'_>) -> Result<Ended> {
        self.send(
            Kind::Call,
            &write(&Call {
                on: On::Host {
                    verb: verb.clone(),
                    place: caller.place.clone(),
                    features: caller.features.clone(),
                },
                lines: caller.on_line.is_some(),
            })?,
        )?;
        let mut told = false;
        loop {
            let called_off = Cell::new(false);
            let stop = || {
                called_off.set(!told && (caller.cancelled)());
                called_off.get()
            };
            let Some(Frame { kind, text, .. }) = self.next(stop)? else {
                if !called_off.get() {
                    return Err(gone());
                }
                told = true;
                // Where it hears nothing any more, its last word may be on the way.
                let _ = self.send(Kind::Cancel, "");
                continue;
            };
            match kind {
                Kind::Line => caller.on_line.iter().for_each(|on_line| on_line(&text)),
                // A line before this one may have led to that.
                Kind::Schema if !told && (caller.cancelled)() => {
                    told = true;
                    let _ = self.send(Kind::Cancel, "");
                }
                Kind::Schema if told => {}
                Kind::Schema => {
                    let answer = answer(&text)?;
                    let _ = self.send(Kind::Answer, &answer);
                }
                Kind::Result => return Ok(self.end(Ended::Result(text))),
                Kind::NotHere => return Ok(self.end(Ended::NotHere(text))),
                Kind::Error => {
                    let failed: Failed = read(&text, "an error")?;
                    self.end(());
                    return Err(failed.error());
                }
                other => {
                    return Err(malformed(&format!(
                        "a frame that is not its to send ({other:?})"
                    )));
                }
            }
        }
    }

    /// The next frame. `None` where the program is gone, or `stop` says so first.
    fn next(&mut self, stop: impl Fn() -> bool) -> Result<Option<Frame>> {
        loop {
            if let Some(frame) = self.incoming.next()? {
                return Ok(Some(frame));
            }
            if self.incoming.has_ended() || stop() {
                return Ok(None);
            }
            let process = self.child.process.as_ref().map(AsFd::as_fd);
            let socket = self.child.socket.as_fd();
            let until = Some(Instant::now() + ASK);
            let (_, is_gone) = frame::wait(socket, libc::POLLIN, process, until);
            let taken = self.incoming.take(socket);
            taken.map_err(|e| malformed(&format!("nothing more: {e}")))?;
            if is_gone {
                // What it said last has been taken, as far as it fits one turn.
                self.incoming.is_the_last(socket);
            }
        }
    }

    fn send(&self, kind: Kind, text: &str) -> Result<()> {
        let bytes = frame::frame(kind, text).ok_or_else(|| {
            Error::invalid_argument(format!(
                "what the verb was given has {} bytes, and {} is the most",
                text.len(),
                frame::LIMIT
            ))
            .state(State::NothingDone)
        })?;
        let process = self.child.process.as_ref().map(AsFd::as_fd);
        frame::send_all(self.child.socket.as_fd(), process, &bytes).map_err(|_| gone())
    }

    /// Waits until the program is gone, whose last word came: nothing of a verb is left when it
    /// returns.
    fn end<T>(self, last: T) -> T {
        let until = Instant::now() + END;
        let (socket, process) = (&self.child.socket, self.child.process.as_ref());
        if let Some(process) = process {
            while !frame::wait(process.as_fd(), libc::POLLIN, None, Some(until)).0
                && Instant::now() < until
            {}
        } else {
            frame::wait(socket.as_fd(), libc::POLLIN, None, Some(until));
        }
        last
    }
}

impl Drop for Session {
    /// Ends a program that is not spoken to any more; one that has ended is not there to be ended.
    fn drop(&mut self) {
        let Some(process) = &self.child.process else {
            return;
        };
        // SAFETY: a descriptor of a process, which is open; a number could be another's by now.
        // Where the host is who takes note of orphans, it takes note of this one.
        unsafe {
            libc::syscall(
                libc::SYS_pidfd_send_signal,
                process.as_raw_fd(),
                libc::SIGKILL,
                0_usize,
                0,
            );
            let mut found: libc::siginfo_t = std::mem::zeroed();
            let flags = libc::WEXITED | libc::WNOHANG | libc::__WALL;
            libc::waitid(
                libc::P_PIDFD,
                process.as_raw_fd().cast_unsigned(),
                &raw mut found,
                flags,
            );
        }
    }
}

/// What this process says to a schema that is about to go live: nothing, or an error.
fn answer(schema: &str) -> Result<String> {
    if schema.is_empty() {
        return Ok(String::new());
    }
    let Schema { objects, engine } = read(schema, "a schema")?;
    match client::reads(&objects, &engine) {
        Ok(()) => Ok(String::new()),
        Err(e) => write(&Failed::new(&e)),
    }
}

/// The program ended without its last word.
fn gone() -> Error {
    Error::io("the process that ran the verb was ended before the verb was")
        .state("Live is as it was, or switched whole, and the next call of remy finds out which and mends the store")
        .hint("Find out who ended it: a lack of memory, or somebody by hand; then call it again")
}
