//! A user takes another address: a code goes there, and who has it, has the address.

use super::{
    address,
    page::Page,
    send::{send_to, text},
};
use crate::{
    answer::{Refusal, json},
    asked::Asked,
    body,
    context::Context,
    state::codes::For,
};
use axum::{Extension, body::Body, extract::State, http::HeaderMap, response::Response};
use remy_db_runtime::users::By;
use serde_json::json as value;
use std::sync::{Arc, PoisonError};

/// What a page calls the new address.
fn named(by: By) -> &'static str {
    match by {
        By::Email => "newEmail",
        By::Phone => "newPhone",
    }
}

pub(crate) async fn change(
    by: By,
    State(at): State<Arc<Context>>,
    Extension(asked): Extension<Asked>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let given = body::read(body, &at.settings.limits).await?;
    let sent = at.call(move |at, _| {
        let page = Page::of(at, asked, headers)?;
        let user = page.user()?;
        send_to(&page, by, &text(&given, named(by))?, &user.id)
    });
    sent.await?;
    Ok(json(&value!({})))
}

pub(crate) async fn confirm(
    by: By,
    State(at): State<Arc<Context>>,
    Extension(asked): Extension<Asked>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let given = body::read(body, &at.settings.limits).await?;
    at.call(move |at, _| {
        let page = Page::of(at, asked, headers)?;
        let user = page.user()?;
        let address = address::normal(by, &text(&given, named(by))?)?;
        let of = For {
            target: &page.target,
            by,
            address: &address,
            user: &user.id,
            client: page.client(),
        };
        at.codes.check_own(&of, &text(&given, "code")?)?;
        let _one = at.signing.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = at
            .runtime
            .users(&page.target, |users| match users.by(by, &address)? {
                // Who has the code may know it: the address is theirs.
                Some(other) if other.id != user.id => Ok(None),
                _ => users.set(&user.id, by.column(), Some(&address)),
            })?;
        let changed = changed.ok_or_else(|| {
            let message = "This address is another user's. Nothing was changed";
            Refusal::new(400, "invalid_state", message)
        })?;
        match page.login()? {
            Some(login) => Ok(json(&page.bundle(Some((&login, &changed)))?)),
            None => page.signs_in(&changed),
        }
    })
    .await
}
