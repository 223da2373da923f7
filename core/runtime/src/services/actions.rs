//! AI actions: `mindstudio.NAME(step)` of the SDK, done by the platform that the key is of.
//!
//! ```text
//! POST {base}/developer/v2/steps/{type}/execute-async  {step, …} → {executionToken}
//! GET  {base}/developer/v2/steps/{type}/execute-async/poll/{token} → {status, output | outputUrl, error?}
//! POST {base}/developer/v2/steps/{type}/execute        {step, …} → {output | outputUrl}
//! ```
//!
//! An action may take minutes, longer than machines in between keep a connection open that is silent:
//! it is asked for again and again, where the platform knows that; else it is waited for.

use super::html;
use crate::{
    failure::Failure,
    mask::Mask,
    remote::{Answered, Ask, Client, Wanted, is_safe, pause},
};
use serde_json::{Map, Value, json};
use std::time::{Duration, Instant};

/// The server secret that it takes.
pub(super) const KEY: &str = "MINDSTUDIO_API_KEY";

/// The server secret that names another place than the platform's own.
pub(super) const BASE: &str = "MINDSTUDIO_BASE_URL";

const PLATFORM: &str = "https://v1.mindstudio-api.com";

/// How long an action may take: as long as a call.
const ACTION: Duration = Duration::from_secs(30 * 60);

/// How long one request may take of those that are answered at once.
const REQUEST: Duration = Duration::from_secs(60);

/// How long is waited before it is asked for the first time, and between two times at most.
const FIRST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(3);

/// How much is shown of an answer that is no JSON.
const SHOWN: usize = 200;

/// What of an action's options goes with it.
const OPTIONS: [&str; 2] = ["threadId", "appId"];

/// The platform.
pub(super) struct Platform<'a> {
    client: &'a Client,
    base: String,
    key: String,
    /// What no message and no answer has.
    mask: Mask,
}

impl<'a> Platform<'a> {
    /// Fails with `not_supported` without a key, and where the place is none that a key may go to.
    pub fn new(
        client: &'a Client,
        key: Option<String>,
        base: Option<String>,
    ) -> Result<Self, Failure> {
        let no = |message: String| Err(Failure::new("not_supported", 501, message));
        let Some(key) = key.map(|key| key.trim().to_owned()) else {
            return no(format!(
                "AI actions need a key of the platform. Nothing was called. Set it: remy secrets set {KEY} --server"
            ));
        };
        let base = base.unwrap_or_else(|| PLATFORM.to_owned());
        let base = base.trim().trim_end_matches('/').to_owned();
        if !is_safe(&base) {
            return no(format!(
                "the server secret {BASE} is no URL that a key may go to: it begins with https:// (http:// on this machine), and names no user. Nothing was called"
            ));
        }
        let mask = Mask::of([key.as_str()]);
        Ok(Self {
            client,
            base,
            key,
            mask,
        })
    }

    /// Runs an action. `arguments` are its type, its step, and options.
    ///
    /// Fails with what the platform says, its code and status; with `api_error` where that has no
    /// code, with `action_failed` where the action failed, and as [`Client::ask`] does.
    pub fn run(&self, arguments: &[Value], is_wanted: Wanted<'_>) -> Result<Value, Failure> {
        let [
            Value::String(action),
            Value::Object(step),
            Value::Object(options),
        ] = arguments
        else {
            let message = "an action takes an object, and options in another. Nothing was called";
            return Err(Failure::new("invalid_argument", 400, message));
        };
        check_name(action)?;
        let mut body = Map::from_iter([("step".to_owned(), json!(step))]);
        for name in OPTIONS {
            if let Some(value) = options.get(name).filter(|value| !value.is_null()) {
                body.insert(name.to_owned(), value.clone());
            }
        }
        let body = Value::Object(body);
        let done = self.execute(action, &body, is_wanted);
        done.map_err(|e| Failure {
            message: format!("{action}: {}", self.mask.hide(&e.message)),
            ..e
        })
    }

