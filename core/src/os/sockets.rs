//! Sockets that are files, and who is at the other end.

use crate::{base::error::Result, os::folder::Folder};
use rustix::{
    io::Errno,
    net::{
        AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect,
        recv, send, socket_with,
    },
};
use std::{
    ffi::OsStr,
    io,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::net::UnixStream,
    },
};

/// Connects to the socket of a name, and waits for nobody: where too many wait there already, that
/// is an error. The connection does not wait either.
pub(crate) fn connected(folder: &Folder, name: &OsStr) -> Result<io::Result<UnixStream>> {
    let path = folder.by_descriptor(name)?;
    let made = || {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket: OwnedFd = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        connect(&socket, &SocketAddrUnix::new(&path)?)?;
        Ok(UnixStream::from(socket))
    };
    Ok(made())
}

/// The user at the other end of a connection, or of a listening socket: who they were when they
/// connected, or began to listen.
pub fn peer(socket: &impl AsRawFd) -> io::Result<u32> {
    let mut found = libc::ucred {
        pid: 0,
        uid: u32::MAX,
        gid: u32::MAX,
    };
    let mut length = libc::socklen_t::try_from(size_of::<libc::ucred>()).expect("a few bytes");
    // SAFETY: the option fills the struct given to it, of the length given with it.
    let code = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut found).cast(),
            &raw mut length,
        )
    };
    match code {
        0 => Ok(found.uid),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Sends what there is room for, and takes that out of `bytes`. A host's process gets no signal
/// where nobody is there any more.
pub(crate) fn send_some(socket: &UnixStream, bytes: &mut Vec<u8>) -> io::Result<()> {
    while !bytes.is_empty() {
        match send(socket, bytes, SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
            Ok(sent) => drop(bytes.drain(..sent)),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return Ok(()),
            Err(e) => return Err(e.into()),
        }
    }
    Ok(())
}

/// Adds what has come to `bytes`. An error at the end of the connection, and where there are more
/// than `most`.
pub(crate) fn receive_some(
    socket: &UnixStream,
    bytes: &mut Vec<u8>,
    most: usize,
) -> io::Result<()> {
    let mut part = [0; 256];
    while bytes.len() <= most {
        match recv(socket, &mut part, RecvFlags::DONTWAIT) {
            Ok((0, _)) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok((n, _)) => bytes.extend_from_slice(&part[..n]),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return Ok(()),
            Err(e) => return Err(e.into()),
        }
    }
    Err(io::ErrorKind::InvalidData.into())
}
