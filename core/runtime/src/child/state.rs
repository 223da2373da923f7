//! What a process is at, as all threads that have to do with it see it.

use super::{listener::Listener, program::Limits, watched::Watched};
use crate::{failure::Failure, frame, protocol::Call};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Signal, pidfd_send_signal},
};
use serde_json::Value;
use std::{
    os::{fd::OwnedFd, unix::net::UnixStream},
    sync::{Arc, Condvar, Mutex, MutexGuard},
    time::Instant,
};

/// What a process is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It loads its modules.
    Starting,
    /// It waits to be called.
    Idle,
    /// It runs a call.
    Calling,
    /// It has answered, and something that it began goes on.
    Settling,
    /// It is gone.
    Ended,
}

/// Is told what becomes of a process, by the thread that keeps it.
pub(crate) trait Owner: Send + Sync {
    /// It can be called.
    fn is_free(&self, process: u64);

    /// It has been free for a while; told again and again.
    fn is_idle(&self, process: u64, since: Instant);

    /// It is gone, with its folder. `before` is what it was at.
    fn has_ended(&self, process: u64, before: Stage, why: &Failure);
}

/// The answer of a call, once there is one.
#[derive(Default)]
pub(crate) struct Slot {
    answer: Mutex<Option<Result<Value, Failure>>>,
    there: Condvar,
}

impl Slot {
    /// The first one is kept.
    pub fn put(&self, answer: Result<Value, Failure>) {
        self.answer
            .lock()
            .expect("no panic here")
            .get_or_insert(answer);
        self.there.notify_all();
    }

    pub fn is_there(&self) -> bool {
        self.answer.lock().expect("no panic here").is_some()
    }

    pub fn wait(&self) -> Result<Value, Failure> {
        let mut answer = self.answer.lock().expect("no panic here");
        loop {
            if let Some(answer) = answer.take() {
                return answer;
            }
            answer = self.there.wait(answer).expect("no panic here");
        }
    }
}

/// A call, and who waits for it.
#[derive(Clone)]
pub(super) struct Running {
    pub call: Arc<Call>,
    pub listener: Arc<dyn Listener>,
    pub slot: Arc<Slot>,
}

pub(super) struct Held {
    pub stage: Stage,
    /// Since when.
    pub since: Instant,
    /// The last call: what an idle process writes is logged to it.
    pub last: Option<Running>,
    /// Why it was ended by this process.
    pub why: Option<Failure>,
}

/// A process, as all threads see it.
pub(super) struct State {
    pub process: OwnedFd,
    pub socket: UnixStream,
    /// Both of these, and what it writes.
    pub watched: Watched,
    pub limits: Limits,
    held: Mutex<Held>,
    /// One frame at a time: what is left of the last one, where there was no room for it.
    left: Mutex<Vec<u8>>,
}

impl State {
    pub fn new(process: OwnedFd, socket: UnixStream, watched: Watched, limits: Limits) -> Self {
        let held = Held {
            stage: Stage::Starting,
            since: Instant::now(),
            last: None,
            why: None,
        };
        Self {
            process,
            socket,
            watched,
            limits,
            held: Mutex::new(held),
            left: Mutex::default(),
        }
    }

    pub fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().expect("no panic while it is held")
    }

    pub fn enter(&self, stage: Stage) {
        let mut held = self.held();
        held.stage = stage;
        held.since = Instant::now();
    }

    /// Sends a frame that was made, and waits until the process takes it. That it is gone is told by
    /// its end.
    pub fn send(&self, frame: &[u8]) {
        let mut left = self.left.lock().expect("no panic while it is held");
        let _ = frame::write(&self.socket, &std::mem::take(&mut *left));
        let _ = frame::write(&self.socket, frame);
    }

    /// Sends a frame as far as there is room for it, and waits for nothing. Whoever has threads that may
    /// wait is to send what is returned, if only nothing, by [`Self::send`].
    pub fn send_now(&self, frame: Vec<u8>) -> Option<Vec<u8>> {
        // Somebody sends another one, and may wait.
        let Ok(mut left) = self.left.try_lock() else {
            return Some(frame);
        };
        if !left.is_empty() {
            return Some(frame);
        }
        // That it is gone is told by its end.
        let sent = frame::write_now(&self.socket, &frame).unwrap_or(frame.len());
        if sent == frame.len() {
            return None;
        }
        if sent == 0 {
            return Some(frame);
        }
        left.extend_from_slice(&frame[sent..]);
        Some(Vec::new())
    }

    /// Begins a call, by its frame; gives it back where the process cannot be called.
    pub fn begin(&self, running: Running, frame: &[u8]) -> Result<(), Running> {
        {
            let mut held = self.held();
            if held.stage != Stage::Idle || held.why.is_some() || self.is_gone() {
                return Err(running);
            }
            held.stage = Stage::Calling;
            held.since = Instant::now();
            held.last = Some(running);
        }
        self.send(frame);
        Ok(())
    }

    /// Whether it has ended, whoever was told so far.
    fn is_gone(&self) -> bool {
        let mut process = [PollFd::new(&self.process, PollFlags::IN)];
        poll(&mut process, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
    }

    /// Ends the process, with all that it is at. The first reason is the one that is told.
    pub fn end(&self, why: Failure) {
        let mut held = self.held();
        if held.stage != Stage::Ended {
            held.why.get_or_insert(why);
            // By its descriptor: its number may be another's. It may be gone.
            let _ = pidfd_send_signal(&self.process, Signal::KILL);
        }
    }
}
