//! Methods as routes of an HTTP API.

use crate::{
    check::{At, Field, distinct_by, filled, flag, list, map, or, shape, text, text_of},
    interfaces::{
        kind::{Compiling, Files, Interface, Kind, get, given, text as text_at},
        openapi::{BODILESS, PARAM_TYPES, openapi, params_of},
    },
    references::{method, object_schema},
};
use serde_json::{Map, Value, json};

pub(super) const KIND: Kind = Kind {
    fields: &[
        ("name?", &filled),
        ("description?", &text),
        ("routes?", &|at| {
            list(at, &route) & distinct_by(at, "", "route", key_of)
        }),
        ("methods?", &|at| {
            list(at, &method) & distinct_by(at, "", "method", |id| id.as_str().map(str::to_owned))
        }),
    ],
    also: |at| {
        if at.at("routes").is_given() && at.at("methods").is_given() {
            at.at("methods").warn("is not read where there are routes");
        }
        true
    },
    compile,
    effects: None,
};

const VERBS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

fn verb(at: &At<'_>) -> bool {
    text(at)
        && (VERBS.contains(&at.text().to_uppercase().as_str())
            || at.fault(format!(
                "has to be {}, but is \"{}\"",
                or(&VERBS),
                at.text()
            )))
}

fn path(at: &At<'_>) -> bool {
    filled(at)
        && match wrong_in_path(at.text()) {
            None => true,
            Some(why) => at.fault(why),
        }
}

fn wrong_in_path(path: &str) -> Option<String> {
    if !path.starts_with('/') {
        return Some(format!("\"{path}\" does not begin with \"/\""));
    }
    if path.contains(['{', '}']) {
        return Some(format!(
            "\"{path}\" has braces; a parameter is written \":name\""
        ));
    }
    if path.contains(|c: char| matches!(c, '?' | '#') || c.is_whitespace()) {
        return Some(format!(
            "\"{path}\" has more than a path in it; query parameters stand in \"params\""
        ));
    }
    let params: Vec<&str> = params_of(path).collect();
    if let Some(wrong) = params.iter().find(|name| !is_param(name)) {
        return Some(format!(
            "\":{wrong}\" is no parameter: its name is made of letters, digits and \"_\""
        ));
    }
    let twice = params
        .iter()
        .enumerate()
        .find(|(i, name)| params[..*i].contains(name));
    twice.map(|(_, name)| format!("\"{path}\" has the parameter \":{name}\" twice"))
}

fn is_param(name: &str) -> bool {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !name.is_empty()
        && name.chars().all(is_allowed)
        && !name.starts_with(|c: char| c.is_ascii_digit())
}

fn param(at: &At<'_>) -> bool {
    let fields: &[Field<'_>] = &[
        ("type", &filled),
        ("required?", &flag),
        ("description?", &text),
    ];
    let fits = shape(at, fields);
    let kind = at.at("type");
    if kind.value.is_some_and(Value::is_string) && !PARAM_TYPES.contains(&kind.text()) {
        kind.warn(format!(
            "\"{}\" is no type of JSON; OpenAPI is told of no type",
            kind.text()
        ));
    }
    fits
}

fn route(at: &At<'_>) -> bool {
    let params = |at: &At<'_>| map(at, &param);
    let fields: &[Field<'_>] = &[
        ("method", &verb),
        ("path", &path),
        ("handler", &method),
        ("summary?", &text),
        ("description?", &text),
        ("tag?", &text),
        ("params?", &|at| {
            shape(
                at,
                &[("path?", &params), ("query?", &params), ("body?", &params)],
            )
        }),
        ("inputSchema?", &object_schema),
    ];
    shape(at, fields) & params_fit(at)
}

/// Whether the parameters that a route declares are in its path.
fn params_fit(at: &At<'_>) -> bool {
    let Some(path) = at.at("path").value.and_then(Value::as_str) else {
        return true;
    };
    let (verb, params) = (at.at("method").text().to_uppercase(), at.at("params"));
    if BODILESS.contains(&verb.as_str()) && params.at("body").is_given() {
        params
            .at("body")
            .warn(format!("is not read: {verb} has no body"));
    }
    let declared = params.at("path");
    declared
        .object()
        .into_iter()
        .flat_map(Map::keys)
        .fold(true, |good, name| {
            let is_there = params_of(path).any(|known| known == name);
            let fits = is_there
                || declared
                    .at(name)
                    .fault(format!("\"{path}\" has no \":{name}\""));
            fits && good
        })
}

/// What two routes may not share. The names of parameters do not tell requests apart.
fn key_of(route: &Value) -> Option<String> {
    let (verb, path) = (text_of(route, "method")?, normal(&text_of(route, "path")?));
    let shape = |segment: &str| {
        if segment.len() > 1 && segment.starts_with(':') {
            ":".to_owned()
        } else {
            segment.to_owned()
        }
    };
    let segments: Vec<String> = path.split('/').map(shape).collect();
    Some(format!("{} {}", verb.to_uppercase(), segments.join("/")))
}

/// A path with single slashes, and none at its end.
fn normal(path: &str) -> String {
    let segments: Vec<&str> = path
        .split('/')
        .filter(|segment| !segment.is_empty())
        .collect();
    format!("/{}", segments.join("/"))
}

fn compile(it: &Interface, app: &mut Compiling<'_>) -> Files {
    let has = |field: &str| it.config.get(field).is_some_and(|list| !list.is_null());
    // An app that names no routes calls its methods by their ids.
    let called = |id: &str| json!({ "method": "POST", "path": format!("/{id}"), "handler": id });
    let declared: Vec<Value> = if has("routes") {
        it.entries("routes").cloned().collect()
    } else if has("methods") {
        it.entries("methods")
            .filter_map(Value::as_str)
            .map(called)
            .collect()
    } else {
        app.manifest
            .methods
            .iter()
            .map(|method| called(&method.id))
            .collect()
    };
    let routes: Vec<Value> = declared
        .iter()
        .map(|route| compile_route(route, app))
        .collect();
    let name = it.name(app.manifest);
    let mut api = given(json!({ "name": name, "description": get(&it.config, "description") }));
    let document = openapi(&api, &routes);
    api["routes"] = routes.into();
    vec![
        ("interfaces/api.json", api),
        ("interfaces/openapi.json", document),
    ]
}

/// A route with what its method says where it says nothing itself.
fn compile_route(route: &Value, app: &mut Compiling<'_>) -> Value {
    let handler = text_at(route, "handler");
    let own = |field: &str| route.get(field).filter(|value| !value.is_null()).cloned();
    let schema = own("inputSchema").unwrap_or_else(|| app.schema(handler));
    let method = app.manifest.method(handler);
    let of_method = |own: Option<Value>, text: Option<&Option<String>>| {
        own.unwrap_or_else(|| json!(text.and_then(Option::as_deref)))
    };
    let mut made = json!({
        "method": text_at(route, "method").to_uppercase(),
        "path": normal(text_at(route, "path")),
        "handler": handler,
        "summary": of_method(own("summary"), method.map(|method| &method.name)),
        "description": of_method(own("description"), method.map(|method| &method.description)),
    });
    for (field, value) in route.as_object().into_iter().flatten() {
        if made.get(field).is_none() && field != "inputSchema" {
            made[field] = value.clone();
        }
    }
    made["inputSchema"] = schema;
    given(made)
}
