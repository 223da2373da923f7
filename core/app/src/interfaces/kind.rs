//! An interface, and what a type of them is.

use crate::{
    check::{At, Field},
    manifest::{Manifest, Type},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// An interface of an app.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Interface {
    /// What it is.
    #[serde(rename = "type")]
    pub kind: Type,
    /// Whether anything is made of it.
    pub enabled: bool,
    /// The file that declares it, relative to the app's folder.
    pub file: String,
    /// Where its content begins in that file: a JSON pointer, empty for the whole.
    pub pointer: String,
    /// The content as it stands.
    pub config: Value,
    /// What the files say that it refers to, by the pointer of the reference.
    pub files: BTreeMap<String, String>,
    /// The folder that its references are relative to, and of a web project.
    pub dir: String,
    /// What is odd in it.
    pub warnings: Vec<String>,
}

/// The files that an interface becomes, by their paths in the release.
pub(super) type Files = Vec<(&'static str, Value)>;

/// What an interface declares for the option `effects`.
type Effects = fn(&Interface) -> Vec<Value>;

/// A type of interface.
pub(super) struct Kind {
    /// The fields of its content.
    pub fields: &'static [Field<'static>],
    /// What else has to hold of it.
    pub also: fn(&At<'_>) -> bool,
    pub compile: fn(&Interface, &mut Compiling<'_>) -> Files,
    /// The effects that it declares: their kind, and one each.
    pub effects: Option<(&'static str, Effects)>,
}

/// What compiling asks of the app.
pub(super) struct Compiling<'a> {
    pub manifest: &'a Manifest,
    pub schemas: &'a mut dyn FnMut(&str) -> Value,
    /// By JSON pointer.
    pub warnings: Vec<(String, String)>,
}

impl Compiling<'_> {
    /// The JSON Schema of a method's input; `{}` where it is not known.
    pub fn schema(&mut self, method: &str) -> Value {
        (self.schemas)(method)
    }

    pub fn warn(&mut self, pointer: String, message: String) {
        self.warnings.push((pointer, message));
    }

    /// What the manifest says of a method.
    pub fn description(&self, id: &str) -> Option<&str> {
        self.manifest.method(id)?.description.as_deref()
    }
}

impl Interface {
    /// What people call it: what it says, or the app's name.
    pub(super) fn name<'s>(&'s self, manifest: &'s Manifest) -> &'s str {
        let own = self.config.get("name").and_then(Value::as_str);
        own.unwrap_or(&manifest.name)
    }

    /// The entries of a list of its content; none where it has none.
    pub(super) fn entries(&self, list: &str) -> impl Iterator<Item = &Value> {
        self.config
            .get(list)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
    }

    /// What the file says that the content refers to, at a path below it.
    pub(super) fn file_at(&self, path: &str) -> Option<&str> {
        self.files
            .get(&format!("{}/{path}", self.pointer))
            .map(String::as_str)
    }
}

/// The fields that have a value. What is no object has none.
pub(crate) fn given(fields: Value) -> Value {
    let fields = match fields {
        Value::Object(fields) => fields,
        _ => Map::new(),
    };
    Value::Object(
        fields
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .collect(),
    )
}

/// What stands in a field; null where nothing does.
pub(super) fn get(value: &Value, field: &str) -> Value {
    value.get(field).cloned().unwrap_or_default()
}

/// The text that stands in a field; empty where none does.
pub(super) fn text<'v>(value: &'v Value, field: &str) -> &'v str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}
