//! Reads, checks and compiles what the manifest declares as interfaces. What a type means is its
//! own file's.

mod agent;
mod api;
mod cron;
mod discord;
mod email;
mod kind;
mod mcp;
mod openapi;
mod telegram;
mod tools;
mod voice;
mod web;
mod webhook;

use crate::{
    check::{At, Field, Scope, anything, names, shape},
    faults::{Faults, line},
    locate::locate,
    manifest::{self, Manifest, Type, is_off, read_json},
};
pub use kind::Interface;
pub(crate) use kind::given;
use kind::{Compiling, Files, Kind};
use remy_db::internals::{json::below, typescript::Fault};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use std::{cell::RefCell, collections::BTreeMap, path::Path};

fn kind_of(kind: Type) -> &'static Kind {
    match kind {
        Type::Web => &web::KIND,
        Type::Api => &api::KIND,
        Type::Discord => &discord::KIND,
        Type::Telegram => &telegram::KIND,
        Type::Cron => &cron::KIND,
        Type::Webhook => &webhook::KIND,
        Type::Email => &email::KIND,
        Type::Mcp => &mcp::KIND,
        Type::Agent => &agent::KIND,
        Type::Voice => &voice::KIND,
    }
}

/// Where a web project is, if the manifest does not say.
const WEB: &str = "dist/interfaces/web";

/// Reads and checks every interface, and returns those without a fault. Of those that are switched
/// off nothing is looked at.
pub(crate) fn read(root: &Path, json: &Value, faults: &RefCell<Faults>) -> Vec<Interface> {
    let entries = json
        .get("interfaces")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    let mut found = Vec::new();
    for (i, entry) in entries.enumerate() {
        let Some(kind) = entry
            .get("type")
            .and_then(Value::as_str)
            .and_then(Type::named)
        else {
            continue;
        };
        let counts = |faults: &Faults| (faults.list.len(), faults.warnings.len());
        let (before, warned) = counts(&faults.borrow());
        let pointer = below("/interfaces", i);
        let named = manifest::named(json);
        let scope = manifest::scope(root, &named, faults);
        let read = if is_off(Some(entry)) {
            Some(switched_off(kind, scope.file, pointer))
        } else {
            switched_on(kind, entry, pointer, scope)
        };
        let faults = faults.borrow();
        if let Some(it) = read.filter(|_| faults.list.len() == before) {
            let warnings = faults.warnings[warned..].to_vec();
            found.push(Interface { warnings, ..it });
        }
    }
    found
}

fn switched_off(kind: Type, file: String, pointer: String) -> Interface {
    Interface {
        kind,
        enabled: false,
        file,
        pointer,
        config: Value::Object(Map::new()),
        files: BTreeMap::new(),
        dir: ".".to_owned(),
        warnings: Vec::new(),
    }
}

fn switched_on(
    kind: Type,
    entry: &Value,
    pointer: String,
    mut scope: Scope<'_>,
) -> Option<Interface> {
    let given = |key: &str| entry.get(key).filter(|value| !value.is_null());
    let (path, config) = (given("path"), given("config"));
    let (whole, pointer) = match path {
        Some(path) => (in_file(&mut scope, path)?, String::new()),
        None => in_manifest(kind, entry, pointer, &mut scope)?,
    };
    let content = content_of(kind, &At::new(&scope, &whole, &pointer))?;
    // What the manifest's own check says of the entry is not said again.
    if path.is_some() && config.is_some() {
        return None;
    }
    let Kind { fields, also, .. } = kind_of(kind);
    let schema: Field<'static> = ("$schema?", &anything);
    shape(&content, &[&[schema], *fields].concat());
    if content.object().is_some() {
        also(&content);
    }
    let (config, pointer) = (content.value?.clone(), content.pointer);
    Some(Interface {
        enabled: true,
        config,
        files: scope.files.take(),
        dir: scope.dir.clone(),
        ..switched_off(kind, scope.file.clone(), pointer)
    })
}