    fn execute(&self, action: &str, body: &Value, is_wanted: Wanted<'_>) -> Result<Value, Failure> {
        let path = format!("{}/developer/v2/steps/{action}/execute", self.base);
        let begun = self.ask(&format!("{path}-async"), Some(body), REQUEST, is_wanted)?;
        let answered = match begun.status {
            // A platform that only waits.
            404 | 405 => self.ask(&path, Some(body), ACTION, is_wanted)?,
            _ => begun,
        };
        let said = self.json(&answered)?;
        let (answered, said) = match said.get("executionToken") {
            Some(token) => self.poll(&path, token, is_wanted)?,
            None => (answered, said),
        };
        Ok(with_costs(self.output(said, is_wanted)?, &answered))
    }

    /// Asks until the action has ended.
    fn poll(
        &self,
        path: &str,
        token: &Value,
        is_wanted: Wanted<'_>,
    ) -> Result<(Answered, Map<String, Value>), Failure> {
        let token = token.as_str().filter(|token| is_token(token));
        let token = token.ok_or_else(|| strange("a token that is none"))?;
        let url = format!("{path}-async/poll/{token}");
        let (until, mut wait) = (Instant::now() + ACTION, FIRST);
        loop {
            pause(wait, is_wanted)?;
            let answered = self.ask(&url, None, REQUEST, is_wanted)?;
            let said = self.json(&answered)?;
            match said.get("status").and_then(Value::as_str) {
                Some("complete") => return Ok((answered, said)),
                Some("pending") if Instant::now() < until => {}
                Some("pending") => {
                    let message = format!("it has not ended within {ACTION:?}");
                    return Err(Failure::new("timed_out", 504, message));
                }
                Some("error") => {
                    let error = said.get("error");
                    let why = error
                        .and_then(words)
                        .unwrap_or_else(|| "it failed".to_owned());
                    return Err(Failure::new("action_failed", 500, why));
                }
                _ => return Err(strange("a status that is none")),
            }
            wait = (wait * 3 / 2).min(LONGEST);
        }
    }

    /// What the action returned. A large one is fetched, without the key, from where the platform
    /// says: by TLS, or from the platform itself, so that it opens no other door of this network.
    fn output(&self, said: Map<String, Value>, is_wanted: Wanted<'_>) -> Result<Value, Failure> {
        let mut said = said;
        if let Some(output) = said.remove("output").filter(|output| !output.is_null()) {
            return Ok(output);
        }
        let Some(url) = said.get("outputUrl").and_then(Value::as_str) else {
            return Ok(Value::Null);
        };
        let own = url.strip_prefix(&*self.base);
        let is_own = own.is_some_and(|rest| rest.starts_with('/'));
        if !(is_own || url.starts_with("https://") && is_safe(url)) {
            return Err(strange("a place of its output that is not reached by TLS"));
        }
        let ask = Ask {
            url,
            bearer: None,
            body: None,
            within: REQUEST * 5,
        };
        let answered = self.client.ask_again(ask, is_wanted)?;
        let mut envelope = self.json(&answered)?;
        Ok(envelope.remove("value").unwrap_or_default())
    }

    fn ask(
        &self,
        url: &str,
        body: Option<&Value>,
        within: Duration,
        is_wanted: Wanted<'_>,
    ) -> Result<Answered, Failure> {
        let ask = Ask {
            url,
            bearer: Some(&self.key),
            body,
            within,
        };
        self.client.ask_again(ask, is_wanted)
    }

    /// The object that was answered with, without the key.
    fn json(&self, answered: &Answered) -> Result<Map<String, Value>, Failure> {
        let body = self.mask.hide(&answered.body);
        if answered.status >= 300 {
            return Err(refused(answered.status, &body));
        }
        serde_json::from_str(&body).map_err(|_| strange("what is no JSON"))
    }
}

/// What the platform refuses with.
fn refused(status: u16, body: &str) -> Failure {
    let said: Value = serde_json::from_str(body).unwrap_or_default();
    let field = |name| said.get(name).and_then(words);
    let message = ["error", "message", "details"].into_iter().find_map(field);
    let message = message.unwrap_or_else(|| {
        let text = html::text(body)
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        match text.is_empty() || said.is_object() {
            true => format!("the platform answered {status}"),
            false => text.chars().take(SHOWN).collect(),
        }
    });
    let code = said.get("code").and_then(Value::as_str);
    match status {
        300..=399 => {
            let message = format!(
                "the platform is elsewhere (it answered {status}). Set {BASE} to where it is"
            );
            Failure::new("api_error", 502, message)
        }
        // It is the server that is not known there, and not who calls here.
        401 => {
            let message = format!("{message}. The platform does not take the server secret {KEY}");
            Failure::new("api_error", 502, message)
        }
        _ => Failure::new(code.unwrap_or("api_error"), status, message),
    }
}

