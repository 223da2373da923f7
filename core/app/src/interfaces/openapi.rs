//! An OpenAPI 3.1 document of an API's routes. Where the API is served is not known here: the
//! document names no server.

use crate::interfaces::kind::{get, given, text};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// The types that JSON has.
pub(super) const PARAM_TYPES: [&str; 6] =
    ["string", "number", "integer", "boolean", "array", "object"];

/// Requests without a body: what they take stands in the path and the query.
pub(super) const BODILESS: [&str; 2] = ["GET", "DELETE"];

/// How a call fails: its status, a name, and what it means.
const FAILURES: [(&str, &str, &str); 3] = [
    (
        "401",
        "Unauthorized",
        "The method needs a user, and the caller is not known",
    ),
    (
        "403",
        "Forbidden",
        "The method needs a role that the caller does not have",
    ),
    ("500", "Failed", "The method failed"),
];

/// The document of an API, which has a `name` and perhaps a `description`.
pub(super) fn openapi(api: &Value, routes: &[Value]) -> Value {
    let mut paths = Map::new();
    let mut schemas = Components::default();
    let mut ids = Ids::of(routes);
    for route in routes {
        let (template, names) = template_of(text(route, "path"), paths.keys());
        let verb = text(route, "method").to_lowercase();
        let operation = operation(route, &names, &mut schemas, &mut ids);
        let item = paths.entry(template).or_insert_with(|| json!({}));
        item[verb] = operation;
    }
    let responses =
        FAILURES.map(|(_, name, what)| (name.to_owned(), json!({ "description": what })));
    let mut document = json!({
        "openapi": "3.1.0",
        "info": given(json!({
            "title": get(api, "name"),
            "description": get(api, "description"),
            "version": "1.0.0",
        })),
        "paths": paths,
        "components": { "responses": Map::from_iter(responses) },
    });
    if !schemas.all.is_empty() {
        document["components"]["schemas"] = Value::Object(schemas.all);
    }
    let tags = tags(routes);
    if !tags.is_empty() {
        document["tags"] = tags.into();
    }
    document
}

/// The tags of the routes, each once.
fn tags(routes: &[Value]) -> Vec<Value> {
    let (mut seen, mut tags) = (BTreeSet::new(), Vec::new());
    for tag in routes.iter().map(|route| text(route, "tag")) {
        if !tag.is_empty() && seen.insert(tag) {
            tags.push(json!({ "name": tag }));
        }
    }
    tags
}

/// The names of the parameters in a path.
pub(super) fn params_of(path: &str) -> impl Iterator<Item = &str> {
    path.split('/')
        .filter_map(|segment| segment.strip_prefix(':'))
}

/// The path as OpenAPI writes it, and what its parameters are called there. Two paths that differ
/// in the names of parameters only are one to OpenAPI, so a later one takes the names of the first.
fn template_of<'a>(path: &str, known: impl Iterator<Item = &'a String>) -> (String, Vec<String>) {
    let segment = |segment: &str| match segment.strip_prefix(':') {
        Some(name) => format!("{{{name}}}"),
        None => segment.to_owned(),
    };
    let own = path.split('/').map(segment).collect::<Vec<_>>().join("/");
    let name = |segment: &str| Some(segment.strip_prefix('{')?.strip_suffix('}')?.to_owned());
    let is_same = |other: &str| {
        let mut pairs = other.split('/').zip(own.split('/'));
        other.split('/').count() == own.split('/').count()
            && pairs.all(|(a, b)| a == b || name(a).is_some() && name(b).is_some())
    };
    let known = known.into_iter().find(|other| is_same(other)).cloned();
    let template = known.unwrap_or(own);
    let names = template.split('/').filter_map(name).collect();
    (template, names)
}

