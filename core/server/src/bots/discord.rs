//! Interactions of Discord: `POST /_/discord`, signed by it.
//!
//! A command calls its method with the options by their names, and `_discord` beside them: who has
//! said it, and where. A method that takes longer than Discord waits is answered later.

use super::{
    call::{BYTES, Call, Ended, Late, answer_late, call, of_task, text},
    ed25519::is_signed,
};
use crate::{
    answer::{Refusal, json},
    asked::Asked,
    body,
    context::Context,
    interface::declared,
    state::now,
};
use axum::{Extension, body::Body, extract::State, http::HeaderMap, response::Response};
use remy_db_app::outbox::{DISCORD, DISCORD_KEY};
use remy_db_runtime::target::Target;
use serde::Deserialize;
use serde_json::{Map, Value, json as value};
use std::sync::Arc;
use tokio::task::JoinHandle;

/// Kinds of interactions, and of answers, by Discord's numbers.
const PING: u64 = 1;
const COMMAND: u64 = 2;
const AUTOCOMPLETE: u64 = 4;
const PONG: u64 = 1;
const MESSAGE: u64 = 4;
const LATER: u64 = 5;
const CHOICES: u64 = 8;

/// Kinds of options that hold others.
const SUBCOMMAND: u64 = 1;
const GROUP: u64 = 2;

/// For who has said it alone.
const EPHEMERAL: u64 = 64;

/// The most characters of a message.
const CHARACTERS: usize = 2000;

/// How far the time of a signature may be from now, in seconds.
pub(crate) const OLD: i64 = 300;

