//! While a method is called: what it prints is shown, and a signal calls it off.

use crate::{
    arguments::{Isolation as Given, Methods},
    output, screen,
    show::text::one_line,
    signals,
};
use remy_db_app::place::Place;
use remy_db_runtime::{
    child::{Listener, Stream},
    pool::Cancel,
    runtime::Runtime,
    sandbox::Isolation,
    served::Settings,
};
use serde_json::Value;
use std::{
    sync::{Arc, atomic::Ordering, mpsc},
    thread,
    time::Duration,
};

/// How often it is looked whether a signal has called the call off.
const NAP: Duration = Duration::from_millis(20);

/// How the methods of an app are run.
pub(super) fn methods(place: &Place, given: &Methods) -> Settings {
    let mut settings = one_call(place, given.isolation);
    if let Some(most) = given.max_processes {
        settings.pool.max_processes = most.max(1) as usize;
    }
    settings
}

/// The same, of one call.
pub(super) fn one_call(place: &Place, given: Given) -> Settings {
    Settings {
        isolation: match given.no_isolation {
            true => Isolation::Off,
            false => Isolation::On,
        },
        durability: place.durability,
        ..Settings::default()
    }
}

/// Does `work`, until a signal calls it off.
pub(super) fn until_called_off<T>(work: impl FnOnce(&Cancel) -> T) -> T {
    let cancel = Cancel::default();
    let (done, is_done) = mpsc::channel::<()>();
    thread::scope(|threads| {
        let cancel = &cancel;
        threads.spawn(move || {
            while is_done.recv_timeout(NAP) == Err(mpsc::RecvTimeoutError::Timeout) {
                if signals::cancel().load(Ordering::SeqCst) {
                    return cancel.cancel();
                }
            }
        });
        let worked = work(cancel);
        drop(done);
        worked
    })
}

/// The answer is there; what the method has left to do is not cut off by the end of this process.
pub(super) fn settle(runtime: &Runtime) {
    runtime.settle(&|| signals::cancel().load(Ordering::SeqCst));
}

/// Who tells of what a method prints and streams.
pub(super) fn printed() -> Arc<dyn Listener> {
    Arc::new(Printed)
}

/// What it prints and streams, as it comes: its lines are no output of this command.
struct Printed;

impl Listener for Printed {
    fn line(&self, _: Stream, text: &str) {
        screen::say(&format!("{}\n", one_line(text)));
    }

    fn part(&self, data: Value) {
        output::write(format!("{data}\n").as_bytes());
    }
}
