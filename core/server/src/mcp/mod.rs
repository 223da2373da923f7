//! The app for agents of others: `POST /_/mcp`, the Model Context Protocol over "streamable HTTP".
//!
//! A request is answered with JSON, or in parts where the client asks for its progress. Nothing is kept
//! between two, and nothing is said by the server itself: so there is nothing to `GET` or to `DELETE`.

mod call;
mod client;
mod message;
mod progress;
mod server;
pub(crate) mod under_way;
mod uri;

use crate::{
    answer::{Refusal, json},
    api::who,
    asked::Asked,
    body,
    context::Context,
    interface::{Declared, declared},
    methods::stream::concluded,
    token,
};
use axum::{
    Extension,
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use call::{call, calls};
use client::{Client, SESSION};
use message::{Fault, Message, Wanted, failed};
use progress::Progress;
use serde_json::{Map, Value, json as value};
use server::{Server, VERSIONS, has_batches};
use std::sync::Arc;

/// What a client sends as it begins.
const BEGINS: &str = "initialize";

/// The most messages at once.
const BATCH: usize = 50;

pub(crate) async fn called(
    State(at): State<Arc<Context>>,
    Extension(asked): Extension<Asked>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let client = Client::of(asked, &headers);
    // Before any of the body is read: whether there is such an interface, and the key is one.
    let known = client.clone();
    let known = at.read(move |at| {
        let found: Declared<Server> = declared(at, &known.asked, "mcp")?;
        who(at, known.token.as_deref(), &found.target).map(drop)
    });
    if let Err(refusal) = known.await {
        return Ok(unauthorized(refusal));
    }
    let bytes = body::bytes(body, &at.settings.limits).await?;
    let body = match body::parse(&bytes) {
        Ok(body) => body,
        Err(refusal) => return Ok(wrong(&Fault::not_json(refusal.message))),
    };
    Ok(match body {
        Value::Array(all) => match batch(&client.version, &all) {
            Ok(()) => several(&at, client, &all).await,
            Err(fault) => wrong(&fault),
        },
        one => match read(&at, &client, &one) {
            Ok(Some(wanted)) => alone(&at, client, wanted).await,
            Ok(None) => StatusCode::ACCEPTED.into_response(),
            Err(fault) => wrong(&fault),
        },
    })
}

/// A client that is refused for its key may ask somebody for another.
fn unauthorized(refusal: Refusal) -> Response {
    let is_key = refusal.status == StatusCode::UNAUTHORIZED;
    let mut response = refusal.into_response();
    if is_key {
        let bearer = HeaderValue::from_static("Bearer");
        response
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, bearer);
    }
    response
}

/// The answer to what is no message, or nobody knows which.
fn wrong(fault: &Fault) -> Response {
    (StatusCode::BAD_REQUEST, json(&fault.answer(&Value::Null))).into_response()
}

/// A request. Nothing, where nobody waits for an answer: what such a message says is done.
fn read(at: &Context, client: &Client, message: &Value) -> Result<Option<Wanted>, Fault> {
    let wanted = match Message::read(message)? {
        Message::Request(wanted) => wanted,
        Message::Cancelled(id) => {
            if let Some(name) = client.name(&id) {
                at.mcp.cancel(&name);
            }
            return Ok(None);
        }
        Message::Told => return Ok(None),
    };
    // Who begins cannot know yet what is spoken here.
    if wanted.method != BEGINS && !client.is_understood() {
        let (version, spoken) = (&client.version, VERSIONS.join(", "));
        return Err(Fault::no_request(format!(
            "The protocol version {version} is not spoken here: {spoken} are"
        )));
    }
    Ok(Some(wanted))
}

/// Refuses several messages where the protocol has no such thing.
fn batch(version: &str, all: &[Value]) -> Result<(), Fault> {
    let is_first = |it: &Value| it["method"] == BEGINS;
    match () {
        () if !has_batches(version) => Err(Fault::no_request(format!(
            "Version {version} of the protocol has no batches"
        ))),
        () if all.is_empty() || all.len() > BATCH => Err(Fault::no_request(format!(
            "A batch has 1 to {BATCH} messages, and not {}",
            all.len()
        ))),
        () if all.iter().any(is_first) => Err(Fault::no_request(format!("{BEGINS} comes alone"))),
        () => Ok(()),
    }
}

/// Answers a request: in parts, where the client has asked for its progress and takes that.
async fn alone(at: &Arc<Context>, client: Client, wanted: Wanted) -> Response {
    let token = match progress::token(&wanted.params) {
        Ok(token) => token,
        Err(fault) => return json(&fault.answer(&wanted.id)),
    };
    let is_told = client.takes_events && calls(&wanted.method).is_some();
    if let Some(token) = token.filter(|_| is_told) {
        let (at, limits) = (Arc::clone(at), at.settings.limits);
        let work = |parts| async move {
            let progress = Progress::new(token, parts);
            answer(&at, client, wanted, Some(progress)).await
        };
        return concluded(limits, work).await;
    }
    let begins = wanted.method == BEGINS;
    let answer = answer(at, client, wanted, None).await;
    let mut response = json(&answer);
    if begins && answer["result"].is_object() {
        let session = token::new("mcp_").ok();
        let session = session.and_then(|it| HeaderValue::try_from(it).ok());
        response
            .headers_mut()
            .extend(session.map(|it| (SESSION, it)));
    }
    response
}

/// Answers one after the other.
async fn several(at: &Arc<Context>, client: Client, all: &[Value]) -> Response {
    let client = client.of_several();
    let mut answers = Vec::new();
    for message in all {
        let client = client.clone();
        match read(at, &client, message) {
            Ok(Some(wanted)) => answers.push(answer(at, client, wanted, None).await),
            Ok(None) => {}
            Err(fault) => answers.push(fault.answer(&message["id"])),
        }
    }
    match answers.is_empty() {
        true => StatusCode::ACCEPTED.into_response(),
        false => json(&answers),
    }
}

async fn answer(
    at: &Arc<Context>,
    client: Client,
    wanted: Wanted,
    progress: Option<Progress>,
) -> Value {
    let id = wanted.id.clone();
    let result = match calls(&wanted.method) {
        Some(calls) => call(at, client, wanted, (calls, progress)).await,
        None => {
            let told = at.read(move |at| Ok(tell(at, &client, &wanted.method, &wanted.params)));
            told.await.unwrap_or_else(|refusal| Err(failed(&refusal)))
        }
    };
    match result {
        Ok(result) => value!({ "jsonrpc": "2.0", "id": id, "result": result }),
        Err(fault) => fault.answer(&id),
    }
}

/// What is answered without a method.
fn tell(
    at: &Context,
    client: &Client,
    method: &str,
    params: &Map<String, Value>,
) -> Result<Value, Fault> {
    let declared = || declared::<Server>(at, &client.asked, "mcp").map_err(|e| failed(&e));
    Ok(match method {
        "ping" => value!({}),
        BEGINS => {
            let found = declared()?;
            let release = found.release.map(|id| id.to_string()).unwrap_or_default();
            found.interface.initialized(params, &release)
        }
        "tools/list" => declared()?.interface.tools(),
        "resources/list" => declared()?.interface.resources(),
        "resources/templates/list" => declared()?.interface.templates(),
        "prompts/list" => declared()?.interface.prompts(),
        "prompts/get" => declared()?.interface.prompt(params)?,
        other => return Err(Fault::no_method(other)),
    })
}
