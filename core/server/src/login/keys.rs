//! The key of a user: `POST /_/auth/api-key/create`, `/_/auth/api-key/revoke`.

use super::page::Page;
use crate::{
    answer::{Refusal, json},
    asked::Asked,
    body,
    context::Context,
    state::keys::masked,
};
use axum::{Extension, body::Body, extract::State, http::HeaderMap, response::Response};
use remy_db_runtime::users::API_KEY;
use serde_json::json as value;
use std::sync::Arc;

/// The column that shows a part of it.
const COLUMN: &str = "apiKey";

pub(crate) async fn create(
    State(at): State<Arc<Context>>,
    Extension(asked): Extension<Asked>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    body::read(body, &at.settings.limits).await?;
    let made = at.read(move |at| {
        let page = Page::of(at, asked, headers)?;
        at.runtime
            .users(&page.target, |users| users.check(API_KEY, COLUMN))?;
        let user = page.user()?;
        let key = at.keys.make(&page.target, &user.id)?;
        let shown = masked(&key);
        at.runtime.users(&page.target, |users| {
            users.set(&user.id, COLUMN, Some(&shown))
        })?;
        Ok(value!({ "key": key, "apiKey": shown }))
    });
    Ok(json(&made.await?))
}

pub(crate) async fn revoke(
    State(at): State<Arc<Context>>,
    Extension(asked): Extension<Asked>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    body::read(body, &at.settings.limits).await?;
    let revoked = at.read(move |at| {
        let page = Page::of(at, asked, headers)?;
        at.runtime
            .users(&page.target, |users| users.check(API_KEY, COLUMN))?;
        let user = page.user()?;
        // The key first: what the column shows lets nobody in.
        at.keys.revoke(&page.target, &user.id)?;
        at.runtime
            .users(&page.target, |users| users.set(&user.id, COLUMN, None))?;
        Ok(value!({}))
    });
    Ok(json(&revoked.await?))
}
