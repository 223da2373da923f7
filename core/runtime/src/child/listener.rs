//! Who is told what a call does, and who does what it asks for.

use crate::protocol::{Answer, Call, Request};
use serde::Serialize;
use serde_json::Value;
use std::time::Duration;

/// Where a line was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Stream {
    /// `console.log` and its like.
    Stdout,
    /// `console.error` and its like, and what Node.js says itself.
    Stderr,
}

/// Is told of what a call does, in the order in which it does it, and of what it left behind: until
/// the process is called again. None of this may wait: the process is not looked after meanwhile.
pub trait Listener: Send + Sync {
    /// A line of output, without its end. A long one comes in parts.
    fn line(&self, stream: Stream, text: &str);

    /// A part of an answer that is streamed.
    fn part(&self, data: Value) {
        let _ = data;
    }
}

/// Hears nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Listener for Silent {
    fn line(&self, _: Stream, _: &str) {}
}

/// Does what calls ask for.
pub trait Service: Send + Sync {
    /// Runs on a thread that may wait. Requests of one call come at once, and are answered in any
    /// order. None is for a part of a stream: that goes to the call's [`Listener`]. What takes long
    /// looks now and then whether its answer is still wanted: nobody wants it once the process has
    /// ended.
    fn answer(&self, call: &Call, request: Request, is_wanted: &dyn Fn() -> bool) -> Answer;

    /// The answer to what is done within [`AT_ONCE`], on the thread that looks after the process: none
    /// where it may take longer, and then nothing was done.
    fn answer_at_once(&self, call: &Call, request: &Request) -> Option<Answer> {
        let _ = (call, request);
        None
    }
}

/// How long a process may be left alone for one request.
pub(crate) const AT_ONCE: Duration = Duration::from_millis(1);
