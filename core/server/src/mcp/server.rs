//! What an app offers to agents of others, as its release has it, and what of that is only told.

use super::{message::Fault, uri};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// The versions of the protocol that are spoken here, the newest first.
pub(super) const VERSIONS: [&str; 4] = ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"];

/// The last one in which several messages may come at once.
const LAST_OF_BATCHES: &str = "2025-03-26";

/// The first one in which a tool's answer may be more than text.
const FIRST_OF_STRUCTURE: &str = "2025-06-18";

/// Whether a version of the protocol has batches. Versions are days, and so in their order.
pub(super) fn has_batches(version: &str) -> bool {
    version <= LAST_OF_BATCHES
}

/// What is kept with a release.
#[derive(Debug, Deserialize)]
pub(super) struct Server {
    #[serde(default)]
    name: String,
    #[serde(default)]
    instructions: Option<String>,
    #[serde(default)]
    tools: Vec<Map<String, Value>>,
    #[serde(default)]
    resources: Vec<Map<String, Value>>,
    #[serde(default)]
    prompts: Vec<Map<String, Value>>,
}

/// A resource that was asked for.
pub(super) struct Resource<'a> {
    pub method: &'a str,
    pub mime_type: Option<&'a str>,
    pub input: Map<String, Value>,
}

impl<'a> Resource<'a> {
    fn of(it: &'a Map<String, Value>, input: Map<String, Value>) -> Self {
        Self {
            method: text(it, "method"),
            mime_type: it.get("mimeType").and_then(Value::as_str),
            input,
        }
    }
}

impl Server {
    /// The answer to `initialize`: the version that the client speaks, where it is spoken here.
    pub fn initialized(&self, params: &Map<String, Value>, release: &str) -> Value {
        let wanted = params.get("protocolVersion").and_then(Value::as_str);
        let version = VERSIONS.iter().find(|known| Some(**known) == wanted);
        let mut capabilities = json!({});
        for (name, list) in [
            ("tools", &self.tools),
            ("resources", &self.resources),
            ("prompts", &self.prompts),
        ] {
            if !list.is_empty() {
                capabilities[name] = json!({});
            }
        }
        let mut told = json!({
            "protocolVersion": version.unwrap_or(&VERSIONS[0]),
            "capabilities": capabilities,
            "serverInfo": { "name": self.name, "version": release },
        });
        if let Some(instructions) = &self.instructions {
            told["instructions"] = instructions.as_str().into();
        }
        told
    }

    pub fn tools(&self) -> Value {
        json!({ "tools": told(&self.tools, "method", |_| true) })
    }

    pub fn resources(&self) -> Value {
        let is_one = |it: &Map<String, Value>| it.contains_key("uri");
        json!({ "resources": told(&self.resources, "method", is_one) })
    }

    pub fn templates(&self) -> Value {
        let are_many = |it: &Map<String, Value>| it.contains_key("uriTemplate");
        json!({ "resourceTemplates": told(&self.resources, "method", are_many) })
    }

    pub fn prompts(&self) -> Value {
        json!({ "prompts": told(&self.prompts, "template", |_| true) })
    }

    /// The method behind a tool.
    pub fn tool(&self, name: &str) -> Result<&str, Fault> {
        let tool = self.tools.iter().find(|tool| text(tool, "name") == name);
        let method = tool.map(|tool| text(tool, "method"));
        method.ok_or_else(|| Fault::params(format!("There is no tool {name}")))
    }

