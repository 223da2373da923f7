//! A page listens, until its grant ends: Server-Sent Events, a line `data: {json}` each.
//!
//! ```text
//! {"channel":…,"data":…,"ts":…,"id":…}
//! {"type":"events_dropped","count":…}   it did not read as fast as they came
//! {"type":"grant_expired"}              the last one
//! ```

use super::granted;
use crate::{answer::Refusal, asked::Asked, context::Context};
use axum::{
    Extension,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse as _, Response},
};
use futures_util::stream;
use remy_db_runtime::events::{Ear, Listening};
use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep, sleep_until},
};

/// How many events wait for who does not read: there may be very many who do not.
const ROOM: usize = 64;

/// What is said while nothing happens: it is no event.
const BEAT: &[u8] = b": \n\n";

const EXPIRED: &[u8] = b"data: {\"type\":\"grant_expired\"}\n\n";

/// What waits for a page.
struct Room {
    events: mpsc::Sender<Arc<str>>,
    dropped: AtomicU64,
}

impl Ear for Room {
    fn hear(&self, event: &Arc<str>) -> bool {
        let has_room = self.events.try_send(event.clone()).is_ok();
        if !has_room {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        has_room
    }
}

/// A page that listens.
struct Listener {
    room: Arc<Room>,
    events: mpsc::Receiver<Arc<str>>,
    listening: Listening,
    beat: Duration,
    ending: watch::Receiver<bool>,
    is_over: bool,
}

pub(crate) async fn listen(
    State(at): State<Arc<Context>>,
    Extension(asked): Extension<Asked>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let (world, token) = granted(&at, asked, &headers).await?;
    let (sender, events) = mpsc::channel(ROOM);
    let room = Arc::new(Room {
        events: sender,
        dropped: AtomicU64::new(0),
    });
    let listener = Listener {
        listening: at.runtime.events().listen(&world, &token, room.clone())?,
        room,
        events,
        beat: at.settings.limits.beat,
        ending: at.ending.subscribe(),
        is_over: false,
    };
    let headers = [
        (header::CONTENT_TYPE.as_str(), "text/event-stream"),
        (header::CACHE_CONTROL.as_str(), "no-store"),
        // Proxies that wait for all of it have no use for parts.
        ("x-accel-buffering", "no"),
    ];
    // So that a page knows at once that it listens.
    let first = stream::once(async { Ok::<_, Infallible>(Bytes::from_static(BEAT)) });
    let rest = stream::unfold(listener, |mut listener| async move {
        let next = listener.next().await?;
        Some((Ok(next), listener))
    });
    let events = futures_util::StreamExt::chain(first, rest);
    Ok((headers, Body::from_stream(events)).into_response())
}

impl Listener {
    async fn next(&mut self) -> Option<Bytes> {
        if self.is_over || *self.ending.borrow() {
            return None;
        }
        let dropped = self.room.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            let event = format!("data: {{\"type\":\"events_dropped\",\"count\":{dropped}}}\n\n");
            return Some(event.into());
        }
        tokio::select! {
            Some(event) = self.events.recv() => Some(format!("data: {event}\n\n").into()),
            () = sleep_until(Instant::from_std(self.listening.until)) => {
                self.is_over = true;
                Some(Bytes::from_static(EXPIRED))
            }
            () = sleep(self.beat) => Some(Bytes::from_static(BEAT)),
            // The page asks again, of the server that comes then.
            _ = self.ending.changed() => None,
        }
    }
}
