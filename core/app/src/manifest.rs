//! `mindstudio.json`: what an app declares.

use crate::{
    check::{
        At, Distinct, Field, Named, Scope, anything, distinct, distinct_by, every, filled, flag,
        kebab, list, matching, object, one_of, shape, text, text_of,
    },
    faults::{AppError, Faults},
    locate::{locate, normal, read_text},
    references::{file, role},
};
use remy_db::internals::{json, typescript::Fault};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use std::{
    cell::RefCell,
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// The manifest's file.
pub const FILE: &str = "mindstudio.json";

/// The manifest, with its defaults. What is not known to remy stands in each entry's `rest`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// The app's folder.
    pub root: PathBuf,
    /// The manifest's path in it.
    pub file: String,
    /// What people call the app.
    pub name: String,
    /// Any text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_id: Option<String>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Who signs in, and how.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<Value>,
    /// At least one.
    pub methods: Vec<Method>,
    /// In the manifest's order.
    #[serde(default, deserialize_with = "or_none")]
    pub tables: Vec<Table>,
    /// What users may be.
    #[serde(default, deserialize_with = "or_none")]
    pub roles: Vec<Role>,
    /// One of each type at most that is switched on.
    #[serde(default, deserialize_with = "or_none")]
    pub interfaces: Vec<Declared>,
    /// Seeds of dev sessions.
    #[serde(default, deserialize_with = "or_none")]
    pub scenarios: Vec<Scenario>,
    /// What is odd in the manifest.
    pub warnings: Vec<String>,
    /// The manifest as it stands.
    pub json: Value,
}

impl Manifest {
    /// The method that has an id.
    pub fn method(&self, id: &str) -> Option<&Method> {
        self.methods.iter().find(|method| method.id == id)
    }
}

/// A method.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Method {
    /// Kebab-case, and unique.
    pub id: String,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Its file, relative to the app's folder.
    pub path: String,
    /// What that exports.
    pub export: String,
    /// What else is said of it.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// A table.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Table {
    /// For people: the table's file says its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its file, relative to the app's folder.
    pub path: String,
    /// What that exports.
    pub export: String,
    /// What else is said of it.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// A role.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Role {
    /// Kebab-case, and unique.
    pub id: String,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What else is said of it.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// An interface, as the manifest has it: `path` names a file, or `config` is its content.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Declared {
    /// What it is.
    #[serde(rename = "type")]
    pub kind: Type,
    /// Whether anything is made of it.
    #[serde(default = "on", deserialize_with = "or_on")]
    pub enabled: bool,
    /// What else is said of it. Of one that is switched off anything may stand here.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// A seed of dev sessions.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Scenario {
    /// Kebab-case, and unique.
    pub id: String,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it seeds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Its file, relative to the app's folder.
    pub path: String,
    /// What that exports.
    pub export: String,
    /// Whom the session impersonates.
    pub roles: Vec<String>,
    /// What else is said of it.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

fn on() -> bool {
    true
}

fn or_on<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(true))
}

/// Null stands for what may be left out.
fn or_none<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// A type of interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Type {
    /// A web project.
    Web,
    /// Methods as routes of an HTTP API.
    Api,
    /// Slash commands of a Discord bot.
    Discord,
    /// Commands of a Telegram bot.
    Telegram,
    /// Methods that run by the clock.
    Cron,
    /// Methods that others call by a secret.
    Webhook,
    /// The method that mail runs.
    Email,
    /// Tools, resources and prompts for somebody else's agent.
    Mcp,
    /// A model that talks to users.
    Agent,
    /// A model that speaks with users.
    Voice,
}

/// The types by their names.
const TYPES: [(&str, Type); 10] = [
    ("web", Type::Web),
    ("api", Type::Api),
    ("discord", Type::Discord),
    ("telegram", Type::Telegram),
    ("cron", Type::Cron),
    ("webhook", Type::Webhook),
    ("email", Type::Email),
    ("mcp", Type::Mcp),
    ("agent", Type::Agent),
    ("voice", Type::Voice),
];

impl Type {
    /// The type that has a name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        TYPES
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, kind)| *kind)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        TYPES
            .iter()
            .find(|(_, kind)| *kind == self)
            .map_or("", |(name, _)| name)
    }
}

fn interface_type(at: &At<'_>) -> bool {
    one_of(at, &TYPES.map(|(name, _)| name))
}

fn exported(at: &At<'_>) -> bool {
    matching(at, "is no name that a file can export", is_export)
}

/// Whether a file can export something by this name.
pub(crate) fn is_export(name: &str) -> bool {
    let mut chars = name.chars();
    let starts = |c| unicode_id_start::is_id_start(c) || matches!(c, '$' | '_');
    let goes_on =
        |c| unicode_id_start::is_id_continue(c) || matches!(c, '$' | '_' | '\u{200c}' | '\u{200d}');
    chars.next().is_some_and(starts) && chars.all(goes_on)
}

