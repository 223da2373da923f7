//! What a process sends and writes, and what is made of it.

use super::{
    listener::{AT_ONCE, Stream},
    output::Output,
    requests::{Asked, Requests},
    state::{Owner, Running, Stage, State},
};
use crate::{
    failure::Failure,
    frame::Incoming,
    protocol::{FromChild, Request},
};
use remy_db_app::work;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::Pid,
};
use serde_json::Value;
use std::{
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

/// Reads what a process sends and writes: on its keeper's thread, or on that of whoever has called it
/// and waits.
pub(super) struct Reader {
    pub number: u64,
    pub pid: Pid,
    pub state: Arc<State>,
    pub requests: Requests,
    pub owner: Weak<dyn Owner>,
    pub output: Output,
    pub errors: Output,
    pub incoming: Incoming,
    /// Of the last request: they count up.
    pub last_request: u64,
    /// How many bytes the call has written.
    pub written: u64,
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

impl Reader {
    /// Whether nothing more is taken from its socket for now.
    pub fn is_stuffed(&self) -> bool {
        self.requests.are_too_many() || self.state.held().why.is_some()
    }

    fn stage(&self) -> Stage {
        self.state.held().stage
    }

    fn last(&self) -> Option<Running> {
        self.state.held().last.clone()
    }

    /// Tells what it wrote to whoever called it last.
    pub fn read_output(&mut self) {
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
        for output in [&self.output, &self.errors] {
            if !output.is_open {
                self.state.watched.closed(output);
            }
        }
    }

    /// Takes what it has sent. Whether more may come.
    pub fn receive(&mut self) -> bool {
        let is_open = self.incoming.receive(&self.state.socket).unwrap_or(false);
        // Its descriptor is closed. Where it is gone, that is told.
        if !is_open && self.state.held().why.is_none() && !self.is_gone() {
            self.state.end(forged("has closed its descriptor"));
        }
        loop {
            let taken = match self.incoming.next::<FromChild>() {
                Ok(None) => return is_open,
                Ok(Some((frame, bytes))) => self.take(frame, bytes),
                Err(what) => Err(format!("has sent {what}")),
            };
            if let Err(what) = taken {
                self.state.end(forged(&what));
                return false;
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

    /// It is gone: reads what is left of what it wrote, and returns the end of what it complained of.
    pub fn end(&mut self) -> String {
        self.requests.close();
        self.read_output();
        if let Some(last) = self.last() {
            let listener = &last.listener;
            self.output
                .end_line(&mut |text| listener.line(Stream::Stdout, text));
            self.errors
                .end_line(&mut |text| listener.line(Stream::Stderr, text));
        }
        self.errors.tail()
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

fn too_much_output(most: u64) -> Failure {
    let message = format!(
        "The method wrote more than {} of output, and its process was ended. What it has written to \
         the database stays",
        size(most)
    );
    Failure::new("output_exceeded", 500, message)
}

pub(super) fn size(bytes: u64) -> String {
    match bytes >> 20 {
        0 => format!("{bytes} bytes"),
        mib => format!("{mib} MiB"),
    }
}
