//! A process: how it is started, and what may be done with it.

use super::{
    keeper::Keeper,
    listener::{Listener, Service},
    output::Output,
    program::Program,
    reader::{Reader, Slow},
    requests::Requests,
    state::{Owner, Running, Slot, State},
    watched::Watched,
};
use crate::{
    failure::Failure,
    frame::{self, Incoming},
    protocol::{Call, ToChild},
    sandbox::{Launch, launch},
};
use rustix::{
    event::{PollFd, PollFlags, poll},
    io::Errno,
    pipe::{PipeFlags, pipe_with},
    process::Pid,
};
use serde_json::Value;
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
    reader: Arc<Mutex<Reader>>,
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
        let reader = Arc::new(Mutex::new(Reader {
            number,
            pid,
            state: state.clone(),
            requests: Requests::new(state.clone(), service),
            owner: owner.clone(),
            output,
            errors,
            incoming: Incoming::default(),
            last_request: 0,
            written: 0,
            slow: Slow::default(),
        }));
        let keeper = Keeper {
            number,
            pid,
            state: state.clone(),
            owner,
            scratch,
            reader: reader.clone(),
            looked: Instant::now(),
        };
        let process = Self {
            state: state.clone(),
            reader,
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
        let outputs = [Output::new(output), Output::new(errors)];
        let watched = Watched::new(&launched.process, &ours, [&outputs[0], &outputs[1]]);
        let watched = watched.map_err(not_started)?;
        let state = State::new(launched.process, ours, watched, program.limits);
        Ok((state, launched.pid, outputs))
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

    /// Waits for the answer of a call, and reads what the process sends until then: nobody else has to
    /// be woken for it.
    pub fn wait(&self, slot: &Slot) -> Result<Value, Failure> {
        let State {
            watched, socket, ..
        } = &*self.state;
        if let Ok(_reads) = watched.read_by_another(socket) {
            // First what is there: the keeper may have read the answer before this reads.
            while self.read(slot) && self.sleep() {}
        }
        // It is there, or the keeper brings it.
        slot.wait()
    }

    /// Takes what the process has sent. Whether there is no answer yet, and more is to be read here.
    fn read(&self, slot: &Slot) -> bool {
        let mut reader = self.reader.lock().expect("no panic while it is held");
        reader.receive() && !reader.is_stuffed() && !slot.is_there()
    }

    /// Waits until the process sends something. Whether it may have.
    fn sleep(&self) -> bool {
        let mut sent = [PollFd::new(&self.state.socket, PollFlags::IN)];
        matches!(poll(&mut sent, None), Ok(_) | Err(Errno::INTR))
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
