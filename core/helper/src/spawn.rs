//! Starts the program, so that its host does not notice.
//!
//! A child that the host could see would raise SIGCHLD, and a `waitpid(-1)` of the host's would
//! take its status. `execve` gives every child SIGCHLD to raise, so that the program cannot be the
//! host's child. A *middle* one, which raises nothing, starts it and ends: the program is then
//! init's.
//!
//! Both are made by `clone` with the host's memory, as `vfork` does it: in a host of gigabytes a
//! copy of the page tables alone takes tens of milliseconds. Between the first clone and `execve`
//! only calls of the system are made, and nothing is told by that memory: valgrind and qemu make a
//! copy of it.

use crate::{
    file::Program,
    frame::{self, HEAD, Kind},
};
use std::{
    ffi::{CStr, c_char, c_int, c_void},
    io, mem,
    os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd},
    ptr,
    time::{Duration, Instant},
};

/// The room for each of the two on its way to `execve`.
const STACK: usize = 64 << 10;

/// The program's number for the descriptor of its host's process.
pub(crate) const HOST: RawFd = 3;

/// The program's arguments: that it is to be one, as the file may be a program without that too; and
/// where that descriptor is there.
pub(crate) const HELPS: &CStr = c"remy-helper";
pub(crate) const FOLLOWS: &CStr = c"follows";

/// The program's argument where its socket is number 3, in the place of [`HOST`]: stdin and stdout of
/// what Node.js starts are each one way only.
pub(crate) const BY_3: &CStr = c"by-3";

/// The program, and how it is spoken to.
#[derive(Debug)]
pub(crate) struct Child {
    pub(crate) socket: OwnedFd,
    /// Its process. `None` where the system has no such thing.
    pub(crate) process: Option<OwnedFd>,
}

/// What the two need, made before there are two.
#[repr(C)]
struct Start {
    socket: RawFd,
    host: libc::pid_t,
    path: *const c_char,
    loader: *const c_char,
    by_loader: bool,
    argv: [*const c_char; 4],
    loader_argv: [*const c_char; 5],
    stack: *mut c_void,
}

unsafe extern "C" {
    static environ: *const *const c_char;
}

/// Starts the program. It has not said anything when this returns.
pub(crate) fn start(program: &Program) -> Result<Child, String> {
    let (ours, theirs) = pair().map_err(|e| format!("no socket: {e}"))?;
    let stacks = Stacks::new().map_err(|e| format!("no memory: {e}"))?;
    let (path, loader) = (program.path.as_ptr(), program.loader.as_ptr());
    let mut start = Start {
        socket: theirs.as_raw_fd(),
        // SAFETY: takes nothing and cannot fail.
        host: unsafe { libc::getpid() },
        path,
        loader,
        by_loader: program.by_loader,
        argv: [path, HELPS.as_ptr(), FOLLOWS.as_ptr(), ptr::null()],
        loader_argv: [loader, path, HELPS.as_ptr(), FOLLOWS.as_ptr(), ptr::null()],
        stack: stacks.top(1),
    };
    {
        let _blocked = Blocked::all();
        // qemu's user mode takes no child that raises nothing.
        let middle = [0, libc::SIGCHLD]
            .into_iter()
            .map(|signal| clone(middle, stacks.top(2), signal, &mut start))
            .find(|made| !matches!(made, Err(e) if e.raw_os_error() == Some(libc::EINVAL)))
            .unwrap_or_else(|| Err(io::Error::from_raw_os_error(libc::EINVAL)));
        let middle = middle.map_err(|e| format!("no process could be made: {e}"))?;
        // It has ended, or is about to. A host that waits for every child may have taken note of
        // it: then there is none, which is as good. SAFETY: asks for one process alone, by its
        // number, and wants no status.
        while unsafe { libc::waitpid(middle, ptr::null_mut(), libc::__WALL) } < 0
            && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted
        {}
    }
    drop(theirs);
    match receive(&ours)? {
        Told {
            kind: Some(Kind::Process),
            process,
            ..
        } => Ok(Child {
            socket: ours,
            process: process.map(above_the_standard_ones),
        }),
        told => Err(format!("no process could be made: {}", told.why())),
    }
}

/// Why the program could not be started, as a frame of [`Kind::NotStarted`] has it.
pub(crate) fn why_not(number: u32) -> String {
    let why = io::Error::from_raw_os_error(number.cast_signed());
    format!("it could not be executed: {why}")
}

