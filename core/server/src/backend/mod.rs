//! What methods ask for by HTTP that carry the hosted platform's own SDK. Each asks with the token
//! of its call, and what it may have is what the call may: the same rules answer it that answer
//! methods on their socket.

mod files;
mod query;

use crate::{
    answer::{Refusal, json},
    body,
    context::Context,
};
use axum::{
    Router,
    body::Body,
    extract::State,
    http::{HeaderMap, header},
    response::Response,
    routing::post,
};
use remy_db_runtime::{callbacks::CalledBack, protocol::Request};
use serde_json::{Value, json};
use std::sync::Arc;

/// Below `/_internal/v2`.
pub(crate) fn internal() -> Router<Arc<Context>> {
    Router::new()
        .route("/db/query", post(db))
        .route("/stream-chunk", post(stream))
        .route("/auth/sync-user", post(sync_user))
        .route("/files/{operation}", post(files::files))
}

/// Below `/developer/v2`.
pub(crate) fn developer() -> Router<Arc<Context>> {
    Router::new()
        .route("/helpers/resolve-users", post(resolve_users))
        .fallback(not_supported)
}

async fn db(
    State(at): State<Arc<Context>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let (called, asked) = asked(&at, &headers, body).await?;
    let operations = query::operations(asked)?;
    let wanted = operations.len();
    let replies = ask(&at, called, Request::Database { operations }).await?;
    Ok(json(&query::results(replies, wanted)?))
}

/// A part of the call's answer: a text that is more of it, or data.
async fn stream(
    State(at): State<Arc<Context>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let (called, mut asked) = asked(&at, &headers, body).await?;
    let part = match asked["type"].as_str() {
        Some("token") if asked["text"].is_string() => asked["text"].take(),
        Some("data") => asked["data"].take(),
        _ => {
            let message = "A part is { type: \"token\", text } or { type: \"data\", data }";
            return Err(Refusal::new(400, "invalid_body", message));
        }
    };
    called.part(part);
    Ok(json(&json!({})))
}

/// Roles are read of the app's own table at each call: there is nothing to be told.
async fn sync_user(
    State(at): State<Arc<Context>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    asked(&at, &headers, body).await?;
    Ok(json(&json!({})))
}

async fn resolve_users(
    State(at): State<Arc<Context>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let (called, asked) = asked(&at, &headers, body).await?;
    let Some(ids) = asked["userIds"].as_array() else {
        let message = "The body has no list \"userIds\"";
        return Err(Refusal::new(400, "invalid_body", message));
    };
    let ids = ids.iter().filter_map(Value::as_str).map(str::to_owned);
    let request = Request::ResolveUsers { ids: ids.collect() };
    let users = ask(&at, called, request).await?;
    Ok(json(&json!({ "users": users })))
}

async fn not_supported() -> Refusal {
    let message = "remy has nothing behind this service of the platform";
    Refusal::new(501, "not_supported", message)
}

/// Who asks, and what.
async fn asked(
    at: &Arc<Context>,
    headers: &HeaderMap,
    body: Body,
) -> Result<(Arc<CalledBack>, Value), Refusal> {
    let called = called(at, headers)?;
    let asked = body::read(body, &at.settings.limits).await?;
    Ok((called, asked))
}

/// Who asks, by the token of its call.
fn called(at: &Context, headers: &HeaderMap) -> Result<Arc<CalledBack>, Refusal> {
    let token = headers.get(header::AUTHORIZATION);
    let token = token
        .and_then(|token| token.to_str().ok())
        .unwrap_or_default();
    // What is internal is asked with the token alone, all else with a `Bearer` before it.
    let token = token.strip_prefix("Bearer ").unwrap_or(token).trim();
    at.runtime.called_back(token).ok_or_else(|| {
        let message = "This is asked for by a call of a method, with its token";
        Refusal::new(401, "invalid_token", message)
    })
}

async fn ask(
    at: &Arc<Context>,
    called: Arc<CalledBack>,
    request: Request,
) -> Result<Value, Refusal> {
    at.call_back(move |_| Ok(called.ask(request)?)).await
}
