//! What pages tell of themselves: it is taken and counted.

use crate::{
    answer::{Refusal, json},
    asked::{Asked, bearer},
    body,
    context::Context,
};
use axum::{
    Extension,
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::Response,
};
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;

/// The most bytes of it at once.
const BYTES: usize = 1 << 20;

#[derive(Deserialize)]
pub(crate) struct Kind {
    kind: String,
}

pub(crate) async fn count(
    State(at): State<Arc<Context>>,
    Extension(asked): Extension<Asked>,
    Path(Kind { kind }): Path<Kind>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let counter = match kind.as_str() {
        "events" => &at.counted.events,
        "errors" => &at.counted.errors,
        _ => return Err(Refusal::not_found()),
    };
    let token = bearer(&headers).map(str::to_owned);
    let place = asked.judged.place;
    at.read(move |at| {
        let target = at.target(&place)?;
        at.sessions.find(token.as_deref(), &target)
    })
    .await?;
    let mut limits = at.settings.limits;
    limits.body_bytes = BYTES;
    let told = body::read(body, &limits).await?;
    let Some(events) = told["events"].as_array() else {
        let message = "The body has no list \"events\"";
        return Err(Refusal::new(400, "invalid_body", message));
    };
    counter.fetch_add(events.len() as u64, std::sync::atomic::Ordering::Relaxed);
    Ok(json(&json!({ "accepted": events.len(), "rejected": 0 })))
}

/// Nobody watches who is there: pages stop telling.
pub(crate) async fn presence() -> StatusCode {
    StatusCode::NO_CONTENT
}
