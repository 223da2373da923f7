//! A process: how it is started, and what may be done with it.

use super::{
    keeper::{Keeper, Slow},
    listener::{Listener, Service},
    output::Output,
    program::Program,
    requests::Requests,
    state::{Owner, Running, Slot, State},
};
use crate::{
    failure::Failure,
    frame::{self, Incoming},
    protocol::{Call, ToChild},
    sandbox::{Launch, launch},
};
use rustix::{
    pipe::{PipeFlags, pipe_with},
    process::Pid,
};
use std::{
    fs, io,
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::net::UnixStream,
    },
    path::Path,
    sync::{Arc, Mutex, Weak},
    thread::{self, JoinHandle},
    time::Instant,
};

/// A process that runs methods. It ends with this.
pub(crate) struct Process {
    state: Arc<State>,
    kept: Mutex<Kept>,
}

enum Kept {
    /// Nobody looks after it yet.
    No(Box<Keeper>),
    By(JoinHandle<()>),
    /// Nobody does any more, or somebody waits for its end already.
    Over,
}

impl Process {
    /// Starts one, and has nobody look after it yet ([`Self::keep`]); `owner` is told when it is
    /// free, by this number.
    pub fn start(
        number: u64,
        program: &Program,
        service: Arc<dyn Service>,
        owner: Weak<dyn Owner>,
    ) -> Result<Self, Failure> {
        let load = frame::to_child(&ToChild::Load(&program.load))
            .ok_or_else(|| no("what its release declares is too large"))?;
        let scratch = program.workplace.scratch().map_err(not_started)?;
        let (state, pid, [output, errors]) =
            Self::start_in(&scratch, program).inspect_err(|_| {
                let _ = fs::remove_dir_all(&scratch);
            })?;
        let state = Arc::new(state);
        let keeper = Keeper {
            number,
            pid,
            state: state.clone(),
            requests: Requests::new(state.clone(), service),
            owner,
            scratch,
            output,
            errors,
            incoming: Incoming::default(),
            last_request: 0,
            written: 0,
            looked: Instant::now(),
            slow: Slow::default(),
        };
        let process = Self {
            state: state.clone(),
            kept: Mutex::new(Kept::No(Box::new(keeper))),
        };
        // What a large app declares does not fit into a socket, and the process may never read.
        let send = thread::Builder::new().name("remy-load".to_owned());
        send.spawn(move || state.send(&load)).map_err(not_started)?;
        Ok(process)
    }

    /// Has a thread look after it.
    pub fn keep(&self) -> Result<(), Failure> {
        let mut kept = self.kept.lock().expect("no panic while it is held");
        if let Kept::No(keeper) = std::mem::replace(&mut *kept, Kept::Over) {
            let thread = thread::Builder::new().name("remy-keeper".to_owned());
            *kept = Kept::By(thread.spawn(|| keeper.keep()).map_err(not_started)?);
        }
        Ok(())
    }

    fn start_in(scratch: &Path, program: &Program) -> Result<(State, Pid, [Output; 2]), Failure> {
        let pipe = || pipe_with(PipeFlags::CLOEXEC).map_err(not_started);
        let (ours, theirs) = UnixStream::pair().map_err(not_started)?;
        let (output, written): (OwnedFd, OwnedFd) = pipe()?;
        let (errors, complained) = pipe()?;
        let launched = launch(&Launch {
            means: program.means,
            sees: &program.sees(scratch),
            arguments: program.arguments(scratch),
            environment: program.environment(scratch),
            output: written.as_fd(),
            errors: complained.as_fd(),
            socket: theirs.as_fd(),
        })?;
        let state = State::new(launched.process, ours, program.limits);
        Ok((
            state,
            launched.pid,
            [Output::new(output), Output::new(errors)],
        ))
    }

    /// Begins a call, of which `frame` is made; gives nothing where the process cannot be called.
    pub fn begin(
        &self,
        call: &Arc<Call>,
        frame: &[u8],
        listener: &Arc<dyn Listener>,
    ) -> Option<Arc<Slot>> {
        let slot = Arc::new(Slot::default());
        let running = Running {
            call: call.clone(),
            listener: listener.clone(),
            slot: slot.clone(),
        };
        self.state.begin(running, frame).ok()?;
        Some(slot)
    }

    /// Ends it, and does not wait for that.
    pub fn end(&self, why: Failure) {
        self.state.end(why);
    }

    /// Ends it, and waits until it is gone, with its folder.
    pub fn close(&self) {
        self.state.end(Failure::new(
            "closed",
            503,
            "The runtime was closed, and the method's process with it. What it has written to the \
             database stays",
        ));
        let kept = std::mem::replace(
            &mut *self.kept.lock().expect("no panic while it is held"),
            Kept::Over,
        );
        match kept {
            Kept::No(keeper) => keeper.keep(),
            // The last who knows it may be its keeper, which is about to end.
            Kept::By(keeper) if keeper.thread().id() != thread::current().id() => {
                let _ = keeper.join();
            }
            Kept::By(_) | Kept::Over => {}
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.close();
    }
}

fn not_started(error: impl Into<io::Error>) -> Failure {
    no(&error.into().to_string())
}

fn no(what: &str) -> Failure {
    let message = format!(
        "A process for methods could not be started: {what}. Nothing runs in its place; the next call \
         tries again"
    );
    Failure::new("not_started", 503, message)
}
