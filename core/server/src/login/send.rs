//! A page asks for a code: `POST /_/auth/email/send`, `/_/auth/sms/send`.

use super::{address, deliver::Delivery, page::Page};
use crate::on_page::OnPage;
use crate::{
    answer::{Refusal, json},
    state::codes::{Begun, For},
};
use axum::response::Response;
use remy_db_runtime::{target::Target, users::By};
use serde_json::{Value, json as value};

/// The code of test users in dev, on this machine.
const OF_TESTS: &str = "123456";

pub(crate) async fn send(by: By, page: OnPage) -> Result<Response, Refusal> {
    let sent = page.call(move |page, given| {
        let address = text(given, by.column())?;
        let begun = send_to(page, by, &address, "")?;
        Ok(value!({ "verificationId": begun.id }))
    });
    Ok(json(&sent.await?))
}

/// Sends a code to an address, by which it becomes `user`'s, or its owner signs in.
pub(super) fn send_to(page: &Page<'_>, by: By, given: &str, user: &str) -> Result<Begun, Refusal> {
    let (at, target) = (page.at, &page.target);
    at.runtime
        .users(target, |users| users.check(by.method(), by.column()))?;
    let address = address::normal(by, given)?;
    let of = For {
        target,
        by,
        address: &address,
        user,
        client: page.client(),
    };
    // On live and previews they are addresses as any other.
    let is_test = matches!(target, Target::Dev { .. })
        && page.client().is_loopback()
        && address::is_of_tests(by, &address);
    if is_test {
        return at.codes.begin(&of, Some(OF_TESTS));
    }
    let delivery = Delivery::of(at, target, by)?;
    let begun = at.codes.begin(&of, None)?;
    let (_, app) = at.runtime.serving(target)?;
    delivery.send(&address, &begun.code, &app.name)?;
    Ok(begun)
}

/// A text of a body. Fails with `invalid_body` (400).
pub(super) fn text(body: &Value, name: &str) -> Result<String, Refusal> {
    let text = body.get(name).and_then(Value::as_str).map(str::to_owned);
    text.ok_or_else(|| {
        let message = format!("The body has no text {name:?}");
        Refusal::new(400, "invalid_body", message)
    })
}