/// What is kept with a release.
#[derive(Deserialize)]
struct Bot {
    #[serde(default)]
    commands: Vec<Command>,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Command {
    name: String,
    method: String,
    loading_message: Option<String>,
}

pub(crate) async fn called(
    State(at): State<Arc<Context>>,
    Extension(asked): Extension<Asked>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let known = asked.clone();
    let (bot, target, key) = at
        .read(move |at| {
            let found = declared::<Bot>(at, &known, DISCORD.name)?;
            let key = at.needed(DISCORD_KEY, &found.target, "No interaction is taken")?;
            Ok((found.interface, found.target, key))
        })
        .await?;
    let raw = body::bytes(body, &at.settings.limits.with_body(BYTES)).await?;
    let interaction = signed(&at, &key, &headers, &raw)?;
    Ok(match interaction["type"].as_u64() {
        Some(PING) => json(&value!({ "type": PONG })),
        Some(COMMAND) => command(&at, asked, (&bot, target), interaction).await,
        Some(AUTOCOMPLETE) => json(&value!({ "type": CHOICES, "data": { "choices": [] } })),
        _ => said(&only_for_them("This app does not answer that")),
    })
}

/// What Discord has signed, a moment ago and for the first time.
fn signed(at: &Context, key: &str, headers: &HeaderMap, raw: &[u8]) -> Result<Value, Refusal> {
    let header = |name: &str| {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default()
    };
    let time = header("x-signature-timestamp");
    let is_recent = time
        .parse::<i64>()
        .is_ok_and(|time| (now() / 1000).abs_diff(time) <= OLD.unsigned_abs());
    if !is_recent || !is_signed(key, header("x-signature-ed25519"), time, raw) {
        let message = "The request is not signed by Discord, or was long ago";
        return Err(Refusal::new(401, "invalid_signature", message));
    }
    let interaction = body::parse(raw)?;
    let id = interaction["id"].as_str().unwrap_or_default();
    if !id.is_empty() && !at.seen.is_new(&format!("discord {id}")) {
        let message = "This interaction has come before. Nothing was called";
        return Err(Refusal::new(409, "replayed", message));
    }
    Ok(interaction)
}

async fn command(
    at: &Arc<Context>,
    asked: Asked,
    (bot, target): (&Bot, Target),
    interaction: Value,
) -> Response {
    let name = interaction["data"]["name"].as_str().unwrap_or_default();
    let Some(command) = bot.commands.iter().find(|it| it.name == name).cloned() else {
        return said(&only_for_them("This app has no such command any more"));
    };
    let ended = call(
        at,
        Call {
            asked,
            target: target.clone(),
            method: command.method,
            input: input(&interaction),
            channel: DISCORD.name,
        },
    );
    match ended.await {
        Ended::Soon(ended) => said(&message(ended)),
        Ended::Later(under_way) => {
            let at = Arc::clone(at);
            tokio::spawn(async move { follow_up(&at, target, &interaction, under_way).await });
            match command.loading_message {
                Some(loading) => said(&value!({ "content": text(&loading.into(), CHARACTERS) })),
                None => json(&value!({ "type": LATER })),
            }
        }
    }
}

fn said(message: &Value) -> Response {
    json(&value!({ "type": MESSAGE, "data": message }))
}

fn only_for_them(text: &str) -> Value {
    value!({ "content": text, "flags": EPHEMERAL })
}

/// What a method has returned, as a message: a text, what Discord knows as one, or JSON. It names
/// nobody whom Discord would wake for it.
fn message(ended: Result<Value, Refusal>) -> Value {
    let output = match ended {
        Ok(output) => output,
        Err(refusal) => return only_for_them(&text(&refusal.message.into(), CHARACTERS)),
    };
    let is_message =
        |it: &Map<String, Value>| it.contains_key("content") || it.contains_key("embeds");
    let mut message = match output {
        Value::Null => value!({ "content": "Done" }),
        Value::Object(it) if is_message(&it) => Value::Object(it),
        output => value!({ "content": text(&output, CHARACTERS) }),
    };
    if message["allowed_mentions"].is_null() {
        message["allowed_mentions"] = value!({ "parse": [] });
    }
    message
}

/// What the method gets.
fn input(interaction: &Value) -> Map<String, Value> {
    let data = &interaction["data"];
    let (mut input, mut inner) = (Map::new(), Vec::new());
    let mut options = data["options"].as_array();
    // A group holds one subcommand, and that the options.
    while let Some([only]) = options.map(Vec::as_slice)
        && matches!(only["type"].as_u64(), Some(SUBCOMMAND | GROUP))
    {
        inner.push(only["name"].clone());
        options = only["options"].as_array();
    }
    for option in options.into_iter().flatten() {
        if let Some(name) = option["name"].as_str() {
            input.insert(name.to_owned(), option["value"].clone());
        }
    }
    // In a server there is a member, and a user elsewhere.
    let user = match &interaction["member"]["user"] {
        Value::Null => &interaction["user"],
        user => user,
    };
    let told = value!({
        "command": data["name"], "subcommands": inner, "resolved": data["resolved"],
        "userId": user["id"], "username": user["username"], "globalName": user["global_name"],
        "guildId": interaction["guild_id"], "channelId": interaction["channel_id"],
        "locale": interaction["locale"],
    });
    input.insert("_discord".to_owned(), told);
    input
}

/// Says what became of a call that took long, in the place of what was said meanwhile.
async fn follow_up(
    at: &Arc<Context>,
    target: Target,
    interaction: &Value,
    under_way: JoinHandle<Result<Value, Refusal>>,
) {
    let message = message(of_task(under_way.await));
    let part = |name: &str| interaction[name].as_str().unwrap_or_default().to_owned();
    let (application, token) = (part("application_id"), part("token"));
    let is_plain = |text: &str| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
        !text.is_empty() && text.bytes().all(fits)
    };
    if !is_plain(&application) || !is_plain(&token) {
        at.settings.log.note(
            DISCORD.name,
            "an interaction without a token is not answered",
        );
        return;
    }
    answer_late(at, &DISCORD, target, move |_, _, base| {
        Ok(Late {
            verb: "PATCH",
            url: format!("{base}/webhooks/{application}/{token}/messages/@original"),
            body: message,
        })
    })
    .await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_the_input_whatever_they_stand_in() {
        let said = value!({ "guild_id": "g", "member": { "user": { "id": "u" } }, "data": { "name": "order",
            "options": [{ "name": "list", "type": 2, "options": [{ "name": "add", "type": 1, "options": [
                { "name": "n", "type": 4, "value": 3 }, { "name": "_discord", "type": 3, "value": "forged" },
            ] }] }] } });
        let input = input(&said);
        assert_eq!(input["n"], 3);
        assert_eq!(input["_discord"]["subcommands"], value!(["list", "add"]));
        assert_eq!(input["_discord"]["userId"], "u");
    }

    #[test]
    fn a_message_wakes_nobody_and_is_short_enough() {
        let of = |output| message(Ok(output));
        assert_eq!(
            of(value!("@everyone"))["allowed_mentions"],
            value!({ "parse": [] })
        );
        let long = of(value!("x".repeat(5000)));
        assert_eq!(
            long["content"].as_str().unwrap().chars().count(),
            CHARACTERS
        );
        assert_eq!(of(value!({ "content": "a", "flags": 4 }))["flags"], 4);
        assert_eq!(of(value!({ "n": 1 }))["content"], r#"{"n":1}"#);
    }
}