/// A pair of sockets, none of them in the place of stdin, stdout or stderr: a host that has closed
/// these would read and write them.
fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut pair = [-1; 2];
    let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC;
    // SAFETY: there is room for two, which are ours from here on.
    let [a, b] = unsafe {
        if libc::socketpair(libc::AF_UNIX, kind, 0, pair.as_mut_ptr()) != 0 {
            return Err(io::Error::last_os_error());
        }
        pair.map(|fd| OwnedFd::from_raw_fd(fd))
    };
    Ok((above_the_standard_ones(a), above_the_standard_ones(b)))
}

fn above_the_standard_ones(fd: OwnedFd) -> OwnedFd {
    if fd.as_raw_fd() > 2 {
        return fd;
    }
    // SAFETY: makes another descriptor of the same, which is ours.
    match unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, 3) } {
        -1 => fd,
        // SAFETY: it was made just now.
        other => unsafe { OwnedFd::from_raw_fd(other) },
    }
}

/// Two stacks in one mapping.
struct Stacks(*mut c_void);

impl Stacks {
    fn new() -> io::Result<Self> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK;
        // SAFETY: asks for new memory anywhere.
        match unsafe { libc::mmap(ptr::null_mut(), 2 * STACK, protection, flags, -1, 0) } {
            libc::MAP_FAILED => Err(io::Error::last_os_error()),
            memory => Ok(Self(memory)),
        }
    }

    /// Where the first or the second of them begins, at its upper end.
    fn top(&self, which: usize) -> *mut c_void {
        self.0.wrapping_byte_add(which * STACK)
    }
}

impl Drop for Stacks {
    fn drop(&mut self) {
        // SAFETY: mapped in `new`. Both that ran on it have ended, or are other programs by now:
        // `clone` returned after that.
        unsafe { libc::munmap(self.0, 2 * STACK) };
    }
}

/// Blocks exactly these signals on this thread, those of the C library's own too. Returns which
/// were blocked.
pub(crate) fn block(signals: u64) -> u64 {
    let mut before = 0_u64;
    // SAFETY: both are as long as the system's set of signals, which is what is said.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const signals,
            &raw mut before,
            size_of::<u64>(),
        )
    };
    before
}

/// Every signal of this thread blocked as long as this lives: no handler of the host's may run in a
/// child that shares its memory.
struct Blocked(u64);

impl Blocked {
    fn all() -> Self {
        Self(block(u64::MAX))
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        block(self.0);
    }
}

/// Makes a process that runs `main` in this one's memory, and waits until it has ended or is
/// another program.
fn clone(
    main: extern "C" fn(*mut c_void) -> c_int,
    stack: *mut c_void,
    signal: c_int,
    start: &mut Start,
) -> io::Result<libc::pid_t> {
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | signal;
    // SAFETY: the stack is the child's alone, and `start` outlives the call, which returns when the
    // child no longer uses either. What it runs makes only calls of the system.
    match unsafe { libc::clone(main, stack, flags, ptr::from_mut(start).cast()) } {
        -1 => Err(io::Error::last_os_error()),
        pid => Ok(pid),
    }
}

extern "C" fn middle(start: *mut c_void) -> c_int {
    // SAFETY: what `start` gave; this child alone runs, as its parent waits for it.
    let start = unsafe { &mut *start.cast::<Start>() };
    if let Err(e) = clone(program, start.stack, libc::SIGCHLD, start) {
        tell(
            start.socket,
            Kind::NotStarted,
            e.raw_os_error().unwrap_or(0),
            -1,
        );
    }
    // SAFETY: ends this process, and runs nothing that the host has registered.
    unsafe { libc::_exit(0) }
}

extern "C" fn program(start: *mut c_void) -> c_int {
    // SAFETY: what `start` gave. From here on only calls of the system are made: descriptors are
    // this process's own copies, since it was made without CLONE_FILES, and closing them drops no
    // lock of the host's.
    unsafe {
        let start = &mut *start.cast::<Start>();
        let process = pidfd(libc::getpid());
        tell(start.socket, Kind::Process, 0, process);
        let (socket, host) = (above(start.socket), above(pidfd(start.host)));
        libc::dup2(socket, 0);
        libc::dup2(socket, 1);
        // Closed, or closed by `execve`: the next file that the program opens would get its number,
        // and a panic's message be written into it.
        if libc::fcntl(2, libc::F_GETFD) != 0 {
            libc::dup2(libc::open(c"/dev/null".as_ptr(), libc::O_WRONLY), 2);
        }
        let mut first = HOST + 1;
        if libc::dup2(host, HOST) != HOST {
            first = HOST;
            (start.argv[2], start.loader_argv[3]) = (ptr::null(), ptr::null());
        }
        // The host's descriptors end here: another process that held its pipes would keep who reads
        // them waiting.
        if libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) != 0 {
            tell(0, Kind::NotStarted, *libc::__errno_location(), -1);
            libc::_exit(126);
        }
        // A terminal's signals are for the host, which calls the verb off or does not.
        libc::setsid();
        if !start.by_loader {
            libc::execve(start.path, start.argv.as_ptr(), environ);
        }
        // A library as a rule has no leave to be executed; its loader has.
        if start.by_loader || *libc::__errno_location() == libc::EACCES {
            libc::execve(start.loader, start.loader_argv.as_ptr(), environ);
        }
        tell(0, Kind::NotStarted, *libc::__errno_location(), -1);
        libc::_exit(127)
    }
}

