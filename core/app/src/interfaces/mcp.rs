//! The app as an MCP server: tools, resources and prompts for somebody else's agent.

use crate::{
    check::{At, Field, distinct, distinct_by, filled, flag, list, shape, text, text_of},
    interfaces::{
        kind::{Compiling, Files, Interface, Kind, get, given, text as text_at},
        tools::{described, input_schema, name_of, tool_name},
    },
    references::{method, object_schema, text_file},
};
use iri_string::{template::UriTemplateStr, types::IriStr};
use serde_json::{Map, Value, json};

pub(super) const KIND: Kind = Kind {
    fields: &[
        ("name?", &filled),
        ("description?", &text),
        ("instructions?", &text_file),
        ("tools?", &|at| {
            list(at, &tool) & distinct_by(at, "", "tool name", name_of)
        }),
        ("resources?", &|at| {
            list(at, &resource) & distinct_by(at, "", "uri", address)
        }),
        ("prompts?", &|at| {
            list(at, &prompt) & distinct(at, "name", "name")
        }),
        ("methods?", &|at| {
            list(at, &method) & distinct_by(at, "", "method", |id| id.as_str().map(str::to_owned))
        }),
    ],
    also,
    compile,
    effects: None,
};

/// What a tool does, as clients are told of it, by our names. MCP's have `Hint` behind them.
const ANNOTATIONS: &[Field<'static>] = &[
    ("readOnly?", &flag),
    ("destructive?", &flag),
    ("idempotent?", &flag),
    ("openWorld?", &flag),
];

fn tool(at: &At<'_>) -> bool {
    let fields: &[Field<'_>] = &[
        ("method", &method),
        ("name?", &tool_name),
        ("title?", &text),
        ("description?", &text_file),
        ("annotations?", &|at| shape(at, ANNOTATIONS)),
        ("inputSchema?", &object_schema),
    ];
    shape(at, fields) & described(at)
}

fn has_brace(text: &str) -> bool {
    text.contains(['{', '}'])
}

fn uri(at: &At<'_>) -> bool {
    let uri = at.text();
    if !filled(at) {
        return false;
    }
    if has_brace(uri) {
        return at.fault(format!(
            "\"{uri}\" has a {{parameter}}; it is a \"uriTemplate\""
        ));
    }
    IriStr::new(uri).is_ok() || at.fault(format!("\"{uri}\" is no URI, as in \"app://vendors\""))
}

/// A template of RFC 6570, with a scheme.
fn uri_template(at: &At<'_>) -> bool {
    let template = at.text();
    if !filled(at) {
        return false;
    }
    if !has_brace(template) {
        return at.fault(format!(
            "\"{template}\" has no {{parameter}}; it is a \"uri\""
        ));
    }
    let scheme = template.split_once(':').map_or("", |(scheme, _)| scheme);
    let has_scheme = IriStr::new(&format!("{scheme}:x")).is_ok();
    has_scheme && UriTemplateStr::new(template).is_ok()
        || at.fault(format!(
            "\"{template}\" is no URI template, as in \"app://vendors/{{id}}\""
        ))
}

fn resource(at: &At<'_>) -> bool {
    let fields: &[Field<'_>] = &[
        ("method", &method),
        ("uri?", &uri),
        ("uriTemplate?", &uri_template),
        ("name", &filled),
        ("title?", &text),
        ("description?", &text),
        ("mimeType?", &text),
    ];
    let is_text = |field: &str| at.at(field).value.is_some_and(Value::is_string);
    let why = match (is_text("uri"), is_text("uriTemplate")) {
        (true, true) => "has both a uri and a uriTemplate; keep one of them",
        (false, false) => "has neither a uri nor a uriTemplate",
        _ => "",
    };
    shape(at, fields) & (why.is_empty() || at.object().is_none() || at.fault(why))
}

fn address(resource: &Value) -> Option<String> {
    text_of(resource, "uri").or_else(|| text_of(resource, "uriTemplate"))
}

