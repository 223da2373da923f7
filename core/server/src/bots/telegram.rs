//! Updates of Telegram: `POST /_/telegram`, with a secret that this server has told it.
//!
//! A command calls its method, and what is none the default method, with `{ text, _telegram }`: what
//! was said behind the command, who has said it, and where.

use super::call::{BYTES, Call, Ended, Late, answer_late, call, of_task, text};
use crate::{
    answer::{Refusal, json},
    asked::Asked,
    body,
    context::Context,
    interface::declared,
    token::is_same,
};
use axum::{Extension, body::Body, extract::State, http::HeaderMap, response::Response};
use remy_db_app::outbox::{TELEGRAM, TELEGRAM_TOKEN, telegram_method, telegram_secret};
use remy_db_runtime::target::Target;
use serde::Deserialize;
use serde_json::{Map, Value, json as value};
use std::sync::Arc;

/// The most characters of a message.
const CHARACTERS: usize = 4096;

/// What is kept with a release.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bot {
    #[serde(default)]
    commands: Vec<Command>,
    default_method: Option<String>,
}

#[derive(Deserialize)]
struct Command {
    command: String,
    method: String,
}

pub(crate) async fn called(
    State(at): State<Arc<Context>>,
    Extension(asked): Extension<Asked>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let known = asked.clone();
    let given = headers.get("x-telegram-bot-api-secret-token");
    let given = given
        .map(|given| given.as_bytes().to_vec())
        .unwrap_or_default();
    // Before any of the body is read.
    let (bot, target) = at
        .read(move |at| {
            let found = declared::<Bot>(at, &known, TELEGRAM.name)?;
            knows(at, &found.target, &given)?;
            Ok((found.interface, found.target))
        })
        .await?;
    let limits = at.settings.limits.with_body(BYTES);
    let update = body::parse(&body::bytes(body, &limits).await?)?;
    let nothing = || Ok(json(&value!({})));
    let message = &update["message"];
    let Some((method, input)) = bot.method(message) else {
        return nothing();
    };
    // It sends again what was not answered in time.
    let id = update["update_id"].to_string();
    if !at.seen.is_new(&format!("telegram {id}")) {
        return nothing();
    }
    let chat = message["chat"]["id"].clone();
    let ended = call(
        &at,
        Call {
            asked,
            target: target.clone(),
            method,
            input,
            channel: TELEGRAM.name,
        },
    );
    match ended.await {
        Ended::Soon(ended) => match reply(ended, &chat) {
            Some(mut reply) => {
                reply["method"] = "sendMessage".into();
                Ok(json(&reply))
            }
            None => nothing(),
        },
        Ended::Later(under_way) => {
            let at = Arc::clone(&at);
            tokio::spawn(async move {
                if let Some(reply) = reply(of_task(under_way.await), &chat) {
                    send(&at, target, reply).await;
                }
            });
            nothing()
        }
    }
}

/// Refuses whoever does not know the secret, in constant time.
fn knows(at: &Context, target: &Target, given: &[u8]) -> Result<(), Refusal> {
    let token = at.needed(TELEGRAM_TOKEN, target, "No update is taken")?;
    match is_same(given, &telegram_secret(&token)) {
        true => Ok(()),
        false => Err(Refusal::new(
            401,
            "unknown_secret",
            "The request is not one of the bot's: it has another secret, or none",
        )),
    }
}

impl Bot {
    /// The method for a message, and what it gets.
    fn method(&self, message: &Value) -> Option<(String, Map<String, Value>)> {
        let of = |name: &str| message[name].as_str();
        let said = of("text").or_else(|| of("caption"));
        let (command, rest) = said.and_then(command).unzip();
        let found = command.and_then(|name| self.commands.iter().find(|it| it.command == name));
        let (method, text) = match found {
            Some(found) => (found.method.clone(), rest),
            None => (
                message.is_object().then(|| self.default_method.clone())??,
                said,
            ),
        };
        let from = &message["from"];
        let told = value!({
            "command": found.map(|found| &found.command),
            "chatId": message["chat"]["id"], "chatType": message["chat"]["type"],
            "messageId": message["message_id"], "userId": from["id"], "username": from["username"],
            "firstName": from["first_name"], "lastName": from["last_name"],
            "languageCode": from["language_code"], "message": message,
        });
        let mut input = Map::new();
        input.insert("text".to_owned(), text.unwrap_or_default().into());
        input.insert("_telegram".to_owned(), told);
        Some((method, input))
    }
}

/// A command and what is said behind it: `/add@bot two eggs`.
fn command(said: &str) -> Option<(&str, &str)> {
    let rest = said.strip_prefix('/')?;
    let (word, rest) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let name = word.split('@').next().unwrap_or_default();
    Some((name, rest.trim()))
}

/// What a method has returned, as a message: a text, what Telegram knows as one, or JSON. Nothing is
/// no message.
fn reply(ended: Result<Value, Refusal>, chat: &Value) -> Option<Value> {
    let mut message = match ended {
        Ok(Value::Null) => return None,
        Ok(Value::Object(it)) if it.contains_key("text") => Value::Object(it),
        Ok(output) => value!({ "text": text(&output, CHARACTERS) }),
        Err(refusal) => value!({ "text": text(&refusal.message.into(), CHARACTERS) }),
    };
    message["chat_id"] = chat.clone();
    Some(message)
}

/// Says what became of a call that took long.
async fn send(at: &Arc<Context>, target: Target, reply: Value) {
    answer_late(at, &TELEGRAM, target, move |at, target, base| {
        let token = at.secret(TELEGRAM_TOKEN, target)?.unwrap_or_default();
        Ok(Late {
            verb: "POST",
            url: telegram_method(base, &token, "sendMessage"),
            body: reply,
        })
    })
    .await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_known_with_and_without_the_bots_name() {
        assert_eq!(command("/add@my_bot  two eggs "), Some(("add", "two eggs")));
        assert_eq!(command("/add"), Some(("add", "")));
        assert_eq!(command("add"), None);
        let bot = Bot {
            commands: vec![Command {
                command: "add".to_owned(),
                method: "add-it".to_owned(),
            }],
            default_method: Some("talk".to_owned()),
        };
        let of = |message: Value| {
            let (method, input) = bot.method(&message)?;
            Some((method, input["text"].clone()))
        };
        assert_eq!(
            of(value!({ "text": "/add x" })),
            Some(("add-it".to_owned(), "x".into()))
        );
        assert_eq!(
            of(value!({ "text": "/else x" })),
            Some(("talk".to_owned(), "/else x".into()))
        );
        assert_eq!(
            of(value!({ "caption": "hi" })),
            Some(("talk".to_owned(), "hi".into()))
        );
        assert_eq!(of(Value::Null), None);
    }
}
