//! What is kept too long goes: when a server starts, and each hour. How long that is stands where it
//! is kept: sessions, logins, codes and tries in `state`, calls, requests and events in the runtime's
//! records, files in its files.

use crate::context::Context;
use std::{
    thread,
    time::{Duration, Instant},
};

/// How often it is looked for.
const HOUR: Duration = Duration::from_secs(3600);

/// How often it is looked whether the server ends.
const NAP: Duration = Duration::from_millis(50);

/// Removes it until it is over.
pub(crate) fn run(at: &Context, is_over: impl Fn() -> bool) {
    while !is_over() {
        at.runtime.records().sweep();
        if let Err(e) = at.state.sweep() {
            at.settings.log.note("retention", &e.message);
        }
        if let Err(e) = at.runtime.sweep_files() {
            at.settings.log.note("retention", &e.message);
        }
        let again = Instant::now() + HOUR;
        while Instant::now() < again && !is_over() {
            thread::sleep(NAP);
        }
    }
}
