//! Tools, as agents, voices and MCP servers have them.

use crate::{
    check::{At, Field, distinct_by, flag, list, matching, one_of, shape},
    interfaces::kind::{Compiling, Interface, given, text},
    references::{method, object_schema, role, text_file, text_or_file},
};
use serde_json::{Map, Value, json};

/// Models and MCP clients take no other names.
pub(super) fn tool_name(at: &At<'_>) -> bool {
    let rule = "is no name of a tool: 1 to 128 of A-Z, a-z, 0-9, \"_\" and \"-\"";
    matching(at, rule, |name| {
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        name.len() <= 128 && name.chars().all(is_allowed)
    })
}

/// The tools of an agent or a voice: methods, or what the client does by itself. `more` fields are
/// those of a voice.
pub(super) fn tools(at: &At<'_>, more: &[Field<'static>]) -> bool {
    let own: &[Field<'_>] = &[
        ("method", &method),
        ("name?", &tool_name),
        ("description?", &text_file),
        ("inputSchema?", &object_schema),
    ];
    let client: &[Field<'_>] = &[
        ("target", &|at| one_of(at, &["client"])),
        ("name", &tool_name),
        ("description", &text_or_file),
        ("inputSchema?", &object_schema),
    ];
    list(at, &|at| {
        if at.at("target").value.is_some() {
            shape(at, &[client, more].concat())
        } else {
            shape(at, &[own, more].concat()) & described(at)
        }
    }) & distinct_by(at, "", "name", name_of)
}

/// A tool is chosen by its description: its own, or that of its method.
pub(super) fn described(at: &At<'_>) -> bool {
    let (description, method, named) = (at.at("description"), at.at("method"), at.scope.named);
    let method = method.text();
    let is_method = named.methods.iter().flatten().any(|(id, _)| id == method);
    description.is_given()
        || !is_method
        || named.described.contains(method)
        || description.fault(format!(
            "is missing, and the method \"{method}\" has none in the manifest that could stand for it"
        ))
}

/// What a tool is called: by its own name, else by its method's id.
pub(super) fn name_of(tool: &Value) -> Option<String> {
    let given = |field: &str| tool.get(field).filter(|value| !value.is_null());
    given("name")
        .or_else(|| given("method"))?
        .as_str()
        .map(str::to_owned)
}

/// Who may start a session.
pub(super) fn auth(at: &At<'_>) -> bool {
    let fields: &[Field<'_>] = &[
        ("requireUser", &flag),
        ("requireRole?", &|at| {
            if at.value.is_some_and(Value::is_array) {
                list(at, &role)
            } else {
                role(at)
            }
        }),
    ];
    let roles = at.at("requireRole");
    let names_one = !roles.text().is_empty() || roles.each().next().is_some();
    let needs_none = at.at("requireUser").value == Some(&Value::Bool(false));
    shape(at, fields)
        & (!(names_one && needs_none)
            || roles.fault("needs \"requireUser\": true: nobody has a role who is not known"))
}

/// Who may start a session. Where the config is silent, the manifest decides.
pub(super) fn auth_of(it: &Interface, app: &Compiling<'_>) -> Value {
    let of_manifest = app
        .manifest
        .auth
        .as_ref()
        .and_then(|auth| auth.get("enabled")?.as_bool());
    let auth = it.config.get("auth");
    let own = auth.and_then(|auth| auth.get("requireUser")?.as_bool());
    let roles = match auth.and_then(|auth| auth.get("requireRole")) {
        None | Some(Value::Null) => json!([]),
        Some(Value::Array(roles)) => json!(roles),
        Some(role) => json!([role]),
    };
    json!({
        "requireUser": own.or(of_manifest).unwrap_or(false),
        "requireRole": roles,
    })
}

/// An agent or a voice: its texts inlined, its tools with schemas.
pub(super) fn compile(it: &Interface, app: &mut Compiling<'_>) -> Value {
    let mut made = given(it.config.clone());
    made["systemPrompt"] = it.file_at("systemPrompt").into();
    made["auth"] = auth_of(it, app);
    let tools = it.entries("tools").enumerate();
    made["tools"] = tools
        .map(|(i, tool)| compile_tool(it, i, tool, app))
        .collect();
    made
}

fn compile_tool(it: &Interface, i: usize, tool: &Value, app: &mut Compiling<'_>) -> Value {
    let own = it.file_at(&format!("tools/{i}/description"));
    let own = own.or_else(|| tool.get("description")?.as_str());
    let description = own
        .or_else(|| app.description(text(tool, "method")))
        .map(str::to_owned);
    let mut made = given(tool.clone());
    made["name"] = name_of(tool).into();
    if let Some(description) = description {
        made["description"] = description.into();
    }
    made["inputSchema"] = input_schema(tool, format!("{}/tools/{i}", it.pointer), app);
    made
}

/// The schema of a tool's input, which has to be of type object: the config's own, or the method's.
pub(super) fn input_schema(tool: &Value, pointer: String, app: &mut Compiling<'_>) -> Value {
    let method = tool.get("method").and_then(Value::as_str);
    let own = tool.get("inputSchema").filter(|schema| !schema.is_null());
    let schema = match (own, method) {
        (Some(own), _) => own.clone(),
        (None, Some(method)) => app.schema(method),
        (None, None) => Value::Object(Map::new()),
    };
    let is_object = match schema.get("type") {
        None | Some(Value::Null) => schema.is_object(),
        Some(Value::Array(types)) => types.iter().any(|kind| kind == "object"),
        Some(kind) => kind == "object",
    };
    if let (true, Value::Object(mut fields)) = (is_object, schema) {
        fields.insert("type".to_owned(), "object".into());
        return Value::Object(fields);
    }
    // A tool's arguments have names. One without a schema can still be called.
    let method = method.unwrap_or_default();
    app.warn(
        pointer,
        format!("the method \"{method}\" takes no object, and a tool's input is one: its schema is left out"),
    );
    json!({ "type": "object" })
}
