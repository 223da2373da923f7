//! Stops: Ctrl-Z in a terminal, or reading and writing there in the background, must not stop who
//! holds a write lock: every writer would wait until `fg`.

use std::{marker::PhantomData, mem::MaybeUninit, ptr};

/// Keeps SIGTSTP, SIGTTIN and SIGTTOU from this thread until dropped; one that comes meanwhile
/// stops the process then.
///
/// By the thread's mask, which is put back as it was, and not by handlers, which are the host's. A
/// stop is of the whole process, and is delivered by any thread that lets it in: measured, it holds
/// for a process whose other threads block these signals, or that has one thread. A process of
/// remy's own, which has more, handles them itself. Nothing holds against SIGSTOP.
pub struct NoStops {
    before: libc::sigset_t,
    /// A mask is a thread's own.
    not_send: PhantomData<*const ()>,
}

impl NoStops {
    /// From now on, on this thread and those that it starts.
    #[expect(clippy::new_without_default, reason = "a guard is made on purpose")]
    pub fn new() -> Self {
        let mut stops = MaybeUninit::<libc::sigset_t>::uninit();
        let mut before = MaybeUninit::<libc::sigset_t>::zeroed();
        // SAFETY: sigemptyset initializes the set that the others read; `before` is all-zero, a
        // valid set, until the call fills it. SIG_BLOCK with a valid set does not fail.
        let before = unsafe {
            libc::sigemptyset(stops.as_mut_ptr());
            for signal in [libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU] {
                libc::sigaddset(stops.as_mut_ptr(), signal);
            }
            libc::pthread_sigmask(libc::SIG_BLOCK, stops.as_ptr(), before.as_mut_ptr());
            before.assume_init()
        };
        Self {
            before,
            not_send: PhantomData,
        }
    }
}

impl Drop for NoStops {
    fn drop(&mut self) {
        // SAFETY: the mask that this thread had, which is the thread that this was made on.
        unsafe {
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.before, ptr::null_mut())
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocked() -> Vec<i32> {
        let mut now = MaybeUninit::<libc::sigset_t>::zeroed();
        // SAFETY: a null set changes nothing; `now` is filled.
        let now = unsafe {
            libc::pthread_sigmask(libc::SIG_BLOCK, ptr::null(), now.as_mut_ptr());
            now.assume_init()
        };
        // SAFETY: the set is valid.
        (1..32)
            .filter(|&signal| unsafe { libc::sigismember(&raw const now, signal) } == 1)
            .collect()
    }

    #[test]
    fn the_mask_is_put_back_as_it_was() {
        // A host that blocks one of them, and another.
        let mut hosts = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: the set is initialized before it is read.
        unsafe {
            libc::sigemptyset(hosts.as_mut_ptr());
            libc::sigaddset(hosts.as_mut_ptr(), libc::SIGTTOU);
            libc::sigaddset(hosts.as_mut_ptr(), libc::SIGUSR1);
            libc::pthread_sigmask(libc::SIG_SETMASK, hosts.as_ptr(), ptr::null_mut());
        }
        let before = blocked();
        let outer = NoStops::new();
        drop(NoStops::new());
        assert_eq!(
            blocked(),
            [libc::SIGUSR1, libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU]
        );
        drop(outer);
        assert_eq!(blocked(), before);
    }
}
