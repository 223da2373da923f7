//! Commands of a Telegram bot. The limits are those of `setMyCommands`.

use crate::{
    check::{At, anything, distinct_by, filled, list_up_to, matching, shape, text, text_of},
    interfaces::kind::{Files, Interface, Kind, get, given, text as text_at},
    references::method,
};
use serde_json::{Value, json};

pub(super) const KIND: Kind = Kind {
    fields: &[
        ("commands", &commands),
        ("defaultMethod?", &method),
        ("botId?", &text),
        ("token?", &text),
    ],
    also: anything,
    compile: |it, _| compile(it),
    effects: Some(("bot_commands", effects)),
};

const MOST_COMMANDS: usize = 100;
const LONGEST_DESCRIPTION: usize = 256;

fn commands(at: &At<'_>) -> bool {
    list_up_to(at, MOST_COMMANDS, &|at| {
        shape(
            at,
            &[
                ("command", &command),
                ("description", &description),
                ("method", &method),
            ],
        )
    }) & distinct_by(at, "command", "command", |entry| {
        Some(bare(&text_of(entry, "command")?).to_owned())
    })
}

/// Telegram takes a command with and without the slash.
fn bare(command: &str) -> &str {
    command.strip_prefix('/').unwrap_or(command)
}

fn command(at: &At<'_>) -> bool {
    let rule = "is no command for Telegram: 1 to 32 of a-z, 0-9 and \"_\"";
    matching(at, rule, |command| {
        let is_allowed = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '_');
        (1..=32).contains(&bare(command).len()) && bare(command).chars().all(is_allowed)
    })
}

fn description(at: &At<'_>) -> bool {
    let length = at.text().chars().count();
    filled(at)
        && (length <= LONGEST_DESCRIPTION
            || at.fault(format!(
                "has {length} characters, and at most {LONGEST_DESCRIPTION} are allowed"
            )))
}

fn compile(it: &Interface) -> Files {
    let each = |field: &'static str| {
        let one = move |entry: &Value| {
            let mut command = json!({ "command": bare(text_at(entry, "command")) });
            command[field] = get(entry, field);
            command
        };
        it.entries("commands").map(one).collect::<Vec<_>>()
    };
    let default = get(&it.config, "defaultMethod");
    let methods = given(json!({ "commands": each("method"), "defaultMethod": default }));
    vec![
        ("interfaces/telegram.json", methods),
        (
            "interfaces/telegram-commands.json",
            json!({ "commands": each("description") }),
        ),
    ]
}

fn effects(it: &Interface) -> Vec<Value> {
    let command = |entry: &Value| {
        json!({
            "platform": "telegram",
            "name": bare(text_at(entry, "command")),
            "method": entry["method"],
            "description": entry["description"],
            "definition": {},
        })
    };
    it.entries("commands").map(command).collect()
}
