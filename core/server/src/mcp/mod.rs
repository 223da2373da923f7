//! The app for agents of others: `POST /_/mcp`, the Model Context Protocol over "streamable HTTP".
//!
//! A request is answered with JSON, and nothing is kept between two: there is no session, nothing
//! that the server would say by itself, and so nothing to `GET` or to `DELETE`.

mod message;
mod server;
mod uri;

use crate::{
    answer::{Refusal, json},
    api::who,
    asked::{Asked, bearer},
    body,
    context::Context,
    interface::{Declared, declared},
};
use axum::{
    Extension,
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use message::{Fault, Message};
use remy_db_runtime::{
    child::{Listener, Silent},
    pool::Cancel,
    runtime::Invoke,
    target::Target,
};
use serde_json::{Map, Value, json as value};
use server::{Server, VERSIONS, contents, has_batches, refused, returned, text};
use std::sync::Arc;

const VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");

/// What is spoken by who does not say so.
const UNSAID: &str = "2025-03-26";

/// The most messages at once.
const BATCH: usize = 50;

/// Who asks, and in which version of the protocol.
#[derive(Clone)]
struct Client {
    asked: Asked,
    token: Option<String>,
    version: String,
    /// Whether what is called has the request's own id; of several, none has.
    is_only: bool,
}

/// A request.
struct Wanted {
    id: Value,
    method: String,
    params: Map<String, Value>,
}

pub(crate) async fn called(
    State(at): State<Arc<Context>>,
    Extension(asked): Extension<Asked>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let client = Client {
        asked,
        token: bearer(&headers).map(str::to_owned),
        version: version(&headers),
        is_only: true,
    };
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
        one => match read(&client.version, &one) {
            Ok(Some(wanted)) => json(&answer(&at, client, wanted).await),
            Ok(None) => StatusCode::ACCEPTED.into_response(),
            Err(fault) => wrong(&fault),
        },
    })
}

/// The version of the protocol that a client says it speaks.
fn version(headers: &HeaderMap) -> String {
    let said = headers.get(VERSION).map(HeaderValue::as_bytes);
    said.map_or(UNSAID.into(), String::from_utf8_lossy).into()
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

/// A message; nothing, where nobody waits for an answer.
fn read(version: &str, message: &Value) -> Result<Option<Wanted>, Fault> {
    let (id, method, params) = match Message::read(message)? {
        Message::Told => return Ok(None),
        Message::Request { id, method, params } => (id, method, params),
    };
    // Who begins cannot know yet what is spoken here.
    if method != "initialize" && !VERSIONS.contains(&version) {
        let spoken = VERSIONS.join(", ");
        return Err(Fault::no_request(format!(
            "The protocol version {version} is not spoken here: {spoken} are"
        )));
    }
    Ok(Some(Wanted { id, method, params }))
}

/// Refuses several messages where the protocol has no such thing.
fn batch(version: &str, all: &[Value]) -> Result<(), Fault> {
    let is_first = |it: &Value| it["method"] == "initialize";
    match () {
        () if !has_batches(version) => Err(Fault::no_request(format!(
            "Version {version} of the protocol has no batches"
        ))),
        () if all.is_empty() || all.len() > BATCH => Err(Fault::no_request(format!(
            "A batch has 1 to {BATCH} messages, and not {}",
            all.len()
        ))),
        () if all.iter().any(is_first) => Err(Fault::no_request("initialize comes alone")),
        () => Ok(()),
    }
}

/// Answers one after the other.
async fn several(at: &Arc<Context>, client: Client, all: &[Value]) -> Response {
    let mut answers = Vec::new();
    for message in all {
        let client = Client {
            is_only: false,
            ..client.clone()
        };
        match read(&client.version, message) {
            Ok(Some(wanted)) => answers.push(answer(at, client, wanted).await),
            Ok(None) => {}
            Err(fault) => answers.push(fault.answer(&message["id"])),
        }
    }
    match answers.is_empty() {
        true => StatusCode::ACCEPTED.into_response(),
        false => json(&answers),
    }
}

async fn answer(at: &Arc<Context>, client: Client, wanted: Wanted) -> Value {
    let Wanted { id, method, params } = wanted;
    let result = match method.as_str() {
        "tools/call" => call(at, client, params, call_tool).await,
        "resources/read" => call(at, client, params, read_resource).await,
        _ => {
            let told = at.read(move |at| Ok(tell(at, &client, &method, &params)));
            told.await.unwrap_or_else(|refusal| Err(failed(&refusal)))
        }
    };
    match result {
        Ok(result) => value!({ "jsonrpc": "2.0", "id": id, "result": result }),
        Err(fault) => fault.answer(&id),
    }
}

fn failed(refusal: &Refusal) -> Fault {
    Fault::failed(&*refusal.message, &refusal.code)
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
        "initialize" => {
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

/// A call under way: of the app as it is served now, by somebody.
struct Calling<'a> {
    at: &'a Context,
    client: &'a Client,
    target: Target,
    cancel: &'a Cancel,
}

/// What calls a method for a client.
type Calls = fn(&Calling<'_>, &Server, &Map<String, Value>) -> Result<Value, Fault>;

async fn call(
    at: &Arc<Context>,
    client: Client,
    params: Map<String, Value>,
    calls: Calls,
) -> Result<Value, Fault> {
    let called = at.call(move |at, cancel| {
        let found: Declared<Server> = declared(at, &client.asked, "mcp")?;
        let calling = Calling {
            at,
            client: &client,
            target: found.target,
            cancel,
        };
        Ok(calls(&calling, &found.interface, &params))
    });
    called.await.unwrap_or_else(|refusal| Err(failed(&refusal)))
}

impl Calling<'_> {
    fn method(&self, method: &str, input: Map<String, Value>) -> Result<Value, Refusal> {
        let invoke = Invoke {
            id: self.client.is_only.then(|| self.client.asked.id.clone()),
            target: self.target.clone(),
            who: who(self.at, self.client.token.as_deref(), &self.target)?,
            session: value!({ "channel": "mcp" }),
            may_be_gone: true,
            ..Invoke::new(method, Value::Object(input))
        };
        let silent: Arc<dyn Listener> = Arc::new(Silent);
        Ok(self.at.runtime.call(invoke, &silent, self.cancel)?.output)
    }
}

fn call_tool(
    calling: &Calling<'_>,
    server: &Server,
    params: &Map<String, Value>,
) -> Result<Value, Fault> {
    let method = server.tool(text(params, "name"))?;
    let input = match params.get("arguments") {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(input)) => input.clone(),
        Some(_) => return Err(Fault::params("\"arguments\" is no object")),
    };
    // The model is told, and may do better.
    Ok(match calling.method(method, input) {
        Ok(output) => returned(&output, &calling.client.version),
        Err(refusal) => refused(&refusal.message),
    })
}

fn read_resource(
    calling: &Calling<'_>,
    server: &Server,
    params: &Map<String, Value>,
) -> Result<Value, Fault> {
    let uri = text(params, "uri");
    let resource = server.resource(uri)?;
    let output = calling.method(resource.method, resource.input);
    let output = output.map_err(|refusal| failed(&refusal))?;
    Ok(contents(uri, resource.mime_type, &output))
}
