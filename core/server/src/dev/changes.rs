//! An open page hears when it is of before: Server-Sent Events, `data: VERSION` each.

use super::session::Now;
use crate::{answer::Refusal, context::Context};
use axum::{
    body::{Body, Bytes},
    extract::State,
    http::header,
    response::{IntoResponse as _, Response},
};
use futures_util::stream;
use std::{convert::Infallible, sync::Arc, time::Duration};
use tokio::{sync::watch, time::sleep};

/// What is said while nothing changes.
const BEAT: &[u8] = b": \n\n";

/// A page that listens.
struct Listener {
    now: watch::Receiver<Now>,
    told: Option<String>,
    beat: Duration,
    ending: watch::Receiver<bool>,
}

pub(crate) async fn changes(State(at): State<Arc<Context>>) -> Result<Response, Refusal> {
    let dev = at.dev.as_ref().ok_or_else(Refusal::not_found)?;
    let listener = Listener {
        now: dev.now(),
        told: None,
        beat: at.settings.limits.beat,
        ending: at.ending.subscribe(),
    };
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    let all = stream::unfold(listener, |mut listener| async move {
        let next = listener.next().await?;
        Some((Ok::<_, Infallible>(next), listener))
    });
    Ok((headers, Body::from_stream(all)).into_response())
}

impl Listener {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if *self.ending.borrow() {
                return None;
            }
            let version = self.now.borrow_and_update().version().map(str::to_owned);
            if version.is_some() && version != self.told {
                let event = format!("data: {}\n\n", version.as_deref().unwrap_or_default());
                self.told = version;
                return Some(event.into());
            }
            tokio::select! {
                changed = self.now.changed() => changed.ok()?,
                () = sleep(self.beat) => return Some(Bytes::from_static(BEAT)),
                _ = self.ending.changed() => return None,
            }
        }
    }
}
