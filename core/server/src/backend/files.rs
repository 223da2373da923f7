//! `POST /_internal/v2/files/{operation}`: what methods ask of their files.

use super::{ask, called};
use crate::{
    answer::{Refusal, json},
    body,
    context::Context,
};
use axum::{
    body::Body,
    extract::{Path, State},
    http::HeaderMap,
    response::Response,
};
use remy_db_runtime::{files::BODY, protocol::Request};
use std::sync::Arc;

pub(super) async fn files(
    State(at): State<Arc<Context>>,
    Path(operation): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let called = called(&at, &headers)?;
    let limits = at.settings.limits.with_body(BODY);
    let asked = body::read(body, &limits).await?;
    let request = Request::Service {
        name: format!("files.{operation}"),
        arguments: vec![asked],
    };
    Ok(json(&ask(&at, called, request).await?))
}
