//! What a process has asked for and has not got: done by threads of its own, so that nobody else
//! waits for them.

use super::{listener::Service, state::State};
use crate::{
    failure::Failure,
    frame,
    protocol::{Answer, Call, Request, ToChild},
};
use serde_json::Value;
use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex},
    thread,
    time::Duration,
};

/// How many requests of a process are done at once, of those of each kind.
const AT_ONCE: usize = 8;

/// How many bytes of requests wait; the process's own socket takes the rest.
const WAITING_BYTES: usize = 32 << 20;

/// How many requests wait: each takes more room than its bytes.
const WAITING: usize = 20_000;

/// How long a thread stays that has nothing to do.
const STAYS: Duration = Duration::from_secs(5);

/// What there is to answer.
pub(super) enum Asked {
    /// To be done first.
    Request(Request),
    /// A part of a stream, which was passed on.
    Passed,
    /// It is done, and this is left of the answer's frame.
    Answered(Vec<u8>),
}

struct Job {
    call: Arc<Call>,
    id: u64,
    bytes: usize,
    asked: Asked,
}

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    /// Of all that is not answered.
    bytes: usize,
    unanswered: usize,
    threads: usize,
    free: usize,
    is_closed: bool,
}

/// The requests of a process. What is asked of others takes seconds or minutes, and nothing of the
/// database's waits for it.
#[derive(Clone)]
pub(super) struct Requests {
    own: Arc<Shared>,
    of_others: Arc<Shared>,
}

struct Shared {
    waiting: Mutex<Waiting>,
    more: Condvar,
    state: Arc<State>,
    service: Arc<dyn Service>,
}

impl Requests {
    pub fn new(state: Arc<State>, service: Arc<dyn Service>) -> Self {
        let shared = || {
            Arc::new(Shared {
                waiting: Mutex::default(),
                more: Condvar::new(),
                state: state.clone(),
                service: service.clone(),
            })
        };
        Self {
            own: shared(),
            of_others: shared(),
        }
    }

    pub fn add(&self, call: Arc<Call>, id: u64, asked: Asked, bytes: usize) {
        let shared = match asked {
            Asked::Request(Request::Service { .. }) => &self.of_others,
            _ => &self.own,
        };
        let mut waiting = shared.lock();
        waiting.bytes += bytes;
        waiting.unanswered += 1;
        waiting.jobs.push_back(Job {
            call,
            id,
            bytes,
            asked,
        });
        if waiting.free < waiting.jobs.len() && waiting.threads < AT_ONCE {
            waiting.threads += 1;
            let shared = shared.clone();
            let thread = thread::Builder::new().name("remy-requests".to_owned());
            let started = thread.spawn(move || shared.work());
            if started.is_err() {
                waiting.threads -= 1;
            }
        }
        drop(waiting);
        shared.more.notify_one();
    }

    /// Does one at once, and answers it; gives back what is left for a thread that may wait.
    pub fn do_at_once(&self, call: &Call, id: u64, request: Request) -> Option<Asked> {
        let Shared { state, service, .. } = &*self.own;
        let done = catch_unwind(AssertUnwindSafe(|| service.answer_at_once(call, &request)));
        match done.unwrap_or_else(|_| Some(fault())) {
            None => Some(Asked::Request(request)),
            Some(answer) => {
                let left = state.send_now(framed(id, answer));
                left.map(Asked::Answered)
            }
        }
    }

    /// Whether no further ones are to be read for now.
    pub fn are_too_many(&self) -> bool {
        let all = self.both().map(|shared| {
            let waiting = shared.lock();
            (waiting.bytes, waiting.unanswered)
        });
        let [(bytes, unanswered), (more_bytes, more)] = all;
        bytes + more_bytes >= WAITING_BYTES || unanswered + more >= WAITING
    }

    pub fn are_answered(&self) -> bool {
        self.both()
            .iter()
            .all(|shared| shared.lock().unanswered == 0)
    }

    /// The process is gone: what waits is dropped, and what is being done ends by itself.
    pub fn close(&self) {
        for shared in self.both() {
            let mut waiting = shared.lock();
            waiting.is_closed = true;
            waiting.jobs.clear();
            drop(waiting);
            shared.more.notify_all();
        }
    }

    fn both(&self) -> [&Shared; 2] {
        [&self.own, &self.of_others]
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().expect("no panic while it is held")
    }

    fn work(&self) {
        while let Some(job) = self.next() {
            let frame = match job.asked {
                Asked::Passed => framed(job.id, Answer::Value(Value::Null)),
                Asked::Request(request) => framed(job.id, self.answer(&job.call, request)),
                Asked::Answered(frame) => frame,
            };
            {
                // Before it is sent: it may be idle as soon as it has it.
                let mut waiting = self.lock();
                waiting.bytes -= job.bytes;
                waiting.unanswered -= 1;
            }
            self.state.send(&frame);
        }
    }

    fn next(&self) -> Option<Job> {
        let mut waiting = self.lock();
        waiting.free += 1;
        loop {
            let job = waiting.jobs.pop_front();
            if job.is_some() || waiting.is_closed {
                waiting.free -= 1;
                waiting.threads -= usize::from(job.is_none());
                return job;
            }
            let (again, waited) = self
                .more
                .wait_timeout(waiting, STAYS)
                .expect("no panic while it is held");
            waiting = again;
            if waited.timed_out() && waiting.jobs.is_empty() {
                waiting.free -= 1;
                waiting.threads -= 1;
                return None;
            }
        }
    }

    fn answer(&self, call: &Call, request: Request) -> Answer {
        let is_wanted = || !self.lock().is_closed;
        let done = catch_unwind(AssertUnwindSafe(|| {
            self.service.answer(call, request, &is_wanted)
        }));
        done.unwrap_or_else(|_| fault())
    }
}

fn fault() -> Answer {
    let message = "A fault of the runtime's own kept it from doing this. The method goes on";
    Answer::Error(Failure::new("internal", 500, message))
}

/// The frame of an answer.
fn framed(id: u64, answer: Answer) -> Vec<u8> {
    frame::to_child(&ToChild::Answer { id, answer }).unwrap_or_else(|| too_large(id))
}

fn too_large(id: u64) -> Vec<u8> {
    let message = format!(
        "What was asked for is larger than {} MiB. Ask for less at once",
        frame::TO_CHILD >> 20
    );
    let answer = Answer::Error(Failure::new("reply_too_large", 413, message));
    frame::to_child(&ToChild::Answer { id, answer }).expect("a short text fits")
}
