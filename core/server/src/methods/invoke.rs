//! A page calls a method.

use super::stream::streamed;
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
    http::HeaderMap,
    response::Response,
};
use remy_db_runtime::{
    child::{Listener, Silent},
    pool::Cancel,
    runtime::{Invoke, Returned},
    who::Who,
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

#[derive(Deserialize)]
pub(crate) struct Method {
    id: String,
}

/// A call, as it was asked for.
struct Wanted {
    asked: Asked,
    token: Option<String>,
    method: String,
    input: Value,
    stream: bool,
}

pub(crate) async fn invoke(
    State(at): State<Arc<Context>>,
    Extension(asked): Extension<Asked>,
    Path(Method { id }): Path<Method>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let (input, stream) = input(body::read(body, &at.settings.limits).await?)?;
    let wanted = Wanted {
        asked,
        token: bearer(&headers).map(str::to_owned),
        method: id,
        input,
        stream,
    };
    if stream {
        let called = |at: &Context, listener: &Arc<dyn Listener>, cancel: &Cancel| {
            Ok(call(at, wanted, listener, cancel)?.1.output)
        };
        return streamed(at, called).await;
    }
    let called = at.call(move |at, cancel| {
        let listener: Arc<dyn Listener> = Arc::new(Silent);
        let (method, returned) = call(at, wanted, &listener, cancel)?;
        Ok((method, at.release(returned.release), returned))
    });
    let (method, release, returned) = called.await?;
    Ok(json(&json!({
        "output": returned.output,
        "$releaseId": release,
        "$methodId": method,
        "$durationMs": returned.duration_ms,
    })))
}

/// What a method gets, and whether its answer is to come in parts.
fn input(body: Value) -> Result<(Value, bool), Refusal> {
    let wrong = |message| Err(Refusal::new(400, "invalid_body", message));
    let Value::Object(mut body) = body else {
        return wrong("The body is no object: { \"input\": …, \"stream\"?: true }");
    };
    let stream = match body.get("stream") {
        None | Some(Value::Null) => false,
        Some(Value::Bool(stream)) => *stream,
        Some(_) => return wrong("\"stream\" is neither true nor false"),
    };
    let input = body.remove("input").unwrap_or_else(|| json!({}));
    Ok((input, stream))
}

/// Calls it, as whoever the page is known as.
fn call(
    at: &Context,
    wanted: Wanted,
    listener: &Arc<dyn Listener>,
    cancel: &Cancel,
) -> Result<(String, Returned), Refusal> {
    let target = at.target(&wanted.asked.judged.place)?;
    let session = at.sessions.find(wanted.token.as_deref(), &target)?;
    let invoke = Invoke {
        id: Some(wanted.asked.id),
        origin: wanted.asked.judged.given_origin(),
        target,
        who: Who {
            user: session.user,
            roles: None,
        },
        session: json!({ "channel": "web", "visitorId": session.visitor }),
        stream: wanted.stream,
        may_be_gone: true,
        ..Invoke::new(&wanted.method, wanted.input)
    };
    let returned = at.runtime.call(invoke, listener, cancel)?;
    Ok((wanted.method, returned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_gets_what_is_said_or_an_empty_object() {
        let fine = |body| input(body).unwrap();
        assert_eq!(fine(json!({})), (json!({}), false));
        assert_eq!(
            fine(json!({ "input": null, "stream": true })),
            (Value::Null, true)
        );
        assert_eq!(
            fine(json!({ "input": [1], "stream": null })),
            (json!([1]), false)
        );
        for wrong in [json!([]), json!("x"), json!({ "stream": 1 })] {
            assert_eq!(input(wrong).unwrap_err().code, "invalid_body");
        }
    }
}
