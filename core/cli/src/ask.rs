//! A question to whoever sits at the terminal.

use crate::{
    failure::{Failure, Result, usage},
    screen, signals,
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::{Errno, read},
    stdio,
};
use std::io::{self, IsTerminal as _};

/// Whether somebody is there to answer.
pub fn somebody() -> bool {
    io::stdin().is_terminal()
}

/// Fails unless the answer is yes.
pub fn ask(question: &str) -> Result<()> {
    screen::say(&format!("{question} [y/N] "));
    let answer = answer()?;
    if !["y", "yes"].contains(&answer.trim().to_lowercase().as_str()) {
        return Err(usage("it was not confirmed. Nothing was done"));
    }
    Ok(())
}

/// A line from the terminal, or what there is of one at its end. It is looked now and then whether
/// the verb is called off: that ends no read.
fn answer() -> Result<String> {
    const NAP: Timespec = Timespec {
        tv_sec: 0,
        tv_nsec: 20_000_000,
    };
    let mut line = Vec::new();
    loop {
        if let Some(signal) = signals::called_off() {
            return Err(Failure::CalledOff(signal));
        }
        let stdin = stdio::stdin();
        let mut wanted = [PollFd::new(&stdin, PollFlags::IN)];
        match poll(&mut wanted, Some(&NAP)) {
            Ok(0) | Err(Errno::INTR) => continue,
            Ok(_) => {}
            Err(_) => break,
        }
        let mut bytes = [0; 256];
        match read(stdio::stdin(), &mut bytes) {
            Err(Errno::INTR) => continue,
            Err(_) | Ok(0) => break,
            Ok(n) => line.extend_from_slice(&bytes[..n]),
        }
        if line.contains(&b'\n') {
            break;
        }
    }
    Ok(String::from_utf8_lossy(&line).into_owned())
}
