//! Calls of methods, for clients: as tools, and as resources.

use super::{
    client::Client,
    message::{Fault, Wanted, failed},
    progress::Progress,
    server::{Server, contents, refused, returned, text},
};
use crate::{
    answer::Refusal,
    api::who,
    context::Context,
    interface::{Declared, declared},
};
use remy_db_runtime::{
    child::{Listener, Silent},
    pool::Cancel,
    runtime::Invoke,
    target::Target,
};
use serde_json::{Map, Value, json as value};
use std::sync::Arc;

/// A call under way: of the app as it is served now, by somebody.
pub(super) struct Calling<'a> {
    at: &'a Context,
    client: &'a Client,
    target: Target,
    progress: Option<Arc<Progress>>,
    cancel: &'a Cancel,
}

/// What calls a method for a client.
pub(super) type Calls = fn(&Calling<'_>, &Server, &Map<String, Value>) -> Result<Value, Fault>;

/// What of MCP calls a method.
pub(super) fn calls(method: &str) -> Option<Calls> {
    match method {
        "tools/call" => Some(call_tool),
        "resources/read" => Some(read_resource),
        _ => None,
    }
}

/// Calls a method, which the client may call off, and which tells it of its progress.
pub(super) async fn call(
    at: &Arc<Context>,
    client: Client,
    Wanted { id, params, .. }: Wanted,
    (calls, progress): (Calls, Option<Progress>),
) -> Result<Value, Fault> {
    let called = at.call(move |at, cancel| {
        let name = client.name(&id);
        let _under_way = name.map(|name| at.mcp.begin(name, cancel));
        if let Some(progress) = &progress {
            progress.parts().begun(cancel);
        }
        let found: Declared<Server> = declared(at, &client.asked, "mcp")?;
        let calling = Calling {
            at,
            client: &client,
            target: found.target,
            progress: progress.map(Arc::new),
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
            origin: self.client.asked.judged.given_origin(),
            target: self.target.clone(),
            who: who(self.at, self.client.token.as_deref(), &self.target)?,
            session: value!({ "channel": "mcp" }),
            stream: self.progress.is_some(),
            may_be_gone: true,
            ..Invoke::new(method, Value::Object(input))
        };
        let listener: Arc<dyn Listener> = match &self.progress {
            Some(progress) => progress.clone(),
            None => Arc::new(Silent),
        };
        let called = self.at.runtime.call(invoke, &listener, self.cancel);
        Ok(called?.output)
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
