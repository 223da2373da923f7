//! An answer that comes in parts: Server-Sent Events, a line `data: {json}` each.
//!
//! ```text
//! {"type":"token","text":…}   the text so far
//! {"type":"data","data":…}
//! {"type":"done","output":…} | {"type":"error","error":…,"code":…}
//! ```
//!
//! A method never waits for who reads. Of text only the newest state is kept; of what else nobody
//! reads, and of the text itself, as much as a limit says: beyond it the call is called off.

use crate::{
    answer::{self, Refusal},
    context::Context,
    settings::Limits,
    state::now,
};
use axum::{
    body::{Body, Bytes},
    http::header,
    response::{IntoResponse as _, Response},
};
use futures_util::stream;
use remy_db_runtime::{
    child::{self, Listener},
    pool::Cancel,
};
use serde_json::{Value, json};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{sync::Notify, time::timeout};

/// What a stream says while a method is silent: it is no event.
const BEAT: &[u8] = b": \n\n";

/// How long a stream waits to begin: a call that fails sooner is answered with its status.
const BEGINS: Duration = Duration::from_secs(1);

/// Answers with what `call` calls, as it comes.
pub(crate) async fn streamed(
    at: Arc<Context>,
    call: impl FnOnce(&Context, &Arc<dyn Listener>, &Cancel) -> Result<Value, Refusal> + Send + 'static,
) -> Result<Response, Refusal> {
    let called = move |at: &Context, parts: &Arc<Parts>, cancel: &Cancel| {
        let listener: Arc<dyn Listener> = parts.clone();
        call(at, &listener, cancel)
    };
    in_parts(at, called, Parts::end).await
}

/// Answers with what `work` tells, as it tells it.
pub(crate) async fn told(
    at: Arc<Context>,
    work: impl FnOnce(&Context, &Parts, &Cancel) -> Result<(), Refusal> + Send + 'static,
) -> Result<Response, Refusal> {
    let done = move |at: &Context, parts: &Arc<Parts>, cancel: &Cancel| work(at, parts, cancel);
    in_parts(at, done, |parts, ended| parts.over(ended.as_ref().err())).await
}

/// Answers with parts as `work` makes them; `end` adds what comes last.
async fn in_parts<T: Send + 'static>(
    at: Arc<Context>,
    work: impl FnOnce(&Context, &Arc<Parts>, &Cancel) -> Result<T, Refusal> + Send + 'static,
    end: fn(&Parts, &Result<T, Refusal>),
) -> Result<Response, Refusal> {
    let limits = at.settings.limits;
    let parts = Parts::new(limits.stream_bytes);
    let heard = Arc::clone(&parts);
    // It goes on where nobody reads any more, and may have much to do yet.
    let task = tokio::spawn(async move {
        let tells = Arc::clone(&heard);
        let worked = at.call(move |at, cancel| {
            tells.begun(cancel);
            work(at, &tells, cancel)
        });
        let ended = worked.await;
        end(&heard, &ended);
        ended
    });
    parts.first(BEGINS).await;
    if parts.is_plain()
        && let Ok(Err(refusal)) = task.await
    {
        return Ok(refusal.into_response());
    }
    Ok(parts.answer(limits.beat))
}

/// Answers with the events that `work` tells, and what it comes to as the last one: with that alone,
/// as JSON, where it is there before anything else is told.
pub(crate) async fn concluded<W: Future<Output = Value> + Send + 'static>(
    limits: Limits,
    work: impl FnOnce(Arc<Parts>) -> W,
) -> Response {
    let parts = Parts::new(limits.stream_bytes);
    let (tells, work) = (Arc::clone(&parts), work(Arc::clone(&parts)));
    // It goes on where nobody reads any more.
    let task = tokio::spawn(async move {
        let last = work.await;
        tells.last(&last);
        last
    });
    parts.first(BEGINS).await;
    if parts.is_plain()
        && let Ok(last) = task.await
    {
        return answer::json(&last);
    }
    parts.answer(limits.beat)
}

/// What a method has streamed, and nobody has read yet.
pub(crate) struct Parts {
    state: Mutex<State>,
    more: Notify,
    limit: usize,
}

#[derive(Default)]
struct State {
    /// All text so far.
    text: String,
    waiting: VecDeque<Part>,
    bytes: usize,
    /// Calls the method off, once it runs.
    cancel: Option<Cancel>,
    is_over: bool,
    /// Whoever read it is gone.
    is_left: bool,
}

/// Who reads. Dropped, nobody does.
struct Reader(Arc<Parts>);

impl Drop for Reader {
    fn drop(&mut self) {
        self.0.state().is_left = true;
    }
}

enum Part {
    /// There is more text: the text so far is made when it is read.
    Text,
    Event(String),
}