fn prompt(at: &At<'_>) -> bool {
    let argument: &[Field<'_>] = &[
        ("name", &filled),
        ("title?", &text),
        ("description?", &text),
        ("required?", &flag),
    ];
    let arguments =
        |at: &At<'_>| list(at, &|at| shape(at, argument)) & distinct(at, "name", "name");
    let fields: &[Field<'_>] = &[
        ("name", &filled),
        ("title?", &text),
        ("description?", &text),
        ("arguments?", &arguments),
        ("template", &text_file),
    ];
    let fits = shape(at, fields);
    let file = at.at("template");
    let files = at.scope.files.borrow();
    let template = files.get(&file.pointer).map_or("", String::as_str);
    for name in placeholders(template) {
        if !at
            .at("arguments")
            .each()
            .any(|argument| argument.at("name").text() == name)
        {
            file.warn(format!(
                "the template has {{{{{name}}}}}, which is no argument of the prompt"
            ));
        }
    }
    fits
}

/// The names in a template, each once: `{{name}}`.
fn placeholders(template: &str) -> Vec<&str> {
    let mut names = Vec::new();
    for part in template.split("{{").skip(1) {
        let name = part.split_once("}}").map_or("", |(name, _)| name.trim());
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        if !name.is_empty() && name.chars().all(is_allowed) && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

fn also(at: &At<'_>) -> bool {
    let lists = ["tools", "resources", "prompts", "methods"].map(|list| at.at(list));
    if lists.iter().all(|list| list.each().next().is_none()) {
        at.warn("declares no tool, resource or prompt");
    }
    if at.at("tools").is_given() && at.at("methods").is_given() {
        at.at("methods").warn("is not read where there are tools");
    }
    true
}

fn compile(it: &Interface, app: &mut Compiling<'_>) -> Files {
    let tools = tools(it, app);
    let shown: Vec<Value> = tools.iter().map(without_method).collect();
    let prompts: Vec<Value> = it
        .entries("prompts")
        .enumerate()
        .map(|(i, prompt)| {
            let mut prompt = given(prompt.clone());
            prompt["template"] = it.file_at(&format!("prompts/{i}/template")).into();
            prompt
        })
        .collect();
    let name = it.name(app.manifest);
    let mut server = given(json!({
        "name": name,
        "description": get(&it.config, "description"),
        "instructions": it.file_at("instructions"),
    }));
    server["tools"] = tools.into();
    server["resources"] = it.entries("resources").cloned().map(given).collect();
    server["prompts"] = prompts.into();
    vec![
        ("interfaces/mcp.json", server),
        ("interfaces/mcp-tools.json", json!({ "tools": shown })),
    ]
}

/// The tools that are declared, or the methods that an older app names.
fn tools(it: &Interface, app: &mut Compiling<'_>) -> Vec<Value> {
    let has_tools = it.config.get("tools").is_some_and(|tools| !tools.is_null());
    let list = if has_tools { "tools" } else { "methods" };
    let entries = it.entries(list).enumerate();
    entries
        .map(|(i, entry)| {
            let tool = if has_tools {
                entry.clone()
            } else {
                json!({ "method": entry })
            };
            let own = if has_tools {
                it.file_at(&format!("tools/{i}/description"))
            } else {
                None
            };
            let description = own.or_else(|| app.description(text_at(&tool, "method")));
            let mut made = json!({
                "method": tool["method"],
                "name": name_of(&tool),
                "title": get(&tool, "title"),
                "description": description,
            });
            made["inputSchema"] = input_schema(&tool, format!("{}/{list}/{i}", it.pointer), app);
            made["annotations"] = annotations(&tool);
            given(made)
        })
        .collect()
}

/// As clients are told of it.
fn without_method(tool: &Value) -> Value {
    let mut tool = tool.clone();
    if let Value::Object(fields) = &mut tool {
        fields.shift_remove("method");
    }
    tool
}

/// Under the names that MCP has for them; null where there are none.
fn annotations(tool: &Value) -> Value {
    let Some(own) = tool.get("annotations").and_then(Value::as_object) else {
        return Value::Null;
    };
    let names = ANNOTATIONS
        .iter()
        .map(|(name, _)| name.trim_end_matches('?'));
    let hint = |name: &str| Some((format!("{name}Hint"), own.get(name)?.as_bool()?.into()));
    Value::Object(names.filter_map(hint).collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_in_a_template() {
        let template = "{{a}} {{ b-c }} {{a}} {{ not one }} {{}} {{open";
        assert_eq!(placeholders(template), ["a", "b-c"]);
    }
}
