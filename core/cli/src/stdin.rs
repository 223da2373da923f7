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

/// Line after line, for as long as there are any.
#[derive(Default)]
pub struct Lines {
    /// What has come after the last one.
    more: Vec<u8>,
    /// How much of that has no end of a line in it.
    looked_at: usize,
}

impl Lines {
    /// The next one, without its end; what there is of one at the end is none.
    pub fn next(&mut self) -> Result<Option<Vec<u8>>> {
        loop {
            if let Some(end) = self.more[self.looked_at..]
                .iter()
                .position(|byte| *byte == b'\n')
            {
                let rest = self.more.split_off(self.looked_at + end + 1);
                let mut line = std::mem::replace(&mut self.more, rest);
                line.pop();
                self.looked_at = 0;
                return Ok(Some(line));
            }
            self.looked_at = self.more.len();
            if !some(&mut self.more)? {
                return Ok(None);
            }
        }
    }
}

fn read_until(is_enough: impl Fn(&[u8]) -> bool) -> Result<Vec<u8>> {
    let mut whole = Vec::new();
    loop {
        let before = whole.len();
        if !some(&mut whole)? || is_enough(&whole[before..]) {
            return Ok(whole);
        }
    }
}

/// Reads what comes next. There is nothing more to come where it returns false.
fn some(whole: &mut Vec<u8>) -> Result<bool> {
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
            Err(_) => return Ok(false),
        }
        match read(stdio::stdin(), &mut bytes) {
            Err(Errno::INTR) => continue,
            Err(_) | Ok(0) => return Ok(false),
            Ok(n) => {
                whole.extend_from_slice(&bytes[..n]);
                return Ok(true);
            }
        }
    }
}
