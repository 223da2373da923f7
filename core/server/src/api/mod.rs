//! The app's own HTTP API: `/_/api`, its description, and a page of that.

mod page;
mod routes;

use crate::{
    answer::{Refusal, json},
    asked::{Asked, bearer, takes_events},
    context::Context,
    inbound::{Inbound, body_of, is_json},
    methods::stream::streamed,
};
use axum::{
    Extension,
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderValue, Method, Uri, header},
    response::{Html, IntoResponse as _, Response},
};
use remy_db_runtime::{
    child::{Listener, Silent},
    pool::Cancel,
    runtime::Invoke,
    target::Target,
    who::Who,
};
use routes::{Api, Matched, NoRoute};
use serde_json::{Map, Value, json};
use std::{fs, path::PathBuf, sync::Arc};

/// The path that all others of it begin with.
const PATH: &str = "/api";

/// Verbs whose requests have a body that is input.
const WITH_BODY: [&str; 3] = ["POST", "PUT", "PATCH"];

/// What a program calls it by, and this server alone needs to know.
const OWN: [&str; 2] = ["authorization", "cookie"];

/// What is asked of an API.
struct Wanted {
    asked: Asked,
    token: Option<String>,
    path: String,
    inbound: Inbound,
}

/// What is to be called, and by whom.
struct Call {
    target: Target,
    handler: String,
    who: Who,
    input: Value,
    request: Value,
}

pub(crate) async fn called(
    State(at): State<Arc<Context>>,
    Extension(asked): Extension<Asked>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let inbound = Inbound::read((&method, &uri, &headers), body, &at.settings.limits).await?;
    let wanted = Wanted {
        asked,
        token: bearer(&headers).map(str::to_owned),
        path: uri.path().strip_prefix(PATH).unwrap_or_default().to_owned(),
        inbound,
    };
    let wants_stream = takes_events(&headers);
    let (id, origin) = (wanted.asked.id.clone(), wanted.asked.judged.given_origin());
    let call = at.read(move |at| prepared(at, &wanted)).await;
    let call = match call {
        Ok(Ok(call)) => call,
        Ok(Err(answer)) => return Ok(answer),
        Err(refusal) => return Err(refusal),
    };
    let made = move |at: &Context, listener: &Arc<dyn Listener>, cancel: &Cancel| {
        let invoke = Invoke {
            id: Some(id),
            origin,
            target: call.target,
            who: call.who,
            session: json!({ "channel": "api" }),
            request: Some(call.request),
            stream: wants_stream,
            may_be_gone: true,
            ..Invoke::new(&call.handler, call.input)
        };
        Ok(at.runtime.call(invoke, listener, cancel)?.output)
    };
    if wants_stream {
        return streamed(at, made).await;
    }
    let output = at.call(move |at, cancel| {
        let silent: Arc<dyn Listener> = Arc::new(Silent);
        made(at, &silent, cancel)
    });
    Ok(json(&output.await?))
}

/// What is to be called; or an answer, where nothing is.
fn prepared(at: &Context, wanted: &Wanted) -> Result<Result<Call, Response>, Refusal> {
    let (kept, target) = kept(at, &wanted.asked)?;
    let api = Api::read(&kept)?.ok_or_else(Refusal::not_found)?;
    let matched = match api.find(&wanted.inbound.method, &wanted.path) {
        Ok(matched) => matched,
        Err(NoRoute::Nowhere) => return Err(Refusal::not_found()),
        Err(NoRoute::Refused(refusal)) => return Err(refusal),
        Err(NoRoute::Other(verbs)) => {
            let verbs = Vec::from_iter(verbs).join(", ");
            let message = format!("This is asked for by {verbs}");
            let mut answer = Refusal::new(405, "method_not_allowed", message).into_response();
            if let Ok(verbs) = HeaderValue::from_str(&verbs) {
                answer.headers_mut().insert(header::ALLOW, verbs);
            }
            return Ok(Err(answer));
        }
    };
    let request = request(&wanted.inbound);
    Ok(Ok(Call {
        who: who(at, wanted.token.as_deref(), &target)?,
        handler: matched.route.handler.clone(),
        input: input(&wanted.inbound, &matched, &request)?,
        request,
        target,
    }))
}