const METHOD: &[Field<'static>] = &[
    ("id", &kebab),
    ("name?", &text),
    ("description?", &text),
    ("path", &file),
    ("export", &exported),
    // What the platform reads, and remy keeps.
    ("autonomy?", &|at| {
        one_of(at, &["manual", "shadow", "approve", "auto"])
    }),
    ("jewel?", &anything),
    ("sampleRate?", &anything),
    ("attributionWindow?", &anything),
    ("tuning?", &anything),
];

fn methods(at: &At<'_>) -> bool {
    let whole = list(at, &|at| shape(at, METHOD));
    let is_empty = at
        .value
        .and_then(Value::as_array)
        .is_some_and(Vec::is_empty);
    whole & (!is_empty || at.fault("has to hold at least 1")) & distinct(at, "id", "id")
}

fn tables(at: &At<'_>) -> bool {
    let name = Distinct {
        field: "name",
        what: "name",
        shown: true,
        note: ", letter case aside",
    };
    list(at, &|at| {
        // The name is that of `defineTable`: here it is for people.
        shape(at, &[("name?", &filled), ("path", &file), ("export", &exported)])
    })
        // SQLite takes names that differ in letter case only for the same.
        & name.by(at, |table| Some(text_of(table, "name")?.to_lowercase()))
        & distinct_by(at, "export", "path and export", |table| {
            let (path, export) = (text_of(table, "path")?, text_of(table, "export")?);
            (!path.is_empty() && !export.is_empty()).then(|| format!("{path}#{export}"))
        })
}

fn roles(at: &At<'_>) -> bool {
    let role: &[Field<'_>] = &[("id", &kebab), ("name?", &text), ("description?", &text)];
    list(at, &|at| shape(at, role)) & distinct(at, "id", "id")
}

fn scenarios(at: &At<'_>) -> bool {
    let scenario: &[Field<'_>] = &[
        ("id", &kebab),
        ("name?", &text),
        ("description?", &text),
        ("path", &file),
        ("export", &exported),
        ("roles", &|at| list(at, &role)),
        ("skipTruncate?", &flag),
    ];
    list(at, &|at| shape(at, scenario)) & distinct(at, "id", "id")
}

fn interface(at: &At<'_>) -> bool {
    if is_off(at.value) {
        // Of one that is switched off nothing else is looked at: what it needs may not be there
        // yet, or not any more.
        let off: &[Field<'_>] = &[
            ("type", &interface_type),
            ("path?", &anything),
            ("config?", &anything),
            ("enabled", &flag),
        ];
        return shape(at, off);
    }
    let on: &[Field<'_>] = &[
        ("type", &interface_type),
        ("path?", &file),
        ("config?", &object),
        ("enabled?", &flag),
    ];
    let both = at.at("path").is_given() && at.at("config").is_given();
    shape(at, on) & (!both || at.fault("has both a path and a config; keep one of them"))
}

/// Whether an interface's entry is switched off.
pub(crate) fn is_off(entry: Option<&Value>) -> bool {
    entry.and_then(|entry| entry.get("enabled")) == Some(&Value::Bool(false))
}

/// A type can be there once: one of two would have to win, and nobody could say which. One that is
/// switched off does not count.
fn one_of_each(at: &At<'_>) -> bool {
    let mut first = BTreeMap::new();
    at.at("interfaces").each().fold(true, |good, entry| {
        let kind = Type::named(entry.at("type").text());
        let Some(kind) = kind.filter(|_| !is_off(entry.value)) else {
            return good;
        };
        let Some(before) = first.get(&kind) else {
            first.insert(kind, entry.pointer);
            return good;
        };
        let hint = "put them into one, or give one \"enabled\": false";
        entry.fault(format!(
            "is another \"{}\" interface beside {before}; {hint}",
            kind.name()
        ))
    })
}

/// The ways to sign in, and the column of the auth table that each needs.
const WAYS: [(&str, Option<&str>); 4] = [
    ("email-code", Some("email")),
    ("sms-code", Some("phone")),
    ("api-key", Some("apiKey")),
    ("remy", None),
];

const AUTH: &[Field<'static>] = &[
    ("enabled", &flag),
    ("methods?", &|at| {
        list(at, &|at| one_of(at, &WAYS.map(|(way, _)| way)))
            & distinct_by(at, "", "name", |way| way.as_str().map(str::to_owned))
    }),
    ("table?", &|at| {
        let columns: &[Field<'_>] = &[
            ("email?", &filled),
            ("phone?", &filled),
            ("roles?", &filled),
            ("apiKey?", &filled),
        ];
        shape(
            at,
            &[("name", &filled), ("columns", &|at| shape(at, columns))],
        )
    }),
];

fn auth(at: &At<'_>) -> bool {
    // What is switched off may be half done.
    shape(at, AUTH) & (!is_on(at) || signs_in(at))
}

/// Whether anybody signs in.
pub(crate) fn is_on(auth: &At<'_>) -> bool {
    auth.at("enabled").value == Some(&Value::Bool(true))
}

/// Whether the auth has what it needs when it is switched on.
fn signs_in(at: &At<'_>) -> bool {
    let (ways, table) = (at.at("methods"), at.at("table"));
    let columns = table.at("columns");
    let has_way = ways.each().next().is_some() || ways.fault("is missing: nobody could sign in");
    let has_table = table.is_given() || table.fault("is missing: it says where the users are");
    let column_of = |way: &str| WAYS.iter().find(|(known, _)| *known == way)?.1;
    has_way
        & has_table
        & every(ways.each(), &|way| {
            let Some(column) = column_of(way.text()).filter(|_| columns.object().is_some()) else {
                return true;
            };
            let column = columns.at(column);
            column.is_given() || column.fault(format!("is missing: \"{}\" needs it", way.text()))
        })
}

const MANIFEST: &[Field<'static>] = &[
    ("$schema?", &anything),
    ("appId?", &text),
    ("name", &filled),
    ("description?", &text),
    ("iconUrl?", &text),
    ("openGraphShareImageUrl?", &text),
    ("dataSources?", &|at| list(at, &object)),
    ("methods", &methods),
    ("tables?", &tables),
    ("roles?", &roles),
    ("interfaces?", &|at| list(at, &interface)),
    ("scenarios?", &scenarios),
    ("auth?", &auth),
];

/// Reads the manifest of the app in the folder `root`, which is `called` so, and checks all of it.
/// Where it is no JSON, there is nothing, and a fault.
pub(crate) fn read(
    root: &Path,
    called: &str,
    faults: &RefCell<Faults>,
) -> Result<Option<Value>, AppError> {
    if let Err(why) = locate(root, ".", FILE) {
        return Err(AppError::no_app(called, FILE, why));
    }
    let json = read_json(root, FILE, faults);
    if let Some(json) = &json {
        let named = named(json);
        let scope = scope(root, &named, faults);
        let at = At::new(&scope, json, "");
        let _ = shape(&at, MANIFEST) & one_of_each(&at);
    }
    Ok(json)
}

/// What a JSON file holds; nothing, and a fault, where it is none.
pub(crate) fn read_json(root: &Path, file: &str, faults: &RefCell<Faults>) -> Option<Value> {
    let mut faults = faults.borrow_mut();
    let text = match read_text(root, file) {
        Ok(text) => text,
        Err(why) => {
            faults.add(Fault::of_file(file, why));
            return None;
        }
    };
    match json::read(&text) {
        Ok(json) => {
            faults.reads(file, &text);
            for pointer in json.twice {
                let message = "is there twice; the last one counts";
                faults.warn(&Fault::of_field(file, pointer, message));
            }
            Some(json.value)
        }
        Err(why) => {
            faults.add(Fault::not_json(file, &text, &why));
            None
        }
    }
}

/// The scope of the manifest.
pub(crate) fn scope<'a>(
    root: &'a Path,
    named: &'a Named,
    faults: &'a RefCell<Faults>,
) -> Scope<'a> {
    Scope {
        root,
        file: FILE.to_owned(),
        dir: ".".to_owned(),
        files: RefCell::default(),
        faults,
        named,
    }
}

