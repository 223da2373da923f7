//! What goes to stderr. On a terminal a line may be at work there: it goes before anything else is
//! said. What cannot be written is left out: there is nowhere to say that.

use std::{
    io::{self, Write as _},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Whether a line is at work.
static IS_AT_WORK: Mutex<bool> = Mutex::new(false);

/// Back to the beginning of the line, which is emptied.
const CLEAR: &str = "\r\x1b[K";

/// Says `text`, which ends as it is to end.
pub fn say(text: &str) {
    let mut is_at_work = held();
    write(&format!("{}{text}", clear(&mut is_at_work)));
}

/// Puts a line at work in the place of the one before. It is shorter than the terminal is wide.
pub fn work(line: &str) {
    let mut is_at_work = held();
    *is_at_work = true;
    write(&format!("{CLEAR}{line}"));
}

/// Takes the line at work away.
pub fn rest() {
    say("");
}

fn held() -> MutexGuard<'static, bool> {
    IS_AT_WORK.lock().unwrap_or_else(PoisonError::into_inner)
}

fn clear(is_at_work: &mut bool) -> &'static str {
    match std::mem::take(is_at_work) {
        true => CLEAR,
        false => "",
    }
}

fn write(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}
