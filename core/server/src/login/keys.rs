//! The key of a user: `POST /_/auth/api-key/create`, `/_/auth/api-key/revoke`.

use super::page::Page;
use crate::on_page::OnPage;
use crate::{
    answer::{Refusal, json},
    state::keys::masked,
};
use axum::response::Response;
use remy_db_runtime::users::{API_KEY, User};
use serde_json::json as value;

/// The column that shows a part of it.
const COLUMN: &str = "apiKey";

pub(crate) async fn create(page: OnPage) -> Result<Response, Refusal> {
    let made = page.read(|page, _| {
        let (at, user) = (page.at, user_of(page)?);
        let key = at.keys.make(&page.target, &user.id)?;
        let shown = masked(&key);
        at.runtime.users(&page.target, |users| {
            users.set(&user.id, COLUMN, Some(&shown))
        })?;
        Ok(value!({ "key": key, "apiKey": shown }))
    });
    Ok(json(&made.await?))
}

pub(crate) async fn revoke(page: OnPage) -> Result<Response, Refusal> {
    let revoked = page.read(|page, _| {
        let (at, user) = (page.at, user_of(page)?);
        // The key first: what the column shows lets nobody in.
        at.keys.revoke(&page.target, &user.id)?;
        at.runtime
            .users(&page.target, |users| users.set(&user.id, COLUMN, None))?;
        Ok(value!({}))
    });
    Ok(json(&revoked.await?))
}

/// Who is signed in, of an app whose users have keys.
fn user_of(page: &Page<'_>) -> Result<User, Refusal> {
    page.at
        .runtime
        .users(&page.target, |users| users.check(API_KEY, COLUMN))?;
    page.user()
}
