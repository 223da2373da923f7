//! Bodies of JSON: how large, how slow, how deep they may be, and what of them is refused.

use crate::{answer::Refusal, settings::Limits};
use axum::body::Body;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value};
use std::fmt;

/// Reads a body of JSON; one that is empty is `{}`.
pub(crate) async fn read(body: Body, limits: &Limits) -> Result<Value, Refusal> {
    let bytes = bytes(body, limits).await?;
    match bytes.iter().all(u8::is_ascii_whitespace) {
        true => Ok(Value::Object(Map::new())),
        false => parse(&bytes),
    }
}

/// Reads a body as it is.
pub(crate) async fn bytes(body: Body, limits: &Limits) -> Result<Vec<u8>, Refusal> {
    let whole = Limited::new(body, limits.body_bytes).collect();
    let read = tokio::time::timeout(limits.body, whole).await;
    let Ok(read) = read else {
        let message = format!("The body did not come within {} s", limits.body.as_secs());
        return Err(Refusal::new(408, "body_too_slow", message));
    };
    match read {
        Ok(body) => Ok(body.to_bytes().into()),
        Err(e) if e.is::<LengthLimitError>() => Err(Refusal::new(
            413,
            "body_too_large",
            format!("The body is larger than {} MiB", limits.body_bytes >> 20),
        )),
        Err(e) => {
            let message = format!("The body cannot be read to its end: {e}");
            Err(Refusal::new(400, "invalid_body", message))
        }
    }
}

/// JSON that means one thing: of two members of one name, one reader would take the first and
/// another the last. It is at most 128 deep, as `serde_json` has it.
pub(crate) fn parse(bytes: &[u8]) -> Result<Value, Refusal> {
    serde_json::from_slice(bytes)
        .map(|Strict(value)| value)
        .map_err(|e| Refusal::new(400, "invalid_json", format!("The body is no JSON: {e}")))
}

/// A value whose objects have each name once.
struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Any.deserialize(from).map(Self)
    }
}

struct Any;

impl<'de> DeserializeSeed<'de> for Any {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Any {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut all = Vec::new();
        while let Some(item) = items.next_element_seed(Any)? {
            all.push(item);
        }
        Ok(all.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut all = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            if all.contains_key(&name) {
                return Err(A::Error::custom(format_args!(
                    "two members are called {name:?}"
                )));
            }
            let value = members.next_value_seed(Any)?;
            all.insert(name, value);
        }
        Ok(all.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn json_is_read_as_it_is() {
        let text = r#"{"a":[1,-2,3.5,1e3,true,null,"ü\n"],"b":{"c":{}},"d":18446744073709551615}"#;
        assert_eq!(
            parse(text.as_bytes()).unwrap(),
            serde_json::from_str::<Value>(text).unwrap()
        );
        assert_eq!(parse(b"[]").unwrap(), json!([]));
    }

    #[test]
    fn what_means_two_things_or_nothing_is_refused() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        for wrong in [
            r#"{"a":1,"a":1}"#,
            r#"{"x":[{"b":1,"\u0062":2}]}"#,
            "{\"a\":",
            "{} {}",
            "{'a':1}",
            "NaN",
            "\u{feff}{}",
            &deep,
        ] {
            let refused = parse(wrong.as_bytes()).unwrap_err();
            let start: String = wrong.chars().take(20).collect();
            assert_eq!(
                (refused.status.as_u16(), refused.code.as_str()),
                (400, "invalid_json"),
                "{start}"
            );
        }
        assert!(parse(b"\"\xff\"").is_err());
    }
}
