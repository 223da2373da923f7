//! Checks of JSON values, which report what is wrong and where. A check goes on after a fault, so
//! that all of them are told at once: `a & b` makes both checks, `a && b` the second only where the
//! first found nothing.

use crate::faults::Faults;
use remy_db::internals::{effects::is_kebab_case, json::below, typescript::Fault};
use serde_json::{Map, Value};
use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

/// Where a value comes from, and what is known of the app there.
pub(crate) struct Scope<'a> {
    /// The app's folder.
    pub root: &'a Path,
    /// The file that the value is in, relative to the root.
    pub file: String,
    /// The folder that references to files are relative to.
    pub dir: String,
    /// What the files say that were referred to, by the pointer of the reference.
    pub files: RefCell<BTreeMap<String, String>>,
    pub faults: &'a RefCell<Faults>,
    pub named: &'a Named,
}

/// What a declaration may name.
#[derive(Debug, Default)]
pub(crate) struct Named {
    /// The ids and exports of the methods; none where they cannot be told.
    pub methods: Option<Vec<(String, String)>>,
    /// The ids of those that have a description.
    pub described: BTreeSet<String>,
    /// The ids of the roles; none where they cannot be told.
    pub roles: Option<Vec<String>>,
}

/// Reports what is wrong with a value, and returns whether nothing was.
pub(crate) type Check<'c> = &'c dyn Fn(&At<'_>) -> bool;

/// The name of a field and what it takes. A name with `?` behind it may be missing, or null.
pub(crate) type Field<'c> = (&'c str, Check<'c>);

/// A value, and where it stands.
#[derive(Clone)]
pub(crate) struct At<'a> {
    pub scope: &'a Scope<'a>,
    /// None where there is nothing.
    pub value: Option<&'a Value>,
    pub pointer: String,
}

impl<'a> At<'a> {
    pub fn new(scope: &'a Scope<'a>, value: &'a Value, pointer: &str) -> Self {
        Self {
            scope,
            value: Some(value),
            pointer: pointer.to_owned(),
        }
    }

    /// What stands below `key`.
    pub fn at(&self, key: &str) -> Self {
        Self {
            scope: self.scope,
            value: self.value.and_then(|value| value.get(key)),
            pointer: below(&self.pointer, key),
        }
    }

    /// The entries of a list; none of what is no list.
    pub fn each(&self) -> impl Iterator<Item = Self> {
        let list = self.value.and_then(Value::as_array).into_iter().flatten();
        list.enumerate().map(|(i, value)| Self {
            scope: self.scope,
            value: Some(value),
            pointer: below(&self.pointer, i),
        })
    }

    pub fn object(&self) -> Option<&'a Map<String, Value>> {
        self.value.and_then(Value::as_object)
    }

    /// The text; an empty one of what is none.
    pub fn text(&self) -> &'a str {
        self.value.and_then(Value::as_str).unwrap_or_default()
    }

    /// Whether there is anything but null.
    pub fn is_given(&self) -> bool {
        self.value.is_some_and(|value| !value.is_null())
    }

    /// Reports what is wrong. Returns false, which a check then is.
    pub fn fault(&self, message: impl Into<String>) -> bool {
        self.scope.faults.borrow_mut().add(self.about(message));
        false
    }

    /// Reports what is odd.
    pub fn warn(&self, message: impl Into<String>) {
        self.scope.faults.borrow_mut().warn(&self.about(message));
    }

    fn about(&self, message: impl Into<String>) -> Fault {
        Fault::of_field(&self.scope.file, &self.pointer, message)
    }

    /// Reports that the value is not `what` it has to be, unless it `fits`.
    pub fn is(&self, what: &str, fits: bool) -> bool {
        fits || self.fault(format!("has to be {what}, but is {}", kind(self.value)))
    }
}

/// What kind of value it is, in words. Never the value itself, which may be a secret.
fn kind(value: Option<&Value>) -> &'static str {
    match value {
        None => "nothing",
        Some(Value::Null) => "null",
        Some(Value::Bool(true)) => "true",
        Some(Value::Bool(false)) => "false",
        Some(Value::Number(_)) => "a number",
        Some(Value::String(_)) => "a text",
        Some(Value::Array(_)) => "a list",
        Some(Value::Object(_)) => "an object",
    }
}

pub(crate) fn anything(_: &At<'_>) -> bool {
    true
}

pub(crate) fn text(at: &At<'_>) -> bool {
    at.is("a text", at.value.is_some_and(Value::is_string))
}

pub(crate) fn flag(at: &At<'_>) -> bool {
    at.is("true or false", at.value.is_some_and(Value::is_boolean))
}

pub(crate) fn object(at: &At<'_>) -> bool {
    at.is("an object", at.object().is_some())
}

/// A text that says something.
pub(crate) fn filled(at: &At<'_>) -> bool {
    text(at) && (!at.text().trim().is_empty() || at.fault("is empty"))
}

/// The greatest number up to which a double holds every whole one.
pub(crate) const SAFE: f64 = 9_007_199_254_740_991.0;

/// The value of a whole number, however it is written: `3.0` is one.
pub(crate) fn whole_number(value: &Value) -> Option<f64> {
    value
        .as_f64()
        .filter(|number| number.fract() == 0.0 && number.abs() <= SAFE)
}

/// A whole number from `least` to `greatest`.
pub(crate) fn whole(at: &At<'_>, least: f64, greatest: f64) -> bool {
    let range = if greatest == SAFE {
        format!("{least} or more")
    } else {
        format!("{least} to {greatest}")
    };
    let Some(Value::Number(number)) = at.value else {
        return at.is("a number", false);
    };
    let fits = at
        .value
        .and_then(whole_number)
        .is_some_and(|n| (least..=greatest).contains(&n));
    fits || at.fault(format!(
        "has to be a whole number, {range}, but is {number}"
    ))
}

