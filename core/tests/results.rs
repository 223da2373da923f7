//! The results are written once, in Rust. What says them again, `index.d.ts` for JavaScript and
//! `docs/contract.md` for people, is held here to what the verbs return.
#![cfg(all(feature = "engine", feature = "typescript"))]
use remy_db::{
    Allow, CODES, DevStatus, Error, OptionName, Options, Part, Progress, Reached, Remy, Status,
    Step, StepOutcome, VerbName, internals::typescript::method_input, remedy,
};
use rusqlite::Connection;
use serde::Serialize;
use serde_json::{Value, json};
use std::{collections::BTreeSet, fs, path::Path};

const CONTRACT: &str = include_str!("../../docs/contract.md");
const TYPES: &str = include_str!("../../node-binding/js/index.d.ts");

/// Results by the name of their section in the contract and of their type in JavaScript: each of
/// their lists has something in it in one of them.
struct Results(Vec<(&'static str, &'static str, Value)>);

impl Results {
    fn add(&mut self, section: &'static str, of: &'static str, result: &impl Serialize) {
        match serde_json::to_value(result).unwrap() {
            Value::Array(all) => {
                assert!(!all.is_empty(), "no {of}");
                self.0.extend(all.into_iter().map(|one| (section, of, one)));
            }
            one => self.0.push((section, of, one)),
        }
    }

    /// All of the verbs, on a database that gives them something to tell.
    fn of_the_verbs() -> Self {
        let mut all = Self(Vec::new());
        let dir = tempfile::tempdir().unwrap();
        let live = dir.path().join("app.db");
        let conn = Connection::open(&live).unwrap();
        let users = "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT);";
        conn.execute_batch(users).unwrap();
        conn.execute_batch("INSERT INTO users VALUES (1, 'Ann'), (2, 'Bob')")
            .unwrap();
        let app = Remy::open(&live).unwrap();
        let wider = format!("{users} CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT);");
        let options = Options {
            effects: Some(json!({"roles": [{"id": "buyer"}]})),
            warnings: true,
            ..Options::default()
        };
        all.add(
            "statement",
            "Statement",
            &app.diff(&wider, &options).unwrap(),
        );
        let renamed = Options {
            renames: vec!["users.name=full_name".to_owned()],
            ..Options::default()
        };
        let other_name = "CREATE TABLE users (id INTEGER PRIMARY KEY, full_name TEXT);";
        all.add(
            "statement",
            "Statement",
            &app.diff(other_name, &renamed).unwrap(),
        );
        let published = app.publish(&wider, &options, Progress::none()).unwrap();
        all.add("outcome", "Outcome", &published);
        conn.execute_batch("INSERT INTO notes VALUES (1, 'lost'); DELETE FROM users WHERE id = 2")
            .unwrap();
        let rolled_back = app.rollback(None, &options, Progress::none()).unwrap();
        all.add("outcome", "Outcome", &rolled_back);
        // Which needs a newer SQLite than every client has.
        let newer = format!("{wider} CREATE VIEW names AS SELECT concat(name, id) FROM users;");
        let staged = app.stage(&newer, &options, Progress::none()).unwrap();
        all.add("outcome", "Outcome", &staged);
        conn.execute_batch("CREATE TABLE scratch (a)").unwrap();
        all.add(
            "statement",
            "Statement",
            &app.diff(&wider, &options).unwrap(),
        );
        all.add("release", "Release", &app.releases().unwrap());
        all.add("line", "Line", &app.build_log(None).unwrap());
        let unsure = "CREATE TABLE users (id INTEGER PRIMARY KEY, label TEXT);";
        app.publish(unsure, &Options::default(), Progress::none())
            .unwrap_err();
        all.add("line", "Line", &app.build_log(None).unwrap());
        all.add("dev", "Dev", &app.dev_start("ann").unwrap());
        all.add("dev", "Dev", &app.dev_list().unwrap());
        all.add(
            "clone",
            "Clone",
            &app.clone_to(dir.path().join("copy.db")).unwrap(),
        );
        all.add("verified", "Verified", &app.verify().unwrap());
        all.add("debug", "Debug", &app.debug().unwrap());
        all.add(
            "pruned",
            "Pruned",
            &app.prune(Some(0), &Options::default()).unwrap(),
        );
        all.add("detached", "Detached", &app.detach().unwrap());
        all.of_errors(&app);
        all
    }

