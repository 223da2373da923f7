//! Frames: four bytes, the length of what follows, little-endian; then JSON. Both ways.
//!
//! A child may send anything, at any speed, and need not read: what is received never waits, and
//! takes no more room than came in.

use rustix::{
    buffer::spare_capacity,
    io::Errno,
    net::{RecvFlags, SendFlags, recv, send},
};
use serde::{Serialize, de::DeserializeOwned};
use std::{io, os::unix::net::UnixStream};

/// The most bytes of JSON to a child. `js/host.mjs` is what takes them.
pub(crate) const TO_CHILD: usize = 64 << 20;

/// The most bytes of JSON from a child. `js/host.mjs` has the same number, to refuse what is larger
/// where it is made.
pub(crate) const FROM_CHILD: usize = 16 << 20;

const HEAD: usize = 4;

/// How much is received at once.
const PART: usize = 64 << 10;

/// A frame for a child; nothing where it is larger than [`TO_CHILD`].
pub(crate) fn to_child(message: &impl Serialize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; HEAD];
    serde_json::to_writer(&mut bytes, message).expect("messages are made of what JSON can hold");
    let length = bytes.len() - HEAD;
    if length > TO_CHILD {
        return None;
    }
    let length = u32::try_from(length).expect("the limit fits");
    bytes[..HEAD].copy_from_slice(&length.to_le_bytes());
    Some(bytes)
}

/// Sends a frame that was made, and waits for room.
pub(crate) fn write(socket: &UnixStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        // A child that is gone is an error, and no signal to whatever program this is.
        match send(socket, bytes, SendFlags::NOSIGNAL) {
            Ok(sent) => bytes = &bytes[sent..],
            Err(Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(())
}

/// Sends what there is room for now. Returns how much that was.
pub(crate) fn write_now(socket: &UnixStream, bytes: &[u8]) -> io::Result<usize> {
    let mut sent = 0;
    while sent < bytes.len() {
        match send(
            socket,
            &bytes[sent..],
            SendFlags::NOSIGNAL | SendFlags::DONTWAIT,
        ) {
            Ok(more) => sent += more,
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => break,
            Err(e) => return Err(e.into()),
        }
    }
    Ok(sent)
}

/// What came of a child and is no frame yet.
#[derive(Default)]
pub(crate) struct Incoming {
    bytes: Vec<u8>,
    taken: usize,
}

impl Incoming {
    /// Receives what is there. Whether the other end is still open.
    pub fn receive(&mut self, socket: &UnixStream) -> io::Result<bool> {
        self.bytes.drain(..self.taken);
        self.taken = 0;
        self.bytes.reserve(PART);
        let received = loop {
            match recv(socket, spare_capacity(&mut self.bytes), RecvFlags::DONTWAIT) {
                Err(Errno::INTR) => {}
                received => break received.map(|(_, received)| received),
            }
        };
        match received {
            Ok(received) => Ok(received > 0),
            Err(Errno::AGAIN) => Ok(true),
            Err(e) => Err(e.into()),
        }
    }

    /// The next frame that is whole, with its length; an error where what came is none.
    pub fn next<T: DeserializeOwned>(&mut self) -> Result<Option<(T, usize)>, String> {
        let rest = &self.bytes[self.taken..];
        let Some(head) = rest.first_chunk::<HEAD>() else {
            return Ok(None);
        };
        let length = u32::from_le_bytes(*head) as usize;
        if length > FROM_CHILD {
            return Err(format!("a frame of {length} bytes"));
        }
        let Some(body) = rest.get(HEAD..HEAD + length) else {
            return Ok(None);
        };
        let frame = serde_json::from_slice(body).map_err(|e| format!("what is no frame: {e}"))?;
        self.taken += HEAD + length;
        Ok(Some((frame, length)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use std::io::Write as _;

    fn after(bytes: &[u8]) -> (Incoming, UnixStream) {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.write_all(bytes).unwrap();
        let mut incoming = Incoming::default();
        assert!(incoming.receive(&ours).unwrap());
        (incoming, ours)
    }

    #[test]
    fn frames_come_whole_however_they_are_cut() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let messages = [json!({"a": 1}), json!("ü"), json!(null)];
        let sent: Vec<u8> = messages.iter().flat_map(|m| to_child(m).unwrap()).collect();
        let mut incoming = Incoming::default();
        let mut got = Vec::new();
        for byte in sent {
            write(&theirs, &[byte]).unwrap();
            assert!(incoming.receive(&ours).unwrap());
            got.extend(incoming.next::<Value>().unwrap().map(|(frame, _)| frame));
        }
        assert_eq!(got, messages);
        drop(theirs);
        assert!(!incoming.receive(&ours).unwrap());
    }

    #[test]
    fn nothing_there_is_no_end() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        assert!(Incoming::default().receive(&ours).unwrap());
    }

    #[test]
    fn what_is_no_frame_is_refused_by_its_head() {
        let (mut incoming, _socket) = after(&0xffff_ffff_u32.to_le_bytes());
        assert!(incoming.next::<Value>().is_err());
        let (mut incoming, _socket) = after(&[&3_u32.to_le_bytes()[..], b"{x}"].concat());
        assert!(incoming.next::<Value>().is_err());
    }

    #[test]
    fn what_is_too_large_for_a_child_is_not_made() {
        assert!(to_child(&"x".repeat(TO_CHILD - 2)).is_some());
        assert!(to_child(&"x".repeat(TO_CHILD - 1)).is_none());
    }
}
