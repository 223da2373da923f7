//! Who is signed in in a browser (`GET /_/auth/me`), and that nobody is any more (`POST
//! /_/auth/logout`).

use super::page::{Browser, signed_in};
use crate::{
    answer::{Refusal, json},
    asked::Asked,
    context::Context,
    on_page::OnPage,
};
use axum::{Extension, extract::State, http::HeaderMap, response::Response};
use serde_json::Value;
use std::sync::Arc;

pub(crate) async fn me(
    State(at): State<Arc<Context>>,
    Extension(asked): Extension<Asked>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let told = at.read(move |at| {
        let signed = signed_in(at, &at.target(&asked.judged.place)?, &headers)?;
        let browser = Browser::of(at, asked, headers)?;
        let signed = signed.as_ref().map(|(login, user)| (login, user));
        let mut told = browser.bundle(signed)?;
        // A page asks whether there is one.
        if let Value::Object(told) = &mut told
            && signed.is_none()
        {
            told.remove("user");
        }
        Ok(told)
    });
    Ok(json(&told.await?))
}

pub(crate) async fn logout(page: OnPage) -> Result<Response, Refusal> {
    page.read(|page, _| {
        let of_cookie = page.login()?.map(|login| login.hash);
        // A page that another one of this browser has signed out since, or in as somebody else.
        for hash in of_cookie.iter().chain(&page.session.login) {
            page.at.logins.end(hash)?;
        }
        page.signs_out()
    })
    .await
}
