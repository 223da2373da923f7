//! Frames: what the two processes send each other, and how.
//!
//! A frame is a kind, the number of bytes that follow, and these: text. Nothing larger than
//! [`LIMIT`] is sent or taken.

use remy_db::{Error, Result};
use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd},
    time::Instant,
};

/// The most bytes of a frame.
pub(crate) const LIMIT: usize = 256 << 20;

/// The bytes before the text of a frame.
pub(crate) const HEAD: usize = 5;

/// What a frame is, by its first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// Of the program, before it is one: it is about to be, and here is a descriptor of its
    /// process.
    Process = b'p',
    /// The same: it could not become one. The number is the system's, and nothing follows.
    NotStarted = b'x',
    /// Of the program, first: what it is.
    Hello = b'h',
    /// Of the host: what is to be done.
    Call = b'c',
    /// Of the program: a line of the build log.
    Line = b'l',
    /// Of the program: a schema that is about to go live; nothing, where the host has no SQLite
    /// that is asked for, and is heard all the same.
    Schema = b's',
    /// Of the host: what it says to that. An empty text is yes, another an error.
    Answer = b'a',
    /// Of the host: the caller calls the verb off.
    Cancel = b'q',
    /// Of the program: the result.
    Result = b'r',
    /// Of the program: the error.
    Error = b'e',
    /// Of the program: the host has something for this that is not here. Nothing was done.
    NotHere = b'n',
}

impl Kind {
    const ALL: [Self; 11] = [
        Self::Process,
        Self::NotStarted,
        Self::Hello,
        Self::Call,
        Self::Line,
        Self::Schema,
        Self::Answer,
        Self::Cancel,
        Self::Result,
        Self::Error,
        Self::NotHere,
    ];

    pub(crate) fn byte(self) -> u8 {
        self as u8
    }

    /// The kind of a byte that was sent.
    pub(crate) fn of(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.byte() == byte)
    }
}

/// A frame that has come.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: Kind,
    /// The number in its head: of [`Kind::NotStarted`] an error of the system's, else the length of
    /// the text.
    pub(crate) number: u32,
    pub(crate) text: String,
}

/// A frame as bytes. `None` where it is too large.
pub(crate) fn frame(kind: Kind, text: &str) -> Option<Vec<u8>> {
    if text.len() > LIMIT {
        return None;
    }
    let length = u32::try_from(text.len()).ok()?;
    let mut bytes = Vec::with_capacity(HEAD + text.len());
    bytes.push(kind.byte());
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(text.as_bytes());
    Some(bytes)
}

/// What of the other process's has come, and is no whole frame yet.
#[derive(Debug, Default)]
pub(crate) struct Incoming {
    bytes: Vec<u8>,
    ended: bool,
}

impl Incoming {
    /// Takes what is there now, without waiting.
    pub(crate) fn take(&mut self, socket: BorrowedFd<'_>) -> io::Result<()> {
        let mut part = [0_u8; 1 << 16];
        loop {
            // SAFETY: the buffer has the room that is said, and lives through the call.
            let n = unsafe {
                libc::recv(
                    socket.as_raw_fd(),
                    part.as_mut_ptr().cast(),
                    part.len(),
                    libc::MSG_DONTWAIT,
                )
            };
            match usize::try_from(n) {
                Ok(0) => {
                    self.ended = true;
                    return Ok(());
                }
                Ok(n) => {
                    self.bytes.extend_from_slice(&part[..n]);
                    // A frame at a time: whoever sends without an end is refused at its head.
                    if self.bytes.len() > part.len() {
                        return Ok(());
                    }
                }
                Err(_) => {
                    let e = io::Error::last_os_error();
                    return match e.kind() {
                        io::ErrorKind::Interrupted => continue,
                        io::ErrorKind::WouldBlock => Ok(()),
                        // The other end is gone, with something of ours unread.
                        io::ErrorKind::ConnectionReset => {
                            self.ended = true;
                            Ok(())
                        }
                        _ => Err(e),
                    };
                }
            }
        }
    }

    /// The other process is gone, and what it has sent is all there: takes the rest.
    pub(crate) fn is_the_last(&mut self, socket: BorrowedFd<'_>) {
        loop {
            let before = self.bytes.len();
            let taken = self.take(socket);
            if taken.is_err() || self.bytes.len() == before || self.bytes.len() > LIMIT + HEAD {
                self.ended = true;
                return;
            }
        }
    }

