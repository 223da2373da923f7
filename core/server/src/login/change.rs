//! A user takes another address: a code goes there, and who has it, has the address.

use super::{
    address,
    send::{send_to, text},
};
use crate::on_page::OnPage;
use crate::{
    answer::{Refusal, json},
    state::codes::For,
};
use axum::response::Response;
use remy_db_runtime::users::By;
use serde_json::json as value;
use std::sync::PoisonError;

/// What a page calls the new address.
fn named(by: By) -> &'static str {
    match by {
        By::Email => "newEmail",
        By::Phone => "newPhone",
    }
}

pub(crate) async fn change(by: By, page: OnPage) -> Result<Response, Refusal> {
    let sent = page.call(move |page, given| {
        let user = page.user()?;
        send_to(page, by, &text(given, named(by))?, &user.id)
    });
    sent.await?;
    Ok(json(&value!({})))
}

pub(crate) async fn confirm(by: By, page: OnPage) -> Result<Response, Refusal> {
    page.call(move |page, given| {
        let (at, user) = (page.at, page.user()?);
        let address = address::normal(by, &text(given, named(by))?)?;
        let of = For {
            target: &page.target,
            by,
            address: &address,
            user: &user.id,
            client: page.client(),
        };
        at.codes.check_own(&of, &text(given, "code")?)?;
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