pub(crate) fn one_of(at: &At<'_>, names: &[&str]) -> bool {
    let known = || {
        or(&names
            .iter()
            .map(|name| format!("\"{name}\""))
            .collect::<Vec<_>>())
    };
    text(at)
        && (names.contains(&at.text())
            || at.fault(format!("has to be {}, but is \"{}\"", known(), at.text())))
}

/// A text that `fits` a `rule`, which reads on from the text.
pub(crate) fn matching(at: &At<'_>, rule: &str, fits: impl Fn(&str) -> bool) -> bool {
    filled(at) && (fits(at.text()) || at.fault(format!("\"{}\" {rule}", at.text())))
}

/// An id, by core's rule.
pub(crate) fn kebab(at: &At<'_>) -> bool {
    matching(at, "is not kebab-case, as in \"shop-owner\"", is_kebab_case)
}

/// A list of what `item` takes.
pub(crate) fn list(at: &At<'_>, item: Check<'_>) -> bool {
    at.is("a list", at.value.is_some_and(Value::is_array)) && every(at.each(), item)
}

/// A list of at most `most` entries.
pub(crate) fn list_up_to(at: &At<'_>, most: usize, item: Check<'_>) -> bool {
    let good = list(at, item);
    let count = at.each().count();
    let fits = count <= most || at.fault(format!("holds {count}, and at most {most} are allowed"));
    good && fits
}

/// Whether each of them passes; all of them are looked at.
pub(crate) fn every<'a>(entries: impl Iterator<Item = At<'a>>, check: Check<'_>) -> bool {
    entries
        .map(|entry| check(&entry))
        .fold(true, |good, fits| fits & good)
}

/// An object whose keys are the author's.
pub(crate) fn map(at: &At<'_>, item: Check<'_>) -> bool {
    object(at)
        && every(
            at.object()
                .into_iter()
                .flat_map(Map::keys)
                .map(|key| at.at(key)),
            item,
        )
}

/// An object with these fields. What else is there is kept, with a warning.
pub(crate) fn shape(at: &At<'_>, fields: &[Field<'_>]) -> bool {
    let Some(found) = at.object() else {
        return object(at);
    };
    let known = names(fields);
    for key in found
        .keys()
        .filter(|key| !fields.iter().any(|(name, _)| bare(name) == *key))
    {
        let are = if known.len() == 1 { "is" } else { "are" };
        at.at(key).warn(format!(
            "is not known here, and kept as it is; {} {are} known",
            and(&known)
        ));
    }
    fields.iter().fold(true, |good, (name, check)| {
        let field = at.at(bare(name));
        let fits = match field.value {
            None | Some(Value::Null) if name.ends_with('?') => true,
            None => field.fault("is missing"),
            Some(_) => check(&field),
        };
        fits && good
    })
}

/// The names of the fields of a shape.
pub(crate) fn names<'c>(fields: &[Field<'c>]) -> Vec<&'c str> {
    let names = fields.iter().map(|(name, _)| bare(name));
    names.filter(|name| *name != "$schema").collect()
}

fn bare(name: &str) -> &str {
    name.trim_end_matches('?')
}

/// That no two entries of a list have the same key.
pub(crate) struct Distinct {
    /// The field that a fault is reported at; empty for the entry.
    pub field: &'static str,
    /// What the key is.
    pub what: &'static str,
    /// Whether a fault may show it.
    pub shown: bool,
    /// What else there is to say.
    pub note: &'static str,
}

impl Distinct {
    /// Whether it is so, by the `key` of an entry.
    pub fn by(&self, at: &At<'_>, key: impl Fn(&Value) -> Option<String>) -> bool {
        let mut seen = BTreeMap::new();
        at.each().fold(true, |good, entry| {
            let Some(value) = entry.value.and_then(&key) else {
                return good;
            };
            let shown = if self.shown {
                format!(" \"{value}\"")
            } else {
                String::new()
            };
            let Some(first) = seen.get(&value) else {
                seen.insert(value, entry.pointer);
                return good;
            };
            let message = format!("has the {}{shown} of {first}{}", self.what, self.note);
            if self.field.is_empty() {
                entry.fault(message)
            } else {
                entry.at(self.field).fault(message)
            }
        })
    }
}

/// That no two entries of a list have the same text in `field`.
pub(crate) fn distinct(at: &At<'_>, field: &'static str, what: &'static str) -> bool {
    distinct_by(at, field, what, |entry| text_of(entry, field))
}

/// That no two entries of a list have the same `key`, which is `what`.
pub(crate) fn distinct_by(
    at: &At<'_>,
    field: &'static str,
    what: &'static str,
    key: impl Fn(&Value) -> Option<String>,
) -> bool {
    let rule = Distinct {
        field,
        what,
        shown: true,
        note: "",
    };
    rule.by(at, key)
}

/// The text that stands in a field.
pub(crate) fn text_of(value: &Value, field: &str) -> Option<String> {
    value.get(field)?.as_str().map(str::to_owned)
}

pub(crate) fn and(words: &[impl AsRef<str>]) -> String {
    joined(words, "and")
}

pub(crate) fn or(words: &[impl AsRef<str>]) -> String {
    joined(words, "or")
}

fn joined(words: &[impl AsRef<str>], last_word: &str) -> String {
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    match words.as_slice() {
        [before @ .., last] if !before.is_empty() => {
            format!("{} {last_word} {last}", before.join(", "))
        }
        _ => words.concat(),
    }
}
