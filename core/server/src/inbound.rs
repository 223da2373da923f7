//! A request of a program's, as methods are told of it.

use crate::{answer::Refusal, body, settings::Limits};
use axum::{
    body::Body,
    http::{HeaderMap, Method, Uri, header},
};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};
use std::borrow::Cow;

/// A request, read to its end.
pub(crate) struct Inbound {
    pub method: String,
    query: String,
    headers: HeaderMap,
    /// The body, as it came.
    pub raw: Vec<u8>,
}

impl Inbound {
    pub async fn read(
        (method, uri, headers): (&Method, &Uri, &HeaderMap),
        body: Body,
        limits: &Limits,
    ) -> Result<Self, Refusal> {
        Ok(Self {
            method: method.as_str().to_owned(),
            query: uri.query().unwrap_or_default().to_owned(),
            headers: headers.clone(),
            raw: body::bytes(body, limits).await?,
        })
    }

    /// The headers by their names in small letters, but for some that are for this server alone.
    /// Values of one name stand behind each other.
    pub fn headers(&self, without: &[&str]) -> Value {
        let mut all = Map::new();
        for name in self
            .headers
            .keys()
            .filter(|name| !without.contains(&name.as_str()))
        {
            let values = self.headers.get_all(name).iter();
            let texts: Vec<Cow<'_, str>> = values
                .map(|value| String::from_utf8_lossy(value.as_bytes()))
                .collect();
            all.insert(name.as_str().to_owned(), texts.join(", ").into());
        }
        Value::Object(all)
    }

    /// What stands behind the `?`.
    pub fn query(&self) -> Value {
        self.form(self.query.as_bytes())
    }

    /// Fields of a form, or of a query: what is there more than once is a list.
    pub fn form(&self, text: &[u8]) -> Value {
        let mut all = Map::new();
        for (name, value) in form_urlencoded::parse(text) {
            let value = Value::from(value);
            match all.get_mut(name.as_ref()) {
                None => drop(all.insert(name.into_owned(), value)),
                Some(Value::Array(values)) => values.push(value),
                Some(first) => *first = Value::Array(vec![first.take(), value]),
            }
        }
        Value::Object(all)
    }

    /// The body as text.
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.raw)
    }

    /// Whether the body is said to be of a type.
    pub fn is(&self, kind: &str) -> bool {
        self.kind().eq_ignore_ascii_case(kind)
    }

    fn kind(&self) -> &str {
        let kind = self.headers.get(header::CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        kind.split(';').next().unwrap_or_default().trim()
    }
}

/// Whether the body is said to be JSON: `application/json`, or a kind of it.
pub(crate) fn is_json(inbound: &Inbound) -> bool {
    let kind = inbound.kind().to_ascii_lowercase();
    kind == "application/json" || kind.starts_with("application/") && kind.ends_with("+json")
}

/// The body, which is JSON.
pub(crate) fn body_of(inbound: &Inbound) -> Result<Value, Refusal> {
    body::parse(&inbound.raw)
}

/// A part of a path, decoded.
pub(crate) fn decoded(part: &str) -> Result<String, Refusal> {
    let text = percent_decode_str(part).decode_utf8();
    text.map(Cow::into_owned)
        .map_err(|_| Refusal::new(400, "invalid_path", "The path is not written in UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn inbound(query: &str, kind: &'static str, raw: &str) -> Inbound {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", kind.parse().unwrap());
        headers.append("x-twice", "a".parse().unwrap());
        headers.append("x-twice", "b".parse().unwrap());
        headers.append("cookie", "__ms_auth=1".parse().unwrap());
        Inbound {
            method: "POST".to_owned(),
            query: query.to_owned(),
            headers,
            raw: raw.as_bytes().to_vec(),
        }
    }

    #[test]
    fn a_query_is_texts_and_lists_of_them() {
        let of = |query| inbound(query, "", "").query();
        assert_eq!(of(""), json!({}));
        assert_eq!(
            of("a=1&b=x+y%26&c"),
            json!({ "a": "1", "b": "x y&", "c": "" })
        );
        assert_eq!(of("a=1&a=2&a=3"), json!({ "a": ["1", "2", "3"] }));
        assert_eq!(of("__proto__=x"), json!({ "__proto__": "x" }));
        assert_eq!(of("%ff=%zz"), json!({ "\u{fffd}": "%zz" }));
    }

    #[test]
    fn what_a_body_is_said_to_be() {
        for kind in [
            "application/json",
            "Application/JSON; charset=utf-8",
            "application/problem+json",
        ] {
            assert!(is_json(&inbound("", kind, "")), "{kind}");
        }
        for kind in ["", "text/plain", "text/json+x", "application/jsonp"] {
            assert!(!is_json(&inbound("", kind, "")), "{kind}");
        }
    }

    #[test]
    fn headers_are_named_in_small_letters_and_those_of_the_server_are_kept_back() {
        let headers = inbound("", "text/plain", "").headers(&["cookie"]);
        assert_eq!(
            headers,
            json!({ "content-type": "text/plain", "x-twice": "a, b" })
        );
    }
}