    /// An error, and one with all that an error may have.
    fn of_errors(&mut self, app: &Remy) {
        let refused = app.diff("CREATE TABLE", &Options::default()).unwrap_err();
        self.0.push(("Errors", "Failure", json!(refused)));
        let remedy = remedy![
            "Say ",
            Allow::Drop,
            Part::Rename {
                rename: "a=b".to_owned()
            },
            OptionName::Db,
            VerbName::Build.with(OptionName::Out),
        ];
        let all_parts = Error::io("it failed")
            .hint(remedy)
            .object("it")
            .sql("SELECT");
        self.0.push(("Errors", "Failure", json!(all_parts)));
    }
}

/// The words of a key, by section and type.
fn words() -> [(&'static str, &'static str, &'static str, Value); 5] {
    [
        ("outcome", "Outcome", "status", json!(Reached::ALL)),
        ("release", "Release", "status", json!(Status::ALL)),
        ("dev", "Dev", "status", json!(DevStatus::ALL)),
        ("line", "Line", "step", json!(Step::ALL)),
        ("line", "Line", "outcome", json!(StepOutcome::ALL)),
    ]
}

/// The types of `index.d.ts` as JSON Schemas, by remy's own reader of TypeScript.
fn types(names: &BTreeSet<&str>) -> Value {
    let app = tempfile::tempdir().unwrap();
    let members: Vec<_> = names.iter().map(|name| format!("{name}: {name}")).collect();
    let text = format!(
        "{TYPES}\nexport function given(of: {{ {} }}): void;\n",
        members.join("; ")
    );
    fs::write(app.path().join("types.d.ts"), text).unwrap();
    let read = method_input(app.path(), Path::new("types.d.ts"), "given");
    assert!(read.exported && read.errors.is_empty(), "{read:?}");
    read.schema["properties"].clone()
}

/// Whether `value` is what `schema` says, no key more and none less. `seen` gains the places that
/// it has.
fn conform(
    at: &str,
    value: &Value,
    schema: &Value,
    seen: &mut BTreeSet<String>,
) -> Result<(), String> {
    if let Some(any) = schema["anyOf"].as_array() {
        let tried: Vec<_> = any
            .iter()
            .map(|one| conform(at, value, one, seen))
            .collect();
        return match tried.iter().any(Result::is_ok) {
            true => Ok(()),
            false => Err(tried
                .into_iter()
                .filter_map(Result::err)
                .collect::<Vec<_>>()
                .join(", or ")),
        };
    }
    let is = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    if schema["type"] != is {
        return Err(format!("{at} is {value}, and index.d.ts says {schema}"));
    }
    let words = schema["enum"].as_array().cloned();
    if let Some(words) = words.or_else(|| schema.get("const").map(|one| vec![one.clone()]))
        && !words.contains(value)
    {
        return Err(format!("{at} is {value}, which is none of {words:?}"));
    }
    for item in value.as_array().into_iter().flatten() {
        conform(at, item, &schema["items"], seen)?;
    }
    let Some(object) = value.as_object() else {
        return Ok(());
    };
    for (key, of) in object {
        let place = format!("{at}.{key}");
        let Some(schema) = schema["properties"].get(key) else {
            return Err(format!("index.d.ts has no {place}"));
        };
        seen.insert(place.clone());
        conform(&place, of, schema, seen)?;
    }
    match schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|key| !object.contains_key(key.as_str().unwrap_or_default()))
    {
        Some(key) => Err(format!("index.d.ts has {at}.{key}, and no result")),
        None => Ok(()),
    }
}

/// Every property below `schema`; of a type within another, which stands here by itself as well,
/// those that it always has.
fn places(at: &str, schema: &Value, all: &mut BTreeSet<String>) {
    for one in schema["anyOf"].as_array().into_iter().flatten() {
        places(at, one, all);
    }
    if schema.get("items").is_some() {
        places(at, &schema["items"], all);
    }
    for (key, of) in schema["properties"].as_object().into_iter().flatten() {
        let always = schema["required"].as_array();
        if at.contains('.') && !always.is_some_and(|all| all.contains(&json!(key))) {
            continue;
        }
        let place = format!("{at}.{key}");
        places(&place, of, all);
        all.insert(place);
    }
}

