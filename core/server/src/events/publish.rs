//! A page publishes, where its grant does: `{ "events": [{ "channels", "data" }] }`.

use super::granted;
use crate::{
    answer::{Refusal, json},
    asked::Asked,
    body,
    context::Context,
};
use axum::{Extension, body::Body, extract::State, http::HeaderMap, response::Response};
use serde::Deserialize;
use serde_json::{Value, json as value};
use std::sync::Arc;

#[derive(Deserialize)]
struct Batch {
    events: Vec<Event>,
}

#[derive(Deserialize)]
struct Event {
    channels: Channels,
    #[serde(default)]
    data: Value,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Channels {
    One(String),
    Many(Vec<String>),
}

pub(crate) async fn publish(
    State(at): State<Arc<Context>>,
    Extension(asked): Extension<Asked>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let (world, token) = granted(&at, asked, &headers).await?;
    let given = body::read(body, &at.settings.limits).await?;
    let batch: Batch = serde_json::from_value(given).map_err(|e| {
        let message =
            format!("The body is no {{ \"events\": [{{ \"channels\", \"data\" }}] }}: {e}");
        Refusal::new(400, "invalid_payload", message)
    })?;
    let batch: Vec<(Vec<String>, Value)> = batch
        .events
        .into_iter()
        .map(|Event { channels, data }| match channels {
            Channels::One(one) => (vec![one], data),
            Channels::Many(many) => (many, data),
        })
        .collect();
    let delivered = at.runtime.events().publish_by(&world, &token, &batch)?;
    Ok(json(&value!({ "delivered": delivered })))
}
