//! Ctrl-C and its like: the first calls the verb off, the second does not wait for its end.

use crate::{name::called, screen};
use remy_db::internals::NoStops;
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    flag,
    iterator::Signals,
    low_level,
};
use std::{
    ptr,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

/// Whether the verb is called off. Set where the signal is delivered, and not by a thread that
/// hears of it: what a terminal's Ctrl-C ends besides, a program of a build, is no failure then.
static CANCEL: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);
/// By which signal.
static BY: LazyLock<Arc<AtomicUsize>> = LazyLock::new(Arc::default);

/// A signal that has called a verb off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signal(i32);

impl Signal {
    /// The exit status that says so.
    pub fn status(self) -> u8 {
        u8::try_from(128 + self.0).unwrap_or(1)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self.0 {
            SIGINT => "SIGINT",
            SIGTERM => "SIGTERM",
            SIGHUP => "SIGHUP",
            _ => "a signal",
        }
    }
}

/// Is true once the verb is called off.
pub fn cancel() -> &'static AtomicBool {
    &CANCEL
}

/// What has called the verb off.
pub fn called_off() -> Option<Signal> {
    match BY.load(Ordering::SeqCst) {
        0 => None,
        signal => i32::try_from(signal).ok().map(Signal),
    }
}

/// Listens from now on. What this process was started to ignore (`nohup`) it ignores.
pub fn listen() {
    let heard: Vec<i32> = [SIGINT, SIGTERM, SIGHUP]
        .into_iter()
        .filter(|signal| !is_ignored(*signal))
        .collect();
    // One that cannot be heard ends the process, as it does others.
    for signal in &heard {
        let number = signal.unsigned_abs() as usize;
        let _ = flag::register_usize(*signal, Arc::clone(&BY), number);
        let _ = flag::register(*signal, Arc::clone(&CANCEL));
    }
    let Ok(mut signals) = Signals::new(heard) else {
        return;
    };
    // As in progress.rs: a stop is not to be delivered by this thread.
    let _no_stops = NoStops::new();
    let tell = move || {
        signals
            .forever()
            .enumerate()
            .for_each(|(n, by)| heard_of(n, by))
    };
    // Without a thread for it nothing is said of a signal, and there is no second one.
    let _ = thread::Builder::new().spawn(tell);
}

/// Says what comes of the signal `by`, before which there were `n`.
fn heard_of(n: usize, by: i32) {
    if n == 0 {
        screen::say("remy: calling off; once more ends without waiting\n");
        return;
    }
    let called = called();
    screen::say(&format!(
        "remy: not waiting for the end. Live is as it was, or switched whole: {called} status says which\n"
    ));
    // Whatever step the verb is at: a store is mended by the next one, as after a power cut.
    low_level::exit(i32::from(Signal(by).status()));
}

fn is_ignored(signal: i32) -> bool {
    let mut now = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: a null action changes nothing; `now` is filled, and is valid as it is where it is not.
    let now = unsafe {
        libc::sigaction(signal, ptr::null(), now.as_mut_ptr());
        now.assume_init()
    };
    now.sa_sigaction == libc::SIG_IGN
}
