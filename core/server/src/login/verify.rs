//! Somebody has the code that was sent: `POST /_/auth/email/verify`, `/_/auth/sms/verify`.

use super::{page::Page, send::text};
use crate::answer::Refusal;
use crate::on_page::OnPage;
use axum::response::Response;
use remy_db_runtime::users::{By, User};
use std::sync::PoisonError;

pub(crate) async fn verify(by: By, page: OnPage) -> Result<Response, Refusal> {
    page.call(move |page, given| {
        let (id, code) = (text(given, "verificationId")?, text(given, "code")?);
        let (at, target) = (page.at, &page.target);
        at.runtime
            .users(target, |users| users.check(by.method(), by.column()))?;
        let address = at.codes.check(target, by, (&id, &code), page.client())?;
        page.signs_in(&user_of(page, by, &address)?)
    })
    .await
}

/// The user of an address, who is made where there is none: who signs in first, signs up.
fn user_of(page: &Page<'_>, by: By, address: &str) -> Result<User, Refusal> {
    // Of two who do so at once, the second finds the first one's.
    let _one = page
        .at
        .signing
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let user = page
        .at
        .runtime
        .users(&page.target, |users| match users.by(by, address)? {
            Some(user) => Ok(user),
            None => users.make(by, address),
        });
    Ok(user?)
}
