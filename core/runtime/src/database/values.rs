//! Values between JSON and SQLite. What JSON has no word for is an object with one key: a blob is
//! `{"$blob": "<base64>"}`, and what is no finite number `{"$number": "Infinity"}`.

use crate::failure::Failure;
use base64::{Engine, engine::general_purpose::STANDARD};
use rusqlite::types::{Value as Stored, ValueRef};
use serde_json::{Value, json};

/// Beyond this a whole number is not the only one that a double stands for.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// A value that a method has sent, as it is stored. Numbers beyond 64 bits become doubles.
///
/// `invalid_value` for objects and arrays: they are text by the time they come here.
pub(super) fn stored(value: &Value) -> Result<Stored, Failure> {
    Ok(match value {
        Value::Null => Stored::Null,
        Value::Bool(truth) => Stored::Integer(i64::from(*truth)),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Stored::Integer(whole),
            (None, Some(real)) => Stored::Real(real),
            (None, None) => return Err(invalid(value)),
        },
        Value::String(text) => Stored::Text(text.clone()),
        Value::Object(object) if object.len() == 1 => {
            let (key, inner) = object.iter().next().ok_or_else(|| invalid(value))?;
            match (key.as_str(), inner.as_str()) {
                ("$blob", Some(text)) => {
                    Stored::Blob(STANDARD.decode(text).map_err(|_| invalid(value))?)
                }
                ("$number", Some("Infinity")) => Stored::Real(f64::INFINITY),
                ("$number", Some("-Infinity")) => Stored::Real(f64::NEG_INFINITY),
                _ => return Err(invalid(value)),
            }
        }
        Value::Array(_) | Value::Object(_) => return Err(invalid(value)),
    })
}

fn invalid(value: &Value) -> Failure {
    let mut shown: String = value.to_string().chars().take(60).collect();
    if shown.len() < value.to_string().len() {
        shown.push('…');
    }
    Failure::new(
        "invalid_value",
        400,
        format!("{shown} is no value that a database holds: objects and arrays are sent as text"),
    )
}

/// A stored value as JSON. A whole number beyond 2^53 keeps all of its digits, which JavaScript
/// rounds when it reads them.
pub(super) fn json(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(whole) => whole.into(),
        #[expect(clippy::cast_possible_truncation, reason = "whole, and within 53 bits")]
        ValueRef::Real(real)
            if real.fract() == 0.0
                && real.abs() <= EXACT
                && (real != 0.0 || real.is_sign_positive()) =>
        {
            (real as i64).into()
        }
        ValueRef::Real(real) if real.is_finite() => real.into(),
        ValueRef::Real(real) => {
            json!({"$number": if real > 0.0 { "Infinity" } else { "-Infinity" }})
        }
        // SQLite keeps any bytes as text.
        ValueRef::Text(bytes) => String::from_utf8_lossy(bytes).into_owned().into(),
        ValueRef::Blob(bytes) => json!({"$blob": STANDARD.encode(bytes)}),
    }
}

/// How many bytes a stored value takes as JSON, at least nearly: what is counted before it is made.
pub(super) fn json_bytes(value: ValueRef<'_>) -> usize {
    match value {
        ValueRef::Null => 5,
        ValueRef::Integer(_) | ValueRef::Real(_) => 20,
        ValueRef::Text(bytes) => {
            let escaped = |byte: &u8| match byte {
                b'"' | b'\\' | b'\n' | b'\r' | b'\t' => 2,
                0..0x20 => 6,
                _ => 1,
            };
            3 + bytes.iter().map(escaped).sum::<usize>()
        }
        ValueRef::Blob(bytes) => 16 + bytes.len().div_ceil(3) * 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_comes_back_as_it_was() {
        for value in [
            json!(null),
            json!(-3),
            json!(9_007_199_254_740_993_i64),
            json!(0.1),
            json!("a\u{0}\u{1f600}"),
            json!({"$blob": "AAEC/w=="}),
            json!({"$number": "Infinity"}),
            json!({"$number": "-Infinity"}),
        ] {
            assert_eq!(json(ValueRef::from(&stored(&value).unwrap())), value);
        }
        assert_eq!(stored(&json!(true)).unwrap(), Stored::Integer(1));
        assert_eq!(json(ValueRef::Real(5.0)), json!(5));
        assert_eq!(json(ValueRef::Real(-0.0)).to_string(), "-0.0");
        for value in [
            json!([1]),
            json!({}),
            json!({"$blob": "?"}),
            json!({"$number": "NaN"}),
        ] {
            assert_eq!(stored(&value).unwrap_err().code, "invalid_value");
        }
    }

    #[test]
    fn a_size_is_that_of_the_json() {
        for text in ["", "a\"b\\\n", "\u{1}\u{2}", "äöü"] {
            let value = ValueRef::Text(text.as_bytes());
            assert!(json_bytes(value) >= json(value).to_string().len());
        }
    }
}