/// The same, above what the program has its own in.
fn above(descriptor: RawFd) -> RawFd {
    if !(0..=HOST).contains(&descriptor) {
        return descriptor;
    }
    // SAFETY: makes another descriptor of the same.
    unsafe { libc::fcntl(descriptor, libc::F_DUPFD, HOST + 1) }
}

/// A descriptor of a process, or -1.
fn pidfd(pid: libc::pid_t) -> RawFd {
    // SAFETY: takes two numbers.
    let made = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    RawFd::try_from(made).unwrap_or(-1)
}

/// Room for one descriptor in a message, as the system aligns it.
#[repr(C, align(8))]
struct Control([u8; 24]);

/// Sends the head of a frame, with a descriptor where there is one.
fn tell(socket: RawFd, kind: Kind, number: c_int, descriptor: RawFd) {
    let [a, b, c, d] = number.to_le_bytes();
    let mut head = [kind.byte(), a, b, c, d];
    let mut control = Control([0; 24]);
    // SAFETY: an all-zero message is a valid one. It points to what lives through the call, with
    // the room that is said; the control message fits, as it is CMSG_SPACE(4) long.
    unsafe {
        let mut part = libc::iovec {
            iov_base: head.as_mut_ptr().cast(),
            iov_len: head.len(),
        };
        let mut message: libc::msghdr = mem::zeroed();
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        if descriptor >= 0 {
            message.msg_control = control.0.as_mut_ptr().cast();
            message.msg_controllen = control.0.len() as _;
            let header = libc::CMSG_FIRSTHDR(&raw const message);
            (*header).cmsg_level = libc::SOL_SOCKET;
            (*header).cmsg_type = libc::SCM_RIGHTS;
            (*header).cmsg_len = libc::CMSG_LEN(4) as _;
            libc::CMSG_DATA(header)
                .cast::<RawFd>()
                .write_unaligned(descriptor);
        }
        libc::sendmsg(socket, &raw const message, libc::MSG_NOSIGNAL);
    }
}

/// What [`tell`] sent.
struct Told {
    kind: Option<Kind>,
    number: c_int,
    process: Option<OwnedFd>,
}

impl Told {
    fn why(&self) -> io::Error {
        io::Error::from_raw_os_error(self.number)
    }
}

fn receive(socket: &OwnedFd) -> Result<Told, String> {
    // It was sent before the middle one ended; where that one died, nothing comes.
    let until = Instant::now() + Duration::from_secs(10);
    frame::wait(socket.as_fd(), libc::POLLIN, None, Some(until));
    let mut head = [0_u8; HEAD];
    let mut control = Control([0; 24]);
    // SAFETY: as in `tell`; a descriptor that came is ours.
    unsafe {
        let mut part = libc::iovec {
            iov_base: head.as_mut_ptr().cast(),
            iov_len: head.len(),
        };
        let mut message: libc::msghdr = mem::zeroed();
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = control.0.as_mut_ptr().cast();
        message.msg_controllen = control.0.len() as _;
        let flags = libc::MSG_CMSG_CLOEXEC | libc::MSG_DONTWAIT;
        let n = libc::recvmsg(socket.as_raw_fd(), &raw mut message, flags);
        if n != HEAD as isize {
            return Err("the process that was made ended at once".to_owned());
        }
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        let process = (!header.is_null() && (*header).cmsg_type == libc::SCM_RIGHTS)
            .then(|| libc::CMSG_DATA(header).cast::<RawFd>().read_unaligned())
            .map(|descriptor| OwnedFd::from_raw_fd(descriptor));
        Ok(Told {
            kind: Kind::of(head[0]),
            number: c_int::from_le_bytes([head[1], head[2], head[3], head[4]]),
            process,
        })
    }
}
