//! Slash commands of a Discord bot. The limits are those of Discord's application commands; it
//! refuses all commands for one that breaks them.

use crate::{
    check::{
        At, Field, SAFE, anything, distinct, filled, flag, list, list_up_to, names, or, shape,
        text, whole, whole_number,
    },
    interfaces::kind::{Files, Interface, Kind, get, given},
    references::method,
};
use regex::Regex;
use serde_json::{Map, Value, json};
use std::sync::LazyLock;

pub(super) const KIND: Kind = Kind {
    fields: &[
        ("commands", &|at| {
            list_up_to(at, MOST_COMMANDS, &command) & distinct(at, "name", "name")
        }),
        ("loadingMessage?", &text),
        ("applicationId?", &text),
        ("botToken?", &text),
        ("publicKey?", &text),
    ],
    also: anything,
    compile: |it, _| compile(it),
    effects: Some(("bot_commands", effects)),
};

/// What an option may be, by Discord's numbers from 1.
const TYPES: [&str; 11] = [
    "subcommand",
    "group of subcommands",
    "text",
    "integer",
    "boolean",
    "user",
    "channel",
    "role",
    "mentionable",
    "number",
    "attachment",
];
const SUBCOMMAND: usize = 1;
const GROUP: usize = 2;
const TEXT: usize = 3;
const INTEGER: usize = 4;
const CHANNEL: usize = 7;
const NUMBER: usize = 10;
/// Those that stand for a value.
const VALUES: [usize; 9] = [3, 4, 5, 6, 7, 8, 9, 10, 11];

const MOST_COMMANDS: usize = 100;
const MOST_OPTIONS: usize = 25;
const MOST_CHOICES: usize = 25;
/// Of names, descriptions and values of one command, its options and their choices.
const MOST_CHARACTERS: usize = 8000;

/// The fields that only some types of option have.
const ONLY: [(&str, &[usize]); 8] = [
    ("choices", &[TEXT, INTEGER, NUMBER]),
    ("autocomplete", &[TEXT, INTEGER, NUMBER]),
    ("min_value", &[INTEGER, NUMBER]),
    ("max_value", &[INTEGER, NUMBER]),
    ("min_length", &[TEXT]),
    ("max_length", &[TEXT]),
    ("channel_types", &[CHANNEL]),
    ("options", &[SUBCOMMAND, GROUP]),
];

/// What Discord is told of a command.
const TOLD: &[Field<'static>] = &[
    ("name", &name),
    ("description", &short),
    ("type?", &|at| {
        let is_slash = at.value.and_then(Value::as_f64) == Some(1.0);
        at.is(
            "1, a slash command: other types have no text to run",
            is_slash,
        )
    }),
    ("options?", &|at| {
        options(at, &[&[SUBCOMMAND, GROUP], &VALUES[..]].concat())
    }),
    ("default_member_permissions?", &text),
    ("nsfw?", &flag),
    ("contexts?", &|at| list(at, &anything)),
    ("integration_types?", &|at| list(at, &anything)),
    ("name_localizations?", &anything),
    ("description_localizations?", &anything),
];

/// Discord counts characters.
fn length(text: &str) -> usize {
    text.chars().count()
}

/// A text of 100 characters at most.
fn short(at: &At<'_>) -> bool {
    const MOST: usize = 100;
    let length = length(at.text());
    filled(at)
        && (length <= MOST
            || at.fault(format!(
                "has {length} characters, and at most {MOST} are allowed"
            )))
}

