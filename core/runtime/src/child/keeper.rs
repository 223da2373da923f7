//! The thread that keeps a process: reads what it sends and writes, holds it to its limits, and is
//! there at its end.

use super::{
    disk, ended,
    listener::{AT_ONCE, Stream},
    output::Output,
    requests::{Asked, Requests},
    state::{Owner, Running, Stage, State},
};
use crate::{
    failure::Failure,
    frame::Incoming,
    protocol::{Call, FromChild, Request},
    sandbox::SCRATCH_BYTES,
};
use remy_db_app::work;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    process::{Pid, WaitId, WaitIdOptions, WaitIdStatus, waitid},
};
use serde_json::Value;
use std::{
    fs,
    os::fd::AsFd as _,
    path::PathBuf,
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

/// How often a process that is at work is looked at, and one that is not.
const LOOKS: Duration = Duration::from_millis(100);
const LOOKS_AT_IDLE: Duration = Duration::from_millis(500);

pub(super) struct Keeper {
    pub number: u64,
    pub pid: Pid,
    pub state: Arc<State>,
    pub requests: Requests,
    pub owner: Weak<dyn Owner>,
    pub scratch: PathBuf,
    pub output: Output,
    pub errors: Output,
    pub incoming: Incoming,
    /// Of the last request: they count up.
    pub last_request: u64,
    /// How many bytes the call has written.
    pub written: u64,
    /// When it was looked at last.
    pub looked: Instant,
    /// Whether its requests are worth trying at once.
    pub slow: Slow,
}

/// Which requests are not tried at once, as those before them took too long for that: one, then two,
/// then four…
#[derive(Debug, Default)]
pub(super) struct Slow {
    skipped: u32,
    to_skip: u32,
}

/// The most requests that are not tried after one that took too long.
const MOST_SKIPPED: u32 = 64;

impl Slow {
    /// Whether the next one is not to be tried.
    fn skips(&mut self) -> bool {
        let skips = self.skipped < self.to_skip;
        self.skipped = if skips { self.skipped + 1 } else { 0 };
        skips
    }

    fn took(&mut self, time: Duration) {
        self.to_skip = match time < AT_ONCE {
            true => 0,
            false => (2 * self.to_skip).clamp(1, MOST_SKIPPED),
        };
    }
}

impl Keeper {
    pub fn keep(mut self) {
        loop {
            match self.wait() {
                Ok(true) => break,
                Ok(false) => {}
                Err(e) => self.state.end(broken(&e.into())),
            }
            self.look();
        }
        self.finish();
    }

    /// Waits until something comes, and takes it. Whether the process is gone.
    fn wait(&mut self) -> Result<bool, Errno> {
        let (readable, idle) = (PollFlags::IN, self.stage() == Stage::Idle);
        let socket_open = !self.is_stuffed();
        let mut polled = vec![PollFd::new(&self.state.process, readable)];
        if socket_open {
            polled.push(PollFd::new(&self.state.socket, readable));
        }
        let first_output = polled.len();
        for output in [&self.output, &self.errors] {
            if output.is_open {
                polled.push(PollFd::from_borrowed_fd(output.as_fd(), readable));
            }
        }
        let most = if idle { LOOKS_AT_IDLE } else { LOOKS };
        let most = Timespec::try_from(most).expect("it is short");
        match poll(&mut polled, Some(&most)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(e) => return Err(e),
        }
        let gone = !polled[0].revents().is_empty();
        let sent = socket_open && !polled[1].revents().is_empty();
        let written = polled[first_output..]
            .iter()
            .any(|output| !output.revents().is_empty());
        drop(polled);
        if written {
            self.read_output();
        }
        if sent || gone {
            self.receive();
        }
        Ok(gone)
    }

    /// Whether nothing more is taken from its socket for now.
    fn is_stuffed(&self) -> bool {
        self.requests.are_too_many() || self.state.held().why.is_some()
    }

    fn stage(&self) -> Stage {
        self.state.held().stage
    }

    fn last(&self) -> Option<Running> {
        self.state.held().last.clone()
    }

    /// Tells what it wrote to whoever called it last.
    fn read_output(&mut self) {
        let last = self.last();
        let tell = |stream| {
            let listener = last.as_ref().map(|last| last.listener.clone());
            move |text: &str| {
                if let Some(listener) = &listener {
                    listener.line(stream, text);
                }
            }
        };
        let most = self.state.limits.output_bytes;
        let left = most.saturating_sub(self.written);
        self.written += self.output.read(left, &mut tell(Stream::Stdout));
        let left = most.saturating_sub(self.written);
        self.written += self.errors.read(left, &mut tell(Stream::Stderr));
        if self.written > most {
            self.state.end(too_much_output(most));
        }
    }

    fn receive(&mut self) {
        match self.incoming.receive(&self.state.socket) {
            Ok(true) => {}
            // Its descriptor is closed. Where it is gone, that is told.
            Ok(false) | Err(_) => {
                if self.state.held().why.is_none() && !self.is_gone() {
                    self.state.end(forged("has closed its descriptor"));
                }
            }
        }
        loop {
            let taken = match self.incoming.next::<FromChild>() {
                Ok(None) => return,
                Ok(Some((frame, bytes))) => self.take(frame, bytes),
                Err(what) => Err(format!("has sent {what}")),
            };
            if let Err(what) = taken {
                self.state.end(forged(&what));
                return;
            }
        }
    }

    /// Whether it has ended, or is about to, where its descriptor is closed.
    fn is_gone(&self) -> bool {
        if is_exiting(self.pid) == Some(false) {
            return false;
        }
        let mut process = [PollFd::new(&self.state.process, PollFlags::IN)];
        // Its descriptors end before it does where it exits: on a busy machine long before.
        let a_while = Timespec {
            tv_sec: 2,
            tv_nsec: 0,
        };
        poll(&mut process, Some(&a_while)).is_ok_and(|ready| ready > 0)
    }

    /// An error says what it did that it may not.
    fn take(&mut self, frame: FromChild, bytes: usize) -> Result<(), String> {
        let (stage, last) = (self.stage(), self.last());
        let call = last.as_ref().map(|last| last.call.clone());
        let id = call.as_ref().map(|call| call.id);
        match (stage, frame) {
            (Stage::Starting, FromChild::Ready) => self.is_free(),
            (Stage::Starting, FromChild::Failed { error }) => self.state.end(sound(error)),
            (Stage::Calling | Stage::Settling, FromChild::Request { id, request })
                if id > self.last_request =>
            {
                self.last_request = id;
                let last = last.expect("there is a call");
                self.ask(last, id, request, bytes);
            }
            (Stage::Calling, FromChild::Returned { call, output }) if Some(call) == id => {
                self.answer(Ok(output));
            }
            (Stage::Calling, FromChild::Threw { call, error }) if Some(call) == id => {
                self.answer(Err(sound(error)));
            }
            (Stage::Settling, FromChild::Idle { call }) if Some(call) == id => {
                if !self.requests.are_answered() {
                    return Err("is idle, and waits for answers".to_owned());
                }
                self.is_free();
            }
            (stage, frame) => {
                return Err(format!(
                    "has sent a frame out of turn ({}, {stage:?})",
                    name(&frame)
                ));
            }
        }
        Ok(())
    }

    fn is_free(&mut self) {
        self.written = 0;
        self.state.enter(Stage::Idle);
        if let Some(owner) = self.owner.upgrade() {
            owner.is_free(self.number);
        }
    }

    fn ask(&mut self, last: Running, id: u64, request: Request, bytes: usize) {
        let Running { call, listener, .. } = last;
        let asked = match request {
            Request::Stream { data } => {
                listener.part(data);
                Some(Asked::Passed)
            }
            request if self.slow.skips() => Some(Asked::Request(request)),
            request => {
                let began = Instant::now();
                let left = self.requests.do_at_once(&call, id, request);
                self.slow.took(began.elapsed());
                left
            }
        };
        if let Some(asked) = asked {
            self.requests.add(call, id, asked, bytes);
        }
    }

    fn answer(&mut self, answer: Result<Value, Failure>) {
        // What it wrote before it answered is told before it has answered.
        self.read_output();
        let mut held = self.state.held();
        if held.why.is_some() {
            return;
        }
        held.stage = Stage::Settling;
        held.since = Instant::now();
        let slot = held.last.as_ref().map(|last| last.slot.clone());
        drop(held);
        if let Some(slot) = slot {
            slot.put(answer);
        }
    }

    /// Holds it to its limits.
    fn look(&mut self) {
        let (stage, since, call) = {
            let held = self.state.held();
            let call = held.last.as_ref().map(|last| last.call.clone());
            (held.stage, held.since, call)
        };
        let every = if stage == Stage::Idle {
            LOOKS_AT_IDLE
        } else {
            LOOKS
        };
        if self.looked.elapsed() < every {
            return;
        }
        self.looked = Instant::now();
        let limits = &self.state.limits;
        let limit = match stage {
            Stage::Starting => Some(limits.start),
            Stage::Calling => Some(limits.call),
            Stage::Settling => Some(limits.goes_on),
            Stage::Idle | Stage::Ended => None,
        };
        if limit.is_some_and(|limit| since.elapsed() >= limit) {
            self.state
                .end(timed_out(stage, limit.unwrap_or_default(), call.as_deref()));
        }
        let used = disk::used(&self.scratch, self.pid.as_raw_nonzero().get());
        if used.bytes > SCRATCH_BYTES || used.files > disk::FILES {
            self.state.end(disk_full());
        }
        if stage == Stage::Idle
            && let Some(owner) = self.owner.upgrade()
        {
            owner.is_idle(self.number, since);
        }
    }

    /// It is gone: its folder goes, whoever waits is told, and then its owner.
    fn finish(mut self) {
        let process = WaitId::PidFd(self.state.process.as_fd());
        // A host of ours may wait for all its children itself.
        let status: Option<WaitIdStatus> = waitid(process, WaitIdOptions::EXITED).ok().flatten();
        self.requests.close();
        self.read_output();
        if let Some(last) = self.last() {
            let listener = &last.listener;
            self.output
                .end_line(&mut |text| listener.line(Stream::Stdout, text));
            self.errors
                .end_line(&mut |text| listener.line(Stream::Stderr, text));
        }
        let _ = fs::remove_dir_all(&self.scratch);
        let mut held = self.state.held();
        let before = held.stage;
        held.stage = Stage::Ended;
        let tail = self.errors.tail();
        let why = held.why.take();
        let why = why.unwrap_or_else(|| ended::failure(status, &tail, before == Stage::Starting));
        let last = held.last.take();
        drop(held);
        // Before the caller hears of it: a caller that looks finds it gone.
        if let Some(owner) = self.owner.upgrade() {
            owner.has_ended(self.number, before, &why);
        }
        if let (Stage::Calling, Some(last)) = (before, last) {
            last.slot.put(Err(why));
        }
    }
}

/// Whether a process is on its way out: the kernel marks it before it closes its descriptors. None where
/// that is not known. The process is a child that nobody has waited for: its number is its own.
fn is_exiting(pid: Pid) -> Option<bool> {
    /// `PF_EXITING` of the kernel's, the ninth field of `stat`.
    const EXITING: u32 = 4;
    let stat = work::stat(pid.as_raw_nonzero().get().cast_unsigned()).ok()?;
    let flags: u32 = stat.get(6)?.parse().ok()?;
    Some(flags & EXITING != 0)
}

/// What a process says of an error, as it may be passed on.
fn sound(mut error: Failure) -> Failure {
    if !(400..600).contains(&error.status) {
        error.status = 500;
    }
    error
}

fn name(frame: &FromChild) -> &'static str {
    match frame {
        FromChild::Ready => "ready",
        FromChild::Failed { .. } => "failed",
        FromChild::Request { .. } => "request",
        FromChild::Returned { .. } => "returned",
        FromChild::Threw { .. } => "threw",
        FromChild::Idle { .. } => "idle",
    }
}

