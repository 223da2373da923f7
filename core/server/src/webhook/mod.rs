//! What others call by a secret, which is the route and the guard in one.

use crate::{
    answer::{Refusal, json},
    asked::Asked,
    context::Context,
    inbound::{Inbound, body_of, decoded, is_json},
    token::is_same,
};
use axum::{
    Extension,
    body::Body,
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri},
    response::{IntoResponse as _, Response},
};
use remy_db::internals::effects::Webhook;
use remy_db_runtime::{
    child::{Listener, Silent},
    runtime::Invoke,
    target::Target,
    who::Who,
};
use serde_json::{Value, json};
use std::sync::Arc;

pub(crate) async fn called(
    State(at): State<Arc<Context>>,
    Extension(asked): Extension<Asked>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let secret = secret_of(uri.path())?;
    // Before any of the body is read: whoever has no secret is not listened to.
    let (place, given) = (asked.judged.place.clone(), secret.clone());
    at.read(move |at| find(at, &at.target(&place)?, &given).map(drop))
        .await?;
    let inbound = Inbound::read((&method, &uri, &headers), body, &at.settings.limits).await?;
    let input = input(&inbound)?;
    let output = at.call(move |at, cancel| {
        let target = at.target(&asked.judged.place)?;
        // Once more: what is live may be another release by now.
        let method = find(at, &target, &secret)?;
        let invoke = Invoke {
            origin: asked.judged.given_origin(),
            id: Some(asked.id),
            target,
            who: Who::system(),
            ..Invoke::new(&method, input)
        };
        let silent: Arc<dyn Listener> = Arc::new(Silent);
        Ok(at.runtime.call(invoke, &silent, cancel)?.output)
    });
    Ok(match output.await? {
        Value::Null => StatusCode::NO_CONTENT.into_response(),
        output => json(&output),
    })
}

/// What stands in the path behind `/webhook/`; the hosted platform's own paths name the app before.
fn secret_of(path: &str) -> Result<String, Refusal> {
    match path.strip_prefix("/_internal/v2/webhook/") {
        Some(rest) => decoded(rest.split_once('/').map_or("", |(_, secret)| secret)),
        None => decoded(path.strip_prefix("/webhook/").unwrap_or_default()),
    }
}

/// The method behind a secret.
fn find(at: &Context, target: &Target, secret: &str) -> Result<String, Refusal> {
    let (release, effects) = at.remy(target)?.declared()?;
    if release.is_none() && *target == Target::Live {
        return Err(Refusal::new(404, "no_release", "Nothing is live"));
    }
    of_secret(&effects.webhooks, secret).ok_or_else(|| {
        let message = "There is no webhook of this secret";
        Refusal::new(401, "unknown_secret", message)
    })
}

/// Takes as long whatever the secret is, and whichever it is: it is compared with all of them.
fn of_secret(webhooks: &[Webhook], secret: &str) -> Option<String> {
    webhooks.iter().fold(None, |found, webhook| {
        match is_same(secret.as_bytes(), &webhook.secret) {
            true => Some(webhook.method.clone()),
            false => found,
        }
    })
}

/// What the method gets.
fn input(inbound: &Inbound) -> Result<Value, Refusal> {
    let body = match () {
        () if inbound.raw.is_empty() => Value::Null,
        () if is_json(inbound) => body_of(inbound)?,
        () if inbound.is("application/x-www-form-urlencoded") => inbound.form(&inbound.raw),
        () => inbound.text().into(),
    };
    Ok(json!({
        "method": inbound.method,
        "headers": inbound.headers(&["cookie"]),
        "query": inbound.query(),
        "body": body,
        "rawBody": inbound.text(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn webhook(secret: &str, method: &str) -> Webhook {
        Webhook {
            secret: secret.to_owned(),
            method: method.to_owned(),
            description: None,
        }
    }

    #[test]
    fn a_secret_is_what_stands_last_in_the_path_decoded_once() {
        for (path, secret) in [
            ("/webhook/a%2Fb%20c", "a/b c"),
            ("/webhook/a/b%252F", "a/b%2F"),
            ("/_internal/v2/webhook/shop/a/b", "a/b"),
            ("/webhook/_internal/v2/webhook/x", "_internal/v2/webhook/x"),
        ] {
            assert_eq!(secret_of(path).unwrap(), secret);
        }
        assert_eq!(secret_of("/webhook/%ff").unwrap_err().code, "invalid_path");
    }

    #[test]
    fn a_secret_is_found_whole_or_not_at_all() {
        let all = [webhook("one", "first"), webhook("a/b c", "second")];
        assert_eq!(of_secret(&all, "one").as_deref(), Some("first"));
        assert_eq!(of_secret(&all, "a/b c").as_deref(), Some("second"));
        for other in ["", "on", "onee", "ONE", "one "] {
            assert_eq!(of_secret(&all, other), None, "{other}");
        }
        assert_eq!(of_secret(&[], ""), None);
    }
}
