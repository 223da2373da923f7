//! What comes from stdin. It is looked now and then whether the verb is called off: that ends no
//! read.

use crate::{
    failure::{Failure, Result},
    signals,
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::{Errno, read},
    stdio,
};
use std::io::{self, IsTerminal as _};

const NAP: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 20_000_000,
};

/// Whether somebody is there to type.
pub fn is_terminal() -> bool {
    io::stdin().is_terminal()
}

/// A line, or what there is of one at the end.
pub fn line() -> Result<String> {
    let line = read_until(|read| read.contains(&b'\n'))?;
    Ok(String::from_utf8_lossy(&line).into_owned())
}

/// All of it.
pub fn all() -> Result<Vec<u8>> {
    read_until(|_| false)
}

fn read_until(is_enough: impl Fn(&[u8]) -> bool) -> Result<Vec<u8>> {
    let mut whole = Vec::new();
    let mut bytes = [0; 16 << 10];
    loop {
        if let Some(signal) = signals::called_off() {
            return Err(Failure::CalledOff(signal));
        }
        let stdin = stdio::stdin();
        let mut wanted = [PollFd::new(&stdin, PollFlags::IN)];
        match poll(&mut wanted, Some(&NAP)) {
            Ok(0) | Err(Errno::INTR) => continue,
            Ok(_) => {}
            Err(_) => return Ok(whole),
        }
        match read(stdio::stdin(), &mut bytes) {
            Err(Errno::INTR) => continue,
            Err(_) | Ok(0) => return Ok(whole),
            Ok(n) => {
                whole.extend_from_slice(&bytes[..n]);
                if is_enough(&bytes[..n]) {
                    return Ok(whole);
                }
            }
        }
    }
}
