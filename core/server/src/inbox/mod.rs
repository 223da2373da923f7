//! E-mail that comes in: `POST /_/email`, a raw message, by whoever takes mail for the app and knows
//! the server secret `EMAIL_SECRET`. That a sender is who it says is theirs to check (SPF, DKIM).

mod letter;

use crate::{
    answer::{Refusal, json},
    asked::{Asked, bearer},
    body,
    context::Context,
    token::is_same,
};
use axum::{Extension, body::Body, extract::State, http::HeaderMap, response::Response};
use letter::Letter;
use remy_db::internals::effects::EmailRoute;
use remy_db_runtime::{
    child::{Listener, Silent},
    runtime::Invoke,
    target::Target,
    who::Who,
};
use serde_json::json as value;
use std::sync::Arc;

const SECRET: &str = "EMAIL_SECRET";

pub(crate) async fn called(
    State(at): State<Arc<Context>>,
    Extension(asked): Extension<Asked>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let given = bearer(&headers).unwrap_or_default().to_owned();
    let place = asked.judged.place.clone();
    // Before any of the body is read: whoever has no secret is not listened to.
    at.read(move |at| {
        let target = at.target(&place)?;
        if at.remy(&target)?.declared()?.1.email_routes.is_empty() {
            return Err(Refusal::not_found());
        }
        knows(at, &target, &given)
    })
    .await?;
    let limits = at.settings.limits;
    let raw = body::bytes(body, &limits.with_body(limits.mail_bytes)).await?;
    let called = at.call(move |at, cancel| {
        let target = at.target(&asked.judged.place)?;
        let letter = Letter::read(&raw)?;
        // Of what is live now: that may be another release than a moment ago.
        let routes = at.remy(&target)?.declared()?.1.email_routes;
        let route = route(&routes, &letter.recipients).ok_or_else(Refusal::not_found)?;
        if !letter
            .senders
            .iter()
            .all(|sender| is_approved(route, sender))
        {
            let message = "Mail of this sender is not taken. Nothing was called";
            return Err(Refusal::new(400, "invalid_sender", message));
        }
        let invoke = Invoke {
            id: Some(asked.id),
            target,
            who: Who::system(),
            session: value!({ "channel": "email" }),
            ..Invoke::new(&route.method, letter.input)
        };
        let silent: Arc<dyn Listener> = Arc::new(Silent);
        at.runtime.call(invoke, &silent, cancel)?;
        Ok(())
    });
    called.await?;
    Ok(json(&value!({})))
}

/// Refuses whoever does not know the secret, in constant time.
fn knows(at: &Context, target: &Target, given: &str) -> Result<(), Refusal> {
    let secret = at.needed(SECRET, target, "No mail is taken")?;
    match is_same(given.as_bytes(), &secret) {
        true => Ok(()),
        false => {
            let message = "This needs the server secret of mail, as Authorization: Bearer";
            Err(Refusal::new(401, "unknown_secret", message))
        }
    }
}

/// The method of a letter: the only one, or the one that an address of it is called by.
fn route<'a>(routes: &'a [EmailRoute], recipients: &[String]) -> Option<&'a EmailRoute> {
    let is_named = |route: &&EmailRoute| {
        let names = recipients.iter().filter_map(|it| it.split('@').next());
        names
            .into_iter()
            .any(|name| name.eq_ignore_ascii_case(&route.method))
    };
    match routes {
        [only] => Some(only),
        all => all.iter().find(is_named),
    }
}

/// Whether a route takes mail of a sender. Without a list it takes all, and of nobody none.
fn is_approved(route: &EmailRoute, sender: &str) -> bool {
    let sender = sender.to_lowercase();
    let fits = |approved: &String| {
        let approved = approved.to_lowercase();
        match approved.strip_prefix('*') {
            // Of `*@domain`: with the sign, so that no other domain ends as this one.
            Some(domain) => sender.ends_with(domain),
            None => sender == approved,
        }
    };
    route.approved_senders.is_empty() || route.approved_senders.iter().any(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(method: &str, approved: &[&str]) -> EmailRoute {
        EmailRoute {
            method: method.to_owned(),
            approved_senders: approved.iter().map(|&it| it.to_owned()).collect(),
        }
    }

    #[test]
    fn a_sender_is_approved_by_an_address_or_a_domain() {
        let route = of("x", &["Ada@example.org", "*@Shop.example"]);
        for good in ["ada@EXAMPLE.org", "any@shop.example"] {
            assert!(is_approved(&route, good), "{good}");
        }
        for bad in [
            "",
            "b@example.org",
            "a@xshop.example",
            "a@shop.example.evil",
            "shop.example",
        ] {
            assert!(!is_approved(&route, bad), "{bad}");
        }
        assert!(is_approved(&of("x", &[]), "anybody@any"));
    }

    #[test]
    fn of_several_methods_the_address_names_one() {
        let routes = [of("orders", &[]), of("help", &[])];
        let named = |to: &str| route(&routes, &[to.to_owned()]).map(|it| it.method.as_str());
        assert_eq!(named("Help@shop.example"), Some("help"));
        assert_eq!(named("x@shop.example"), None);
        assert_eq!(route(&routes[..1], &[]).unwrap().method, "orders");
    }
}
