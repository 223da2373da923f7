//! Machines that remy asks for something, on loopback: a web server, a mail server, each with TLS or
//! without.
mod mail;
mod tls;
mod web;

pub use mail::{Letter, Mail, MailServer};
pub use tls::Tls;
pub use web::{Asked, Reply, WebServer};

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    time::Duration,
};

/// A connection, in the clear or not.
pub trait Wire: Read + Write + Send {}
impl<T: Read + Write + Send> Wire for T {}

/// Reads a line, without its end. Nothing, where the other end is gone.
fn line(wire: &mut dyn Wire) -> io::Result<Option<String>> {
    let mut bytes = Vec::new();
    let mut byte = [0];
    loop {
        match wire.read(&mut byte) {
            Ok(0) => return Ok(None),
            Ok(_) if byte[0] == b'\n' => break,
            Ok(_) => bytes.push(byte[0]),
            Err(e) => return Err(e),
        }
    }
    if bytes.last() == Some(&b'\r') {
        bytes.pop();
    }
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

/// Nobody waits for ever.
fn patient(stream: &TcpStream) {
    let _ = stream.set_read_timeout(Some(Duration::from_secs(20)));
    let _ = stream.set_nodelay(true);
}
