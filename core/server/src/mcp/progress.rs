//! What a method streams, as progress of the request of a client that has asked for that.

use super::message::Fault;
use crate::methods::stream::Parts;
use remy_db_runtime::child::{self, Listener};
use serde_json::{Map, Value, json};
use std::sync::{Arc, Mutex, PoisonError};

/// Tells a client of each part that a method streams.
pub(super) struct Progress {
    /// What the client knows its request by.
    token: Value,
    /// How many parts there were.
    told: Mutex<u64>,
    parts: Arc<Parts>,
}

/// By what a request asks for progress, if it does.
pub(super) fn token(params: &Map<String, Value>) -> Result<Option<Value>, Fault> {
    let token = params
        .get("_meta")
        .and_then(|meta| meta.get("progressToken"));
    match token {
        None | Some(Value::Null) => Ok(None),
        Some(token) if token.is_string() || token.is_i64() || token.is_u64() => {
            Ok(Some(token.clone()))
        }
        Some(_) => Err(Fault::params(
            "\"progressToken\" is neither a text nor a whole number",
        )),
    }
}

impl Progress {
    pub fn new(token: Value, parts: Arc<Parts>) -> Self {
        Self {
            token,
            told: Mutex::default(),
            parts,
        }
    }

    pub fn parts(&self) -> &Parts {
        &self.parts
    }
}

impl Listener for Progress {
    fn line(&self, _: child::Stream, _: &str) {}

    fn part(&self, data: Value) {
        let message = match data {
            Value::String(text) => text,
            data => data.to_string(),
        };
        // Held until it is told: it counts up for who reads.
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        *told += 1;
        self.parts.event(&json!({
            "jsonrpc": "2.0", "method": "notifications/progress",
            "params": { "progressToken": self.token, "progress": *told, "message": message },
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_asked_for_by_a_text_or_a_whole_number() {
        let of = |asked: Value| {
            let params = json!({ "_meta": { "progressToken": asked } });
            token(params.as_object().unwrap())
        };
        for asked in [json!("a"), json!(0), json!(-1), json!(u64::MAX)] {
            assert_eq!(of(asked.clone()), Ok(Some(asked)));
        }
        assert_eq!(of(Value::Null), Ok(None));
        for wrong in [json!(1.5), json!(true), json!([1]), json!({ "a": 1 })] {
            assert!(of(wrong.clone()).is_err(), "{wrong}");
        }
        for none in [json!({}), json!({ "_meta": 1 }), json!({ "_meta": {} })] {
            assert_eq!(token(none.as_object().unwrap()), Ok(None));
        }
    }
}