    /// The resource of a URI: the one that is called so, or the first whose template it fits.
    pub fn resource(&self, uri: &str) -> Result<Resource<'_>, Fault> {
        let is_it = |it: &&Map<String, Value>| it.get("uri").and_then(Value::as_str) == Some(uri);
        if let Some(found) = self.resources.iter().find(is_it) {
            return Ok(Resource::of(found, Map::new()));
        }
        let found = self.resources.iter().find_map(|it| {
            let input = uri::values(it.get("uriTemplate")?.as_str()?, uri)?;
            Some(Resource::of(it, input))
        });
        found.ok_or_else(|| Fault::no_resource(uri))
    }

    /// A prompt, filled in.
    pub fn prompt(&self, params: &Map<String, Value>) -> Result<Value, Fault> {
        let name = text(params, "name");
        let prompt = self.prompts.iter().find(|it| text(it, "name") == name);
        let prompt = prompt.ok_or_else(|| Fault::params(format!("There is no prompt {name}")))?;
        let none = Map::new();
        let given = params.get("arguments").and_then(Value::as_object);
        let given = given.unwrap_or(&none);
        let arguments = prompt.get("arguments").and_then(Value::as_array);
        let mut text_so_far = text(prompt, "template").to_owned();
        let mut values = Vec::new();
        for argument in arguments.into_iter().flatten().filter_map(Value::as_object) {
            let name = text(argument, "name");
            let value = given.get(name).and_then(Value::as_str);
            let is_required = argument.get("required") == Some(&Value::Bool(true));
            if value.is_none() && is_required {
                return Err(Fault::params(format!("The argument {name} is missing")));
            }
            values.push((name, value.unwrap_or_default()));
        }
        text_so_far = filled(&text_so_far, &values);
        let mut told = json!({
            "messages": [{ "role": "user", "content": { "type": "text", "text": text_so_far } }],
        });
        if let Some(description) = prompt.get("description") {
            told["description"] = description.clone();
        }
        Ok(told)
    }
}

/// A template with the values of its `{{name}}`s. What a value says is looked at no more.
fn filled(template: &str, values: &[(&str, &str)]) -> String {
    let (mut text, mut rest) = (String::new(), template);
    while let Some((before, after)) = rest.split_once("{{") {
        text.push_str(before);
        let found = after.split_once("}}").and_then(|(name, after)| {
            let is_it = |(known, _): &&(&str, &str)| *known == name.trim();
            let (_, value) = values.iter().find(is_it)?;
            Some((*value, after))
        });
        match found {
            Some((value, after)) => {
                text.push_str(value);
                rest = after;
            }
            None => {
                text.push_str("{{");
                rest = after;
            }
        }
    }
    text + rest
}

/// A list as clients are told of it.
fn told(
    list: &[Map<String, Value>],
    own: &str,
    is_in: impl Fn(&Map<String, Value>) -> bool,
) -> Vec<Value> {
    let shown = |it: &Map<String, Value>| {
        let fields = it.iter().filter(|(name, _)| *name != own);
        Value::Object(fields.map(|(k, v)| (k.clone(), v.clone())).collect())
    };
    list.iter().filter(|it| is_in(it)).map(shown).collect()
}

pub(super) fn text<'a>(fields: &'a Map<String, Value>, name: &str) -> &'a str {
    fields.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// What a tool has returned: a text as it is, all else as JSON, and an object as such, too.
pub(super) fn returned(output: &Value, version: &str) -> Value {
    let content = match output {
        Value::Null => json!([]),
        output => json!([{ "type": "text", "text": as_text(output) }]),
    };
    let mut told = json!({ "content": content });
    if output.is_object() && version >= FIRST_OF_STRUCTURE {
        told["structuredContent"] = output.clone();
    }
    told
}

/// What a tool has failed with, for the model to read.
pub(super) fn refused(message: &str) -> Value {
    json!({ "content": [{ "type": "text", "text": message }], "isError": true })
}

/// What a resource holds.
pub(super) fn contents(uri: &str, mime_type: Option<&str>, output: &Value) -> Value {
    let by_kind = match output {
        Value::String(_) => "text/plain",
        _ => "application/json",
    };
    let mime_type = mime_type.unwrap_or(by_kind);
    json!({ "contents": [{ "uri": uri, "mimeType": mime_type, "text": as_text(output) }] })
}

fn as_text(output: &Value) -> String {
    match output {
        Value::String(text) => text.clone(),
        output => output.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_of_a_prompt_is_no_template() {
        let values = [("a", "{{b}}"), ("b", "x")];
        assert_eq!(
            filled("{{a}} {{ b }} {{c}} {{open", &values),
            "{{b}} x {{c}} {{open"
        );
    }

    #[test]
    fn a_version_that_is_spoken_is_the_clients() {
        let server: Server = serde_json::from_value(json!({ "name": "x" })).unwrap();
        let of = |version: &str| {
            let params = json!({ "protocolVersion": version });
            server.initialized(params.as_object().unwrap(), "7")["protocolVersion"].clone()
        };
        assert_eq!(of("2024-11-05"), "2024-11-05");
        assert_eq!(of("1999-01-01"), VERSIONS[0]);
        assert!(has_batches("2025-03-26") && !has_batches("2025-06-18"));
    }
}