/// A route as an operation. `names` are those of the path's parameters.
fn operation(route: &Value, names: &[String], schemas: &mut Components, ids: &mut Ids) -> Value {
    let (handler, verb) = (text(route, "handler"), text(route, "method"));
    let input = schemas.embed(handler, &get(route, "inputSchema"));
    let params = get(route, "params");
    let bodiless = BODILESS.contains(&verb);
    let in_path: Vec<&str> = params_of(text(route, "path")).collect();
    let in_query: Vec<&str> = keys(params.get("query")).collect();

    let mut parameters: Vec<Value> = in_path
        .iter()
        .zip(names)
        .map(|(own, name)| path_parameter(name, at(&params, "path", own), property(&input, own)))
        .collect();
    // A request without a body has the rest of its input in the query.
    let has_query = params.get("query").is_some_and(|query| !query.is_null());
    let rest: Vec<&str> = if bodiless && !has_query {
        keys(input.get("properties"))
            .filter(|name| !in_path.contains(name))
            .collect()
    } else {
        in_query.clone()
    };
    parameters.extend(
        rest.iter()
            .map(|name| query_parameter(name, at(&params, "query", name), &input)),
    );

    let body = (!bodiless).then(|| {
        let elsewhere = [in_path.as_slice(), &in_query].concat();
        request_body(
            params.get("body").and_then(Value::as_object),
            &input,
            &elsewhere,
        )
    });
    let tag = text(route, "tag");
    given(json!({
        "operationId": ids.next(handler),
        "tags": (!tag.is_empty()).then_some([tag]),
        "summary": get(route, "summary"),
        "description": get(route, "description"),
        "parameters": (!parameters.is_empty()).then_some(parameters),
        "requestBody": body,
        "responses": responses(),
    }))
}

fn responses() -> Value {
    let mut all = json!({
        "200": {
            "description": "What the method returned",
            "content": { "application/json": { "schema": {} } },
        },
    });
    for (status, name, _) in FAILURES {
        all[status] = json!({ "$ref": format!("#/components/responses/{name}") });
    }
    all
}

fn keys(value: Option<&Value>) -> impl Iterator<Item = &str> {
    value
        .and_then(Value::as_object)
        .into_iter()
        .flat_map(Map::keys)
        .map(String::as_str)
}

/// What a route declares of a parameter.
fn at<'v>(params: &'v Value, place: &str, name: &str) -> Option<&'v Value> {
    params.get(place)?.get(name)
}

/// What a method's schema says of a field of its input.
fn property<'v>(input: &'v Value, name: &str) -> Option<&'v Value> {
    input.get("properties")?.get(name)
}

fn path_parameter(name: &str, param: Option<&Value>, known: Option<&Value>) -> Value {
    given(json!({
        "name": name,
        "in": "path",
        "required": true,
        "description": param.and_then(|param| param.get("description")),
        "schema": schema_of(param, known, Some("string")),
    }))
}

fn query_parameter(name: &str, param: Option<&Value>, input: &Value) -> Value {
    let is_required = match param {
        Some(param) => param.get("required") == Some(&Value::Bool(true)),
        None => required(input).any(|required| required == name),
    };
    given(json!({
        "name": name,
        "in": "query",
        "required": is_required.then_some(true),
        "description": param.and_then(|param| param.get("description")),
        "schema": schema_of(param, property(input, name), None),
    }))
}

/// The fields that a schema requires.
fn required(schema: &Value) -> impl Iterator<Item = &str> {
    let names = schema.get("required").and_then(Value::as_array);
    names.into_iter().flatten().filter_map(Value::as_str)
}

/// The body: the fields that are declared, or what the method takes but for what stands in the path
/// and the query.
fn request_body(declared: Option<&Map<String, Value>>, input: &Value, elsewhere: &[&str]) -> Value {
    let needed: Vec<&str> = match declared {
        Some(declared) => {
            let is_required = |param: &Value| param.get("required") == Some(&Value::Bool(true));
            declared
                .iter()
                .filter(|(_, param)| is_required(param))
                .map(|(name, _)| name.as_str())
                .collect()
        }
        None => required(input)
            .filter(|name| !elsewhere.contains(name))
            .collect(),
    };
    let mut schema = match declared {
        Some(declared) => of_declared(declared, input),
        None => without(input, elsewhere),
    };
    if let Value::Object(fields) = &mut schema {
        fields.shift_remove("required");
        if !needed.is_empty() {
            fields.insert("required".to_owned(), json!(needed));
        }
    }
    json!({
        "required": !needed.is_empty(),
        "content": { "application/json": { "schema": schema } },
    })
}

/// The schema of declared fields.
fn of_declared(declared: &Map<String, Value>, input: &Value) -> Value {
    let property = |(name, param): (&String, &Value)| {
        let mut schema = schema_of(Some(param), property(input, name), None);
        let description = get(param, "description");
        if !description.is_null() && schema.is_object() {
            schema["description"] = description;
        }
        (name.clone(), schema)
    };
    let properties: Map<String, Value> = declared.iter().map(property).collect();
    json!({ "type": "object", "properties": properties })
}

/// What a method takes but for some fields.
fn without(input: &Value, elsewhere: &[&str]) -> Value {
    let mut schema = input.clone();
    match schema.get_mut("properties").and_then(Value::as_object_mut) {
        Some(properties) => properties.retain(|name, _| !elsewhere.contains(&name.as_str())),
        // What is not a plain object cannot be taken apart.
        None if !elsewhere.is_empty() => return json!({ "type": "object" }),
        None => {}
    }
    schema
}

