//! What the thread that keeps a process waits for.

use rustix::{
    event::{
        Timespec,
        epoll::{self, CreateFlags, EventData, EventFlags},
    },
    io::{self, Errno},
};
use std::{
    os::fd::{AsFd, OwnedFd},
    sync::{Mutex, MutexGuard},
    time::Duration,
};

/// A set of descriptors, out of which the socket may be taken by who reads it meanwhile, and without
/// that anybody is woken.
pub(super) struct Watched {
    set: OwnedFd,
    socket: Mutex<Socket>,
}

/// Why nobody is to be woken by the socket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Socket {
    /// How many others read it: who has an answer may still be on its way out when the next one comes.
    others: usize,
    is_stuffed: bool,
}

impl Socket {
    fn wakes(self) -> bool {
        self == Self::default()
    }
}

/// What there is to do.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Ready {
    /// The process is gone.
    pub gone: bool,
    /// It has sent something.
    pub sent: bool,
    /// It has written something.
    pub written: bool,
}

const PROCESS: u64 = 0;
const SOCKET: u64 = 1;
const OUTPUT: u64 = 2;

impl Watched {
    pub fn new(process: impl AsFd, socket: impl AsFd, outputs: [&dyn AsFd; 2]) -> io::Result<Self> {
        let set = epoll::create(CreateFlags::CLOEXEC)?;
        let add = |of: &dyn AsFd, is| {
            epoll::add(&set, of.as_fd(), EventData::new_u64(is), EventFlags::IN)
        };
        add(&process, PROCESS)?;
        add(&socket, SOCKET)?;
        for output in outputs {
            add(output, OUTPUT)?;
        }
        Ok(Self {
            set,
            socket: Mutex::default(),
        })
    }

    /// Waits until something comes, or `most` is over.
    pub fn wait(&self, most: Duration) -> io::Result<Ready> {
        let most = Timespec::try_from(most).expect("it is short");
        let mut events = Vec::with_capacity(4);
        match epoll::wait(
            &self.set,
            rustix::buffer::spare_capacity(&mut events),
            Some(&most),
        ) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(e) => return Err(e),
        }
        let mut ready = Ready::default();
        for event in events {
            match event.data.u64() {
                PROCESS => ready.gone = true,
                SOCKET => ready.sent = true,
                _ => ready.written = true,
            }
        }
        Ok(ready)
    }

    /// An output that was closed: it would be ready for ever.
    pub fn closed(&self, output: &impl AsFd) {
        // It may have been told before.
        let _ = epoll::delete(&self.set, output);
    }

    /// Whether nothing more is to be read of the socket for now.
    pub fn stuffed(&self, socket: &impl AsFd, is: bool) -> io::Result<()> {
        self.change(socket, |why| why.is_stuffed = is)
    }

    /// Has another thread read the socket, as long as it has what is returned.
    pub fn read_by_another<'a, S: AsFd>(&'a self, socket: &'a S) -> io::Result<Another<'a, S>> {
        self.change(socket, |why| why.others += 1)?;
        Ok(Another {
            watched: self,
            socket,
        })
    }

    pub fn is_read_by_another(&self) -> bool {
        self.lock().others > 0
    }

    fn change(&self, socket: &impl AsFd, change: impl FnOnce(&mut Socket)) -> io::Result<()> {
        let mut why = self.lock();
        let before = why.wakes();
        change(&mut why);
        if why.wakes() == before {
            return Ok(());
        }
        let wanted = match before {
            true => EventFlags::empty(),
            false => EventFlags::IN,
        };
        // Under the lock: the last one who says so is the one who is right.
        epoll::modify(&self.set, socket, EventData::new_u64(SOCKET), wanted)
    }

    fn lock(&self) -> MutexGuard<'_, Socket> {
        self.socket.lock().expect("no panic while it is held")
    }
}

/// Another thread reads the socket.
pub(super) struct Another<'a, S: AsFd> {
    watched: &'a Watched,
    socket: &'a S,
}

impl<S: AsFd> Drop for Another<'_, S> {
    fn drop(&mut self) {
        // It fails for what is not in the set.
        let _ = self.watched.change(self.socket, |why| why.others -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{io::Write as _, os::unix::net::UnixStream, thread};

    #[test]
    fn what_another_reads_wakes_nobody_and_what_it_leaves_does() {
        let pair = || UnixStream::pair().unwrap();
        let ((process, _p), (socket, mut theirs)) = (pair(), pair());
        let ((output, _o), (errors, mut written)) = (pair(), pair());
        let watched = Watched::new(&process, &socket, [&output, &errors]).unwrap();
        let a_while = Duration::from_millis(5);
        theirs.write_all(b"x").unwrap();
        assert!(watched.wait(a_while).unwrap().sent);
        let another = watched.read_by_another(&socket).unwrap();
        drop(watched.read_by_another(&socket).unwrap());
        assert!(watched.is_read_by_another());
        watched.stuffed(&socket, true).unwrap();
        watched.stuffed(&socket, false).unwrap();
        assert!(!watched.wait(a_while).unwrap().sent);
        written.write_all(b"x").unwrap();
        assert!(watched.wait(a_while).unwrap().written);
        watched.closed(&errors);
        let long = Duration::from_secs(60);
        thread::scope(|scope| {
            let waits = scope.spawn(|| watched.wait(long).unwrap());
            // It is given back under who waits already.
            thread::sleep(a_while);
            drop(another);
            assert!(waits.join().unwrap().sent);
        });
    }
}