/// The folder that is kept with what is served.
fn kept(at: &Context, asked: &Asked) -> Result<(PathBuf, Target), Refusal> {
    let target = at.target(&asked.judged.place)?;
    let (_, app) = at.runtime.serving(&target)?;
    Ok((app.kept.clone(), target))
}

/// Who calls: whoever the key is of, or nobody, where none is given.
pub(crate) fn who(at: &Context, token: Option<&str>, target: &Target) -> Result<Who, Refusal> {
    let user = match token {
        None => None,
        Some(key) => {
            let user = at.keys.user(key, target)?;
            let message = "The key is none of this app's, or was revoked";
            Some(user.ok_or_else(|| Refusal::new(401, "invalid_key", message))?)
        }
    };
    Ok(Who { user, roles: None })
}

/// What the request is, for a method that wants to know.
fn request(inbound: &Inbound) -> Value {
    json!({
        "method": inbound.method,
        "headers": inbound.headers(&OWN),
        "rawBody": inbound.text(),
    })
}

/// What the method gets: the query, what the body says over that, what the path says over both, and
/// the request itself, which none of them can forge.
fn input(inbound: &Inbound, matched: &Matched<'_>, request: &Value) -> Result<Value, Refusal> {
    let mut input = Map::new();
    if let Value::Object(query) = inbound.query() {
        for (name, value) in query {
            let value = match value {
                Value::String(text) => matched.route.value(&name, &text),
                other => other,
            };
            input.insert(name, value);
        }
    }
    let has_body = WITH_BODY.contains(&inbound.method.as_str()) && !inbound.raw.is_empty();
    if has_body {
        input.extend(body(inbound)?);
    }
    for (name, text) in &matched.params {
        input.insert(name.clone(), matched.route.value(name, text));
    }
    input.insert("_request".to_owned(), request.clone());
    Ok(Value::Object(input))
}

/// What the body says: an object of JSON. It counts as one whatever it is said to be, as `curl -d`
/// says of all that it is a form; what is neither said to be one nor is one has only the method that
/// looks at the request.
fn body(inbound: &Inbound) -> Result<Map<String, Value>, Refusal> {
    match body_of(inbound) {
        Ok(Value::Object(body)) => Ok(body),
        _ if !is_json(inbound) => Ok(Map::new()),
        Ok(_) => {
            let message = "The body is no object of JSON: its members are the method's input";
            Err(Refusal::new(400, "invalid_body", message))
        }
        Err(refusal) => Err(refusal),
    }
}

/// The description of the API, with where it is served.
pub(crate) async fn described(
    State(at): State<Arc<Context>>,
    Extension(asked): Extension<Asked>,
) -> Result<Response, Refusal> {
    Ok(json(&at.read(move |at| document(at, &asked)).await?))
}

fn document(at: &Context, asked: &Asked) -> Result<Value, Refusal> {
    let (kept, _) = kept(at, asked)?;
    let path = kept.join("interfaces/openapi.json");
    let text = fs::read(&path).map_err(|_| Refusal::not_found())?;
    let mut document: Value = serde_json::from_slice(&text)
        .map_err(|e| Refusal::internal(format!("{} is no JSON: {e}", path.display())))?;
    // Relative: to whatever host this was asked for on.
    document["servers"] = json!([{ "url": "/_/api" }]);
    Ok(document)
}

/// The description, for people.
pub(crate) async fn shown(
    State(at): State<Arc<Context>>,
    Extension(asked): Extension<Asked>,
) -> Result<Response, Refusal> {
    let document = at.read(move |at| document(at, &asked)).await?;
    let policy = "default-src 'none'; style-src 'unsafe-inline'";
    let headers = [(header::CONTENT_SECURITY_POLICY, policy)];
    Ok((headers, Html(page::of(&document))).into_response())
}