#[test]
fn javascript_has_the_types_of_the_results() {
    let results = Results::of_the_verbs();
    let names = results.0.iter().map(|(_, of, _)| *of).collect();
    let types = types(&names);
    let (mut seen, mut said) = (BTreeSet::new(), BTreeSet::new());
    for (_, of, result) in &results.0 {
        conform(of, result, &types[*of], &mut seen).unwrap_or_else(|e| panic!("{e}"));
    }
    for name in names {
        places(name, &types[name], &mut said);
    }
    // The parts of a remedy are one type, which a failure shows.
    for places in [&mut said, &mut seen] {
        places.retain(|place| place.starts_with("Failure") || !place.contains(".remedy."));
    }
    assert_eq!(said, seen, "what index.d.ts has, and what results have");
    let codes = &types["Failure"]["properties"]["code"]["enum"];
    assert_eq!(*codes, json!(CODES), "the codes of index.d.ts");
    let set = |list: &Value| -> BTreeSet<_> {
        list.as_array()
            .unwrap()
            .iter()
            .map(Value::to_string)
            .collect()
    };
    for (_, of, key, all) in words() {
        let said = &types[of]["properties"][key]["enum"];
        assert_eq!(set(said), set(&all), "the {key} of {of} in index.d.ts");
    }
}

fn section(name: &str) -> &'static str {
    let (_, text) = CONTRACT
        .split_once(&format!("# {name}\n"))
        .unwrap_or_else(|| panic!("the contract has no section {name}"));
    &text[..text.find("\n#").unwrap_or(text.len())]
}

/// The keys that a section of the contract begins with: a list of them, or an object in JSON.
fn documented(text: &str) -> BTreeSet<String> {
    let fence = if text.trim_start().starts_with("```") {
        "```"
    } else {
        "`"
    };
    let code = text.split(fence).nth(1).expect("it begins with code");
    if !code.contains('{') {
        return code.split(", ").map(str::to_owned).collect();
    }
    let mut keys = BTreeSet::new();
    let mut before = String::new();
    for (n, part) in code.split('"').enumerate() {
        if n % 2 == 0 {
            part.trim_end().clone_into(&mut before);
        } else if before.ends_with(['{', ',']) {
            keys.insert(part.to_owned());
        }
    }
    keys
}

fn keys(value: &Value, all: &mut BTreeSet<String>) {
    for item in value.as_array().into_iter().flatten() {
        keys(item, all);
    }
    for (key, of) in value.as_object().into_iter().flatten() {
        all.insert(key.clone());
        keys(of, all);
    }
}

#[test]
fn the_contract_has_the_keys_of_the_results() {
    let results = Results::of_the_verbs();
    let sections: BTreeSet<_> = results.0.iter().map(|(section, ..)| *section).collect();
    for name in sections {
        let said = documented(section(name));
        let mut within = BTreeSet::new();
        for (_, _, result) in results.0.iter().filter(|(of, ..)| *of == name) {
            keys(result, &mut within);
            for key in result.as_object().unwrap().keys() {
                let in_words = format!("`{key}`, a key that other rows lack");
                assert!(
                    said.contains(key) || CONTRACT.contains(&in_words),
                    "the contract has no {key} in {name}"
                );
            }
        }
        let more: Vec<_> = said.difference(&within).collect();
        assert!(
            more.is_empty(),
            "{name} of the contract has {more:?}, and no result"
        );
        for key in within.difference(&said) {
            let named = [format!("\"{key}\""), format!("`{key}`"), format!("{key},")];
            assert!(
                named.iter().any(|name| CONTRACT.contains(name)),
                "the contract has no {key}, which is in {name}"
            );
        }
    }
    for (name, _, key, words) in words() {
        for word in words.as_array().unwrap().iter().filter_map(Value::as_str) {
            let said = section(name).contains(&format!("`{word}`"));
            assert!(said, "the contract has no {key} {word} in {name}");
        }
    }
    let (_, codes) = CONTRACT.split_once("Codes: ").unwrap();
    let codes = codes.split_once(". ").unwrap().0;
    let codes: Vec<_> = codes.split('`').skip(1).step_by(2).collect();
    assert_eq!(codes, CODES, "the codes of the contract");
}
