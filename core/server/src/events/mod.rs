//! Messages to pages that are open now, with a grant that a method made: `GET /_/events` listens, and
//! `POST /_/events` publishes.

mod listen;
mod publish;

pub(crate) use listen::listen;
pub(crate) use publish::publish;

use crate::{
    answer::Refusal,
    asked::{Asked, bearer},
    context::Context,
};
use axum::http::HeaderMap;
use remy_db_runtime::events::World;
use std::sync::Arc;

/// Where a request's events are, and its grant. Fails with `invalid_grant` (401) without one.
async fn granted(
    at: &Arc<Context>,
    asked: Asked,
    headers: &HeaderMap,
) -> Result<(World, String), Refusal> {
    let token = bearer(headers).map(str::to_owned);
    let token = token.ok_or_else(|| {
        let message = "This needs a grant of events, as Authorization: Bearer. A method makes one";
        Refusal::new(401, "invalid_grant", message)
    })?;
    let target = at.read(move |at| at.target(&asked.judged.place)).await?;
    Ok((World::of(&target), token))
}
