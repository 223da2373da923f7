//! Somebody has the code that was sent: `POST /_/auth/email/verify`, `/_/auth/sms/verify`.

use super::{page::Page, send::text};
use crate::{answer::Refusal, asked::Asked, body, context::Context};
use axum::{Extension, body::Body, extract::State, http::HeaderMap, response::Response};
use remy_db_runtime::users::{By, User};
use std::sync::{Arc, PoisonError};

pub(crate) async fn verify(
    by: By,
    State(at): State<Arc<Context>>,
    Extension(asked): Extension<Asked>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let given = body::read(body, &at.settings.limits).await?;
    at.call(move |at, _| {
        let page = Page::of(at, asked, headers)?;
        let (id, code) = (text(&given, "verificationId")?, text(&given, "code")?);
        let sign_in = at
            .runtime
            .users(&page.target, |users| users.check(by.method(), by.column()));
        sign_in?;
        let address = at
            .codes
            .check(&page.target, by, (&id, &code), page.client())?;
        let user = user_of(&page, by, &address)?;
        page.signs_in(&user)
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
