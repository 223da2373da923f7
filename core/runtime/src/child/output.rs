//! What a process writes, line by line.

use rustix::io::{Errno, ioctl_fionbio, read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The most bytes of a line; a longer one is told in parts.
const LINE: usize = 64 << 10;

/// How much of the end is kept, to tell why a process ended.
const TAIL: usize = 8 << 10;

/// One end of a pipe. The process's own end waits when the pipe is full: what a loop writes would
/// else stay in the process for ever.
pub(super) struct Output {
    pipe: OwnedFd,
    rest: Vec<u8>,
    tail: Vec<u8>,
    pub is_open: bool,
}

impl Output {
    pub fn new(pipe: OwnedFd) -> Self {
        // It fails for what is no descriptor alone.
        let _ = ioctl_fionbio(&pipe, true);
        Self {
            pipe,
            rest: Vec::new(),
            tail: Vec::new(),
            is_open: true,
        }
    }

    /// Takes what is there, as long as `takes` wants lines. How many bytes that were.
    pub fn read(&mut self, most: u64, line: &mut dyn FnMut(&str)) -> u64 {
        let mut room = [0; 16 << 10];
        let mut taken = 0;
        while self.is_open && taken <= most {
            match read(&self.pipe, &mut room) {
                Ok(0) => self.is_open = false,
                Ok(n) => {
                    taken += n as u64;
                    self.take(&room[..n], line);
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Err(_) => self.is_open = false,
            }
        }
        taken
    }

    fn take(&mut self, bytes: &[u8], line: &mut dyn FnMut(&str)) {
        self.tail.extend(bytes);
        self.tail.drain(..self.tail.len().saturating_sub(TAIL));
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.rest.extend(part);
            if part.ends_with(b"\n") || self.rest.len() >= LINE {
                self.end_line(line);
            }
        }
    }

    /// Tells what was written of a line that has no end yet.
    pub fn end_line(&mut self, line: &mut dyn FnMut(&str)) {
        if !self.rest.is_empty() {
            let text = String::from_utf8_lossy(&self.rest);
            line(text.trim_end_matches(['\n', '\r']));
            self.rest.clear();
        }
    }

    /// The end of all that was written.
    pub fn tail(&self) -> String {
        String::from_utf8_lossy(&self.tail).into_owned()
    }
}

impl AsFd for Output {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs::File, io::Write as _};

    #[test]
    fn lines_come_whole_and_long_ones_in_parts() {
        let (ours, theirs) = rustix::pipe::pipe().unwrap();
        let (mut output, mut theirs) = (Output::new(ours), File::from(theirs));
        let mut lines = Vec::new();
        let mut line = |text: &str| lines.push(text.to_owned());
        theirs.write_all("a\n\nß".as_bytes()).unwrap();
        assert_eq!(output.read(100, &mut line), 5);
        theirs.write_all(b"c\r\nd").unwrap();
        output.read(100, &mut line);
        drop(theirs);
        output.read(100, &mut line);
        assert!(!output.is_open);
        output.end_line(&mut line);
        assert_eq!(lines, ["a", "", "ßc", "d"]);
        assert_eq!(output.tail(), "a\n\nßc\r\nd");

        let mut parts = Vec::new();
        output.take(&[b'x'; LINE + 1], &mut |text| parts.push(text.len()));
        output.take(b"\n", &mut |text| parts.push(text.len()));
        assert_eq!(parts.iter().sum::<usize>(), LINE + 1);
    }
}
