//! The thread that forks. A process ends with the *thread* that made it
//! (PR_SET_PDEATHSIG), so one makes them all, and lasts as long as this process does.

use super::{
    enter::{self, Jail, Step},
    limits::LOWEST_DESCRIPTOR,
    means::Means,
    readable::Sees,
    tries,
};
use crate::failure::Failure;
use rustix::{
    fs::{Mode, OFlags, open},
    io::fcntl_dupfd_cloexec,
    pipe::{PipeFlags, pipe_with},
    process::{Pid, PidfdFlags, WaitId, WaitIdOptions, pidfd_open, waitid},
};
use std::{
    ffi::CString,
    fs::File,
    io::{self, Read as _},
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
    ptr,
    sync::{
        OnceLock,
        mpsc::{self, Sender, SyncSender},
    },
    thread,
};

/// A process that is to be started.
pub(crate) struct Launch<'a> {
    /// By what it is shut in.
    pub means: Means,
    /// What it may open, and the program itself. Nothing is run where it is a probe.
    pub sees: &'a Sees,
    /// The program's arguments, its name the first; none for a probe.
    pub arguments: Vec<CString>,
    /// Its whole environment, `NAME=value`.
    pub environment: Vec<CString>,
    /// Its stdout.
    pub output: BorrowedFd<'a>,
    /// Its stderr.
    pub errors: BorrowedFd<'a>,
    /// Its end of the socket.
    pub socket: BorrowedFd<'a>,
}

/// A process that was started.
pub(crate) struct Launched {
    pub pid: Pid,
    /// Of the process itself: its number may be another's one day.
    pub process: OwnedFd,
}

/// Starts a process. Returns once it runs its program.
pub(crate) fn launch(launch: &Launch<'_>) -> Result<Launched, Failure> {
    let (trouble, told) = pipe_with(PipeFlags::CLOEXEC).map_err(not_started)?;
    let null = open("/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
    let null = null.map_err(not_started)?;
    let given = [
        null.as_fd(),
        launch.output,
        launch.errors,
        launch.socket,
        told.as_fd(),
    ];
    // Above the places that they get in the process, so that none is laid on another.
    let mut descriptors = given
        .map(|fd| fcntl_dupfd_cloexec(fd, LOWEST_DESCRIPTOR))
        .into_iter();
    let mut next = || descriptors.next().expect("as many").map_err(not_started);
    let descriptors = [next()?, next()?, next()?, next()?, next()?];
    drop(told);
    let ready = Ready {
        jail: Jail::new(launch.means, launch.sees, descriptors)?,
        program: enter::c_path(&launch.sees.program),
        arguments: pointers(&launch.arguments),
        environment: pointers(&launch.environment),
    };
    let (answer, answered) = mpsc::sync_channel(1);
    let job = Job { ready, answer };
    forker()?.send(job).map_err(|_| gone())?;
    let pid = answered.recv().map_err(|_| gone())?.map_err(not_started)?;
    // It is this process's child and was not waited for: the number is its own.
    let process = pidfd_open(pid, PidfdFlags::empty()).map_err(not_started)?;
    told_of_trouble(trouble, &process)?;
    Ok(Launched { pid, process })
}

/// What the process needs, without anything left to be made.
struct Ready {
    jail: Jail,
    program: CString,
    arguments: Vec<*const libc::c_char>,
    environment: Vec<*const libc::c_char>,
}

struct Job {
    ready: Ready,
    answer: SyncSender<io::Result<Pid>>,
}

// SAFETY: the pointers are of strings that `launch` borrows, and it waits for the answer.
unsafe impl Send for Ready {}

/// As exec wants them. They are the strings' own.
fn pointers(of: &[CString]) -> Vec<*const libc::c_char> {
    let end = std::iter::once(ptr::null());
    of.iter().map(|text| text.as_ptr()).chain(end).collect()
}

/// Where jobs for the thread go.
fn forker() -> Result<Sender<Job>, Failure> {
    static FORKER: OnceLock<(u32, Sender<Job>)> = OnceLock::new();
    let this = std::process::id();
    let (owner, jobs) = FORKER.get_or_init(|| {
        let (jobs, queue) = mpsc::channel::<Job>();
        let run = move || {
            block_signals();
            for mut job in queue {
                // Whoever waited is there still: it waits for nothing else.
                let _ = job.answer.send(fork(&mut job.ready));
            }
        };
        let thread = thread::Builder::new().name("remy-fork".to_owned());
        thread.spawn(run).expect("a thread can be started");
        (this, jobs)
    });
    if *owner != this {
        return Err(gone());
    }
    Ok(jobs.clone())
}

/// So that no handler of this program runs in a copy of it. Each process takes that back.
fn block_signals() {
    // SAFETY: the set is made whole before it is read; it is this thread's mask.
    unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, ptr::null_mut());
    }
}

fn fork(ready: &mut Ready) -> io::Result<Pid> {
    // SAFETY: the copy makes calls of the system alone until it becomes another program, or ends.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            if let Err((step, error)) = ready.jail.enter() {
                enter::end(step, &error);
            }
            if ready.arguments.len() == 1 {
                tries::answer();
            }
            // SAFETY: all of them end with a zero, and the lists with a null.
            unsafe {
                libc::execve(
                    ready.program.as_ptr(),
                    ready.arguments.as_ptr(),
                    ready.environment.as_ptr(),
                );
            }
            enter::end(Step::Program, &io::Error::last_os_error())
        }
        pid => Ok(Pid::from_raw(pid).expect("a child has a number")),
    }
}

/// Waits until it runs its program; an error, with the process gone, where it cannot.
fn told_of_trouble(trouble: OwnedFd, process: &OwnedFd) -> Result<(), Failure> {
    let mut said = Vec::new();
    let read = File::from(trouble).take(5).read_to_end(&mut said);
    let Some((step, errno)) = said.split_first() else {
        return read.map(|_| ()).map_err(not_started);
    };
    let _ = waitid(WaitId::PidFd(process.as_fd()), WaitIdOptions::EXITED);
    let errno = errno.try_into().map(i32::from_le_bytes).unwrap_or_default();
    let doing = Step::ALL.iter().find(|(known, _)| *known as u8 == *step);
    let doing = doing.map_or("starting it", |(_, doing)| doing);
    let error = io::Error::from_raw_os_error(errno);
    Err(not_started(io::Error::new(
        error.kind(),
        format!("{doing} failed: {error}"),
    )))
}

fn not_started(error: impl Into<io::Error>) -> Failure {
    let error = error.into();
    let message = format!(
        "A process for methods could not be started: {error}. Nothing runs in its place; the next \
         call tries again"
    );
    Failure::new("not_started", 503, message)
}

fn gone() -> Failure {
    Failure::new(
        "not_started",
        500,
        "A runtime does not survive a fork of its program: open one in this process",
    )
}