impl Parts {
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            more: Notify::new(),
            limit,
        })
    }

    /// What calls the method off, where nobody reads.
    pub fn begun(&self, cancel: &Cancel) {
        self.state().cancel = Some(cancel.clone());
    }

    /// The method has ended.
    pub fn end(&self, ended: &Result<Value, Refusal>) {
        let event = match ended {
            Ok(output) => json!({ "type": "done", "output": output }),
            Err(e) => json!({ "type": "error", "error": e.message, "code": e.code }),
        };
        self.last(&event);
    }

    /// The last event.
    fn last(&self, event: &Value) {
        let mut state = self.state();
        state.waiting.push_back(Part::Event(event.to_string()));
        state.is_over = true;
        drop(state);
        self.more.notify_one();
    }

    /// An event that is told as it is.
    pub fn event(&self, event: &Value) {
        let mut state = self.state();
        state.event(event.to_string());
        self.heard(state);
    }

    /// Nothing more is told.
    fn over(&self, failed: Option<&Refusal>) {
        let mut state = self.state();
        if let Some(e) = failed {
            let event = json!({ "type": "error", "error": e.message, "code": e.code, "ts": now() });
            state.waiting.push_back(Part::Event(event.to_string()));
        }
        state.is_over = true;
        drop(state);
        self.more.notify_one();
    }

    /// Whether whoever read it is gone.
    pub fn is_left(&self) -> bool {
        self.state().is_left
    }

    /// Calls the method off, where too much waits to be read.
    fn heard(&self, mut state: MutexGuard<'_, State>) {
        let is_too_much = state.bytes.max(state.text.len()) > self.limit;
        let cancel = state.cancel.take_if(|_| is_too_much);
        drop(state);
        if let Some(cancel) = cancel {
            cancel.cancel();
        }
        self.more.notify_one();
    }

    /// Waits for the first part, or the end, for as long.
    pub async fn first(&self, patience: Duration) {
        let is_there = async {
            loop {
                let more = self.more.notified();
                if !self.state().waiting.is_empty() {
                    return;
                }
                more.await;
            }
        };
        let _ = timeout(patience, is_there).await;
    }

    /// Whether nothing was streamed before the end.
    pub fn is_plain(&self) -> bool {
        let state = self.state();
        state.is_over && state.waiting.len() == 1
    }

    /// The answer, as it comes.
    pub fn answer(self: Arc<Self>, beat: Duration) -> Response {
        let headers = [
            (header::CONTENT_TYPE.as_str(), "text/event-stream"),
            (header::CACHE_CONTROL.as_str(), "no-store"),
            // Proxies that wait for all of it have no use for parts.
            ("x-accel-buffering", "no"),
        ];
        let events = stream::unfold(Reader(self), move |parts| async move {
            let next = parts.0.next(beat).await?;
            Some((Ok::<_, std::convert::Infallible>(next), parts))
        });
        (headers, Body::from_stream(events)).into_response()
    }

    /// All that there is to be read, or a beat.
    async fn next(&self, beat: Duration) -> Option<Bytes> {
        loop {
            let more = self.more.notified();
            {
                let mut state = self.state();
                if !state.waiting.is_empty() {
                    return Some(state.take());
                }
                if state.is_over {
                    return None;
                }
            }
            if timeout(beat, more).await.is_err() {
                return Some(Bytes::from_static(BEAT));
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn event(&mut self, event: String) {
        self.bytes += event.len();
        self.waiting.push_back(Part::Event(event));
    }

    fn take(&mut self) -> Bytes {
        let mut events = String::new();
        self.bytes = 0;
        for part in std::mem::take(&mut self.waiting) {
            let event = match part {
                Part::Text => json!({ "type": "token", "text": self.text }).to_string(),
                Part::Event(event) => event,
            };
            events.push_str("data: ");
            events.push_str(&event);
            events.push_str("\n\n");
        }
        events.into()
    }
}

impl Listener for Parts {
    fn line(&self, _: child::Stream, _: &str) {}

    fn part(&self, data: Value) {
        let mut state = self.state();
        match data {
            Value::String(more) => {
                state.text.push_str(&more);
                if !matches!(state.waiting.back(), Some(Part::Text)) {
                    state.waiting.push_back(Part::Text);
                }
            }
            data => {
                state.event(json!({ "type": "data", "data": data }).to_string());
            }
        }
        self.heard(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(parts: &Parts) -> String {
        let mut state = parts.state();
        String::from_utf8(state.take().to_vec()).unwrap()
    }

    #[test]
    fn text_is_the_text_so_far_and_all_else_as_it_came() {
        let parts = Parts::new(1000);
        parts.part(json!("a"));
        parts.part(json!("b"));
        assert_eq!(
            read(&parts),
            "data: {\"type\":\"token\",\"text\":\"ab\"}\n\n"
        );
        parts.part(json!({ "n": 1 }));
        parts.part(json!("c\n"));
        parts.end(&Ok(Value::Null));
        assert_eq!(
            read(&parts),
            "data: {\"type\":\"data\",\"data\":{\"n\":1}}\n\n\
             data: {\"type\":\"token\",\"text\":\"abc\\n\"}\n\n\
             data: {\"type\":\"done\",\"output\":null}\n\n"
        );
    }

    #[test]
    fn what_nobody_reads_is_called_off() {
        for part in [json!("x".repeat(100)), json!({ "x": "x".repeat(100) })] {
            let parts = Parts::new(1000);
            let cancel = Cancel::default();
            parts.begun(&cancel);
            // An event is some 40 bytes longer than what it tells.
            (0..6).for_each(|_| parts.part(part.clone()));
            assert!(!cancel.is_set());
            (0..9).for_each(|_| parts.part(part.clone()));
            assert!(cancel.is_set());
        }
        let parts = Parts::new(1000);
        let cancel = Cancel::default();
        parts.begun(&cancel);
        for _ in 0..100 {
            parts.part(json!({ "x": "x".repeat(100) }));
            read(&parts);
        }
        assert!(!cancel.is_set(), "it was read");
    }
}
