//! A method that is called by a bot, how long its answer is waited for, and how a service is told of
//! one that comes later.

use crate::{answer::Refusal, asked::Asked, context::Context};
use remy_db_app::outbox::Service;
use remy_db_runtime::{
    child::{Listener, Silent},
    remote::{Tell, is_safe},
    runtime::Invoke,
    target::Target,
};
use serde_json::{Map, Value, json};
use std::{sync::Arc, time::Duration};
use tokio::{task::JoinHandle, time::timeout};

/// How long a bot's answer may take before it is said that it comes later. Discord waits for three
/// seconds.
const SOON: Duration = Duration::from_millis(2500);

/// How long a service may take to hear.
pub(super) const HEARS: Duration = Duration::from_secs(20);

/// The most bytes of what a service sends.
pub(super) const BYTES: usize = 1 << 20;

/// A method that somebody calls by a bot.
pub(super) struct Call {
    pub asked: Asked,
    pub target: Target,
    pub method: String,
    pub input: Map<String, Value>,
    pub channel: &'static str,
}

/// What has become of a call in time; or the call itself, which goes on.
pub(super) enum Ended {
    Soon(Result<Value, Refusal>),
    Later(JoinHandle<Result<Value, Refusal>>),
}

/// Calls, and waits for a moment.
pub(super) async fn call(at: &Arc<Context>, call: Call) -> Ended {
    let at = Arc::clone(at);
    let mut under_way = tokio::spawn(async move {
        at.call(move |at, cancel| {
            let invoke = Invoke {
                id: Some(call.asked.id),
                target: call.target,
                session: json!({ "channel": call.channel }),
                ..Invoke::new(&call.method, Value::Object(call.input))
            };
            let silent: Arc<dyn Listener> = Arc::new(Silent);
            Ok(at.runtime.call(invoke, &silent, cancel)?.output)
        })
        .await
    });
    match timeout(SOON, &mut under_way).await {
        Ok(ended) => Ended::Soon(of_task(ended)),
        Err(_) => Ended::Later(under_way),
    }
}

/// A request to a service, by which it has an answer that took long.
pub(super) struct Late {
    pub verb: &'static str,
    pub url: String,
    pub body: Value,
}

/// Answers later: by what is made of where the service is.
pub(super) async fn answer_late(
    at: &Arc<Context>,
    service: &'static Service,
    target: Target,
    late: impl FnOnce(&Context, &Target, &str) -> Result<Late, Refusal> + Send + 'static,
) {
    let told = at.read(move |at| {
        let base = service.base(at.secret(service.url, &target)?);
        if !is_safe(&base) {
            let message = format!("{} is no URL with https", service.url);
            return Err(Refusal::internal(message));
        }
        let Late { verb, url, body } = late(at, &target, &base)?;
        let answered = at.runtime.client().tell(Tell {
            verb,
            url: &url,
            authorization: None,
            body: &body,
            within: HEARS,
        })?;
        Ok(answered.status)
    });
    let failed = match told.await {
        Ok(200..=299) => return,
        Ok(status) => format!("{} has answered {status}", service.title),
        Err(refusal) => refusal.cause.map_or(refusal.message, |cause| cause.0),
    };
    at.settings
        .log
        .note(service.name, &format!("an answer did not arrive: {failed}"));
}

pub(super) fn of_task(
    ended: Result<Result<Value, Refusal>, tokio::task::JoinError>,
) -> Result<Value, Refusal> {
    ended.unwrap_or_else(|e| Err(Refusal::internal(e.to_string())))
}

/// What a method has returned, as a text of at most so many characters.
pub(super) fn text(output: &Value, most: usize) -> String {
    let text = match output {
        Value::String(text) => text.clone(),
        output => output.to_string(),
    };
    if text.chars().count() <= most {
        return text;
    }
    let mut cut: String = text.chars().take(most - 1).collect();
    cut.push('…');
    cut
}