    /// Whether nothing more comes.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended
    }

    /// The next whole frame, if there is one.
    pub(crate) fn next(&mut self) -> Result<Option<Frame>> {
        let Some((head, rest)) = self.bytes.split_first_chunk::<HEAD>() else {
            return Ok(None);
        };
        let number = u32::from_le_bytes([head[1], head[2], head[3], head[4]]);
        let Some(kind) = Kind::of(head[0]) else {
            return Err(malformed(&format!("a frame of no kind ({})", head[0])));
        };
        let length = match kind {
            Kind::Process | Kind::NotStarted => 0,
            _ => usize::try_from(number).unwrap_or(usize::MAX),
        };
        if length > LIMIT {
            return Err(malformed(&format!(
                "a frame of {length} bytes, and {LIMIT} is the most"
            )));
        }
        let Some(text) = rest.get(..length) else {
            return Ok(None);
        };
        let text = std::str::from_utf8(text)
            .map_err(|_| malformed("a frame that is not UTF-8"))?
            .to_owned();
        self.bytes.drain(..HEAD + length);
        Ok(Some(Frame { kind, number, text }))
    }
}

/// What came is no frame of this build's.
pub(crate) fn malformed(what: &str) -> Error {
    Error::internal(format!("the other process of remy's sent {what}"))
        .state("Live is as it was, or switched whole; the next call of remy finds out")
        .hint("Please report this")
}

/// Waits until the socket has `event`, or the other process has ended, or until `until`. Returns
/// which of the two came true. A fork of the host's may hold the other end of the socket open: its
/// process alone tells that it has ended.
pub(crate) fn wait(
    socket: BorrowedFd<'_>,
    event: i16,
    process: Option<BorrowedFd<'_>>,
    until: Option<Instant>,
) -> (bool, bool) {
    let of = |descriptor: Option<BorrowedFd<'_>>, events| libc::pollfd {
        fd: descriptor.map_or(-1, |descriptor| descriptor.as_raw_fd()), // -1 is passed over
        events,
        revents: 0,
    };
    let mut polled = [of(Some(socket), event), of(process, libc::POLLIN)];
    let timeout = until.map_or(-1, |until| {
        let left = until.saturating_duration_since(Instant::now());
        // Rounded up: 0 would spin for the last millisecond.
        i32::try_from(left.as_micros().div_ceil(1000)).unwrap_or(i32::MAX)
    });
    // SAFETY: the list has two, and the descriptors are open during the call. A signal ends it
    // early, which who waits in a loop does not mind.
    unsafe { libc::poll(polled.as_mut_ptr(), 2, timeout) };
    (polled[0].revents != 0, polled[1].revents != 0)
}

/// Sends what fits, without waiting. Returns how many bytes that were.
pub(crate) fn send(socket: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: the bytes are as many as is said.
    let n = unsafe {
        libc::send(
            socket.as_raw_fd(),
            bytes.as_ptr().cast(),
            bytes.len(),
            flags,
        )
    };
    usize::try_from(n).or_else(|_| {
        let e = io::Error::last_os_error();
        match e.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(0),
            _ => Err(e),
        }
    })
}

/// Sends all of it, unless the other process ends.
pub(crate) fn send_all(
    socket: BorrowedFd<'_>,
    process: Option<BorrowedFd<'_>>,
    mut bytes: &[u8],
) -> io::Result<()> {
    while !bytes.is_empty() {
        bytes = &bytes[send(socket, bytes)?..];
        if !bytes.is_empty() && wait(socket, libc::POLLOUT, process, None).1 {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        io::Write,
        os::{fd::AsFd, unix::net::UnixStream},
    };

    fn taken(bytes: &[u8]) -> Incoming {
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        ours.write_all(bytes).unwrap();
        drop(ours);
        let mut incoming = Incoming::default();
        while !incoming.has_ended() {
            incoming.take(theirs.as_fd()).unwrap();
        }
        incoming
    }

    #[test]
    fn frames_come_as_they_were_sent() {
        let mut bytes = frame(Kind::Hello, "{}").unwrap();
        bytes.extend(frame(Kind::Result, "ä").unwrap());
        let mut incoming = taken(&bytes);
        for (kind, text) in [(Kind::Hello, "{}"), (Kind::Result, "ä")] {
            let found = incoming.next().unwrap().unwrap();
            assert_eq!((found.kind, found.text.as_str()), (kind, text));
        }
        assert!(incoming.next().unwrap().is_none());
    }

    #[test]
    fn what_is_no_frame_is_refused_and_half_a_one_is_waited_for() {
        for (bytes, why) in [
            (&b"GET / HTTP/1.1\r\n"[..], "a frame of no kind (71)"),
            (
                &[b'l', 255, 255, 255, 255][..],
                "a frame of 4294967295 bytes",
            ),
            (&[b'l', 1, 0, 0, 0, 255][..], "not UTF-8"),
        ] {
            let e = taken(bytes).next().unwrap_err();
            assert_eq!(e.code(), "internal");
            assert!(e.to_string().contains(why), "{e}");
        }
        let whole = frame(Kind::Line, "line").unwrap();
        for end in 0..whole.len() {
            assert!(taken(&whole[..end]).next().unwrap().is_none(), "{end}");
        }
    }
}