/// Discord's own rule for names.
static NAME: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^[-_'\p{L}\p{N}\p{sc=Devanagari}\p{sc=Thai}]{1,32}$").ok());

fn name(at: &At<'_>) -> bool {
    let name = at.text();
    let fault = |why: &str| at.fault(format!("\"{name}\" is no name for Discord: {why}"));
    let fits = NAME.as_ref().is_none_or(|rule| rule.is_match(name));
    filled(at)
        && (fits || fault("1 to 32 letters, digits, \"-\" and \"_\""))
        && (name == name.to_lowercase() || fault("it has to be in lower case"))
}

/// A bound of an option's value. Discord's are within what a double holds exactly.
fn bound(at: &At<'_>, kind: Option<usize>) -> bool {
    if kind == Some(INTEGER) {
        return at.is("a whole number", at.value.and_then(whole_number).is_some());
    }
    let number = at.value.and_then(Value::as_f64);
    at.is(
        "a number",
        number.is_some_and(|number| number.abs() <= SAFE),
    )
}

/// The type of an option, if it is one.
fn type_of(option: Option<&Value>) -> Option<usize> {
    let number = option?.get("type").and_then(whole_number)?;
    (1..=TYPES.len()).find(|kind| *kind as f64 == number)
}

fn option_type(at: &At<'_>, kind: Option<usize>, within: &[usize]) -> bool {
    let Some(kind) = kind else {
        let known: Vec<_> = TYPES
            .iter()
            .enumerate()
            .map(|(i, what)| format!("{} {what}", i + 1))
            .collect();
        return at.is(&format!("one of Discord's numbers ({})", or(&known)), false);
    };
    within.contains(&kind) || at.fault(format!("a {} cannot stand here", TYPES[kind - 1]))
}

/// A choice, whose value is of the option's type.
fn choice(at: &At<'_>, kind: Option<usize>) -> bool {
    let value = |at: &At<'_>| match kind {
        Some(TEXT) => short(at),
        Some(INTEGER | NUMBER) => bound(at, kind),
        _ => true,
    };
    shape(
        at,
        &[
            ("name", &short),
            ("value", &value),
            ("name_localizations?", &anything),
        ],
    )
}

/// An option. `within` are the types that may stand here.
fn option(at: &At<'_>, within: &[usize]) -> bool {
    let kind = type_of(at.value);
    let bound = |at: &At<'_>| bound(at, kind);
    let choices = |at: &At<'_>| {
        list_up_to(at, MOST_CHOICES, &|at| choice(at, kind)) & distinct(at, "name", "name")
    };
    let inner: &[usize] = if kind == Some(GROUP) {
        &[SUBCOMMAND]
    } else {
        &VALUES
    };
    let whole_number =
        |at: &At<'_>| at.is("a whole number", at.value.and_then(whole_number).is_some());
    let fields: &[Field<'_>] = &[
        ("type", &|at| option_type(at, kind, within)),
        ("name", &name),
        ("description", &short),
        ("required?", &flag),
        ("choices?", &choices),
        ("autocomplete?", &flag),
        ("min_value?", &bound),
        ("max_value?", &bound),
        ("min_length?", &|at| whole(at, 0.0, 6000.0)),
        ("max_length?", &|at| whole(at, 1.0, 6000.0)),
        ("channel_types?", &|at| list(at, &whole_number)),
        ("options?", &|at| options(at, inner)),
        ("name_localizations?", &anything),
        ("description_localizations?", &anything),
    ];
    let fits = shape(at, fields);
    match kind {
        Some(kind) if fits => only(at, kind) && consistent(at, kind),
        _ => false,
    }
}

/// Whether an option has no field that its type has not.
fn only(at: &At<'_>, kind: usize) -> bool {
    ONLY.iter().fold(true, |good, (field, kinds)| {
        let found = at.at(field);
        let given = found.is_given() && found.value != Some(&Value::Bool(false));
        let fits = !given
            || kinds.contains(&kind)
            || found.fault(format!("a {} has none of these", TYPES[kind - 1]));
        fits && good
    })
}

/// Whether the fields of an option go together.
fn consistent(at: &At<'_>, kind: usize) -> bool {
    let is_true = |field: &str| at.at(field).value == Some(&Value::Bool(true));
    let is_empty = |field: &str| at.at(field).each().next().is_none();
    let number = |field: &str| at.at(field).value.and_then(Value::as_f64);
    let ordered = |least: &str, greatest: &str| {
        let wrong = matches!((number(least), number(greatest)), (Some(a), Some(b)) if a > b);
        !wrong || at.at(least).fault(format!("is greater than {greatest}"))
    };
    let of_what = TYPES[kind - 1];
    (!is_true("autocomplete")
        || is_empty("choices")
        || at.at("autocomplete").fault("cannot be beside choices"))
        & ordered("min_value", "max_value")
        & ordered("min_length", "max_length")
        & (kind != GROUP
            || !is_empty("options")
            || at
                .at("options")
                .fault("is missing: a group needs a subcommand"))
        & (kind > GROUP
            || !is_true("required")
            || at
                .at("required")
                .fault(format!("a {of_what} cannot be required")))
}