fn forged(what: &str) -> Failure {
    let message = format!(
        "The method's process {what}, which the runtime's own code in it never does. It was ended; \
         what the call has written to the database stays. Leave the descriptors alone that the \
         method has not opened"
    );
    Failure::new("forged_frame", 500, message)
}

fn broken(error: &std::io::Error) -> Failure {
    let message =
        format!("The method's process could not be looked after ({error}), and was ended");
    Failure::new("process_ended", 500, message)
}

fn timed_out(stage: Stage, limit: Duration, call: Option<&Call>) -> Failure {
    let method = call.map_or("The method", |call| &call.method);
    let message = match stage {
        Stage::Starting => format!(
            "The methods' modules were not loaded within {limit:?}, and the process was ended. What \
             they wait for at their top level does not come"
        ),
        Stage::Settling => format!(
            "What {method} has left behind went on for {limit:?}, and its process was ended"
        ),
        _ => format!(
            "{method} has not returned within {limit:?}, and its process was ended. What it has \
             written to the database stays"
        ),
    };
    Failure::new("timed_out", 504, message)
}

fn too_much_output(most: u64) -> Failure {
    let message = format!(
        "The method wrote more than {} of output, and its process was ended. What it has written to \
         the database stays",
        size(most)
    );
    Failure::new("output_exceeded", 500, message)
}

fn disk_full() -> Failure {
    let message = format!(
        "The method kept more than {} or {} files in its folder for temporary files, and its process \
         was ended. What it has written to the database stays",
        size(SCRATCH_BYTES),
        disk::FILES
    );
    Failure::new("disk_exceeded", 500, message)
}

fn size(bytes: u64) -> String {
    match bytes >> 20 {
        0 => format!("{bytes} bytes"),
        mib => format!("{mib} MiB"),
    }
}
