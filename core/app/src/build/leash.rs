//! A program of a build, held by a process that stands between it and this one: whatever the program
//! has started ends with it, also what has left its group and its session.
//!
//! The one between takes in what loses its parent (it is a *subreaper*; this process may be a host's,
//! whose children are its own). It ends all of them once the program has ended, or once this process
//! has, however that comes: what builds would else go on writing to the staged copy, which the next
//! build takes for its own.

use remy_db::internals::owner;
use std::{
    io::{self, PipeWriter, Write as _},
    os::{fd::AsRawFd as _, unix::process::CommandExt as _},
    process::{Child, Command},
};

/// Holds what it was put on. Once it is dropped, all of that is ended.
#[derive(Debug)]
pub(super) struct Leash(PipeWriter);

/// What has the program's group told to end by itself.
const END: u8 = b'e';

impl Leash {
    /// Starts a command on a leash: in a session of its own, without a terminal that it could ask
    /// somebody at, and as whom root acts for, where it does. The child is the one between, which
    /// ends as the program does.
    pub(super) fn start(mut command: Command) -> io::Result<(Child, Self)> {
        let (held, leash) = io::pipe()?;
        let end = held.as_raw_fd();
        let whose = owner::becoming();
        // SAFETY: between fork and exec it makes calls of the system alone.
        unsafe { command.pre_exec(move || part(end, whose)) };
        let child = command.spawn()?;
        Ok((child, Self(leash)))
    }

    /// Tells the program's group to end.
    pub(super) fn tell_to_end(&mut self) {
        // Where nobody is there any more, there is nobody to tell.
        let _ = self.0.write_all(&[END]);
    }
}

/// Makes two of this process: one goes on to be the program, and the other holds it.
fn part(end: i32, whose: Option<(u32, u32)>) -> io::Result<()> {
    // SAFETY: calls of the system alone, on this process's own numbers. The first makes a copy of
    // this process, as fork does, without what the C library does at a fork.
    unsafe {
        match libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) {
            -1 => Err(io::Error::last_os_error()),
            0 => {
                libc::setsid();
                let Some((uid, gid)) = whose else {
                    return Ok(());
                };
                // This thread's groups are the owner's already. The calls of the C library would ask
                // threads for it that this copy has not.
                let became = libc::syscall(libc::SYS_setresgid, gid, gid, gid) == 0
                    && libc::syscall(libc::SYS_setresuid, uid, uid, uid) == 0;
                became.then_some(()).ok_or_else(io::Error::last_os_error)
            }
            program => hold(program as libc::pid_t, end),
        }
    }
}

/// Waits until the program or who has started it has ended, and ends all that is left of it.
///
/// # Safety
/// For a process that has a single thread, and nothing to do besides.
unsafe fn hold(program: libc::pid_t, end: i32) -> ! {
    // SAFETY: calls of the system alone, on this process's own descriptors and children, with room
    // for what they return.
    unsafe {
        // No handler of a host's is to run here; and a child is waited for, whatever the host does.
        let all = u64::MAX;
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const all,
            0,
            size_of::<u64>(),
        );
        libc::signal(libc::SIGCHLD, libc::SIG_DFL);
        libc::setsid();
        libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1);
        libc::chdir(c"/".as_ptr());
        libc::dup2(end, 0);
        // The output's writing end among them: its reader would wait for this process.
        if libc::syscall(libc::SYS_close_range, 1, u32::MAX, 0) != 0 {
            (1..1024).for_each(|descriptor| {
                libc::close(descriptor);
            });
        }
        let process = libc::syscall(libc::SYS_pidfd_open, program, 0) as i32;
        let mut two = [0, process].map(|fd| libc::pollfd {
            fd,
            events: libc::POLLIN,
            revents: 0,
        });
        loop {
            // Without such a descriptor nothing is waited for: who has started this has none either.
            if process < 0 || libc::poll(two.as_mut_ptr(), 2, -1) >= 0 && two[1].revents != 0 {
                break;
            }
            let mut byte = 0_u8;
            if two[0].revents != 0 {
                match libc::read(0, (&raw mut byte).cast(), 1) {
                    1 => libc::kill(-program, libc::SIGTERM),
                    _ => break,
                };
            }
        }
        // As long as the program is not waited for, its number is its own, and its group's.
        libc::kill(-program, libc::SIGKILL);
        libc::kill(program, libc::SIGKILL);
        end_as(end_all(program))
    }
}

/// Ends all children, among which are those that lost their parent, until there is none. Returns
/// how the program has ended.
///
/// # Safety
/// As for [`hold`].
unsafe fn end_all(program: libc::pid_t) -> i32 {
    let (mut how, mut status) = (0, 0);
    let mut has_ended = false;
    loop {
        // SAFETY: as in `hold`.
        unsafe {
            // What cannot be listed or ended (a program that became another user's) is not waited
            // for: it may stay for ever.
            let waits = !has_ended || kill_children();
            let flags = if waits { 0 } else { libc::WNOHANG };
            match libc::waitpid(-1, &raw mut status, flags) {
                -1 if *libc::__errno_location() == libc::EINTR => {}
                -1 | 0 => return how,
                ended if ended == program => (how, has_ended) = (status, true),
                _ => {}
            }
        }
    }
}

/// Ends the children of this process. Returns whether there was none that is not ended so.
///
/// # Safety
/// As for [`hold`].
unsafe fn kill_children() -> bool {
    let mut text = [0_u8; 4096];
    // SAFETY: as in `hold`.
    unsafe {
        let list = libc::open(c"/proc/thread-self/children".as_ptr(), libc::O_RDONLY);
        if list < 0 {
            return false;
        }
        let mut are_told = true;
        let (mut child, mut is_one) = (0, false);
        loop {
            let read = libc::read(list, text.as_mut_ptr().cast(), text.len());
            let Some(bytes) = usize::try_from(read).ok().and_then(|read| text.get(..read)) else {
                break;
            };
            for byte in bytes {
                if byte.is_ascii_digit() {
                    (child, is_one) = (child * 10 + i32::from(byte - b'0'), true);
                } else if is_one {
                    are_told &= libc::kill(child, libc::SIGKILL) == 0;
                    (child, is_one) = (0, false);
                }
            }
            if bytes.is_empty() {
                break;
            }
        }
        libc::close(list);
        are_told
    }
}

/// Ends this process as another has ended.
///
/// # Safety
/// As for [`hold`].
unsafe fn end_as(how: i32) -> ! {
    // SAFETY: as in `hold`.
    unsafe {
        if libc::WIFSIGNALED(how) {
            let signal = libc::WTERMSIG(how);
            libc::prctl(libc::PR_SET_DUMPABLE, 0); // its memory is not the program's, and dumped by nobody
            libc::signal(signal, libc::SIG_DFL);
            let none = 0_u64;
            libc::syscall(
                libc::SYS_rt_sigprocmask,
                libc::SIG_SETMASK,
                &raw const none,
                0,
                size_of::<u64>(),
            );
            libc::kill(libc::getpid(), signal);
        }
        libc::_exit(libc::WEXITSTATUS(how))
    }
}
