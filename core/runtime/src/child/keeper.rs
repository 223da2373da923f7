//! The thread that keeps a process: reads what it sends and writes, holds it to its limits, and is
//! there at its end.

use super::{
    disk, ended,
    reader::{Reader, size},
    state::{Owner, Stage, State},
};
use crate::{failure::Failure, protocol::Call, sandbox::SCRATCH_BYTES};
use rustix::{
    io::Errno,
    process::{Pid, WaitId, WaitIdOptions, WaitIdStatus, waitid},
};
use std::{
    fs,
    os::fd::AsFd as _,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, Weak},
    time::{Duration, Instant},
};

/// How often a process that is at work is looked at, and one that is not.
const LOOKS: Duration = Duration::from_millis(100);
const LOOKS_AT_IDLE: Duration = Duration::from_millis(500);

pub(super) struct Keeper {
    pub number: u64,
    pub pid: Pid,
    pub state: Arc<State>,
    pub owner: Weak<dyn Owner>,
    pub scratch: PathBuf,
    /// Whoever has called it reads, too.
    pub reader: Arc<Mutex<Reader>>,
    /// When it was looked at last.
    pub looked: Instant,
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
    fn wait(&self) -> Result<bool, Errno> {
        let idle = self.state.held().stage == Stage::Idle;
        let most = if idle { LOOKS_AT_IDLE } else { LOOKS };
        let ready = self.state.watched.wait(most)?;
        let mut reader = self.reader();
        if ready.written {
            reader.read_output();
        }
        // Under the lock: whoever has begun to read since this was woken may wait for what comes next.
        let reads = ready.sent && !self.state.watched.is_read_by_another();
        if reads || ready.gone {
            reader.receive();
        }
        let is_stuffed = reader.is_stuffed();
        drop(reader);
        let State {
            watched, socket, ..
        } = &*self.state;
        watched.stuffed(socket, is_stuffed)?;
        Ok(ready.gone)
    }

    fn reader(&self) -> MutexGuard<'_, Reader> {
        self.reader.lock().expect("no panic while it is held")
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
    fn finish(self) {
        let process = WaitId::PidFd(self.state.process.as_fd());
        // A host of ours may wait for all its children itself.
        let status: Option<WaitIdStatus> = waitid(process, WaitIdOptions::EXITED).ok().flatten();
        let tail = self.reader().end();
        let _ = fs::remove_dir_all(&self.scratch);
        let mut held = self.state.held();
        let before = held.stage;
        held.stage = Stage::Ended;
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

fn disk_full() -> Failure {
    let message = format!(
        "The method kept more than {} or {} files in its folder for temporary files, and its process \
         was ended. What it has written to the database stays",
        size(SCRATCH_BYTES),
        disk::FILES
    );
    Failure::new("disk_exceeded", 500, message)
}