/// A parameter's schema: the method's own says more than the declared type.
fn schema_of(param: Option<&Value>, known: Option<&Value>, otherwise: Option<&str>) -> Value {
    let declared = param.map(|param| text(param, "type"));
    let kind = declared
        .filter(|kind| PARAM_TYPES.contains(kind))
        .or(otherwise);
    match (known, kind) {
        (Some(known), _) => known.clone(),
        (None, Some(kind)) => json!({ "type": kind }),
        (None, None) => json!({}),
    }
}

/// The ids of operations. A route's id is its method's; further routes of a method are told apart
/// by a number.
struct Ids {
    handlers: BTreeSet<String>,
    used: BTreeSet<String>,
}

impl Ids {
    fn of(routes: &[Value]) -> Self {
        Self {
            handlers: routes
                .iter()
                .map(|route| text(route, "handler").to_owned())
                .collect(),
            used: BTreeSet::new(),
        }
    }

    fn next(&mut self, handler: &str) -> String {
        let (mut id, mut number) = (handler.to_owned(), 2);
        // A method may have such an id itself.
        while self.used.contains(&id) || id != handler && self.handlers.contains(&id) {
            id = format!("{handler}-{number}");
            number += 1;
        }
        self.used.insert(id.clone());
        id
    }
}

/// The schemas that others refer to. A `#/$defs/…` of a method's schema would name the document's
/// root here.
#[derive(Default)]
struct Components {
    all: Map<String, Value>,
}

impl Components {
    /// A method's schema with its references rewritten, and what they refer to added to the
    /// components. `id` is the method's.
    fn embed(&mut self, id: &str, schema: &Value) -> Value {
        let Value::Object(mut root) = schema.clone() else {
            return json!({});
        };
        let mut definitions = Map::new();
        for key in ["definitions", "$defs"] {
            if let Some(Value::Object(own)) = root.shift_remove(key) {
                definitions.extend(own);
            }
        }
        root.retain(|key, _| key != "$schema" && key != "$id");
        let mut references = References { id, whole: false };
        let embedded = references.rewritten(Value::Object(root));
        for (name, definition) in definitions {
            self.all
                .insert(own_name(id, &name), references.rewritten(definition));
        }
        if references.whole {
            self.all.insert(id.to_owned(), embedded.clone());
        }
        embedded
    }
}

/// What a method's definition is called among the components.
fn own_name(id: &str, name: &str) -> String {
    let mut own = format!("{id}.");
    for c in name.chars() {
        if c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-') {
            own.push(c);
        } else {
            own.push_str(&format!("_{:x}", u32::from(c)));
        }
    }
    own
}

/// The references in the schema of the method that has an id.
struct References<'a> {
    id: &'a str,
    /// Whether one of them is to the schema itself.
    whole: bool,
}

impl References<'_> {
    fn rewritten(&mut self, value: Value) -> Value {
        match value {
            Value::Array(entries) => entries
                .into_iter()
                .map(|entry| self.rewritten(entry))
                .collect(),
            Value::Object(fields) => {
                let field = |(key, value): (String, Value)| {
                    let value = match (key.as_str(), value) {
                        // These hold data, not schemas.
                        ("enum" | "const" | "default" | "examples", data) => data,
                        ("$ref", Value::String(to)) => self.renamed(&to).into(),
                        (_, value) => self.rewritten(value),
                    };
                    (key, value)
                };
                fields.into_iter().map(field).collect::<Map<_, _>>().into()
            }
            other => other,
        }
    }

    fn renamed(&mut self, to: &str) -> String {
        let definition = to
            .strip_prefix("#/$defs/")
            .or_else(|| to.strip_prefix("#/definitions/"));
        if let Some(definition) =
            definition.filter(|name| !name.is_empty() && !name.starts_with('/'))
        {
            let end = definition.find('/').unwrap_or(definition.len());
            let (name, rest) = definition.split_at(end);
            return format!(
                "#/components/schemas/{}{rest}",
                own_name(self.id, &decoded(name))
            );
        }
        if to != "#" && !to.starts_with("#/") {
            return to.to_owned();
        }
        self.whole = true;
        format!("#/components/schemas/{}{}", self.id, &to[1..])
    }
}

/// A segment of a JSON pointer in a URI.
fn decoded(segment: &str) -> String {
    percent_decode_str(segment)
        .decode_utf8_lossy()
        .replace("~1", "/")
        .replace("~0", "~")
}
