//! What methods print, for whoever works on them and looks at where they are served.

use remy_db_runtime::{child::Stream, runtime::Runtime};
use serde::Serialize;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, sync_channel},
    },
    time::Duration,
};

/// How many lines wait to be shown. Of more, the record of their calls alone has the rest: no method
/// waits for a terminal.
const LINES: usize = 10_000;

/// How often is looked whether it is over.
const NAP: Duration = Duration::from_millis(50);

/// A line that a method has printed. It holds no secret of the app's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Printed {
    /// The method's id.
    pub method: String,
    /// Where it was written.
    pub stream: Stream,
    /// The line.
    pub text: String,
}

/// All that methods print from here on.
pub(super) struct Lines(Receiver<Printed>);

impl Lines {
    pub fn of(runtime: &Runtime) -> Self {
        let (tells, lines) = sync_channel(LINES);
        runtime.tells_printed(Arc::new(move |method, stream, text| {
            let _ = tells.try_send(Printed {
                method: method.to_owned(),
                stream,
                text: text.to_owned(),
            });
        }));
        Self(lines)
    }

    /// Tells of each as it comes, until it is over, and of all that has come by then.
    pub fn tell(&self, tell: &dyn Fn(Printed), is_over: &AtomicBool) {
        loop {
            let was_over = is_over.load(Ordering::SeqCst);
            match self.0.recv_timeout(NAP) {
                Ok(line) => tell(line),
                Err(_) if was_over => return,
                Err(_) => {}
            }
        }
    }
}
