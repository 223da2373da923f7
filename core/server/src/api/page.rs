//! The description of an API as a small page, without scripts.

use serde_json::{Map, Value};
use std::fmt::Write as _;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:48rem;margin:2rem auto;padding:0 1rem}\
    code{font:14px ui-monospace,monospace}h2{font-size:1rem;margin:2rem 0 0}\
    h2 b{display:inline-block;min-width:4.5rem}table{border-collapse:collapse}\
    td{padding:.1rem 1rem .1rem 0;vertical-align:top}.of{color:#666}";

/// The page of an OpenAPI document.
pub(super) fn of(document: &Value) -> String {
    let title = text(&document["info"]["title"]);
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title>\
         <style>{STYLE}</style><h1>{title}</h1><p>{}</p>\
         <p>Requests go to <code>/_/api</code>, with a key as <code>Authorization: Bearer sk_…</code> \
         where a method needs a user. <a href=\"/_/api/openapi.json\">openapi.json</a></p>",
        text(&document["info"]["description"]),
    );
    for (path, item) in members(&document["paths"]) {
        for (verb, operation) in members(item) {
            let _ = write!(
                page,
                "<h2><b>{}</b> <code>{}</code></h2><p>{}<br>{}</p><table>",
                text(&verb.to_uppercase().into()),
                text(&path.as_str().into()),
                text(&operation["summary"]),
                text(&operation["description"]),
            );
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                row(&mut page, parameter, &parameter["schema"], &parameter["in"]);
            }
            let body = &operation["requestBody"]["content"]["application/json"]["schema"];
            for (name, schema) in members(&body["properties"]) {
                let parameter =
                    serde_json::json!({ "name": name, "description": schema["description"] });
                row(&mut page, &parameter, schema, &"body".into());
            }
            page.push_str("</table>");
        }
    }
    page
}

fn row(page: &mut String, parameter: &Value, schema: &Value, place: &Value) {
    let _ = write!(
        page,
        "<tr><td><code>{}</code><td class=\"of\">{} {}<td>{}",
        text(&parameter["name"]),
        text(place),
        text(&schema["type"]),
        text(&parameter["description"]),
    );
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}

/// A text as HTML has it. What an app declares is data here.
fn text(value: &Value) -> String {
    let text = value.as_str().unwrap_or_default();
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '&' => safe.push_str("&amp;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_an_app_declares_is_no_part_of_the_page() {
        let page = of(&json!({
            "info": { "title": "<script>alert(1)</script>", "description": "a & b" },
            "paths": { "/x/{\"id'}": { "get": {
                "summary": "<b>", "parameters": [{ "name": "<i>", "in": "query", "schema": { "type": "string" } }],
                "requestBody": { "content": { "application/json": { "schema": { "properties": { "<u>": {} } } } } },
            } } },
        }));
        for own in ["<script>", "<b>&", "<i>", "<u>", "\"id'"] {
            assert!(!page.contains(own), "{own}: {page}");
        }
        assert!(page.contains("&lt;script&gt;") && page.contains("a &amp; b"));
    }
}