/// What the manifest declares, for those who refer to it: with its faults, so that one fault does
/// not cause others.
pub(crate) fn named(json: &Value) -> Named {
    let entries = |key: &str| -> Option<&Vec<Value>> {
        let list = json.get(key).and_then(Value::as_array)?;
        list.iter()
            .all(|entry| entry.get("id").is_some_and(Value::is_string))
            .then_some(list)
    };
    let id = |entry: &Value| text_of(entry, "id").unwrap_or_default();
    let is_described = |entry: &&Value| {
        text_of(entry, "description").is_some_and(|description| !description.trim().is_empty())
    };
    let methods = entries("methods");
    let has_roles = json.get("roles").is_some_and(|roles| !roles.is_null());
    Named {
        methods: methods.map(|list| {
            let export = |entry: &Value| text_of(entry, "export").unwrap_or_default();
            list.iter()
                .map(|entry| (id(entry), export(entry)))
                .collect()
        }),
        described: methods
            .into_iter()
            .flatten()
            .filter(is_described)
            .map(id)
            .collect(),
        roles: if has_roles || !json.is_object() {
            entries("roles").map(|list| list.iter().map(id).collect())
        } else {
            Some(Vec::new())
        },
    }
}

/// The manifest of JSON without faults, with its defaults.
pub(crate) fn of_json(
    root: &Path,
    json: Value,
    warnings: Vec<String>,
) -> Result<Manifest, serde_json::Error> {
    let mut declared = json.clone();
    for list in ["methods", "tables", "interfaces", "scenarios"] {
        for entry in declared
            .get_mut(list)
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
        {
            if let Some(path) = text_of(entry, "path").and_then(|path| normal(".", &path)) {
                entry["path"] = path.into();
            }
        }
    }
    if let Value::Object(fields) = &mut declared {
        fields.insert("root".to_owned(), serde_json::to_value(root)?);
        fields.insert("file".to_owned(), FILE.into());
        fields.insert("warnings".to_owned(), warnings.into());
        fields.insert("json".to_owned(), json);
    }
    serde_json::from_value(declared)
}