/// What an interface's file holds. The scope becomes that of the file.
fn in_file(scope: &mut Scope<'_>, path: &Value) -> Option<Value> {
    let path = path.as_str().filter(|path| !path.trim().is_empty())?;
    scope.file = locate(scope.root, ".", path).ok()?;
    scope.dir = match scope.file.rsplit_once('/') {
        Some((dir, _)) => dir.to_owned(),
        None => ".".to_owned(),
    };
    read_json(scope.root, &scope.file, scope.faults)
}

/// What stands in the manifest itself, and where.
fn in_manifest(
    kind: Type,
    entry: &Value,
    pointer: String,
    scope: &mut Scope<'_>,
) -> Option<(Value, String)> {
    let config = entry.get("config").filter(|config| !config.is_null());
    if kind == Type::Web {
        scope.dir = WEB.to_owned();
    }
    let at = At::new(scope, entry, &pointer);
    // An API has every method, if nothing is said.
    if config.is_none() && !matches!(kind, Type::Api | Type::Web) {
        at.fault("needs a path or a config");
        return None;
    }
    if kind == Type::Web && !scope.root.join(WEB).exists() {
        at.fault(format!(
            "needs a path: the project is the folder of that file, and there is no {WEB}"
        ));
        return None;
    }
    match config {
        None => Some((Value::Object(Map::new()), pointer)),
        Some(config) => config
            .is_object()
            .then(|| (config.clone(), below(&pointer, "config"))),
    }
}

/// The content of an interface's file: what stands below its type's name, or all of the file, as
/// older apps have it. Nothing, and a fault, where it is neither.
fn content_of<'a>(kind: Type, whole: &At<'a>) -> Option<At<'a>> {
    let name = kind.name();
    let Some(found) = whole.object() else {
        whole.fault(format!("has to be an object, as in {{ \"{name}\": … }}"));
        return None;
    };
    let fields = names(kind_of(kind).fields);
    let keys = || found.keys().filter(|key| *key != "$schema");
    let flat = keys().any(|key| key != name && fields.contains(&key.as_str()));
    let below = whole.at(name);
    // A voice has a field "voice" as well.
    let nested = if kind == Type::Voice && flat {
        below.at("systemPrompt").value.is_some()
    } else {
        below.object().is_some() || below.value.is_some() && !flat
    };
    if nested {
        for key in keys().filter(|key| *key != name) {
            whole.at(key).warn(format!(
                "is not known here, and kept as it is; \"{name}\" is known"
            ));
        }
        return Some(below);
    }
    if flat || keys().next().is_none() {
        return Some(whole.clone());
    }
    whole.fault(format!(
        "declares no {name} interface: that stands below \"{name}\""
    ));
    None
}

/// What an interface becomes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Compiled {
    /// Paths in the release, and the text of each.
    #[serde(serialize_with = "as_map")]
    pub files: Vec<(&'static str, String)>,
    /// What is odd, and does no harm.
    pub warnings: Vec<String>,
}

fn as_map<S: Serializer>(
    files: &[(&'static str, String)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(files.iter().map(|(path, text)| (path, text)))
}

/// Compiles an interface. One that is switched off becomes nothing. `schemas` gives the JSON Schema
/// of a method's input, `{}` where it is not known.
pub fn compile(
    it: &Interface,
    manifest: &Manifest,
    schemas: &mut dyn FnMut(&str) -> Value,
) -> Compiled {
    let mut app = Compiling {
        manifest,
        schemas,
        warnings: Vec::new(),
    };
    let made = if it.enabled {
        (kind_of(it.kind).compile)(it, &mut app)
    } else {
        Files::new()
    };
    let warning = |(pointer, message)| line(&Fault::of_field(&it.file, pointer, message));
    Compiled {
        files: made
            .into_iter()
            .map(|(path, json)| (path, format!("{json:#}\n")))
            .collect(),
        warnings: app.warnings.into_iter().map(warning).collect(),
    }
}

/// The effects of a kind that an interface declares.
pub(crate) fn effects_of(it: &Interface, kind: &str) -> Vec<Value> {
    match kind_of(it.kind).effects {
        Some((own, effects)) if own == kind => effects(it),
        _ => Vec::new(),
    }
}
