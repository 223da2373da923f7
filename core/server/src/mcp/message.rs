//! Messages of JSON-RPC 2.0, as MCP has them.

use crate::answer::Refusal;
use serde_json::{Map, Value, json};

/// Why a request is not answered as was asked.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Fault {
    code: i64,
    message: String,
    /// Our own code of what went wrong.
    data: Option<String>,
}

impl Fault {
    pub fn not_json(message: impl Into<String>) -> Self {
        Self::new(-32700, message)
    }

    /// It is no message, or none of this place.
    pub fn no_request(message: impl Into<String>) -> Self {
        Self::new(-32600, message)
    }

    pub fn no_method(method: &str) -> Self {
        Self::new(-32601, format!("There is no method {method} here"))
    }

    pub fn params(message: impl Into<String>) -> Self {
        Self::new(-32602, message)
    }

    pub fn no_resource(uri: &str) -> Self {
        Self::new(-32002, format!("There is no resource {uri}"))
    }

    /// What was asked for has failed, with a code of ours or of a method's.
    pub fn failed(message: impl Into<String>, code: &str) -> Self {
        let data = Some(code.to_owned());
        Self {
            data,
            ..Self::new(-32603, message)
        }
    }

    fn new(code: i64, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            data: None,
        }
    }

    /// The answer to a request; one without an id is to nobody knows which.
    pub fn answer(&self, id: &Value) -> Value {
        let mut error = json!({ "code": self.code, "message": self.message });
        if let Some(code) = &self.data {
            error["data"] = json!({ "code": code });
        }
        json!({ "jsonrpc": "2.0", "id": id, "error": error })
    }
}

/// What a method is not called for, or has not returned.
pub(super) fn failed(refusal: &Refusal) -> Fault {
    Fault::failed(&*refusal.message, &refusal.code)
}

/// A request.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Wanted {
    /// A text or a number.
    pub id: Value,
    pub method: String,
    pub params: Map<String, Value>,
}

/// What somebody sends.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Message {
    Request(Wanted),
    /// Nobody waits any more for the answer to the request of this id.
    Cancelled(Value),
    /// Nobody waits for an answer: a notification, or itself an answer.
    Told,
}

impl Message {
    pub fn read(value: &Value) -> Result<Self, Fault> {
        let wrong = |why: &str| Err(Fault::no_request(format!("The body is no message: {why}")));
        let Some(fields) = value.as_object() else {
            return wrong("it is no object");
        };
        if fields.get("jsonrpc").and_then(Value::as_str) != Some("2.0") {
            return wrong("\"jsonrpc\" is not \"2.0\"");
        }
        let Some(method) = fields.get("method") else {
            let is_answer = fields.contains_key("result") || fields.contains_key("error");
            return match is_answer {
                true => Ok(Self::Told),
                false => wrong("it has no \"method\""),
            };
        };
        let Some(method) = method.as_str() else {
            return wrong("\"method\" is no text");
        };
        let Some(id) = fields.get("id") else {
            let of = fields.get("params").map(|params| &params["requestId"]);
            // What names no request is not looked at, as the protocol says.
            let of = of.filter(|id| method == "notifications/cancelled" && is_id(id));
            return Ok(of.map_or(Self::Told, |id| Self::Cancelled(id.clone())));
        };
        if !is_id(id) {
            return wrong("\"id\" is neither a text nor a number");
        }
        let params = match fields.get("params") {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(params)) => params.clone(),
            Some(_) => return wrong("\"params\" is no object"),
        };
        Ok(Self::Request(Wanted {
            id: id.clone(),
            method: method.to_owned(),
            params,
        }))
    }
}

fn is_id(value: &Value) -> bool {
    value.is_string() || value.is_number()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_a_request_or_nobody_waits_for_an_answer() {
        let request = json!({ "jsonrpc": "2.0", "id": "a", "method": "ping" });
        assert_eq!(
            Message::read(&request),
            Ok(Message::Request(Wanted {
                id: "a".into(),
                method: "ping".to_owned(),
                params: Map::new(),
            }))
        );
        let cancelled = |params: Value| {
            let method = "notifications/cancelled";
            json!({ "jsonrpc": "2.0", "method": method, "params": params })
        };
        for id in [json!(7), json!("a")] {
            let message = cancelled(json!({ "requestId": id, "reason": "late" }));
            assert_eq!(Message::read(&message), Ok(Message::Cancelled(id)));
        }
        for told in [
            json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }),
            json!({ "jsonrpc": "2.0", "id": 1, "result": {} }),
            json!({ "jsonrpc": "2.0", "method": "notifications/other", "params": { "requestId": 7 } }),
            json!({ "jsonrpc": "2.0", "method": "notifications/cancelled" }),
            cancelled(json!({})),
            cancelled(json!([7])),
            cancelled(json!({ "requestId": null })),
            cancelled(json!({ "requestId": [7] })),
        ] {
            assert_eq!(Message::read(&told), Ok(Message::Told), "{told}");
        }
        for wrong in [
            json!(1),
            json!({}),
            json!({ "jsonrpc": "1.0", "id": 1, "method": "ping" }),
            json!({ "jsonrpc": "2.0", "id": 1 }),
            json!({ "jsonrpc": "2.0", "id": null, "method": "ping" }),
            json!({ "jsonrpc": "2.0", "id": [1], "method": "ping" }),
            json!({ "jsonrpc": "2.0", "id": 1, "method": 2 }),
            json!({ "jsonrpc": "2.0", "id": 1, "method": "ping", "params": [] }),
        ] {
            assert_eq!(Message::read(&wrong).unwrap_err().code, -32600, "{wrong}");
        }
    }
}