/// Text of an error, which may be an object.
fn words(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

/// The output as the SDK has it: what it cost stands beside the action's own fields.
fn with_costs(output: Value, answered: &Answered) -> Value {
    let mut all = match output {
        Value::Object(fields) => fields,
        Value::Null => Map::new(),
        other => return other,
    };
    let text = |name| answered.header(name).unwrap_or_default().into();
    let number = |name| {
        let found = answered.header(name)?.parse::<f64>().ok()?;
        // A count is a whole number in JSON, too.
        let whole = (found.fract() == 0.0 && found.abs() < 1e15).then(|| json!(found as i64));
        Some(whole.unwrap_or_else(|| json!(found)))
    };
    let events = || serde_json::from_str(answered.header("x-mindstudio-billing-events")?).ok();
    let told = [
        ("$appId", Some(text("x-mindstudio-app-id"))),
        ("$threadId", Some(text("x-mindstudio-thread-id"))),
        ("$rateLimitRemaining", number("x-ratelimit-remaining")),
        ("$billingCost", number("x-mindstudio-billing-cost")),
        ("$billingEvents", events()),
    ];
    let told = told
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)));
    all.extend(told);
    Value::Object(all)
}

fn strange(what: &str) -> Failure {
    let message = format!("the platform answered with {what}");
    Failure::new("api_error", 502, message)
}

/// A name becomes a part of a path.
fn check_name(action: &str) -> Result<(), Failure> {
    let is_name = action.len() <= 100
        && action
            .bytes()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'-'))
        && action.starts_with(|c: char| c.is_ascii_alphabetic());
    if is_name {
        return Ok(());
    }
    let shown: String = action.chars().take(100).collect();
    let message = format!("{shown:?} is no name of an action. Nothing was called");
    Err(Failure::new("invalid_argument", 400, message))
}

/// So does a token: one without dots that lead elsewhere.
fn is_token(token: &str) -> bool {
    let is_plain = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'-' | b'~' | b'@');
    token.len() <= 1000
        && token
            .split('.')
            .all(|part| !part.is_empty() && part.bytes().all(is_plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_tokens_lead_nowhere_else() {
        for (name, fine) in [
            ("generateText", true),
            ("", false),
            ("../users", false),
            ("a/b", false),
            ("a?b", false),
            ("1a", false),
        ] {
            assert_eq!(check_name(name).is_ok(), fine, "{name}");
        }
        for (token, fine) in [
            ("8b1f-4c", true),
            ("eyJ.abc-_.sig", true),
            ("", false),
            ("..", false),
            ("a..b", false),
            ("a/b", false),
            ("a%2fb", false),
            ("a?b", false),
        ] {
            assert_eq!(is_token(token), fine, "{token}");
        }
    }

    #[test]
    fn what_the_platform_refuses_with_comes_through_and_401_is_the_servers() {
        let said = |status, body: &str| {
            let Failure {
                message,
                code,
                status,
                ..
            } = refused(status, body);
            (message, code, status)
        };
        let (message, code, status) = said(402, r#"{"error":"no money","code":"out_of_credits"}"#);
        assert_eq!(
            (&*message, &*code, status),
            ("no money", "out_of_credits", 402)
        );
        let (message, _, status) = said(500, "<html><b>Bad</b>\n gateway</html>");
        assert_eq!((&*message, status), ("Bad gateway", 500));
        let (message, code, status) = said(401, r#"{"message":"who?","code":"x"}"#);
        assert!(message.contains(KEY), "{message}");
        assert_eq!((&*code, status), ("api_error", 502));
        assert_eq!(said(302, "").2, 502);
        assert_eq!(said(503, "").0, "the platform answered 503");
    }
}
