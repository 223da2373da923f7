//! What stands in a URI in the place of a template's parameters (RFC 6570).

use percent_encoding::percent_decode_str;
use regex::Regex;
use serde_json::{Map, Value};
use std::fmt::Write as _;

/// The values of a template's parameters in a URI, all of them texts. Nothing, where the URI is none
/// of the template's.
pub(super) fn values(template: &str, uri: &str) -> Option<Map<String, Value>> {
    let (pattern, parts) = pattern(template);
    // One that is too large for a pattern has no URIs.
    let found = Regex::new(&pattern).ok()?;
    let found = found.captures(uri)?;
    let mut values = Map::new();
    for (at, part) in parts.iter().enumerate() {
        let Some(text) = found.get(at + 1).map(|found| found.as_str()) else {
            continue;
        };
        match part {
            Part::One(name) => drop(values.insert(name.clone(), decoded(text))),
            Part::Query(names) => {
                for (name, value) in form_urlencoded::parse(text.as_bytes()) {
                    if names.iter().any(|known| *known == name) {
                        values.insert(name.into_owned(), value.into_owned().into());
                    }
                }
            }
        }
    }
    Some(values)
}

/// What a group of the pattern is.
enum Part {
    One(String),
    Query(Vec<String>),
}

/// A pattern that the URIs of a template fit, and what its groups are.
fn pattern(template: &str) -> (String, Vec<Part>) {
    let (mut pattern, mut parts) = ("^".to_owned(), Vec::new());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        pattern.push_str(&regex::escape(before));
        let (expression, after) = after.split_once('}').unwrap_or((after, ""));
        rest = after;
        let operator = expression.chars().next().filter(|c| "+#./;?&".contains(*c));
        let names = expression.trim_start_matches(|c| Some(c) == operator);
        let names: Vec<String> = names.split(',').map(name_of).collect();
        match operator {
            Some(sign @ ('?' | '&')) => {
                let _ = write!(pattern, "(?:{}([^#]*))?", regex::escape(&sign.to_string()));
                parts.push(Part::Query(names));
                continue;
            }
            _ => {
                for (at, name) in names.into_iter().enumerate() {
                    pattern.push_str(&before_value(operator, at, &name));
                    pattern.push_str(match operator {
                        Some('+' | '#') => "(.+)",
                        _ => "([^/?#,]+)",
                    });
                    parts.push(Part::One(name));
                }
            }
        }
    }
    pattern.push_str(&regex::escape(rest));
    pattern.push('$');
    (pattern, parts)
}

/// What stands before a value of an expression.
fn before_value(operator: Option<char>, at: usize, name: &str) -> String {
    let sign = match (operator, at) {
        (Some(';'), _) => format!(";{name}="),
        (Some(sign @ ('/' | '.')), _) | (Some(sign @ '#'), 0) => sign.to_string(),
        (_, 0) => String::new(),
        _ => ",".to_owned(),
    };
    regex::escape(&sign)
}

/// A name without what says how its value is written.
fn name_of(name: &str) -> String {
    let name = name.split(':').next().unwrap_or_default();
    name.trim_end_matches('*').to_owned()
}

fn decoded(text: &str) -> Value {
    percent_decode_str(text).decode_utf8_lossy().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_stand_where_the_template_has_its_parameters() {
        for (template, uri, found) in [
            ("app://v/{id}", "app://v/a%20b", json!({ "id": "a b" })),
            (
                "app://{a}/x/{b}",
                "app://1/x/2",
                json!({ "a": "1", "b": "2" }),
            ),
            (
                "app://f/{+path}",
                "app://f/a/b.c",
                json!({ "path": "a/b.c" }),
            ),
            (
                "app://p{/a,b}",
                "app://p/1/2",
                json!({ "a": "1", "b": "2" }),
            ),
            (
                "app://s{?q,n}",
                "app://s?n=2&q=a+b&z=1",
                json!({ "n": "2", "q": "a b" }),
            ),
            ("app://s{?q}", "app://s", json!({})),
            ("app://{a,b}", "app://1,2", json!({ "a": "1", "b": "2" })),
            ("app://v.{id}", "app://v.(+)", json!({ "id": "(+)" })),
        ] {
            assert_eq!(
                values(template, uri).map(Value::Object),
                Some(found),
                "{uri}"
            );
        }
    }

    #[test]
    fn another_uri_has_none() {
        for (template, uri) in [
            ("app://v/{id}", "app://v/"),
            ("app://v/{id}", "app://v/1/2"),
            ("app://v/{id}", "xapp://v/1"),
            ("app://v.{id}", "app://vx1"),
            ("app://v/{id}/x", "app://v/1"),
        ] {
            assert_eq!(values(template, uri), None, "{uri}");
        }
        let long = "a/".repeat(100_000);
        assert!(values("app://{+a}{+b}{+c}x", &format!("app://{long}")).is_none());
    }
}
