//! The table of routes: all of them, in both spellings. What pages call as `/_/REST`, the hosted
//! platform's own tools call as `/_internal/v2/apps/{app}/REST`.

use crate::{
    agent,
    answer::Refusal,
    api,
    asked::{Asked, admit},
    backend, bots,
    context::Context,
    dev::{changes, page},
    events, files, inbox, login, mcp,
    methods::invoke,
    operation::health,
    page::{serve, telemetry},
    webhook,
};
use axum::{
    Extension, Router,
    extract::{Path, Request, State},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse as _, Response},
    routing::{any, get, post},
};
use remy_db_runtime::users::By::{self, Email, Phone};
use serde::Deserialize;
use std::sync::Arc;

pub(crate) fn all(at: &Arc<Context>) -> Router {
    let of_app = from_fn_with_state(Arc::clone(at), is_app);
    let pages = match at.dev {
        Some(_) => any(page::serve),
        None => any(serve::serve),
    };
    let of_webhooks = any(webhook::called).layer(of_app.clone());
    Router::new()
        .nest("/_", called())
        .nest("/_internal/v2/apps/{app}", called().route_layer(of_app))
        .route("/_internal/v2/webhook/{app}/{*secret}", of_webhooks)
        .nest("/_internal/v2", backend::internal())
        .nest("/developer/v2", backend::developer())
        .route("/_internal/{*rest}", any(nothing))
        .fallback_service(pages.with_state(Arc::clone(at)))
        .layer(from_fn_with_state(Arc::clone(at), admit))
        .with_state(Arc::clone(at))
}

/// What pages and programs call.
fn called() -> Router<Arc<Context>> {
    Router::new()
        .route("/methods/{id}/invoke", post(invoke::invoke))
        .merge(signs_in("email", Email))
        .merge(signs_in("sms", Phone))
        .merge(changes("email", Email))
        .merge(changes("phone", Phone))
        .route("/auth/me", get(login::me))
        .route("/auth/logout", post(login::logout))
        .route("/auth/api-key/create", post(login::create))
        .route("/auth/api-key/revoke", post(login::revoke))
        .route("/api", get(api::shown).fallback(api::called))
        .route(
            "/api/openapi.json",
            get(api::described).fallback(api::called),
        )
        .route("/api/{*path}", any(api::called))
        .route("/webhook/{*secret}", any(webhook::called))
        .route("/mcp", post(mcp::called))
        .route("/generate-upload-request", post(files::ask))
        .route("/upload", post(files::take))
        .route("/files/{access}/{store}/{*key}", get(files::get))
        .merge(talks())
        .route("/discord", post(bots::discord::called))
        .route("/telegram", post(bots::telegram::called))
        .route("/email", post(inbox::called))
        .route("/events", get(events::listen).post(events::publish))
        .route("/dev/changes", get(changes::changes))
        .route("/health", get(health::health))
        .route("/telemetry/{kind}", post(telemetry::count))
        .route("/telemetry/presence", get(telemetry::presence))
        .fallback(nothing)
        .method_not_allowed_fallback(not_so)
}

/// How people talk to the app's agent.
fn talks() -> Router<Arc<Context>> {
    let one = get(agent::get).patch(agent::rename).delete(agent::delete);
    Router::new()
        .route("/agent/threads", get(agent::list).post(agent::begin))
        .route("/agent/threads/claim", post(agent::claim_all))
        .route("/agent/threads/{id}", one)
        .route("/agent/threads/{id}/claim", post(agent::claim))
        .route("/agent/threads/{id}/messages", post(agent::say))
        .route("/agent/threads/{id}/tool-results", post(agent::result))
}

/// How somebody signs in by a code.
fn signs_in(name: &str, by: By) -> Router<Arc<Context>> {
    let send = post(move |page| login::send(by, page));
    let verify = post(move |page| login::verify(by, page));
    Router::new()
        .route(&format!("/auth/{name}/send"), send)
        .route(&format!("/auth/{name}/verify"), verify)
}

/// How a user takes another address.
fn changes(name: &str, by: By) -> Router<Arc<Context>> {
    let change = post(move |page| login::change(by, page));
    let confirm = post(move |page| login::confirm(by, page));
    Router::new()
        .route(&format!("/auth/{name}/change"), change)
        .route(&format!("/auth/{name}/change/confirm"), confirm)
}

#[derive(Deserialize)]
struct App {
    app: String,
}

/// Refuses the id of another app.
async fn is_app(
    State(at): State<Arc<Context>>,
    Extension(asked): Extension<Asked>,
    Path(App { app }): Path<App>,
    request: Request,
    next: Next,
) -> Response {
    let is_it = at.read(move |at| {
        let target = at.target(&asked.judged.place)?;
        let (_, served) = at.runtime.serving(&target)?;
        Ok(served.id() == app)
    });
    match is_it.await {
        Ok(true) => next.run(request).await,
        Ok(false) => Refusal::not_found().into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

async fn nothing() -> Refusal {
    Refusal::not_found()
}

async fn not_so() -> Refusal {
    Refusal::new(
        405,
        "method_not_allowed",
        "This is not asked for by that HTTP method",
    )
}
