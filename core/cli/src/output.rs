//! What goes to stdout. What cannot be written there stops nothing: it is told when all is done.

use remy_db_app::build::disk;
use std::{
    io::{self, IsTerminal as _, Write as _},
    sync::Mutex,
};

/// Why stdout has not got all that was written.
static LOST: Mutex<Option<io::Error>> = Mutex::new(None);

/// Writes to stdout.
pub fn write(bytes: &[u8]) {
    let mut stdout = io::stdout().lock();
    let Err(e) = stdout.write_all(bytes).and_then(|()| stdout.flush()) else {
        return;
    };
    // Who reads our output may have read enough.
    if e.kind() != io::ErrorKind::BrokenPipe
        && let Ok(mut lost) = LOST.lock()
    {
        lost.get_or_insert(e);
    }
}

/// Writes lines to stdout.
pub fn write_lines(lines: &[String]) {
    let text: String = lines
        .iter()
        .flat_map(|line| [line.as_str(), "\n"])
        .collect();
    write(text.as_bytes());
}

/// Why stdout has not got all that was written: `ENOSPC: no space left on device`.
pub fn unwritten() -> Option<String> {
    let lost = LOST.lock().ok()?.take()?;
    let reason = disk::reason(&lost);
    Some(
        match reason
            .strip_suffix(')')
            .and_then(|reason| reason.rsplit_once(" ("))
        {
            Some((words, name)) => format!("{name}: {words}"),
            None => reason,
        },
    )
}

/// Whether stdout is for a person.
pub fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// How wide a table may be: as the terminal is, if it is for one.
pub fn room() -> Option<usize> {
    let stdout = io::stdout();
    stdout.is_terminal().then(|| width(&stdout)).flatten()
}

/// How wide a terminal is, as far as it says so.
pub fn width(terminal: impl std::os::fd::AsFd) -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(terminal).ok()?;
    (size.ws_col > 0).then_some(usize::from(size.ws_col))
}