/// A list of options: subcommands and groups alone, or values alone, of which those that are
/// required come first.
fn options(at: &At<'_>, within: &[usize]) -> bool {
    list_up_to(at, MOST_OPTIONS, &|at| option(at, within))
        & distinct(at, "name", "name")
        & in_order(at)
}

fn in_order(at: &At<'_>) -> bool {
    let entries: Vec<At<'_>> = at.each().filter(|entry| entry.object().is_some()).collect();
    let is_nested = |entry: &&At<'_>| type_of(entry.value).is_some_and(|kind| kind <= GROUP);
    let is_value = |entry: &&At<'_>| type_of(entry.value).is_some_and(|kind| kind > GROUP);
    if entries.iter().any(|entry| is_nested(&entry)) {
        let mixed = entries.iter().find(is_value);
        return mixed.is_none_or(|mixed| mixed.fault("cannot stand beside subcommands"));
    }
    let is_required = |entry: &At<'_>| entry.at("required").value == Some(&Value::Bool(true));
    let mut rest = entries.iter().skip_while(|entry| is_required(entry));
    let Some(optional) = rest.next() else {
        return true;
    };
    rest.find(|entry| is_required(entry)).is_none_or(|late| {
        let before = &optional.pointer;
        late.at("required").fault(format!(
            "required options come first, and {before} before it is not"
        ))
    })
}

fn command(at: &At<'_>) -> bool {
    let own: &[Field<'_>] = &[("method", &method), ("loadingMessage?", &text)];
    let characters = at.value.map_or(0, weight);
    shape(at, &[TOLD, own].concat())
        & (characters <= MOST_CHARACTERS
            || at.fault(format!(
                "has {characters} characters in names, descriptions and values, and at most {MOST_CHARACTERS} are allowed"
            )))
}

/// The characters of a command, an option or a choice that Discord counts.
fn weight(it: &Value) -> usize {
    let own = ["name", "description", "value"]
        .iter()
        .filter_map(|field| it.get(field)?.as_str());
    let inner = ["options", "choices"]
        .iter()
        .filter_map(|field| it.get(field)?.as_array());
    own.map(length).sum::<usize>() + inner.flatten().map(weight).sum::<usize>()
}

/// A command as Discord is told of it.
fn body(command: &Value) -> Map<String, Value> {
    let mut told = Map::new();
    for name in names(TOLD) {
        let value = if name == "type" {
            json!(1)
        } else {
            get(command, name)
        };
        if !value.is_null() {
            told.insert(name.to_owned(), value);
        }
    }
    told
}

fn compile(it: &Interface) -> Files {
    let default = get(&it.config, "loadingMessage");
    let method = |command: &Value| {
        let own = command
            .get("loadingMessage")
            .filter(|message| !message.is_null());
        given(json!({
            "name": command["name"],
            "method": command["method"],
            "loadingMessage": own.unwrap_or(&default),
        }))
    };
    let methods: Vec<Value> = it.entries("commands").map(method).collect();
    let told = it
        .entries("commands")
        .map(|command| Value::Object(body(command)));
    vec![
        ("interfaces/discord.json", json!({ "commands": methods })),
        ("interfaces/discord-commands.json", told.collect()),
    ]
}

fn effects(it: &Interface) -> Vec<Value> {
    let effect = |command: &Value| {
        let mut definition = body(command);
        let (name, description) = (
            definition.shift_remove("name"),
            definition.shift_remove("description"),
        );
        json!({
            "platform": "discord",
            "name": name,
            "method": command["method"],
            "description": description,
            "definition": definition,
        })
    };
    it.entries("commands").map(effect).collect()
}
